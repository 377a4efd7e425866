//! Keeping the program's signals away from threads that are not the program's.

/// Runs `start`, which may start threads, with all signals blocked, which those threads inherit:
/// signals are for the program's own threads.
pub fn blocked<R>(start: impl FnOnce() -> R) -> R {
    // SAFETY: the sets are plain memory that these calls fill, and the mask concerns this thread
    // alone.
    #[allow(unsafe_code)]
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let started = start();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        started
    }
}
