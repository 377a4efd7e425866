//! Knowing that a host's callback is running on this thread.
//!
//! A call that waits for other calls to end (closing a store, taking an observer away) would wait
//! for itself, or for a second thread that waits for it in turn, if a callback made it. So such
//! calls ask [`running`] and then don't wait: the last of the calls they would have waited for
//! finishes the work.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `call`, which enters the host's code.
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

/// Whether the calling thread is inside a callback of the host.
pub fn running() -> bool {
    DEPTH.get() > 0
}
