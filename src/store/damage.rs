//! Finds the damage of disk stores, and saves what can be read of them.

use std::path::Path;

use crate::engine::damage::{Damage, Progress, Rescue, Verdict, Visit};
use crate::engine::disk::{Disk, damage};
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::sys::reentrancy;

/// Verifies the disk store in the directory `path`. Damage is an error, after it was reported.
pub fn verify(path: &Path, options: &Options, visit: &mut Visit<'_>) -> Result<Verdict> {
    Disk::available()?;
    let verdict = damage::verify(path, options, &mut outside(visit))?;
    if let Verdict::Damaged(count) = verdict {
        let text = match count {
            1 => "the store is damaged in 1 place".to_owned(),
            _ => format!("the store is damaged in {count} places"),
        };
        return Err(Error::new(Kind::Corruption, text).at(path));
    }
    Ok(verdict)
}

/// Copies what can be read of the disk store in `path` into a new one in `target`.
pub fn salvage(
    path: &Path,
    target: &Path,
    options: &Options,
    visit: &mut Visit<'_>,
) -> Result<Rescue> {
    Disk::available()?;
    damage::salvage(path, target, options, &mut outside(visit))
}

/// Returns a callback that runs the one of the program, which may call any function.
fn outside<'a>(visit: &'a mut Visit<'_>) -> impl FnMut(Option<&Damage<'_>>, Progress) -> bool + 'a {
    move |damage, progress| reentrancy::run(|| visit(damage, progress))
}
