//! A socket as h2 wants one: with or without TLS, and without a runtime.
//!
//! A read or a write that would block returns `Pending` and registers no waker: who drives the
//! connection waits for the socket itself.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::url::Endpoint;
use crate::sys::fork::Uninherited;

/// A connected socket that does not block.
pub struct Socket {
    tcp: Uninherited<TcpStream>,
    /// Whether the last write would have blocked.
    is_full: AtomicBool,
    /// Whether the last read has emptied it. Then reads don't ask the system until `may_read`.
    is_empty: AtomicBool,
}

impl Socket {
    /// Connects to `endpoint`, in no more than `limit` for each of its addresses.
    ///
    /// Looking up a name has no time limit of its own.
    pub fn connect(endpoint: &Endpoint, limit: Duration, deadline: Instant) -> io::Result<Socket> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (endpoint.host.as_str(), endpoint.port).to_socket_addrs()? {
            let left = deadline.saturating_duration_since(Instant::now()).min(limit);
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(tcp) => {
                    tcp.set_nodelay(true)?;
                    tcp.set_nonblocking(true)?;
                    let tcp = Uninherited::open(|| Ok(tcp))?;
                    let [is_full, is_empty] = [(); 2].map(|()| AtomicBool::new(false));
                    return Ok(Socket { tcp, is_full, is_empty });
                }
                Err(cause) => failure = cause,
            }
        }
        Err(failure)
    }

    /// Returns the descriptor to wait for.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }

    /// Returns whether something waits to be written.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Relaxed)
    }

    /// Lets the next read ask the system. To be called when the descriptor is ready.
    pub fn may_read(&self) {
        self.is_empty.store(false, Relaxed);
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_empty.load(Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = (&*self.tcp).read(buffer);
        // The system had no more than it returned. The end of the stream, 0, is returned again.
        let is_short = read.as_ref().is_ok_and(|count| (1..buffer.len()).contains(count));
        self.is_empty.store(is_short || would_block(&read), Relaxed);
        read
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&*self.tcp).write(bytes);
        self.is_full.store(would_block(&written), Relaxed);
        written
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = (&*self.tcp).write_vectored(parts);
        self.is_full.store(would_block(&written), Relaxed);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|cause| cause.kind() == io::ErrorKind::WouldBlock)
}

/// Turns what would block into `Pending`.
fn polled<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    if would_block(&result) { Poll::Pending } else { Poll::Ready(result) }
}

/// Calls `call` again for as long as a signal interrupts it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A [`Socket`], maybe with TLS.
pub struct Stream {
    socket: Arc<Socket>,
    tls: Option<Box<ClientConnection>>,
}

impl Stream {
    /// Uses `socket` with `tls`, if there is any.
    pub fn new(socket: Arc<Socket>, tls: Option<ClientConnection>) -> Stream {
        Stream { socket, tls: tls.map(Box::new) }
    }

    /// Reads decrypted bytes.
    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Ends when the socket has no more bytes: each turn takes some from it.
        loop {
            let mut socket = &*self.socket;
            let Some(tls) = &mut self.tls else { return uninterrupted(|| socket.read(buffer)) };
            match tls.reader().read(buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            let count = uninterrupted(|| tls.read_tls(&mut socket))?;
            if let Err(cause) = tls.process_new_packets() {
                // Tells the server why.
                let _ = tls.write_tls(&mut socket);
                return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
            }
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // What was received may have to be replied to.
            match self.write_encrypted() {
                Err(cause) if cause.kind() != io::ErrorKind::WouldBlock => return Err(cause),
                _ => {}
            }
        }
    }

    /// Writes what TLS has encrypted.
    fn write_encrypted(&mut self) -> io::Result<()> {
        let mut socket = &*self.socket;
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            if uninterrupted(|| tls.write_tls(&mut socket))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        polled(self.read_plain(buffer.initialize_unfilled()).map(|count| buffer.advance(count)))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Stream { socket, tls } = &mut *self;
        let mut socket = &**socket;
        let Some(tls) = tls else {
            return polled(uninterrupted(|| socket.write(bytes)));
        };
        match tls.writer().write(bytes) {
            // Its buffer is full.
            Ok(0) if !bytes.is_empty() => {}
            Ok(count) => {
                return match self.write_encrypted() {
                    Err(cause) if cause.kind() != io::ErrorKind::WouldBlock => {
                        Poll::Ready(Err(cause))
                    }
                    _ => Poll::Ready(Ok(count)),
                };
            }
            Err(cause) => return Poll::Ready(Err(cause)),
        }
        match self.write_encrypted() {
            Err(cause) => polled(Err(cause)),
            Ok(()) => {
                let Some(tls) = &mut self.tls else { return Poll::Ready(Ok(0)) };
                polled(tls.writer().write(bytes))
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tls.is_none() {
            let mut socket = &*self.socket;
            return polled(uninterrupted(|| socket.write_vectored(parts)));
        }
        let first = parts.iter().find(|part| !part.is_empty());
        self.poll_write(context, first.map_or(&[], |part| part))
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_none()
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        polled(self.write_encrypted())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        polled(self.write_encrypted())
    }
}
