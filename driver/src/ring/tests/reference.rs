//! The ring as a state machine, step by step against a plain reference, with a
//! card that also posts what it must not.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// What the ring must do, written down a second time and as plainly as can be:
/// a list of what is outstanding and sets of what is allowed.
struct Reference {
    depth: u16,
    tail: u16,
    sq_head: u16,
    taken: u32,
    outstanding: VecDeque<(u16, u16, u32)>,
}

impl Reference {
    fn new(depth: u16) -> Self {
        Self {
            depth,
            tail: 0,
            sq_head: 0,
            taken: 0,
            outstanding: VecDeque::new(),
        }
    }
    fn full(&self) -> bool {
        (self.tail + 1) % self.depth == self.sq_head
            || self.outstanding.len() as u16 == self.depth - 1
    }
    fn next_completion(&self) -> (u16, bool) {
        let depth = u32::from(self.depth);
        let lap = self.taken / depth;
        ((self.taken % depth) as u16, lap.is_multiple_of(2))
    }
    /// Heads that the card may report with the command at `index`.
    fn heads(&self, index: u16) -> Vec<u16> {
        let mut heads = vec![(index + 1) % self.depth];
        while heads.last() != Some(&self.tail) {
            heads.extend(heads.last().map(|h| (h + 1) % self.depth));
        }
        heads
    }
    fn accept(&mut self, c: &Completion) -> Result<u32, RingError> {
        if c.queue != 1 {
            let (queue, got) = (1, c.queue);
            return Err(RingError::WrongQueue { queue, got });
        }
        let cid = c.cid;
        if !self.outstanding.iter().any(|o| o.0 == cid) {
            return Err(RingError::UnknownId { cid });
        }
        let (expected, index, job) = self.outstanding[0];
        if expected != cid {
            return Err(RingError::OutOfOrder { cid, expected });
        }
        let heads = self.heads(index);
        if !heads.contains(&c.sq_head) {
            let (head, first, tail) = (c.sq_head, heads[0], self.tail);
            return Err(RingError::Head { head, first, tail });
        }
        self.outstanding.pop_front();
        self.sq_head = c.sq_head;
        self.taken += 1;
        Ok(job)
    }
}

/// One step of driver and card; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Place,
    Fetch,
    Post,
    /// The next completion that is due, with one field replaced.
    Corrupt {
        queue: u16,
        cid: Option<u16>,
        head: Option<u16>,
    },
    /// Anything at all.
    Invent {
        cid: u16,
        head: u16,
    },
    /// The queue is stopped and started.
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Place),
        5 => Just(Step::Fetch),
        5 => Just(Step::Post),
        1 => (0u16..3, prop::option::of(any::<u16>()), prop::option::of(0u16..40))
            .prop_map(|(queue, cid, head)| Step::Corrupt { queue, cid, head }),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(cid, head)| Step::Invent { cid, head }),
        1 => Just(Step::Restart),
    ]
}

/// Ring, reference and card, held side by side.
struct Trial {
    ring: Ring<u32>,
    reference: Reference,
    card: Peer,
    jobs: u32,
}

impl Trial {
    fn new(log2_depth: u8) -> Self {
        let depth = 1 << log2_depth;
        Self {
            ring: Ring::new(1, log2_depth).unwrap(),
            reference: Reference::new(depth),
            card: Peer::new(depth),
            jobs: 0,
        }
    }

    /// Ring and reference judge alike; whether they accepted.
    fn judge(&mut self, c: &Completion) -> bool {
        let expected = self.reference.accept(c);
        assert_eq!(self.ring.accept(c), expected, "{c:?}");
        expected.is_ok()
    }

    /// After an error, or just so: everything starts anew but the ids.
    fn restart(&mut self) {
        let left = self.ring.tear_down();
        let expected: Vec<u32> = self.reference.outstanding.iter().map(|o| o.2).collect();
        assert_eq!(left, expected);
        let depth = self.reference.depth;
        // Ids from before the restart are unknown after it.
        for (cid, ..) in std::mem::take(&mut self.reference.outstanding) {
            assert!(!self.ring.is_outstanding(cid));
        }
        (self.reference, self.card) = (Reference::new(depth), Peer::new(depth));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Place => match self.ring.place(self.jobs) {
                Ok(placed) => {
                    assert!(!self.reference.full());
                    assert_eq!(placed.index, self.reference.tail);
                    let known = &mut self.reference.outstanding;
                    assert!(known.iter().all(|o| o.0 != placed.cid), "an id twice");
                    known.push_back((placed.cid, placed.index, self.jobs));
                    self.reference.tail = (placed.index + 1) % self.reference.depth;
                    assert_eq!(placed.tail, self.reference.tail);
                    self.card.sq.push_back(placed.cid);
                    self.jobs += 1;
                }
                Err(job) => assert!(job == self.jobs && self.reference.full()),
            },
            Step::Fetch => self.card.fetch(),
            Step::Post => {
                if let Some((index, phase, c)) = self.card.post() {
                    assert_eq!(self.ring.next_completion(), (index, phase));
                    assert!(self.judge(&c), "a sound completion is accepted");
                }
            }
            Step::Corrupt { queue, cid, head } => {
                let due = self.card.fetched.front().copied();
                let c = completion(
                    queue,
                    cid.or(due).unwrap_or_default(),
                    head.unwrap_or(self.card.head),
                );
                self.hostile(&c);
            }
            Step::Invent { cid, head } => self.hostile(&completion(1, cid, head)),
            Step::Restart => self.restart(),
        }
        assert_eq!(self.ring.is_full(), self.reference.full());
        assert_eq!(self.ring.outstanding(), self.reference.outstanding.len());
        assert_eq!(
            self.ring.next_completion(),
            self.reference.next_completion()
        );
        let oldest = self.reference.outstanding.front().map(|o| (o.0, o.2));
        assert_eq!(self.ring.oldest().map(|(cid, job)| (cid, *job)), oldest);
    }

    /// A completion that may be wrong. If it is, the queue is restarted, as the
    /// worker does; if it is right by chance, the card has lost its place.
    fn hostile(&mut self, c: &Completion) {
        self.judge(c);
        self.restart();
    }
}

/// 2^16 laps of each shallow ring, with a hostile completion now and then.
#[test]
#[cfg_attr(miri, ignore = "too long")]
fn shallow_rings_wrap_two_to_the_sixteenth_times() {
    for log2_depth in [1, 2] {
        let mut trial = Trial::new(log2_depth);
        let mut laps = 0u32;
        let mut noise = 0x9e37_79b9_7f4a_7c15u64;
        while laps < 1 << 16 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (pick, a, b) = (noise >> 60, (noise >> 16) as u16, (noise >> 32) as u16);
            let before = trial.ring.next_completion().0;
            match pick {
                0..6 => trial.step(Step::Place),
                6..11 => trial.step(Step::Fetch),
                // One in about 4000, so that most laps are whole.
                15 if a % 256 == 0 => trial.step(Step::Invent { cid: b, head: a }),
                _ => trial.step(Step::Post),
            }
            let after = trial.ring.next_completion().0;
            laps += u32::from(after < before);
        }
    }
}

proptest! {
    /// Driver and hostile card, step by step, against the reference.
    #[test]
    fn the_ring_is_its_reference(
        log2_depth in 1u8..5,
        steps in prop::collection::vec(steps(), 1..400),
    ) {
        let mut trial = Trial::new(log2_depth);
        for step in steps {
            trial.step(step);
        }
    }
}
