//! The state of an open card, which its handles and its task share.
//!
//! [`Shared`] holds it together: `card.rs` makes it, `io.rs` submits through its
//! queues, `worker.rs` serves it, and `control.rs`, `recovery.rs` and `wipe.rs`
//! start, repair, stop and clear the card. [`Health`] and [`DriverCounters`] are
//! what the program sees of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

use crate::bar::Bar;
use crate::claim::Claim;
use crate::command::Command;
use crate::deadline::Deadlines;
use crate::dma::DmaPool;
use crate::quarantine::Quarantine;
use crate::queue_pair::QueuePair;
use crate::region::CardSpace;

/// Whether the card is in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Ready,
    /// It is being repaired; commands wait.
    Repairing,
    /// No, for this reason. A function-level reset by the same handle may put
    /// it back in service.
    Offline(String),
    /// It was closed.
    Closed,
}

macro_rules! driver_counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the driver itself has met since the card was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct DriverCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct AtomicCounters {
            $(pub $name: AtomicU64,)*
        }

        impl AtomicCounters {
            pub fn snapshot(&self) -> DriverCounters {
                DriverCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

driver_counters! {
    /// Completions taken.
    completions,
    /// Interrupts that had not come a poll after their completion was found.
    lost_interrupts,
    /// Commands that were overdue.
    timeouts,
    /// `ABORT`s sent, for overdue commands and dropped tickets.
    aborts,
    /// Completions that broke the queue protocol.
    protocol_errors,
    /// Queues that the card itself stopped with an error.
    queue_errors,
    /// Queues stopped and started again.
    queue_restarts,
    /// Controller resets.
    controller_resets,
    /// Function-level resets.
    function_resets,
}

/// Everything about an open card that its handles and its worker share.
pub(crate) struct Shared {
    pub bar: Bar,
    pub queues: Vec<QueuePair>,
    pub to_card: DmaPool,
    pub from_card: DmaPool,
    pub memory: CardSpace,
    pub quarantine: Quarantine,
    pub deadlines: Deadlines,
    pub counters: AtomicCounters,
    pub health: watch::Sender<Health>,
    /// Held while this handle may touch the card.
    pub claim: Mutex<Option<Claim>>,
    /// Whether wiping card memory has been tried; held meanwhile.
    pub wiped: Mutex<bool>,
    /// The card has `FILL`: known once it is identified.
    pub fill: AtomicBool,
    /// Told of interrupts, and of a command on an idle queue.
    pub wake: Arc<Notify>,
}

impl Shared {
    /// One more of what `counter` counts.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends `ABORT` for a command that is still outstanding; whether it went.
    pub fn abort(&self, queue: u16, cid: u16) -> bool {
        let outstanding = queue != 0
            && self
                .queues
                .get(usize::from(queue))
                .is_some_and(|q| q.is_outstanding(cid));
        let sent = outstanding && self.queues[0].try_submit(&Command::Abort { queue, cid });
        if sent {
            Self::count(&self.counters.aborts);
        }
        sent
    }
}
