//! How the driver reaches a card: registers, DMA mappings, interrupts, reset.
//!
//! [`Transport`] is the only thing the driver knows of the world below. VFIO,
//! a vfio-user client, the Verilated card and the functional model implement
//! it; the driver's own code and its test-suite are the same over all of them.
//!
//! What an implementation owes:
//!
//! 1. **Registers.** 32-bit accesses to BAR0, in program order. A card that
//!    does not answer reads as all ones, as on PCIe; that is no error here, the
//!    driver decides what it means (ring rule 7). Accesses may block for as
//!    long as a bus would, never for ever.
//! 2. **DMA.** [`Transport::map`] makes one [`HostMemory`] reachable at an
//!    address (IOVA) of the transport's choosing, a multiple of 4096, with the
//!    rights of a [`Direction`]. The card's access to anything not mapped, or
//!    against the direction, is a bus error *at the card*; it reaches neither
//!    the memory nor the host. [`Transport::unmap`] returns only when the card
//!    can no longer reach the memory.
//! 3. **Interrupts.** One [`InterruptLine`] per vector; `raise` after the
//!    card's writes that the interrupt announces are visible.
//! 4. **Reset.** [`Transport::reset`] is the function-level reset: afterwards
//!    the card is as after power-on, and no access that it began before is
//!    still under way. Mappings stay.
//! 5. **Events.** Removal and resets that somebody else caused.
//! 6. **Claim.** One [`ClaimSlot`](crate::claim::ClaimSlot), from which
//!    [`Transport::claim`] is answered, so that no card is driven twice.
//!
//! A simulated card shares its [`HostMemory`] by `Arc` and runs on its own
//! thread; nothing here needs a tokio runtime to be called.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, broadcast};

use crate::claim::{Busy, Claim};
use crate::memory::HostMemory;

/// What the card may do with mapped memory, seen from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The card only reads (commands, operands): mapped read-only.
    ToDevice,
    /// The card only writes (completions, results).
    FromDevice,
    /// The card reads and writes.
    Bidirectional,
}

impl Direction {
    /// Whether the card may read memory mapped this way.
    pub fn card_may_read(self) -> bool {
        matches!(self, Self::ToDevice | Self::Bidirectional)
    }

    /// Whether the card may write memory mapped this way.
    pub fn card_may_write(self) -> bool {
        matches!(self, Self::FromDevice | Self::Bidirectional)
    }
}

/// Why a transport could not do what the driver asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The card has left the bus (unplugged, process ended).
    #[error(
        "the card at {transport} has left the bus: check the slot or the simulation, then open it again"
    )]
    Gone {
        /// The transport's description.
        transport: String,
    },
    /// A mapping was refused.
    #[error(
        "cannot map {bytes} bytes for DMA: {cause}; raise RLIMIT_MEMLOCK or use a smaller pool"
    )]
    Map {
        /// Bytes of the memory.
        bytes: usize,
        /// The reason given below.
        cause: String,
    },
    /// An address that is not the start of a mapping.
    #[error("no mapping starts at I/O address {iova:#x}; this is a defect of the caller")]
    NotMapped {
        /// The address given.
        iova: u64,
    },
    /// An interrupt vector the card does not have.
    #[error(
        "interrupt vector {vector} asked for, the card has {count}; check the number of queues"
    )]
    Vector {
        /// Vector asked for.
        vector: u16,
        /// Vectors there are.
        count: u16,
    },
    /// Somebody drives the card already.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The reset did not end.
    #[error("function-level reset failed: {cause}; power-cycle the card or restart the simulation")]
    Reset {
        /// The reason given below.
        cause: String,
    },
}

/// Something that happened to the card without the driver's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// The card has left the bus and will not come back under this transport.
    Removed,
    /// Somebody else reset the card; all queues are off.
    Reset,
}

/// One interrupt vector: edge-counting, so that a raise before the wait is not
/// lost. Any thread may raise; one task waits.
#[derive(Debug, Default)]
pub struct InterruptLine {
    raised: AtomicU64,
    notify: Notify,
}

