//! Opening key files: read into memory, then check everything before a byte is used.
//!
//! A file is opened once and read, not mapped. What was checked is then what is used, whatever
//! happens to the file: a mapping would show later changes by others, and a mapped file that is cut
//! short ends the process with a bus error.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::header::{Header, HeaderFault, MAGIC, NEWEST, PAGE, SECTIONS, Section};
use super::{KeyError, Points};
use crate::groth16::{CircuitDigest, ProvingKey, VerifyingKey};
use crate::image::{self, PointImage};
use crate::memory;

/// Bytes that are read and hashed at a time.
const PIECE: usize = 1 << 20;

/// Opens a key file. Header, hashes and every point (range and curve equation) are checked. The
/// key lies in memory; the file may be replaced, changed or removed afterwards.
///
/// # Errors
/// [`KeyError`].
pub fn load(path: &Path) -> Result<ProvingKey, KeyError> {
    KeyFile::open(path)?.load()
}

/// [`load`] for a certain circuit: a key of any other is refused before its points are read. Looks
/// at one file, whatever takes its name meanwhile.
///
/// # Errors
/// [`KeyError`].
pub fn load_for(path: &Path, circuit: &CircuitDigest) -> Result<ProvingKey, KeyError> {
    let file = KeyFile::open(path)?;
    let found = file.header.circuit;
    if found != *circuit {
        return Err(KeyError::WrongCircuit {
            path: path.to_owned(),
            expected: *circuit,
            found,
        });
    }
    file.load()
}

/// An open file with a sound header.
struct KeyFile<'a> {
    path: &'a Path,
    file: File,
    header: Header,
}

impl<'a> KeyFile<'a> {
    fn open(path: &'a Path) -> Result<Self, KeyError> {
        let fault = |source| KeyError::Open {
            path: path.to_owned(),
            source,
        };
        let not_a_key = || KeyError::NotAKey {
            path: path.to_owned(),
        };
        // Looked at before it is opened: a pipe would be waited for.
        if !std::fs::metadata(path).map_err(fault)?.is_file() {
            return Err(not_a_key());
        }
        let file = File::open(path).map_err(fault)?;
        let mut page = [0; PAGE];
        match file.read_exact_at(&mut page, 0) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                // What was there before the end was read.
                return Err(match page.starts_with(&MAGIC) {
                    true => KeyError::HeaderCutOff {
                        path: path.to_owned(),
                        found: file.metadata().map_err(fault)?.len(),
                    },
                    false => not_a_key(),
                });
            }
            result => result.map_err(fault)?,
        }
        let header = match Header::decode(&page) {
            Ok(header) => header,
            Err(HeaderFault::NotAKey) => return Err(not_a_key()),
            Err(HeaderFault::Version(found)) => {
                return Err(KeyError::Version {
                    path: path.to_owned(),
                    found,
                    newest: NEWEST,
                });
            }
            Err(HeaderFault::Corrupt(reason)) => {
                return Err(KeyError::Header {
                    path: path.to_owned(),
                    reason,
                });
            }
        };
        let key = Self { path, file, header };
        if key.file.metadata().map_err(fault)?.len() < key.header.file_bytes() {
            return Err(key.cut_off());
        }
        Ok(key)
    }

    fn load(self) -> Result<ProvingKey, KeyError> {
        let memory = Arc::new(self.read()?);
        let [vk, a, b1, b2, l, h] = &self.header.sections;
        let vk = VerifyingKey::from_bytes(bytes(&memory, vk)).map_err(|source| {
            KeyError::VerifyingKey {
                path: self.path.to_owned(),
                source,
            }
        })?;
        Ok(ProvingKey {
            vk,
            shape: self.header.shape,
            circuit: self.header.circuit,
            origin: self.header.origin,
            basis: self.header.basis,
            a: self.points(&memory, "a", a)?,
            b1: self.points(&memory, "b1", b1)?,
            b2: self.points(&memory, "b2", b2)?,
            l: self.points(&memory, "l", l)?,
            h: self.points(&memory, "h", h)?,
        })
    }

    /// The file's sections at their offsets in memory, each compared with its hash.
    fn read(&self) -> Result<Mmap, KeyError> {
        let total = self.header.file_bytes();
        memory::check(&format!("key file {}", self.path.display()), total)?;
        let failed = |source| KeyError::Read {
            path: self.path.to_owned(),
            source,
        };
        // Anonymous memory, because its pages are aligned as sections are.
        let length = usize::try_from(total).map_err(|error| failed(io::Error::other(error)))?;
        let mut memory = MmapMut::map_anon(length).map_err(failed)?;
        let mut rest = &mut memory[PAGE..];
        let mut places = Vec::with_capacity(SECTIONS.len());
        for section in &self.header.sections {
            let range = section.range().unwrap_or_default();
            let padded = range.len().next_multiple_of(PAGE);
            let (place, behind) = rest.split_at_mut(padded.min(rest.len()));
            rest = behind;
            let place = place.get_mut(..range.len()).unwrap_or_default();
            places.push((section, place));
        }
        places
            .into_par_iter()
            .zip(SECTIONS)
            .try_for_each(|((section, place), name)| self.section(section, name, place))?;
        memory.make_read_only().map_err(failed)
    }

    fn section(
        &self,
        section: &Section,
        name: &'static str,
        place: &mut [u8],
    ) -> Result<(), KeyError> {
        let mut hash = Sha256::new();
        let mut offset = section.offset;
        for piece in place.chunks_mut(PIECE) {
            match self.file.read_exact_at(piece, offset) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(self.cut_off());
                }
                Err(source) => {
                    return Err(KeyError::Read {
                        path: self.path.to_owned(),
                        source,
                    });
                }
            }
            hash.update(&*piece);
            offset += piece.len() as u64;
        }
        if hash.finalize()[..] != section.hash {
            return Err(KeyError::Corrupt {
                path: self.path.to_owned(),
                section: name,
            });
        }
        Ok(())
    }

    fn points<T: PointImage>(
        &self,
        memory: &Arc<Mmap>,
        name: &'static str,
        section: &Section,
    ) -> Result<Points<T>, KeyError> {
        let fault = |source| KeyError::Point {
            path: self.path.to_owned(),
            section: name,
            source,
        };
        let range = section.range().unwrap_or_default();
        let points = Points::section(Arc::clone(memory), range).map_err(fault)?;
        image::check_points(&points, false).map_err(fault)?;
        Ok(points)
    }

    fn cut_off(&self) -> KeyError {
        KeyError::Truncated {
            path: self.path.to_owned(),
            found: self.file.metadata().map_or(0, |data| data.len()),
            expected: self.header.file_bytes(),
        }
    }
}

/// The bytes of a section; the memory is as long as the header says.
fn bytes<'a>(memory: &'a Mmap, section: &Section) -> &'a [u8] {
    section
        .range()
        .and_then(|range| memory.get(range))
        .unwrap_or_default()
}
