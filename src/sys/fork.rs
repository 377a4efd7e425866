//! Detects forked children.
//!
//! A forked child inherits open files and the memory of databases, but none of the threads that
//! serve them. An object that a child must not use remembers its [`OwnerProcess`]. Every call
//! checks that, so the check is one load: `pthread_atfork` increments a counter in the child.

use std::cell::UnsafeCell;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicPtr, AtomicU32};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::signals;

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCH: Once = Once::new();

/// The descriptors of all [`Uninherited`]s. The mutex is the standard library's, because
/// unlocking it in a child touches nothing that a thread of the parent may have locked.
static UNSHARED: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Locked by a thread of the library while it uses what a child inherits: see [`excluded`].
static EXCLUDED: Mutex<()> = Mutex::new(());

/// The time that a fork waits for the end of [`excluded`]. Nothing that runs there takes longer,
/// unless a signal handler forks inside a call that it waits for.
const PATIENCE: Duration = Duration::from_secs(1);

type Locked = (MutexGuard<'static, Vec<RawFd>>, Option<MutexGuard<'static, ()>>);

/// Holds the locks of [`UNSHARED`] and of [`EXCLUDED`] while the process forks.
struct Forking(UnsafeCell<Option<Locked>>);

// SAFETY: only the thread that has locked `UNSHARED` for a fork touches it.
#[allow(unsafe_code)]
unsafe impl Sync for Forking {}

static FORKING: Forking = Forking(UnsafeCell::new(None));

fn descriptors() -> MutexGuard<'static, Vec<RawFd>> {
    UNSHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `run` while no other thread forks. For threads of the library that take locks which a child
/// inherits.
pub fn excluded<R>(run: impl FnOnce() -> R) -> R {
    let _excluded = EXCLUDED.lock().unwrap_or_else(PoisonError::into_inner);
    run()
}

fn wait_until_not_excluded() -> Option<MutexGuard<'static, ()>> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match EXCLUDED.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_micros(100)),
        }
    }
    None
}

/// Prevents that files are opened or closed during the fork, so the child's copy of the list is
/// complete.
extern "C" fn before() {
    let excluded = wait_until_not_excluded();
    let locked = (descriptors(), excluded);
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
    // SAFETY: this thread has the lock, since `before`. The descriptors are open, and the child
    // does not use them: an `Uninherited` of another process does nothing.
    #[allow(unsafe_code)]
    unsafe {
        let locked = (*FORKING.0.get()).take();
        for descriptor in
            locked.into_iter().flat_map(|(mut locked, _)| std::mem::take(&mut *locked).leak())
        {
            libc::close(*descriptor);
        }
    }
}

/// Returns the number of forks between this process and the first one that called this.
pub fn generation() -> u32 {
    #[allow(unsafe_code)]
    WATCH.call_once(|| {
        // SAFETY: the child's handler only increments an atomic, closes files and unlocks, which is
        // allowed between fork and exec. The library stays mapped for the life of the process (it
        // is linked with `-z nodelete`), so the handlers stay valid. The only error is a lack of
        // memory; then forks are not detected.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    GENERATION.load(Relaxed)
}

/// The process that created an object.
#[derive(Clone, Copy, Debug)]
pub struct OwnerProcess(u32);

impl OwnerProcess {
    /// Returns the current process.
    pub fn current() -> OwnerProcess {
        OwnerProcess(generation())
    }

    /// Returns whether this is the current process.
    pub fn is_current(self) -> bool {
        GENERATION.load(Relaxed) == self.0
    }
}

/// A file or socket that is closed in forked children. A lock belongs to the open file and not to
/// the process, so a child that outlives its parent would keep the parent's locks, and its
/// connections.
pub struct Uninherited<F: AsRawFd> {
    file: ManuallyDrop<F>,
    owner: OwnerProcess,
}

impl<F: AsRawFd> Uninherited<F> {
    /// Calls `open` while forks wait.
    pub fn open(open: impl FnOnce() -> io::Result<F>) -> io::Result<Uninherited<F>> {
        let owner = OwnerProcess::current();
        // A signal handler that forks on this thread would deadlock with the lock held here.
        signals::blocked(|| {
            let mut descriptors = descriptors();
            let file = open()?;
            descriptors.push(file.as_raw_fd());
            Ok(Uninherited { file: ManuallyDrop::new(file), owner })
        })
    }

    /// Returns the file, in the process that opened it.
    pub fn in_owner(&self) -> Option<&F> {
        self.owner.is_current().then_some(&*self.file)
    }
}

impl<F: AsRawFd> Deref for Uninherited<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.file
    }
}

impl<F: AsRawFd> Drop for Uninherited<F> {
    fn drop(&mut self) {
        if !self.owner.is_current() {
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

/// State of one process: a forked child gets a new one. The inherited one may be locked by a thread
/// that the child does not have.
///
/// Inherited states are never freed, because the child's thread may be using one when it forks.
/// They are a linked list, newest first.
pub struct PerProcess<T>(AtomicPtr<State<T>>);

struct State<T> {
    generation: u32,
    value: OnceLock<T>,
    /// The state of the parent process.
    _before: *const State<T>,
}

impl<T: Default> PerProcess<T> {
    pub const fn new() -> PerProcess<T> {
        PerProcess(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the state of this process.
    pub fn get(&self) -> &T {
        let generation = generation();
        let newest = self.0.load(Acquire);
        // SAFETY: states in the list are initialized and never freed.
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
            // SAFETY: it is in the list now, so it is never freed.
            #[allow(unsafe_code)]
            Ok(_) => unsafe { &*new },
            // Another thread of this process was faster.
            // SAFETY: only this thread knows the new state, and the other one is in the list.
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
