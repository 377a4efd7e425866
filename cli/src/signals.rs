//! Ctrl-C and SIGTERM during a job of many steps.
//!
//! A job that installs the handler ends between two steps and says what it has done. Other commands
//! are ended by the system, which harms no store. A second signal always ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Makes the first signal end the job at its next step.
pub fn install() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the struct is valid, and the handler does nothing but store a flag. A shell
        // ignores SIGINT for programs in the background, which stays so.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut before);
            if before.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = interrupt as *const () as usize;
            // Without SA_RESTART, a read that waits returns.
            action.sa_flags = libc::SA_RESETHAND;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Fails if a signal asked the job to end.
pub fn check() -> Result<()> {
    if interrupted() { Err(Failure::Interrupted(String::new())) } else { Ok(()) }
}
