//! Watches of a range of a store, on a stream of events.
//!
//! A watch has a connection of its own. The thread that asks for the next change drives it. After a
//! failure the watch continues at another server, behind the last revision that it was told, so it
//! misses nothing unless the cluster has compacted its history meanwhile.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;

use super::Keyspace;
use super::channel::Streaming;
use super::pool::{Consistency, Turns};
use super::verdict::{Failure, PERMISSION_DENIED, UNAVAILABLE, Verdict};
use super::wire::{DELETED, Event, RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse};
use crate::engine::{Change, ChangeKind, Range, Watch};
use crate::error::{Error, Kind, Result};

/// After this silence the server is asked whether it is still there,
const SILENCE: Duration = Duration::from_secs(10);

/// and has this long to respond.
const PROBE: Duration = Duration::from_secs(1);

/// How long a server may take to create a watch.
const CREATE: Duration = Duration::from_millis(2500);

/// How long a call may take to connect again that was not to wait.
const CONNECT: Duration = Duration::from_millis(200);

/// The time between two wake-ups of a program that waits for the descriptor: the watch then looks
/// after its connection.
const WAKE_UP: Duration = Duration::from_secs(5);

pub struct ClusterWatch {
    store: Arc<Keyspace>,
    /// With the prefix of the store.
    start: Bytes,
    end: Bytes,
    /// The first revision that was not told yet, or `None` if that is the next one of the cluster.
    next_revision: Option<i64>,
    stream: Option<(usize, Streaming)>,
    /// Since when no server told anything.
    failing_since: Option<Instant>,
    events: VecDeque<Event>,
    current: Event,
    poller: Option<Poller>,
}

impl ClusterWatch {
    /// Watches `range` from now on, or after the revision `after`.
    pub fn new(store: &Arc<Keyspace>, range: &Range, after: Option<u64>) -> Result<ClusterWatch> {
        let start = store.key(b'd', &range.start);
        let end = range.end.as_ref().map_or_else(|| store.data_end(), |end| store.key(b'd', end));
        let now = store.revision()?;
        let after = match after.map(i64::try_from) {
            None => now,
            Some(Ok(after)) if (1..=now).contains(&after) => {
                // Fails if the cluster has compacted it.
                let request = RangeRequest {
                    key: store.marker(),
                    revision: after,
                    serializable: true,
                    count_only: true,
                    ..RangeRequest::default()
                };
                store.client.ask(&request, Consistency::Serializable)?;
                after
            }
            Some(_) => return Err(missed("the cluster has no such revision")),
        };
        let mut watch = ClusterWatch {
            store: store.clone(),
            start,
            end,
            next_revision: Some(after + 1),
            stream: None,
            failing_since: None,
            events: VecDeque::new(),
            current: Event::default(),
            poller: None,
        };
        // What is denied is denied now, and not to the first wait.
        let mut turns = store.client.turns()?;
        while watch.stream.is_none() && !watch.is_empty() {
            watch.connect(&mut turns)?;
        }
        Ok(watch)
    }

    /// Returns whether no key is in the range.
    fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Begins a stream at the next server. Fails once the time of `turns` is up, or if trying again
    /// does not help.
    fn connect(&mut self, turns: &mut Turns<'_>) -> Result<()> {
        let next = match self.next_revision {
            Some(next) => next,
            None => {
                let next = self.store.revision()? + 1;
                *self.next_revision.insert(next)
            }
        };
        let create = WatchCreateRequest {
            key: self.start.clone(),
            range_end: self.end.clone(),
            start_revision: next,
        };
        let begun = turns.stream(&WatchRequest { create: Some(create) });
        let begun = begun.and_then(|(server, mut stream)| {
            let deadline = turns.deadline.min(Instant::now() + CREATE);
            match created(&mut stream, deadline) {
                Ok(()) => Ok((server, stream)),
                Err(failure) => Err(turns.failed_at(server, failure)),
            }
        });
        match begun {
            Ok(stream) => {
                self.stream = Some(stream);
                self.failing_since = None;
                self.follow_socket();
                Ok(())
            }
            Err(failure) => match failure.verdict(self.store.client.has_login()) {
                Verdict::Unknown => turns.again(failure, Kind::Busy),
                _ => turns.settled(failure),
            },
        }
    }

    /// Receives events. Returns whether there are any.
    fn receive(&mut self, until: Option<Instant>) -> Result<bool> {
        let is_up = |until: Option<Instant>| until.is_some_and(|until| until <= Instant::now());
        // Each turn ends at `until`, or after a failure. Failures in a row end it after the time
        // limit of a call.
        loop {
            let Some((server, stream)) = &mut self.stream else {
                let store = self.store.clone();
                let mut turns = store.client.turns()?;
                if let Some(until) = until {
                    turns.deadline = turns.deadline.min(until.max(Instant::now() + CONNECT));
                }
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                while self.stream.is_none() {
                    match self.connect(&mut turns) {
                        Ok(()) => {}
                        Err(error)
                            if error.kind() == Kind::Busy
                                && is_up(until)
                                && since.elapsed() < self.store.client.timeout() =>
                        {
                            return Ok(false);
                        }
                        Err(error) => return Err(error),
                    }
                }
                continue;
            };
            let now = Instant::now();
            let probe_at = now + SILENCE.saturating_sub(stream.silence());
            let wait = until.map_or(probe_at, |until| until.min(probe_at));
            let (server, mut result) = (*server, stream.next(wait));
            if matches!(result, Ok(None)) && stream.silence() >= SILENCE {
                result = stream.probe(Instant::now() + PROBE).map(|()| None);
            }
            match result {
                Ok(Some(message)) => {
                    self.failing_since = None;
                    self.take(server, message)?;
                    if !self.events.is_empty() {
                        return Ok(true);
                    }
                }
                Ok(None) if is_up(until) => return Ok(false),
                Ok(None) => {}
                Err(failure) => self.lose(server, failure)?,
            }
            if self.stream.is_none() && is_up(until) {
                return Ok(false);
            }
        }
    }

