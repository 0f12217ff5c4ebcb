//! Writing key files, which appear under their name only when they are complete.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::KeyError;
use super::header::{self, Header, PAGE};
use crate::files::{self, Existing, FileError};
use crate::groth16::ProvingKey;

/// Writes `key` to `path`. The file appears, or replaces an older one, only when it is complete;
/// whatever fails leaves nothing behind.
///
/// # Errors
/// [`KeyError`].
pub fn save(path: &Path, key: &ProvingKey) -> Result<(), KeyError> {
    write(path, key, Existing::Replace)
}

/// [`save`], but never over another file: a key that is overwritten is lost for good.
///
/// # Errors
/// [`KeyError`], of them [`KeyError::Exists`].
pub fn save_new(path: &Path, key: &ProvingKey) -> Result<(), KeyError> {
    write(path, key, Existing::Keep)
}

fn write(path: &Path, key: &ProvingKey, existing: Existing) -> Result<(), KeyError> {
    let vk = key.vk.to_bytes();
    let header = Header::describe(key, &vk);
    let written = files::write(path, existing, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&header.encode())?;
        for content in header::contents(key, &vk) {
            out.write_all(content)?;
            out.write_all(&[0; PAGE][..content.len().next_multiple_of(PAGE) - content.len()])?;
        }
        out.flush()
    });
    written.map_err(|error| match error {
        FileError::Exists { path } => KeyError::Exists { path },
        FileError::Full { path, .. } => KeyError::DiskFull {
            path,
            needed: header.file_bytes(),
        },
        FileError::Write { path, source } => KeyError::Write { path, source },
        error @ FileError::Folder { .. } => KeyError::Write {
            path: path.to_owned(),
            source: std::io::Error::other(error),
        },
    })
}
