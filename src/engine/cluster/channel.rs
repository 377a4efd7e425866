//! One connection to a server, which carries one call at a time.
//!
//! The calling thread drives the connection: it polls the call and the connection by turns, and
//! waits for the socket where neither continues. So there is no runtime and no thread.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::os::fd::BorrowedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request};
use rustls::ClientConnection;

use super::stream::{Socket, Stream};
use super::url::Endpoint;
use super::verdict::Failure;
use crate::sys::poll;

/// How long connecting to an address, and each step behind it, may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// The bytes that a server may send before this reads them, for a call and for a connection.
const WINDOW: u32 = 4 << 20;

/// The bytes before a gRPC message: a flag, and the length.
const PREFIX_LEN: usize = 5;

/// An open connection.
pub struct Channel {
    requests: SendRequest<Bytes>,
    connection: Connection<Stream, Bytes>,
    pings: PingPong,
    socket: Arc<Socket>,
    woken: Arc<Woken>,
    /// When the server was last heard of.
    pub last_used: Instant,
}

/// Notes that polling again makes sense.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.store(true, SeqCst);
    }
}

/// What a call asks for.
pub struct Ask<'a> {
    /// `/SERVICE/METHOD`.
    pub path: &'static str,
    /// The encoded message, behind its prefix.
    pub body: Bytes,
    /// What a login gave.
    pub token: Option<&'a HeaderValue>,
    /// Whether a server that knows no leader must refuse the call at once.
    pub needs_leader: bool,
}

/// Encodes a message for [`Ask::body`].
pub fn encoded(message: &impl prost::Message) -> Bytes {
    let len = message.encoded_len();
    let mut body = BytesMut::with_capacity(PREFIX_LEN + len);
    body.put_u8(0);
    body.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    message.encode_raw(&mut body);
    body.freeze()
}

impl Channel {
    /// Connects to a server, and waits until it has accepted the connection and responded.
    ///
    /// A server refuses a certificate only after the client's part of the handshake has ended. So
    /// only its first response shows that a call will reach it.
    pub fn connect(
        endpoint: &Endpoint,
        tls: Option<ClientConnection>,
        deadline: Instant,
    ) -> Result<Channel, Failure> {
        let not_sent = |cause: String| Failure::NotSent(format!("cannot connect: {cause}"));
        let socket = Socket::connect(endpoint, CONNECT_LIMIT, deadline)
            .map_err(|cause| not_sent(cause.to_string()))?;
        let socket = Arc::new(socket);
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let deadline = deadline.min(Instant::now() + 2 * CONNECT_LIMIT);
        let stream = Stream::new(socket.clone(), tls);
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .enable_push(false);
        let handshake = pin!(builder.handshake::<_, Bytes>(stream));
        let (requests, mut connection) = run(&woken, &socket, None, handshake, deadline)
            .map_err(|lost| not_sent(lost.0))?
            .map_err(|cause| not_sent(described(&cause)))?;
        let Some(pings) = connection.ping_pong() else {
            return Err(not_sent("the connection cannot be probed".to_owned()));
        };
        let last_used = Instant::now();
        let mut channel = Channel { requests, connection, pings, socket, woken, last_used };
        channel.probe(deadline).map_err(not_sent)?;
        Ok(channel)
    }

    /// Waits for the response to a ping.
    pub fn probe(&mut self, deadline: Instant) -> Result<(), String> {
        let pong = pin!(self.pings.ping(Ping::opaque()));
        match run(&self.woken, &self.socket, Some(&mut self.connection), pong, deadline) {
            Ok(Ok(_)) => {
                self.last_used = Instant::now();
                Ok(())
            }
            Ok(Err(cause)) => Err(described(&cause)),
            Err(lost) => Err(lost.0),
        }
    }

    /// Calls the server and returns the encoded message that it responds with.
    ///
    /// After a failure but [`Failure::Status`], the connection must not be used any more.
    pub fn call(&mut self, ask: Ask<'_>, deadline: Instant) -> Result<Bytes, Failure> {
        let request = request(&ask);
        let mut requests = self.requests.clone();
        let exchange = pin!(async move {
            poll_fn(|cx| requests.poll_ready(cx)).await.map_err(not_sent)?;
            let (response, body) = requests.send_request(request, false).map_err(not_sent)?;
            receive(response, body, ask.body).await
        });
        let connection = Some(&mut self.connection);
        let response = run(&self.woken, &self.socket, connection, exchange, deadline);
        let response = response.map_err(|lost| Failure::Lost(lost.0))?;
        if matches!(response, Ok(_) | Err(Failure::Status { .. })) {
            self.last_used = Instant::now();
        }
        response
    }
}

