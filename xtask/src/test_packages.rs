//! Tests every way to install kvds: installs it, builds and runs programs, and removes it.
//!
//! Removing must leave no file. `cargo test --package xtask` tests the list of installed files
//! without the library; this needs the library, compilers and dpkg.
//!
//! As root, a system created by debootstrap gets the Debian packages; it stays in `target` for
//! later runs. Otherwise dpkg installs them to an empty directory.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::project::Project;
use crate::uninstalled;

/// Variables that would make a build differ from one in a user's shell.
const UNSET: [&str; 15] = [
    "CC",
    "CXX",
    "DESTDIR",
    "PREFIX",
    "BINDIR",
    "LIBDIR",
    "INCLUDEDIR",
    "DATADIR",
    "MAKEFLAGS",
    "MAKEOVERRIDES",
    "MFLAGS",
    // Cargo sets these for the programs that it runs.
    "CARGO",
    "KVDS_BASE",
    "LD_LIBRARY_PATH",
    "RUSTUP_TOOLCHAIN",
];

/// The system libraries that the static library needs.
const SYSTEM: [&str; 4] = ["-lstdc++", "-lm", "-lpthread", "-ldl"];

/// Runs all tests.
pub fn run(project: &Project) -> Result<()> {
    let tests = Tests {
        project,
        programs: project.root.canonicalize()?.join("tests/packages"),
        work: project.target.canonicalize()?.join("test-packages"),
        started: Instant::now(),
    };
    if tests.work.exists() {
        fs::remove_dir_all(&tests.work).with_context(|| tests.work.display().to_string())?;
    }
    fs::create_dir_all(&tests.work)?;
    tests.make_install()?;
    tests.uninstalled()?;
    tests.static_library()?;
    let place = tests.debian_packages()?;
    fs::remove_dir_all(&tests.work)?;
    tests.say("done");
    println!(
        "\nmake test-packages: make install, the static library and the Debian packages work, and \
         nothing is left of them.\nThe Debian packages were tested in {place}."
    );
    Ok(())
}

struct Tests<'a> {
    project: &'a Project,
    /// The sources of the test programs.
    programs: PathBuf,
    /// A directory for all files of the tests.
    work: PathBuf,
    started: Instant,
}

