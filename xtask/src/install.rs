//! Installs the built files, and removes them.
//!
//! Installing often runs as root, which should not build. So it only copies the files of
//! `make build`.
//!
//! DATADIR/kvds/installed lists the prefix, and all files and directories that an installation
//! created. Uninstalling removes them. Installing again removes the files that only the previous
//! version had.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{self, Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::project::{self, Project};
use crate::runpath;

#[derive(Args, Clone)]
pub struct Directories {
    /// The directory to install to
    #[arg(long, env, default_value = "/usr/local")]
    prefix: String,
    /// The directory of the program [default: PREFIX/bin]
    #[arg(long, env)]
    bindir: Option<String>,
    /// The directory of the libraries [default: PREFIX/lib]
    #[arg(long, env)]
    libdir: Option<String>,
    /// The directory of the headers [default: PREFIX/include]
    #[arg(long, env)]
    includedir: Option<String>,
    /// The directory of man pages, documentation and the list of files [default: PREFIX/share]
    #[arg(long, env)]
    datadir: Option<String>,
    /// A directory that is prepended to all others; installed files do not contain it
    #[arg(long, env, default_value = "")]
    destdir: String,
}

/// The files that are installed as documentation.
const TEXTS: [&str; 5] =
    ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY"];

/// The templates of `packaging`, and their directories in LIBDIR.
const TEMPLATES: [(&str, &str); 4] = [
    ("kvds.pc", "pkgconfig"),
    ("kvds-static.pc", "pkgconfig"),
    ("kvdsConfig.cmake", "cmake/kvds"),
    ("kvdsConfigVersion.cmake", "cmake/kvds"),
];

/// The scripts that complete the command line of the program, and their directories in DATADIR.
const COMPLETIONS: [(&str, &str); 3] = [
    ("kvds", "bash-completion/completions"),
    ("_kvds", "zsh/site-functions"),
    ("kvds.fish", "fish/vendor_completions.d"),
];

/// Installs the library and the program.
pub fn install(project: &Project, directories: &Directories) -> Result<()> {
    let shared = project.target.join("release/libkvds.so");
    let archive = project.target.join("package/libkvds.a");
    let program = project.target.join("release/kvds");
    for built in [&shared, &archive, &program] {
        ensure!(built.is_file(), "there is no {}: run `make build`", built.display());
    }
    let places = Places::resolve(directories)?;
    places.check_owner()?;
    let (version, so_version) = (project.version()?, project.so_version()?);
    let Places { prefix, bindir, libdir, includedir, datadir, .. } = &places;

    let mut new = Installation { places: &places, paths: BTreeSet::new() };
    new.copy(&shared, &format!("{libdir}/libkvds.so.{version}"))?;
    new.link(&format!("libkvds.so.{version}"), &format!("{libdir}/libkvds.so.{so_version}"))?;
    new.link(&format!("libkvds.so.{so_version}"), &format!("{libdir}/libkvds.so"))?;
    new.copy(&archive, &format!("{libdir}/libkvds.a"))?;
    let bytes = runpath::replaced(&program, places.runpath().as_deref())?;
    new.write_program(&bytes, &format!("{bindir}/kvds"))?;

    let inside = |directory: &str| match directory.strip_prefix(&format!("{prefix}/")) {
        Some(rest) => format!("${{prefix}}/{rest}"),
        None => directory.to_owned(),
    };
    for (name, directory) in TEMPLATES {
        let text = project::read(&project.root.join(format!("packaging/{name}.in")))?
            .replace("@VERSION@", &version)
            .replace("@SOVERSION@", &so_version)
            .replace("@PREFIX@", prefix)
            .replace("@LIBDIR@", &inside(libdir))
            .replace("@INCLUDEDIR@", &inside(includedir))
            .replace(
                "@INCLUDEDIR_FROM_HERE@",
                &relative(&format!("{libdir}/cmake/kvds"), includedir),
            );
        new.write(&text, &format!("{libdir}/{directory}/{name}"))?;
    }

    let include = project.root.join("include");
    for header in files(&include)? {
        let is_header = header.rsplit('/').next().is_some_and(|name| name.contains(".h"));
        // Only programs of the original package look into the directory of their headers.
        let name = match header.strip_prefix("compat/") {
            Some(rest) => format!("kvds-compat/{rest}"),
            None => header.clone(),
        };
        if is_header {
            new.copy(&include.join(&header), &format!("{includedir}/{name}"))?;
        }
    }
    for section in ["man1", "man3"] {
        let pages = project.target.join("docs/man").join(section);
        let names = if pages.is_dir() { files(&pages)? } else { Vec::new() };
        ensure!(
            !names.is_empty(),
            "there are no man pages in {}: run `make build`",
            pages.display()
        );
        for name in names {
            new.copy(&pages.join(&name), &format!("{datadir}/man/{section}/{name}"))?;
        }
    }
    for (name, directory) in COMPLETIONS {
        let script = project.target.join("completions").join(name);
        new.copy(&script, &format!("{datadir}/{directory}/{name}"))?;
    }
    for name in TEXTS {
        new.copy(&project.root.join(name), &format!("{datadir}/doc/kvds/{name}"))?;
    }
    let notices = project.target.join("package/COPYRIGHT-library.html");
    if notices.is_file() {
        new.copy(&notices, &format!("{datadir}/doc/kvds/COPYRIGHT-library.html"))?;
    }
    new.finish()?;
    places.update_linker_cache()?;
    println!("kvds {version} is installed in {}{prefix}", places.destination);
    Ok(())
}

