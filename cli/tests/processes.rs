//! What other processes and the system do to the program: locks, signals, pipes and permissions.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use common::{LIMIT, is_root, kvds, run, signal};

/// A store with the key `a`.
fn store() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), "s set a 1 --create").0, 0);
    dir
}

/// A process that has the store open for writing until its input ends.
fn writer(dir: &Path) -> Child {
    let mut writer = kvds(dir, "s load").spawn().unwrap();
    // More than two batches, so that the store shows that the process has it open.
    let mut lines = String::new();
    for number in 0..2500 {
        lines += &format!("{{\"key\":\"n{number:04}\",\"value\":\"x\"}}\n");
    }
    writer.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    let start = Instant::now();
    while !run(dir, "s get n1999 -q").1.contains('x') {
        assert!(start.elapsed() < LIMIT, "the writer does not begin");
    }
    writer
}

#[test]
fn beside_a_writer_one_can_read_and_not_write() {
    let dir = store();
    let dir = dir.path();
    let mut writer = writer(dir);
    let process = format!("process {} (kvds)", writer.id());
    for (command, stdout) in [("get a", "1"), ("scan a", "a\t1\n"), ("ttl a", "never\n")] {
        let (code, out, err) = run(dir, &format!("s {command}"));
        assert_eq!((code, out.as_str()), (0, stdout));
        assert_eq!(err, format!("kvds: {process} has s open; reading beside it\n"));
        assert_eq!(run(dir, &format!("s {command} --quiet")).2, "");
    }
    let commands = [
        "set a 2",
        "del a",
        "add n",
        "cas a 1 2",
        "load /dev/null",
        "ttl a 5s",
        "compact",
        "destroy --yes",
    ];
    for command in commands {
        let (code, out, err) = run(dir, &format!("s {command}"));
        assert_eq!((code, out.as_str()), (3, ""), "{command}");
        let expected = format!("kvds: {process} has s open, and only one at a time can write it\n");
        assert_eq!(err, expected, "{command}");
    }
    let stat = run(dir, "s stat --json").1;
    let expected = format!("\"writer\":{},\"writer_name\":\"kvds\"", writer.id());
    assert!(stat.contains(&expected), "{stat}");
    // The writer has counted what it has written up to now.
    let written = number(&stat, "writer_writes").unwrap_or_else(|| panic!("{stat}"));
    assert!((2000.0..=2500.0).contains(&written), "{stat}");
    assert_eq!(run(dir, "s checkpoint copy").0, 0);
    assert_eq!(run(dir, "copy/ get a").1, "1");
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
    assert_eq!(run(dir, "s count"), (0, "2501\n".to_owned(), String::new()));
}

/// Ends a job by a signal. Returns how many pairs it says that it wrote, and the command that
/// continues it.
fn interrupt(mut job: Child, name: &str, done: &str, again: &str) -> (u32, String) {
    signal(&job, name);
    assert_eq!(job.wait().unwrap().code(), Some(130));
    let mut text = String::new();
    job.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    let (count, advice) = text
        .strip_prefix(&format!("kvds: interrupted; {done} "))
        .and_then(|text| text.split_once(" pairs; to continue, run"))
        .unwrap_or_else(|| panic!("{text}"));
    let command = advice.strip_prefix(again).and_then(|text| text.strip_prefix(": "));
    (count.parse().unwrap(), command.unwrap_or_else(|| panic!("{text}")).trim_end().to_owned())
}

#[test]
fn an_interrupted_load_says_what_it_did_and_leaves_the_store_whole() {
    for name in ["INT", "TERM"] {
        let dir = store();
        let writer = writer(dir.path());
        let (loaded, command) = interrupt(writer, name, "loaded", " this with the same input");
        assert!(command.ends_with("kvds s load --resume"), "{command}");
        // The signal may come before the program has read all lines.
        assert!((1000..=2500).contains(&loaded), "{loaded}");
        assert_eq!(run(dir.path(), "s count").1, format!("{}\n", loaded + 1));
    }
}

