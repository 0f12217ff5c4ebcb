//! Opening key files: map, then check everything before a byte is used.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::header::{Header, HeaderFault, PAGE, SECTIONS, Section, VERSION};
use super::{KeyError, Points};
use crate::groth16::{CircuitDigest, ProvingKey, VerifyingKey};
use crate::image::{self, PointImage};

/// Opens a key file. Header, hashes and every point (range and curve equation) are checked; the
/// points then stay in the mapping. Do not write to the file while the key is in use: replace it
/// by renaming, as [`super::save`] does.
pub fn load(path: &Path) -> Result<ProvingKey, KeyError> {
    let file = open(path)?;
    let header = header(path, &file)?;
    check_hashes(path, &file, &header)?;
    let [vk, a, b1, b2, l, h] = &header.sections;
    let vk =
        VerifyingKey::from_bytes(bytes(&file, vk)).map_err(|source| KeyError::VerifyingKey {
            path: path.to_owned(),
            source,
        })?;
    Ok(ProvingKey {
        vk,
        shape: header.shape,
        circuit: header.circuit,
        origin: header.origin,
        a: points(path, &file, "a", a)?,
        b1: points(path, &file, "b1", b1)?,
        b2: points(path, &file, "b2", b2)?,
        l: points(path, &file, "l", l)?,
        h: points(path, &file, "h", h)?,
    })
}

/// [`load`] for a certain circuit: a key of any other is refused before its points are looked at.
pub fn load_for(path: &Path, circuit: &CircuitDigest) -> Result<ProvingKey, KeyError> {
    let file = open(path)?;
    let found = header(path, &file)?.circuit;
    if found != *circuit {
        return Err(KeyError::WrongCircuit {
            path: path.to_owned(),
            expected: *circuit,
            found,
        });
    }
    load(path)
}

fn open(path: &Path) -> Result<Arc<Mmap>, KeyError> {
    let fault = |source| KeyError::Open {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(fault)?;
    if file.metadata().map_err(fault)?.len() < PAGE as u64 {
        return Err(KeyError::NotAKey {
            path: path.to_owned(),
        });
    }
    // SAFETY: the mapping is private and read-only. Files are replaced by rename and never
    // changed in place by this program; another program that truncates the file while it is
    // mapped ends this process with a bus error, which `load` documents.
    let map = unsafe { MmapOptions::new().map_copy_read_only(&file) }.map_err(fault)?;
    Ok(Arc::new(map))
}

fn header(path: &Path, file: &Mmap) -> Result<Header, KeyError> {
    let path = path.to_owned();
    let Some(page) = file.first_chunk::<PAGE>() else {
        return Err(KeyError::NotAKey { path });
    };
    let header = match Header::decode(page) {
        Ok(header) => header,
        Err(HeaderFault::NotAKey) => return Err(KeyError::NotAKey { path }),
        Err(HeaderFault::Version(found)) => {
            return Err(KeyError::Version {
                path,
                found,
                expected: VERSION,
            });
        }
        Err(HeaderFault::Corrupt(reason)) => return Err(KeyError::Header { path, reason }),
    };
    let (found, expected) = (file.len() as u64, header.file_bytes());
    if found < expected {
        return Err(KeyError::Truncated {
            path,
            found,
            expected,
        });
    }
    Ok(header)
}

/// The bytes of a section; the file was checked to be long enough.
fn bytes<'a>(file: &'a Mmap, section: &Section) -> &'a [u8] {
    section
        .range()
        .and_then(|range| file.get(range))
        .unwrap_or_default()
}

fn check_hashes(path: &Path, file: &Mmap, header: &Header) -> Result<(), KeyError> {
    let wrong = header
        .sections
        .par_iter()
        .zip(SECTIONS)
        .find_first(|(section, _)| Sha256::digest(bytes(file, section))[..] != section.hash);
    match wrong {
        Some((_, section)) => Err(KeyError::Corrupt {
            path: path.to_owned(),
            section,
        }),
        None => Ok(()),
    }
}

fn points<T: PointImage>(
    path: &Path,
    file: &Arc<Mmap>,
    name: &'static str,
    section: &Section,
) -> Result<Points<T>, KeyError> {
    let fault = |source| KeyError::Point {
        path: path.to_owned(),
        section: name,
        source,
    };
    let range = section.range().unwrap_or_default();
    let points = Points::mapped(Arc::clone(file), range).map_err(fault)?;
    image::check_points(&points, false).map_err(fault)?;
    Ok(points)
}
