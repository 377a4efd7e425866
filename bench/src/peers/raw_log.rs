//! An append and fdatasync that threads share. No store that syncs can be faster.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use parking_lot::{Condvar, Mutex};

use crate::peer::{Durability, Medium, Peer, Store};

pub fn peers() -> Vec<Peer> {
    vec![Peer {
        name: super::RAW_LOG,
        version: "pwrite + fdatasync".to_owned(),
        settings: "no store, but the limit for set: threads that wait share one sync",
        medium: Medium::Disk,
        durability: Durability::PowerCut,
        can: &[],
        open: |path| Ok(Box::new(RawLog::create(path)?)),
    }]
}

struct RawLog {
    file: File,
    state: Mutex<State>,
    synced: Condvar,
}

#[derive(Default)]
struct State {
    /// The bytes to write next.
    waiting: Vec<u8>,
    /// Their offset in the file.
    end: u64,
    /// The number of the group in `waiting`. Earlier groups are synced or being synced.
    gathering: u64,
    /// The number of synced groups.
    done: u64,
    syncing: bool,
}

impl RawLog {
    fn create(path: &Path) -> Result<RawLog> {
        Ok(RawLog {
            file: File::create(path.join("log"))?,
            state: Mutex::default(),
            synced: Condvar::new(),
        })
    }
}

impl Store for RawLog {
    fn get(&self, _key: &[u8]) -> Option<u64> {
        None
    }

    fn exists(&self, _key: &[u8]) -> bool {
        false
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        let mut state = self.state.lock();
        state.waiting.extend_from_slice(key);
        state.waiting.extend_from_slice(value);
        let mine = state.gathering;
        while state.done <= mine {
            if state.syncing {
                self.synced.wait(&mut state);
                continue;
            }
            // No thread is writing: this one writes the group of all.
            state.syncing = true;
            let (group, at) = (std::mem::take(&mut state.waiting), state.end);
            state.end += group.len() as u64;
            state.gathering += 1;
            parking_lot::MutexGuard::unlocked(&mut state, || {
                self.file.write_all_at(&group, at).expect("cannot write the log");
                self.file.sync_data().expect("cannot sync the log");
            });
            state.done = state.gathering;
            state.syncing = false;
            self.synced.notify_all();
        }
    }

    fn del(&self, _key: &[u8]) {}
}