impl Tests<'_> {
    fn say(&self, text: &str) {
        println!("[{:4} s] {text}", self.started.elapsed().as_secs());
    }

    /// Returns a path in the root of the repository.
    fn root(&self, path: &str) -> PathBuf {
        self.project.root.join(path)
    }

    /// Creates an empty directory, and removes an old one of the same name.
    fn empty(&self, name: &str) -> Result<PathBuf> {
        let directory = self.work.join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
        Ok(directory)
    }

    fn make(&self, target: &str, variables: &[(&str, &Path)]) -> Command {
        let mut command = command(env::var("MAKE").as_deref().unwrap_or("make"));
        command.arg("-s").arg(target).current_dir(&self.project.root);
        for (name, value) in variables {
            command.arg(format!("{name}={}", value.display()));
        }
        command
    }

    /// Runs a test program on an empty directory, and prints its output.
    fn run_program(&self, name: &str, program: &mut Command) -> Result<()> {
        let printed = output(program.arg(self.empty("data")?)).context(name.to_owned())?;
        println!("    {name}: {}", printed.trim_end());
        Ok(())
    }

    /// Builds and runs programs against a prefix, with both compilers.
    fn use_prefix(&self, prefix: &Path) -> Result<()> {
        for (cc, cxx) in [("gcc", "g++"), ("clang", "clang++")] {
            let mut command = command(self.programs.join("use"));
            command.arg(self.empty("build")?).env("CC", cc).env("CXX", cxx);
            command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
            command.env("CMAKE_PREFIX_PATH", prefix).env("LD_LIBRARY_PATH", prefix.join("lib"));
            print!("{}", output(&mut command)?);
        }
        Ok(())
    }

    /// Writes and reads a store with an installed program.
    fn use_kvds(&self, program: &mut Command) -> Result<()> {
        program.arg("--base").arg(self.empty("data")?).args(["born", "add", "visits", "--create"]);
        println!("    kvds add: {}", output(program)?.trim_end());
        Ok(())
    }

    fn make_install(&self) -> Result<()> {
        let target = self.project.target.canonicalize()?;
        // `make build` builds all installed files, also the man pages.
        let manual = target.join("docs/man");
        if manual.exists() {
            fs::remove_dir_all(&manual)?;
        }
        output(&mut self.make("build", &[]))?;

        self.say("make install to a prefix with other files");
        let prefix = self.work.join("prefix");
        fs::create_dir_all(prefix.join("lib/pkgconfig"))?;
        File::create(prefix.join("lib/libother.so"))?;
        let before = contents(&prefix)?;
        let built = self.work.join("built");
        File::create(&built)?;
        output(&mut self.make("install", &[("PREFIX", &prefix)]))?;
        let mut newer = command("find");
        newer.arg(&target).arg("-path").arg(&self.work).args(["-prune", "-o", "-newer"]);
        let made = output(newer.arg(&built).arg("-print"))?;
        ensure!(
            made.is_empty(),
            "make install compiled something, which only make build may do: {made}"
        );
        self.use_kvds(&mut command(prefix.join("bin/kvds")))?;
        self.use_prefix(&prefix)?;
        for file in
            ["share/doc/kvds/THIRD-PARTY", "share/man/man1/kvds.1", "share/man/man3/kvds_get.3"]
        {
            ensure!(prefix.join(file).is_file(), "{file} is not installed");
        }

        self.say("the static library alone, in a directory that was moved");
        let moved = self.work.join("moved");
        output(command("cp").arg("-a").arg(&prefix).arg(&moved))?;
        self.use_kvds(&mut command(moved.join("bin/kvds")))?;
        for entry in fs::read_dir(moved.join("lib"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("libkvds.so") {
                fs::remove_file(&path)?;
            }
        }
        let flags = output(
            command("pkg-config")
                .args(["--define-prefix", "--static", "--cflags", "--libs", "kvds"])
                .env("PKG_CONFIG_PATH", moved.join("lib/pkgconfig")),
        )?;
        let app = self.empty("build")?.join("app");
        output(
            command("gcc")
                .arg(self.programs.join("app.c"))
                .args(flags.split_whitespace())
                .arg("-o")
                .arg(&app),
        )?;
        self.run_program("pkg-config --static", &mut command(&app))?;

        self.say("make uninstall");
        output(&mut self.make("uninstall", &[("PREFIX", &prefix)]))?;
        same(&before, &contents(&prefix)?, "make uninstall")?;

        self.say("make install with DESTDIR and LIBDIR");
        let stage = self.empty("stage")?;
        let (opt, lib64) = (Path::new("/opt/kvds"), Path::new("/opt/kvds/lib64"));
        let places = [("DESTDIR", &*stage), ("PREFIX", opt), ("LIBDIR", lib64)];
        output(&mut self.make("install", &places))?;
        let build = self.empty("build")?;
        let installed = stage.join("opt/kvds/lib64/cmake/kvds");
        output(
            command("cmake")
                .arg("-S")
                .arg(&self.programs)
                .arg("-B")
                .arg(&build)
                .arg(format!("-Dkvds_DIR={}", installed.display())),
        )?;
        output(command("cmake").arg("--build").arg(&build))?;
        self.run_program("CMake", &mut command(build.join("cpp_kvds")))?;
        self.use_kvds(&mut command(stage.join("opt/kvds/bin/kvds")))?;
        output(&mut self.make("uninstall", &places))?;
        same(&BTreeSet::from([".".to_owned()]), &contents(&stage)?, "make uninstall")
    }

    /// Tests the library of `make build`, in a directory with a space in its name.
    fn uninstalled(&self) -> Result<()> {
        self.say("the library of make build, in a directory with a space in its name");
        let tree = self.empty("a tree")?;
        let lib = tree.join("lib");
        fs::create_dir(&lib)?;
        let mut copy = command("cp");
        output(
            copy.arg("-r")
                .args(["include", "Cargo.toml", "build.rs"].map(|name| self.root(name)))
                .arg(&tree),
        )?;
        fs::copy(self.project.target.join("release/libkvds.so"), lib.join("libkvds.so"))?;
        uninstalled::write(&Project { root: tree.clone(), target: tree.clone() }, &lib)?;
        let build = self.empty("build")?;
        // pkg-config quotes its output for a shell.
        let script = r#"
            flags=$(pkg-config --cflags --libs kvds)
            compat=$(pkg-config --variable=compatdir kvds)
            eval "gcc '$1/app.c' -o app $flags"
            eval "g++ -std=c++17 '$1/compat.cpp' -o compat $flags -I$compat"
        "#;
        let mut compile = command("sh");
        compile.args(["-euc", script, "sh"]).arg(&self.programs).current_dir(&build);
        output(compile.env("PKG_CONFIG_PATH", &lib))?;
        self.run_program("pkg-config, uninstalled", &mut command(build.join("app")))?;
        self.run_program("pkg-config, uninstalled, compat", &mut command(build.join("compat")))
    }

    fn static_library(&self) -> Result<()> {
        self.say("the static library beside other libraries");
        let archive = self.project.target.canonicalize()?.join("package/libkvds.a");
        let shared = self.work.join("libkvds.so.0");
        fs::copy(self.project.target.join("release/libkvds.so"), &shared)?;
        let theirs = output(command("gcc").arg("-print-file-name=librocksdb.a"))?;
        let (archive, shared, theirs) =
            (archive.display().to_string(), shared.display().to_string(), theirs.trim_end());
        let rpath = format!("-Wl,-rpath,{}", self.work.display());
        let theirs_needs = [&["-lsnappy", "-lbz2", "-lz", "-llz4", "-lzstd"][..], &SYSTEM].concat();
        for compiler in ["g++", "clang++"] {
            let object = |name: &str| -> Result<PathBuf> {
                let object = self.work.join(format!("{name}.o"));
                let mut compile = command(compiler);
                compile.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-c"]);
                compile.arg("-I").arg(self.root("include")).arg("-o").arg(&object);
                output(compile.arg(self.programs.join(format!("{name}.cpp"))))?;
                Ok(object)
            };
            let link = |name: &str, object: &Path, words: &[&[&str]]| {
                let name = format!("{name}-{compiler}");
                let program = self.work.join(&name);
                let mut link = command(compiler);
                link.arg(object).args(words.concat()).arg("-o").arg(&program);
                output(&mut link).with_context(|| format!("{name} cannot be linked"))?;
                self.run_program(&name, &mut command(&program))
            };
            link("own_names", &object("own_names")?, &[&[&archive], &SYSTEM])?;
            let beside = object("beside_rocksdb")?;
            let kinds: [(&str, &[&[&str]]); 6] = [
                ("static-before-static", &[&[&archive, theirs], &theirs_needs]),
                ("static-after-static", &[&[theirs, &archive], &theirs_needs]),
                ("static-before-shared", &[&[&archive, "-lrocksdb"], &SYSTEM]),
                ("static-after-shared", &[&["-lrocksdb", &archive], &SYSTEM]),
                ("shared-with-static", &[&[&shared, theirs], &theirs_needs, &[&rpath]]),
                ("shared-with-shared", &[&[&shared, "-lrocksdb", &rpath]]),
            ];
            for (name, words) in kinds {
                link(name, &beside, words)?;
            }
        }

        self.say("exit with open stores in the static library (ctests/exit.c)");
        let exit = self.work.join("exit");
        let mut compile = command("gcc");
        compile.args(["-std=c11", "-O1", "-pthread", "-I"]).arg(self.root("include"));
        compile.arg(self.root("ctests/exit.c")).arg(&archive).args(SYSTEM).arg("-lcmocka");
        output(compile.arg("-o").arg(&exit))?;
        output(command(&exit).env("TMPDIR", self.empty("data")?))?;
        Ok(())
    }

    /// Tests the Debian packages. Returns the name of the system that was used.
    fn debian_packages(&self) -> Result<String> {
        let debian = self.project.target.canonicalize()?.join("debian");
        self.say("building the Debian packages twice");
        let sums = || -> Result<String> {
            let mut command = command("sh");
            output(command.args(["-c", "sha256sum -- *.deb"]).current_dir(&debian))
        };
        let first = sums()?;
        output(&mut self.make("deb", &[]))?;
        let second = sums()?;
        ensure!(first == second, "two builds of the packages differ:\n{first}{second}");

        let system = Debian::new(self)?;
        self.say(&format!("the Debian packages in {}", system.place));
        for name in ["packages", "build"] {
            fs::create_dir(system.root.join(name))?;
        }
        let mut copy = command("cp");
        copy.arg("-r").arg(&self.programs).arg(system.root.join("packages"));
        output(&mut copy)?;
        // The first call of dpkg creates its own files, which are not counted.
        output(system.dpkg().args(["--configure", "-a"]))?;
        let mut install = system.dpkg();
        install.arg("-i");
        for entry in fs::read_dir(&debian)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                let name = path.file_name().unwrap_or_default();
                fs::copy(&path, system.root.join("packages").join(name))?;
                install.arg(system.inner("packages").join(name));
            }
        }
        let before = contents(&system.root)?;
        output(&mut install)?;
        let (programs, build) = (system.inner("packages/packages"), system.inner("build"));
        print!("{}", output(system.command(&programs.join("use")).arg(&build))?);

        self.say("programs without libkvds-dev");
        output(system.dpkg().args(["-r", "libkvds-dev"]))?;
        ensure!(!system.root.join("usr/include/kvds.h").exists(), "the header is still there");
        fs::create_dir(system.root.join("build/empty"))?;
        let mut app = system.command(&build.join("app"));
        println!("    app: {}", output(app.arg(build.join("empty")))?.trim_end());

        let mut program = system.command(&system.inner("usr/bin/kvds"));
        program.arg("--base").arg(build.join("empty")).args(["born", "add", "visits", "--create"]);
        println!("    kvds add: {}", output(&mut program)?.trim_end());

        self.say("dpkg --purge");
        output(system.dpkg().args(["-P", "kvds", "libkvds0", "libkvds-dev"]))?;
        fs::remove_dir_all(system.root.join("build"))?;
        fs::create_dir(system.root.join("build"))?;
        same(&before, &contents(&system.root)?, "dpkg --purge")?;
        let listed = system.dpkg().args(["-l", "libkvds*"]).output()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let installed = listed.lines().find(|line| line.get(1..2) == Some("i"));
        ensure!(installed.is_none(), "dpkg still lists the packages: {listed}");
        Ok(system.place)
    }
}