    /// Gives up a stream that failed.
    fn lose(&mut self, server: usize, failure: Failure) -> Result<()> {
        self.stream = None;
        let mut turns = self.store.client.turns()?;
        let failure = turns.failed_at(server, failure);
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.store.client.timeout() {
            return Err(turns.failed(Kind::Busy));
        }
        match failure.verdict(self.store.client.has_login()) {
            Verdict::Unknown => turns.again(failure, Kind::Busy),
            _ => turns.settled(failure),
        }
    }

    /// Takes over what a message of the server says.
    fn take(&mut self, server: usize, message: Bytes) -> Result<()> {
        let response = match WatchResponse::decode(message) {
            Ok(response) => response,
            Err(cause) => {
                let text = format!("it responded nonsense: {cause}");
                return self.lose(server, Failure::NotGrpc(text));
            }
        };
        if response.compact_revision > 0 {
            self.stream = None;
            self.next_revision = None;
            return Err(missed("the cluster has compacted what changed"));
        }
        if response.canceled {
            return self.lose(server, canceled(response.cancel_reason));
        }
        if let Some(last) = response.events.last().and_then(|event| event.kv.as_ref()) {
            self.next_revision = Some(last.mod_revision + 1);
        }
        self.events.extend(response.events);
        Ok(())
    }

    /// Lets the descriptor of the watch follow the socket of a new stream.
    fn follow_socket(&mut self) {
        if let (Some(poller), Some((_, stream))) = (&self.poller, &self.stream) {
            // Without it, the program wakes up by the timer.
            let _ = poller.add(stream.descriptor().as_raw_fd());
        }
    }
}

/// Waits until the server has created the watch. Events follow.
fn created(stream: &mut Streaming, deadline: Instant) -> std::result::Result<(), Failure> {
    let Some(message) = stream.next(deadline)? else {
        return Err(Failure::Lost("the server did not respond in time".to_owned()));
    };
    match WatchResponse::decode(message) {
        Ok(response) if response.canceled && response.compact_revision == 0 => {
            Err(canceled(response.cancel_reason))
        }
        Ok(_) => Ok(()),
        Err(cause) => Err(Failure::NotGrpc(format!("it responded nonsense: {cause}"))),
    }
}

/// Returns the failure of a watch that the server has canceled.
fn canceled(reason: String) -> Failure {
    let code = if reason.contains("permission denied") { PERMISSION_DENIED } else { UNAVAILABLE };
    Failure::Status { code, message: reason }
}

#[cold]
fn missed(why: &'static str) -> Error {
    Error::new(Kind::Expired, format!("{why}; read the store again"))
}

fn revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

impl Watch for ClusterWatch {
    fn next(&mut self, until: Option<Instant>) -> Result<Option<Change<'_>>> {
        self.store.client.check()?;
        if self.is_empty() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            std::thread::sleep(left.unwrap_or(Duration::MAX));
            return Ok(None);
        }
        if self.events.is_empty() && !self.receive(until)? {
            self.poller.iter().for_each(Poller::clear);
            return Ok(None);
        }
        let Some(event) = self.events.pop_front() else { return Ok(None) };
        self.current = event;
        let next = self.events.front().map(revision);
        let Some(kv) = &self.current.kv else { return Ok(None) };
        let kind = match self.current.kind {
            DELETED => ChangeKind::Delete,
            _ => ChangeKind::Set(&kv.value),
        };
        Ok(Some(Change {
            kind,
            key: kv.key.get(self.store.data_prefix_len()..).unwrap_or_default(),
            sequence: kv.mod_revision.try_into().unwrap_or(0),
            is_last: next != Some(kv.mod_revision),
        }))
    }

    fn descriptor(&mut self) -> Result<RawFd> {
        if self.poller.is_none() {
            let poller = Poller::new();
            let poller = poller.map_err(|cause| Error::io("cannot create a descriptor", cause))?;
            self.poller = Some(poller);
            self.follow_socket();
        }
        Ok(self.poller.as_ref().map_or(-1, |poller| poller.epoll.as_raw_fd()))
    }
}

/// A descriptor that is readable when the socket is, and now and then.
struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
}

impl Poller {
    fn new() -> io::Result<Poller> {
        let seconds = WAKE_UP.as_secs().try_into().unwrap_or(1);
        let interval = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = libc::itimerspec { it_interval: interval, it_value: interval };
        // SAFETY: the descriptors are new, so each has one owner here; the times are a local.
        #[allow(unsafe_code)]
        let poller = unsafe {
            let epoll = owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
            let timer = owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?;
            let set =
                libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const times, std::ptr::null_mut());
            if set < 0 {
                return Err(io::Error::last_os_error());
            }
            Poller { epoll, timer }
        };
        poller.add(poller.timer.as_raw_fd())?;
        Ok(poller)
    }

    /// Adds a descriptor, until it is closed.
    fn add(&self, descriptor: RawFd) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: the event is a local.
        #[allow(unsafe_code)]
        match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, descriptor, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for the timer again.
    fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: there is room for the number that a timer returns.
        #[allow(unsafe_code)]
        unsafe {
            libc::read(self.timer.as_raw_fd(), count.as_mut_ptr().cast(), count.len());
        }
    }
}

#[allow(unsafe_code)]
unsafe fn owned(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller has just created it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
