//! How many connections a listener may have, in all and per address, and which one has to go when
//! they are used up.
//!
//! A connection is new (nobody has looked yet whether its request is there), it waits (for a request,
//! or for its answer to be read) or it works (the request is complete and being answered). Of those
//! that wait, the address with most loses the one that has waited longest; others are never dropped.
//! Called by `server` and `guarded`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::pacing::Pacing;

/// What a connection's slot is taken from when it has to go.
pub(super) trait Hold: Debug + Send + Sync {
    /// Frees the descriptor at once, and tells whoever works for the connection.
    fn close(&self);
}

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
    /// Requests that begin at the same time, beside the first ones of connections.
    pub beginning: usize,
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
            // Enough for every core to have one at hand.
            beginning: 4 * available_parallelism().map_or(1, usize::from),
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
    /// Connections dropped to free a slot for another one.
    pub dropped: u64,
    /// Requests whose headers came.
    pub requests: u64,
    /// Requests that were cut off: body or answer took too long.
    pub late: u64,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The server's: it has not tried to read yet.
    New,
    /// The client's, since then.
    Waits(Instant),
    /// The server's: the request is complete.
    Works,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    state: State,
    /// It is a WebSocket, and waits since it was last of use.
    socket: bool,
    hold: Arc<dyn Hold>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<u64, Entry>,
    next: u64,
}

/// What becomes of a connection that wants a slot.
#[derive(Debug)]
pub(super) enum Admission {
    /// It has one.
    Slot(Slot),
    /// In a moment there may be one: others have just come, and their requests are read first.
    Later,
    /// There is none: all others work, or its address has its share.
    Full,
}

