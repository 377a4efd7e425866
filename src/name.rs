//! From a store's id to the name of its directory.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt::Write;

use crate::error::{Error, Result};

/// The longest directory name, in bytes: what common file systems allow.
pub const MAX_NAME_LEN: usize = 255;

/// The directory name of the store called `id`: plain for a plain id, and percent-encoded where it is not, so that two ids
/// never share a name and no name leaves its directory.
///
/// The same rules hold for memory stores, which need no name, so that an id is good for both backends or for none.
pub fn directory(id: &CStr) -> Result<Cow<'_, str>> {
    let id = id.to_str().map_err(|cause| Error::invalid("the id is not UTF-8").because(cause))?;
    if id.is_empty() {
        return Err(Error::invalid("the id is empty"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let name = if id == "." || id == ".." {
        Cow::Owned(id.replace('.', "%2E"))
    } else if id.bytes().all(plain) {
        Cow::Borrowed(id)
    } else {
        let mut name = String::with_capacity(id.len() * 3);
        for byte in id.bytes() {
            if plain(byte) {
                name.push(byte.into());
            } else {
                // Writing to a String cannot fail.
                let _ = write!(name, "%{byte:02X}");
            }
        }
        Cow::Owned(name)
    };
    if name.len() > MAX_NAME_LEN {
        let len = name.len();
        return Err(Error::invalid(format!(
            "the id makes a directory name of {len} bytes; {MAX_NAME_LEN} is the most (bytes outside A-Z a-z 0-9 . _ - take three)"
        )));
    }
    Ok(name)
}
