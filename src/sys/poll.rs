//! Waits until a descriptor is ready.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Instant;

/// Waits until `descriptor` can be read, or also written if `writable`, or is at its end. Returns
/// false if that takes until `deadline`.
pub fn ready(descriptor: BorrowedFd<'_>, writable: bool, deadline: Instant) -> io::Result<bool> {
    let events = if writable { libc::POLLIN | libc::POLLOUT } else { libc::POLLIN };
    // Repeats for each signal that the thread gets, until the deadline.
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // Rounded up, so that it does not spin in the last millisecond.
        let milliseconds = left.as_millis().saturating_add(1).try_into().unwrap_or(i32::MAX);
        let mut waited = libc::pollfd { fd: descriptor.as_raw_fd(), events, revents: 0 };
        // SAFETY: it is given one entry, and the descriptor is open while it is borrowed.
        #[allow(unsafe_code)]
        let count = unsafe { libc::poll(&mut waited, 1, milliseconds) };
        if count > 0 {
            return Ok(true);
        }
        if count < 0 {
            let cause = io::Error::last_os_error();
            if cause.kind() != io::ErrorKind::Interrupted {
                return Err(cause);
            }
        }
    }
}
