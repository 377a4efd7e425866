//! Reference counts that programs can read.
//!
//! The count of an [`Arc`] mixes the program's references with the library's own, and a release
//! cannot tell reliably how many are left. So the program's references have a count of their own: a
//! [`Ref`] counts, and a plain `Arc<Counted<T>>` only keeps the memory. Dropping the last `Ref`
//! calls [`Target::released`] once, on that thread. The memory is freed when the library's own
//! `Arc`s are dropped too.

use std::ops::Deref;
use std::sync::Arc;

use crate::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// An object that programs hold by counted references.
pub trait Target {
    /// A number that only this type has. It tells apart the handles that programs pass as pointers.
    const KIND: u32;

    /// Called once, by the thread that drops the last [`Ref`].
    fn released(&self);
}

/// A target and the number of its references.
#[repr(C)]
pub struct Counted<T> {
    // First, so it can be read through a pointer to any counted type. 0 after the release.
    kind: AtomicU32,
    references: AtomicI64,
    target: T,
}

impl<T> Counted<T> {
    pub fn references(&self) -> i64 {
        self.references.load(Ordering::Relaxed)
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.target
    }
}

const TAKEN: &str = "only methods that consume the reference take the Arc";

/// A counted reference.
pub struct Ref<T: Target>(Option<Arc<Counted<T>>>);

impl<T: Target> Ref<T> {
    /// Creates the first reference to `target`.
    pub fn new(target: T) -> Ref<T> {
        Ref(Some(Arc::new(Counted {
            kind: AtomicU32::new(T::KIND),
            references: AtomicI64::new(1),
            target,
        })))
    }

    /// Adds a reference, unless the last one was dropped.
    pub fn upgrade(counted: &Arc<Counted<T>>) -> Option<Ref<T>> {
        let one_more = |count| (count > 0).then_some(count + 1);
        // Acquire: the new holder sees what earlier holders wrote, as with a lock.
        counted.references.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok()?;
        Some(Ref(Some(counted.clone())))
    }

    /// Releases this reference, and returns how many are left. At 0, [`Target::released`] has run.
    pub fn release(mut self) -> i64 {
        self.0.take().map_or(0, Self::count_down)
    }

    /// Converts the reference to an `Arc` without counting it down.
    pub fn into_arc(mut self) -> Arc<Counted<T>> {
        let Some(counted) = self.0.take() else { unreachable!("{TAKEN}") };
        counted
    }

    /// Converts the result of [`Ref::into_arc`] back to the reference.
    pub fn from_arc(counted: Arc<Counted<T>>) -> Ref<T> {
        Ref(Some(counted))
    }

    /// Returns the `Arc`, whose clones keep the memory without counting.
    pub fn as_arc(&self) -> &Arc<Counted<T>> {
        let Some(counted) = &self.0 else { unreachable!("{TAKEN}") };
        counted
    }

    fn count_down(counted: Arc<Counted<T>>) -> i64 {
        // Release and Acquire: all that every holder did happens before the release.
        let left = counted.references.fetch_sub(1, Ordering::AcqRel) - 1;
        if left == 0 {
            counted.target.released();
            counted.kind.store(0, Ordering::Relaxed);
        }
        left
    }
}

impl<T: Target> Deref for Ref<T> {
    type Target = Counted<T>;

    fn deref(&self) -> &Counted<T> {
        self.as_arc()
    }
}

impl<T: Target> Clone for Ref<T> {
    fn clone(&self) -> Ref<T> {
        // Relaxed, as in Arc: this reference is live, so the count cannot reach 0 meanwhile.
        self.as_arc().references.fetch_add(1, Ordering::Relaxed);
        Ref(Some(self.as_arc().clone()))
    }
}

impl<T: Target> Drop for Ref<T> {
    fn drop(&mut self) {
        if let Some(counted) = self.0.take() {
            Self::count_down(counted);
        }
    }
}
