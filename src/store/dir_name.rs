//! Maps ids to keys of the registry and to directory names.

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// The longest id of a memory store, in bytes.
pub const MAX_ID_LEN: usize = 64 << 10;

/// The longest directory name that common file systems allow, in bytes.
pub const MAX_NAME_LEN: usize = 255;

/// Checks the id of a memory store. It may have any bytes, because it names no file.
pub fn memory(id: &CStr) -> Result<&[u8]> {
    let id = id.to_bytes();
    match id.len() {
        0 => Err(Error::invalid("the id is empty")),
        1..=MAX_ID_LEN => Ok(id),
        len => Err(Error::invalid(format!("the id has {len} bytes; the maximum is {MAX_ID_LEN}"))),
    }
}

/// Returns the directory name of the disk store called `id`.
///
/// Bytes outside A-Z a-z 0-9 . _ - are percent-encoded, so that two ids never have the same name
/// and no name leaves the base path.
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
            "the directory name of the id has {len} bytes; the maximum is {MAX_NAME_LEN} \
             (bytes outside A-Z a-z 0-9 . _ - take three)"
        )));
    }
    Ok(name)
}

/// Returns the path below the base path where a program that does not encode ids would create the
/// store.
///
/// Returns `None` if that is the directory name of an id, or if it leaves the base path.
pub fn unencoded(id: &CStr) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(id.to_str().ok()?).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    let mut parts = path.components();
    let first = parts.next()?.as_os_str().to_str()?;
    (parts.next().is_some() || !is_name(first)).then_some(path)
}

/// Returns whether [`directory`] returns `name` for an id.
fn is_name(name: &str) -> bool {
    let Some(id) = decoded(name).and_then(|id| CString::new(id).ok()) else { return false };
    directory(&id).is_ok_and(|encoded| encoded == name)
}

/// Decodes a percent-encoded name.
fn decoded(name: &str) -> Option<Vec<u8>> {
    let mut bytes = name.bytes();
    let mut id = Vec::with_capacity(name.len());
    while let Some(byte) = bytes.next() {
        id.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?).try_into().ok()?
            }
            byte => byte,
        });
    }
    Some(id)
}
