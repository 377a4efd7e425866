//! A server that speaks etcd's API, has its data in memory, and fails as a test says.
//!
//! It shows what no real server can be asked to do: one certain failure in one certain call, after
//! or before that call has changed the data.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request as HttpRequest, Response as HttpResponse};
use kvds::testing::wire::{
    AuthenticateResponse, CREATE, Compare, CompareWith, DeleteRangeRequest, DeleteRangeResponse,
    GREATER, KeyValue, LeaseGrantResponse, LeaseResponse, MOD, PutRequest, PutResponse,
    RangeRequest, RangeResponse, Request, RequestOp, Response, ResponseHeader, ResponseOp,
    TxnRequest, TxnResponse, VALUE,
};
use prost::Message;

/// The token that a login gives.
const TOKEN: &str = "token";

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A transaction that changes data.
    Write,
    /// A transaction that changes a fence alone.
    Settle,
    Read,
    Grant,
    LogIn,
    /// Any other call.
    Other,
}

/// What the server does instead of a proper response.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A gRPC status, in headers without a body or, with `late`, in trailers.
    Status {
        code: i32,
        message: &'static str,
        late: bool,
    },
    /// An HTTP status.
    Http(u16),
    /// A body that is no message.
    Garbage(&'static [u8]),
    /// A message without the trailers that have its status.
    Headless,
    Reset(Reason),
    GoAway,
    /// The connection ends.
    Cut,
    /// No response, ever.
    Silence,
    /// The proper response, but later.
    Late(Duration),
}

/// A failure of calls of one kind.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: CallKind,
    pub reply: Reply,
    /// Whether the call changes the data before it fails.
    pub applies: bool,
    /// How often it happens.
    pub times: usize,
}

/// A server, which ends with this.
pub struct Fake {
    pub address: SocketAddr,
    shared: Arc<Mutex<State>>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    faults: VecDeque<Fault>,
    calls: Vec<CallKind>,
    cluster_id: u64,
    revision: i64,
    pairs: BTreeMap<Bytes, KeyValue>,
    /// How often each key of data was put.
    puts: BTreeMap<Bytes, usize>,
    leases: i64,
}

impl Fake {
    pub fn start() -> testkit::Result<Fake> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = State { cluster_id: 1, revision: 1, ..State::default() };
        let shared = Arc::new(Mutex::new(state));
        let (end, ended) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let state = shared.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let accepting = tokio::spawn(accept(listener, state));
                // Fails if this server was dropped without a word, which ends it too.
                let _ = ended.await;
                accepting.abort();
            });
        });
        Ok(Fake { address, shared, end: Some(end), thread: Some(thread) })
    }

    pub fn url(&self) -> String {
        format!("etcd://{}/n", self.address)
    }

    /// Adds a failure. Of those for a call, the first that was added happens.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Forgets the failures that have not happened.
    pub fn recover(&self) {
        self.state().faults.clear();
    }

    /// Returns the calls since the last time.
    pub fn take_calls(&self) -> Vec<CallKind> {
        std::mem::take(&mut self.state().calls)
    }

    /// Returns how often the data of `key` was put.
    pub fn puts(&self, key: &[u8]) -> usize {
        let state = self.state();
        let mut puts = state.puts.iter();
        puts.find(|(full, _)| full.ends_with(key)).map_or(0, |(_, count)| *count)
    }

    /// Looks like another cluster from now on.
    pub fn replace_cluster(&self) {
        self.state().cluster_id += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.shared)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed, and the test that uses the server fails without it.
            let _ = thread.join();
        }
    }
}

fn locked(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

type Failed = Box<dyn Error + Send + Sync>;

async fn accept(listener: TcpListener, shared: Arc<Mutex<State>>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        // A client that goes away is no failure of the server.
        tokio::spawn(serve(stream, shared.clone()));
    }
}

/// What becomes of a connection after a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Serve,
    GoAway,
    Cut,
}

type Handling = Pin<Box<dyn Future<Output = Result<Then, Failed>> + Send>>;

