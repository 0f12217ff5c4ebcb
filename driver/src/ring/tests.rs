//! The ring against a card that follows the contract, and one that does not.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::status::StatusCode;

mod reference;

fn completion(queue: u16, cid: u16, sq_head: u16) -> Completion {
    Completion {
        cycles: 0,
        ops: 0,
        bubble_hazard: 0,
        bubble_memory: 0,
        bubble_other: 0,
        detail: 0,
        sq_head,
        queue,
        cid,
        status: StatusCode::Success.into(),
    }
}

/// The card's side, straight from the contract: two rings, head and tail.
struct Peer {
    depth: u16,
    sq: VecDeque<u16>,
    fetched: VecDeque<u16>,
    head: u16,
    at: u16,
    phase: bool,
}

impl Peer {
    fn new(depth: u16) -> Self {
        Self {
            depth,
            sq: VecDeque::new(),
            fetched: VecDeque::new(),
            head: 0,
            at: 0,
            phase: true,
        }
    }
    fn fetch(&mut self) {
        if let Some(cid) = self.sq.pop_front() {
            self.head = (self.head + 1) % self.depth;
            self.fetched.push_back(cid);
        }
    }
    /// Index, phase and content of the completion that it posts.
    fn post(&mut self) -> Option<(u16, bool, Completion)> {
        let cid = self.fetched.pop_front()?;
        let posted = (self.at, self.phase, completion(1, cid, self.head));
        self.at = (self.at + 1) % self.depth;
        self.phase ^= self.at == 0;
        Some(posted)
    }
}

#[test]
#[cfg_attr(miri, ignore = "too long")]
fn depth_two_wraps_sixty_six_thousand_times() {
    let mut ring = Ring::new(1, 1).unwrap();
    let mut peer = Peer::new(2);
    let mut last = None;
    for job in 0..66_000u32 {
        let placed = ring.place(job).unwrap();
        assert!(ring.is_full() && ring.place(0).is_err());
        assert_ne!(Some(placed.cid), last, "an id is never reused at once");
        last = Some(placed.cid);
        peer.sq.push_back(placed.cid);
        peer.fetch();
        let (index, phase, c) = peer.post().unwrap();
        assert_eq!(ring.next_completion(), (index, phase));
        assert_eq!(ring.accept(&c), Ok(job));
        assert!(
            matches!(ring.accept(&c), Err(RingError::UnknownId { .. })),
            "stale id"
        );
    }
    assert_eq!(ring.unfetched(), 0);
}

#[test]
fn what_the_contract_forbids_is_refused_and_changes_nothing() {
    let mut ring = Ring::new(1, 2).unwrap();
    let a = ring.place("a").unwrap();
    let b = ring.place("b").unwrap();
    let refused = [
        (
            completion(2, a.cid, 1),
            RingError::WrongQueue { queue: 1, got: 2 },
        ),
        (
            completion(1, 0x7777, 1),
            RingError::UnknownId { cid: 0x7777 },
        ),
        (
            completion(1, b.cid, 2),
            RingError::OutOfOrder {
                cid: b.cid,
                expected: a.cid,
            },
        ),
        (
            completion(1, a.cid, 0),
            RingError::Head {
                head: 0,
                first: 1,
                tail: 2,
            },
        ),
        (
            completion(1, a.cid, 3),
            RingError::Head {
                head: 3,
                first: 1,
                tail: 2,
            },
        ),
        (
            completion(1, a.cid, 4),
            RingError::Head {
                head: 4,
                first: 1,
                tail: 2,
            },
        ),
        (
            completion(1, a.cid, u16::MAX),
            RingError::Head {
                head: u16::MAX,
                first: 1,
                tail: 2,
            },
        ),
    ];
    for (bad, error) in refused {
        assert_eq!(ring.accept(&bad), Err(error));
        assert_eq!((ring.outstanding(), ring.next_completion()), (2, (0, true)));
    }
    assert_eq!(ring.accept(&completion(1, a.cid, 2)), Ok("a"));
    assert_eq!(ring.accept(&completion(1, b.cid, 2)), Ok("b"));
}

#[test]
fn a_completion_from_before_a_restart_is_unknown() {
    let mut ring = Ring::new(1, 1).unwrap();
    let old = ring.place(1).unwrap();
    assert_eq!(ring.tear_down(), [1]);
    let new = ring.place(2).unwrap();
    assert_eq!(
        (new.index, new.tail, ring.next_completion()),
        (0, 1, (0, true))
    );
    assert_eq!(
        ring.accept(&completion(1, old.cid, 1)),
        Err(RingError::UnknownId { cid: old.cid })
    );
    assert_eq!(ring.accept(&completion(1, new.cid, 1)), Ok(2));
}

#[test]
fn depths_out_of_range_are_refused() {
    assert!(Ring::<()>::new(0, 0).is_none() && Ring::<()>::new(0, 13).is_none());
    assert_eq!(Ring::<()>::new(0, 12).map(|r| r.depth()), Some(4096));
}

proptest! {
    /// Any interleaving of submits, fetches and posts: every job comes back
    /// once, in order, and the ring never holds more than depth - 1.
    #[test]
    fn every_job_comes_back_once_and_in_order(
        log2_depth in 1u8..5,
        steps in prop::collection::vec(0u8..3, 1..600),
    ) {
        let mut ring = Ring::new(1, log2_depth).unwrap();
        let mut peer = Peer::new(1 << log2_depth);
        let (mut sent, mut got) = (0u32, 0u32);
        for step in steps {
            match step {
                0 => match ring.place(sent) {
                    Ok(placed) => {
                        prop_assert_eq!(placed.index, (sent % (1 << log2_depth)) as u16);
                        peer.sq.push_back(placed.cid);
                        sent += 1;
                    }
                    Err(job) => {
                        prop_assert_eq!(job, sent);
                        prop_assert!(ring.is_full());
                    }
                },
                1 => peer.fetch(),
                _ => if let Some((index, phase, c)) = peer.post() {
                    prop_assert_eq!(ring.next_completion(), (index, phase));
                    prop_assert_eq!(ring.accept(&c), Ok(got));
                    got += 1;
                },
            }
            prop_assert_eq!(ring.outstanding() as u32, sent - got);
            prop_assert!(sent - got < 1 << log2_depth);
        }
        let left: Vec<u32> = ring.tear_down();
        prop_assert_eq!(left, (got..sent).collect::<Vec<_>>());
    }

    /// Whatever a card posts, nothing panics and no job ends that was not named.
    #[test]
    fn arbitrary_completions_never_panic(
        log2_depth in 1u8..5,
        posts in prop::collection::vec((0u16..3, any::<u16>(), any::<u16>(), any::<bool>()), 1..200),
    ) {
        let mut ring = Ring::new(1, log2_depth).unwrap();
        for (n, (queue, cid, head, place)) in posts.into_iter().enumerate() {
            if place {
                let _ = ring.place(n);
            }
            let named = ring.is_outstanding(cid);
            let before = ring.outstanding();
            match ring.accept(&completion(queue, cid, head)) {
                Ok(_) => prop_assert!(named && ring.outstanding() == before - 1),
                Err(_) => prop_assert_eq!(ring.outstanding(), before),
            }
        }
    }
}
