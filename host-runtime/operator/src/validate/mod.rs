//! Checks of a card, in four levels. Every result is compared with one that no card computed.
//!
//! | level | file | what |
//! |---|---|---|
//! | 1 | `basics` | identity, status, counters |
//! | 2 | `transfers`, `march` | DMA both ways on every queue, lists, interrupts, a sample of card memory |
//! | 3 | `compute`, `chains`, `refusals`, `resets` | every compute command, `FILL`, chains, error statuses, both resets |
//! | 4 | `march`, `endurance` | all of card memory, large jobs again and again, a proof |
//!
//! Level n runs all checks of the levels up to n. The checks take the card for themselves and
//! overwrite its memory.

mod basics;
mod chains;
mod compute;
mod endurance;
mod march;
mod refusals;
mod resets;
#[cfg(test)]
mod tests;
mod transfers;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_driver::command::Group;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardError, DriverCounters, JobError, registers};

use crate::reach;
use carillon_runtime::card::{CardAddress, CardEngine, open_on};
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::EngineError;
use carillon_runtime::groth16::Groth16Error;

/// The highest level.
pub const LEVELS: u8 = 4;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// 1 to [`LEVELS`].
    pub level: u8,
    /// Elements of the large jobs of level 4, as a power of two.
    pub log2: u32,
    /// How often level 4 repeats them.
    pub rounds: u32,
    /// Go on after a failed check.
    pub keep_going: bool,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// Something is not as it must be.
    #[error("{0}")]
    Differs(String),
    /// The card or its driver.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The runtime above.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The prover.
    #[error(transparent)]
    Prover(#[from] Groth16Error),
}

impl From<JobError> for Wrong {
    fn from(error: JobError) -> Self {
        Wrong::Card(error.into())
    }
}

fn wrong(what: impl fmt::Display) -> Wrong {
    Wrong::Differs(what.to_string())
}

/// What a check found, in a few words.
type Checked = Result<String, Wrong>;
type Running<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// One check.
struct Check {
    level: u8,
    name: &'static str,
    run: for<'a> fn(&'a Subject) -> Running<'a>,
}

/// Wraps an async function as a check.
macro_rules! check {
    ($level:literal, $name:literal, $run:path) => {
        Check {
            level: $level,
            name: $name,
            run: |subject| Box::pin($run(subject)),
        }
    };
}

const CHECKS: &[Check] = &[
    check!(1, "identity registers", basics::identity),
    check!(1, "controller status", basics::status),
    check!(1, "counters", basics::counters),
    check!(2, "DMA on every queue", transfers::plain),
    check!(2, "scatter/gather", transfers::lists),
    check!(2, "queues at the same time", transfers::together),
    check!(2, "interrupts", transfers::interrupts),
    check!(2, "card memory, sample", march::sample),
    check!(3, "msm_g1", compute::msm),
    check!(3, "msm_g1 outside the subgroup", compute::msm_outside),
    check!(3, "msm_g2", compute::msm_g2),
    check!(3, "msm_g2 outside the subgroup", compute::msm_g2_outside),
    check!(3, "ntt", compute::ntt),
    check!(3, "quotient", compute::quotient),
    check!(3, "product", compute::product),
    check!(3, "fill", chains::fill),
    check!(3, "chains", chains::chains),
    check!(3, "error statuses", refusals::statuses),
    check!(3, "controller reset", resets::controller),
    check!(3, "function-level reset", resets::function),
    check!(4, "card memory, all", march::all),
    check!(4, "large jobs", endurance::large),
    check!(4, "Groth16 proof", endurance::proof),
    check!(1, "driver's counters", basics::driver_counters),
];

/// The card under examination.
struct Subject {
    engine: CardEngine,
    transport: Arc<dyn Transport>,
    cpu: CpuEngine,
    options: Options,
    /// Resets that the checks themselves cause; the driver counts them, too.
    before: DriverCounters,
}

impl Subject {
    /// Whether the card sums in this group.
    fn has_msm(&self, group: Group) -> bool {
        self.card().info().has_msm(group)
    }