/// Sets `count` more keys of a store.
fn fill(dir: &Path, count: u32) {
    let mut load = kvds(dir, "s load").spawn().unwrap();
    let mut input = BufWriter::new(load.stdin.take().unwrap());
    for number in 0..count {
        writeln!(input, "{{\"key\":\"{number}\",\"value\":\"a value\"}}").unwrap();
    }
    drop(input);
    assert!(load.wait().unwrap().success());
}

/// Returns the size of the write-ahead logs of a store: 0 before its first write.
fn wal_bytes(store: &Path) -> u64 {
    let Ok(files) = fs::read_dir(store) else { return 0 };
    let logs = files.flatten().filter(|file| file.path().extension() == Some("log".as_ref()));
    logs.map(|log| log.metadata().map_or(0, |log| log.len())).sum()
}

#[test]
fn an_interrupted_copy_is_continued_by_the_command_that_it_names() {
    let dir = store();
    let dir = dir.path();
    fill(dir, 200_000);
    let resumed = "that the store has already";
    let program = format!("{} s ", assert_cmd::cargo::cargo_bin!("kvds").display());
    let cases = [
        ("INT", "copy a --create", "copy a --create --resume", resumed),
        ("TERM", "copy b --create", "copy b --create --resume", resumed),
        ("INT", "copy c --create --if-absent", "copy c --create --if-absent", "that exist"),
        ("INT", "shell < copy d --create", "copy d --create --resume", resumed),
    ];
    for (name, arguments, again, why) in cases {
        let (arguments, line) = arguments.split_once(" < ").unwrap_or((arguments, ""));
        let mut copy = kvds(dir, &format!("s {arguments}")).spawn().unwrap();
        writeln!(copy.stdin.take().unwrap(), "{line}").unwrap();
        let other = again.split(' ').nth(1).unwrap();
        let start = Instant::now();
        while wal_bytes(&dir.join(other)) == 0 {
            assert!(start.elapsed() < LIMIT, "the copy does not begin");
        }
        let (copied, command) = interrupt(copy, name, "copied", "");
        let start = if line.is_empty() { program.as_str() } else { "" };
        assert_eq!(command, format!("{start}{again}"));
        let text = run(dir, &format!("s {again}")).2;
        let left = 200_001 - copied;
        // A slow machine shows the progress before.
        let last = text.lines().last().unwrap();
        assert_eq!(last, format!("kvds: copied {left} pairs, left out {copied} {why}"));
        assert_eq!(run(dir, &format!("s diff {other}")), (0, String::new(), String::new()));
    }
}

#[test]
fn an_interrupted_dump_leaves_no_file() {
    let dir = store();
    fill(dir.path(), 400_000);
    let mut dump = kvds(dir.path(), "s dump out").spawn().unwrap();
    let start = Instant::now();
    while fs::read_dir(dir.path()).unwrap().count() < 2 {
        assert!(start.elapsed() < LIMIT, "the dump does not begin");
    }
    signal(&dump, "INT");
    assert_eq!(dump.wait().unwrap().code(), Some(130));
    // Only the store is there, and no part of a dump.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_killed_load_leaves_the_store_whole() {
    let dir = store();
    let mut writer = writer(dir.path());
    signal(&writer, "KILL");
    writer.wait().unwrap();
    let (code, count, err) = run(dir.path(), "s count");
    assert_eq!((code, err.as_str()), (0, ""));
    // The batches of 1,000 pairs that were written.
    assert_eq!(count, "2001\n");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let dir = store();
    drop(writer(dir.path()).wait_with_output().unwrap());
    // A code of 0 would say that the stores are equal, or that a script has run to its end.
    for command in ["scan", "dump", "keys -d 9", "scan --json", "diff none/", "get a no", "shell"] {
        if command.starts_with("diff") {
            assert_eq!(run(dir.path(), "none/ set x y --create").0, 0);
        }
        let mut child = kvds(dir.path(), &format!("s {command} --quiet")).spawn().unwrap();
        drop(child.stdout.take());
        let _ = child.stdin.take().unwrap().write_all(b"scan\nset mark 1\n");
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let signal = output.status.signal();
        assert_eq!((signal, text.as_str()), (Some(libc::SIGPIPE), ""), "{command}");
    }
    assert_eq!(run(dir.path(), "s exists mark").0, 1);
}

