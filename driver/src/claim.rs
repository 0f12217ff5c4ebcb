//! Who drives a card: one opener at a time.
//!
//! Two drivers on one card would program each other's queues. Every transport
//! therefore keeps one [`ClaimSlot`] and answers `Transport::claim` from it;
//! [`Card::open`](crate::Card::open) holds the [`Claim`] for as long as it may
//! touch the card: until the card is closed, or out of service with all its DMA
//! memory unmapped.
//!
//! The slot also remembers mappings that a former holder could not end, so that
//! the next one ends them once it has stopped the card.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Somebody drives the card already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the card at {transport} is in use by {holder}: close it there first (`Card::close`), or use another card"
)]
pub struct Busy {
    /// The transport's description.
    pub transport: String,
    /// Who has it.
    pub holder: String,
}

#[derive(Debug, Default)]
struct State {
    holder: Option<String>,
    /// I/O addresses of mappings whose unmap failed; the transport keeps their
    /// memory alive.
    leftovers: Vec<u64>,
}

type Shared = Arc<Mutex<State>>;

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kept by a transport: whether its card is claimed, and by whom.
#[derive(Debug, Default)]
pub struct ClaimSlot {
    state: Shared,
}

impl ClaimSlot {
    /// Claims the card of `transport` (its description, for the error) for this
    /// process.
    ///
    /// # Errors
    /// [`Busy`] while another claim exists.
    pub fn take(&self, transport: &str) -> Result<Claim, Busy> {
        let mut state = lock(&self.state);
        if let Some(holder) = &state.holder {
            return Err(Busy {
                transport: transport.into(),
                holder: holder.clone(),
            });
        }
        let thread = std::thread::current();
        state.holder = Some(format!(
            "process {}, thread {}",
            std::process::id(),
            thread.name().unwrap_or("without a name")
        ));
        Ok(Claim {
            state: Arc::clone(&self.state),
        })
    }
}

/// The right to drive a card; ends when dropped.
pub struct Claim {
    state: Shared,
}

impl Claim {
    /// Where to note mappings that cannot be ended; outlives the claim.
    pub(crate) fn leftovers(&self) -> Leftovers {
        Leftovers(Some(Arc::clone(&self.state)))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.state).holder = None;
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}

/// Mappings that nobody owns any more, but that still exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leftovers(Option<Shared>);

impl Leftovers {
    /// Notes that the mapping at `iova` could not be ended.
    pub fn leave(&self, iova: u64) {
        if let Some(state) = &self.0 {
            lock(state).leftovers.push(iova);
        }
    }

    /// Takes all that were left.
    pub fn take(&self) -> Vec<u64> {
        self.0
            .as_ref()
            .map(|state| std::mem::take(&mut lock(state).leftovers))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_error_names_the_holder() {
        let slot = ClaimSlot::default();
        let claim = slot.take("here").unwrap();
        let error = slot.take("here").unwrap_err();
        let pid = std::process::id().to_string();
        assert!(error.to_string().contains(&pid), "{error}");
        assert_eq!(error.transport, "here");
        drop(claim);
        assert!(slot.take("here").is_ok());
    }

    #[test]
    fn what_one_holder_leaves_the_next_finds_once() {
        let slot = ClaimSlot::default();
        let left = slot.take("here").unwrap().leftovers();
        // Noted after the claim has ended: the last buffer was dropped late.
        left.leave(0x1000);
        let next = slot.take("here").unwrap();
        assert_eq!(next.leftovers().take(), [0x1000]);
        assert!(next.leftovers().take().is_empty());
    }
}
