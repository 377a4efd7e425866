//! Telling the host what goes on inside.
//!
//! Lines come from everywhere, RocksDB's background threads under RocksDB's own locks included. The
//! host's callback may call anything, so it is never called from there: lines go into a short
//! queue, and one thread takes them out and calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::thread;

use crate::error::{Error, Result};
use crate::sys::fork::PerProcess;
use crate::sys::locks::{Condvar, Mutex};
use crate::sys::reentrancy;
use crate::sys::signals;

/// How important a line is. A callback gets the lines of its level and of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error = 0,
    /// Something is not as it should be.
    Warn = 1,
    /// Something happened.
    Info = 2,
    /// Details.
    Debug = 3,
}

/// Lines that wait; further ones are dropped and counted, as a slow callback must not eat the
/// memory.
const ROOM: usize = 1024;

type Callback = dyn Fn(Level, &str) + Send + Sync;

#[derive(Default)]
struct Log {
    /// One more than the level of the lines that are wanted; 0 for none.
    wanted: AtomicI32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    callback: Option<(Level, Arc<Callback>)>,
    lines: VecDeque<(Level, String)>,
    dropped: usize,
    /// The number of the last call, and whether it still runs.
    call: u64,
    calling: bool,
    /// Whether the thread runs.
    runs: bool,
}

static LOG: PerProcess<Log> = PerProcess::new();

/// Has `callback` called for each line of `level` and more important ones, instead of the one
/// before; with None there is no more calling. When this returns, the one before is not running and
/// will not run again, unless this is called from inside a callback.
pub fn to(level: Level, callback: Option<Arc<Callback>>) -> Result<()> {
    let log = LOG.get();
    let mut state = log.state.lock();
    if callback.is_some() && !state.runs {
        signals::blocked(|| thread::Builder::new().name("kvds-log".to_owned()).spawn(deliver))
            .map_err(|cause| Error::io("cannot start the thread that calls back", cause))?;
        state.runs = true;
    }
    log.wanted.store(callback.as_ref().map_or(0, |_| level as i32 + 1), Relaxed);
    let before = std::mem::replace(&mut state.callback, callback.map(|callback| (level, callback)));
    state.lines.clear();
    state.dropped = 0;
    let call = state.call;
    // For one call of the host's own function at most.
    while state.calling && state.call == call && !reentrancy::running() {
        log.changed.wait(&mut state);
    }
    drop(state);
    drop(before);
    Ok(())
}

/// Whether lines of `level` are wanted.
pub fn is_wanted(level: Level) -> bool {
    (level as i32) < LOG.get().wanted.load(Relaxed)
}

/// Sends a line, which is only made if it is wanted.
pub fn line(level: Level, text: impl FnOnce() -> String) {
    if !is_wanted(level) {
        return;
    }
    let log = LOG.get();
    let text = text();
    let mut state = log.state.lock();
    // Asked again: the callback may be another one by now.
    if state.callback.as_ref().is_none_or(|(wanted, _)| level > *wanted) {
        return;
    }
    if state.lines.len() < ROOM {
        state.lines.push_back((level, text));
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
        let Some((wanted, callback)) = state.callback.clone() else {
            log.changed.wait(&mut state);
            continue;
        };
        let dropped = std::mem::take(&mut state.dropped);
        if dropped > 0 {
            let level = wanted.min(Level::Warn);
            state
                .lines
                .push_back((level, format!("{dropped} lines came too fast and were dropped")));
        }
        let Some((level, text)) = state.lines.pop_front() else {
            log.changed.wait(&mut state);
            continue;
        };
        state.call += 1;
        state.calling = true;
        drop(state);
        reentrancy::run(|| callback(level, &text));
        drop(callback);
        state = log.state.lock();
        state.calling = false;
        log.changed.notify_all();
    }
}
