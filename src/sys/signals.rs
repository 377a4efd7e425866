//! Signals are delivered to the program's threads only.

/// Runs `start` with all signals blocked. Threads that it starts inherit that, so they get no
/// signals of the program.
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
