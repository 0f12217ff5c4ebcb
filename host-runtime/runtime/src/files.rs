//! Files of results: looked at before long work, and then there as a whole or not at all.
//!
//! A result is written to a temporary file beside its place, synced, and renamed. Devices and pipes
//! are written directly. Used by `keys` and the command lines.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced once the new one is complete.
    Replace,
    /// It stays; writing is refused.
    Keep,
}

/// Why a result cannot be written. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is there, and must stay.
    #[error("{} is there already: choose another name, or allow its replacement with --force", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Its place is taken by a folder.
    #[error("{} is a folder: name a file", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The disk, or the user's share of it, is full.
    #[error("no space left to write {}: {source}; nothing was left behind", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot write {}: {source}; choose a folder that exists and may be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl FileError {
    fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            // A file's size may be limited as a disk's is.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                FileError::Full { path, source }
            }
            _ => FileError::Write { path, source },
        }
    }
}

/// Where the bytes go.
enum Place {
    /// A file of this name, at the end of symbolic links.
    File(PathBuf),
    /// A device or a pipe.
    Stream,
}

/// Sees whether [`write()`] can succeed, before work whose result would be lost otherwise.
///
/// # Errors
/// [`FileError`].
pub fn check(path: &Path, existing: Existing) -> Result<(), FileError> {
    match place(path, existing)? {
        Place::Stream => open_stream(path).map(drop),
        Place::File(real) => beside(&real).map(drop),
    }
    .map_err(|source| FileError::of(path, source))
}

/// Lets `content` write the file; it takes its name when it is complete and durable.
///
/// # Errors
/// [`FileError`].
pub fn write(
    path: &Path,
    existing: Existing,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), FileError> {
    let failed = |source| FileError::of(path, source);
    let real = match place(path, existing)? {
        Place::Stream => {
            let mut stream = open_stream(path).map_err(failed)?;
            return content(&mut stream)
                .and_then(|()| stream.flush())
                .map_err(failed);
        }
        Place::File(real) => real,
    };
    let mut temporary = beside(&real).map_err(failed)?;
    content(temporary.as_file_mut()).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    let persisted = match existing {
        Existing::Replace => temporary.persist(&real),
        Existing::Keep => temporary.persist_noclobber(&real),
    };
    match persisted {
        Ok(_) => {}
        Err(lost) if lost.error.kind() == ErrorKind::AlreadyExists => {
            return Err(FileError::Exists {
                path: path.to_owned(),
            });
        }
        Err(lost) => return Err(failed(lost.error)),
    }
    // The rename itself is durable once the folder is.
    File::open(folder_of(&real))
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// Whether both names lead to one file, links followed; not if either leads nowhere. Devices and pipes do not count,
/// which nothing replaces.
pub fn same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let data = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((data.dev(), data.ino()))
    };
    identity(one).is_some_and(|found| identity(other) == Some(found))
}

fn place(path: &Path, existing: Existing) -> Result<Place, FileError> {
    match fs::metadata(path) {
        Ok(data) if data.is_dir() => Err(FileError::Folder {
            path: path.to_owned(),
        }),
        Ok(data) if !data.is_file() => Ok(Place::Stream),
        Ok(_) if existing == Existing::Keep => Err(FileError::Exists {
            path: path.to_owned(),
        }),
        Ok(_) => fs::canonicalize(path)
            .map(Place::File)
            .map_err(|source| FileError::of(path, source)),
        // Shows only at the rename: the temporary file has another name.
        Err(error) if error.kind() == ErrorKind::NotFound && is_folders_name(path) => {
            Err(FileError::Folder {
                path: path.to_owned(),
            })
        }
        // Whatever is wrong with the folder shows when a file is made there.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Place::File(path.to_owned())),
        // A name that is too long, for instance.
        Err(error) => Err(FileError::of(path, error)),
    }
}

/// Whether the path ends with a separator.
fn is_folders_name(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

fn open_stream(path: &Path) -> io::Result<File> {
    File::options().write(true).open(path)
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".carillon-")
        .tempfile_in(folder_of(path))
        // Without the temporary file's name, which says nothing to the user.
        .map_err(|error| error.kind().into())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_full_disk_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("key");
        for old in [None, Some("older")] {
            if let Some(old) = old {
                fs::write(&target, old).unwrap();
            }
            let error = write(&target, Existing::Replace, |file| {
                file.write_all(b"half a key")?;
                // The kernel's own "no space left" error, from the device made for it.
                open_stream(Path::new("/dev/full"))?.write_all(b"the rest")
            });
            assert!(matches!(error, Err(FileError::Full { .. })), "{error:?}");
            assert_eq!(entries(folder.path()), usize::from(old.is_some()));
            assert_eq!(fs::read_to_string(&target).ok().as_deref(), old);
        }
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("old"), "old").unwrap();
        for (path, existing) in [
            (at("folder"), Existing::Replace),
            (at("no/such/folder/file"), Existing::Replace),
            (at("old/file"), Existing::Replace),
            (at("old"), Existing::Keep),
            // Nothing of these names is there, nor can be.
            (at("new/"), Existing::Replace),
            (at(&"n".repeat(300)), Existing::Replace),
        ] {
            let known = check(&path, existing).unwrap_err().to_string();
            let met = write(&path, existing, |file| file.write_all(b"new"));
            assert_eq!(met.unwrap_err().to_string(), known);
        }
        assert_eq!(fs::read_to_string(at("old")).unwrap(), "old");
        assert_eq!(entries(folder.path()), 2);
    }

    #[test]
    fn a_file_is_known_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["one", "other"] {
            fs::write(at(name), "equal").unwrap();
        }
        std::os::unix::fs::symlink(at("one"), at("link")).unwrap();
        fs::hard_link(at("one"), at("hard")).unwrap();
        for name in ["one", "link", "hard", "./one"] {
            assert!(same(&at("one"), &at(name)), "{name}");
        }
        assert!(!same(&at("one"), &at("other")));
        assert!(!same(&at("missing"), &at("missing")));
        assert!(!same(Path::new("/dev/null"), Path::new("/dev/null")));
    }

    #[test]
    fn links_are_followed_and_devices_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, Existing::Replace, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        for (device, full) in [("/dev/null", false), ("/dev/full", true)] {
            let device = Path::new(device);
            check(device, Existing::Keep).unwrap();
            let written = write(device, Existing::Keep, |file| file.write_all(b"new"));
            assert_eq!(matches!(written, Err(FileError::Full { .. })), full);
            assert!(!fs::metadata(device).unwrap().is_file());
        }
    }
}