/// Removes the installed files.
pub fn uninstall(directories: &Directories) -> Result<()> {
    let places = Places::resolve(directories)?;
    places.check_owner()?;
    let manifest = places.real_manifest();
    ensure!(
        manifest.is_file(),
        "kvds is not installed in {}{}: there is no {}",
        places.destination,
        places.prefix,
        manifest.display()
    );
    remove(&places.real_names(&project::read(&manifest)?)?)?;
    places.update_linker_cache()?;
    println!("kvds is removed from {}{}", places.destination, places.prefix);
    Ok(())
}

/// The directories, as normalized absolute paths.
struct Places {
    destination: String,
    prefix: String,
    bindir: String,
    libdir: String,
    includedir: String,
    datadir: String,
}

impl Places {
    fn resolve(directories: &Directories) -> Result<Self> {
        // An empty variable counts as not set.
        let chosen = |value: &Option<String>, default: String| match value {
            Some(value) if !value.is_empty() => value.clone(),
            _ => default,
        };
        let prefix = chosen(&Some(directories.prefix.clone()), "/usr/local".to_owned());
        let prefix = normal("PREFIX", &prefix)?;
        let place = |name, value: &Option<String>, default: &str| {
            normal(name, &chosen(value, format!("{prefix}/{default}")))
        };
        Ok(Self {
            destination: directories.destdir.clone(),
            bindir: place("BINDIR", &directories.bindir, "bin")?,
            libdir: place("LIBDIR", &directories.libdir, "lib")?,
            includedir: place("INCLUDEDIR", &directories.includedir, "include")?,
            datadir: place("DATADIR", &directories.datadir, "share")?,
            prefix,
        })
    }

