//! Register access with the driver's caution.
//!
//! Wraps [`Transport::read32`]: every read that returns all ones is confirmed
//! against the identity register before anything is concluded (ring rule 7).
//! Nothing else in the driver reads registers.

use std::sync::Arc;
use std::time::Duration;

use crate::error::CardError;
use crate::registers as reg;
use crate::transport::Transport;

/// The card does not answer: all ones, and the identity register is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// BAR0 of one card.
#[derive(Clone, Debug)]
pub struct Bar {
    transport: Arc<dyn Transport>,
}

/// 64-bit event counters of the card, by the offset of their low half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Clock cycles since reset; 0 where time is not simulated.
    pub cycles: u64,
    /// Cycles with a command running.
    pub busy: u64,
    /// Completions posted.
    pub commands: u64,
    /// Completions posted with an error.
    pub errors: u64,
    /// Bucket additions of MSMs.
    pub msm_additions: u64,
    /// Bubbles because of busy buckets.
    pub bubble_hazard: u64,
    /// Bubbles because of memory.
    pub bubble_memory: u64,
    /// Bubbles for other reasons.
    pub bubble_other: u64,
    /// NTT butterflies.
    pub butterflies: u64,
    /// Bytes read from host memory.
    pub host_read: u64,
    /// Bytes written to host memory.
    pub host_written: u64,
    /// Bytes read from card memory.
    pub card_read: u64,
    /// Bytes written to card memory.
    pub card_written: u64,
}

impl Counters {
    /// Work done so far, whatever its kind: grows while any command proceeds.
    pub(crate) fn work(&self) -> u64 {
        [
            self.commands,
            self.msm_additions,
            self.butterflies,
            self.host_read,
            self.host_written,
            self.card_read,
            self.card_written,
        ]
        .into_iter()
        .fold(0, u64::wrapping_add)
    }
}

impl Bar {
    /// BAR0 behind `transport`.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// The transport.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Reads a register.
    ///
    /// # Errors
    /// [`Gone`] when it is all ones and so is (or differs) the identity.
    pub fn read(&self, offset: u32) -> Result<u32, Gone> {
        let value = self.transport.read32(offset);
        if value == u32::MAX && self.transport.read32(reg::magic::OFFSET) != reg::magic::RESET {
            return Err(Gone);
        }
        Ok(value)
    }

    /// Writes a register (posted).
    pub fn write(&self, offset: u32, value: u32) {
        self.transport.write32(offset, value);
    }

    /// Writes a register and reads it back, so that the write has reached the
    /// card when this returns (ring rule 8).
    ///
    /// # Errors
    /// [`Gone`].
    pub fn write_flushed(&self, offset: u32, value: u32) -> Result<(), Gone> {
        self.write(offset, value);
        self.read(offset).map(drop)
    }

    /// Reads the 64-bit counter whose low half is at `low`: high, low, high,
    /// again if it carried between.
    fn read64(&self, low: u32) -> Result<u64, Gone> {
        let mut high = self.read(low + 4)?;
        for _ in 0..4 {
            let value = self.read(low)?;
            let again = self.read(low + 4)?;
            if again == high {
                return Ok(u64::from(high) << 32 | u64::from(value));
            }
            high = again;
        }
        // Four carries in a row do not happen on a sound card.
        Ok(u64::from(high) << 32)
    }

    /// Cycles with a command running: the clock of deadlines.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn busy_cycles(&self) -> Result<u64, Gone> {
        self.read64(reg::count_busy_lo::OFFSET)
    }

    /// All counters. Not one instant: they are read one after the other.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn counters(&self) -> Result<Counters, Gone> {
        Ok(Counters {
            cycles: self.read64(reg::count_cycles_lo::OFFSET)?,
            busy: self.busy_cycles()?,
            commands: self.read64(reg::count_commands_lo::OFFSET)?,
            errors: self.read64(reg::count_errors_lo::OFFSET)?,
            msm_additions: self.read64(reg::count_msm_additions_lo::OFFSET)?,
            bubble_hazard: self.read64(reg::count_bubble_hazard_lo::OFFSET)?,
            bubble_memory: self.read64(reg::count_bubble_memory_lo::OFFSET)?,
            bubble_other: self.read64(reg::count_bubble_other_lo::OFFSET)?,
            butterflies: self.read64(reg::count_butterflies_lo::OFFSET)?,
            host_read: self.read64(reg::count_host_read_lo::OFFSET)?,
            host_written: self.read64(reg::count_host_written_lo::OFFSET)?,
            card_read: self.read64(reg::count_card_read_lo::OFFSET)?,
            card_written: self.read64(reg::count_card_written_lo::OFFSET)?,
        })
    }

    /// Waits until `field` of the register at `offset` reads `value`, looking
    /// once more after the limit (ring rule 6).
    ///
    /// # Errors
    /// [`CardError::Gone`], [`CardError::Unresponsive`] naming `what`.
    pub async fn wait_field(
        &self,
        offset: u32,
        field: reg::Field,
        value: u32,
        what: &'static str,
        limit: Duration,
    ) -> Result<(), CardError> {
        let start = tokio::time::Instant::now();
        loop {
            let late = start.elapsed() >= limit;
            if field.get(self.read(offset).map_err(|_| self.gone())?) == value {
                return Ok(());
            }
            if late {
                return Err(CardError::Unresponsive { what, limit });
            }
            tokio::time::sleep(Duration::from_millis(1).min(limit)).await;
        }
    }

    /// The same without a runtime, for drop.
    pub(crate) fn wait_field_blocking(
        &self,
        offset: u32,
        field: reg::Field,
        value: u32,
        limit: Duration,
    ) -> bool {
        let start = std::time::Instant::now();
        loop {
            let late = start.elapsed() >= limit;
            match self.read(offset) {
                Ok(v) if field.get(v) == value => return true,
                Err(Gone) => return false,
                Ok(_) if late => return false,
                Ok(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Whether the card has left the bus: the identity register reads all ones.
    pub fn has_left(&self) -> bool {
        self.transport.read32(reg::magic::OFFSET) == u32::MAX
    }

    /// The error for a card that does not answer.
    pub fn gone(&self) -> CardError {
        CardError::Gone {
            transport: self.transport.describe(),
        }
    }
}