#[test]
fn a_watch_shows_what_another_process_writes() {
    let dir = store();
    let mut watch = kvds(dir.path(), "s watch --interval 50ms -n 3 --quiet").spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // The first reading must come before the writes.
    thread::sleep(Duration::from_millis(1000));
    for (write, change) in [("set b 2", "set\tb\t2"), ("set a 3", "set\ta\t3"), ("del b", "del\tb")]
    {
        assert_eq!(run(dir.path(), &format!("s {write}")).0, 0);
        assert_eq!(lines.next().unwrap().unwrap(), change);
    }
    assert!(watch.wait().unwrap().success());

    let mut watch = kvds(dir.path(), "s watch").spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    signal(&watch, "INT");
    assert!(watch.wait().unwrap().success());
}

/// Writes a line to a shell, and returns the line that it writes.
fn ask(shell: &mut Child, lines: &mut impl Iterator<Item = std::io::Result<String>>) -> String {
    shell.stdin.as_mut().unwrap().write_all(b"get a\n").unwrap();
    lines.next().unwrap().unwrap()
}

#[test]
fn a_shell_keeps_its_store_open() {
    let dir = store();
    let dir = dir.path();
    let mut shell = kvds(dir, "s shell").spawn().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    assert_eq!(ask(&mut shell, &mut lines), "1");
    let process = format!("process {} (kvds)", shell.id());
    let (code, _, err) = run(dir, "s set a 2");
    assert_eq!(code, 3);
    assert_eq!(err, format!("kvds: {process} has s open, and only one at a time can write it\n"));
    // A second shell reads beside the first.
    let mut second = kvds(dir, "s shell").spawn().unwrap();
    let mut second_lines = BufReader::new(second.stdout.take().unwrap()).lines();
    assert_eq!(ask(&mut second, &mut second_lines), "1");
    drop(second.stdin.take());
    let mut text = String::new();
    second.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("kvds: {process} has s open; reading beside it\n"));
    assert!(second.wait().unwrap().success());
    drop(shell.stdin.take());
    assert!(shell.wait().unwrap().success());
    assert_eq!(run(dir, "s set a 2").0, 0);
}

#[test]
fn a_shell_for_reading_only_lets_others_write() {
    let dir = store();
    let dir = dir.path();
    let mut shell = kvds(dir, "s shell --read-only").spawn().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    assert_eq!(ask(&mut shell, &mut lines), "1");
    assert_eq!(run(dir, "s set a 2").0, 0);
    assert_eq!(ask(&mut shell, &mut lines), "2");
    shell.stdin.take().unwrap().write_all(b"set a 3\nget a\n").unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text, "kvds: standard input, line 3: this shell opens s for reading only\n");
}

#[test]
fn a_signal_ends_a_shell_without_a_terminal() {
    for (line, code) in [("watch\n", Some(130)), ("load\n", Some(130)), ("", None)] {
        let dir = store();
        let mut shell = kvds(dir.path(), "s shell --read-only").spawn().unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        assert_eq!(ask(&mut shell, &mut lines), "1");
        shell.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        // A command handles the signal. While the shell waits for a line, the system ends it.
        let start = Instant::now();
        while handles_interrupts(&shell) != code.is_some() {
            assert!(start.elapsed() < LIMIT, "{line}");
        }
        signal(&shell, "INT");
        assert_eq!(shell.wait().unwrap().code(), code, "{line}");
        assert_eq!(run(dir.path(), "s get a").1, "1");
    }
}

/// Returns whether a process has a handler for SIGINT.
fn handles_interrupts(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 0b10 != 0
}

