//! The directory for disk stores. It is removed at the end, also after Ctrl-C. The next run removes
//! what a killed one left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

/// A directory of this process: `run-` and its id.
pub struct Scratch {
    root: Arc<PathBuf>,
    number: AtomicU64,
}

impl Scratch {
    /// Creates the directory in `base`, and removes the directories of killed processes.
    pub fn new(base: &Path) -> Result<Scratch> {
        fs::create_dir_all(base).with_context(|| format!("cannot create {}", base.display()))?;
        for entry in fs::read_dir(base)?.flatten() {
            let name = entry.file_name();
            let id = name
                .to_str()
                .and_then(|name| name.strip_prefix("run-"))
                .and_then(|id| id.parse::<u32>().ok());
            if id.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let root = Arc::new(base.join(format!("run-{}", std::process::id())));
        fs::create_dir_all(&*root)?;
        let interrupted = Arc::clone(&root);
        ctrlc::set_handler(move || {
            // Other threads may still be creating files.
            for _ in 0..50 {
                if fs::remove_dir_all(&*interrupted).is_ok() || !interrupted.exists() {
                    break;
                }
            }
            std::process::exit(130);
        })?;
        Ok(Scratch { root, number: AtomicU64::new(0) })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates a directory.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(format!("{number}-{}", name.replace(' ', "-")));
        fs::create_dir(&path)?;
        Ok(path)
    }

    pub fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Removes all directories in it.
    pub fn clear(&self) {
        for entry in fs::read_dir(&*self.root).into_iter().flatten().flatten() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&*self.root);
    }
}
