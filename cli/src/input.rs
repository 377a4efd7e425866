//! Keys, values and durations from arguments, files and standard input.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::library::MAX_TTL_MS;
use crate::signals;
use crate::text::Form;

/// Returns the bytes of the argument `text`, which is the `name` of the command.
pub fn bytes(form: Form, name: &str, text: &OsStr) -> Result<Vec<u8>> {
    form.read(text.as_bytes()).map_err(|cause| Failure::usage(format!("{name}: {cause}")))
}

/// Returns a value: the argument, or all of `@file`, or all of standard input for `-`.
///
/// Files and standard input are taken as they are, in every form.
pub fn value(form: Form, name: &str, text: &OsStr) -> Result<Vec<u8>> {
    match text.as_bytes() {
        b"-" => {
            let mut value = Vec::new();
            let mut input = Interruptible(io::stdin().lock());
            input.read_to_end(&mut value).map_err(|cause| read_error("standard input", &cause))?;
            Ok(value)
        }
        [b'@', path @ ..] => {
            let path = Path::new(OsStr::from_bytes(path));
            fs::read(path).map_err(|cause| Failure::io(path.display(), &cause))
        }
        _ => bytes(form, name, text),
    }
}

/// Opens the file `path`, or standard input for `-` or none, and returns it with its name.
pub fn open(path: Option<&Path>) -> Result<(Box<dyn BufRead>, String)> {
    const BUFFER: usize = 256 << 10;
    match path {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).map_err(|cause| Failure::io(path.display(), &cause))?;
            let reader = BufReader::with_capacity(BUFFER, Interruptible(file));
            Ok((Box::new(reader), path.display().to_string()))
        }
        _ => {
            let reader = BufReader::with_capacity(BUFFER, Interruptible(io::stdin()));
            Ok((Box::new(reader), "standard input".to_owned()))
        }
    }
}

/// Waits until standard input can be read, or fails after a signal.
pub fn wait_for_stdin() -> io::Result<()> {
    wait(io::stdin().as_raw_fd())
}

/// Returns the failure of reading `name`.
pub fn read_error(name: &str, cause: &io::Error) -> Failure {
    if signals::interrupted() {
        return Failure::Interrupted(String::new());
    }
    Failure::io(name, cause)
}

/// A reader that ends with an error when a signal asks the program to end.
///
/// The standard library repeats a read that a signal interrupted, forever if nothing comes.
struct Interruptible<R>(R);

impl<R: Read + AsRawFd> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait(self.0.as_raw_fd())?;
        self.0.read(buffer)
    }
}

/// Waits until `descriptor` can be read, or fails after a signal.
///
/// A signal may come just before the wait, so each wait is short. Input, its
/// end, or a signal ends the loop.
fn wait(descriptor: RawFd) -> io::Result<()> {
    const STEP_MS: libc::c_int = 200;
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: the struct is valid, and it is the only one.
        let ready = unsafe { libc::poll(&mut poll, 1, STEP_MS) };
        if signals::interrupted() {
            return Err(io::Error::other("interrupted"));
        }
        // The read reports what is not right with the descriptor.
        let failed = ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted;
        if ready > 0 || failed {
            return Ok(());
        }
    }
}

/// Parses a duration, such as `90`, `1500ms`, `10s`, `5m`, `2h` or `7d`, as milliseconds.
pub fn duration(text: &str) -> std::result::Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(ms @ 1..=MAX_TTL_MS) => Ok(ms),
        _ => Err("a time is a number of ms, s, m, h or d, up to 100 years: 90s, 2h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        let cases = [("90", 90_000), ("5ms", 5), ("1s", 1000), ("2h", 7_200_000)];
        for (text, ms) in cases {
            assert_eq!(duration(text), Ok(ms));
        }
        for text in ["", "s", "0", "-1", "1w", "99999999999999999999d", "40000d", "1.5s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
