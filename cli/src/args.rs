//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::commands::{
    add, bench, cas, checkpoint, compact, copy, count, del, destroy, diff, dump, exists, get, keys,
    load, man_pages, salvage, scan, set, stat, stores, top, ttl, verify, watch,
};
use crate::completion;
use crate::failure::{Failure, Result};
use crate::input;
use crate::library::{self, Range};
use crate::shell;
use crate::text::Form;

/// Reads and writes stores of kvds.
///
/// Keys and values are text; bytes that are not printable UTF-8 are written as \xNN, and a
/// backslash as \\. The exit code is 0 for yes, 1 for a plain no (no such key, another value), 2
/// for a command line that cannot be run, and 3 for a failure.
#[derive(Parser)]
#[command(name = "kvds", bin_name = "kvds STORE", version = version(), max_term_width = 100)]
#[command(override_usage = "kvds [OPTIONS] STORE COMMAND [ARGUMENTS]\n       \
                            kvds [OPTIONS] stores | top | bench")]
pub struct Arguments {
    /// The directory that the store is under; otherwise the variable KVDS_BASE.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "cluster")]
    pub base: Option<OsString>,
    /// The cluster that the store is in (etcd://HOST/NAMESPACE); otherwise the variable
    /// KVDS_CLUSTER.
    #[arg(long, value_name = "URL")]
    pub cluster: Option<OsString>,
    /// Sets an option of the library, such as durability=sync. The password of a cluster is taken
    /// from the variable KVDS_CLUSTER_PASSWORD.
    #[arg(short = 'o', long = "option", value_name = "NAME=VALUE", global = true)]
    pub options: Vec<OsString>,
    #[command(flatten)]
    pub output: OutputArguments,
    /// The store: its name, or the path of its directory (which has a "/", or a file CURRENT).
    #[arg(value_name = "STORE", add = completion::stores())]
    store: Option<OsString>,
    /// The store, for one that has the name of a command.
    #[arg(long = "store", value_name = "NAME", conflicts_with = "store")]
    #[arg(add = completion::stores())]
    named_store: Option<OsString>,
    #[command(subcommand)]
    pub job: Job,
}

/// How results are written.
#[derive(Args)]
pub struct OutputArguments {
    /// Keys and values are hexadecimal digits, in arguments and in the output.
    #[arg(long, global = true, conflicts_with_all = ["base64", "json"])]
    hex: bool,
    /// Keys and values are base64, in arguments and in the output.
    #[arg(long, global = true, conflicts_with = "json")]
    base64: bool,
    /// Writes results as JSON, an object, a number or null in each line.
    #[arg(long, global = true)]
    json: bool,
    /// Writes no progress, notes or summaries to standard error.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl OutputArguments {
    pub fn form(&self) -> Form {
        self.explicit_form().unwrap_or(Form::Text)
    }

    /// Returns the form that the arguments name, if they do.
    pub fn explicit_form(&self) -> Option<Form> {
        match (self.hex, self.base64, self.json) {
            (true, ..) => Some(Form::Hex),
            (_, true, _) => Some(Form::Base64),
            (.., true) => Some(Form::Json),
            _ => None,
        }
    }
}

/// Returns the versions of the program and of the library that it runs with.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| format!("{} (library {})", env!("CARGO_PKG_VERSION"), library::version()));
    &TEXT
}

impl Arguments {
    pub fn store(&self) -> Option<&OsString> {
        self.store.as_ref().or(self.named_store.as_ref())
    }
}

/// What the program does: one command, or all that are typed in a shell.
#[derive(Subcommand)]
pub enum Job {
    #[command(flatten)]
    Command(Command),
    Shell(shell::Arguments),
    ManPages(man_pages::Arguments),
}

#[derive(Subcommand)]
pub enum Command {
    Get(get::Arguments),
    Set(set::Arguments),
    Del(del::Arguments),
    Exists(exists::Arguments),
    Add(add::Arguments),
    Cas(cas::Arguments),
    Scan(scan::Arguments),
    Count(count::Arguments),
    Stores(stores::Arguments),
    Stat(stat::Arguments),
    Top(top::Arguments),
    Ttl(ttl::Arguments),
    Dump(dump::Arguments),
    Load(load::Arguments),
    Copy(copy::Arguments),
    Diff(diff::Arguments),
    Compact(compact::Arguments),
    Checkpoint(checkpoint::Arguments),
    Destroy(destroy::Arguments),
    Watch(watch::Arguments),
    Keys(keys::Arguments),
    Verify(verify::Arguments),
    Salvage(salvage::Arguments),
    Bench(bench::Arguments),
}

/// Which keys a command is about.
#[derive(Args)]
pub struct RangeArguments {
    /// Only keys that begin with this
    #[arg(value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// Only this key and greater ones
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// Only keys less than this one
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
}

impl RangeArguments {
    pub fn new(
        prefix: &Option<OsString>,
        from: &Option<OsString>,
        to: &Option<OsString>,
    ) -> RangeArguments {
        RangeArguments { prefix: prefix.clone(), from: from.clone(), to: to.clone() }
    }

    pub fn range(&self, form: Form) -> Result<Range> {
        let bytes = |name, text: &Option<OsString>| match text {
            Some(text) => input::bytes(form, name, text),
            None => Ok(Vec::new()),
        };
        if self.to.as_ref().is_some_and(|to| to.is_empty()) {
            return Err(Failure::usage("--to is empty, and no key is less"));
        }
        Ok(Range {
            prefix: bytes("PREFIX", &self.prefix)?,
            start: bytes("--from", &self.from)?,
            end: bytes("--to", &self.to)?,
        })
    }
}

/// The keys that a command is about, if a range is of no use to it.
#[derive(Args)]
pub struct KeyArguments {
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<OsString>,
}

impl KeyArguments {
    pub fn bytes(&self, form: Form) -> Result<Vec<Vec<u8>>> {
        self.keys.iter().map(|key| input::bytes(form, "KEY", key)).collect()
    }
}

/// The prefix of the keys that a command is about, where another argument comes first.
#[derive(Args)]
pub struct PrefixArgument {
    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
}

impl PrefixArgument {
    pub fn range(&self, form: Form) -> Result<Range> {
        let prefix = match &self.prefix {
            Some(prefix) => input::bytes(form, "--prefix", prefix)?,
            None => Vec::new(),
        };
        Ok(Range::of_prefix(&prefix))
    }
}

/// Where the other store of a command is.
#[derive(Args)]
pub struct OtherStore {
    /// The other store: its name, or the path of its directory
    #[arg(value_name = "OTHER", add = completion::stores())]
    pub store: OsString,
    /// The directory that the other store is under, if it is another one
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(conflicts_with = "other_cluster")]
    pub other_base: Option<OsString>,
    /// The cluster that the other store is in, if it is another one
    #[arg(long, value_name = "URL")]
    pub other_cluster: Option<OsString>,
}

/// The form of a dump.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DumpFormat {
    /// A JSON object in each line
    Json,
    /// The text form of mdb_dump and mdb_load
    Mdb,
    /// Small and fast, with a checksum
    Binary,
}

/// The file that a command reads or writes.
#[derive(Args)]
pub struct FileArgument {
    /// The file; "-" or nothing for the standard stream
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl FileArgument {
    /// Returns whether the command reads standard input, or writes standard output.
    pub fn is_standard(&self) -> bool {
        self.file.as_deref().is_none_or(|path| path == Path::new("-"))
    }
}
