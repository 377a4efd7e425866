//! Real etcd servers on loopback, for tests of cluster stores.
//!
//! [`shared_url`] is for tests that need any server: each process has one. [`Setup::start`] starts
//! servers that a test may kill, stop and restart. Without etcd both return `None` and print that
//! the test is left out.
//!
//! No server outlives the process of the tests, however that ends: a shell beside each server reads
//! from a pipe, and kills the server when the process that holds the other end is gone.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, process, thread};

use tempfile::TempDir;

use crate::networks::Host;
use crate::{Result, temporary_directory};

/// A URL without a namespace, such as `etcd://127.0.0.1:2379`: tests that need any server use this
/// one.
pub const CLUSTER_VARIABLE: &str = "KVDS_TEST_CLUSTER";

/// How long servers may take to become healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);

/// How long a server may take to end, to listen again, or to agree on a leader.
const DONE_WITHIN: Duration = Duration::from_secs(10);

/// How long one request for `/health` or `/metrics` may take. Stopped servers do not reply.
const REPLY_WITHIN: Duration = Duration::from_millis(500);

/// How often other ports are tried when another program took one.
const ATTEMPTS: usize = 5;

const PAUSE: Duration = Duration::from_millis(20);

/// How to start servers.
#[derive(Clone)]
pub struct Setup {
    /// How many members the cluster has.
    pub count: usize,
    /// TLS for clients, if there are certificates. The members talk to each other without it.
    pub certificates: Option<Certificates>,
    /// Whether clients need a certificate.
    pub client_certificates: bool,
    /// Turns authentication on. The user `root` has this password.
    pub root_password: Option<String>,
    pub quota_backend_bytes: Option<u64>,
    pub max_request_bytes: Option<u64>,
    /// The interval of heartbeats. Elections start after ten of them.
    pub heartbeat_ms: u64,
    /// More flags for every member, such as `--max-txn-ops=64`.
    pub flags: Vec<String>,
    /// The hosts of the members, or none for loopback.
    pub hosts: Vec<Host>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            count: 1,
            certificates: None,
            client_certificates: false,
            root_password: None,
            quota_backend_bytes: None,
            max_request_bytes: None,
            heartbeat_ms: 100,
            flags: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

impl Setup {
    /// The address of a member.
    fn address(&self, index: usize) -> Ipv4Addr {
        self.hosts.get(index).map_or(Ipv4Addr::LOCALHOST, |host| host.address)
    }

    /// Starts the servers and waits until all are healthy. Returns `None` if etcd is not installed.
    pub fn start(&self) -> Result<Option<Servers>> {
        if !is_installed("etcd") || (self.root_password.is_some() && !is_installed("etcdctl")) {
            return Ok(None);
        }
        for attempt in 1.. {
            let mut servers = Servers::new(self)?;
            match servers.wait_until_healthy() {
                Err(cause) if is_port_taken(&*cause) && attempt < ATTEMPTS => {}
                result => {
                    result?;
                    servers.enable_authentication()?;
                    return Ok(Some(servers));
                }
            }
        }
        unreachable!("the last attempt returns");
    }
}

/// Files in PEM format for TLS, signed by an authority of their own.
#[derive(Clone)]
pub struct Certificates {
    pub ca: PathBuf,
    /// For `127.0.0.1`, `::1` and `localhost`.
    pub server_cert: PathBuf,
    pub server_key: PathBuf,
    /// For the common name `kvds`.
    pub client_cert: PathBuf,
    pub client_key: PathBuf,
}

impl Certificates {
    /// Generates an authority and what it signs. Returns `None` if openssl is not installed.
    pub fn generate(directory: &Path) -> Result<Option<Certificates>> {
        if !is_installed("openssl") {
            return Ok(None);
        }
        let at = |name: &str| directory.join(name);
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        fs::write(
            at("ca.cnf"),
            "[req]\ndistinguished_name = name\nx509_extensions = ca\n[name]\n[ca]\n\
             basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\n\
             subjectKeyIdentifier = hash\n",
        )?;
        openssl(
            directory,
            &format!(
                "req -x509 {key} -config ca.cnf -days 3650 -subj /CN=kvds-test-ca -keyout \
                 ca-key.pem -out ca.pem"
            ),
        )?;
        for (name, common, extensions) in [
            (
                "server",
                "server",
                "subjectAltName = IP:127.0.0.1,IP:::1,DNS:localhost\n\
                 extendedKeyUsage = serverAuth,clientAuth\n",
            ),
            ("client", "kvds", "extendedKeyUsage = clientAuth\n"),
        ] {
            fs::write(
                at(&format!("{name}.ext")),
                format!("basicConstraints = critical,CA:FALSE\n{extensions}"),
            )?;
            openssl(
                directory,
                &format!(
                    "req -new {key} -subj /CN={common} -keyout {name}-key.pem -out {name}.csr"
                ),
            )?;
            openssl(
                directory,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days \
                     3650 -extfile {name}.ext -out {name}.pem"
                ),
            )?;
        }
        Ok(Some(Certificates {
            ca: at("ca.pem"),
            server_cert: at("server.pem"),
            server_key: at("server-key.pem"),
            client_cert: at("client.pem"),
            client_key: at("client-key.pem"),
        }))
    }
}

