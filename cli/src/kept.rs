//! The store that a shell keeps open between its commands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::failure::{Failure, Result};
use crate::output;
use crate::place::{Open, Place};

/// A store that is opened once, by the first command that needs it.
///
/// It is opened for writing if that is possible, and for reading only otherwise. Clones share the
/// handle.
#[derive(Clone)]
pub struct Kept {
    /// The settings of this place keep no store, so that no handle contains itself.
    place: Box<Place>,
    read_only: bool,
    open: Arc<Mutex<Option<Open>>>,
}

impl Kept {
    /// Returns a handle of the store in `place` that is not open yet.
    pub fn new(place: Place, read_only: bool) -> Kept {
        Kept { place: Box::new(place), read_only, open: Arc::default() }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn is_of(&self, place: &Place) -> bool {
        self.place.is_same(place)
    }

    /// Returns the store if it is open.
    pub fn current(&self) -> Option<Open> {
        self.lock().clone()
    }

    /// Closes the store. The next command opens it again.
    pub fn close(&self) {
        *self.lock() = None;
    }

    /// Returns the store for a command that reads it, as other processes left it.
    pub fn to_read(&self) -> Result<Open> {
        let mut slot = self.lock();
        if let Some(open) = &*slot
            && (open.is_writable() || open.refresh().is_ok())
        {
            return Ok(open.clone());
        }
        // What does not let the store be refreshed is reported by opening it.
        *slot = None;
        let open = self.open()?;
        *slot = Some(open.clone());
        Ok(open)
    }

    /// Returns the store for a command that writes it, or `None` if it does not exist.
    pub fn to_write(&self, create: bool) -> Result<Option<Open>> {
        if self.read_only {
            return Err(Failure::failed(format!(
                "this shell opens {} for reading only",
                self.place
            )));
        }
        let mut slot = self.lock();
        match &*slot {
            Some(open) if open.is_writable() => {}
            // The process that had it open may have ended.
            _ => match self.place.open_writable(create)? {
                Some(open) => *slot = Some(open),
                None => return Ok(None),
            },
        }
        Ok(slot.clone())
    }

    /// Opens the store for writing, or else for reading, and says so.
    fn open(&self) -> Result<Open> {
        if self.read_only {
            return self.place.open_read_only();
        }
        let failure = match self.place.open_writable(false) {
            Ok(Some(open)) => return Ok(open),
            Ok(None) => return self.place.open_read_only(),
            Err(failure) => failure,
        };
        let Ok(open) = self.place.open_read_only() else { return Err(failure) };
        // Opening has named the process that writes the store, if there is one.
        if let (None, Some(text)) = (self.place.holder(), failure.text()) {
            output::say(&format!("{text}; reading only"));
        }
        Ok(open)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        // A panic leaves a store or none, so the value is always valid.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
