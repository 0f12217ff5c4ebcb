//! What a card's faults make of its accesses, interrupts and registers.
//!
//! One [`Injector`] belongs to each simulated card and lies in its `DmaSpace`;
//! the space asks it about every access, the card about its interrupts and
//! registers. It decides and never acts, so that
//! nobody waits under its lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carillon_driver::completion::{COMPLETION_BYTES, PHASE_BIT};
use carillon_driver::registers as reg;
use carillon_driver::transport::{InterruptLine, TransportError};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::card::{CardFault, CompletionFault, FOR_EVER, InterruptFault};
use super::rings::Rings;

/// What becomes of an access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It happens.
    Pass,
    /// A bus error.
    Fail,
    /// The card believes that it happened (writes).
    Lose,
    /// The last word first; the rest after this time (completions).
    LastWordFirst(Duration),
    /// It happens after another write, of these bytes to this address.
    After(u64, Vec<u8>),
}

/// The decision on an access: first the wait, then the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub wait: Duration,
    pub outcome: Outcome,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            wait: Duration::ZERO,
            outcome: Outcome::Pass,
        }
    }
}

#[derive(Debug)]
struct Armed {
    fault: CardFault,
    /// Times left; for a completion, those to let pass before.
    left: u32,
    /// Used up.
    spent: bool,
    /// Id of the completion before.
    before: Option<[u8; 2]>,
    random: ChaCha20Rng,
}

impl Armed {
    fn new(fault: CardFault) -> Self {
        let (left, seed) = match fault {
            CardFault::HostReads { count, .. }
            | CardFault::HostWrites { count, .. }
            | CardFault::Fetch { count, .. }
            | CardFault::Post { count, .. }
            | CardFault::Interrupts { count, .. } => (count, 0),
            CardFault::Completion { number, .. } => (number, 0),
            CardFault::Random { seed } => (1, seed),
            _ => (1, 0),
        };
        Self {
            fault,
            left,
            spent: left == 0 && !matches!(fault, CardFault::Completion { .. }),
            before: None,
            random: ChaCha20Rng::seed_from_u64(seed),
        }
    }

    /// Uses it up by one; whether there was one left.
    fn take(&mut self) -> bool {
        let hit = !self.spent;
        if hit && self.left != FOR_EVER {
            self.left -= 1;
            self.spent = self.left == 0;
        }
        hit
    }
}

#[derive(Debug, Default)]
struct State {
    armed: Vec<Armed>,
    rings: Rings,
}

/// The faults at work on one card.
#[derive(Debug, Default)]
pub(crate) struct Injector {
    state: Mutex<State>,
    /// Whether anything is armed: sound cards take no lock.
    busy: AtomicBool,
}

impl Injector {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a fault to work.
    pub fn arm(&self, fault: CardFault) {
        let mut state = self.state();
        state.armed.push(Armed::new(fault));
        self.busy.store(true, Ordering::Release);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut state = self.state();
        state.armed.clear();
        self.busy.store(false, Ordering::Release);
    }

    /// Whether anything is armed.
    pub fn busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Takes note of a register write.
    pub fn written(&self, offset: u32, value: u32) {
        self.state().rings.written(offset, value);
    }

    /// A register as the host reads it.
    pub fn register(&self, offset: u32, value: u32) -> u32 {
        let corrupted = offset == reg::status::OFFSET && self.has(CardFault::NeverReady);
        if corrupted {
            reg::status::READY.set(value, 0)
        } else {
            value
        }
    }

    fn has(&self, fault: CardFault) -> bool {
        self.busy() && self.state().armed.iter().any(|a| a.fault == fault)
    }

    /// Whether the card may be reset.
    ///
    /// # Errors
    /// [`TransportError::Reset`] while [`CardFault::NeverResets`] is at work.
    pub fn reset(&self) -> Result<(), TransportError> {
        if self.has(CardFault::NeverResets) {
            return Err(TransportError::Reset {
                cause: "injected fault".into(),
            });
        }
        Ok(())
    }

    /// Raises an interrupt as the faults let it.
    pub fn raise(&self, vector: u16, line: &InterruptLine) {
        let mut times = 1;
        if self.busy() {
            for armed in &mut self.state().armed {
                if let CardFault::Interrupts {
                    vector: v, change, ..
                } = armed.fault
                    && v == vector
                    && armed.take()
                {
                    times = if change == InterruptFault::Lost { 0 } else { 2 };
                }
            }
        }
        for _ in 0..times {
            line.raise();
        }
    }

