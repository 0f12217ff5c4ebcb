//! Host memory of a replay: the recording's addresses on another card. Maps
//! memory at the replay's card; used by the replay alone.
//!
//! A card hands out I/O addresses as it likes, so every address of the
//! recording is translated: ring bases, operands, entries of lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_driver::command::{BEAT, FLAG_SGL, Opcode, RawCommand, SGL_ENTRY_BYTES};
use carillon_driver::memory::HostMemory;
use carillon_driver::transport::{Direction, Transport};

use super::ReplayError;
use crate::trace::reach::{Parts, Reach};
use crate::trace::record::Rights;

/// The mappings of the recording, by their recorded addresses.
#[derive(Debug)]
pub(super) struct Host {
    card: Arc<dyn Transport>,
    reach: Reach,
    /// This card's addresses of the mappings.
    iovas: BTreeMap<u64, u64>,
    /// A page of the replay's own, for commands that stand in for others.
    scratch: u64,
}

impl Host {
    pub fn new(card: Arc<dyn Transport>) -> Result<Self, ReplayError> {
        let page = Arc::new(HostMemory::allocate(BEAT as usize)?);
        let scratch = card.map(page, Direction::FromDevice)?;
        Ok(Self {
            card,
            reach: Reach::default(),
            iovas: BTreeMap::new(),
            scratch,
        })
    }

    pub fn map(&mut self, iova: u64, bytes: u64, rights: Rights) -> Result<(), ReplayError> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let memory = Arc::new(HostMemory::allocate(bytes)?);
        let mapped = self.card.map(Arc::clone(&memory), rights.into())?;
        self.iovas.insert(iova, mapped);
        self.reach.insert(iova, memory);
        Ok(())
    }

    pub fn unmap(&mut self, iova: u64) -> Result<(), ReplayError> {
        if let Some(mapped) = self.iovas.remove(&iova) {
            self.card.unmap(mapped)?;
        }
        self.reach.remove(iova);
        Ok(())
    }

    /// The address on the replay's card. What was mapped nowhere is mapped
    /// nowhere here either, at the same place within a beat.
    pub fn translate(&self, iova: u64) -> u64 {
        let found = self.reach.find(iova);
        let mapped = found.and_then(|(base, _, at)| Some(self.iovas.get(&base)? + at as u64));
        mapped.unwrap_or(iova % BEAT)
    }

    /// Memory by the recorded addresses.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// A command that does as good as nothing in the place of `raw`: 64 bytes
    /// of card memory to a page that nobody looks at.
    pub fn stand_in(&self, raw: &RawCommand) -> RawCommand {
        RawCommand {
            opcode: Opcode::Read as u8,
            cid: raw.cid,
            op: [self.scratch, 0, BEAT, 0, 0, 0, 0],
            ..RawCommand::default()
        }
    }

    /// The command with this card's addresses, and the host memory that it
    /// moves, by recorded addresses. Its list is translated in place.
    pub fn command(&self, queue: u16, raw: &RawCommand) -> (RawCommand, Parts) {
        let mut translated = *raw;
        let moves = match Opcode::from_code(raw.opcode) {
            Some(Opcode::Identify) => false,
            Some(Opcode::Write | Opcode::Read) if queue != 0 => true,
            _ => return (translated, Vec::new()),
        };
        translated.op[0] = self.translate(raw.op[0]);
        if !moves {
            return (translated, Vec::new());
        }
        let parts = self.reach.parts(raw);
        if raw.flags & FLAG_SGL != 0 {
            for (i, (address, _)) in parts.iter().enumerate() {
                let at = raw.op[0].wrapping_add((i * SGL_ENTRY_BYTES) as u64);
                let address = self.translate(*address).to_le_bytes();
                self.reach.write(at, &address);
            }
        }
        (translated, parts)
    }
}