fn openssl(directory: &Path, arguments: &str) -> Result {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(directory);
    output(command).map(drop)
}

/// Servers of one cluster. They end when this is dropped.
pub struct Servers {
    nodes: Vec<Node>,
    setup: Setup,
    authenticated: bool,
    /// Dropped after the nodes, which write into it.
    directory: TempDir,
}

impl Servers {
    /// Starts a cluster of `count` members with default settings, and waits until all are healthy.
    /// Returns `None` if etcd is not installed.
    pub fn start(count: usize) -> Result<Option<Servers>> {
        Setup { count, ..Setup::default() }.start()
    }

    fn new(setup: &Setup) -> Result<Servers> {
        let directory = temporary_directory()?;
        let ports = free_ports(setup.count * 3)?;
        let ports: Vec<&[u16]> = ports.chunks(3).collect();
        let peers: Vec<String> = (ports.iter().enumerate())
            .map(|(index, ports)| format!("n{index}=http://{}:{}", setup.address(index), ports[1]))
            .collect();
        let peers = peers.join(",");
        let nodes = (ports.iter().enumerate())
            .map(|(index, ports)| Node::new(setup, directory.path(), index, ports, &peers))
            .collect::<Vec<_>>();
        let servers = Servers { nodes, setup: setup.clone(), authenticated: false, directory };
        for node in &servers.nodes {
            *node.running() = Some(node.spawn()?);
        }
        Ok(servers)
    }

    /// Returns the URL for the option `cluster`.
    pub fn url(&self, namespace: &str) -> String {
        let scheme = if self.setup.certificates.is_some() { "etcds" } else { "etcd" };
        let hosts: Vec<String> = self.nodes.iter().map(Node::address).collect();
        format!("{scheme}://{}/{namespace}", hosts.join(","))
    }

    /// Returns the URL that names one server alone.
    pub fn url_of(&self, node: usize, namespace: &str) -> String {
        let scheme = if self.setup.certificates.is_some() { "etcds" } else { "etcd" };
        format!("{scheme}://{}/{namespace}", self.nodes[node].address())
    }

    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// The directory of the data and the logs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until every server that was not killed is healthy. Returns an error with the end of
    /// the log if a server ended, or is not healthy within 30 seconds.
    pub fn wait_until_healthy(&self) -> Result {
        let until = Instant::now() + HEALTHY_WITHIN;
        self.nodes.iter().try_for_each(|node| node.wait_until_healthy(until))
    }

    /// Returns the leader. Waits until exactly one server says that it is the leader, because a
    /// former one may not yet know that it was replaced.
    pub fn leader(&self) -> Result<usize> {
        let until = Instant::now() + DONE_WITHIN;
        while Instant::now() < until {
            let leaders: Vec<usize> =
                (0..self.count()).filter(|index| self.nodes[*index].is_leader()).collect();
            if let [leader] = leaders[..] {
                return Ok(leader);
            }
            thread::sleep(PAUSE);
        }
        Err(format!("the servers have no leader within {DONE_WITHIN:?}").into())
    }

    /// Runs etcdctl on all servers, as `root` if authentication is on, and returns its output.
    pub fn etcdctl(&self, arguments: &[&str]) -> Result<String> {
        self.run_etcdctl(&self.nodes.iter().collect::<Vec<_>>(), arguments)
    }

    /// Runs etcdctl on one server, which some commands need (`snapshot save`).
    pub fn etcdctl_on(&self, node: usize, arguments: &[&str]) -> Result<String> {
        self.run_etcdctl(&[&self.nodes[node]], arguments)
    }

