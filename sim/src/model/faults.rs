//! The faults of the functional card: what [`SimCard`] asks of it.

use std::sync::atomic::Ordering;

use super::ModelCard;
use crate::card::{SimCard, Unsupported};
use crate::faults::{CardFault, InterruptFault};
use crate::memory::DmaSpace;

impl SimCard for ModelCard {
    fn inject(&self, fault: CardFault) -> Result<(), Unsupported> {
        let unsupported = Unsupported {
            card: "the functional card",
            fault,
        };
        let core = &self.core;
        match fault {
            CardFault::Memory(range) => self.fault_memory(Some(range)),
            CardFault::Hang { queue, until } => self.hang(usize::from(queue), until),
            CardFault::Rogue {
                write,
                address,
                bytes,
            } => core.dma.go_rogue(write, address, bytes),
            CardFault::Stray { .. } => return Err(unsupported),
            CardFault::Interrupts {
                vector,
                count,
                change,
            } => {
                let line = core.lines.get(usize::from(vector)).ok_or(unsupported)?;
                if change == InterruptFault::Spurious {
                    (0..count).for_each(|_| line.raise());
                } else {
                    core.dma.faults().arm(fault);
                }
            }
            _ => core.dma.faults().arm(fault),
        }
        Ok(())
    }

    fn heal(&self) {
        let core = &self.core;
        core.dma.faults().heal();
        core.dma.inject(None);
        self.fault_memory(None);
        self.unhang();
        // Under the lock, so that nobody looks just before and then sleeps.
        let state = core.lock();
        core.healed.fetch_add(1, Ordering::AcqRel);
        drop(state);
        core.changed.notify_all();
    }

    fn unplug(&self) -> bool {
        Self::unplug(self)
    }

    fn replug(&self) -> bool {
        if self.present().is_err() && self.power_on().is_ok() {
            self.core.gone.store(false, Ordering::Release);
        }
        self.present().is_ok()
    }

    fn dma(&self) -> &DmaSpace {
        Self::dma(self)
    }
}

impl ModelCard {
    /// Takes back a hang that no command has met yet.
    fn unhang(&self) {
        *self
            .core
            .hang
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}
