//! Syncing in the background, for what must survive a power cut after at most a second.
//!
//! One thread serves all stores of the process. It looks at them every half second and has the log of those that were written
//! to since brought to the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::fork::PerProcess;
use crate::log::{self, Level};
use crate::signals;

/// How often. With the time that a sync takes, no write waits longer than a second on a disk that is not overwhelmed.
const EVERY: Duration = Duration::from_millis(500);

type Sync = Box<dyn Fn() -> Result<()> + Send>;

/// A store's place with the thread. Dropping it ends the service, and waits for a sync that is running.
pub struct Served(Arc<Place>);

struct Place {
    written: AtomicBool,
    sync: Mutex<Option<Sync>>,
}

#[derive(Default)]
struct Service {
    places: Vec<Arc<Place>>,
    /// Whether the thread runs.
    runs: bool,
}

static SERVICE: PerProcess<Mutex<Service>> = PerProcess::new();

impl Served {
    /// Has `sync` called within a second after [`Served::written`].
    pub fn new(sync: impl Fn() -> Result<()> + Send + 'static) -> Result<Served> {
        let place = Arc::new(Place { written: AtomicBool::new(false), sync: Mutex::new(Some(Box::new(sync))) });
        let mut service = SERVICE.get().lock();
        if !service.runs {
            signals::blocked(|| thread::Builder::new().name("kvds-sync".to_owned()).spawn(serve))
                .map_err(|cause| Error::io("cannot start the thread that syncs", cause))?;
            service.runs = true;
        }
        service.places.push(place.clone());
        Ok(Served(place))
    }

    /// Something was written.
    pub fn written(&self) {
        self.0.written.store(true, Ordering::Release);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // What was written since the last sync is synced now: nobody else will do it.
        let sync = self.0.sync.lock().take();
        if let Some(sync) = sync
            && self.0.written.swap(false, Ordering::Acquire)
            && let Err(error) = sync()
        {
            log::line(Level::Error, || format!("cannot sync before closing: {error}"));
        }
        SERVICE.get().lock().places.retain(|place| !Arc::ptr_eq(place, &self.0));
    }
}

fn serve() {
    loop {
        thread::sleep(EVERY);
        let mut service = SERVICE.get().lock();
        if service.places.is_empty() {
            service.runs = false;
            return;
        }
        let places = service.places.clone();
        drop(service);
        for place in places {
            // Under the lock: who closes the store meanwhile either finds it synced, or finds that it has to.
            let sync = place.sync.lock();
            if let Some(sync) = &*sync
                && place.written.swap(false, Ordering::Acquire)
                && let Err(error) = sync()
            {
                log::line(Level::Error, || format!("cannot sync in the background: {error}"));
                place.written.store(true, Ordering::Relaxed);
            }
        }
    }
}
