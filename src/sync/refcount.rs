//! Reference counts that a host can see.
//!
//! An [`Arc`] tells nobody reliably how many references are left after a release, and its count
//! mixes the host's references with the library's own. So what a host holds has a count of its own
//! beside the `Arc`'s: a [`Ref`] counts, a plain `Arc<Counted<T>>` merely keeps the memory. When
//! the last `Ref` goes, [`Target::released`] runs on that thread, once; the memory follows when the
//! library's own holders are done.

use std::ops::Deref;
use std::sync::Arc;

use crate::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Something handed out by counted references.
pub trait Target {
    /// A number that only this type has, to tell handles apart that come in as bare pointers.
    const KIND: u32;

    /// Runs once, when the last [`Ref`] is gone, on the thread that let go of it.
    fn released(&self);
}

/// A target and the number of references to it.
#[repr(C)]
pub struct Counted<T> {
    // First, so that a pointer to any counted thing can be asked for its kind.
    kind: AtomicU32,
    references: AtomicI64,
    target: T,
}

impl<T> Counted<T> {
    /// How many references there are.
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

const TAKEN: &str = "only a method that consumes the reference takes it out";

/// A counted reference. Cloning and dropping it count.
pub struct Ref<T: Target>(Option<Arc<Counted<T>>>);

impl<T: Target> Ref<T> {
    /// The first reference to `target`.
    pub fn new(target: T) -> Ref<T> {
        Ref(Some(Arc::new(Counted {
            kind: AtomicU32::new(T::KIND),
            references: AtomicI64::new(1),
            target,
        })))
    }

    /// One more reference to something that is kept in memory, if it still has any.
    pub fn revive(kept: &Arc<Counted<T>>) -> Option<Ref<T>> {
        let one_more = |count| (count > 0).then_some(count + 1);
        // Acquire: whoever revives sees what the holders before it wrote, as with a lock.
        kept.references.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).ok()?;
        Some(Ref(Some(kept.clone())))
    }

    /// Gives this reference up and says how many are left. At none, [`Target::released`] has run.
    pub fn release(mut self) -> i64 {
        self.0.take().map_or(0, Self::count_down)
    }

    /// Turns the reference into a bare `Arc` without counting it down; [`Ref::adopt`] turns it
    /// back.
    pub fn forget(mut self) -> Arc<Counted<T>> {
        let Some(counted) = self.0.take() else { unreachable!("{TAKEN}") };
        counted
    }

    /// Takes over a reference that [`Ref::forget`] set free.
    pub fn adopt(counted: Arc<Counted<T>>) -> Ref<T> {
        Ref(Some(counted))
    }

    /// What keeps the memory without counting.
    pub fn kept(&self) -> &Arc<Counted<T>> {
        let Some(counted) = &self.0 else { unreachable!("{TAKEN}") };
        counted
    }

    fn count_down(counted: Arc<Counted<T>>) -> i64 {
        // Release and Acquire: what every holder did happens before the end.
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
        self.kept()
    }
}

impl<T: Target> Clone for Ref<T> {
    fn clone(&self) -> Ref<T> {
        // Relaxed, as in Arc: the new reference comes from a live one, so nothing can end in
        // between.
        self.kept().references.fetch_add(1, Ordering::Relaxed);
        Ref(Some(self.kept().clone()))
    }
}

impl<T: Target> Drop for Ref<T> {
    fn drop(&mut self) {
        if let Some(counted) = self.0.take() {
            Self::count_down(counted);
        }
    }
}
