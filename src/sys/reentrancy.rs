//! Tells whether a callback of the program is running on this thread.
//!
//! Closing a store and removing an observer wait for other calls to end. Inside a callback, they
//! could wait for themselves, or for a thread that waits for them. So they check [`running`] and
//! don't wait there; the last of the other calls finishes the work.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `call`, which calls a callback.
pub fn run<R>(call: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _leave = Leave;
    call()
}

/// Returns whether the calling thread is inside a callback.
pub fn running() -> bool {
    DEPTH.get() > 0
}