/// The connections of a listener.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    pacing: Pacing,
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
            pacing: Pacing::new(limits.beginning),
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

    /// When requests begin.
    pub(super) fn pacing(&self) -> &Pacing {
        &self.pacing
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

    /// A slot for a connection from `peer`; drops another connection if none is free.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        hold: &Arc<impl Hold + 'static>,
    ) -> Admission {
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
            let victim = longest(&inner, most(&inner));
            let new = |entry: &Entry| entry.state == State::New;
            if victim.is_err() && inner.entries.values().any(new) {
                return Admission::Later;
            }
            victim
        } else {
            Ok(None)
        };
        let Ok(victim) = victim else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Admission::Full;
        };
        let victim = victim.and_then(|id| inner.entries.remove(&id));
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let id = inner.next;
        inner.next += 1;
        inner.entries.insert(
            id,
            Entry {
                address,
                state: State::New,
                socket: false,
                hold: Arc::clone(hold) as Arc<dyn Hold>,
            },
        );
        drop(inner);
        if let Some(victim) = victim {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            victim.hold.close();
        }
        let connections = Arc::clone(self);
        Admission::Slot(Slot { connections, id })
    }

    /// Ends connections: those that only wait, or all.
    pub(super) fn end(&self, all: bool) {
        let ended: Vec<_> = {
            let inner = self.lock();
            let entries = inner.entries.values();
            let ended =
                entries.filter(|entry| all || !(entry.state == State::Works || entry.socket));
            ended.map(|entry| Arc::clone(&entry.hold)).collect()
        };
        // Not under the lock: whoever works for a connection takes the two in the other order.
        for hold in &ended {
            hold.close();
        }
    }

    /// Waits until every connection is closed.
    pub(super) async fn none_left(&self) {
        loop {
            let closed = self.closed.notified();
            {
                if self.lock().entries.is_empty() {
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

/// The address with most waiting connections; none if none waits.
fn most(inner: &Inner) -> Option<IpAddr> {
    // How many, and since when; of several with as many, the one that waits longest.
    let mut counts: HashMap<IpAddr, (usize, Reverse<Instant>)> = HashMap::new();
    for entry in inner.entries.values() {
        if let State::Waits(since) = entry.state {
            let (count, longest) = counts.entry(entry.address).or_insert((0, Reverse(since)));
            *count += 1;
            *longest = Reverse(since.min(longest.0));
        }
    }
    let most = counts.into_iter().max_by_key(|(_, most)| *most);
    most.map(|(address, _)| address)
}

/// The connection of an address that has waited longest; an error if there is none.
fn longest(inner: &Inner, address: Option<IpAddr>) -> Result<Option<u64>, ()> {
    let address = address.ok_or(())?;
    let own = inner.entries.iter();
    let own = own.filter(|(_, entry)| entry.address == address);
    let waiting = own.filter_map(|(id, entry)| match entry.state {
        State::Waits(since) => Some((since, *id)),
        State::New | State::Works => None,
    });
    let longest = waiting.min();
    longest.map(|(_, id)| Some(id)).ok_or(())
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

/// A connection's slot. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    connections: Arc<Connections>,
    id: u64,
}

impl Slot {
    /// The listener's connections.
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// The connection is closed: its slot is free, whatever still works for it.
    pub fn free(&self) {
        let entry = self.connections.lock().entries.remove(&self.id);
        drop(entry);
        self.connections.closed.notify_waiters();
    }

    /// A request is complete: until what this returns is dropped, the connection works.
    pub fn work(&self) -> Working<'_> {
        self.set(State::Works);
        Working { slot: self }
    }

    /// It has become a WebSocket.
    pub fn socket(&self) {
        if let Some(entry) = self.connections.lock().entries.get_mut(&self.id) {
            entry.socket = true;
        }
    }

    /// Waits anew: it has been of use.
    pub fn refresh(&self) {
        self.set(State::Waits(Instant::now()));
    }

    /// Its client has sent nothing yet: from now on it waits.
    pub fn looked(&self) {
        if let Some(entry) = self.connections.lock().entries.get_mut(&self.id)
            && entry.state == State::New
        {
            entry.state = State::Waits(Instant::now());
        }
    }

    fn set(&self, state: State) {
        if let Some(entry) = self.connections.lock().entries.get_mut(&self.id) {
            entry.state = state;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.free();
    }
}

/// See [`Slot::work`].
pub(super) struct Working<'a> {
    slot: &'a Slot,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.slot.refresh();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[derive(Debug, Default)]
    struct Flag(AtomicBool);

    impl Hold for Flag {
        fn close(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// A slot, and whether it was taken away.
    struct Held(Slot, Arc<Flag>);

    impl Held {
        fn is_closed(&self) -> bool {
            self.1.0.load(Ordering::Relaxed)
        }
    }

    fn admit(all: &Arc<Connections>, peer: &str) -> Option<Held> {
        let flag = Arc::new(Flag::default());
        match all.admit(peer.parse().unwrap(), &flag) {
            Admission::Slot(slot) => {
                slot.looked();
                Some(Held(slot, flag))
            }
            Admission::Full => None,
            Admission::Later => panic!("all were looked at"),
        }
    }

    fn connections(connections: usize, per_address: usize) -> Arc<Connections> {
        Connections::new(Limits {
            connections,
            per_address,
            proxies: vec!["10.0.0.1".parse().unwrap()],
            ..Limits::default()
        })
    }

    #[test]
    fn the_address_with_most_connections_loses_the_one_that_waits_longest() {
        let all = connections(5, 0);
        let honest = admit(&all, "192.0.2.1").unwrap();
        let hostile: Vec<Held> = (0..4).filter_map(|_| admit(&all, "192.0.2.9")).collect();
        // The longest of all is the honest one, but the other address has more.
        let another = admit(&all, "192.0.2.2").unwrap();
        assert!(!honest.is_closed() && hostile[0].is_closed());
        // What was of use lately goes last, and what works does not go at all.
        hostile[1].0.refresh();
        let working = hostile[2].0.work();
        let more = admit(&all, "192.0.2.9").unwrap();
        assert!(hostile[3].is_closed());
        assert!(!hostile[1].is_closed() && !hostile[2].is_closed());
        let works = [&honest, &hostile[1], &another, &more].map(|held| held.0.work());
        assert!(admit(&all, "192.0.2.3").is_none(), "all work");
        let counts = all.counts();
        assert_eq!((counts.open, counts.dropped, counts.refused), (5, 2, 1));
        drop((works, working));
        all.end(false);
        assert!(
            [&honest, &hostile[1], &hostile[2], &another, &more]
                .iter()
                .all(|held| held.is_closed())
        );
    }

    #[test]
    fn of_addresses_with_as_many_the_one_that_waits_longest_loses() {
        for _ in 0..8 {
            let all = connections(16, 0);
            let slots: Vec<Held> = (0..16)
                .filter_map(|host| admit(&all, &format!("192.0.2.{host}")))
                .collect();
            slots[0].0.refresh();
            admit(&all, "198.51.100.1").unwrap();
            let closed: Vec<usize> = (0..16).filter(|host| slots[*host].is_closed()).collect();
            assert_eq!(closed, [1]);
        }
    }

    #[test]
    fn an_address_has_its_share_unless_it_is_a_proxys() {
        let all = connections(100, 2);
        let slots: Vec<Held> = (0..3).filter_map(|_| admit(&all, "192.0.2.9")).collect();
        assert!(slots[0].is_closed() && !slots[1].is_closed());
        let _working = (slots[1].0.work(), slots[2].0.work());
        assert!(admit(&all, "192.0.2.9").is_none());
        assert!(
            admit(&all, "::ffff:192.0.2.9").is_none(),
            "the same in IPv6"
        );
        for peer in ["127.0.0.1", "::1", "10.0.0.1"] {
            let slots: Vec<Held> = (0..9).filter_map(|_| admit(&all, peer)).collect();
            assert_eq!(slots.len(), 9, "{peer}");
            assert!(!slots[0].is_closed(), "{peer}");
        }
        let slots: Vec<Held> = (1..4)
            .filter_map(|host| admit(&all, &format!("2001:db8::{host}")))
            .collect();
        assert!(slots[0].is_closed(), "a /64 network is one address");
        drop(slots);
        assert_eq!(all.counts().open, 2);
    }

    #[test]
    fn whoever_has_just_come_has_its_request_read_first() {
        let all = Connections::new(Limits {
            connections: 2,
            per_address: 1,
            ..Limits::default()
        });
        let [first, second, third] = [(); 3].map(|()| Arc::new(Flag::default()));
        let come = |host: u8, flag| all.admit(IpAddr::from([192, 0, 2, host]), flag);
        let closed = |flag: &Arc<Flag>| flag.0.load(Ordering::Relaxed);
        let Admission::Slot(one) = come(1, &first) else {
            panic!("a slot is free");
        };
        let Admission::Slot(other) = come(2, &second) else {
            panic!("a slot is free");
        };
        assert!(matches!(come(3, &third), Admission::Later));
        // An address that has its share waits for nobody and keeps nobody waiting.
        assert!(matches!(come(2, &third), Admission::Full));
        // Its request was there.
        let _working = other.work();
        other.looked();
        assert!(matches!(come(3, &third), Admission::Later));
        one.looked();
        assert!(matches!(come(3, &third), Admission::Slot(_)));
        assert!(closed(&first) && !closed(&second));
    }
}