/// A Debian system, or a directory with dpkg's database.
struct Debian {
    root: PathBuf,
    /// Whether programs run in a chroot.
    whole: bool,
    /// The name in messages.
    place: String,
}

impl Debian {
    fn new(tests: &Tests) -> Result<Self> {
        let root = tests.work.join("system");
        if let Some(suite) = bootstrap(tests, &root)? {
            let place = format!("a system created by debootstrap ({suite})");
            return Ok(Self { root, whole: true, place });
        }
        tests.say("cannot run debootstrap, which needs root, the program and the network");
        for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"] {
            fs::create_dir_all(root.join(directory))?;
        }
        for file in ["status", "available"] {
            File::create(root.join("var/lib/dpkg").join(file))?;
        }
        Ok(Self { root, whole: false, place: "an empty directory, by dpkg --root".to_owned() })
    }

    /// Returns a path as programs of the system see it.
    fn inner(&self, path: &str) -> PathBuf {
        let root = if self.whole { Path::new("/") } else { &self.root };
        root.join(path)
    }

    /// Returns a command with the libraries of the system.
    fn command(&self, program: &Path) -> Command {
        if self.whole {
            let mut command = command("chroot");
            command.arg(&self.root).args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
            command.arg("LC_ALL=C.UTF-8").arg(program);
            return command;
        }
        let mut command = command(program);
        let usr = self.root.join("usr");
        let library = usr.join("lib").join(multiarch());
        command.env("PKG_CONFIG_LIBDIR", library.join("pkgconfig"));
        command.env("PKG_CONFIG_SYSROOT_DIR", &self.root);
        command.env("CMAKE_PREFIX_PATH", usr).env("LD_LIBRARY_PATH", library);
        command
    }

    fn dpkg(&self) -> Command {
        if self.whole {
            return self.command(Path::new("dpkg"));
        }
        let mut command = command("dpkg");
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.arg(format!("--root={}", self.root.display()));
        command.arg(format!("--log={}", self.root.join("var/log/dpkg.log").display()));
        // The directory does not have the packages that ours depend on.
        command.args(["--force-not-root", "--force-depends"]);
        command
    }
}

