//! Where a store is: a directory, a name under a base path, or a name in a cluster.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::ops::Deref;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::failure::{Failure, Result};
use crate::kept::Kept;
use crate::library::{Backend, Distributor, Options, Store};
use crate::lock_holder::{self, Holder};
use crate::output;

/// What the command line and the environment say about all stores.
#[derive(Clone)]
pub struct Settings {
    pub base: Option<OsString>,
    pub cluster: Option<OsString>,
    /// Options of the library, by name.
    pub options: Vec<(String, OsString)>,
    pub quiet: bool,
    /// The store that a shell keeps open.
    pub kept: Option<Kept>,
}

/// A store, which may not exist.
#[derive(Clone)]
pub struct Place {
    kind: Kind,
    settings: Settings,
}

#[derive(Clone)]
enum Kind {
    Directory(PathBuf),
    Base { base: PathBuf, id: Vec<u8> },
    Cluster { url: OsString, id: Vec<u8> },
}

/// A store that is open, until the last clone of this is dropped.
#[derive(Clone)]
pub struct Open(Arc<Handles>);

/// The store is closed before its distributor.
struct Handles {
    store: Store,
    _distributor: Option<Distributor>,
    access: Access,
}

/// What a store is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write { create: bool },
    WriteSynced,
}

impl Open {
    pub fn is_writable(&self) -> bool {
        self.0.access != Access::Read
    }
}

impl Deref for Open {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.0.store
    }
}

impl Settings {
    /// Returns the base path, from the command line or else the environment.
    pub fn base(&self) -> Option<PathBuf> {
        let base = self.base.clone().or_else(base_of_environment);
        base.map(PathBuf::from)
    }

    pub fn cluster(&self) -> Option<OsString> {
        self.cluster.clone().or_else(|| from_environment("KVDS_CLUSTER"))
    }

    /// Returns the settings for `store`, in `base` or `cluster` if one is given, else in the same
    /// place.
    pub fn elsewhere(
        &self,
        store: &OsStr,
        base: &Option<OsString>,
        cluster: &Option<OsString>,
    ) -> Settings {
        let mut settings = self.clone();
        if base.is_some() || cluster.is_some() {
            settings.base.clone_from(base);
            settings.cluster.clone_from(cluster);
        } else if store.as_bytes().contains(&b'/') {
            // A path is in place of both.
            settings.base = None;
            settings.cluster = None;
        }
        settings
    }

    /// Returns the store that the argument `name` means.
    pub fn place(&self, name: &OsStr) -> Result<Place> {
        if name.is_empty() {
            return Err(Failure::usage("the name of a store is empty"));
        }
        for (option, place) in [("--base", &self.base), ("--cluster", &self.cluster)] {
            if place.as_ref().is_some_and(|place| place.is_empty()) {
                return Err(Failure::usage(format!("{option} is empty")));
            }
        }
        let id = name.as_bytes().to_vec();
        let given = self.base.is_some() || self.cluster.is_some();
        let path = Path::new(name);
        // A name in an explicit place may have slashes; one without a place is then a path.
        let kind = if !given && (id.contains(&b'/') || path.join("CURRENT").is_file()) {
            Kind::Directory(path.to_path_buf())
        } else if let (Some(base), false) = (&self.base, self.cluster.is_some()) {
            Kind::Base { base: base.into(), id }
        } else if let Some(url) = &self.cluster {
            Kind::Cluster { url: url.clone(), id }
        } else {
            match (self.base(), self.cluster()) {
                (Some(base), None) => Kind::Base { base, id },
                (None, Some(url)) => Kind::Cluster { url, id },
                (Some(_), Some(_)) => {
                    return Err(Failure::usage(
                        "both KVDS_BASE and KVDS_CLUSTER are set: use --base or --cluster",
                    ));
                }
                (None, None) => {
                    return Err(Failure::usage(format!(
                        "where is \"{}\"? Use --base DIR, --cluster URL, the variable KVDS_BASE or \
                         KVDS_CLUSTER, or the path of the store's directory (with a \"/\")",
                        name.display()
                    )));
                }
            }
        };
        Ok(Place { kind, settings: self.clone() })
    }
}

pub fn base_of_environment() -> Option<OsString> {
    from_environment("KVDS_BASE")
}

