//! Standard output, and files that a command creates.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::failure::{Failure, Result};
use crate::text::{Form, json_member};

const BUFFER: usize = 64 << 10;

/// A stream that a command writes its result to.
///
/// A file appears under its name once it is complete: see [`Output::finish`].
pub struct Output {
    writer: BufWriter<Box<dyn Write>>,
    /// The file that is written, and the name that it gets.
    file: Option<(PathBuf, PathBuf)>,
    name: String,
    line: Vec<u8>,
}

impl Output {
    /// Returns standard output, or the file in place of it: see [`redirect`].
    pub fn stdout() -> Output {
        match &*redirection() {
            None => Output::new(Box::new(io::stdout().lock()), "standard output".to_owned()),
            Some((file, name)) => Output::new(Box::new(file.clone()), name.clone()),
        }
    }

    /// Creates the file `path`; standard output for `-` or none.
    pub fn create(path: Option<&Path>) -> Result<Output> {
        let path = match path {
            Some(path) if path != Path::new("-") => path,
            _ => return Ok(Output::stdout()),
        };
        let failure = |cause| Failure::io(path.display(), &cause);
        let in_place = |file| Ok(Output::new(Box::new(file), path.display().to_string()));
        if let Some(number) = descriptor(path) {
            // SAFETY: it is borrowed for this call alone, which fails if it is not open.
            let open = unsafe { BorrowedFd::borrow_raw(number) };
            return in_place(File::from(open.try_clone_to_owned().map_err(failure)?));
        }
        let existing = path.metadata().ok();
        // A FIFO or a device is written in place.
        if existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return in_place(File::options().write(true).open(path).map_err(failure)?);
        }
        // A symbolic link stays, and the file that it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        let partial = PathBuf::from(partial);
        let file = File::create_new(&partial).map_err(failure)?;
        let permissions = existing.map(|metadata| file.set_permissions(metadata.permissions()));
        let mut output = Output::new(Box::new(file), path.display().to_string());
        output.file = Some((partial, path));
        // After an error, `output` removes the file.
        permissions.transpose().map_err(failure)?;
        Ok(output)
    }

    fn new(writer: Box<dyn Write>, name: String) -> Output {
        let writer = BufWriter::with_capacity(BUFFER, writer);
        Output { writer, file: None, name, line: Vec::new() }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(|cause| write_error(&self.name, &cause))
    }

    /// Writes `bytes` in `form`, and ends the line.
    pub fn line(&mut self, form: Form, bytes: &[u8]) -> Result<()> {
        self.with_line(|line| form.write(bytes, line))
    }

    /// Writes the line that `fill` creates.
    pub fn with_line(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        fill(&mut line);
        line.push(b'\n');
        let result = self.write(&line);
        self.line = line;
        result
    }

    /// Writes a pair as a line: the key, a tab and the value, or a JSON object.
    ///
    /// What is `None` is left out.
    pub fn pair(&mut self, form: Form, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<()> {
        self.with_line(|line| {
            let json = form == Form::Json;
            if json {
                line.push(b'{');
            }
            for (name, bytes) in [("key", key), ("value", value)] {
                let Some(bytes) = bytes else { continue };
                if name == "value" && key.is_some() {
                    line.push(if json { b',' } else { b'\t' });
                }
                match json {
                    true => json_member(name, bytes, line),
                    false => form.write(bytes, line),
                }
            }
            if json {
                line.push(b'}');
            }
        })
    }

    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|cause| write_error(&self.name, &cause))
    }

    /// Writes what is buffered, and gives a file its name.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Some((partial, path)) = self.file.take() {
            let rename = || {
                File::open(&partial)?.sync_all()?;
                fs::rename(&partial, &path)
            };
            rename().map_err(|cause| {
                let _ = fs::remove_file(&partial);
                Failure::io(path.display(), &cause)
            })?;
        }
        Ok(())
    }
}

/// Returns the number of the open file that a path such as `/dev/stdout` means.
fn descriptor(path: &Path) -> Option<RawFd> {
    // The system follows no more links than these.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        let number = ["/dev/fd", "/proc/self/fd"].iter().find_map(|directory| {
            path.strip_prefix(directory).ok()?.to_str()?.parse::<RawFd>().ok()
        });
        if number.is_some_and(|number| number >= 0) {
            return number;
        }
        let target = fs::read_link(&path).ok()?;
        path = path.parent()?.join(target);
    }
    None
}

impl Drop for Output {
    fn drop(&mut self) {
        // The command failed, and a part of a dump must not pass for all of it.
        if let Some((partial, _)) = &self.file {
            let _ = fs::remove_file(partial);
        }
    }
}

/// The file in place of standard output, and its name.
static REDIRECTION: Mutex<Option<(Arc<File>, String)>> = Mutex::new(None);

fn redirection() -> MutexGuard<'static, Option<(Arc<File>, String)>> {
    // A panic leaves the file or none, so the value is always valid.
    REDIRECTION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates the file `path`, which gets what commands would write to standard output from now on.
///
/// Without `path`, standard output gets it again.
pub fn redirect(path: Option<&Path>) -> Result<()> {
    let file = match path {
        Some(path) if path != Path::new("-") => {
            let name = path.display().to_string();
            let file = File::create(path).map_err(|cause| Failure::io(&name, &cause))?;
            Some((Arc::new(file), name))
        }
        _ => None,
    };
    *redirection() = file;
    Ok(())
}

/// Writes a message to standard error, in one piece, as others may write there too.
pub fn say(text: &str) {
    // Without standard error there is no place to report that it is missing.
    let _ = io::stderr().write_all(format!("kvds: {text}\n").as_bytes());
}

/// Returns whether [`Output::stdout`] is a terminal.
pub fn is_terminal() -> bool {
    redirection().is_none() && io::stdout().is_terminal()
}

fn write_error(name: &str, cause: &io::Error) -> Failure {
    match cause.kind() {
        io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
        _ => Failure::io(name, cause),
    }
}
