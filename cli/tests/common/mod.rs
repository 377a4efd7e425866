//! What several files of tests need: the program as a process, and a server of etcd.

// Each file of tests is a program of its own, and none needs everything.
#![allow(dead_code)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a test waits at most for something that happens at once.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Returns the command `kvds` with arguments that contain no spaces, with its stores in `dir`.
pub fn kvds(dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kvds"));
    command
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .env("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR"))
        .env("KVDS_BASE", ".")
        .env_remove("KVDS_CLUSTER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command, and returns its exit code and what it writes.
pub fn run(dir: &Path, arguments: &str) -> (i32, String, String) {
    let output = kvds(dir, arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

pub fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
}

pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim() == "0"
}

/// A server of etcd, which ends when this is dropped.
pub struct Etcd {
    server: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Etcd {
    /// Starts a server, if etcd is installed.
    pub fn start() -> Option<Etcd> {
        let dir = tempfile::tempdir().unwrap();
        // Ports that were free just now.
        let ports: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<_> = ports.into_iter().map(|port| port.local_addr().unwrap()).collect();
        let [client, peer] = [0, 1].map(|at| format!("http://{}", ports[at]));
        let server = Command::new("etcd")
            .arg("--data-dir")
            .arg(dir.path().join("etcd"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            eprintln!("skipped: there is no etcd");
            return None;
        };
        let start = Instant::now();
        while TcpStream::connect(ports[0]).is_err() && start.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(50));
        }
        Some(Etcd { server, address: ports[0], _dir: dir })
    }

    /// Returns the URL of the stores of these tests.
    pub fn url(&self) -> String {
        format!("etcd://{}/tests", self.address)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
