//! Host memory of a replay: the recording's addresses on another card. Room
//! `sim`; maps memory at the replay's card; used by the replay alone.
//!
//! A card hands out I/O addresses as it likes, so every address of the
//! recording is translated: ring bases, operands, entries of lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_driver::command::{BEAT, FLAG_SGL, Opcode, RawCommand, SGL_ENTRY_BYTES};
use carillon_driver::memory::HostMemory;
use carillon_driver::transport::{Direction, Transport};

use super::ReplayError;
use crate::trace::record::Rights;

#[derive(Debug)]
struct Mapped {
    iova: u64,
    memory: Arc<HostMemory>,
}

/// The mappings of the recording, by their recorded addresses.
#[derive(Debug)]
pub(super) struct Host {
    card: Arc<dyn Transport>,
    maps: BTreeMap<u64, Mapped>,
    /// A page of the replay's own, for commands that stand in for others.
    scratch: u64,
}

impl Host {
    pub fn new(card: Arc<dyn Transport>) -> Result<Self, ReplayError> {
        let page = Arc::new(HostMemory::allocate(BEAT as usize)?);
        let scratch = card.map(page, Direction::FromDevice)?;
        Ok(Self {
            card,
            maps: BTreeMap::new(),
            scratch,
        })
    }

    pub fn map(&mut self, iova: u64, bytes: u64, rights: Rights) -> Result<(), ReplayError> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let memory = Arc::new(HostMemory::allocate(bytes)?);
        let mapped = Mapped {
            iova: self.card.map(Arc::clone(&memory), rights.into())?,
            memory,
        };
        self.maps.insert(iova, mapped);
        Ok(())
    }

    pub fn unmap(&mut self, iova: u64) -> Result<(), ReplayError> {
        if let Some(mapped) = self.maps.remove(&iova) {
            self.card.unmap(mapped.iova)?;
        }
        Ok(())
    }

    fn find(&self, iova: u64) -> Option<(&Mapped, usize)> {
        let (base, mapped) = self.maps.range(..=iova).next_back()?;
        let at = usize::try_from(iova - base).ok()?;
        (at < mapped.memory.len()).then_some((mapped, at))
    }

    /// The address on the replay's card. What was mapped nowhere is mapped
    /// nowhere here either, at the same place within a beat.
    pub fn translate(&self, iova: u64) -> u64 {
        self.find(iova)
            .map_or(iova % BEAT, |(mapped, at)| mapped.iova + at as u64)
    }

    pub fn memory(&self, iova: u64) -> Option<(&HostMemory, usize)> {
        self.find(iova).map(|(mapped, at)| (&*mapped.memory, at))
    }

    /// Whether the bytes are there.
    pub fn write(&self, iova: u64, data: &[u8]) -> bool {
        self.memory(iova)
            .is_some_and(|(memory, at)| memory.write(at, data).is_ok())
    }

    /// Whether the bytes are there.
    pub fn read(&self, iova: u64, out: &mut [u8]) -> bool {
        self.memory(iova)
            .is_some_and(|(memory, at)| memory.read(at, out).is_ok())
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
    pub fn command(&self, queue: u16, raw: &RawCommand) -> (RawCommand, Vec<(u64, u64)>) {
        let (host, bytes) = (raw.op[0], raw.op[2]);
        let mut parts = Vec::new();
        let mut raw = *raw;
        match Opcode::from_code(raw.opcode) {
            Some(Opcode::Identify) => raw.op[0] = self.translate(host),
            Some(Opcode::Write | Opcode::Read) if queue != 0 => {
                raw.op[0] = self.translate(host);
                if raw.flags & FLAG_SGL == 0 {
                    parts.push((host, bytes));
                } else {
                    parts = self.list(host, bytes);
                }
            }
            _ => {}
        }
        (raw, parts)
    }

    fn list(&self, host: u64, bytes: u64) -> Vec<(u64, u64)> {
        let (mut parts, mut left, mut at) = (Vec::new(), bytes, host);
        let mut entry = [0; SGL_ENTRY_BYTES];
        while left > 0 && self.read(at, &mut entry) {
            let words = entry.map(u64::from);
            let word = |i: usize| (0..8).fold(0, |w, b| w | words[i + b] << (8 * b));
            let (address, length) = (word(0), word(8));
            self.write(at, &self.translate(address).to_le_bytes());
            parts.push((address, length.min(left)));
            if length == 0 || length > left {
                break;
            }
            left -= length;
            at = at.wrapping_add(SGL_ENTRY_BYTES as u64);
        }
        parts
    }
}
