//! A proxy between a client and a server, which cuts a connection after some bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// A cut that has not happened yet.
#[derive(Clone, Copy)]
struct Cut {
    direction: Direction,
    left: u64,
}

/// A proxy for one server. It ends with this.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    cut: Mutex<Option<Cut>>,
    ended: AtomicBool,
}

impl Proxy {
    pub fn start(server: SocketAddr) -> testkit::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { server, cut: Mutex::new(None), ended: AtomicBool::new(false) });
        let proxy = Proxy { address, shared: shared.clone() };
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(SeqCst) {
                    break;
                }
                // A connection that fails is one that the client sees fail.
                if let Ok(client) = client {
                    let _ = forward(&shared, client);
                }
            }
        });
        Ok(proxy)
    }

    /// Cuts the connection that has passed `left` more bytes in this direction. The bytes of all
    /// connections count together. Later connections are not cut.
    pub fn cut_after(&self, direction: Direction, left: u64) {
        *self.shared.cut() = Some(Cut { direction, left });
    }

    /// Takes the cut back. Returns whether it had not happened.
    pub fn take_cut(&self) -> bool {
        self.shared.cut().take().is_some()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn cut(&self) -> std::sync::MutexGuard<'_, Option<Cut>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many of `count` bytes may pass, and whether the connection ends then.
    fn pass(&self, direction: Direction, count: usize) -> (usize, bool) {
        let mut cut = self.cut();
        match &mut *cut {
            Some(Cut { direction: cut_direction, left }) if *cut_direction == direction => {
                let passing = usize::try_from(*left).unwrap_or(usize::MAX).min(count);
                *left -= passing as u64;
                if passing < count {
                    *cut = None;
                    return (passing, true);
                }
                (count, false)
            }
            _ => (count, false),
        }
    }
}

fn forward(shared: &Arc<Shared>, client: TcpStream) -> std::io::Result<()> {
    let server = TcpStream::connect(shared.server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    for (from, to, direction) in [
        (client.try_clone()?, server.try_clone()?, Direction::ToServer),
        (server, client, Direction::ToClient),
    ] {
        let shared = shared.clone();
        // Ends with either connection.
        thread::spawn(move || copy(&shared, &from, &to, direction));
    }
    Ok(())
}

fn copy(shared: &Shared, mut from: &TcpStream, mut to: &TcpStream, direction: Direction) {
    let mut buffer = [0; 16 << 10];
    // Ends when the sender ends, or at the cut.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let (passing, ends) = shared.pass(direction, count);
        if to.write_all(&buffer[..passing]).is_err() || ends {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
