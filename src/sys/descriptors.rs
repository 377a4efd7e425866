//! Descriptors above those of the standard streams.
//!
//! If a program has closed a standard stream, as daemons do, the next file that is opened gets its
//! descriptor. The program would then print into that file, or close it as the stream.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};

/// Moves a file to another descriptor if it has that of a standard stream.
pub fn above_streams(file: File) -> io::Result<File> {
    if file.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(file);
    }
    // SAFETY: the file is open.
    #[allow(unsafe_code)]
    let above =
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1) };
    if above < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, so this file is its only owner.
    #[allow(unsafe_code)]
    Ok(unsafe { File::from_raw_fd(above) })
}
