//! How many connections a listener may have, in all and per address, and which one has to go when
//! they are used up.
//!
//! A connection waits (for a request, or for its answer to be read) or it works (the request is
//! complete and being answered). One that works is never dropped. Of those that wait, the address
//! with most connections loses the one that has waited longest. Called by `server` and `guarded`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Connections that may still be closing, over those that the limit allows.
pub(super) const CLOSING: usize = 32;

/// What a listener allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Connections of one address at the same time (of IPv6 one /64 network); 0 for no limit of its
    /// own. Addresses of this machine have none: they are those of reverse proxies, too.
    pub per_address: usize,
    /// Reverse proxies elsewhere: many users behind one address, which has no limit of its own.
    pub proxies: Vec<IpAddr>,
    /// From the connection, or the last answer, to the end of the next request's headers.
    pub headers: Duration,
    /// From there to the end of the body.
    pub body: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// From there to the answer.
    pub answer: Duration,
    /// How long a client may read nothing of an answer.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_address: 64,
            proxies: Vec::new(),
            headers: Duration::from_secs(15),
            body: Duration::from_secs(10),
            body_bytes: 256 << 10,
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(10),
        }
    }
}

/// What has happened at a listener since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections now.
    pub open: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused at once, because all others worked or the address had its share.
    pub refused: u64,
    /// Connections dropped to make room for another one.
    pub dropped: u64,
    /// Requests whose headers came.
    pub requests: u64,
    /// Requests that were cut off: body or answer took too long.
    pub late: u64,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    /// When it began to wait; meaningless while it works.
    since: Instant,
    working: bool,
    /// It is a WebSocket: whether it works is not known.
    socket: bool,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<u64, Entry>,
    next: u64,
    /// Dropped to make room, and not closed yet.
    closing: usize,
}

/// The connections of a listener.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    inner: Mutex<Inner>,
    closed: Notify,
    accepted: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    requests: AtomicU64,
    late: AtomicU64,
}

impl Connections {
    /// None yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            inner: Mutex::default(),
            closed: Notify::new(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            late: AtomicU64::new(0),
        })
    }

    /// What is allowed.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            open: self.lock().entries.len() as u64,
            accepted: of(&self.accepted),
            refused: of(&self.refused),
            dropped: of(&self.dropped),
            requests: of(&self.requests),
            late: of(&self.late),
        }
    }

    /// A poisoned lock guards nothing half done: each change is one insertion or removal.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while too many connections are still closing.
    pub(super) async fn room(&self) {
        loop {
            let closed = self.closed.notified();
            {
                let inner = self.lock();
                if inner.entries.len() + inner.closing < self.limits.connections + CLOSING {
                    return;
                }
            }
            closed.await;
        }
    }

    /// A place for a connection from `peer`; makes room if there is none. `None` if nothing can go.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let address = network(peer);
        let exempt = self.limits.per_address == 0
            || address.is_loopback()
            || self
                .limits
                .proxies
                .iter()
                .any(|proxy| network(*proxy) == address);
        let mut inner = self.lock();
        let own = || {
            inner
                .entries
                .values()
                .filter(|entry| entry.address == address)
        };
        let victim = if !exempt && own().count() >= self.limits.per_address {
            longest(&inner, Some(address))
        } else if inner.entries.len() >= self.limits.connections {
            longest(&inner, most(&inner))
        } else {
            Ok(None)
        };
        let Ok(victim) = victim else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if let Some(entry) = victim.and_then(|id| inner.entries.remove(&id)) {
            entry.end.cancel();
            inner.closing += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let (id, end) = (inner.next, CancellationToken::new());
        inner.next += 1;
        inner.entries.insert(
            id,
            Entry {
                address,
                since: Instant::now(),
                working: false,
                socket: false,
                end: end.clone(),
            },
        );
        let connections = Arc::clone(self);
        Some(Place {
            connections,
            id,
            end,
        })
    }

    /// Ends connections: those that only wait, or all. Returns how many there were.
    pub(super) fn end(&self, all: bool) -> usize {
        let inner = self.lock();
        for entry in inner.entries.values() {
            if all || !(entry.working || entry.socket) {
                entry.end.cancel();
            }
        }
        inner.entries.len()
    }

    /// Waits until every connection is closed.
    pub(super) async fn none_left(&self) {
        loop {
            let closed = self.closed.notified();
            {
                let inner = self.lock();
                if inner.entries.is_empty() && inner.closing == 0 {
                    return;
                }
            }
            closed.await;
        }
    }

    pub(super) fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn too_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }
}