fn from_environment(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

impl Place {
    /// Opens the store for reading, beside a process that writes it.
    pub fn open_to_read(&self) -> Result<Open> {
        match self.kept() {
            Some(kept) => kept.to_read(),
            None => self.open_read_only(),
        }
    }

    /// Opens the store for writing, and creates it only if `create` says so.
    pub fn open_to_write(&self, create: bool) -> Result<Open> {
        self.write(create, "")
    }

    /// Opens the store for writing, where the command has the option `--create`.
    pub fn open_or_create(&self, create: bool) -> Result<Open> {
        self.write(create, "; --create creates it")
    }

    fn write(&self, create: bool, advice: &str) -> Result<Open> {
        let open = match self.kept() {
            Some(kept) => kept.to_write(create)?,
            None => self.open_writable(create)?,
        };
        open.ok_or_else(|| self.not_found(advice))
    }

    /// Returns the handle of the shell, if this is its store.
    fn kept(&self) -> Option<&Kept> {
        self.settings.kept.as_ref().filter(|kept| kept.is_of(self))
    }

    /// Opens the store for reading only, and names a process that writes it.
    pub fn open_read_only(&self) -> Result<Open> {
        if let (Some(holder), false) = (self.holder(), self.settings.quiet) {
            output::say(&format!("{holder} has {self} open; reading beside it"));
        }
        self.open(Access::Read)?.ok_or_else(|| self.not_found(""))
    }

    /// Opens the store for writing. Returns `None` if it does not exist and is not created.
    pub fn open_writable(&self, create: bool) -> Result<Option<Open>> {
        self.open(Access::Write { create })
    }

    /// Opens the store for writing. A write returns when it is on the disk.
    pub fn open_to_write_synced(&self) -> Result<Open> {
        self.open(Access::WriteSynced)?.ok_or_else(|| self.not_found(""))
    }

    pub fn not_found(&self, advice: &str) -> Failure {
        Failure::failed(format!("there is no store {self}{advice}"))
    }

    fn open(&self, access: Access) -> Result<Option<Open>> {
        let options = self.options(match access {
            Access::Read => &[("read_only", "1")],
            Access::Write { create: true } => &[("create_if_missing", "1")],
            Access::Write { create: false } => &[("create_if_missing", "0")],
            Access::WriteSynced => &[("create_if_missing", "0"), ("durability", "sync")],
        })?;
        let opened = match &self.kind {
            Kind::Directory(path) => Store::open(path.as_os_str().as_bytes(), &options)
                .map(|store| store.map(|store| (store, None))),
            Kind::Base { id, .. } | Kind::Cluster { id, .. } => {
                let (distributor, backend) = self.distributor(&options)?;
                distributor
                    .store(id, backend)
                    .map(|store| store.map(|store| (store, Some(distributor))))
            }
        };
        let opened = opened.map_err(|error| match error.is_locked() {
            true => self.locked(),
            false => error.into(),
        })?;
        Ok(opened
            .map(|(store, _distributor)| Open(Arc::new(Handles { store, _distributor, access }))))
    }

    fn distributor(&self, options: &Options) -> Result<(Distributor, Backend)> {
        let (base, backend) = match self.base() {
            Some(base) => (base, Backend::Disk),
            None => (Path::new(""), Backend::Cluster),
        };
        Ok((Distributor::open(base.as_os_str().as_bytes(), options)?, backend))
    }

    pub fn options(&self, more: &[(&str, &str)]) -> Result<Options> {
        let mut options = Options::new()?;
        // One command reads or writes one store: the library's defaults, for programs with many,
        // would use more memory and be no faster.
        options.set("block_cache_bytes", b"32M")?;
        options.set("write_buffer_bytes", b"32M")?;
        if let Kind::Cluster { url, .. } = &self.kind {
            options.set("cluster", url.as_bytes())?;
            if let Some(password) = from_environment("KVDS_CLUSTER_PASSWORD") {
                options.set("cluster_password", password.as_bytes())?;
            }
        }
        for (name, value) in &self.settings.options {
            let set = options.set(name, value.as_bytes());
            set.map_err(|error| Failure::usage(error.to_string()))?;
        }
        for (name, value) in more {
            options.set(name, value.as_bytes())?;
        }
        Ok(options)
    }

    /// Deletes the store. Returns whether there was one.
    pub fn destroy(&self) -> Result<bool> {
        if let Some(kept) = self.kept() {
            kept.close();
        }
        let options = self.options(&[])?;
        let (distributor, backend) = self.distributor(&options)?;
        let Some(id) = self.id() else {
            let text = format!("name the store by a path that ends with its name, not {self}");
            return Err(Failure::usage(text));
        };
        distributor.destroy(&id, backend).map_err(|error| match error.is_locked() {
            true => self.locked(),
            false => error.into(),
        })
    }

    /// Returns the directory that a disk store is in.
    pub fn base(&self) -> Option<&Path> {
        let base = match &self.kind {
            Kind::Directory(path) => path.parent().unwrap_or(Path::new("")),
            Kind::Base { base, .. } => base,
            Kind::Cluster { .. } => return None,
        };
        // The parent of a plain name is the working directory.
        Some(if base.as_os_str().is_empty() { Path::new(".") } else { base })
    }

    /// Returns the id of the store; `None` for a path without a last component.
    fn id(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Base { id, .. } | Kind::Cluster { id, .. } => Some(id.clone()),
            Kind::Directory(path) => path.file_name().map(|name| decoded(name.as_bytes())),
        }
    }

    /// Returns the store `id` in the same base path or cluster.
    pub fn sibling(&self, id: &[u8]) -> Result<Place> {
        let id = id.to_vec();
        let kind = match &self.kind {
            Kind::Base { base, .. } => Kind::Base { base: base.clone(), id },
            Kind::Cluster { url, .. } => Kind::Cluster { url: url.clone(), id },
            Kind::Directory(path) => {
                // The path may be ".", whose parent is not in its text.
                let path = path.canonicalize().map_err(|_| self.not_found(""))?;
                match path.parent() {
                    Some(base) => Kind::Base { base: base.to_path_buf(), id },
                    None => return Err(Failure::usage(format!("{self} is in no directory"))),
                }
            }
        };
        Ok(Place { kind, settings: self.settings.clone() })
    }

    /// Returns the name of the store: its id, or else its path.
    pub fn name(&self) -> Vec<u8> {
        self.id().unwrap_or_else(|| self.to_string().into_bytes())
    }

    /// Returns the URL of the cluster that the store is in.
    pub fn url(&self) -> Option<&OsStr> {
        match &self.kind {
            Kind::Cluster { url, .. } => Some(url),
            _ => None,
        }
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster { .. })
    }

    /// Returns whether this is the same store as `other`, as far as the names show.
    pub fn is_same(&self, other: &Place) -> bool {
        match (self.directory(), other.directory()) {
            (Some(a), Some(b)) => {
                a == b || a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a))
            }
            (None, None) => self.to_string() == other.to_string(),
            _ => false,
        }
    }

    /// Returns the directory of a disk store.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Directory(path) => Some(path.clone()),
            Kind::Base { base, id } => {
                let encoded = base.join(encoded(id));
                // A program that does not encode ids leaves its store here.
                let id = Path::new(OsStr::from_bytes(id));
                let plain = base.join(id.strip_prefix("/").unwrap_or(id));
                Some(if encoded.exists() || !plain.exists() { encoded } else { plain })
            }
            Kind::Cluster { .. } => None,
        }
    }

    /// Returns the process that has the disk store open for writing, if it can be found.
    pub fn holder(&self) -> Option<Holder> {
        lock_holder::find(&self.directory()?)
    }

    pub fn locked(&self) -> Failure {
        let holder = match self.holder() {
            Some(holder) => holder.to_string(),
            None => "another process".to_owned(),
        };
        Failure::failed(format!("{holder} has {self} open, and only one at a time can write it"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Directory(path) => write!(formatter, "{}", path.display()),
            Kind::Base { base, id } => {
                write!(formatter, "\"{}\" in {}", crate::text::shown(id), base.display())
            }
            Kind::Cluster { url, id } => {
                write!(formatter, "\"{}\" in {}", crate::text::shown(id), url.display())
            }
        }
    }
}