    /// Returns a path with DESTDIR before it.
    fn real(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.destination))
    }

    /// Returns where the program finds the library.
    ///
    /// It is relative, so that the installed directory may be moved. The dynamic linker finds the
    /// libraries of /usr itself, and Debian allows no runpath there.
    fn runpath(&self) -> Option<String> {
        let is_system = self.prefix == "/usr" && self.libdir.starts_with("/usr/lib");
        (!is_system).then(|| format!("$ORIGIN/{}", relative(&self.bindir, &self.libdir)))
    }

    fn manifest(&self) -> String {
        format!("{}/kvds/installed", self.datadir)
    }

    fn real_manifest(&self) -> PathBuf {
        self.real(&self.manifest())
    }

    /// Fails if the list belongs to an installation with another prefix.
    ///
    /// With one list for two installations, each would remove the files of the other.
    fn check_owner(&self) -> Result<()> {
        let manifest = self.real_manifest();
        if !manifest.is_file() {
            return Ok(());
        }
        let list = project::read(&manifest)?;
        let theirs = list.lines().find_map(|line| line.strip_prefix("prefix=")).unwrap_or_default();
        let real = |prefix: &str| real_path(&self.real(prefix));
        ensure!(
            theirs.is_empty() || real(theirs)? == real(&self.prefix)?,
            "{} belongs to the installation in PREFIX={theirs}, not in {}: uninstall that one \
             first, or set DATADIR",
            manifest.display(),
            self.prefix
        );
        Ok(())
    }

    /// Returns the paths of a list with all links resolved, so that equal files have equal paths.
    ///
    /// Directories end with a slash.
    fn real_names(&self, list: &str) -> Result<BTreeSet<String>> {
        let paths = list.lines().filter(|line| line.starts_with('/'));
        let paths = paths.filter_map(|path| path.rsplit_once('/'));
        let real = paths.map(|(directory, name)| {
            let directory = real_path(&self.real(&format!("{directory}/")))?;
            Ok(format!("{}/{name}", directory.display()))
        });
        real.collect()
    }

    /// Runs ldconfig if the dynamic linker uses the directory and this process may write its cache.
    fn update_linker_cache(&self) -> Result<()> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        if !self.destination.is_empty() || !is_root {
            return Ok(());
        }
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let ldconfig = |arguments: &[&str]| {
            Command::new("ldconfig").args(arguments).env("PATH", &path).output()
        };
        // A system without ldconfig has no cache.
        let Ok(output) = ldconfig(&["-vN"]) else { return Ok(()) };
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        if listed.lines().any(|line| line.starts_with(&format!("{}:", self.libdir))) {
            ensure!(ldconfig(&[])?.status.success(), "ldconfig failed");
        }
        Ok(())
    }
}

/// An installation, and the files and directories that it has created so far.
struct Installation<'a> {
    places: &'a Places,
    paths: BTreeSet<String>,
}

impl Installation<'_> {
    /// Creates the directory of a path, and records each directory that did not exist.
    fn make_parent(&mut self, path: &str) -> Result<()> {
        let Some((parent, _)) = path.rsplit_once('/') else { bail!("{path:?} has no directory") };
        let real = self.places.real(parent);
        if real.is_dir() {
            return Ok(());
        }
        if parent.is_empty() {
            // DESTDIR itself is not part of the installation.
            return fs::create_dir_all(&real).with_context(|| real.display().to_string());
        }
        self.make_parent(parent)?;
        fs::create_dir(&real).with_context(|| real.display().to_string())?;
        // All users can read it, under any umask. Bits such as setgid stay.
        let mode = fs::metadata(&real)?.mode() & 0o7000 | 0o755;
        fs::set_permissions(&real, Permissions::from_mode(mode))?;
        self.paths.insert(format!("{parent}/"));
        Ok(())
    }

    /// Removes an old file, which running programs keep open, and creates its directory.
    fn make_room(&mut self, path: &str) -> Result<PathBuf> {
        self.make_parent(path)?;
        let real = self.places.real(path);
        remove_file(&real)?;
        self.paths.insert(path.to_owned());
        Ok(real)
    }

    fn copy(&mut self, source: &Path, path: &str) -> Result<()> {
        let real = self.make_room(path)?;
        let context = || format!("copying {} to {}", source.display(), real.display());
        fs::copy(source, &real).with_context(context)?;
        fs::set_permissions(&real, Permissions::from_mode(0o644)).with_context(context)
    }

    fn write_program(&mut self, bytes: &[u8], path: &str) -> Result<()> {
        let real = self.make_room(path)?;
        let context = || real.display().to_string();
        fs::write(&real, bytes).with_context(context)?;
        fs::set_permissions(&real, Permissions::from_mode(0o755)).with_context(context)
    }

    fn write(&mut self, text: &str, path: &str) -> Result<()> {
        let real = self.make_room(path)?;
        project::write(&real, text)?;
        Ok(fs::set_permissions(&real, Permissions::from_mode(0o644))?)
    }

    fn link(&mut self, to: &str, path: &str) -> Result<()> {
        let real = self.make_room(path)?;
        symlink(to, &real).with_context(|| real.display().to_string())
    }

    /// Removes the files that only an earlier installation had, and writes the list.
    fn finish(mut self) -> Result<()> {
        let manifest = self.places.manifest();
        self.make_parent(&manifest)?;
        self.paths.insert(manifest.clone());
        let real = self.places.real_manifest();
        if real.is_file() {
            let earlier = project::read(&real)?;
            // Directories of an earlier installation stay listed.
            let directories = earlier.lines().filter(|line| line.ends_with('/'));
            self.paths.extend(directories.map(str::to_owned));
            let kept = self.places.real_names(&self.lines())?;
            let old = self.places.real_names(&earlier)?;
            remove(&old.difference(&kept).cloned().collect())?;
        }
        let text = format!("prefix={}\n{}", self.places.prefix, self.lines());
        self.write(&text, &manifest)
    }

    fn lines(&self) -> String {
        self.paths.iter().map(|path| format!("{path}\n")).collect()
    }
}