    fn run_etcdctl(&self, nodes: &[&Node], arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("etcdctl");
        forget_variables(&mut command);
        let scheme = if self.setup.certificates.is_some() { "https" } else { "http" };
        let endpoints: Vec<String> =
            nodes.iter().map(|node| format!("{scheme}://{}", node.address())).collect();
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints={}", endpoints.join(",")));
        command.arg("--command-timeout=10s");
        if let Some(files) = &self.setup.certificates {
            command.arg("--cacert").arg(&files.ca);
            command.arg("--cert").arg(&files.client_cert).arg("--key").arg(&files.client_key);
        }
        if let Some(password) = self.setup.root_password.as_ref().filter(|_| self.authenticated) {
            command.arg(format!("--user=root:{password}"));
        }
        command.args(arguments);
        output(command)
    }

    fn enable_authentication(&mut self) -> Result {
        let Some(password) = self.setup.root_password.clone() else { return Ok(()) };
        self.etcdctl(&["user", "add", &format!("root:{password}")])?;
        self.etcdctl(&["role", "add", "root"])?;
        self.etcdctl(&["user", "grant-role", "root", "root"])?;
        self.etcdctl(&["auth", "enable"])?;
        self.authenticated = true;
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if thread::panicking() {
            // The logs of a failed test stay for its reader.
            self.directory.disable_cleanup(true);
            eprintln!("the logs of etcd are in {}", self.directory.path().display());
        }
    }
}

/// One server.
pub struct Node {
    /// The directory of all servers.
    directory: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    /// The network namespace, if it is not that of this process.
    host: Option<Host>,
    address: Ipv4Addr,
    client_port: u16,
    metrics_port: u16,
    running: Mutex<Option<Running>>,
}

impl Node {
    fn new(setup: &Setup, directory: &Path, index: usize, ports: &[u16], peers: &str) -> Node {
        let name = format!("n{index}");
        let address = setup.address(index);
        let (client, peer) = (ports[0], format!("http://{address}:{}", ports[1]));
        let scheme = if setup.certificates.is_some() { "https" } else { "http" };
        let client_url = format!("{scheme}://{address}:{client}");
        let data = directory.join(&name).display().to_string();
        let mut arguments = vec![
            format!("--name={name}"),
            format!("--data-dir={data}"),
            format!("--listen-client-urls={client_url}"),
            format!("--advertise-client-urls={client_url}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster={peers}"),
            // A cluster of another test that gets the same port later must not be joined.
            format!("--initial-cluster-token={}", directory.display()),
            // Health without TLS and login, whatever clients need.
            format!("--listen-metrics-urls=http://{address}:{}", ports[2]),
            format!("--heartbeat-interval={}", setup.heartbeat_ms),
            format!("--election-timeout={}", setup.heartbeat_ms * 10),
        ];
        if let Some(files) = &setup.certificates {
            arguments.push(format!("--cert-file={}", files.server_cert.display()));
            arguments.push(format!("--key-file={}", files.server_key.display()));
            arguments.push(format!("--trusted-ca-file={}", files.ca.display()));
            arguments.push(format!("--client-cert-auth={}", setup.client_certificates));
        }
        if setup.root_password.is_some() {
            // The least cost that bcrypt allows, as tests log in often.
            arguments.push("--bcrypt-cost=4".to_owned());
            arguments.push("--auth-token=simple".to_owned());
        }
        arguments
            .extend(setup.quota_backend_bytes.map(|size| format!("--quota-backend-bytes={size}")));
        arguments.extend(setup.max_request_bytes.map(|size| format!("--max-request-bytes={size}")));
        if can_omit_syncs() {
            arguments.push("--unsafe-no-fsync".to_owned());
        }
        arguments.extend(setup.flags.iter().cloned());
        Node {
            directory: directory.to_owned(),
            log: directory.join(format!("{name}.log")),
            arguments,
            host: setup.hosts.get(index).cloned(),
            address,
            client_port: client,
            metrics_port: ports[2],
            running: Mutex::new(None),
        }
    }

    /// The host and port for clients.
    pub fn address(&self) -> String {
        format!("{}:{}", self.address, self.client_port)
    }

    /// The port of `/health` and `/metrics`, which needs neither TLS nor a login.
    pub fn metrics_port(&self) -> u16 {
        self.metrics_port
    }

