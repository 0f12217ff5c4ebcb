//! What every simulated card can do besides being a [`Transport`].
//!
//! [`SimCard`] is implemented by `ModelCard` and `RtlCard`, and used by the
//! driver's tests and by the servers of `vfio_user`, which show any of them to
//! another process.

use carillon_driver::transport::Transport;

use crate::faults::CardFault;
use crate::memory::DmaSpace;

/// A fault that a card cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{card} cannot have the fault {fault:?}: choose another simulated card for it")]
pub struct Unsupported {
    /// The card.
    pub card: &'static str,
    /// The fault.
    pub fault: CardFault,
}

/// A simulated card that can be made faulty, unplugged and plugged in again.
pub trait SimCard: Transport {
    /// Puts a fault to work until it is used up or the card is healed.
    ///
    /// # Errors
    /// [`Unsupported`] by this kind of card.
    fn inject(&self, fault: CardFault) -> Result<(), Unsupported>;

    /// Ends all injected faults. What they broke stays broken.
    fn heal(&self);

    /// Takes the card off the bus: registers read all ones, no access reaches
    /// memory any more. Returns whether it was there; only then is it told as
    /// [`TransportEvent::Removed`](carillon_driver::transport::TransportEvent).
    fn unplug(&self) -> bool;

    /// Plugs it in again, as after power-on. Returns whether it is there.
    fn replug(&self) -> bool;

    /// The host memory that it reaches.
    fn dma(&self) -> &DmaSpace;

    /// Mappings there are now.
    fn mapped(&self) -> usize {
        self.dma().mapped()
    }

    /// Accesses of [`CardFault::Rogue`] that were made, and how many of them
    /// were refused.
    fn rogue(&self) -> (u64, u64) {
        self.dma().rogue()
    }

    /// Accesses of [`CardFault::Rogue`] that were refused.
    fn rogue_errors(&self) -> u64 {
        self.rogue().1
    }
}