/// Creates a Debian system with compilers and CMake. Returns its release, or None if it cannot.
fn bootstrap(tests: &Tests, root: &Path) -> Result<Option<String>> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let program = Path::new("/usr/sbin/debootstrap");
    let Some(suite) = suite.filter(|_| is_root && program.is_file()) else { return Ok(None) };
    let base = tests.project.target.join(format!("debootstrap-{suite}"));
    if !base.is_dir() {
        tests.say(&format!("debootstrap {suite}, once (some minutes)"));
        let new = base.with_extension("new");
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        let mut command = command(program);
        command.args(["--variant=minbase", "--include=g++,cmake,make,pkg-config", suite]);
        if let Err(error) = output(command.arg(&new)) {
            println!("{error:#}");
            return Ok(None);
        }
        let archives = new.join("var/cache/apt/archives");
        for entry in fs::read_dir(&archives)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                fs::remove_file(path)?;
            }
        }
        fs::rename(&new, &base)?;
    }
    output(command("cp").arg("-a").arg(&base).arg(root))?;
    Ok(Some(suite.to_owned()))
}

/// Returns Debian's name of this machine in paths, such as "x86_64-linux-gnu".
fn multiarch() -> String {
    output(command("dpkg-architecture").arg("-qDEB_HOST_MULTIARCH"))
        .map_or_else(|_| String::new(), |name| name.trim_end().to_owned())
}

/// Returns a command without the variables of cargo and make.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in UNSET {
        command.env_remove(name);
    }
    command
}

/// Runs a command and returns its output. An error has all of it.
fn output(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = command.output().with_context(|| name.clone())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("{name}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}

/// Returns every file, directory and link in a directory.
fn contents(directory: &Path) -> Result<BTreeSet<String>> {
    let mut find = command("find");
    find.args([".", "-xdev", "-not", "-path", "./proc/*", "-not", "-path", "./sys/*"]);
    let listed = output(find.current_dir(directory))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Fails if two lists of files differ.
fn same(before: &BTreeSet<String>, after: &BTreeSet<String>, what: &str) -> Result<()> {
    let lost: Vec<_> = before.difference(after).cloned().collect();
    let left: Vec<_> = after.difference(before).cloned().collect();
    ensure!(
        lost.is_empty() && left.is_empty(),
        "{what} removed files of others: {lost:?}, or left files: {left:?}"
    );
    Ok(())
}
