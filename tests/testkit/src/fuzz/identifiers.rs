//! Checks the directory names of ids.

use std::ffi::{CStr, CString};
use std::path::{Component, Path};

use kvds::testing::{MAX_NAME_LEN, directory, unencoded};

/// Takes `data` for two ids, separated by a newline, and checks their directory names.
pub fn identifiers(data: &[u8]) {
    let mut names = Vec::new();
    for part in data.splitn(2, |byte| *byte == b'\n') {
        let id: Vec<u8> = part.iter().copied().filter(|byte| *byte != 0).collect();
        names.extend(name_of(&id).map(|name| (id, name)));
    }
    if let [(one, one_name), (other, other_name)] = &names[..] {
        assert_eq!(
            one == other,
            one_name == other_name,
            "two ids have one name, or one id has two"
        );
        // Escapes must not depend on upper and lower case.
        assert!(one_name.len() >= one.len() && other_name.len() >= other.len());
    }
}

fn name_of(id: &[u8]) -> Option<String> {
    let text = CString::new(id).expect("there is no NUL in it");
    let name = match directory(&text) {
        Ok(name) => name.into_owned(),
        Err(error) => {
            let longest = id.iter().map(|byte| if plain(*byte) { 1 } else { 3 }).sum::<usize>();
            let refused =
                id.is_empty() || std::str::from_utf8(id).is_err() || longest > MAX_NAME_LEN;
            assert!(refused, "{} is refused: {error}", id.escape_ascii());
            return None;
        }
    };
    assert!(!id.is_empty() && name.len() <= MAX_NAME_LEN, "{name}");
    assert!(name.bytes().all(|byte| plain(byte) || byte == b'%'), "{name}");
    if id.iter().all(|byte| plain(*byte)) && id != b"." && id != b".." {
        assert_eq!(name.as_bytes(), id, "a plain id must be its own name");
    }
    assert_eq!(decoded(&name).as_deref(), Some(id), "a name must decode to its id: {name}");
    let path = Path::new("base").join(&name);
    let parts: Vec<Component> = path.components().collect();
    assert!(
        matches!(parts[..], [_, Component::Normal(last)] if last == name.as_str()),
        "the name leaves its directory: {name}"
    );
    check_unencoded(&text, &name);
    Some(name)
}

/// Checks where a store of another program is expected: below the base path, and never in the
/// directory of another id.
fn check_unencoded(id: &CStr, name: &str) {
    let Some(path) = unencoded(id) else { return };
    let parts: Vec<Component> = path.components().collect();
    assert!(
        !parts.is_empty() && parts.iter().all(|part| matches!(part, Component::Normal(_))),
        "{}",
        path.display()
    );
    if let [Component::Normal(only)] = parts[..] {
        let only = only.to_str().expect("it is UTF-8");
        let other = decoded(only).and_then(|id| CString::new(id).ok());
        let other = other.filter(|other| directory(other).is_ok_and(|name| name == only));
        assert!(other.is_none(), "{only} is the directory of {other:?}, and not of {name}");
    }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// Returns the id of a name.
fn decoded(name: &str) -> Option<Vec<u8>> {
    let mut id = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            id.push(*byte);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        id.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    Some(id)
}
