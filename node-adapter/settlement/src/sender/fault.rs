//! Named points at which a drill ends the sender, to restart it from its journal.
//!
//! [`Sender`](super::Sender) is generic over [`Faults`]; [`NoFaults`] is empty and compiles to
//! nothing. Called by `run`.

/// A step of the sender that changes the journal or the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Record of an intent.
    Intent,
    /// Record of a signed transaction.
    Signed,
    /// Handing a transaction to the node.
    Send,
    /// Record of a broadcast.
    Broadcast,
    /// Record of a mined transaction, or of an effect by another's.
    Mined,
    /// Record of a reorganisation.
    Reorged,
    /// Record of a lost nonce.
    Freed,
    /// Record of abandonment or withdrawal.
    Withdrawn,
    /// Record of finality.
    Final,
}

/// Before or after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CrashPoint {
    /// The step was decided and not done.
    Before(Step),
    /// The step was done and nothing after it.
    After(Step),
}

impl CrashPoint {
    /// Every point.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Step::Intent,
            Step::Signed,
            Step::Send,
            Step::Broadcast,
            Step::Mined,
            Step::Reorged,
            Step::Freed,
            Step::Withdrawn,
            Step::Final,
        ]
        .into_iter()
        .flat_map(|step| [Self::Before(step), Self::After(step)])
    }
}

/// Decides where the sender ends.
pub trait Faults: Send + Sync {
    /// Whether the process dies here.
    fn dies(&self, point: CrashPoint) -> bool;
}

/// The sender of a node that is not being drilled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoFaults;

impl Faults for NoFaults {
    #[inline]
    fn dies(&self, _point: CrashPoint) -> bool {
        false
    }
}
