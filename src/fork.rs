//! Telling a process from the one it was forked from.
//!
//! A forked child inherits the memory of open files and databases but none of the threads that serve them. What must not be
//! used there remembers the process it was [born](Birth) in. The question is asked on every call, so it must cost one load:
//! a counter that `pthread_atfork` bumps in the child, rather than a system call.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Once, OnceLock};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCH: Once = Once::new();

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Relaxed);
}

/// How many forks lie between this process and the first one that asked.
pub fn generation() -> u32 {
    #[allow(unsafe_code)]
    WATCH.call_once(|| {
        // SAFETY: the handler only touches an atomic, which is allowed between fork and exec. The library stays mapped for
        // the life of the process (it is linked with `-z nodelete`), so the handler's address stays good. The only error
        // is a lack of memory; forks then go unnoticed, as they would without us.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    GENERATION.load(Relaxed)
}

/// The process in which something was made.
#[derive(Clone, Copy, Debug)]
pub struct Birth(u32);

impl Birth {
    /// Born here and now.
    pub fn here() -> Birth {
        Birth(generation())
    }

    /// Whether this is still the process of birth.
    pub fn is_here(self) -> bool {
        GENERATION.load(Relaxed) == self.0
    }
}

/// State that every process has for itself: a forked child begins with a new one. What the child inherits may be locked by a
/// thread that it did not inherit.
pub struct PerProcess<T>([OnceLock<T>; NESTED]);

/// How deep forks are told apart; the children of children beyond share the last state.
const NESTED: usize = 32;

impl<T: Default> PerProcess<T> {
    /// None yet.
    pub const fn new() -> PerProcess<T> {
        PerProcess([const { OnceLock::new() }; NESTED])
    }

    /// The one of this process.
    pub fn get(&self) -> &T {
        self.0[(generation() as usize).min(NESTED - 1)].get_or_init(T::default)
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> PerProcess<T> {
        PerProcess::new()
    }
}
