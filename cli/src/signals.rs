//! Ctrl-C and SIGTERM during a job of many steps.
//!
//! A job that installs the handler ends between two steps and says what it has done. Other commands
//! are ended by the system, which harms no store. A second signal ends the program at once, unless
//! the program must restore the terminal.
//!
//! In a shell, Ctrl-C ends the command that runs, and the other signals end the shell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether a signal other than Ctrl-C asked the program to end.
static ENDED: AtomicBool = AtomicBool::new(false);

/// A copy of [`ENDED`] for a caller that waits for it to change, and then resets it.
static END_FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

const SIGNALS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

extern "C" fn interrupt(signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
    if signal != libc::SIGINT {
        ENDED.store(true, Ordering::Relaxed);
        if let Some(flag) = END_FLAG.get() {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

/// Makes the first signal end the job at its next step.
pub fn install() {
    handle(libc::SA_RESETHAND);
}

/// Makes all signals end the job at its next step, after which it restores the terminal.
pub fn install_for_terminal() {
    handle(0);
}

fn handle(flags: libc::c_int) {
    for signal in SIGNALS {
        // SAFETY: the struct is valid, and the handler does nothing but store flags. A shell
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
            action.sa_flags = flags;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Makes signals end the program at once, as before [`install`].
pub fn uninstall() {
    for signal in SIGNALS {
        // SAFETY: the struct is valid. A handler that is not from here stays.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut before);
            if before.sa_sigaction == interrupt as *const () as usize {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Ends the program as a write to a closed pipe ends other programs. All stores must be closed.
///
/// Returns if the signal is blocked.
pub fn end_by_sigpipe() {
    // SAFETY: both calls take constants.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::raise(libc::SIGPIPE);
    }
}

/// Forgets a Ctrl-C that ended a command, and makes the next one end the next command.
///
/// Fails if another signal asked the program to end.
pub fn resume() -> Result<()> {
    INTERRUPTED.store(ENDED.load(Ordering::Relaxed), Ordering::Relaxed);
    install();
    check()
}

/// Returns a flag that becomes `true` when a signal other than Ctrl-C comes.
pub fn end_flag() -> Arc<AtomicBool> {
    END_FLAG.get_or_init(Arc::default).clone()
}

pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Fails if a signal asked the job to end.
pub fn check() -> Result<()> {
    if interrupted() { Err(Failure::Interrupted(String::new())) } else { Ok(()) }
}

/// How long a job sleeps at most before it checks for a signal.
pub const STEP: Duration = Duration::from_millis(100);

/// Sleeps, and fails if a signal comes.
pub fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        match end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => thread::sleep(left.min(STEP)),
            _ => return Ok(()),
        }
    }
}
