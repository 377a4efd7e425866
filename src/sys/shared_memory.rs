//! Memory of this process that other processes can read.
//!
//! It is a file in memory (`memfd_create`), which has no path and ends with the process. Others
//! find it by its name among the open files of the process, `/proc/PID/fd`, if the system lets them
//! look there: those of the same user, and root.

use std::ops::Deref;
use std::ptr::NonNull;

/// A value that other processes can read while this one changes it.
pub struct Shared<T> {
    value: NonNull<T>,
    /// `None` if only this process has the value, in its heap.
    #[cfg(target_os = "linux")]
    _file: Option<file::File>,
}

// SAFETY: it owns the value, as a box does.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for Shared<T> {}

// SAFETY: a shared reference only returns a shared reference to the value.
#[allow(unsafe_code)]
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T: Default> Shared<T> {
    /// Returns a value in a file called `name`, or in the heap if the system has no such files.
    pub fn named(name: &str) -> Shared<T> {
        #[cfg(target_os = "linux")]
        if let Ok((file, address)) = file::create(name, size_of::<T>()) {
            const { assert!(align_of::<T>() <= 4096, "a page has no greater alignment") }
            let value = address.cast::<T>();
            // SAFETY: the memory is new, has the size of a value, and begins with a page.
            #[allow(unsafe_code)]
            unsafe {
                value.write(T::default());
            }
            return Shared { value, _file: Some(file) };
        }
        let _ = name;
        Shared::default()
    }
}

impl<T: Default> Default for Shared<T> {
    /// Returns a value that only this process can read.
    fn default() -> Shared<T> {
        Shared {
            value: NonNull::from(Box::leak(Box::default())),
            #[cfg(target_os = "linux")]
            _file: None,
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is initialized, and lives until this is dropped. Others only read it.
        #[allow(unsafe_code)]
        unsafe {
            self.value.as_ref()
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if self._file.is_some() {
            // SAFETY: the value is dropped once, here, and then its memory, which nothing uses
            // any more.
            #[allow(unsafe_code)]
            unsafe {
                self.value.drop_in_place();
                libc::munmap(self.value.as_ptr().cast(), size_of::<T>());
            }
            return;
        }
        // SAFETY: the value came from a box, and is dropped once.
        #[allow(unsafe_code)]
        drop(unsafe { Box::from_raw(self.value.as_ptr()) });
    }
}

#[cfg(target_os = "linux")]
mod file {
    use std::ffi::CString;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::ptr::{self, NonNull};

    use crate::sys::descriptors::above_streams;
    use crate::sys::fork::Uninherited;

    /// A forked child has the memory too, but others must not find it there.
    pub type File = Uninherited<std::fs::File>;

    /// Creates a file of `size` bytes, and maps it.
    pub fn create(name: &str, size: usize) -> io::Result<(File, NonNull<u8>)> {
        let name = CString::new(name)?;
        let file = Uninherited::open(|| {
            let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            // SAFETY: the name is a string, and the call only reads it.
            #[allow(unsafe_code)]
            let file = match unsafe { libc::memfd_create(name.as_ptr(), flags) } {
                descriptor if descriptor < 0 => return Err(io::Error::last_os_error()),
                // SAFETY: the descriptor is new, so this file is its only owner.
                descriptor => unsafe { std::fs::File::from_raw_fd(descriptor) },
            };
            above_streams(file)
        })?;
        let bytes = i64::try_from(size).map_err(io::Error::other)?;
        // Memory that is missing fails here. Later, an access would end the process.
        // SAFETY: the file is open, here and below.
        #[allow(unsafe_code)]
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes) } {
            0 => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        // No process can make the file shorter: an access would end this one then, too.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        // SAFETY: see above.
        #[allow(unsafe_code)]
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the system chooses an address that nothing uses.
        #[allow(unsafe_code)]
        let address = unsafe {
            libc::mmap(ptr::null_mut(), size, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // From now on no other process can write it. Linux before 5.1 does not know this.
        // SAFETY: see above.
        #[allow(unsafe_code)]
        unsafe {
            libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_FUTURE_WRITE);
        }
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((file, address))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    fn files(name: &str) -> Vec<PathBuf> {
        let is_named = |path: &PathBuf| {
            fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains(name))
        };
        let entries = fs::read_dir("/proc/self/fd").expect("it can be listed");
        entries.flatten().map(|entry| entry.path()).filter(is_named).collect()
    }

    #[test]
    fn another_process_can_read_the_value_but_not_change_it() {
        let name = "kvds-test-of-shared-memory";
        let value: Shared<AtomicU64> = Shared::named(name);
        value.store(7, Relaxed);
        let found = files(name);
        let [file] = &found[..] else { panic!("{found:?}") };
        assert_eq!(fs::read(file).expect("it can be read"), 7_u64.to_ne_bytes());
        assert!(fs::write(file, "").is_err());
        assert!(
            fs::OpenOptions::new()
                .write(true)
                .open(file)
                .is_ok_and(|file| { file.set_len(0).is_err() })
        );
        drop(value);
        assert!(files(name).is_empty());
    }

    #[test]
    fn without_such_a_file_the_value_is_in_the_heap() {
        let value: Shared<AtomicU64> = Shared::named("a name\0of two");
        value.fetch_add(7, Relaxed);
        assert_eq!(value.load(Relaxed), 7);
    }
}
