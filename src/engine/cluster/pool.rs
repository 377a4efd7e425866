//! The connections of a distributor to its cluster, which all its cluster stores share.
//!
//! A call takes a connection that is idle, or opens one, and gives it back. Threads prefer the
//! server that responded last. One that failed is left alone for some seconds, unless all have.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::HeaderValue;
use parking_lot::{Condvar, Mutex};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::channel::{self, Ask, Channel, Streaming};
use super::plan::Leases;
use super::url::{Endpoint, Url};
use super::verdict::{Failure, RESOURCE_EXHAUSTED, Verdict};
use super::wire::{
    AuthenticateRequest, Call, Headed, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest,
};
use crate::engine::TimeLeft;
use crate::error::{Error, Kind, Result};
use crate::options::{Options, Secret};
use crate::sys::fork::OwnerProcess;

/// How long one attempt may take, and how much longer for each MiB of the request.
const ATTEMPT: Duration = Duration::from_millis(2500);
const ATTEMPT_PER_MIB: Duration = Duration::from_secs(1);

/// The pause between two rounds of attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a server that failed is left alone.
const SHUNNED: Duration = Duration::from_secs(5);

/// An idle connection that is older is probed before a write, for no longer than the second.
const IDLE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_millis(500);

/// The connections that are in use at once. Further calls wait.
const MAX_CONNECTIONS: usize = 64;

/// The largest request that is sent. No cluster takes one as large: etcd's documentation advises
/// against more than 10 MiB.
const MAX_REQUEST: usize = 128 << 20;

/// The life of the lease on which fences hang, in seconds.
const LEASE_SECONDS: i64 = 60;
/// The age from which a write renews the lease, and from which it takes a new one.
const LEASE_RENEWED: Duration = Duration::from_secs(20);
const LEASE_ENDED: Duration = Duration::from_secs(50);

/// The servers count leases in whole seconds.
const LEASE_ROUNDING: Duration = Duration::from_secs(1);

/// How long the end of a distributor may take to revoke its lease.
const REVOKE: Duration = Duration::from_millis(500);

/// The connections to a cluster.
pub struct Client {
    url: Url,
    tls: Option<Arc<ClientConfig>>,
    login: Option<(String, Secret)>,
    timeout: Duration,
    owner: OwnerProcess,
    /// Forgotten in a forked child, whose connections belong to the parent.
    shared: ManuallyDrop<Shared>,
}

struct Shared {
    servers: Vec<Server>,
    /// The server that responded last.
    preferred: AtomicUsize,
    in_use: Mutex<usize>,
    returned: Condvar,
    token: Mutex<Option<HeaderValue>>,
    /// 0 until a server has responded.
    cluster_id: AtomicU64,
    lease: Mutex<Option<Lease>>,
    /// The leases of keys that expire, by the time until which they live at least.
    ttl_leases: Mutex<BTreeMap<Instant, i64>>,
}

#[derive(Default)]
struct Server {
    idle: Mutex<Vec<Channel>>,
    failed: Mutex<Option<Instant>>,
}

/// The lease on which the fences of a distributor hang.
#[derive(Clone, Copy)]
struct Lease {
    id: i64,
    renewed: Instant,
}

/// How a call is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It sees every write that was acknowledged before, so a leader must be known.
    Linearizable,
    /// It reads a revision, which any server may have.
    Serializable,
}

/// A connection that a call uses.
struct Leased<'a> {
    shared: &'a Shared,
    channel: Option<Channel>,
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        *self.shared.in_use.lock() -= 1;
        self.shared.returned.notify_one();
    }
}

/// The turns that a call takes over the servers.
pub struct Turns<'a> {
    client: &'a Client,
    /// When the call must have ended.
    pub deadline: Instant,
    tried: usize,
    first: usize,
    logins: u32,
    last: Option<(usize, Failure)>,
}

