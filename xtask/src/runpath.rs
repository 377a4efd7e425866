//! Sets where a program looks for its libraries, as it is installed elsewhere than it was built.
//!
//! The new text replaces the one that the program was linked with, which is long enough, as CMake
//! does it. Nothing else in the file moves.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::Endianness;
use object::elf::{DT_NULL, DT_RUNPATH, Dyn64, FileHeader64, SHT_DYNAMIC, SectionHeader64};
use object::read::elf::{Dyn, FileHeader, SectionHeader};

/// Returns the bytes of an ELF program with another runpath, or without one.
pub fn replaced(program: &Path, runpath: Option<&str>) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
    let context = || format!("{}: cannot change its runpath", program.display());
    let place = Place::find(&bytes).with_context(context)?;
    match runpath {
        Some(runpath) => place.write(runpath, &mut bytes).with_context(context)?,
        None => place.remove(&mut bytes),
    }
    Ok(bytes)
}

/// Where the runpath is in a program.
struct Place {
    text: Range<usize>,
    /// Its entry in the dynamic section, and all entries after it.
    entries: Range<usize>,
}

impl Place {
    fn find(bytes: &[u8]) -> Result<Place> {
        let header = FileHeader64::<Endianness>::parse(bytes)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, bytes)?;
        let is_dynamic = |section: &&SectionHeader64<_>| section.sh_type(endian) == SHT_DYNAMIC;
        let section = sections.iter().find(is_dynamic).context("it is not dynamic")?;
        let (entries, strings) = section.dynamic(endian, bytes)?.context("it is not dynamic")?;
        let is_runpath = |entry: &&Dyn64<Endianness>| entry.tag32(endian) == Some(DT_RUNPATH);
        let number = entries.iter().take_while(|entry| !is_runpath(entry)).count();
        let entry = entries.get(number).context("it was linked without one")?;
        ensure!(entries.last().and_then(|last| last.tag32(endian)) == Some(DT_NULL), "no end");
        let strings = usize::try_from(sections.section(strings)?.sh_offset(endian))?;
        let start = strings + usize::try_from(entry.d_val(endian))?;
        let rest = bytes.get(start..).context("it is incomplete")?;
        let len = rest.iter().position(|&byte| byte == 0).context("it is incomplete")?;
        let dynamic = usize::try_from(section.sh_offset(endian))?;
        let at = |number: usize| dynamic + number * size_of::<Dyn64<Endianness>>();
        Ok(Place { text: start..start + len, entries: at(number)..at(entries.len()) })
    }

    fn write(&self, runpath: &str, bytes: &mut [u8]) -> Result<()> {
        let room = &mut bytes[self.text.clone()];
        if runpath.len() > room.len() {
            bail!("{runpath} is longer than {} bytes", room.len());
        }
        room.fill(0);
        room[..runpath.len()].copy_from_slice(runpath.as_bytes());
        Ok(())
    }

    /// Moves the entries after it forward. The last one, which ends the section, stays twice.
    fn remove(&self, bytes: &mut [u8]) {
        let next = self.entries.start + size_of::<Dyn64<Endianness>>();
        bytes.copy_within(next..self.entries.end, self.entries.start);
    }
}

#[cfg(test)]
pub mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// Links a program that has the library `libfound.so` in another directory, and room for 100
    /// bytes. Returns its path.
    pub fn program(directory: &Path) -> Result<PathBuf> {
        let (source, program) = (directory.join("source.c"), directory.join("program"));
        let elsewhere = directory.join("elsewhere");
        fs::create_dir_all(&elsewhere)?;
        let compile = |text: &str, arguments: &[&str], output: &Path| -> Result<()> {
            fs::write(&source, text)?;
            let mut cc = Command::new("cc");
            cc.arg(&source).args(arguments).arg("-L").arg(&elsewhere).arg("-o").arg(output);
            ensure!(cc.status()?.success(), "{cc:?}");
            Ok(())
        };
        let library = elsewhere.join("libfound.so");
        compile("int found(void) { return 0; }", &["-shared", "-fPIC"], &library)?;
        let runpath = format!("-Wl,--enable-new-dtags,-rpath,{:/<100}", "$ORIGIN");
        let main = "int found(void); int main(void) { return found(); }";
        compile(main, &[&runpath, "-Wl,--no-as-needed", "-lfound"], &program)?;
        Ok(program)
    }

    fn succeeds(program: &Path) -> Result<bool> {
        Ok(Command::new(program).env_remove("LD_LIBRARY_PATH").output()?.status.success())
    }

    #[test]
    fn a_program_finds_its_library_in_the_new_place_alone() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let program = program(directory.path())?;
        assert!(!succeeds(&program)?);
        let changed = directory.path().join("changed");
        let cases = [
            (Some("$ORIGIN/elsewhere"), true),
            (Some("$ORIGIN/nowhere:$ORIGIN/elsewhere"), true),
            (Some("$ORIGIN"), false),
            (None, false),
        ];
        for (runpath, finds) in cases {
            fs::write(&changed, replaced(&program, runpath)?)?;
            fs::set_permissions(&changed, Permissions::from_mode(0o755))?;
            assert_eq!(succeeds(&changed)?, finds, "{runpath:?}");
        }
        // Without a runpath it still finds other libraries.
        let library_path = directory.path().join("elsewhere");
        let mut found = Command::new(&changed);
        assert!(found.env("LD_LIBRARY_PATH", library_path).status()?.success());
        assert!(replaced(&changed, None).is_err());
        Ok(())
    }

    #[test]
    fn what_cannot_be_changed_is_an_error() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let program = program(directory.path())?;
        let bytes = fs::read(&program)?;
        let text = directory.path().join("text");
        for part in [&b"no program"[..], &bytes[..64], &bytes[..bytes.len() / 2]] {
            fs::write(&text, part)?;
            let error = replaced(&text, None).expect_err("it is no program").to_string();
            assert!(error.contains("text: "), "{error}");
        }
        let long = "/long".repeat(21);
        let error = format!("{:#}", replaced(&program, Some(&long)).expect_err("it is too long"));
        assert!(error.contains("is longer than 100 bytes"), "{error}");
        Ok(())
    }
}