impl InterruptLine {
    /// Announces an interrupt; wakes the waiter.
    pub fn raise(&self) {
        self.raised.fetch_add(1, Ordering::Release);
        self.notify.notify_one();
    }

    /// Interrupts raised so far.
    pub fn count(&self) -> u64 {
        self.raised.load(Ordering::Acquire)
    }

    /// Waits until more than `seen` interrupts have been raised and returns
    /// the new count. Cancel-safe. Has no deadline of its own: callers race it
    /// against a timer (ring rule 6).
    pub async fn wait_beyond(&self, seen: u64) -> u64 {
        loop {
            let now = self.count();
            if now > seen {
                return now;
            }
            self.notify.notified().await;
        }
    }
}

/// A card, reached over some bus. See the module page for what implementations
/// owe; object safe, shared by the tasks of one [`Card`](crate::Card).
pub trait Transport: fmt::Debug + Send + Sync {
    /// Where the card is, for people: `0000:03:00.0`, `sim:model`, `sim:rtl`.
    fn describe(&self) -> String;

    /// Reads the 32-bit BAR0 register at byte `offset` (a multiple of 4). All
    /// ones when the card does not answer.
    fn read32(&self, offset: u32) -> u32;

    /// Writes the 32-bit BAR0 register at byte `offset` (a multiple of 4).
    /// Posted: it may take effect later, but before any later read returns.
    fn write32(&self, offset: u32, value: u32);

    /// Makes all of `memory` reachable by the card with the rights of
    /// `direction` and returns the I/O address (IOVA) of its first byte, a
    /// multiple of 4096. The transport keeps the `Arc` until `unmap`.
    ///
    /// # Errors
    /// [`TransportError::Map`] when refused, [`TransportError::Gone`].
    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError>;

    /// Ends the mapping that starts at `iova`. On return the card cannot reach
    /// the memory any more.
    ///
    /// # Errors
    /// [`TransportError::NotMapped`]; [`TransportError::Gone`], which is proof
    /// as well: a card that has left the bus reaches nothing.
    fn unmap(&self, iova: u64) -> Result<(), TransportError>;

    /// The line of interrupt vector `vector` (queue number; then one for
    /// asynchronous events).
    ///
    /// # Errors
    /// [`TransportError::Vector`] beyond the card's vectors.
    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError>;

    /// Function-level reset. Blocks until done, at most a few seconds.
    /// Registers and card memory are as after power-on (memory undefined).
    ///
    /// # Errors
    /// [`TransportError::Reset`], [`TransportError::Gone`].
    fn reset(&self) -> Result<(), TransportError>;

    /// Claims the card: from now on until the [`Claim`] is dropped nobody else
    /// can. Wrappers pass it on to what they wrap.
    ///
    /// # Errors
    /// [`TransportError::Busy`], which names the holder.
    fn claim(&self) -> Result<Claim, TransportError>;

    /// A new subscription to events from now on.
    fn events(&self) -> broadcast::Receiver<TransportEvent>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_trait_is_object_safe() {
        fn takes(_: Option<&dyn Transport>) {}
        takes(None);
    }

    #[tokio::test]
    async fn an_interrupt_before_the_wait_is_not_lost() {
        let line = InterruptLine::default();
        line.raise();
        line.raise();
        assert_eq!(line.wait_beyond(0).await, 2);
        let none = tokio::time::timeout(Duration::from_millis(20), line.wait_beyond(2)).await;
        assert!(none.is_err(), "no further interrupt was raised");
        let line = Arc::new(line);
        let other = Arc::clone(&line);
        let waiter = tokio::spawn(async move { other.wait_beyond(2).await });
        std::thread::spawn(move || line.raise());
        assert_eq!(waiter.await.unwrap(), 3);
    }

    #[test]
    fn directions_give_the_rights_they_name() {
        assert!(Direction::ToDevice.card_may_read() && !Direction::ToDevice.card_may_write());
        assert!(!Direction::FromDevice.card_may_read() && Direction::FromDevice.card_may_write());
        assert!(
            Direction::Bidirectional.card_may_read() && Direction::Bidirectional.card_may_write()
        );
    }
}