impl Client {
    /// Reads the files that the options name, and connects to nothing.
    pub fn new(options: &Options) -> Result<Arc<Client>> {
        let url = Url::parse(options.cluster.reveal())?;
        let servers = url.endpoints.iter().map(|_| Server::default()).collect();
        let login = (!options.cluster_user.is_empty())
            .then(|| (options.cluster_user.clone(), options.cluster_password.clone()));
        Ok(Arc::new(Client {
            tls: url.tls.then(|| tls(options)).transpose()?,
            url,
            login,
            timeout: Duration::from_millis(options.cluster_timeout_ms),
            owner: OwnerProcess::current(),
            shared: ManuallyDrop::new(Shared {
                servers,
                preferred: AtomicUsize::new(0),
                in_use: Mutex::new(0),
                returned: Condvar::new(),
                token: Mutex::new(None),
                cluster_id: AtomicU64::new(0),
                lease: Mutex::new(None),
                ttl_leases: Mutex::default(),
            }),
        }))
    }

    /// Returns what all keys begin with.
    pub fn namespace(&self) -> &[u8] {
        &self.url.namespace
    }

    /// Returns the time that a call may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Fails in a forked child.
    pub fn check(&self) -> Result<()> {
        if self.owner.is_current() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Forked,
            "the store came through fork(); open it again in this process",
        ))
    }

    /// Begins a call, whose time runs from now on.
    pub fn turns(&self) -> Result<Turns<'_>> {
        self.check()?;
        let first = self.shared.preferred.load(Relaxed);
        let deadline = Instant::now() + self.timeout;
        Ok(Turns { client: self, deadline, tried: 0, first, logins: 0, last: None })
    }

    /// Calls server after server, until one responds. The call must change nothing, or the same
    /// thing however often it is sent.
    pub fn ask<C: Call>(&self, call: &C, consistency: Consistency) -> Result<C::Response> {
        let mut turns = self.turns()?;
        loop {
            match turns.attempt(call, consistency) {
                Ok(response) => return response,
                Err(failure) => match failure.verdict(self.login.is_some()) {
                    Verdict::Unknown => turns.again(failure, Kind::Busy)?,
                    _ => turns.settled(failure)?,
                },
            }
        }
    }

    /// Returns the id of the lease for fences. Renews it, or takes a new one, where it is old.
    pub fn lease(&self, turns: &mut Turns<'_>) -> Result<i64> {
        let left = turns.deadline.saturating_duration_since(Instant::now());
        let Some(mut lease) = self.shared.lease.try_lock_for(left) else {
            return Err(turns.failed(Kind::Busy));
        };
        loop {
            let now = Instant::now();
            let granted = match *lease {
                Some(Lease { id, renewed }) if now - renewed < LEASE_RENEWED => return Ok(id),
                Some(Lease { id, renewed }) if now - renewed < LEASE_ENDED => {
                    let call = LeaseKeepAliveRequest { id };
                    turns
                        .attempt(&call, Consistency::Linearizable)
                        .map(|response| response.map(|response| (response.ttl > 0).then_some(id)))
                }
                _ => {
                    let call = LeaseGrantRequest { ttl: LEASE_SECONDS };
                    turns
                        .attempt(&call, Consistency::Linearizable)
                        .map(|response| response.map(|response| Some(response.id)))
                }
            };
            match granted {
                Ok(id) => *lease = id?.map(|id| Lease { id, renewed: now }),
                Err(failure) => match failure.verdict(self.login.is_some()) {
                    // A grant whose response is lost ends by itself.
                    Verdict::Unknown => turns.again(failure, Kind::Busy)?,
                    Verdict::LeaseGone => *lease = None,
                    _ => turns.settled(failure)?,
                },
            }
        }
    }

    /// Forgets the lease `id`, which is gone.
    pub fn forget_lease(&self, id: i64) {
        let mut lease = self.shared.lease.lock();
        if lease.is_some_and(|lease| lease.id == id) {
            *lease = None;
        }
    }

    /// Returns leases for keys that are to live as long as `ttls` from now on.
    ///
    /// Keys share a lease that lives up to a tenth longer than they must, so many keys need few.
    pub fn ttl_leases(
        &self,
        ttls: impl Iterator<Item = Duration>,
        turns: &mut Turns<'_>,
    ) -> Result<Leases> {
        let mut leases = Leases::new();
        for ttl in ttls {
            if let Entry::Vacant(missing) = leases.entry(ttl) {
                missing.insert(self.ttl_lease(ttl, turns)?);
            }
        }
        Ok(leases)
    }

    fn ttl_lease(&self, ttl: Duration, turns: &mut Turns<'_>) -> Result<i64> {
        let start = Instant::now();
        let end = start + ttl;
        {
            let mut known = self.shared.ttl_leases.lock();
            *known = known.split_off(&start);
            let mut fitting = known.range(end..=end + ttl / 10 + LEASE_ROUNDING);
            if let Some((_, id)) = fitting.next() {
                return Ok(*id);
            }
        }
        let seconds = (ttl + ttl / 10).as_millis().div_ceil(1000);
        let call = LeaseGrantRequest { ttl: i64::try_from(seconds).unwrap_or(i64::MAX) };
        loop {
            let sent = Instant::now();
            match turns.attempt(&call, Consistency::Linearizable) {
                Ok(response) => {
                    let response = response?;
                    let lives = u64::try_from(response.ttl).unwrap_or(0);
                    let ends = sent + Duration::from_secs(lives);
                    self.shared.ttl_leases.lock().insert(ends, response.id);
                    return Ok(response.id);
                }
                Err(failure) => match failure.verdict(self.login.is_some()) {
                    // A grant whose response is lost ends by itself.
                    Verdict::Unknown => turns.again(failure, Kind::Busy)?,
                    _ => turns.settled(failure)?,
                },
            }
        }
    }

    /// Forgets the leases of keys that expire, of which one is gone.
    pub fn forget_ttl_leases(&self) {
        self.shared.ttl_leases.lock().clear();
    }

    /// Returns how long the keys of a lease live; 0 stands for no lease.
    pub fn time_left(&self, lease: i64) -> Result<TimeLeft> {
        if lease == 0 {
            return Ok(TimeLeft::Forever);
        }
        let call = LeaseTimeToLiveRequest { id: lease };
        let mut turns = self.turns()?;
        loop {
            match turns.attempt(&call, Consistency::Linearizable) {
                // -1 for a lease that has ended. Its keys are about to go.
                Ok(response) => {
                    let seconds = u64::try_from(response?.ttl).unwrap_or(0);
                    return Ok(TimeLeft::AtLeast(Duration::from_secs(seconds)));
                }
                Err(failure) => match failure.verdict(self.login.is_some()) {
                    Verdict::LeaseGone => return Ok(TimeLeft::AtLeast(Duration::ZERO)),
                    Verdict::Unknown => turns.again(failure, Kind::Busy)?,
                    _ => turns.settled(failure)?,
                },
            }
        }
    }

    /// Takes an idle connection to a server, or opens one.
    fn connection(
        &self,
        server: usize,
        probes: bool,
        deadline: Instant,
    ) -> std::result::Result<Leased<'_>, Failure> {
        let shared = &*self.shared;
        let mut in_use = shared.in_use.lock();
        while *in_use >= MAX_CONNECTIONS {
            if shared.returned.wait_until(&mut in_use, deadline).timed_out() {
                return Err(Failure::NotSent(format!(
                    "all {MAX_CONNECTIONS} connections are in use"
                )));
            }
        }
        *in_use += 1;
        drop(in_use);
        let mut leased = Leased { shared, channel: None };
        // Ends, as each turn takes one of the idle connections away.
        loop {
            let idle = shared.servers[server].idle.lock().pop();
            let Some(mut channel) = idle else { break };
            let is_old = channel.last_used.elapsed() > IDLE;
            let limit = deadline.min(Instant::now() + PROBE);
            if !(probes && is_old) || channel.probe(limit).is_ok() {
                leased.channel = Some(channel);
                return Ok(leased);
            }
        }
        leased.channel = Some(self.connect(server, deadline)?);
        Ok(leased)
    }

    /// Sends one call to one server.
    fn send<C: Call>(
        &self,
        server: usize,
        call: &C,
        needs_leader: bool,
        token: Option<&HeaderValue>,
        deadline: Instant,
    ) -> std::result::Result<C::Response, Failure> {
        let len = call.encoded_len();
        if len > MAX_REQUEST {
            return Err(Failure::Status {
                code: RESOURCE_EXHAUSTED,
                message: format!("the request of {len} bytes is larger than max ({MAX_REQUEST})"),
            });
        }
        let body = channel::encoded(call);
        let mib = u32::try_from(len >> 20).unwrap_or(u32::MAX);
        // Where the whole call has little time, enough of it must be left for another attempt.
        let limit = (ATTEMPT + mib * ATTEMPT_PER_MIB).min(self.timeout / 3);
        let deadline = deadline.min(Instant::now() + limit);
        let mut leased = self.connection(server, true, deadline)?;
        let Some(mut channel) = leased.channel.take() else {
            return Err(Failure::NotSent("there is no connection".to_owned()));
        };
        let ask = Ask { path: C::PATH, body, token, needs_leader };
        let response = channel.call(ask, deadline);
        if matches!(response, Ok(_) | Err(Failure::Status { .. })) {
            self.shared.servers[server].idle.lock().push(channel);
        }
        C::Response::decode_response(response?)
    }

    /// Opens a connection to a server, and begins a stream on it with `first`.
    fn begin_stream<C: Call>(
        &self,
        server: usize,
        first: &C,
        token: Option<&HeaderValue>,
        deadline: Instant,
    ) -> std::result::Result<Streaming, Failure> {
        let deadline = deadline.min(Instant::now() + ATTEMPT.min(self.timeout / 3));
        let channel = self.connect(server, deadline)?;
        let body = channel::encoded(first);
        // A server that loses its leader ends the stream, which would otherwise fall silent.
        channel.stream(Ask { path: C::PATH, body, token, needs_leader: true }, deadline)
    }

    fn connect(&self, server: usize, deadline: Instant) -> std::result::Result<Channel, Failure> {
        let endpoint = &self.url.endpoints[server];
        let tls = self.tls.as_ref().map(|config| session(config, endpoint)).transpose();
        let tls = tls.map_err(|cause| Failure::NotSent(format!("cannot use TLS: {cause}")))?;
        Channel::connect(endpoint, tls, deadline)
    }

    /// Logs in, and returns the token for further calls.
    fn log_in(
        &self,
        server: usize,
        deadline: Instant,
    ) -> std::result::Result<Option<HeaderValue>, Failure> {
        let Some((name, password)) = &self.login else { return Ok(None) };
        if let Some(token) = &*self.shared.token.lock() {
            return Ok(Some(token.clone()));
        }
        let (name, password) = (name.clone(), password.reveal().to_owned());
        let call = AuthenticateRequest { name, password };
        let token = match self.send(server, &call, true, None, deadline) {
            Ok(response) => HeaderValue::from_str(&response.token).ok(),
            // A cluster without users accepts everybody.
            Err(Failure::Status { code: 9, message }) if message.contains("not enabled") => None,
            // The call that needs the login was not sent.
            Err(failure) if failure.verdict(true) == Verdict::Unknown => {
                return Err(Failure::NotSent(failure.to_string()));
            }
            Err(failure) => return Err(failure),
        };
        *self.shared.token.lock() = token.clone();
        Ok(token)
    }

    /// Returns the text of an error with the server and what it responded.
    fn text(&self, server: usize, failure: &Failure) -> String {
        let endpoint = &self.url.endpoints[server];
        let hint = match failure.verdict(self.login.is_some()) {
            Verdict::Refused(Kind::Unsupported) => {
                "; the server's flags --max-request-bytes and --max-txn-ops set the limits"
            }
            Verdict::NoSpace => {
                "; compact and defragment the cluster, or raise --quota-backend-bytes, and disarm \
                 the alarm"
            }
            Verdict::Compacted => "; take a new snapshot or cursor",
            _ => "",
        };
        format!("etcd at {endpoint}: {failure}{hint}")
    }

    /// Tells whether the user logs in.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // In a forked child, dropping connections would lock what the parent's threads may have
        // locked. The sockets are closed already.
        if !self.owner.is_current() {
            return;
        }
        let lease = self.shared.lease.lock().take();
        if let Some(Lease { id, renewed }) = lease
            && renewed.elapsed() < LEASE_ENDED
            && let Ok(mut turns) = self.turns()
        {
            // Otherwise the lease ends by itself, a little later.
            turns.deadline = Instant::now() + REVOKE;
            let _ = turns.attempt(&LeaseRevokeRequest { id }, Consistency::Linearizable);
        }
        // SAFETY: dropped once, here, and not used afterwards.
        #[allow(unsafe_code)]
        unsafe {
            ManuallyDrop::drop(&mut self.shared);
        }
    }
}

