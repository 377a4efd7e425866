//! Tests that the README is right: its program, the commands that link it, the examples, the links,
//! and the make targets.

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(name: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{name}"))
        .unwrap_or_else(|cause| panic!("{name} cannot be read: {cause}"))
}

/// Returns the code blocks of a Markdown text in `language`.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fences = text.split("```").collect::<Vec<_>>();
    assert!(fences.len() % 2 == 1, "every code block ends");
    let inside = fences.into_iter().skip(1).step_by(2);
    inside
        .filter_map(|block| block.split_once('\n').filter(|(mark, _)| *mark == language))
        .map(|(_, code)| code)
        .collect()
}

/// Makes a directory look like the repository after `make build`, with the library of this build.
fn imitate_repository(directory: &Path) {
    let release = directory.join("target/release");
    fs::create_dir_all(&release).expect("a directory can be made");
    let this = env::current_exe().expect("a test knows its executable");
    for library in ["libkvds.so", "libkvds.a"] {
        std::os::unix::fs::symlink(this.with_file_name(library), release.join(library))
            .expect("a link can be made");
    }
    std::os::unix::fs::symlink(format!("{ROOT}/include"), directory.join("include"))
        .expect("a link can be made");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let named =
        Command::new(cargo).args(["xtask", "uninstalled"]).arg(&release).current_dir(ROOT).output();
    succeeded("cargo xtask uninstalled", &named.expect("cargo can be run"));
}

fn succeeded(what: &str, output: &Output) {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}{err}", output.status);
}

/// Runs a line of the README in a shell, where `cc` is the compiler of this build.
fn run(directory: &Path, line: &str) -> Output {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let strict = "-std=c11 -Wall -Wextra -Wpedantic -Werror";
    let script = format!("set -e\ncc() {{ command {compiler} {strict} \"$@\"; }}\n{line}");
    // As if the library was installed.
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("PKG_CONFIG_PATH", "target/release")
        .current_dir(directory)
        .output();
    output.expect("sh can be run")
}

fn has_pkg_config() -> bool {
    Command::new("pkg-config").arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_readme_program_links_and_prints_as_shown() -> testkit::Result {
    let readme = read("README.md");
    let [program] = blocks(&readme, "c")[..] else { panic!("the README has one program") };
    assert_eq!(program, read("examples/c/quickstart.c"), "the README's program is an example");
    let [printed] = blocks(&readme, "text")[..] else { panic!("the README shows one output") };
    let commands = blocks(&readme, "sh").concat();
    let links: Vec<_> = commands.lines().filter(|line| line.starts_with("cc ")).collect();
    assert_eq!(
        links.len(),
        3,
        "the README shows how to link: plain, with pkg-config, and statically"
    );

    for link in links {
        if link.contains("pkg-config") && !has_pkg_config() {
            eprintln!("left out, as there is no pkg-config: {link}");
            continue;
        }
        let directory = testkit::temporary_directory()?;
        let directory = directory.path();
        imitate_repository(directory);
        fs::write(directory.join("app.c"), program)?;
        succeeded(link, &run(directory, link));

        let output = run(directory, "./app");
        if cfg!(feature = "disk") {
            succeeded(link, &output);
            assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{link}");
            assert!(directory.join("data/born").is_dir(), "the store is where the README says");
        } else {
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(
                !output.status.success() && told.contains("disk"),
                "the program says why it cannot work: {told}"
            );
        }
    }
    Ok(())
}

/// Runs the example of `make demo` on a text whose words are known.
#[test]
fn the_word_count_example_counts_words() -> testkit::Result {
    let directory = testkit::temporary_directory()?;
    let directory = directory.path();
    imitate_repository(directory);
    let link = "-Iinclude -Ltarget/release -lkvds -pthread -Wl,-rpath,\"$PWD/target/release\"";
    succeeded(
        "wordcount",
        &run(directory, &format!("cc \"{ROOT}/examples/c/wordcount.c\" {link} -o wordcount")),
    );

    let absent = run(directory, "./wordcount absent.txt");
    assert!(
        !absent.status.success() && String::from_utf8_lossy(&absent.stderr).contains("absent.txt")
    );

    fs::write(directory.join("one.txt"), "Regen, REGEN; regen und Rebe".repeat(1000))?;
    fs::write(directory.join("two.txt"), "blü-blü")?;
    fs::create_dir(directory.join("temporary"))?;
    let output = run(directory, "TMPDIR=temporary ./wordcount -p reg one.txt two.txt");
    let left = fs::read_dir(directory.join("temporary"))?.count();
    assert_eq!(left, 0, "it cleans up after itself, also when it fails");
    if cfg!(not(feature = "disk")) {
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("KVDS_UNSUPPORTED"), "{told}");
        return Ok(());
    }
    succeeded("wordcount", &output);
    let told =
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    // "reberegen" is where one of the thousand texts ends and the next begins.
    for expected in [
        "read 4003 words in 2 files",
        "1. 2001 regen 2. 1000 und 3. 999 reberegen 4. 2 blü 5. 1 rebe",
        "prefix: 2001 words, 1 distinct, begin with \"reg\"",
        "store 0, \"wordcount\" in memory, has died",
        "store 1, \"wordcount\" on disk, has died",
    ] {
        assert!(told.contains(expected), "{expected:?} is missing in: {told}");
    }

    succeeded(
        "wordcount -d",
        &run(directory, "./wordcount -d kept one.txt && ./wordcount -d kept two.txt"),
    );
    assert!(directory.join("kept/wordcount").is_dir(), "it keeps the store where it was told to");
    Ok(())
}

