//! A simulated disk: what a disk may contain after a power failure, computed from the journal of
//! `ctests/preload`.
//!
//! Everything that a sync covered is there. Any part of the rest may be there, with limits. A write
//! may be torn, and its pages may arrive in any order. Changes of one directory arrive in order, as
//! on every journaling file system.

mod journal;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fastrand::Rng;

pub use journal::{Journal, Kind, Record};

/// The number of a file or a directory, whatever its name is.
type Object = usize;

const ROOT: Object = 0;

/// The unit in which file content reaches the disk.
const PAGE: usize = 4096;

/// What survives of the changes that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    Nothing,
    /// As if only the process was killed.
    Everything,
    /// The changes up to some point in time.
    Beginning,
    /// The first changes of each file and each directory.
    Beginnings,
    /// The same without some pages of the files: pages reach a disk in any order.
    Pages,
}

impl Survival {
    pub const ALL: [Survival; 5] = [
        Survival::Nothing,
        Survival::Everything,
        Survival::Beginning,
        Survival::Beginnings,
        Survival::Pages,
    ];
}

/// Directories and files, with their content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Node>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Directory(Tree),
    File(Vec<u8>),
}

/// The changes of the disk below a directory.
pub struct History {
    objects: Vec<Start>,
    changes: Vec<Change>,
    syncs: Vec<Sync>,
}

/// The initial state of an object. One that is created later starts empty.
#[derive(Clone, Debug)]
enum Start {
    Directory(BTreeMap<String, Object>),
    File(Vec<u8>),
}

struct Change {
    at: u64,
    /// The object whose sync covers the change.
    object: Object,
    what: What,
}

enum What {
    Entry { name: String, target: Object },
    NoEntry { name: String },
    Rename { from: Object, name: String, new_name: String, target: Object },
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

struct Sync {
    object: Object,
    begin: u64,
    end: u64,
}

impl Tree {
    /// Reads the content of a directory.
    pub fn read(directory: &Path) -> Tree {
        let entries = fs::read_dir(directory).expect("the directory can be read");
        let node = |path: &Path| match path.is_dir() {
            true => Node::Directory(Tree::read(path)),
            false => Node::File(fs::read(path).expect("the file can be read")),
        };
        let named = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.expect("the directory can be read");
            (entry.file_name().into_string().expect("UTF-8"), node(&entry.path()))
        };
        Tree(entries.map(named).collect())
    }

    /// Writes everything to an empty directory.
    pub fn write(&self, directory: &Path) {
        for (name, node) in &self.0 {
            let path = directory.join(name);
            match node {
                Node::File(bytes) => fs::write(path, bytes).expect("the file can be written"),
                Node::Directory(tree) => {
                    fs::create_dir(&path).expect("the directory can be made");
                    tree.write(&path);
                }
            }
        }
    }
}

/// The objects below a directory before the process starts.
pub struct Before {
    objects: Vec<Start>,
    inodes: HashMap<u64, Object>,
}

impl Before {
    pub fn read(directory: &Path) -> Before {
        let mut before = Before { objects: Vec::new(), inodes: HashMap::new() };
        before.take(directory);
        before
    }

    fn take(&mut self, path: &Path) -> Object {
        let about = path.metadata().expect("it is there");
        if let Some(object) = self.inodes.get(&about.ino()) {
            return *object;
        }
        let object = self.objects.len();
        self.inodes.insert(about.ino(), object);
        if about.is_file() {
            self.objects.push(Start::File(fs::read(path).expect("the file can be read")));
            return object;
        }
        self.objects.push(Start::Directory(BTreeMap::new()));
        for entry in fs::read_dir(path).expect("the directory can be read") {
            let entry = entry.expect("the directory can be read");
            let target = self.take(&entry.path());
            let Start::Directory(entries) = &mut self.objects[object] else {
                unreachable!("it was just made one")
            };
            entries.insert(entry.file_name().into_string().expect("UTF-8"), target);
        }
        object
    }
}

impl History {
    pub fn new(before: Before, journal: &Journal) -> History {
        let Before { objects, mut inodes } = before;
        // The current name of each object, for renames.
        let mut names: HashMap<(Object, String), Object> = HashMap::new();
        for (directory, start) in objects.iter().enumerate() {
            if let Start::Directory(entries) = start {
                names.extend(
                    entries.iter().map(|(name, target)| ((directory, name.clone()), *target)),
                );
            }
        }
        let mut history = History { objects, changes: Vec::new(), syncs: Vec::new() };
        for record in journal.records() {
            let Record { at, a, b, bytes, .. } = record;
            let text = || String::from_utf8(bytes.to_vec()).expect("UTF-8");
            let change = |object, what| Change { at, object, what };
            let change = match record.kind {
                Kind::Note | Kind::Pause | Kind::Wake | Kind::Sync => continue,
                Kind::Synced => {
                    history.syncs.push(Sync { object: inodes[&a], begin: b, end: at });
                    continue;
                }
                Kind::Create | Kind::Mkdir | Kind::Link => {
                    if record.kind != Kind::Link {
                        // The inode may have belonged to another file.
                        inodes.insert(a, history.objects.len());
                        history.objects.push(match record.kind {
                            Kind::Create => Start::File(Vec::new()),
                            _ => Start::Directory(BTreeMap::new()),
                        });
                    }
                    let (directory, target) = (inodes[&b], inodes[&a]);
                    names.insert((directory, text()), target);
                    change(directory, What::Entry { name: text(), target })
                }
                Kind::Rename => {
                    let both = text();
                    let (name, new_name) = both.split_once('\0').expect("two names");
                    let (name, new_name) = (name.to_owned(), new_name.to_owned());
                    let (from, to) = (inodes[&a], inodes[&b]);
                    let target = names.remove(&(from, name.clone())).expect("it was there");
                    names.insert((to, new_name.clone()), target);
                    change(to, What::Rename { from, name, new_name, target })
                }
                Kind::Remove => {
                    names.remove(&(inodes[&b], text())).expect("it was there");
                    change(inodes[&b], What::NoEntry { name: text() })
                }
                Kind::Write => {
                    change(inodes[&a], What::Write { offset: b as usize, bytes: bytes.to_vec() })
                }
                Kind::Resize => change(inodes[&a], What::Resize(b as usize)),
            };
            history.changes.push(change);
        }
        history
    }

