//! Telling a process from the one it was forked from.
//!
//! A forked child inherits the memory of open files and databases but none of the threads that serve them. What must not be
//! used there remembers the process it was [born](Birth) in. The question is asked on every call, so it must cost one load:
//! a counter that `pthread_atfork` bumps in the child, rather than a system call.

use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicPtr, AtomicU32};
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
///
/// The states of the processes before are kept, as threads of this one may be using them when it is forked: one for each
/// generation, newest first.
pub struct PerProcess<T>(AtomicPtr<State<T>>);

struct State<T> {
    generation: u32,
    value: OnceLock<T>,
    /// That of a process before.
    _before: *const State<T>,
}

impl<T: Default> PerProcess<T> {
    /// None yet.
    pub const fn new() -> PerProcess<T> {
        PerProcess(AtomicPtr::new(ptr::null_mut()))
    }

    /// The one of this process.
    pub fn get(&self) -> &T {
        let generation = generation();
        let newest = self.0.load(Acquire);
        // SAFETY: what is in the list is whole, and is never freed.
        #[allow(unsafe_code)]
        let state = unsafe { newest.as_ref() };
        let state = match state {
            Some(state) if state.generation == generation => state,
            _ => self.begin(generation, newest),
        };
        state.value.get_or_init(T::default)
    }

    #[cold]
    fn begin(&self, generation: u32, before: *mut State<T>) -> &State<T> {
        let new = Box::into_raw(Box::new(State { generation, value: OnceLock::new(), _before: before }));
        match self.0.compare_exchange(before, new, AcqRel, Acquire) {
            // SAFETY: it is in the list now, and never freed.
            #[allow(unsafe_code)]
            Ok(_) => unsafe { &*new },
            // Another thread of this process has begun.
            // SAFETY: nobody else has seen the new one, and the other is in the list.
            #[allow(unsafe_code)]
            Err(others) => unsafe {
                drop(Box::from_raw(new));
                &*others
            },
        }
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> PerProcess<T> {
        PerProcess::new()
    }
}