/// Removes files by their resolved paths, and directories if they are empty.
fn remove(names: &BTreeSet<String>) -> Result<()> {
    for file in names.iter().filter(|name| !name.ends_with('/')) {
        remove_file(Path::new(file))?;
    }
    // Inner directories first.
    for directory in names.iter().rev().filter(|name| name.ends_with('/')) {
        match fs::remove_dir(directory) {
            Err(error) if is_in_use(&error) => {}
            result => result.with_context(|| directory.clone())?,
        }
    }
    Ok(())
}

/// Returns whether an error says that a directory is in use, not empty or absent.
fn is_in_use(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound | ErrorKind::ResourceBusy
    )
}

/// Removes a file or link that may be missing.
fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| path.display().to_string()),
    }
}

/// Returns a normalized absolute path, so that a directory has one name in all lists.
fn normal(variable: &str, directory: &str) -> Result<String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "/._+@~-".contains(letter);
    ensure!(
        directory.chars().all(allowed),
        "{variable}: \"{directory}\" has characters that kvds.pc cannot contain; allowed are \
         letters, digits and /._+@~-"
    );
    ensure!(directory.starts_with('/'), "{variable}: \"{directory}\" must be an absolute path");
    let mut normal = PathBuf::from("/");
    for component in Path::new(directory).components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            component => normal.push(component),
        }
    }
    Ok(normal.to_string_lossy().into_owned())
}

/// Returns a path with links resolved, as far as it exists.
fn real_path(path: &Path) -> Result<PathBuf> {
    let path = path::absolute(path).with_context(|| path.display().to_string())?;
    let existing = path.ancestors().find_map(|ancestor| {
        Some((ancestor.canonicalize().ok()?, path.strip_prefix(ancestor).ok()?))
    });
    let (real, rest) = existing.with_context(|| path.display().to_string())?;
    Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
}

/// Returns the relative path from one normalized directory to another.
fn relative(from: &str, to: &str) -> String {
    let (from, to): (Vec<_>, Vec<_>) =
        (Path::new(from).components().collect(), Path::new(to).components().collect());
    let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    let mut path = PathBuf::new();
    from.iter().skip(common).for_each(|_| path.push(".."));
    path.extend(&to[common..]);
    path.to_string_lossy().into_owned()
}