    /// Returns the times of all changes.
    pub fn times(&self) -> Vec<u64> {
        self.changes.iter().map(|change| change.at).collect()
    }

    /// Returns what the disk contains after a power failure right before the time `cut`.
    pub fn after_power_failure(&self, cut: u64, survival: Survival, random: &mut Rng) -> Tree {
        // For each object, the time of the last change that a sync covers.
        let mut covered = vec![0; self.objects.len()];
        for sync in self.syncs.iter().filter(|sync| sync.end < cut) {
            covered[sync.object] = sync.begin.max(covered[sync.object]);
        }
        let done = self.changes.iter().filter(|change| change.at < cut);
        let uncovered: Vec<_> =
            done.clone().filter(|change| change.at > covered[change.object]).collect();
        // The first lost change, which is torn if it is a write: of all objects, and of each one.
        let first_lost = |among: &[&Change], random: &mut Rng| match random.usize(..=among.len()) {
            at if at == among.len() => u64::MAX,
            at => among[at].at,
        };
        let of_all = first_lost(&uncovered, random);
        let of_each: Vec<_> = (0..self.objects.len())
            .map(|object| {
                let among: Vec<_> =
                    uncovered.iter().copied().filter(|change| change.object == object).collect();
                first_lost(&among, random)
            })
            .collect();
        // How many pages of each file survive, in 256ths; and which ones.
        let survival_rate: Vec<u8> = self.objects.iter().map(|_| random.u8(..)).collect();
        let mut pages: HashMap<(Object, usize), bool> = HashMap::new();

        let mut objects = self.objects.clone();
        for change in done {
            if change.at <= covered[change.object] {
                change.apply(&mut objects, &mut |_| true);
                continue;
            }
            let first_lost = match survival {
                Survival::Nothing => 0,
                Survival::Everything => u64::MAX,
                Survival::Beginning => of_all,
                Survival::Beginnings | Survival::Pages => of_each[change.object],
            };
            let mut has_page = |page| {
                let survives = || random.u8(..) <= survival_rate[change.object];
                survival != Survival::Pages
                    || *pages.entry((change.object, page)).or_insert_with(survives)
            };
            if change.at < first_lost {
                change.apply(&mut objects, &mut has_page);
            } else if let What::Write { offset, bytes } = &change.what
                && change.at == first_lost
            {
                let torn =
                    What::Write { offset: *offset, bytes: bytes[..bytes.len() / 2].to_vec() };
                Change { what: torn, ..*change }.apply(&mut objects, &mut has_page);
            }
        }
        tree(&objects, ROOT)
    }
}

impl Change {
    /// Applies the change. Of a write, it applies the pages for which `has_page` returns true.
    fn apply(&self, objects: &mut [Start], has_page: &mut dyn FnMut(usize) -> bool) {
        let mut entries =
            |directory: Object, act: &mut dyn FnMut(&mut BTreeMap<String, Object>)| {
                let Start::Directory(entries) = &mut objects[directory] else {
                    panic!("a file has no entries")
                };
                act(entries);
            };
        match &self.what {
            What::Entry { name, target } => {
                entries(self.object, &mut |entries| _ = entries.insert(name.clone(), *target));
            }
            What::NoEntry { name } => entries(self.object, &mut |entries| _ = entries.remove(name)),
            What::Rename { from, name, new_name, target } => {
                entries(*from, &mut |entries| {
                    if entries.get(name) == Some(target) {
                        entries.remove(name);
                    }
                });
                entries(self.object, &mut |entries| _ = entries.insert(new_name.clone(), *target));
            }
            What::Write { offset, bytes } => {
                let Start::File(content) = &mut objects[self.object] else {
                    panic!("a directory has no bytes")
                };
                let mut done = 0;
                while done < bytes.len() {
                    let at = offset + done;
                    let len = (PAGE - at % PAGE).min(bytes.len() - done);
                    if has_page(at / PAGE) {
                        content.resize(content.len().max(at + len), 0);
                        content[at..at + len].copy_from_slice(&bytes[done..done + len]);
                    }
                    done += len;
                }
            }
            What::Resize(len) => {
                let Start::File(content) = &mut objects[self.object] else {
                    panic!("a directory has no bytes")
                };
                content.resize(*len, 0);
            }
        }
    }
}

fn tree(objects: &[Start], directory: Object) -> Tree {
    let Start::Directory(entries) = &objects[directory] else { panic!("a file is no directory") };
    let node = |object: Object| match &objects[object] {
        Start::File(bytes) => Node::File(bytes.clone()),
        Start::Directory(_) => Node::Directory(tree(objects, object)),
    };
    Tree(entries.iter().map(|(name, object)| (name.clone(), node(*object))).collect())
}