#[test]
fn an_interrupted_bench_deletes_its_store() {
    for name in ["INT", "TERM"] {
        let dir = store();
        let mut bench = kvds(dir.path(), "s bench --seconds 60s").spawn().unwrap();
        let names = || fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let start = Instant::now();
        while !names().any(|name| name.to_string_lossy().starts_with("kvds-bench-")) {
            assert!(start.elapsed() < LIMIT, "the bench does not begin");
        }
        signal(&bench, name);
        assert_eq!(bench.wait().unwrap().code(), Some(130));
        assert_eq!(names().collect::<Vec<_>>(), ["s"]);
    }
}

#[test]
fn top_shows_a_writer() {
    let dir = store();
    let writer = writer(dir.path());
    let (code, out, _) = run(dir.path(), "s top --json -n 2 --interval 100ms");
    assert_eq!((code, out.lines().count()), (0, 2), "{out}");
    let second = out.lines().nth(1).unwrap();
    let expected = format!("\"writer\":{}", writer.id());
    for text in [
        &expected,
        "writer_cpu_percent",
        "writer_memory_bytes",
        "wal_bytes_per_s",
        "reads_per_s",
        "running_compactions",
    ] {
        assert!(second.contains(text), "{text}: {second}");
    }
    drop(writer.wait_with_output().unwrap());
}

#[test]
fn top_shows_what_the_writer_does() {
    let dir = store();
    let mut writer = kvds(dir.path(), "s shell").spawn().unwrap();
    let mut input = writer.stdin.take().unwrap();
    let mut top = kvds(dir.path(), "s top --json -n 100000 --interval 20ms").spawn().unwrap();
    let mut readings = BufReader::new(top.stdout.take().unwrap()).lines();
    let start = Instant::now();
    let mut rounds = 0.0;
    let (mut hits, mut written) = (false, false);
    while !hits || !written {
        input.write_all(b"set a 2\nget a\nget nothing\n").unwrap();
        rounds += 1.0;
        let reading = readings.next().unwrap().unwrap();
        hits |= number(&reading, "hit_percent").is_some();
        written |= number(&reading, "writes_per_s").is_some_and(|rate| rate > 0.0);
        assert!(start.elapsed() < LIMIT, "{reading}");
    }
    top.kill().unwrap();
    top.wait().unwrap();
    let counts = ["writer_writes", "writer_hits", "writer_reads"];
    loop {
        let stat = run(dir.path(), "s stat --json").1;
        if counts.map(|name| number(&stat, name)) == [1.0, 1.0, 2.0].map(|each| Some(each * rounds))
        {
            break;
        }
        assert!(start.elapsed() < LIMIT, "after {rounds} rounds: {stat}");
    }
    drop(input);
    writer.wait_with_output().unwrap();
}

/// Returns the number that a member of a JSON object has.
fn number(json: &str, name: &str) -> Option<f64> {
    let value = json.split(&format!("\"{name}\":")).nth(1)?;
    value.split([',', '}']).next()?.parse().ok()
}

/// Runs `top` on a terminal, which `script` is. Returns its exit code and what it drew.
///
/// `end` is called with the process id of `top` after the first reading.
fn top_on_terminal(dir: &Path, end: impl Fn(&mut Child, &str)) -> (Option<i32>, String) {
    let mut child = on_terminal(dir, "s top").spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut drawn = Vec::new();
    let mut buffer = [0; 4096];
    let mut sent = false;
    let text = loop {
        let length = output.read(&mut buffer).unwrap();
        drawn.extend_from_slice(&buffer[..length]);
        // The title is drawn first, and the label after the first reading.
        let text = String::from_utf8_lossy(&drawn).into_owned();
        if !sent && text.contains("pending") {
            let pid = text.split("pid=").nth(1).and_then(|rest| rest.lines().next());
            end(&mut child, pid.unwrap().trim());
            sent = true;
        }
        if length == 0 {
            break text;
        }
    };
    (child.wait().unwrap().code(), text)
}

