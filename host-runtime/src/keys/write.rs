//! Writing key files: to a temporary file beside the target, synced, then renamed.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use super::KeyError;
use super::header::{self, Header, PAGE};
use crate::groth16::ProvingKey;

/// Writes `key` to `path`. The file appears, or replaces an older one, only when it is complete;
/// whatever fails leaves nothing behind.
pub fn save(path: &Path, key: &ProvingKey) -> Result<(), KeyError> {
    let vk = key.vk.to_bytes();
    let header = Header::describe(key, &vk);
    atomically(path, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&header.encode())?;
        for content in header::contents(key, &vk) {
            out.write_all(content)?;
            out.write_all(&[0; PAGE][..content.len().next_multiple_of(PAGE) - content.len()])?;
        }
        out.flush()
    })
    .map_err(|source| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => KeyError::DiskFull {
            path: path.to_owned(),
            needed: header.file_bytes(),
        },
        _ => KeyError::Write {
            path: path.to_owned(),
            source,
        },
    })
}

/// Lets `content` write a temporary file in the target's folder, makes it durable and renames it.
/// The temporary file is removed when anything fails.
fn atomically(path: &Path, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(".key-")
        .tempfile_in(folder)?;
    content(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // The rename itself is durable once the folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_full_disk_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("key");
        // The kernel's own "no space left" error, from the device made for it.
        let error = atomically(&target, |file| {
            file.write_all(b"half a key")?;
            File::options()
                .write(true)
                .open("/dev/full")?
                .write_all(b"the rest")
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(entries(folder.path()), 0);
    }

    #[test]
    fn a_failed_rename_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("taken");
        std::fs::create_dir(&target).unwrap();
        assert!(atomically(&target, |file| file.write_all(b"key")).is_err());
        assert_eq!(entries(folder.path()), 1);
    }
}
