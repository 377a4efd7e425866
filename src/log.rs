//! Telling the host what goes on inside.
//!
//! Lines come from everywhere, RocksDB's background threads under RocksDB's own locks included. The host's callback may call
//! anything, so it is never called from there: lines go into a short queue, and one thread takes them out and calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::thread;

use parking_lot::{Condvar, Mutex};

use crate::callback;
use crate::error::{Error, Result};
use crate::fork;
use crate::signals;

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

/// Lines that wait; further ones are dropped and counted, as a slow callback must not eat the memory.
const ROOM: usize = 1024;

type Callback = dyn Fn(Level, &str) + Send + Sync;

#[derive(Default)]
struct State {
    callback: Option<Arc<Callback>>,
    lines: VecDeque<(Level, String)>,
    dropped: usize,
    running: bool,
    /// The process, counted in forks, in which the thread runs.
    thread: Option<u32>,
}

static WANTED: AtomicI32 = AtomicI32::new(-1);
static STATE: Mutex<State> =
    Mutex::new(State { callback: None, lines: VecDeque::new(), dropped: 0, running: false, thread: None });
static CHANGED: Condvar = Condvar::new();

/// Has `callback` called for each line of `level` and more important ones, instead of the one before; with None there is no
/// more calling. When this returns, the one before is not running and will not run again, unless this is called from inside
/// a callback.
pub fn to(level: Level, callback: Option<Arc<Callback>>) -> Result<()> {
    let mut state = STATE.lock();
    WANTED.store(callback.as_ref().map_or(-1, |_| level as i32), Relaxed);
    let before = std::mem::replace(&mut state.callback, callback);
    state.lines.clear();
    if state.callback.is_some() && state.thread != Some(fork::generation()) {
        signals::blocked(|| thread::Builder::new().name("kvds-log".to_owned()).spawn(deliver))
            .map_err(|cause| Error::io("cannot start the thread that calls back", cause))?;
        state.thread = Some(fork::generation());
        state.running = false;
    }
    while state.running && before.is_some() && !callback::running() {
        CHANGED.wait(&mut state);
    }
    drop(state);
    drop(before);
    Ok(())
}

/// Whether lines of this level go anywhere.
pub fn wanted(level: Level) -> bool {
    level as i32 <= WANTED.load(Relaxed)
}

/// Sends a line, which is only made if it is wanted.
pub fn line(level: Level, text: impl FnOnce() -> String) {
    if !wanted(level) {
        return;
    }
    let text = text();
    let mut state = STATE.lock();
    if state.lines.len() < ROOM {
        state.lines.push_back((level, text));
    } else {
        state.dropped += 1;
    }
    drop(state);
    CHANGED.notify_all();
}

fn deliver() {
    let mut state = STATE.lock();
    loop {
        let dropped = std::mem::take(&mut state.dropped);
        if dropped > 0 {
            state.lines.push_back((Level::Warn, format!("{dropped} lines came too fast and were dropped")));
        }
        match (state.lines.pop_front(), state.callback.clone()) {
            (Some((level, text)), Some(callback)) => {
                state.running = true;
                drop(state);
                callback::run(|| callback(level, &text));
                drop(callback);
                state = STATE.lock();
                state.running = false;
                CHANGED.notify_all();
            }
            _ => CHANGED.wait(&mut state),
        }
    }
}
