//! A distributor, which opens and destroys stores by name.

use std::ptr::{self, NonNull};

use super::{Error, Options, Result, Store, check, ffi, text, yes};

/// Where a store keeps its data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Disk,
    Cluster,
}

impl Backend {
    fn number(self) -> i32 {
        match self {
            Backend::Disk => ffi::DISK,
            Backend::Cluster => ffi::CLUSTER,
        }
    }
}

/// A distributor, released when this is dropped.
pub struct Distributor(NonNull<ffi::Distributor>);

// SAFETY: any thread may call any function on a distributor, also while another one does.
unsafe impl Send for Distributor {}
// SAFETY: as above.
unsafe impl Sync for Distributor {}

impl Distributor {
    /// Creates a distributor of the disk stores under `base`, and of the cluster of the options.
    pub fn open(base: &[u8], options: &Options) -> Result<Distributor> {
        let base = text(base)?;
        let mut out = ptr::null_mut();
        // SAFETY: the text ends with a NUL, and both pointers are valid.
        check(unsafe { ffi::kvds_distributor_open(base.as_ptr(), options.as_ptr(), &mut out) })?;
        Ok(Distributor(NonNull::new(out).ok_or_else(Error::null)?))
    }

    /// Opens the store `id`. Returns `None` if it does not exist and may not be created.
    pub fn store(&self, id: &[u8], backend: Backend) -> Result<Option<Store>> {
        let id = text(id)?;
        let mut out = ptr::null_mut();
        // SAFETY: the handle is live, the text ends with a NUL, and `out` is valid.
        let status = unsafe {
            let backend = backend.number();
            ffi::kvds_distributor_get_or_create(self.0.as_ptr(), id.as_ptr(), backend, &mut out)
        };
        Ok(if yes(status)? { Store::from_raw(out) } else { None })
    }

    /// Deletes the data of the store `id`. Returns whether there was one.
    pub fn destroy(&self, id: &[u8], backend: Backend) -> Result<bool> {
        let id = text(id)?;
        // SAFETY: the handle is live, and the text ends with a NUL.
        yes(unsafe {
            ffi::kvds_distributor_destroy(self.0.as_ptr(), id.as_ptr(), backend.number())
        })
    }
}

impl Drop for Distributor {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used again.
        unsafe { ffi::kvds_distributor_release(self.0.as_ptr()) };
    }
}