/// Serves one connection, and one call at a time as the client sends them.
async fn serve(stream: tokio::net::TcpStream, shared: Arc<Mutex<State>>) -> Result<(), Failed> {
    stream.set_nodelay(true)?;
    let mut connection = h2::server::handshake(stream).await?;
    let mut handling: Vec<Handling> = Vec::new();
    let mut goes_away = false;
    poll_fn(|cx| {
        loop {
            let mut cut = false;
            handling.retain_mut(|call| match call.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(then) => {
                    match then {
                        Ok(Then::GoAway) => goes_away = true,
                        Ok(Then::Cut) => cut = true,
                        Ok(Then::Serve) | Err(_) => {}
                    }
                    false
                }
            });
            if cut {
                return Poll::Ready(Ok(()));
            }
            if goes_away {
                goes_away = false;
                connection.abrupt_shutdown(Reason::NO_ERROR);
            }
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    handling.push(Box::pin(handle(request, respond, shared.clone())));
                }
                Poll::Ready(Some(Err(cause))) => return Poll::Ready(Err(cause)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await?;
    Ok(())
}

async fn handle(
    request: HttpRequest<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: Arc<Mutex<State>>,
) -> Result<Then, Failed> {
    let (head, mut stream) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(part) = poll_fn(|cx| stream.poll_data(cx)).await {
        let part = part?;
        stream.flow_control().release_capacity(part.len())?;
        body.put(part);
    }
    let message = body.freeze().split_off(5);
    let path = head.uri.path();
    let kind = kind(path, &message)?;
    let (message, reply) = {
        let mut state = locked(&shared);
        state.calls.push(kind);
        let fault = state.fault(kind);
        let applies = fault.as_ref().is_none_or(|fault| fault.applies);
        let message = if applies { state.call(path, message)? } else { Bytes::new() };
        (message, fault.map(|fault| fault.reply))
    };
    match reply {
        None => respond_with(&mut respond, &message, 0)?,
        Some(Reply::Late(time)) => {
            tokio::time::sleep(time).await;
            respond_with(&mut respond, &message, 0)?;
        }
        Some(Reply::Status { code, message, late: false }) => {
            let mut response = grpc();
            add_status(response.headers_mut(), code, message)?;
            respond.send_response(response, true)?;
        }
        Some(Reply::Status { code, message, late: true }) => {
            let mut stream = respond.send_response(grpc(), false)?;
            let mut trailers = HeaderMap::new();
            add_status(&mut trailers, code, message)?;
            stream.send_trailers(trailers)?;
        }
        Some(Reply::Http(status)) => {
            let response = HttpResponse::builder().status(status).body(())?;
            respond.send_response(response, true)?;
        }
        Some(Reply::Garbage(bytes)) => respond_with(&mut respond, bytes, 0)?,
        Some(Reply::Headless) => {
            let mut stream = respond.send_response(grpc(), false)?;
            stream.send_data(framed(&message), true)?;
        }
        Some(Reply::Reset(reason)) => respond.send_reset(reason),
        Some(Reply::GoAway) => return Ok(Then::GoAway),
        Some(Reply::Cut) => return Ok(Then::Cut),
        Some(Reply::Silence) => std::future::pending().await,
    }
    Ok(Then::Serve)
}

fn grpc() -> HttpResponse<()> {
    let mut response = HttpResponse::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn add_status(headers: &mut HeaderMap, code: i32, message: &str) -> Result<(), Failed> {
    headers.insert("grpc-status", code.into());
    headers.insert("grpc-message", message.parse()?);
    Ok(())
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    framed.freeze()
}

fn respond_with(
    respond: &mut SendResponse<Bytes>,
    message: &[u8],
    code: i32,
) -> Result<(), Failed> {
    let mut stream = respond.send_response(grpc(), false)?;
    stream.send_data(framed(message), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    stream.send_trailers(trailers)?;
    Ok(())
}

/// Returns what a call is for.
fn kind(path: &str, message: &Bytes) -> Result<CallKind, Failed> {
    Ok(match path {
        "/etcdserverpb.KV/Range" => CallKind::Read,
        "/etcdserverpb.Lease/LeaseGrant" => CallKind::Grant,
        "/etcdserverpb.Auth/Authenticate" => CallKind::LogIn,
        "/etcdserverpb.KV/Txn" => {
            let txn = TxnRequest::decode(message.clone())?;
            let mut changes = txn.success.iter().filter_map(|one| one.request.as_ref());
            let changes_data = changes.any(|change| match change {
                Request::Put(put) => !is_fence(&put.key),
                _ => true,
            });
            if changes_data { CallKind::Write } else { CallKind::Settle }
        }
        _ => CallKind::Other,
    })
}

/// Returns whether a key of the store `s` in the namespace `n` is that of a fence.
fn is_fence(key: &[u8]) -> bool {
    key.starts_with(b"n/s/f")
}

impl State {
    /// Returns the failure of a call, and counts it.
    fn fault(&mut self, kind: CallKind) -> Option<Fault> {
        let at = self.faults.iter().position(|fault| fault.kind == kind)?;
        let fault = &mut self.faults[at];
        fault.times -= 1;
        let fault = fault.clone();
        if fault.times == 0 {
            self.faults.remove(at);
        }
        Some(fault)
    }

    /// Does what a call asks for, and returns the encoded response.
    fn call(&mut self, path: &str, message: Bytes) -> Result<Bytes, Failed> {
        let response = match path {
            "/etcdserverpb.KV/Range" => self.range(&RangeRequest::decode(message)?).encode_to_vec(),
            "/etcdserverpb.KV/Txn" => self.txn(TxnRequest::decode(message)?)?.encode_to_vec(),
            "/etcdserverpb.Lease/LeaseGrant" => {
                self.leases += 1;
                let id = self.leases;
                LeaseGrantResponse { header: self.header(), id, ttl: 60 }.encode_to_vec()
            }
            "/etcdserverpb.Auth/Authenticate" => {
                AuthenticateResponse { token: TOKEN.to_owned() }.encode_to_vec()
            }
            _ => LeaseResponse { header: self.header(), ttl: 60 }.encode_to_vec(),
        };
        Ok(response.into())
    }

    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader { cluster_id: self.cluster_id, revision: self.revision })
    }

    fn range(&self, request: &RangeRequest) -> RangeResponse {
        let kvs: Vec<KeyValue> = if request.range_end.is_empty() {
            self.pairs.get(&request.key).cloned().into_iter().collect()
        } else {
            let keys = request.key.clone()..request.range_end.clone();
            self.pairs.range(keys).map(|(_, pair)| pair.clone()).collect()
        };
        let count = i64::try_from(kvs.len()).unwrap_or(i64::MAX);
        RangeResponse { header: self.header(), kvs, more: false, count }
    }

    /// Applies a transaction at the next revision if it changes something.
    fn txn(&mut self, request: TxnRequest) -> Result<TxnResponse, Failed> {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        let operations = if succeeded { request.success } else { request.failure };
        if operations.iter().any(|one| !matches!(one.request, Some(Request::Range(_)))) {
            self.revision += 1;
        }
        let responses: Result<_, Failed> =
            operations.into_iter().map(|one| self.operation(one)).collect();
        Ok(TxnResponse { header: self.header(), succeeded, responses: responses? })
    }

    fn operation(&mut self, operation: RequestOp) -> Result<ResponseOp, Failed> {
        let response = match operation.request.ok_or("an empty operation")? {
            Request::Range(range) => Response::Range(self.range(&range)),
            Request::Put(put) => {
                self.put(put);
                Response::Put(PutResponse { header: self.header() })
            }
            Request::DeleteRange(DeleteRangeRequest { key, .. }) => {
                self.pairs.remove(&key);
                Response::DeleteRange(DeleteRangeResponse { header: self.header(), deleted: 1 })
            }
            Request::Txn(_) => return Err("nesting is not needed here".into()),
        };
        Ok(ResponseOp { response: Some(response) })
    }

    fn put(&mut self, PutRequest { key, value, .. }: PutRequest) {
        if !is_fence(&key) {
            *self.puts.entry(key.clone()).or_default() += 1;
        }
        let mod_revision = self.revision;
        let created = self.pairs.get(&key).map(|pair| pair.create_revision);
        let create_revision = created.unwrap_or(mod_revision);
        self.pairs
            .insert(key.clone(), KeyValue { key, create_revision, mod_revision, value, lease: 0 });
    }

    fn holds(&self, compare: &Compare) -> bool {
        let pair = self.pairs.get(&compare.key);
        if let (VALUE, Some(CompareWith::Value(value))) = (compare.target, &compare.with) {
            return pair.is_some_and(|pair| pair.value == value);
        }
        let found = pair.map_or(0, |pair| match compare.target {
            CREATE => pair.create_revision,
            MOD => pair.mod_revision,
            _ => 1,
        });
        let with = match compare.with {
            Some(
                CompareWith::Version(with)
                | CompareWith::CreateRevision(with)
                | CompareWith::ModRevision(with),
            ) => with,
            _ => return false,
        };
        if compare.result == GREATER { found > with } else { found == with }
    }
}