/// Returns the name of the directory for the store `id`, as the library encodes it.
fn encoded(id: &[u8]) -> OsString {
    let mut name = Vec::new();
    for &byte in id {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if plain && id != b"." && id != b".." {
            name.push(byte);
        } else {
            name.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    OsString::from_vec(name)
}

/// Returns the id of the store in a directory called `name`.
///
/// A name that the library would not give is that of a program that does not encode ids.
pub fn decoded(name: &[u8]) -> Vec<u8> {
    let mut id = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            id.push(byte);
            continue;
        }
        match after.get(..2).map(crate::text::unhex) {
            Some(Ok(decoded)) => {
                id.extend_from_slice(&decoded);
                rest = &after[2..];
            }
            _ => return name.to_vec(),
        }
    }
    if encoded(&id).as_bytes() == name { id } else { name.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_directories() {
        let cases: [(&[u8], &str); 5] = [
            (b"born", "born"),
            (b"a b/c", "a%20b%2Fc"),
            (b"..", "%2E%2E"),
            (b"a.b", "a.b"),
            ("ż".as_bytes(), "%C5%BC"),
        ];
        for (id, name) in cases {
            assert_eq!(encoded(id), name);
            assert_eq!(decoded(name.as_bytes()), id);
        }
        // A program that does not encode ids created these.
        for name in ["a b", "100%", "%41"] {
            assert_eq!(decoded(name.as_bytes()), name.as_bytes());
        }
    }
}
