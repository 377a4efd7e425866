//! Telling a process from the one it was forked from.
//!
//! A forked child inherits the memory of open files and databases but none of the threads that
//! serve them. What must not be used there remembers the process it was [born](Birth) in. The
//! question is asked on every call, so it must cost one load: a counter that `pthread_atfork` bumps
//! in the child, rather than a system call.

use std::cell::UnsafeCell;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicPtr, AtomicU32};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use crate::sys::signals;

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCH: Once = Once::new();

/// The descriptors of all [`Unshared`] files. The standard library's mutex, as unlocking it in a
/// child touches nothing that a thread of the parent may have locked.
static UNSHARED: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

type Descriptors = MutexGuard<'static, Vec<RawFd>>;

/// The lock of [`UNSHARED`] while the process forks.
struct Forking(UnsafeCell<Option<Descriptors>>);

// SAFETY: only the thread that has locked `UNSHARED` for a fork touches it.
#[allow(unsafe_code)]
unsafe impl Sync for Forking {}

static FORKING: Forking = Forking(UnsafeCell::new(None));

fn descriptors() -> Descriptors {
    UNSHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps descriptors from being opened and closed until the fork is done, so that the child's copy
/// of the list is true.
extern "C" fn before() {
    let locked = descriptors();
    // SAFETY: this thread has the lock.
    #[allow(unsafe_code)]
    unsafe {
        *FORKING.0.get() = Some(locked);
    }
}

extern "C" fn in_parent() {
    // SAFETY: this thread has the lock, since `before`.
    #[allow(unsafe_code)]
    drop(unsafe { (*FORKING.0.get()).take() });
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Relaxed);
    // SAFETY: this thread has the lock, since `before`. The descriptors are open, and nobody uses
    // them here: an `Unshared` of another process does nothing.
    #[allow(unsafe_code)]
    unsafe {
        let locked = (*FORKING.0.get()).take();
        for descriptor in
            locked.into_iter().flat_map(|mut locked| std::mem::take(&mut *locked).leak())
        {
            libc::close(*descriptor);
        }
    }
}

/// How many forks lie between this process and the first one that asked.
pub fn generation() -> u32 {
    #[allow(unsafe_code)]
    WATCH.call_once(|| {
        // SAFETY: the child's handler only touches an atomic, closes files and unlocks, which is
        // allowed between fork and exec. The library stays mapped for the life of the process (it
        // is linked with `-z nodelete`), so the handlers' addresses stay good. The only error is a
        // lack of memory; forks then go unnoticed, as they would without us.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    GENERATION.load(Relaxed)
}

/// The process in which something was made.
#[derive(Clone, Copy, Debug)]
pub struct Birth(u32);

impl Birth {
    /// Born here and now.
    pub fn here() -> Birth {
        Birth(generation())
    }

    /// Whether this is still the process of birth.
    pub fn is_here(self) -> bool {
        GENERATION.load(Relaxed) == self.0
    }
}

/// A file that a forked child does not keep open. A lock belongs to the open file and not to the
/// process, so a child that outlives its parent would keep the parent's locks.
pub struct Unshared {
    file: ManuallyDrop<File>,
    birth: Birth,
}

impl Unshared {
    /// The file that `open` opens. Forks wait for that.
    pub fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Unshared> {
        let birth = Birth::here();
        // A signal handler that forks on this thread would wait for the lock that the thread holds.
        signals::blocked(|| {
            let mut descriptors = descriptors();
            let file = open()?;
            descriptors.push(file.as_raw_fd());
            Ok(Unshared { file: ManuallyDrop::new(file), birth })
        })
    }

    /// The file, in the process that opened it.
    pub fn here(&self) -> Option<&File> {
        self.birth.is_here().then_some(&*self.file)
    }
}

impl Deref for Unshared {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for Unshared {
    fn drop(&mut self) {
        if !self.birth.is_here() {
            return;
        }
        signals::blocked(|| {
            let mut descriptors = descriptors();
            let descriptor = self.file.as_raw_fd();
            descriptors.retain(|open| *open != descriptor);
            // SAFETY: dropped once, here, and not used afterwards.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut self.file);
            }
        });
    }
}

/// State that every process has for itself: a forked child begins with a new one. What the child
/// inherits may be locked by a thread that it did not inherit.
///
/// The states of the processes before are kept, as threads of this one may be using them when it is
/// forked: one for each generation, newest first.
pub struct PerProcess<T>(AtomicPtr<State<T>>);

struct State<T> {
    generation: u32,
    value: OnceLock<T>,
    /// That of a process before.
    _before: *const State<T>,
}

impl<T: Default> PerProcess<T> {
    /// None yet.
    pub const fn new() -> PerProcess<T> {
        PerProcess(AtomicPtr::new(ptr::null_mut()))
    }

    /// The one of this process.
    pub fn get(&self) -> &T {
        let generation = generation();
        let newest = self.0.load(Acquire);
        // SAFETY: what is in the list is whole, and is never freed.
        #[allow(unsafe_code)]
        let state = unsafe { newest.as_ref() };
        let state = match state {
            Some(state) if state.generation == generation => state,
            _ => self.begin(generation, newest),
        };
        state.value.get_or_init(T::default)
    }

    #[cold]
    fn begin(&self, generation: u32, before: *mut State<T>) -> &State<T> {
        let new =
            Box::into_raw(Box::new(State { generation, value: OnceLock::new(), _before: before }));
        match self.0.compare_exchange(before, new, AcqRel, Acquire) {
            // SAFETY: it is in the list now, and never freed.
            #[allow(unsafe_code)]
            Ok(_) => unsafe { &*new },
            // Another thread of this process has begun.
            // SAFETY: nobody else has seen the new one, and the other is in the list.
            #[allow(unsafe_code)]
            Err(others) => unsafe {
                drop(Box::from_raw(new));
                &*others
            },
        }
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> PerProcess<T> {
        PerProcess::new()
    }
}