    fn card(&self) -> &Card {
        self.engine.card()
    }
}

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its level.
    pub level: u8,
    /// Its name.
    pub name: &'static str,
    /// What was found, or what is wrong.
    pub result: Result<String, String>,
    /// How long it took.
    pub wall: Duration,
    /// It failed because the card has left the bus, so it says nothing of the card.
    pub gone: bool,
}

/// Sees checks begin and end.
pub trait Observer {
    /// A check begins.
    fn begins(&mut self, name: &'static str);
    /// It has ended.
    fn ended(&mut self, outcome: &Outcome);
}

/// Opens the card and runs the checks of the options' level. Stops after the first that fails,
/// unless the options say otherwise; the last outcome then is the failed one. Nothing is checked
/// after the card has left the bus.
///
/// # Errors
/// [`EngineError`] when the card cannot be reached, or is not one that this program knows. A card
/// that is reached but does not come into service is a failed check.
pub async fn run(
    address: &CardAddress,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<Vec<Outcome>, EngineError> {
    const OPEN: &str = "open, identity page";
    let transport = reach(address)?;
    let started = Instant::now();
    observer.begins(OPEN);
    let opened = open_on(address, Arc::clone(&transport)).await;
    let result = match &opened {
        Ok(card) => Ok(card.info().transport.clone()),
        Err(error) => Err(error.to_string()),
    };
    let outcome = Outcome {
        level: 1,
        name: OPEN,
        result,
        wall: started.elapsed(),
        gone: false,
    };
    let card = match opened {
        Err(_) if has_left(&*transport) => {
            return Err(EngineError::Card {
                engine: address.to_string(),
                operation: "open",
                step: None,
                source: Box::new(CardError::Gone {
                    transport: transport.describe(),
                }),
            });
        }
        Err(error) if !concerns_check(&error) => return Err(error),
        opened => {
            observer.ended(&outcome);
            opened.ok()
        }
    };
    let mut outcomes = vec![outcome];
    let Some(card) = card else {
        return Ok(outcomes);
    };
    let subject = Subject {
        before: card.driver_counters(),
        engine: CardEngine::new(address.to_string(), card),
        transport,
        cpu: CpuEngine::new(),
        options,
    };
    for check in CHECKS.iter().filter(|check| check.level <= options.level) {
        let started = Instant::now();
        observer.begins(check.name);
        let result = (check.run)(&subject).await;
        let outcome = Outcome {
            level: check.level,
            name: check.name,
            gone: result.is_err() && has_left(&*subject.transport),
            result: result.map_err(|wrong| wrong.to_string()),
            wall: started.elapsed(),
        };
        observer.ended(&outcome);
        let (failed, gone) = (outcome.result.is_err(), outcome.gone);
        outcomes.push(outcome);
        if gone || failed && !options.keep_going {
            break;
        }
    }
    Ok(outcomes)
}

/// Whether the card has left the bus: all its registers read all ones, the identity register, too.
fn has_left(transport: &dyn Transport) -> bool {
    transport.read32(registers::magic::OFFSET) == u32::MAX
}

/// Whether a card that did not open is defective, rather than absent, busy or another one.
fn concerns_check(error: &EngineError) -> bool {
    match error {
        EngineError::Card { source, .. } => matches!(
            **source,
            CardError::Identity { .. } | CardError::Unresponsive { .. } | CardError::Job(_)
        ),
        _ => false,
    }
}

/// Bytes that differ from one place, one queue, one time to the next.
fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    let words = bytes.div_ceil(8) as u64;
    let mut out: Vec<u8> = (0..words)
        .flat_map(|word| scramble(seed ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
        .collect();
    out.truncate(bytes);
    out
}

/// Mixes all bits into all bits (the finaliser of SplitMix64).
fn scramble(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The first place where two byte strings of one length differ.
fn first_difference(expected: &[u8], found: &[u8]) -> Option<usize> {
    expected.iter().zip(found).position(|(a, b)| a != b)
}

/// Bytes in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
