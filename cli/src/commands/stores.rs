//! `stores`: the disk stores under a base path.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::HumanBytes;

use super::Context;
use crate::failure::{Failure, Result};
use crate::lock_holder::{Holder, Locks};
use crate::output::Output;
use crate::place::decoded;
use crate::store_files::Files;
use crate::text::{Form, json_member};

/// Lists the disk stores under the base path: their sizes, the time since the last write to their
/// files, and their names
#[derive(Args)]
#[command(override_usage = "kvds [OPTIONS] stores")]
pub struct Arguments {}

/// A store, as its directory shows it.
pub struct Listed {
    pub id: Vec<u8>,
    pub files: Files,
    pub writer: Option<Holder>,
}

pub fn run(_arguments: &Arguments, context: &Context) -> Result<bool> {
    let base = base(context)?;
    let stores = list(&base)?;
    let mut out = Output::stdout();
    for store in stores {
        out.with_line(|line| {
            if context.form == Form::Json {
                line.push(b'{');
                json_member("store", &store.id, line);
                let (bytes, seconds) = (store.files.all_bytes(), store.files.age().as_secs());
                let numbers = format!(",\"bytes\":{bytes},\"age_s\":{seconds}");
                line.extend_from_slice(numbers.as_bytes());
                if let Some(writer) = store.writer {
                    let writer = writer.pid();
                    line.extend_from_slice(format!(",\"writer\":{writer}").as_bytes());
                }
                line.push(b'}');
            } else {
                let bytes = HumanBytes(store.files.all_bytes()).to_string();
                line.extend_from_slice(
                    format!("{bytes:>11} {:>5} ", age(store.files.age())).as_bytes(),
                );
                context.form.write(&store.id, line);
            }
        })?;
    }
    out.finish()?;
    Ok(true)
}

/// Returns the base path whose stores are listed.
pub fn base(context: &Context) -> Result<PathBuf> {
    let settings = &context.settings;
    match (settings.base(), settings.cluster()) {
        (Some(base), _) if settings.cluster.is_none() => Ok(base),
        (_, Some(_)) => Err(Failure::failed("the stores of a cluster cannot be listed")),
        _ => Err(Failure::usage("where? Use --base DIR or the variable KVDS_BASE")),
    }
}

/// Returns the names of the stores, which is faster than listing them; none if there is no base.
pub fn names(context: &Context) -> Vec<Vec<u8>> {
    let directories = base(context).and_then(|base| directories(&base));
    directories.into_iter().flatten().map(|(id, _)| id).collect()
}

/// Returns the ids and the directories of the stores under `base`, in the order of the ids.
fn directories(base: &Path) -> Result<Vec<(Vec<u8>, PathBuf)>> {
    let failure = |cause| Failure::io(base.display(), &cause);
    let mut stores = Vec::new();
    for entry in fs::read_dir(base).map_err(failure)? {
        let entry = entry.map_err(failure)?;
        let path = entry.path();
        if path.join("CURRENT").is_file() {
            stores.push((decoded(entry.file_name().as_bytes()), path));
        }
    }
    stores.sort();
    Ok(stores)
}

/// Returns the stores under `base`, in the order of their ids.
pub fn list(base: &Path) -> Result<Vec<Listed>> {
    let locks = Locks::read();
    let mut stores = Vec::new();
    for (id, path) in directories(base)? {
        stores.push(Listed {
            id,
            // A store that may not be read, or is being deleted, has no files to count.
            files: Files::read(&path).unwrap_or_default(),
            writer: locks.holder(&path),
        });
    }
    Ok(stores)
}

/// Returns a duration in its largest unit.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