/// The other examples need no arguments and no disk. Each fails if what it shows is wrong.
#[test]
fn the_other_examples_succeed() -> testkit::Result {
    let directory = testkit::temporary_directory()?;
    let directory = directory.path();
    imitate_repository(directory);
    let link = "-Iinclude -Ltarget/release -lkvds -pthread -Wl,-rpath,\"$PWD/target/release\"";
    let entries = fs::read_dir(format!("{ROOT}/examples/c"))?;
    let sources = entries.map(|entry| entry.expect("the directory can be read").path());
    let programs =
        sources.filter(|path| path.extension().is_some_and(|extension| extension == "c"));
    let others = ["wordcount.c", "quickstart.c", "cluster_lock.c"];
    for source in programs.filter(|path| !others.iter().any(|other| path.ends_with(other))) {
        let source = source.display();
        let output = run(directory, &format!("cc \"{source}\" {link} -o example && ./example"));
        succeeded(&source.to_string(), &output);
        assert!(
            output.stderr.is_empty() && !output.stdout.is_empty(),
            "{source} tells what it did, and complains of nothing"
        );
    }
    Ok(())
}

/// Runs the example of `make cluster`, which fails if the lock is freed early or a late write
/// happens.
#[test]
fn the_cluster_example_survives_a_dead_owner() -> testkit::Result {
    if cfg!(not(feature = "cluster")) {
        return Ok(());
    }
    let Some(url) = testkit::etcd::shared_url(&testkit::etcd::fresh_namespace()) else {
        return Ok(());
    };
    let directory = testkit::temporary_directory()?;
    let directory = directory.path();
    imitate_repository(directory);
    let link = "-Iinclude -Ltarget/release -lkvds -pthread -Wl,-rpath,\"$PWD/target/release\"";
    let source = format!("{ROOT}/examples/c/cluster_lock.c");
    let line = format!("cc \"{source}\" {link} -o example && ./example \"{url}\"");
    let output = run(directory, &line);
    succeeded(&source, &output);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("fencing number 2") && told.contains("KVDS_MISMATCH"), "{told}");
    Ok(())
}

#[test]
fn links_and_make_targets_in_the_texts_exist() {
    let makefile = read("Makefile");
    for name in
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/cluster.md", "docs/reliability.md"]
    {
        let text = read(name);
        let directory = Path::new(ROOT).join(name);
        let directory = directory.parent().unwrap_or(&directory);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let found = link.starts_with("https://") || directory.join(link).exists();
            assert!(found, "{name} has a link to {link}, which does not exist");
        }
        // "make demo" at the start of a line or of a piece of code.
        for rest in text.split(['`', '\n']).filter_map(|piece| piece.strip_prefix("make ")) {
            let target = rest.split_whitespace().next().unwrap_or_default();
            let found = makefile.contains(&format!("\n{target}: "));
            assert!(found, "{name} names `make {target}`, which is not in the Makefile");
        }
    }
}

/// `docs/reliability.md` names a test for each promise.
#[test]
fn every_test_that_reliability_names_exists() {
    let text = read("docs/reliability.md");
    let pieces: Vec<&str> = text.split('`').collect();
    let mut tests = 0;
    for (before, name) in pieces.iter().zip(&pieces[1..]).step_by(2) {
        let path = if before.trim_end().ends_with("fuzz target") {
            format!("fuzz/fuzz_targets/{name}.rs")
        } else if ["tests/", "ctests/", "src/"].iter().any(|start| name.starts_with(start)) {
            (*name).to_owned()
        } else if name.ends_with(".c") || name.ends_with(".cpp") {
            // A list names the directory once.
            format!("ctests/{name}")
        } else {
            continue;
        };
        assert!(Path::new(ROOT).join(&path).exists(), "{path}, which shows a promise, is missing");
        tests += 1;
    }
    assert!(tests > 30, "the table was not found");
}

#[test]
fn the_readme_names_the_rust_version_of_the_manifest() -> testkit::Result {
    let readme = read("README.md");
    let manifest = read("Cargo.toml");
    let needed = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .expect("the manifest says it");
    assert!(readme.contains(&format!("Rust {} or later", needed.trim_matches('"'))));
    Ok(())
}