/// Returns the paths of all files below a directory, sorted.
fn files(directory: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?.iter().map(|inner| format!("{name}/{inner}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A build whose libraries and texts are empty, and a directory to install to.
    struct Fixture {
        project: Project,
        stage: TempDir,
        _target: TempDir,
    }

    impl Fixture {
        fn new() -> Result<Self> {
            let target = tempfile::tempdir()?;
            let made = [
                "release/libkvds.so",
                "package/libkvds.a",
                "docs/man/man1/kvds.1",
                "docs/man/man3/kvds.3",
                "completions/kvds",
                "completions/_kvds",
                "completions/kvds.fish",
            ];
            for file in made {
                let file = target.path().join(file);
                fs::create_dir_all(file.parent().context("a directory")?)?;
                fs::write(&file, "built")?;
            }
            // Its runpath is replaced.
            let program = runpath::tests::program(target.path())?;
            fs::copy(program, target.path().join("release/kvds"))?;
            let project = Project { target: target.path().to_owned(), ..Project::find()? };
            Ok(Self { project, stage: tempfile::tempdir()?, _target: target })
        }

        fn directories(&self, prefix: &str) -> Directories {
            let destdir = self.stage.path().to_string_lossy().into_owned();
            let unset = || Some(String::new());
            let (bindir, libdir, includedir, datadir) = (None, None, unset(), None);
            Directories { prefix: prefix.to_owned(), bindir, libdir, includedir, datadir, destdir }
        }

        fn install(&self, prefix: &str) -> Result<()> {
            install(&self.project, &self.directories(prefix))
        }

        /// Returns every path in the directory, and the text of the list of files.
        fn contents(&self) -> Result<Vec<String>> {
            let mut paths = paths(self.stage.path(), "")?;
            for list in paths.clone().iter().filter(|path| path.ends_with("/kvds/installed")) {
                paths.push(project::read(&self.stage.path().join(list.trim_start_matches('/')))?);
            }
            Ok(paths)
        }

        fn path(&self, path: &str) -> PathBuf {
            self.stage.path().join(path)
        }
    }

    fn paths(directory: &Path, name: &str) -> Result<Vec<String>> {
        let mut found = vec![name.to_owned()];
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                found.extend(paths(&entry.path(), &inner)?);
            } else {
                found.push(inner);
            }
        }
        found.sort();
        Ok(found)
    }

    #[test]
    fn uninstalling_leaves_other_files() -> Result<()> {
        let fixture = Fixture::new()?;
        fs::create_dir_all(fixture.path("opt/k/lib/pkgconfig"))?;
        fs::create_dir_all(fixture.path("opt/k/share"))?;
        fs::write(fixture.path("opt/k/lib/pkgconfig/other.pc"), "")?;
        let before = fixture.contents()?;
        fixture.install("/opt/k")?;
        let version = fixture.project.version()?;
        for file in [&format!("lib/libkvds.so.{version}"), "include/kvds.h", "share/kvds/installed"]
        {
            let mode = fs::metadata(fixture.path("opt/k").join(file))?.mode() & 0o7777;
            assert_eq!(mode, 0o644, "{file}");
        }
        for path in ["include", "bin/kvds"] {
            assert_eq!(fs::metadata(fixture.path("opt/k").join(path))?.mode() & 0o777, 0o755);
        }
        uninstall(&fixture.directories("/opt/k"))?;
        assert_eq!(fixture.contents()?, before);
        let error = uninstall(&fixture.directories("/opt/k")).expect_err("nothing is there");
        assert!(error.to_string().contains("/opt/k/share/kvds/installed"), "{error}");
        Ok(())
    }

    #[test]
    fn installing_over_an_older_version_removes_its_other_files() -> Result<()> {
        let fixture = Fixture::new()?;
        fixture.install("/usr")?;
        let before = fixture.contents()?;
        fs::create_dir(fixture.path("usr/older"))?;
        fs::write(fixture.path("usr/older/libkvds.so.0.0.1"), "")?;
        let list = fixture.path("usr/share/kvds/installed");
        let text = project::read(&list)? + "/usr/older/libkvds.so.0.0.1\n";
        project::write(&list, &text)?;
        fixture.install("/usr")?;
        assert!(!fixture.path("usr/older/libkvds.so.0.0.1").exists(), "the older version is there");
        // This directory is not listed, as the installation did not create it.
        fs::remove_dir(fixture.path("usr/older"))?;
        assert_eq!(fixture.contents()?, before);
        Ok(())
    }

    /// Installing to /usr/local/ once removed the files in /usr/local, as the list had the same
    /// files under other names.
    #[test]
    fn different_paths_of_one_directory_are_equal() -> Result<()> {
        let fixture = Fixture::new()?;
        fixture.install("/usr/local")?;
        symlink("local", fixture.path("usr/link"))?;
        let before = paths(fixture.stage.path(), "")?;
        for same in ["/usr/local/", "//usr//local", "/usr/./local", "/usr/x/../local", "/usr/link"]
        {
            fixture.install(same)?;
            assert_eq!(paths(fixture.stage.path(), "")?, before, "PREFIX={same}");
        }
        uninstall(&fixture.directories("/usr/local/"))?;
        // The directory of the link was not empty.
        assert_eq!(fixture.contents()?, ["", "/usr", "/usr/link"]);
        Ok(())
    }

    #[test]
    fn two_installations_do_not_share_a_list() -> Result<()> {
        let fixture = Fixture::new()?;
        fixture.install("/usr/local")?;
        let before = fixture.contents()?;
        let mut other = fixture.directories("/opt/other");
        other.datadir = Some("/usr/local/share".to_owned());
        for result in [install(&fixture.project, &other), uninstall(&other)] {
            let error = result.expect_err("the list belongs to another installation").to_string();
            assert!(error.contains("PREFIX=/usr/local"), "{error}");
            assert_eq!(fixture.contents()?, before);
        }
        Ok(())
    }

    #[test]
    fn no_file_mentions_destdir() -> Result<()> {
        let fixture = Fixture::new()?;
        let mut directories = fixture.directories("/opt/k");
        directories.libdir = Some("/opt/k/lib64".to_owned());
        install(&fixture.project, &directories)?;
        let stage = fixture.stage.path().to_string_lossy().into_owned();
        for file in files(fixture.stage.path())? {
            let bytes = fs::read(fixture.path(&file))?;
            assert!(!String::from_utf8_lossy(&bytes).contains(&stage), "{file}");
        }
        let pc = project::read(&fixture.path("opt/k/lib64/pkgconfig/kvds.pc"))?;
        assert!(pc.contains("\nlibdir=${prefix}/lib64\n"), "{pc}");
        uninstall(&directories)?;
        assert_eq!(fixture.contents()?, [""]);
        Ok(())
    }

    #[test]
    fn an_error_names_the_missing_file() -> Result<()> {
        let fixture = Fixture::new()?;
        let library = fixture.project.target.join("package/libkvds.a");
        fs::remove_file(&library)?;
        let error = fixture.install("/usr").expect_err("the library is missing").to_string();
        assert!(error.contains(&library.display().to_string()), "{error}");
        let error = fixture.install("usr/local").expect_err("it is relative");
        assert!(error.to_string().contains("libkvds.a"), "{error}");
        Ok(())
    }

    #[test]
    fn the_program_looks_for_the_library_in_libdir() -> Result<()> {
        let fixture = Fixture::new()?;
        let runpath = |prefix: &str, libdir: Option<&str>| -> Result<Option<String>> {
            let mut directories = fixture.directories(prefix);
            directories.libdir = libdir.map(str::to_owned);
            Ok(Places::resolve(&directories)?.runpath())
        };
        assert_eq!(runpath("/opt/k", None)?.as_deref(), Some("$ORIGIN/../lib"));
        assert_eq!(runpath("/opt/k", Some("/opt/k/lib64"))?.as_deref(), Some("$ORIGIN/../lib64"));
        assert_eq!(runpath("/usr", Some("/usr/lib/x86_64-linux-gnu"))?, None);
        Ok(())
    }

    #[test]
    fn a_prefix_is_absolute_and_plain() {
        for wrong in ["usr/local", "", "/a b", "/a$b", "/a\nb"] {
            let error = normal("PREFIX", wrong).expect_err("it is not allowed").to_string();
            assert!(error.starts_with("PREFIX: "), "{error}");
        }
        assert_eq!(normal("PREFIX", "/../a//b/./c/..").ok().as_deref(), Some("/a/b"));
    }

    #[test]
    fn a_relative_path_leads_from_one_directory_to_another() {
        assert_eq!(relative("/usr/lib/cmake/kvds", "/usr/include"), "../../../include");
        assert_eq!(relative("/a", "/a/b"), "b");
    }
}