/// A call whose request and response are streams of messages.
pub struct Streaming {
    channel: Channel,
    /// Kept open: its end would end the responses.
    _sending: SendStream<Bytes>,
    head: Option<ResponseFuture>,
    body: Option<RecvStream>,
    /// The beginning of the next message.
    received: BytesMut,
}

impl Channel {
    /// Sends the first message of a stream.
    pub fn stream(mut self, ask: Ask<'_>, deadline: Instant) -> Result<Streaming, Failure> {
        let request = request(&ask);
        let mut requests = self.requests.clone();
        let body = ask.body;
        let exchange = pin!(async move {
            poll_fn(|cx| requests.poll_ready(cx)).await.map_err(not_sent)?;
            let (response, mut sending) =
                requests.send_request(request, false).map_err(not_sent)?;
            sending.send_data(body, false).map_err(not_sent)?;
            Ok((response, sending))
        });
        let connection = Some(&mut self.connection);
        let sent = run(&self.woken, &self.socket, connection, exchange, deadline);
        let (head, sending) = sent.map_err(|lost| Failure::Lost(lost.0))??;
        Ok(Streaming {
            channel: self,
            _sending: sending,
            head: Some(head),
            body: None,
            received: BytesMut::new(),
        })
    }
}

impl Streaming {
    /// Waits for the next message. Returns `None` if none came until `deadline`.
    pub fn next(&mut self, deadline: Instant) -> Result<Option<Bytes>, Failure> {
        let Streaming { channel, head, body, received, .. } = self;
        let next = pin!(poll_fn(|cx| poll_message(head, body, received, cx)));
        let connection = Some(&mut channel.connection);
        match run(&channel.woken, &channel.socket, connection, next, deadline) {
            Ok(message) => {
                channel.last_used = Instant::now();
                message.map(Some)
            }
            Err(Lost(_, true)) => Ok(None),
            Err(Lost(cause, false)) => Err(Failure::Lost(cause)),
        }
    }

    /// Returns how long the server was not heard of.
    pub fn silence(&self) -> Duration {
        self.channel.last_used.elapsed()
    }

    /// Waits for the response to a ping.
    pub fn probe(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.channel.probe(deadline).map_err(Failure::Lost)
    }

    /// Returns the descriptor of the socket.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.channel.socket.descriptor()
    }
}

/// Receives what a stream has, until it has a whole message.
fn poll_message(
    head: &mut Option<ResponseFuture>,
    body: &mut Option<RecvStream>,
    received: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<Bytes, Failure>> {
    if let Some(response) = head {
        let response = match Pin::new(response).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(response) => response.map_err(lost)?,
        };
        *head = None;
        let (parts, stream) = response.into_parts();
        if parts.status != http::StatusCode::OK {
            let text = format!("it responded with HTTP status {}", parts.status);
            return Poll::Ready(Err(Failure::NotGrpc(text)));
        }
        if let Some(status) = status(&parts.headers) {
            return Poll::Ready(Err(ended(status)));
        }
        *body = Some(stream);
    }
    let Some(stream) = body else { return Poll::Ready(Err(ended(Ok(())))) };
    // Ends where the stream has no more, which each turn takes from it.
    loop {
        if let Some(message) = take_message(received) {
            return Poll::Ready(message);
        }
        match stream.poll_data(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(part)) => {
                let part = part.map_err(lost)?;
                let _ = stream.flow_control().release_capacity(part.len());
                received.extend_from_slice(&part);
            }
            Poll::Ready(None) => {
                let trailers = match stream.poll_trailers(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(trailers) => trailers.map_err(lost)?.unwrap_or_default(),
                };
                return Poll::Ready(Err(ended(status(&trailers).unwrap_or(Ok(())))));
            }
        }
    }
}

/// Takes the first message of a stream, if it is whole.
fn take_message(received: &mut BytesMut) -> Option<Result<Bytes, Failure>> {
    let (prefix, _) = received.split_first_chunk::<PREFIX_LEN>()?;
    let [flag, len @ ..] = *prefix;
    if flag != 0 {
        return Some(Err(not_grpc("its message has no valid prefix")));
    }
    let len = PREFIX_LEN + u32::from_be_bytes(len) as usize;
    (received.len() >= len).then(|| Ok(received.split_to(len).freeze().slice(PREFIX_LEN..)))
}

/// Returns the failure of a stream that the server has ended.
fn ended(status: Result<(), Failure>) -> Failure {
    status.err().unwrap_or_else(|| Failure::Lost("the server ended the stream".to_owned()))
}

fn request(ask: &Ask<'_>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    // The authority is of no interest to the server, and a proxy in between is not supported.
    let uri = format!("http://etcd{}", ask.path);
    *request.uri_mut() = uri.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    headers.insert("user-agent", HeaderValue::from_static("kvds"));
    if ask.needs_leader {
        headers.insert("hasleader", HeaderValue::from_static("true"));
    }
    if let Some(token) = ask.token {
        headers.insert("token", token.clone());
    }
    request
}