    /// Returns what the server has logged.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(
            |cause| format!("{}: {cause}", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Kills the server with SIGKILL and waits for its end.
    pub fn kill9(&self) {
        *self.running() = None;
    }

    /// Ends the server with SIGTERM and waits for its end. A leader gives its role away first.
    pub fn terminate(&self) -> Result {
        let mut running = self.running();
        if let Some(server) = running.as_mut() {
            server.signal(libc::SIGTERM)?;
            let until = Instant::now() + DONE_WITHIN;
            while server.etcd.try_wait()?.is_none() {
                if Instant::now() > until {
                    return Err(format!("etcd did not end within {DONE_WITHIN:?}").into());
                }
                thread::sleep(PAUSE);
            }
        }
        *running = None;
        Ok(())
    }

    /// Stops the server with SIGSTOP: its connections stay open and nothing replies.
    pub fn stop(&self) -> Result {
        self.signal(libc::SIGSTOP)
    }

    /// Lets a stopped server continue.
    pub fn resume(&self) -> Result {
        self.signal(libc::SIGCONT)
    }

    /// Starts the server again on the same data and ports, after killing it if it runs. Waits until
    /// it listens, not until it is healthy: that needs a majority of the servers.
    pub fn restart(&self) -> Result {
        let mut running = self.running();
        *running = None;
        for attempt in 1.. {
            let log_length = self.log().len();
            let mut server = self.spawn()?;
            match self.wait_until_listening(&mut server, log_length) {
                // An outgoing connection of another program may have the port for a while.
                Err(cause) if is_port_taken(&*cause) && attempt < ATTEMPTS => {
                    thread::sleep(PAUSE * 10);
                }
                result => {
                    result?;
                    *running = Some(server);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Lets the server continue if it is stopped, and starts it again if it has ended.
    pub fn revive(&self) -> Result {
        let runs = self.running().is_some();
        if runs { self.resume() } else { self.restart() }
    }

    /// Returns whether the server says that it is the leader.
    fn is_leader(&self) -> bool {
        self.running().is_some()
            && http_get(self.socket(self.metrics_port), "/metrics")
                .is_ok_and(|text| text.lines().any(|line| line == "etcd_server_is_leader 1"))
    }

    fn is_healthy(&self) -> bool {
        http_get(self.socket(self.metrics_port), "/health")
            .is_ok_and(|text| text.replace(' ', "").contains("\"health\":\"true\""))
    }

    fn wait_until_healthy(&self, until: Instant) -> Result {
        while !self.is_healthy() {
            match self.running().as_mut() {
                None => return Ok(()),
                Some(server) => self.check_runs(server, 0)?,
            }
            if Instant::now() > until {
                let log = self.log();
                return Err(format!("etcd is not healthy in time\n{}", tail(&log)).into());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn wait_until_listening(&self, server: &mut Running, log_length: usize) -> Result {
        let until = Instant::now() + DONE_WITHIN;
        while TcpStream::connect_timeout(&self.socket(self.client_port), REPLY_WITHIN).is_err() {
            self.check_runs(server, log_length)?;
            if Instant::now() > until {
                return Err(format!("etcd does not listen\n{}", tail(&self.log())).into());
            }
            thread::sleep(PAUSE);
        }
        self.check_runs(server, log_length)
    }

    /// Returns an error if the server ended. Only what it logged after `log_length` tells why.
    fn check_runs(&self, server: &mut Running, log_length: usize) -> Result {
        let Some(status) = server.etcd.try_wait()? else { return Ok(()) };
        let log = self.log();
        let log = log.get(log_length..).unwrap_or(&log);
        if log.contains(PORT_TAKEN) {
            return Err(PORT_TAKEN.into());
        }
        Err(format!("etcd ended: {status}\n{}", tail(log)).into())
    }

    fn signal(&self, signal: libc::c_int) -> Result {
        let mut running = self.running();
        let server = running.as_mut().ok_or("the server does not run")?;
        Ok(server.signal(signal)?)
    }

    fn spawn(&self) -> Result<Running> {
        let log = File::options().append(true).create(true).open(&self.log)?;
        let mut command = match &self.host {
            None => Command::new("etcd"),
            Some(host) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &host.namespace, "etcd"]);
                command
            }
        };
        forget_variables(&mut command);
        command.args(&self.arguments).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        // A terminal's Ctrl-C ends the test, and that ends the server.
        let etcd = command.process_group(0).spawn()?;
        Running::watch(etcd, &self.directory)
    }

    fn socket(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // A test that failed while it held the lock must not keep others from ending the server.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kills the server `$1` and removes `$2` if its input ends without a line.
const WATCHDOG: &str = r#"
    trap '' HUP INT TERM
    read -r _ && exit
    kill -KILL "$1"
    for _ in 1 2 3 4 5; do rm -rf -- "$2" && exit; sleep 0.2; done
"#;

/// The process of a server, and the shell that kills it if this process ends.
struct Running {
    etcd: Child,
    watchdog: Child,
}

impl Running {
    fn watch(mut etcd: Child, directory: &Path) -> Result<Running> {
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "watchdog", &etcd.id().to_string()]).arg(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.process_group(0).spawn() {
            Ok(watchdog) => Ok(Running { etcd, watchdog }),
            Err(cause) => {
                etcd.kill()?;
                etcd.wait()?;
                Err(cause.into())
            }
        }
    }

    fn signal(&mut self, signal: libc::c_int) -> io::Result<()> {
        if self.etcd.try_wait()?.is_some() {
            return Err(io::Error::other("etcd has ended by itself"));
        }
        let process = libc::pid_t::try_from(self.etcd.id()).map_err(io::Error::other)?;
        // SAFETY: kill takes any numbers. No thread has waited for the child's end yet, so no other
        // process has its number.
        match unsafe { libc::kill(process, signal) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Running {
    /// Errors are ignored: the process may have ended by itself.
    fn drop(&mut self) {
        let _ = self.etcd.kill();
        // The watchdog ends before the server's number is free for another process.
        if let Some(mut pipe) = self.watchdog.stdin.take() {
            let _ = pipe.write_all(b"\n");
        }
        let _ = self.watchdog.wait();
        let _ = self.etcd.wait();
    }
}

/// Returns the one server of this process, or `None` if etcd is not installed. It ends with the
/// process. Stores of different tests need different namespaces.
pub fn shared() -> Option<&'static Servers> {
    static SHARED: OnceLock<Option<Servers>> = OnceLock::new();
    SHARED
        .get_or_init(|| {
            // Short elections: the server has no others to wait for.
            let setup = Setup { heartbeat_ms: 10, ..Setup::default() };
            setup.start().expect("etcd can be started")
        })
        .as_ref()
}

/// Returns the URL of any server with a namespace: the one that `KVDS_TEST_CLUSTER` names, or else
/// the [`shared`] one. Returns `None` if there is neither.
pub fn shared_url(namespace: &str) -> Option<String> {
    match env::var(CLUSTER_VARIABLE) {
        Ok(url) if !url.is_empty() => Some(format!("{}/{namespace}", url.trim_end_matches('/'))),
        _ => shared().map(|servers| servers.url(namespace)),
    }
}

/// Returns a namespace that no other test uses, in this or another process.
pub fn fresh_namespace() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static STARTED: OnceLock<u128> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
    });
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{started}-{number}", process::id())
}

/// Returns whether a program is in `PATH`, and prints that a test is left out if it is not.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !found {
        eprintln!("left out: {program} is not installed (scripts/setup)");
    }
    found
}

/// Returns whether this etcd has a flag that omits its syncs. Tests kill processes, not machines.
fn can_omit_syncs() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let help = Command::new("etcd").arg("--help").output();
        help.is_ok_and(|help| {
            let text = [help.stdout, help.stderr].concat();
            String::from_utf8_lossy(&text).contains("--unsafe-no-fsync")
        })
    })
}

/// etcd and etcdctl take flags from the environment too, which tests must not depend on.
fn forget_variables(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("ETCD") {
            command.env_remove(name);
        }
    }
}

/// Returns ports that no program uses now. Another program may take one before etcd does.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// What etcd logs when it cannot listen.
const PORT_TAKEN: &str = "address already in use";

fn is_port_taken(cause: &dyn std::error::Error) -> bool {
    cause.to_string() == PORT_TAKEN
}

fn http_get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, REPLY_WITHIN)?;
    stream.set_read_timeout(Some(REPLY_WITHIN))?;
    stream.set_write_timeout(Some(REPLY_WITHIN))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    stream.take(16 << 20).read_to_string(&mut reply)?;
    Ok(reply)
}

fn output(mut command: Command) -> Result<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let program = command.get_program().display();
    Err(format!("{program}: {}\n{text}{errors}", output.status).into())
}

/// Returns the last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
