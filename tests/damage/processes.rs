//! Runs cases in child processes.
//!
//! A child gets its orders in a file: the directory of the undamaged store, and a list of cases. It
//! writes a line when it begins a case and one when it ends it. If it crashes or hangs, the last
//! line names the case, and the next child continues after it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::case::Case;
use super::check_store::{Detected, Known, check_store};
use super::fixture::{Fixture, copy, temporary_directory};

/// The result of a case.
#[derive(Clone, Debug)]
pub enum Verdict {
    Detected(Detected),
    Wrong(String),
}

impl Verdict {
    pub fn column(&self) -> &'static str {
        match self {
            Verdict::Detected(Detected::Opening) => "detected at opening",
            Verdict::Detected(Detected::Reading) => "detected at reading",
            Verdict::Detected(Detected::Working) => "detected at working",
            Verdict::Detected(Detected::Never) => "harmless",
            Verdict::Wrong(_) => "WRONG",
        }
    }
}

/// A case takes milliseconds. One that takes this long hangs, however slow the machine is.
const FOR_EVER: Duration = Duration::from_secs(300);

/// How many cases a child gets.
const AT_ONCE: usize = 100;

/// How many children run at the same time.
const PROCESSES: usize = 2;

/// Runs all cases in children that run the test `name` of this program. The variable `orders` names
/// the file of their orders.
pub fn in_processes(fixture: &Fixture, cases: &[Case], orders: &str, name: &str) -> Vec<Verdict> {
    let batches: Vec<&[Case]> = cases.chunks(AT_ONCE).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![Vec::new(); batches.len()]);
    thread::scope(|scope| {
        for _ in 0..PROCESSES {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    let Some(batch) = batches.get(index) else { return };
                    let verdicts = check_batch(fixture, batch, orders, name);
                    let mut done = done.lock().expect("no thread panicked");
                    done[index] = verdicts;
                    if batches.len() > 8 {
                        eprintln!(
                            "{} of {} cases",
                            done.iter().map(Vec::len).sum::<usize>(),
                            cases.len()
                        );
                    }
                }
            });
        }
    });
    done.into_inner().expect("no thread panicked").concat()
}

/// Runs one batch, with a new child after each crash.
fn check_batch(fixture: &Fixture, batch: &[Case], orders: &str, name: &str) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    while verdicts.len() < batch.len() {
        let temporary_directory = temporary_directory();
        let paper = temporary_directory.path().join("orders");
        let mut text = format!("{}\n", fixture.base().display());
        batch[verdicts.len()..].iter().for_each(|case| text += &format!("{case}\n"));
        fs::write(&paper, text).expect("a file can be written");
        let mut child = Command::new(std::env::current_exe().expect("a program has a path"))
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(orders, &paper)
            .env("TMPDIR", temporary_directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(
                File::create(temporary_directory.path().join("stderr"))
                    .expect("a file can be made"),
            )
            .spawn()
            .expect("a process can be started");
        let before = verdicts.len();
        let ended = listen(&mut child, &mut verdicts);
        if verdicts.len() < batch.len() {
            let said =
                fs::read_to_string(temporary_directory.path().join("stderr")).unwrap_or_default();
            let said: Vec<&str> = said.lines().rev().take(4).collect();
            assert!(
                verdicts.len() > before || ended != "it ended",
                "a process did nothing: {said:?}"
            );
            verdicts.push(Verdict::Wrong(format!("{ended} ({})", said.join(" | "))));
        }
    }
    verdicts
}

/// Collects the lines of a child until it ends or is silent for too long. Returns how it ended.
fn listen(child: &mut Child, verdicts: &mut Vec<Verdict>) -> String {
    let output = BufReader::new(child.stdout.take().expect("its output is piped"));
    let (send, receive) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let mut silent = false;
    loop {
        match receive.recv_timeout(FOR_EVER) {
            Ok(line) => verdicts.extend(verdict(&line)),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                silent = true;
                child.kill().expect("a process can be killed");
            }
        }
    }
    reader.join().expect("the reader does not panic");
    let status = child.wait().expect("a process can be waited for");
    match (silent, status.signal()) {
        (true, _) => "it hangs".to_owned(),
        (false, Some(signal)) => format!("it dies of signal {signal}"),
        (false, None) if status.success() => "it ended".to_owned(),
        (false, None) => format!("it {status}"),
    }
}

const MARK: &str = "case: ";

fn verdict(line: &str) -> Option<Verdict> {
    // The test harness writes on the same line.
    let (_, said) = line.split_once(MARK)?;
    let tolds = [Detected::Opening, Detected::Reading, Detected::Working, Detected::Never];
    let told = tolds.into_iter().find(|told| format!("{told:?}") == said);
    Some(told.map_or_else(|| Verdict::Wrong(said.to_owned()), Verdict::Detected))
}

/// Follows the orders in the file `paper`.
pub fn follow(paper: &Path) {
    let text = fs::read_to_string(paper).expect("the orders can be read");
    let mut lines = text.lines();
    let base = PathBuf::from(lines.next().expect("a directory"));
    let known = Known::of(&base);
    for line in lines {
        let case: Case = line.parse().expect("a case");
        let temporary_directory = temporary_directory();
        copy(&base.join("store"), &temporary_directory.path().join("store"));
        let said = match check_store(&known, &case, temporary_directory.path()) {
            Ok(told) => format!("{told:?}"),
            Err(wrong) => wrong.replace('\n', " "),
        };
        println!("\n{MARK}{said}");
        std::io::stdout().flush().expect("a line can be written");
    }
}
