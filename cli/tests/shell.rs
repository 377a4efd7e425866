//! The shell on a terminal: what is on its screen after which keys.

use std::fs;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

/// How long a test waits at most for something that happens at once.
const LIMIT: Duration = Duration::from_secs(30);

const UP: &str = "\x1b[A";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A terminal with a shell in it.
struct Terminal {
    screen: Arc<Mutex<vt100::Parser<Replies>>>,
    /// All that the shell wrote.
    written: Arc<Mutex<Vec<u8>>>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
}

/// Replies to the question where the cursor is, which the editor asks.
struct Replies(Arc<Mutex<Box<dyn Write + Send>>>);

impl vt100::Callbacks for Replies {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        _: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        kind: char,
    ) {
        if kind == 'n' && parameters == [[6]] {
            let (row, column) = screen.cursor_position();
            let reply = format!("\x1b[{};{}R", row + 1, column + 1);
            self.0.lock().unwrap().write_all(reply.as_bytes()).unwrap();
        }
    }
}

impl Terminal {
    /// Runs `kvds` in a terminal of 24 lines.
    fn start(dir: &Path, arguments: &str, environment: &[(&str, &str)]) -> Terminal {
        let [rows, columns] = [24, 100].map(|size| NonZero::new(size).unwrap());
        let size =
            PtySize { rows: rows.get(), cols: columns.get(), pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(assert_cmd::cargo::cargo_bin!("kvds"));
        command.args(arguments.split_whitespace());
        command.cwd(dir);
        for (name, value) in [
            ("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR")),
            ("KVDS_BASE", "."),
            ("TERM", "xterm-256color"),
            ("NO_COLOR", ""),
            ("XDG_STATE_HOME", dir.join("state").to_str().unwrap()),
        ] {
            command.env(name, value);
        }
        command.env_remove("KVDS_CLUSTER");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let writer = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let parser = vt100::Parser::new_with_callbacks(rows, columns, 0, Replies(writer.clone()));
        let screen = Arc::new(Mutex::new(parser));
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (parser, bytes) = (screen.clone(), written.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of the shell ends the loop.
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                bytes.lock().unwrap().extend_from_slice(&buffer[..len]);
                parser.lock().unwrap().process(&buffer[..len]);
            }
        });
        Terminal { screen, written, writer, master: pair.master, child }
    }

    fn keys(&self, keys: &str) {
        self.writer.lock().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Returns the lines of the screen, without the empty ones.
    fn lines(&self) -> Vec<String> {
        let text = self.screen.lock().unwrap().screen().contents();
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// Waits until the last lines of the screen are `expected`.
    fn expect(&self, expected: &[&str]) {
        let start = Instant::now();
        while !self
            .lines()
            .ends_with(&expected.iter().map(|&line| line.to_owned()).collect::<Vec<_>>())
        {
            let text = self.lines().join("\n");
            assert!(start.elapsed() < LIMIT, "expected:\n{}\nactual:\n{text}", expected.join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the screen has `text`.
    fn expect_text(&self, text: &str) {
        let start = Instant::now();
        while !self.lines().join("\n").contains(text) {
            let screen = self.lines().join("\n");
            assert!(start.elapsed() < LIMIT, "expected {text:?}, actual:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end of the shell, and returns its exit code.
    fn wait(&mut self) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(start.elapsed() < LIMIT, "the shell does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns whether the terminal echoes and waits for lines, as before the shell.
    fn is_restored(&self) -> bool {
        let modes = self.master.get_termios().unwrap().local_flags.bits();
        modes & libc::ECHO != 0 && modes & libc::ICANON != 0
    }
}

fn kvds(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("kvds"))
        .args(arguments)
        .current_dir(dir)
        .env("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR"))
        .env("KVDS_BASE", ".")
        .env_remove("KVDS_CLUSTER")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory with the store "born".
fn born() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    kvds(dir.path(), &["born", "set", "ada", "1815", "--create"]);
    for (key, value) in [("alan", "1912"), ("it's me", "x"), ("a\\x00b", "y")] {
        kvds(dir.path(), &["born", "set", key, value]);
    }
    dir
}

#[test]
fn a_session() {
    let dir = born();
    let mut shell = Terminal::start(dir.path(), "born shell", &[]);
    shell.expect(&["born>"]);
    // Tab completes a command, a key, and a key that needs quotes.
    shell.keys("sc\t");
    shell.expect(&["born> scan"]);
    shell.keys("al\t\r");
    shell.expect(&["born> scan alan", "alan    1912", "born>"]);
    shell.keys("get it\t\r");
    shell.expect(&["born> get \"it's me\"", "x", "born>"]);
    shell.keys("get 'it\t");
    shell.expect(&["born> get \"it's me\""]);
    shell.keys("\r");
    shell.expect(&["born> get \"it's me\"", "x", "born>"]);
    // Of several, it completes what they have in common and shows them.
    shell.keys("get a\t");
    shell.expect_text("a\\x00b");
    shell.expect_text("alan");
    // The editor drops what is typed together with Ctrl-C.
    shell.keys(CTRL_C);
    shell.expect(&["born> get a", "born>"]);
    shell.keys("get a\\x00\t\r");
    shell.expect(&["born> get a\\x00b", "y", "born>"]);
    // A line that is not complete continues.
    shell.keys("set lines \"a\r");
    shell.expect(&["born> set lines \"a", "...>"]);
    shell.keys("b\" \\\r");
    shell.expect(&["born> set lines \"a", "...> b\" \\", "...>"]);
    shell.keys("\r");
    shell.expect(&["...>", "born>"]);
    shell.keys("get lines\r");
    shell.expect(&["born> get lines", "a\\nb", "born>"]);
    // Pasted lines are edited together, and run one after the other.
    shell.keys("\x1b[200~get ada\nget alan\x1b[201~");
    shell.expect(&["born> get ada", "...> get alan"]);
    shell.keys("\r");
    shell.expect(&["...> get alan", "1815", "1912", "born>"]);
    // An error does not end the shell, and neither does Ctrl-C.
    shell.keys("get\r");
    shell.expect_text("error: the following required arguments were not provided:");
    shell.expect_text("Usage: get <KEY>...");
    shell.keys("nonsense");
    shell.expect(&["born> nonsense"]);
    shell.keys(CTRL_C);
    shell.expect(&["born> nonsense", "born>"]);
    shell.keys("set key -\r");
    shell.expect(&["born> set key -"]);
    // The shell has handed the terminal to the command when it is back in its normal mode.
    let start = Instant::now();
    while !shell.is_restored() {
        assert!(start.elapsed() < LIMIT);
    }
    shell.keys(CTRL_C);
    shell.expect(&["^Ckvds: interrupted", "born>"]);
    shell.keys(CTRL_D);
    assert_eq!(shell.wait(), 0);
    assert!(shell.is_restored());
    assert_eq!(kvds(dir.path(), &["born", "get", "lines"]), "a\nb");
}

#[test]
fn history_of_two_shells() {
    let dir = born();
    let mut first = Terminal::start(dir.path(), "born shell", &[]);
    first.expect(&["born>"]);
    first.keys("get alan\r");
    first.expect(&["1912", "born>"]);
    first.keys(" get ada\r");
    first.expect(&["1815", "born>"]);
    // A killed shell has written each line.
    first.child.kill().unwrap();
    first.wait();
    let file = dir.path().join("state/kvds/history");
    assert_eq!(fs::read_to_string(&file).unwrap(), "get alan\n");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let directory = file.parent().unwrap().metadata().unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);

    let mut second = Terminal::start(dir.path(), "born shell", &[]);
    second.expect(&["born>"]);
    second.keys(UP);
    second.expect(&["born> get alan"]);
    second.keys("\r");
    second.expect(&["born> get alan", "1912", "born>"]);
    second.keys(".history\r");
    second.expect(&["born> .history", "get alan", ".history", "born>"]);
    second.keys(".quit\r");
    assert_eq!(second.wait(), 0);
}

#[test]
fn without_a_place_for_the_history() {
    let dir = born();
    fs::write(dir.path().join("state"), "no directory").unwrap();
    let mut shell = Terminal::start(dir.path(), "born shell", &[]);
    shell.expect(&["born>"]);
    shell.keys("get ada\r");
    shell.expect(&["1815", "born>"]);
    shell.keys(UP);
    shell.expect(&["born> get ada"]);
    shell.keys(CTRL_C);
    shell.expect(&["born> get ada", "born>"]);
    shell.keys(CTRL_D);
    assert_eq!(shell.wait(), 0);
}

#[test]
fn beside_a_writer_the_shell_reads() {
    let dir = born();
    let writer = Terminal::start(dir.path(), "born shell", &[]);
    writer.expect(&["born>"]);
    let mut reader = Terminal::start(dir.path(), "born shell", &[]);
    reader.expect(&["born (read-only)>"]);
    reader.expect_text("(kvds) has born open; reading beside it");
    // Each command sees what the other process wrote.
    writer.keys("set ada 1816\r");
    writer.expect(&["born> set ada 1816", "born>"]);
    reader.keys("get ada\r");
    reader.expect(&["born (read-only)> get ada", "1816", "born (read-only)>"]);
    reader.keys("set ada 1817\r");
    reader.expect_text("only one at a time can write it");
    // A watch ends with Ctrl-C, and the shell does not.
    reader.keys("watch --interval 50ms\r");
    reader.expect(&["born (read-only)> watch --interval 50ms"]);
    let start = Instant::now();
    while !reader.lines().concat().contains("visits") {
        assert!(start.elapsed() < LIMIT, "the watch shows no change");
        // A write that comes before the first reading is no change.
        writer.keys("add visits\r");
        thread::sleep(Duration::from_millis(200));
    }
    reader.keys(CTRL_C);
    reader.expect(&["born (read-only)>"]);
    // The store can be written after the writer has ended.
    writer.keys(CTRL_D);
    let mut writer = writer;
    assert_eq!(writer.wait(), 0);
    reader.keys("set ada 1817\r");
    reader.expect(&["born (read-only)> set ada 1817", "born>"]);
    reader.keys("get ada\r");
    reader.expect(&["born> get ada", "1817", "born>"]);
    reader.keys(CTRL_D);
    assert_eq!(reader.wait(), 0);
}

#[test]
fn a_signal_restores_the_terminal() {
    let dir = born();
    let mut shell = Terminal::start(dir.path(), "born shell", &[]);
    shell.expect(&["born>"]);
    let pid = shell.child.process_id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(shell.wait(), 130);
    assert!(shell.is_restored());
}

/// The editor read the end of its input again and again, in a process without a terminal.
#[test]
fn the_shell_ends_with_its_terminal() {
    let dir = born();
    let kvds = format!("{} born shell", assert_cmd::cargo::cargo_bin!("kvds").display());
    // The program `script` has the other end of the terminal, and is killed.
    let mut script = Command::new("script")
        .args(["--quiet", "--command", &format!("exec {kvds}"), "/dev/null"])
        .current_dir(dir.path())
        .envs([("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR")), ("KVDS_BASE", "."), ("TERM", "xterm")])
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .env_remove("KVDS_CLUSTER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = script.stdout.take().unwrap();
    let mut first = [0];
    output.read_exact(&mut first).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", script.id());
    let shell = fs::read_to_string(children).unwrap().trim().to_owned();
    assert!(!shell.is_empty());
    script.kill().unwrap();
    script.wait().unwrap();
    let start = Instant::now();
    // A process that has ended may wait for its new parent.
    while fs::read_to_string(format!("/proc/{shell}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
    {
        assert!(start.elapsed() < LIMIT, "process {shell} does not end");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn colors_only_where_they_are_wanted() {
    let dir = born();
    // Returns what the shell writes, up to the end.
    let written = |environment: &[(&str, &str)]| {
        let mut shell = Terminal::start(dir.path(), "born shell", environment);
        shell.expect(&["born>"]);
        shell.keys("get 'ada'\r");
        shell.expect(&["1815", "born>"]);
        shell.keys(CTRL_D);
        assert_eq!(shell.wait(), 0);
        String::from_utf8_lossy(&shell.written.lock().unwrap()).into_owned()
    };
    let yellow = "\x1b[33m'ada'";
    assert!(written(&[]).contains(yellow));
    let plain = written(&[("NO_COLOR", "1")]);
    // Sequences that end with "m" and have parameters other than 0 set colors.
    let colors = plain.split("\x1b[").skip(1).filter(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != ';');
        end.is_some_and(|end| rest[end..].starts_with('m') && !matches!(&rest[..end], "" | "0"))
    });
    assert_eq!(colors.count(), 0, "{plain:?}");
    let dumb = written(&[("TERM", "dumb")]);
    assert!(!dumb.contains('\x1b'), "{dumb:?}");
}

#[test]
fn a_dumb_terminal_has_lines_and_prompts() {
    let dir = born();
    let mut shell = Terminal::start(dir.path(), "born shell", &[("TERM", "dumb")]);
    shell.expect(&["born>"]);
    shell.keys("get \\\r");
    shell.expect(&["born> get \\", "...>"]);
    shell.keys("ada\r");
    shell.expect(&["...> ada", "1815", "born>"]);
    shell.keys("set \"a");
    shell.expect(&["born> set \"a"]);
    shell.keys(CTRL_C);
    shell.expect_text("^C\nborn>");
    shell.keys("get alan\r");
    shell.expect(&["born> get alan", "1912", "born>"]);
    shell.keys(CTRL_D);
    assert_eq!(shell.wait(), 0);
}
