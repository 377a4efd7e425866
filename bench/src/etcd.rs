//! One etcd server on loopback, whose data is in the directory of the benchmark.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};

/// How long the server may take to be healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);

/// Starts the server, and kills it when the other end of the pipe is closed: also when this program
/// is killed.
const GUARD: &str = r#"etcd "$@" >"$0" 2>&1 </dev/null & read -r _; kill -KILL $!; wait"#;

/// A server. It ends when this is dropped.
pub struct Server {
    guard: Child,
    pipe: Option<ChildStdin>,
    port: u16,
}

impl Server {
    /// Starts a server with its data in `directory`, and waits until it is healthy.
    pub fn start(directory: &Path) -> Result<Server> {
        let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let mut ports = [0; 2];
        for (port, listener) in ports.iter_mut().zip(listeners) {
            *port = listener?.local_addr()?.port();
        }
        let [client, peer] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        let log = directory.join("log");
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(&log)
            .args(["--name=bench", &format!("--initial-cluster=bench={peer}")])
            .arg(format!("--data-dir={}", directory.join("data").display()))
            .args([
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
            ])
            .args([
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
            ])
            // What runs fill a server's default of 2 GiB in an hour or so.
            .arg("--quota-backend-bytes=8589934592")
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| {
                // etcd takes flags from the environment too.
                !name.to_string_lossy().starts_with("ETCD")
            }))
            .stdin(Stdio::piped())
            // Ctrl-C ends this program, and the closed pipe then ends the server.
            .process_group(0)
            .spawn()
            .context("cannot run sh")?;
        let pipe = guard.stdin.take();
        let server = Server { guard, pipe, port: ports[0] };
        let until = Instant::now() + HEALTHY_WITHIN;
        while !server.request("/health").is_ok_and(|reply| reply.contains("\"true\"")) {
            if Instant::now() > until {
                let log = fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("etcd is not healthy; install it with scripts/setup bench. {last:#?}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Returns the URL for the option `cluster`.
    pub fn url(&self) -> String {
        format!("etcd://127.0.0.1:{}/kvds-bench", self.port)
    }

    fn request(&self, path: &str) -> Result<String> {
        request(&format!("127.0.0.1:{}", self.port), path)
    }
}

/// Returns the version of the server at `address`.
pub fn version(address: &str) -> Result<String> {
    let reply = request(address, "/version")?;
    let (_, body) = reply.split_once("\r\n\r\n").context("not a response")?;
    let fields: serde_json::Value = serde_json::from_str(body.trim())?;
    Ok(fields["etcdserver"].as_str().unwrap_or("of unknown version").to_owned())
}

fn request(address: &str, path: &str) -> Result<String> {
    let limit = Duration::from_millis(500);
    let mut stream = match address.parse::<SocketAddr>() {
        Ok(address) => TcpStream::connect_timeout(&address, limit)?,
        Err(_) => TcpStream::connect(address)?,
    };
    stream.set_read_timeout(Some(limit))?;
    let host = "Host: localhost\r\nConnection: close";
    stream.write_all(format!("GET {path} HTTP/1.0\r\n{host}\r\n\r\n").as_bytes())?;
    let mut reply = String::new();
    stream.take(1 << 20).read_to_string(&mut reply)?;
    Ok(reply)
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.guard.wait();
    }
}
