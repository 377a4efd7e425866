//! What "verify" and "salvage" write about the damage that they find.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Context;
use crate::failure::{Failure, Result};
use crate::library::damage::{Damage, Loss};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;
use crate::signals;
use crate::text::{Form, json_member};

/// Writes each damage as a line, beside the progress.
pub struct Report<'a> {
    context: &'a Context,
    out: Output,
    progress: Progress,
    damages: u64,
    failure: Option<Failure>,
}

impl<'a> Report<'a> {
    pub fn new(context: &'a Context, verb: &'static str) -> Report<'a> {
        Report {
            context,
            out: Output::stdout(),
            progress: Progress::of_bytes(context.quiet, verb),
            damages: 0,
            failure: None,
        }
    }

    /// Writes a damage, if there is one. Returns whether to continue.
    pub fn add(&mut self, damage: Option<Damage<'_>>, done: u64, total: u64) -> bool {
        self.progress.at(done, total);
        let written = match damage {
            None => Ok(()),
            Some(damage) => {
                self.damages += 1;
                let (form, out) = (self.context.form, &mut self.out);
                self.progress.suspend(|| {
                    out.with_line(|line| write(&damage, form, line)).and_then(|()| out.flush())
                })
            }
        };
        self.failure = written.and_then(|()| signals::check()).err();
        self.failure.is_none()
    }

    /// Ends the report. Returns how many damages there are, or why the job was stopped.
    pub fn finish(mut self) -> Result<u64> {
        self.progress.finish();
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.out.finish().map(|()| self.damages),
        }
    }
}

fn write(damage: &Damage<'_>, form: Form, line: &mut Vec<u8>) {
    let bounds = [("first", damage.first), ("last", damage.last)];
    if form == Form::Json {
        line.push(b'{');
        json_member("file", damage.file, line);
        line.push(b',');
        json_member("problem", damage.problem, line);
        line.push(b',');
        json_member("loss", name(damage.loss).as_bytes(), line);
        for (name, key) in bounds {
            if let Some(key) = key {
                line.push(b',');
                json_member(name, key, line);
            }
        }
        line.push(b'}');
        return;
    }
    Form::Text.write(damage.file, line);
    line.extend_from_slice(b": ");
    Form::Text.write(damage.problem, line);
    line.extend_from_slice(match damage.loss {
        Loss::Nothing => b"; nothing is lost",
        Loss::Pairs => b"; pairs are lost",
        Loss::Ttls => b"; times to live are lost",
    });
    for (word, (_, key)) in [" from ", " to "].iter().zip(bounds) {
        if let Some(key) = key {
            line.extend_from_slice(word.as_bytes());
            form.write(key, line);
        }
    }
}

fn name(loss: Loss) -> &'static str {
    match loss {
        Loss::Nothing => "none",
        Loss::Pairs => "pairs",
        Loss::Ttls => "ttls",
    }
}

/// Returns the directory of a disk store, which alone has files that can be damaged.
pub fn directory(place: &Place) -> Result<PathBuf> {
    place.directory().ok_or_else(|| {
        Failure::usage(format!("{place} has no files here: the servers of a cluster check theirs"))
    })
}

/// Returns a path as the library takes it.
pub fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
