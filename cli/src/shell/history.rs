//! The file that keeps the lines that were typed.

use std::env;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use reedline::{FileBackedHistory, HISTORY_SIZE};

/// Returns the lines of earlier shells, and keeps those of this one in the same file.
///
/// Without a file that can be written, the lines of this shell are kept until it ends.
pub fn open() -> FileBackedHistory {
    let file = path().filter(|path| create(path).is_ok());
    let history = file.and_then(|file| FileBackedHistory::with_file(HISTORY_SIZE, file).ok());
    history.unwrap_or_default()
}

/// Returns `$XDG_STATE_HOME/kvds/history`. The XDG specification has relative paths ignored.
fn path() -> Option<PathBuf> {
    let directory = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = directory("XDG_STATE_HOME")
        .or_else(|| directory("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("kvds/history"))
}

/// Creates the file for this user alone, since lines contain values of stores.
fn create(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let file = File::options().append(true).create(true).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.set_permissions(Permissions::from_mode(0o600))
}