/// The address with most waiting connections; none if all work.
fn most(inner: &Inner) -> Option<IpAddr> {
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    for entry in inner.entries.values().filter(|entry| !entry.working) {
        *counts.entry(entry.address).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(address, _)| address)
}

/// The connection of an address that has waited longest; an error if there is none.
fn longest(inner: &Inner, address: Option<IpAddr>) -> Result<Option<u64>, ()> {
    let address = address.ok_or(())?;
    let waiting = inner
        .entries
        .iter()
        .filter(|(_, entry)| entry.address == address && !entry.working);
    let longest = waiting.min_by_key(|(_, entry)| entry.since);
    longest.map(|(id, _)| Some(*id)).ok_or(())
}

/// What counts as one address: IPv4 also where it is written as IPv6, and of IPv6 the /64 network,
/// which is what one subscriber has at least.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        // All of 127.0.0.0/8 is this machine, but each of its addresses counts for itself.
        address => address,
    }
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
    end: CancellationToken,
}

impl Place {
    /// The listener's connections.
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Is cancelled when the connection has to go.
    pub fn end(&self) -> &CancellationToken {
        &self.end
    }

    /// A request is complete: until what this returns is dropped, the connection works.
    pub fn work(&self) -> Working<'_> {
        self.set(true);
        Working { place: self }
    }

    /// It has become a WebSocket.
    pub fn socket(&self) {
        if let Some(entry) = self.connections.lock().entries.get_mut(&self.id) {
            entry.socket = true;
        }
    }

    /// Waits anew: it has been of use.
    pub fn refresh(&self) {
        self.set(false);
    }

    fn set(&self, working: bool) {
        if let Some(entry) = self.connections.lock().entries.get_mut(&self.id) {
            entry.working = working;
            entry.since = Instant::now();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut inner = self.connections.lock();
            if inner.entries.remove(&self.id).is_none() {
                inner.closing = inner.closing.saturating_sub(1);
            }
        }
        self.connections.closed.notify_waiters();
    }
}

/// See [`Place::work`].
pub(super) struct Working<'a> {
    place: &'a Place,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.place.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(connections: usize, per_address: usize) -> Arc<Connections> {
        Connections::new(Limits {
            connections,
            per_address,
            proxies: vec!["10.0.0.1".parse().unwrap()],
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_address_with_most_connections_loses_the_one_that_waits_longest() {
        let all = connections(5, 0);
        let honest = all.admit(ip("192.0.2.1")).unwrap();
        let hostile: Vec<Place> = (0..4).filter_map(|_| all.admit(ip("192.0.2.9"))).collect();
        // The longest of all is the honest one, but the other address has more.
        let another = all.admit(ip("192.0.2.2")).unwrap();
        assert!(!honest.end().is_cancelled() && hostile[0].end().is_cancelled());
        // What was of use lately goes last, and what works does not go at all.
        hostile[1].refresh();
        let working = hostile[2].work();
        let more = all.admit(ip("192.0.2.9")).unwrap();
        assert!(hostile[3].end().is_cancelled());
        assert!(!hostile[1].end().is_cancelled() && !hostile[2].end().is_cancelled());
        let works = [&honest, &hostile[1], &another, &more].map(Place::work);
        assert!(all.admit(ip("192.0.2.3")).is_none(), "all work");
        let counts = all.counts();
        assert_eq!((counts.open, counts.dropped, counts.refused), (5, 2, 1));
        drop((works, working));
        assert_eq!(all.end(false), 5);
        assert!(honest.end().is_cancelled());
    }

    #[test]
    fn an_address_has_its_share_unless_it_is_a_proxys() {
        let all = connections(100, 2);
        let places: Vec<Place> = (0..3).filter_map(|_| all.admit(ip("192.0.2.9"))).collect();
        assert!(places[0].end().is_cancelled() && !places[1].end().is_cancelled());
        let _working = (places[1].work(), places[2].work());
        assert!(all.admit(ip("192.0.2.9")).is_none());
        assert!(
            all.admit(ip("::ffff:192.0.2.9")).is_none(),
            "the same in IPv6"
        );
        for peer in ["127.0.0.1", "::1", "10.0.0.1"] {
            let places: Vec<Place> = (0..9).filter_map(|_| all.admit(ip(peer))).collect();
            assert_eq!(places.len(), 9, "{peer}");
            assert!(!places[0].end().is_cancelled(), "{peer}");
        }
        let places: Vec<Place> = (1..4)
            .filter_map(|host| all.admit(ip(&format!("2001:db8::{host}"))))
            .collect();
        assert!(
            places[0].end().is_cancelled(),
            "a /64 network is one address"
        );
        drop(places);
        assert_eq!(all.counts().open, 2);
    }
}