/// Returns a command that runs `kvds` on a terminal and writes its process id.
fn on_terminal(dir: &Path, arguments: &str) -> Command {
    let program = assert_cmd::cargo::cargo_bin!("kvds").display();
    let line = format!("stty rows 30 cols 100; echo pid=$$; exec {program} {arguments}");
    let mut command = Command::new("timeout");
    command
        .args(["60", "script", "-qefc", &line, "/dev/null"])
        .current_dir(dir)
        .env("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR"))
        .env("KVDS_BASE", ".")
        .env("NO_COLOR", "1")
        .env_remove("KVDS_CLUSTER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

#[test]
fn top_restores_the_terminal() {
    let dir = store();
    let press = |keys: &str, child: &mut Child| {
        child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    };
    // More signals come before the terminal is restored, and the last ones may be too late.
    let kill = |signal: &str, pid: &str| {
        let line = format!("for i in 1 2 3 4 5 6 7 8; do kill {signal} {pid} || exit 0; done");
        assert!(Command::new("sh").args(["-c", &line]).output().unwrap().status.success());
    };
    // Ctrl-C is a key in raw mode.
    let keys = ["q", "?p+-?q", "\u{3}"].map(|keys| (keys, false));
    let signals = ["-INT", "-TERM", "-HUP"].map(|signal| (signal, true));
    for (how, is_signal) in keys.into_iter().chain(signals) {
        let (code, text) = top_on_terminal(dir.path(), |child, pid| match is_signal {
            true => kill(how, pid),
            false => press(how, child),
        });
        assert_eq!(code, Some(0), "{how}: {text}");
        // The alternate screen begins and ends, and the cursor is shown at the end.
        assert!(text.contains("\u{1b}[?1049h") && text.contains("\u{1b}[1ms\u{1b}"), "{text}");
        let [screen, cursor] = ["\u{1b}[?1049l", "\u{1b}[?25h"].map(|code| text.rfind(code));
        assert!(screen.is_some() && cursor.is_some(), "{how}: {text}");
        assert!(cursor > text.rfind("\u{1b}[?25l"), "{how}: {text}");
        assert!(!text.contains("[38;5;"), "{text}");
    }
}

#[test]
fn a_bench_on_a_terminal_shows_the_part_that_runs() {
    let dir = store();
    let output = on_terminal(dir.path(), "bench --seconds 400ms").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    for part in ["set_sequential", "get_hit"] {
        assert!(text.contains(&format!(" {part}: 0s of 400ms")), "{text}");
        // The figures stand at the begin of a line that was cleared.
        assert!(text.contains(&format!("\u{1b}[2K{part} ")), "{text}");
    }
}

#[test]
fn what_another_user_may_not_do() {
    let dir = store();
    let path = dir.path();
    let is_root = is_root();
    let open = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(path, open(0o755)).unwrap();
    // Root may do everything, so the command runs as another user.
    let other = |arguments: &str| {
        let mut command = kvds(path, arguments);
        if is_root {
            command.uid(65534).gid(65534);
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    if is_root {
        // The program and the library may lie where only root can read.
        let program = assert_cmd::cargo::cargo_bin!("kvds");
        let mut version = Command::new(program);
        version.arg("--version").env("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR"));
        if !version.uid(65534).output().is_ok_and(|output| output.status.success()) {
            return;
        }
    } else {
        fs::set_permissions(path.join("s"), open(0o555)).unwrap();
    }
    assert_eq!(other("s get a"), (Some(0), String::new()));
    let (code, text) = other("s set a 2");
    assert_eq!(code, Some(3));
    assert!(text.contains("ermission denied"), "{text}");
    fs::set_permissions(path.join("s"), open(0o000)).unwrap();
    let (code, text) = other("s get a");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("ermission denied"), "{text}");
    let (code, text) = other("s dump out.json");
    assert_eq!(code, Some(3), "{text}");
    fs::set_permissions(path.join("s"), open(0o755)).unwrap();
}