/// Sends `body` and receives the response to it.
async fn receive(
    response: ResponseFuture,
    mut sending: SendStream<Bytes>,
    body: Bytes,
) -> Result<Bytes, Failure> {
    // As a whole, so that a small one leaves in one packet with the headers. A large one is sent as
    // the server accepts it. The server may respond earlier, to refuse its size for example; so the
    // response also says why it could not be sent.
    let _ = sending.send_data(body, true);
    let (head, mut stream) = response.await.map_err(lost)?.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(Failure::NotGrpc(format!("it responded with HTTP status {}", head.status)));
    }
    if let Some(status) = status(&head.headers) {
        // A response without a message, so without success.
        return Err(status.err().unwrap_or_else(|| not_grpc("it responded without a message")));
    }
    let message = collect(&mut stream).await?;
    let trailers = stream.trailers().await.map_err(lost)?.unwrap_or_default();
    status(&trailers).unwrap_or_else(|| Err(not_grpc("it responded without a status")))?;
    unwrapped(message)
}

async fn collect(stream: &mut RecvStream) -> Result<Bytes, Failure> {
    let mut parts: Vec<Bytes> = Vec::new();
    while let Some(part) = stream.data().await {
        let part = part.map_err(lost)?;
        let _ = stream.flow_control().release_capacity(part.len());
        parts.push(part);
    }
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    let mut message = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts {
        message.put(part);
    }
    Ok(message.freeze())
}

/// Removes the prefix of a gRPC message.
fn unwrapped(mut message: Bytes) -> Result<Bytes, Failure> {
    if message.len() < PREFIX_LEN || message[0] != 0 {
        return Err(not_grpc("its message has no valid prefix"));
    }
    message.advance(1);
    let len = message.get_u32() as usize;
    if len > message.len() {
        return Err(not_grpc("its message is shorter than it says"));
    }
    Ok(message.split_to(len))
}

/// Returns the gRPC status in headers or trailers, if there is one.
fn status(headers: &HeaderMap) -> Option<Result<(), Failure>> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    if code == 0 {
        return Some(Ok(()));
    }
    let message = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    let message = String::from_utf8_lossy(&percent_decoded(message)).into_owned();
    Some(Err(Failure::Status { code, message }))
}

/// Decodes what gRPC percent-encodes, and keeps what is not valid.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let code = match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        decoded.push(code.unwrap_or(text[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    decoded
}

fn not_grpc(what: &str) -> Failure {
    Failure::NotGrpc(what.to_owned())
}

fn not_sent(cause: h2::Error) -> Failure {
    Failure::NotSent(described(&cause))
}

/// Returns the failure of a call that was sent.
fn lost(cause: h2::Error) -> Failure {
    // The server promises with this reason that it did not look at the call.
    if cause.is_reset() && cause.is_remote() && cause.reason() == Some(Reason::REFUSED_STREAM) {
        return not_sent(cause);
    }
    Failure::Lost(described(&cause))
}

/// Returns the text of an error with those of its causes.
fn described(cause: &h2::Error) -> String {
    match (cause.get_io(), cause.source()) {
        (Some(io), _) => io.to_string(),
        (None, Some(source)) => format!("{cause}: {source}"),
        (None, None) => cause.to_string(),
    }
}

/// Why a connection is of no more use, and whether that is because time ran out.
struct Lost(String, bool);

/// Polls `future`, and the connection that it needs, until it is ready.
fn run<T>(
    woken: &Arc<Woken>,
    socket: &Socket,
    mut connection: Option<&mut Connection<Stream, Bytes>>,
    mut future: Pin<&mut impl Future<Output = T>>,
    deadline: Instant,
) -> Result<T, Lost> {
    // What came while the connection was idle, such as its end, is read before anything is sent.
    socket.may_read();
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    // Each turn either uses up what the socket has, or waits for it; so the deadline ends it.
    loop {
        woken.0.store(false, SeqCst);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        if let Some(connection) = connection.as_mut()
            && let Poll::Ready(end) = Pin::new(&mut **connection).poll(&mut context)
        {
            // The end of the connection ends the future too.
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            let cause = match end {
                Ok(()) => "the server closed the connection".to_owned(),
                Err(cause) => described(&cause),
            };
            return Err(Lost(cause, false));
        }
        if woken.0.load(SeqCst) {
            if Instant::now() < deadline {
                continue;
            }
            // What has come just now counts, even where there is no time to wait.
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
        }
        match poll::ready(socket.descriptor(), socket.is_full(), deadline) {
            Ok(true) => socket.may_read(),
            Ok(false) => return Err(Lost("the server did not respond in time".to_owned(), true)),
            Err(cause) => {
                return Err(Lost(format!("cannot wait for the server: {cause}"), false));
            }
        }
    }
}
