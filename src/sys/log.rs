//! Log messages.
//!
//! Any thread logs, also RocksDB's background threads that hold RocksDB's locks. The program's
//! callback may call any function, so it is not called there: messages go to a short queue, and one
//! thread passes them to the callback.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::thread;

use crate::error::{Error, Result};
use crate::sys::fork::PerProcess;
use crate::sys::locks::{Condvar, Mutex};
use crate::sys::reentrancy;
use crate::sys::signals;

/// The level of a message. A callback gets the messages of its level and of more important ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// An operation failed.
    Error = 0,
    /// Something unusual that the library handled.
    Warn = 1,
    /// A normal event.
    Info = 2,
    /// Details for debugging.
    Debug = 3,
}

/// The length of the queue. Further messages are dropped and counted, so a slow callback does not
/// use up the memory.
const CAPACITY: usize = 1024;

type Callback = dyn Fn(Level, &str) + Send + Sync;

#[derive(Default)]
struct Log {
    /// One more than the level of the callback; 0 without a callback.
    enabled: AtomicI32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    callback: Option<(Level, Arc<Callback>)>,
    queue: VecDeque<(Level, String)>,
    dropped: usize,
    /// The number of calls of the callback so far, and whether the last one is still running.
    calls: u64,
    is_calling: bool,
    has_thread: bool,
}

static LOG: PerProcess<Log> = PerProcess::new();

/// Replaces the callback. The new one gets the messages of `level` and of more important levels.
///
/// When this returns, the callback before is not running and will not run again, unless this is
/// called from inside a callback.
pub fn set_callback(level: Level, callback: Option<Arc<Callback>>) -> Result<()> {
    let log = LOG.get();
    let mut state = log.state.lock();
    if callback.is_some() && !state.has_thread {
        signals::blocked(|| thread::Builder::new().name("kvds-log".to_owned()).spawn(deliver))
            .map_err(|cause| Error::io("cannot start the thread that calls back", cause))?;
        state.has_thread = true;
    }
    log.enabled.store(callback.as_ref().map_or(0, |_| level as i32 + 1), Relaxed);
    let before = std::mem::replace(&mut state.callback, callback.map(|callback| (level, callback)));
    state.queue.clear();
    state.dropped = 0;
    let calls = state.calls;
    // The wait is bounded by one call of the callback.
    while state.is_calling && state.calls == calls && !reentrancy::running() {
        log.changed.wait(&mut state);
    }
    drop(state);
    drop(before);
    Ok(())
}

/// Returns whether the callback gets messages of `level`.
pub fn is_enabled(level: Level) -> bool {
    (level as i32) < LOG.get().enabled.load(Relaxed)
}

/// Logs a message. `text` is only called if the callback gets the message.
pub fn line(level: Level, text: impl FnOnce() -> String) {
    if !is_enabled(level) {
        return;
    }
    let log = LOG.get();
    let text = text();
    let mut state = log.state.lock();
    // Checked again: the callback may have been replaced.
    if state.callback.as_ref().is_none_or(|(least, _)| level > *least) {
        return;
    }
    if state.queue.len() < CAPACITY {
        state.queue.push_back((level, text));
    } else {
        state.dropped += 1;
    }
    drop(state);
    log.changed.notify_all();
}

fn deliver() {
    let log = LOG.get();
    let mut state = log.state.lock();
    loop {
        let Some((least, callback)) = state.callback.clone() else {
            log.changed.wait(&mut state);
            continue;
        };
        let dropped = std::mem::take(&mut state.dropped);
        if dropped > 0 {
            let level = least.min(Level::Warn);
            let text = format!("{dropped} messages came too fast and were dropped");
            state.queue.push_back((level, text));
        }
        let Some((level, text)) = state.queue.pop_front() else {
            log.changed.wait(&mut state);
            continue;
        };
        state.calls += 1;
        state.is_calling = true;
        drop(state);
        reentrancy::run(|| callback(level, &text));
        drop(callback);
        state = log.state.lock();
        state.is_calling = false;
        log.changed.notify_all();
    }
}
