//! A terminal that goes away, such as that of a closed window or a lost connection.
//!
//! The editor reads keys in a loop that does not end at the end of its input. So a thread waits for
//! the terminal to hang up, and then ends the program. No store minds that: each write is complete.

use std::process;
use std::thread;
use std::time::Duration;

use crate::failure::EXIT_INTERRUPTED;

/// How long the shell has to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Ends the program soon after the terminal of standard input has hung up.
pub fn watch() {
    let wait = || {
        let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: 0, revents: 0 };
        // Each turn waits until there is an event, and nothing but the end is one.
        loop {
            // SAFETY: the pointer is to one pollfd.
            let count = unsafe { libc::poll(&mut input, 1, -1) };
            if count > 0 && input.revents != 0 {
                thread::sleep(GRACE);
                process::exit(EXIT_INTERRUPTED.into());
            }
            if count < 0 && std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                return;
            }
        }
    };
    // Without the thread the shell works, and only a terminal that goes away leaves it running.
    let _ = thread::Builder::new().name("kvds-hang-up".to_owned()).spawn(wait);
}