impl Turns<'_> {
    /// Sends `call` to the next server. An inner error is final.
    pub fn attempt<C: Call>(
        &mut self,
        call: &C,
        consistency: Consistency,
    ) -> std::result::Result<Result<C::Response>, Failure> {
        let client = self.client;
        let server = self.next();
        let deadline = self.deadline;
        // What is sent now could not be responded to in time.
        if Instant::now() >= deadline {
            let failure = Failure::NotSent("no time is left".to_owned());
            self.last.get_or_insert_with(|| (server, failure.clone()));
            return Err(failure);
        }
        let needs_leader = consistency == Consistency::Linearizable;
        let sent = match client.log_in(server, deadline) {
            Ok(token) => client.send(server, call, needs_leader, token.as_ref(), deadline),
            Err(failure) => match failure.verdict(true) {
                // The call was not sent, as opposed to one that fails so itself.
                Verdict::Broken(kind) => {
                    return Ok(Err(Error::new(kind, client.text(server, &failure))));
                }
                _ => Err(failure),
            },
        };
        match sent {
            Ok(response) => {
                *client.shared.servers[server].failed.lock() = None;
                client.shared.preferred.store(server, Relaxed);
                Ok(self.of_this_cluster(&response).map(|()| response))
            }
            Err(failure) => Err(self.failed_at(server, failure)),
        }
    }

    /// Begins a stream with the next server. Returns the server with it.
    pub fn stream<C: Call>(
        &mut self,
        first: &C,
    ) -> std::result::Result<(usize, Streaming), Failure> {
        let (client, server, deadline) = (self.client, self.next(), self.deadline);
        let begun = client
            .log_in(server, deadline)
            .and_then(|token| client.begin_stream(server, first, token.as_ref(), deadline));
        begun.map(|stream| (server, stream)).map_err(|failure| self.failed_at(server, failure))
    }

    /// Records that a call failed, so that another server is preferred.
    pub fn failed_at(&mut self, server: usize, failure: Failure) -> Failure {
        if !matches!(failure, Failure::Status { .. }) {
            *self.client.shared.servers[server].failed.lock() = Some(Instant::now());
        }
        self.last = Some((server, failure.clone()));
        failure
    }

    /// Returns the next server: the one that responded last, and then those behind it, but none
    /// that failed lately if another has not.
    fn next(&mut self) -> usize {
        let servers = &self.client.shared.servers;
        let count = servers.len();
        let is_well = |server: &usize| {
            servers[*server].failed.lock().is_none_or(|failed| failed.elapsed() > SHUNNED)
        };
        let turn = self.first + self.tried;
        let order = (turn..turn + count).map(|server| server % count);
        order.clone().find(is_well).unwrap_or(turn % count)
    }

    /// Decides whether to try again after a failure that may have changed something, or that a
    /// read met. Fails with `kind` once the time is up.
    pub fn again(&mut self, failure: Failure, kind: Kind) -> Result<()> {
        self.tried += 1;
        let now = Instant::now();
        // After each round of all servers, or at once where no time was spent waiting.
        if self.tried.is_multiple_of(self.client.url.endpoints.len()) {
            let pause = PAUSE.min(self.deadline.saturating_duration_since(now));
            std::thread::sleep(pause);
        }
        if Instant::now() < self.deadline {
            return Ok(());
        }
        // A call that no time was left for says less than the one before it.
        if let Some((_, last)) = &mut self.last
            && !matches!(failure, Failure::NotSent(_))
        {
            *last = failure;
        }
        Err(self.failed(kind))
    }

    /// Like [`Turns::again`], and logs in again if the failure says so. "Denied" would say that an
    /// earlier call changed nothing, which is not known here.
    pub fn again_after_login(&mut self, failure: Failure, kind: Kind) -> Result<()> {
        if failure.verdict(self.client.has_login()) == Verdict::LoginEnded {
            *self.client.shared.token.lock() = None;
        }
        self.again(failure, kind)
    }

    /// Decides about a failure that changed nothing: returns if the call can be sent again.
    pub fn settled(&mut self, failure: Failure) -> Result<()> {
        let server = self.last.as_ref().map_or(0, |(server, _)| *server);
        let error = |kind| Err(Error::new(kind, self.client.text(server, &failure)));
        match failure.verdict(self.client.login.is_some()) {
            Verdict::NotApplied | Verdict::FutureRevision => self.again(failure, Kind::Busy),
            Verdict::LoginEnded if self.logins < 2 => {
                self.logins += 1;
                *self.client.shared.token.lock() = None;
                Ok(())
            }
            Verdict::LoginEnded => error(Kind::Denied),
            Verdict::LeaseGone => self.again(failure, Kind::Busy),
            Verdict::NoSpace => error(Kind::NoSpace),
            Verdict::Compacted => error(Kind::Expired),
            Verdict::Refused(kind) | Verdict::Broken(kind) => error(kind),
            Verdict::Unknown => error(Kind::UnknownOutcome),
        }
    }

    /// Returns the error of a call whose time is up.
    pub fn failed(&self, kind: Kind) -> Error {
        let limit = self.client.timeout.as_millis();
        let last = match &self.last {
            Some((server, failure)) => self.client.text(*server, failure),
            None => "no server was asked yet".to_owned(),
        };
        let what = match kind {
            Kind::UnknownOutcome => "the cluster did not say whether it applied the write",
            _ => "the cluster did not respond",
        };
        Error::new(kind, format!("{what} within {limit} ms (cluster_timeout_ms); {last}"))
    }

    /// Fails if the response came from another cluster than the first one.
    fn of_this_cluster(&self, response: &impl Headed) -> Result<()> {
        let Some(header) = response.header() else { return Ok(()) };
        let known = &self.client.shared.cluster_id;
        match known.compare_exchange(0, header.cluster_id, Relaxed, Relaxed) {
            Err(known) if known != header.cluster_id => {
                Err(Error::new(Kind::Closed, "the cluster was replaced by another one"))
            }
            _ => Ok(()),
        }
    }
}

