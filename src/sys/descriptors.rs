//! Files whose descriptors are not those of the standard streams.
//!
//! A program that has closed a standard stream, as daemons do, gives its descriptor to the next
//! file that is opened. What the program prints would then go into that file, and closing the
//! stream once more would close the file.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};

/// The same file, under another descriptor if it got that of a standard stream.
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
    // SAFETY: the descriptor is new, and nobody else's.
    #[allow(unsafe_code)]
    Ok(unsafe { File::from_raw_fd(above) })
}
