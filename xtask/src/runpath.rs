//! Sets where a program looks for its libraries, as it is installed elsewhere than it was built.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use object_rewrite::{Options, Rewriter};

/// Returns the bytes of an ELF program with another runpath, or without one.
pub fn replaced(program: &Path, runpath: Option<&str>) -> Result<Vec<u8>> {
    let bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
    // The errors of this crate do not implement `std::error::Error`.
    let context = |error: object_rewrite::Error| anyhow!("{}: {error}", program.display());
    let mut rewriter = Rewriter::read(&bytes).map_err(context)?;
    if rewriter.elf_runpath() == runpath.map(str::as_bytes) {
        return Ok(bytes);
    }
    match runpath {
        Some(runpath) => rewriter.elf_set_runpath(runpath.into()),
        None => rewriter.elf_delete_runpath(),
    }
    .map_err(context)?;
    rewriter.modify(Options::default()).map_err(context)?;
    let mut result = Vec::new();
    rewriter.write(&mut result).map_err(context)?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_with_another_runpath_runs() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let changed = directory.path().join("changed");
        let source = Path::new("/bin/true");
        // Longer than any runpath in the program.
        let long = format!("$ORIGIN/{}", "x/".repeat(100));
        for runpath in [Some(long.as_str()), Some("$ORIGIN"), None] {
            let bytes = replaced(source, runpath)?;
            let read = Rewriter::read(&bytes).map_err(|error| anyhow!("{error}"))?;
            assert_eq!(read.elf_runpath(), runpath.map(str::as_bytes));
            fs::write(&changed, &bytes)?;
            fs::set_permissions(&changed, Permissions::from_mode(0o755))?;
            assert!(Command::new(&changed).status()?.success(), "{runpath:?}");
        }
        Ok(())
    }

    #[test]
    fn a_file_that_is_no_program_is_an_error() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("text");
        fs::write(&file, "no program")?;
        let error = replaced(&file, None).expect_err("it is no ELF file").to_string();
        assert!(error.contains("text: "), "{error}");
        Ok(())
    }
}
