//! Lets programs use a built library without installing it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::project::{self, Project};

/// Writes the link for the dynamic linker and the files for pkg-config beside a libkvds.so.
pub fn write(project: &Project, directory: &Path) -> Result<()> {
    let library = directory.join("libkvds.so");
    ensure!(library.exists(), "there is no {}", library.display());
    let link = directory.join(format!("libkvds.so.{}", project.so_version()?));
    let removed = fs::remove_file(&link);
    if removed.as_ref().is_err_and(|error| error.kind() != ErrorKind::NotFound) {
        removed.with_context(|| link.display().to_string())?;
    }
    symlink("libkvds.so", &link).with_context(|| link.display().to_string())?;

    let path = |path: &Path| -> Result<String> {
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        Ok(escaped(path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?))
    };
    let (libdir, includedir) = (path(directory)?, path(&project.root.join("include"))?);
    let version = project.version()?;
    let shared = format!(
        "libdir={libdir}
includedir={includedir}
compatdir=${{includedir}}/compat

Name: kvds
Description: A key-value store library: one C API over memory and RocksDB
Version: {version}
Cflags: -I${{includedir}}
Libs: -L${{libdir}} -Wl,-rpath,${{libdir}} -lkvds
Libs.private: -lstdc++ -lm -lpthread -ldl
"
    );
    let static_library = format!(
        "libdir={libdir}
includedir={includedir}

Name: kvds-static
Description: The static library of kvds, as cargo makes it
Version: {version}
Cflags: -I${{includedir}}
Libs: -L${{libdir}} -l:libkvds.a -lstdc++ -lm -lpthread -ldl
"
    );
    // pkg-config prefers NAME-uninstalled.pc to NAME.pc.
    project::write(&directory.join("kvds-uninstalled.pc"), &shared)?;
    project::write(&directory.join("kvds-static-uninstalled.pc"), &static_library)
}

/// Returns a path quoted for pkg-config, where a space ends a word, as in a shell.
fn escaped(path: &str) -> String {
    let mut escaped = String::new();
    for letter in path.chars() {
        if r#"[] '"\()&;<>|*?!"#.contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_have_spaces() {
        assert_eq!(escaped("/a tree/it's"), r"/a\ tree/it\'s");
    }
}
