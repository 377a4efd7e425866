//! Handles: what hosts hold is a pointer into an [`Arc`], and what it points to begins with its
//! kind.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::boundary;
use super::distributor::{kvds_distributor, kvds_store};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::registry::Distributor;
use crate::sync::refcount::{Counted, Ref, Target};

/// A type that hosts know as a pointer to an opaque struct.
pub trait Opaque {
    /// What the pointer really points to.
    type Target: Target;
    /// What hosts call it.
    const NAME: &'static str;
}

impl Opaque for kvds_store {
    type Target = Store;
    const NAME: &'static str = "kvds_store";
}

impl Opaque for kvds_distributor {
    type Target = Distributor;
    const NAME: &'static str = "kvds_distributor";
}

/// The pointer that a host gets for a reference, which is its own from then on.
pub fn into<H: Opaque>(reference: Ref<H::Target>) -> *mut H {
    Arc::into_raw(reference.forget()).cast_mut().cast()
}

#[inline]
fn target<H: Opaque>(handle: *const H) -> Result<*const Counted<H::Target>> {
    let counted: *const Counted<H::Target> = handle.cast();
    if handle.is_null() || !counted.is_aligned() {
        return Err(is_no_handle(handle));
    }
    // SAFETY: whatever handle of ours it is, it begins with its kind.
    let kind = unsafe { &*counted.cast::<AtomicU32>() }.load(Ordering::Relaxed);
    if kind != <H::Target as Target>::KIND {
        return Err(is_no_handle(handle));
    }
    Ok(counted)
}

/// What is wrong, told out of the way of what is right.
#[cold]
fn is_no_handle<H: Opaque>(handle: *const H) -> Error {
    let name = H::NAME;
    Error::invalid(if handle.is_null() {
        format!("the {name} is NULL")
    } else if !handle.cast::<Counted<H::Target>>().is_aligned() {
        format!("the pointer is not a {name}")
    } else {
        format!("the pointer is not a live {name}")
    })
}

/// What a handle refers to.
#[inline]
pub unsafe fn get<'a, H: Opaque>(handle: *const H) -> Result<&'a Counted<H::Target>> {
    // SAFETY: the host holds a reference for the time of the call.
    target(handle).map(|counted| unsafe { &*counted })
}

/// What a handle refers to, kept in memory: for calls that run callbacks, which may release the
/// host's reference.
pub unsafe fn kept<H: Opaque>(handle: *const H) -> Result<Arc<Counted<H::Target>>> {
    let counted = target(handle)?;
    // SAFETY: the host holds a reference, which is one of the Arc's.
    unsafe {
        Arc::increment_strong_count(counted);
        Ok(Arc::from_raw(counted))
    }
}

/// One more reference to what a handle refers to.
pub unsafe fn counted<H: Opaque>(handle: *const H) -> Result<Ref<H::Target>> {
    // SAFETY: the host holds a reference.
    let kept = unsafe { kept(handle)? };
    Ref::revive(&kept).ok_or_else(|| Error::invalid(format!("the {} was released", H::NAME)))
}

/// One more reference for the host, which is the same pointer.
pub unsafe fn retain<H: Opaque>(function: &'static str, handle: *mut H) -> *mut H {
    boundary::value(function, ptr::null_mut(), || {
        if handle.is_null() {
            return Ok(handle);
        }
        // SAFETY: the host holds a reference.
        unsafe { counted(handle) }.map(into)
    })
}

/// Takes a reference back from the host. Returns how many are left.
pub unsafe fn release<H: Opaque>(function: &'static str, handle: *mut H) -> i64 {
    boundary::value(function, 0, || {
        if handle.is_null() {
            return Ok(0);
        }
        // SAFETY: the host gives up a reference, which is one of the Arc's.
        target(handle).map(|counted| Ref::adopt(unsafe { Arc::from_raw(counted) }).release())
    })
}

#[cfg(feature = "testing")]
impl kvds_store {
    /// Turns a store into a handle, which `kvds_store_release` releases. Tests put their own
    /// engines behind the C functions with it.
    pub fn from_rust(store: Ref<Store>) -> *mut kvds_store {
        into(store)
    }
}