    /// The card is about to read `bytes` bytes of host memory.
    pub fn read(&self, address: u64, bytes: usize) -> Decision {
        let mut decision = Decision::default();
        if !self.busy() {
            return decision;
        }
        let mut state = self.state();
        let State { armed, rings } = &mut *state;
        let command = rings.command(address);
        for armed in armed {
            let hit = match armed.fault {
                CardFault::Slow { above, micros } => {
                    if command.is_none() && bytes > above as usize {
                        decision.wait += Duration::from_micros(micros.into());
                    }
                    false
                }
                CardFault::HostReads { above, .. } => {
                    command.is_none() && bytes > above as usize && armed.take()
                }
                CardFault::Fetch { queue, .. } => command == Some(queue) && armed.take(),
                CardFault::Random { .. } => armed.random.gen_bool(0.01),
                _ => false,
            };
            if hit {
                decision.outcome = Outcome::Fail;
            }
        }
        decision
    }

    /// The card is about to write `data`, which may be changed.
    pub fn write(&self, address: u64, data: &mut [u8]) -> Decision {
        let mut decision = Decision::default();
        if !self.busy() {
            return decision;
        }
        let mut state = self.state();
        let State { armed, rings } = &mut *state;
        let completion = rings
            .completion(address)
            .filter(|_| data.len() == COMPLETION_BYTES);
        for armed in armed {
            let outcome = match (armed.fault, completion) {
                (CardFault::Slow { above, micros }, None) if data.len() > above as usize => {
                    decision.wait += Duration::from_micros(micros.into());
                    continue;
                }
                (CardFault::HostWrites { above, .. }, None) => {
                    if data.len() > above as usize && armed.take() {
                        Outcome::Fail
                    } else {
                        continue;
                    }
                }
                (CardFault::Post { queue, .. }, Some(q)) if q == queue && armed.take() => {
                    Outcome::Fail
                }
                (CardFault::Completion { queue, change, .. }, Some(q)) if q == queue => {
                    match corrupt(armed, change, address, data, rings) {
                        Some(corrupted) => {
                            decision.wait += corrupted.wait;
                            corrupted.outcome
                        }
                        None => continue,
                    }
                }
                (CardFault::Random { .. }, Some(_)) => random(&mut armed.random, data),
                _ => continue,
            };
            if outcome != Outcome::Pass {
                decision.outcome = outcome;
            }
        }
        // What has had its turn is removed.
        state.armed.retain(|a| !a.spent);
        decision
    }
}

/// Corrupts a completion, when its turn has come.
fn corrupt(
    armed: &mut Armed,
    change: CompletionFault,
    address: u64,
    data: &mut [u8],
    rings: &Rings,
) -> Option<Decision> {
    const HEAD: std::ops::Range<usize> = 24..26;
    const QUEUE: usize = 26;
    const ID: std::ops::Range<usize> = 28..30;
    const ID_HIGH: usize = 29;
    const STATUS_HIGH: usize = 31;

    let own = [data[ID.start], data[ID_HIGH]];
    let before = armed.before.replace(own);
    if armed.left > 0 {
        armed.left -= 1;
        return None;
    }
    if change == CompletionFault::StaleId && before.is_none() {
        return None;
    }
    armed.spent = true;
    let mut decision = Decision::default();
    match change {
        CompletionFault::Lost => decision.outcome = Outcome::Lose,
        CompletionFault::Delayed { micros } => {
            decision.wait = Duration::from_micros(micros.into());
        }
        CompletionFault::Twice => {
            let (next, flips) = rings.after(address)?;
            let mut copy = data.to_vec();
            copy[30] ^= u8::from(flips);
            decision.outcome = Outcome::After(next, copy);
        }
        // No command has it: the top bit belongs to the generation.
        CompletionFault::UnknownId => data[ID_HIGH] ^= 0x80,
        CompletionFault::StaleId => data[ID].copy_from_slice(&before?),
        CompletionFault::WrongQueue => data[QUEUE] ^= 3,
        CompletionFault::HeadOutOfRange => data[HEAD].fill(0xff),
        CompletionFault::ReservedBits => data[STATUS_HIGH] |= 0x70,
        CompletionFault::PhaseFirst { micros } => {
            decision.outcome = Outcome::LastWordFirst(Duration::from_micros(micros.into()));
        }
    }
    Some(decision)
}

/// The hostile card's completions.
fn random(random: &mut ChaCha20Rng, data: &mut [u8]) -> Outcome {
    match random.gen_range(0..100) {
        0..4 => {
            let bit = random.gen_range(0..8 * data.len());
            data[bit / 8] ^= 1 << (bit % 8);
            Outcome::Pass
        }
        4 => Outcome::Lose,
        5 => Outcome::Fail,
        _ => Outcome::Pass,
    }
}

/// The phase is bit 0 of byte 30.
const _: () = assert!(PHASE_BIT == 1 << ((30 - 24) * 8));
