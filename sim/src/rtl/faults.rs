//! The faults of the Verilated card: what [`SimCard`] asks of it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::RtlCard;
use crate::card::{SimCard, Unsupported};
use crate::faults::{CardFault, InterruptFault};
use crate::memory::DmaSpace;

impl SimCard for RtlCard {
    fn inject(&self, fault: CardFault) -> Result<(), Unsupported> {
        let unsupported = Unsupported {
            card: "the Verilated card",
            fault,
        };
        match fault {
            CardFault::Memory(range) => self.fault_memory(Some(range)),
            CardFault::Hang { .. } => return Err(unsupported),
            CardFault::Rogue {
                write,
                address,
                bytes,
            } => self.dma().go_rogue(write, address, bytes),
            CardFault::Stray { bus } => self.stray_response(bus),
            CardFault::Interrupts {
                vector,
                count,
                change,
            } => {
                let line = self.shared.lines.get(usize::from(vector));
                let line = line.ok_or(unsupported)?;
                if change == InterruptFault::Spurious {
                    (0..count).for_each(|_| line.raise());
                } else {
                    self.dma().faults().arm(fault);
                }
            }
            _ => self.dma().faults().arm(fault),
        }
        Ok(())
    }

    fn heal(&self) {
        self.dma().faults().heal();
        self.dma().inject(None);
        self.fault_memory(None);
    }

    fn unplug(&self) -> bool {
        Self::unplug(self)
    }

    fn replug(&self) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            self.shared.reopen();
            match Self::start(self.options.clone(), &self.shared) {
                Ok(new) => {
                    *thread = Some(new);
                    self.shared.gone.store(false, Ordering::Release);
                }
                Err(error) => tracing::error!(%error, "the Verilated card does not come back"),
            }
        }
        thread.is_some()
    }

    fn dma(&self) -> &DmaSpace {
        Self::dma(self)
    }
}
