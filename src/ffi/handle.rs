//! Handles: pointers into an [`Arc`] whose first word is the kind of the object.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::boundary;
use super::distributor::{kvds_distributor, kvds_store};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::registry::Distributor;
use crate::sync::refcount::{Counted, Ref, Target};

/// A C type whose pointers are handles.
pub trait Opaque {
    /// The object behind the handle.
    type Target: Target;
    /// The name of the type in C.
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

/// Converts a reference to a handle, which owns it.
pub fn from_ref<H: Opaque>(reference: Ref<H::Target>) -> *mut H {
    Arc::into_raw(reference.into_arc()).cast_mut().cast()
}

#[inline]
fn target<H: Opaque>(handle: *const H) -> Result<*const Counted<H::Target>> {
    let counted: *const Counted<H::Target> = handle.cast();
    if handle.is_null() || !counted.is_aligned() {
        return Err(is_no_handle(handle));
    }
    // SAFETY: every handle of the library begins with its kind.
    let kind = unsafe { &*counted.cast::<AtomicU32>() }.load(Ordering::Relaxed);
    if kind != <H::Target as Target>::KIND {
        return Err(is_no_handle(handle));
    }
    Ok(counted)
}

// Error paths are kept out of line.
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

/// Borrows the object behind a handle, for the duration of the call.
#[inline]
pub unsafe fn get<'a, H: Opaque>(handle: *const H) -> Result<&'a Counted<H::Target>> {
    // SAFETY: the caller owns a reference during the call.
    target(handle).map(|counted| unsafe { &*counted })
}

/// Returns an `Arc` of the object behind a handle. For calls that run callbacks, which may release
/// the caller's reference.
pub unsafe fn to_arc<H: Opaque>(handle: *const H) -> Result<Arc<Counted<H::Target>>> {
    let counted = target(handle)?;
    // SAFETY: the caller owns a reference, which holds a strong count of the Arc.
    unsafe {
        Arc::increment_strong_count(counted);
        Ok(Arc::from_raw(counted))
    }
}

/// Adds a reference to the object behind a handle.
pub unsafe fn to_ref<H: Opaque>(handle: *const H) -> Result<Ref<H::Target>> {
    // SAFETY: the caller owns a reference.
    let object = unsafe { to_arc(handle)? };
    Ref::upgrade(&object).ok_or_else(|| Error::invalid(format!("the {} was released", H::NAME)))
}

/// Adds a reference for the caller, and returns the same handle.
pub unsafe fn retain<H: Opaque>(function: &'static str, handle: *mut H) -> *mut H {
    boundary::value(function, ptr::null_mut(), || {
        if handle.is_null() {
            return Ok(handle);
        }
        // SAFETY: the caller owns a reference.
        unsafe { to_ref(handle) }.map(from_ref)
    })
}

/// Releases a reference of the caller, and returns how many are left.
pub unsafe fn release<H: Opaque>(function: &'static str, handle: *mut H) -> i64 {
    boundary::value(function, 0, || {
        if handle.is_null() {
            return Ok(0);
        }
        // SAFETY: the caller gives up a reference, which holds a strong count of the Arc.
        target(handle).map(|counted| Ref::from_arc(unsafe { Arc::from_raw(counted) }).release())
    })
}

#[cfg(feature = "testing")]
impl kvds_store {
    /// Turns a store into a handle, which `kvds_store_release` releases. Tests put their own
    /// engines behind the C functions with it.
    pub fn from_rust(store: Ref<Store>) -> *mut kvds_store {
        from_ref(store)
    }
}
