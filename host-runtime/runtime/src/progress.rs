//! Progress of long jobs as an event stream.
//!
//! The prover and the engines report; a CLI draws bars, a service forwards to its clients, a test
//! records. Sinks are called from the proving thread and must not block. `()` ignores everything.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// One stage of making a proof. Engines may run stages at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Running the circuit to get the witness; checking every constraint where they are not recorded.
    Synthesis,
    /// Moving key and witness to where the engine computes; computing and checking the rows of recorded constraints
    /// meanwhile.
    Load,
    /// The six number-theoretic transforms (seven for a key in the basis of powers).
    Ntt,
    /// The pointwise quotient, off the domain.
    Quotient,
    /// Multi-scalar multiplication over the H query.
    H,
    /// Multi-scalar multiplication over the L query.
    L,
    /// Multi-scalar multiplication over the A query.
    A,
    /// Multi-scalar multiplication over the B query in G1.
    B1,
    /// Multi-scalar multiplication over the B query in G2.
    B2,
    /// Checking the finished proof.
    Verify,
}

impl Phase {
    /// All phases in the order in which they start on a single card.
    pub const ALL: [Phase; 10] = [
        Phase::Synthesis,
        Phase::Load,
        Phase::Ntt,
        Phase::Quotient,
        Phase::H,
        Phase::L,
        Phase::A,
        Phase::B1,
        Phase::B2,
        Phase::Verify,
    ];

    /// Short lower-case name, as used in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Synthesis => "synthesis",
            Phase::Load => "load",
            Phase::Ntt => "ntt",
            Phase::Quotient => "quotient",
            Phase::H => "h",
            Phase::L => "l",
            Phase::A => "a",
            Phase::B1 => "b1",
            Phase::B2 => "b2",
            Phase::Verify => "verify",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProgressEvent {
    /// A phase began; `steps` is how many [`ProgressEvent::Advanced`] events it will send at most.
    Started {
        /// Which phase.
        phase: Phase,
        /// Expected number of steps, at least 1.
        steps: u64,
    },
    /// `done` steps of the phase are complete.
    Advanced {
        /// Which phase.
        phase: Phase,
        /// Steps complete so far.
        done: u64,
    },
    /// The phase is complete.
    Finished {
        /// Which phase.
        phase: Phase,
        /// How long it took.
        wall: Duration,
    },
}

/// Receives progress events. Implementations must return quickly and must not panic.
pub trait ProgressSink: Send + Sync {
    /// Called once per event, possibly from several threads.
    fn event(&self, event: ProgressEvent);
}

impl ProgressSink for () {
    fn event(&self, _: ProgressEvent) {}
}

/// Forwards to a channel; events are dropped once the receiver is gone.
impl ProgressSink for tokio::sync::mpsc::UnboundedSender<ProgressEvent> {
    fn event(&self, event: ProgressEvent) {
        let _ = self.send(event);
    }
}