/// Decodes responses.
trait Decoded: Sized {
    fn decode_response(bytes: bytes::Bytes) -> std::result::Result<Self, Failure>;
}

impl<M: prost::Message + Default> Decoded for M {
    fn decode_response(bytes: bytes::Bytes) -> std::result::Result<M, Failure> {
        M::decode(bytes)
            .map_err(|cause| Failure::NotGrpc(format!("it responded nonsense: {cause}")))
    }
}

/// Reads the files for TLS.
fn tls(options: &Options) -> Result<Arc<ClientConfig>> {
    let Options { cluster_ca, cluster_cert, cluster_key, .. } = options;
    if cluster_ca.is_empty() {
        return Err(Error::invalid("etcds:// needs the option \"cluster_ca\""));
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates("cluster_ca", cluster_ca)? {
        roots.add(certificate).map_err(|cause| unusable("cluster_ca", cluster_ca, cause))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(Kind::Internal, "TLS cannot be used").because(cause))?
        .with_root_certificates(roots);
    let mut config = match (cluster_cert.is_empty(), cluster_key.is_empty()) {
        (true, true) => builder.with_no_client_auth(),
        (false, false) => {
            let chain = certificates("cluster_cert", cluster_cert)?;
            let key = PrivateKeyDer::from_pem_slice(&contents("cluster_key", cluster_key)?)
                .map_err(|cause| unusable("cluster_key", cluster_key, cause))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|cause| unusable("cluster_cert", cluster_cert, cause))?
        }
        _ => {
            return Err(Error::invalid(
                "the options \"cluster_cert\" and \"cluster_key\" belong together",
            ));
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn session(
    config: &Arc<ClientConfig>,
    endpoint: &Endpoint,
) -> std::result::Result<ClientConnection, Box<dyn std::error::Error>> {
    let name = ServerName::try_from(endpoint.host.clone())?;
    Ok(ClientConnection::new(config.clone(), name)?)
}

fn contents(option: &str, path: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| {
        Error::io(format!("cannot read the file of option \"{option}\""), cause).at(Path::new(path))
    })
}

fn certificates(option: &str, path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = contents(option, path)?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|cause| unusable(option, path, cause))?;
    if found.is_empty() {
        return Err(unusable(option, path, std::io::Error::other("it has no certificate")));
    }
    Ok(found)
}

fn unusable(
    option: &str,
    path: &str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::invalid(format!("the file of option \"{option}\" cannot be used"))
        .at(Path::new(path))
        .because(cause)
}
