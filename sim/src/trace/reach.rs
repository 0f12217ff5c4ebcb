//! Host memory as a card reaches it: by I/O address, through the mappings there
//! are now. Only reads; used by the observer and the replay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use carillon_driver::command::{FLAG_SGL, RawCommand, SGL_ENTRY_BYTES, SglEntry};
use carillon_driver::completion::{PHASE_BIT, PHASE_WORD};
use carillon_driver::memory::HostMemory;

/// Pieces of host memory: address and bytes.
pub(super) type Parts = Vec<(u64, u64)>;

/// The mappings, by the address of their first byte.
#[derive(Debug, Default)]
pub(super) struct Reach {
    maps: BTreeMap<u64, Arc<HostMemory>>,
}

impl Reach {
    pub fn insert(&mut self, iova: u64, memory: Arc<HostMemory>) {
        self.maps.insert(iova, memory);
    }

    pub fn remove(&mut self, iova: u64) {
        self.maps.remove(&iova);
    }

    /// The mapping that holds `iova`: its first address, its memory, and where
    /// in it.
    pub fn find(&self, iova: u64) -> Option<(u64, &HostMemory, usize)> {
        let (&base, memory) = self.maps.range(..=iova).next_back()?;
        let at = usize::try_from(iova - base).ok()?;
        (at < memory.len()).then_some((base, &**memory, at))
    }

    /// Bytes from `iova` to the end of its mapping.
    pub fn left(&self, iova: u64) -> u64 {
        self.find(iova)
            .map_or(0, |(_, memory, at)| (memory.len() - at) as u64)
    }

    /// Whether the bytes are there.
    pub fn read(&self, iova: u64, out: &mut [u8]) -> bool {
        self.find(iova)
            .is_some_and(|(_, memory, at)| memory.read(at, out).is_ok())
    }

    /// Whether the bytes are there.
    pub fn write(&self, iova: u64, data: &[u8]) -> bool {
        self.find(iova)
            .is_some_and(|(_, memory, at)| memory.write(at, data).is_ok())
    }

    /// The host memory that a `WRITE` or `READ` moves: itself, or the parts of its
    /// list as far as that is sound.
    pub fn parts(&self, raw: &RawCommand) -> Parts {
        let (host, bytes) = (raw.op[0], raw.op[2]);
        if raw.flags & FLAG_SGL == 0 {
            return vec![(host, bytes)];
        }
        let (mut parts, mut left, mut at) = (Vec::new(), bytes, host);
        let mut entry = [0; SGL_ENTRY_BYTES];
        while left > 0 && self.read(at, &mut entry) {
            let SglEntry {
                address,
                bytes: length,
            } = bytemuck::cast(entry);
            parts.push((address, length.min(left)));
            if length == 0 || length > left {
                break;
            }
            left -= length;
            at = at.wrapping_add(SGL_ENTRY_BYTES as u64);
        }
        parts
    }

    /// The completion at `iova`, if its phase is the one expected: the phase word
    /// first, then the rest (ring rule 2).
    pub fn completion(&self, iova: u64, phase: bool) -> Option<[u64; 4]> {
        let (_, memory, at) = self.find(iova)?;
        let last = memory.load(at + PHASE_WORD, Acquire).ok()?;
        if (last & PHASE_BIT != 0) != phase {
            return None;
        }
        let mut words = [0, 0, 0, last];
        for (i, word) in words.iter_mut().take(3).enumerate() {
            *word = memory.load(at + 8 * i, Relaxed).ok()?;
        }
        Some(words)
    }

    /// CRC-32 over pieces of memory; `None` if one cannot be read.
    pub fn digest(&self, parts: &[(u64, u64)]) -> Option<u32> {
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; 1 << 16];
        for &(address, length) in parts {
            let mut done = 0;
            while done < length {
                let piece = (length - done).min(buffer.len() as u64) as usize;
                if !self.read(address.wrapping_add(done), &mut buffer[..piece]) {
                    return None;
                }
                hasher.update(&buffer[..piece]);
                done += piece as u64;
            }
        }
        Some(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_driver::command::Opcode;
    use carillon_driver::memory::PAGE;

    fn reach() -> Reach {
        let mut reach = Reach::default();
        for base in [0x10000, 0x20000] {
            reach.insert(base, Arc::new(HostMemory::allocate(PAGE).unwrap()));
        }
        reach
    }

    fn read(host: u64, bytes: u64, flags: u8) -> RawCommand {
        RawCommand {
            opcode: Opcode::Read as u8,
            flags,
            op: [host, 0, bytes, 0, 0, 0, 0],
            ..RawCommand::default()
        }
    }

    #[test]
    fn nothing_reaches_beyond_a_mapping() {
        let mut reach = reach();
        assert!(reach.write(0x10000 + 4092, b"last"));
        assert!(!reach.write(0x10000 + 4093, b"last"));
        assert_eq!((reach.left(0x20ff0), reach.left(0x21000)), (16, 0));
        assert!(reach.find(0xffff).is_none() && reach.find(u64::MAX).is_none());
        reach.remove(0x10000);
        assert!(!reach.read(0x10000, &mut [0]));
    }

    #[test]
    fn a_list_is_read_as_far_as_it_is_sound() {
        let reach = reach();
        let list = |entries: &[(u64, u64)]| {
            let bytes: Vec<u8> = entries
                .iter()
                .flat_map(|(a, l)| [a.to_le_bytes(), l.to_le_bytes()].concat())
                .collect();
            assert!(reach.write(0x10000, &bytes));
            reach.parts(&read(0x10000, 192, FLAG_SGL))
        };
        let (a, b) = ((0x20000, 64), (0x20100, 128));
        assert_eq!(list(&[a, b]), [a, b]);
        assert_eq!(list(&[a, (0, 0), b]), [a, (0, 0)], "an empty entry ends it");
        assert_eq!(
            list(&[a, (0x20100, 999)]),
            [a, b],
            "no more than the command moves"
        );
        assert_eq!(reach.parts(&read(0x30000, 64, FLAG_SGL)), []);
        assert_eq!(reach.parts(&read(0x30000, 64, 0)), [(0x30000, 64)]);
        assert_eq!(reach.digest(&[(0x30000, 64)]), None);
        assert_eq!(reach.digest(&[a]), Some(crc32fast::hash(&[0; 64])));
    }
}
