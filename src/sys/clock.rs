//! The clock of deadlines: milliseconds since 1970.
//!
//! Within a process it is as steady as the monotonic clock. The wall clock only says where it
//! begins, so that deadlines can be kept in files. So setting the wall clock changes nothing while
//! the process runs, and setting it back never makes a key expire early.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time that a test has skipped.
static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Returns the milliseconds since 1970.
pub fn now() -> u64 {
    static START: OnceLock<(Instant, u64)> = OnceLock::new();
    let (start, wall) = START.get_or_init(|| {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), milliseconds(wall))
    });
    wall + milliseconds(start.elapsed()) + SKIPPED.load(Relaxed)
}

/// Returns the time at which a time to live that begins now is over.
pub fn after(ttl: Duration) -> u64 {
    // Rounded up, so that no key expires early.
    now() + milliseconds(ttl) + 1
}

/// Returns the time to live that is left until a deadline of [`after`].
pub fn until(deadline: u64) -> Duration {
    Duration::from_millis(deadline.saturating_sub(now() + 1))
}

/// Lets time pass for all deadlines of the process.
#[cfg(feature = "testing")]
pub fn skip(time: Duration) {
    SKIPPED.fetch_add(milliseconds(time), Relaxed);
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4)
}
