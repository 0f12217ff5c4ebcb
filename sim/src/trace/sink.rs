//! Where records go: a file as they come, or a bounded ring in memory that
//! becomes a file at the first failure or at the end. Touches one file; the
//! observer feeds it.

use std::collections::VecDeque;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::OFlags;

use super::format;
use super::record::{Entry, Record};

/// Why a file is not replaced.
const NO_RECORDING: &str =
    "a file of that name is there, which is no recording and is not replaced";

/// How much of a recording is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Everything, written as it comes: a killed process leaves a readable file.
    All,
    /// The latest records of this many bytes together, in memory. They are
    /// written at the first failure of a command, which also ends the recording,
    /// or when the card is let go of.
    Latest {
        /// Bytes, framing included.
        bytes: usize,
    },
}

#[derive(Debug)]
enum Target {
    File(BufWriter<File>),
    Ring(Ring),
    Closed,
}

/// The latest records, as they lie in a file.
#[derive(Debug)]
pub(super) struct Ring {
    frames: VecDeque<Vec<u8>>,
    limit: usize,
    bytes: usize,
    dropped: (u64, u64),
}

impl Ring {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            limit,
            bytes: 0,
            dropped: (0, 0),
        }
    }

    /// Adds a record; the oldest go until the limit is kept.
    pub(super) fn push(&mut self, frame: Vec<u8>) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
        while self.bytes > self.limit {
            let Some(old) = self.frames.pop_front() else {
                return;
            };
            self.bytes -= old.len();
            self.dropped.0 += 1;
            self.dropped.1 += old.len() as u64;
        }
    }

    /// Bytes held now.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Takes the records of one card.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    target: Target,
    opened: Instant,
    /// The record that every file begins with.
    start: Vec<u8>,
}

impl Sink {
    /// Creates the file and writes its header and `start`.
    ///
    /// # Errors
    /// The system's, when the file cannot be made.
    pub fn new(path: &Path, keep: Keep, start: Record) -> io::Result<Self> {
        let entry = Entry {
            nanos: 0,
            record: start,
        };
        let start = format::frame(&entry)?;
        // In either case now, so that a path that cannot be written is refused at once.
        let mut file = BufWriter::new(create(path)?);
        let target = match keep {
            Keep::All => {
                begin(&mut file, &start)?;
                file.flush()?;
                Target::File(file)
            }
            Keep::Latest { bytes } => Target::Ring(Ring::new(bytes)),
        };
        Ok(Self {
            path: path.to_owned(),
            target,
            opened: Instant::now(),
            start,
        })
    }

    /// Adds a record. When the file cannot be written, the recording ends with
    /// a message to the log; the card goes on.
    pub fn push(&mut self, record: Record) {
        // A register that is polled is written with what follows.
        let flush = !matches!(record, Record::Read { .. });
        let nanos = u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let frame = format::frame(&Entry { nanos, record });
        let result = match &mut self.target {
            Target::File(file) => frame.and_then(|frame| {
                file.write_all(&frame)?;
                if flush { file.flush() } else { Ok(()) }
            }),
            Target::Ring(ring) => frame.map(|frame| ring.push(frame)),
            Target::Closed => Ok(()),
        };
        if let Err(error) = result {
            self.give_up(&error);
        }
    }

    /// A command has failed: a ring becomes a file and takes no more.
    pub fn failure(&mut self) {
        if matches!(self.target, Target::Ring(_)) {
            self.close();
        }
    }

    /// Whether it takes records still.
    pub fn is_open(&self) -> bool {
        !matches!(self.target, Target::Closed)
    }

    /// Writes what is missing, and the end mark.
    pub fn close(&mut self) {
        self.push(Record::End);
        let result = match std::mem::replace(&mut self.target, Target::Closed) {
            Target::File(mut file) => file.flush(),
            Target::Ring(ring) => self.dump(&ring),
            Target::Closed => return,
        };
        if let Err(error) = result {
            self.give_up(&error);
        }
    }

    fn dump(&self, ring: &Ring) -> io::Result<()> {
        let mut file = BufWriter::new(create(&self.path)?);
        begin(&mut file, &self.start)?;
        let (records, bytes) = ring.dropped;
        if records > 0 {
            let record = Record::Dropped { records, bytes };
            file.write_all(&format::frame(&Entry { nanos: 0, record })?)?;
        }
        for frame in &ring.frames {
            file.write_all(frame)?;
        }
        file.flush()
    }

    fn give_up(&mut self, error: &io::Error) {
        self.target = Target::Closed;
        tracing::error!(
            path = %self.path.display(), %error,
            "the trace cannot be written and ends here; free space or choose another folder"
        );
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

/// A recording holds what the program gave the card, secrets included: only its owner may read it,
/// also where a file of that name was there before. A symbolic link is not followed, since it may
/// be somebody else's. A file that is no recording stays as it is.
fn create(path: &Path) -> io::Result<File> {
    let options = || {
        let mut options = File::options();
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        options
    };
    let is_file = |data: Metadata| data.is_file();
    if std::fs::symlink_metadata(path).is_ok_and(is_file) {
        let mut old = options().read(true).open(path)?;
        if !format::is_begun(&mut old)? {
            return Err(io::Error::new(ErrorKind::AlreadyExists, NO_RECORDING));
        }
    }
    let file = options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    if file.metadata().is_ok_and(is_file) {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn begin(file: &mut BufWriter<File>, start: &[u8]) -> io::Result<()> {
    file.write_all(&format::header())?;
    file.write_all(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_owner_may_read_a_recording() {
        let start = || Record::End;
        let folder = tempfile::tempdir().unwrap();
        let (fresh, old) = (folder.path().join("fresh"), folder.path().join("old"));
        std::fs::write(&old, format::header()).unwrap();
        std::fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
        for path in [&fresh, &old] {
            for keep in [Keep::All, Keep::Latest { bytes: 1000 }] {
                drop(Sink::new(path, keep, start()).unwrap());
                let mode = std::fs::metadata(path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            }
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&old, &link).unwrap();
        assert!(Sink::new(&link, Keep::All, start()).is_err());
    }

    #[test]
    fn only_recordings_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let magic = &format::header()[..8];
        for (old, replaced) in [
            (&b""[..], true),
            (&magic[..3], true),
            (magic, true),
            (b"C", true),
            (b"CARILLON", false),
            (b"a letter that somebody wrote", false),
        ] {
            for keep in [Keep::All, Keep::Latest { bytes: 1000 }] {
                std::fs::write(&path, old).unwrap();
                let made = Sink::new(&path, keep, Record::End).map(drop);
                let kept = std::fs::read(&path).unwrap() == old;
                assert_eq!((made.is_ok(), kept), (replaced, !replaced), "{old:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_ring_keeps_its_bound_and_counts_what_it_drops(
            limit in 0usize..2000,
            sizes in proptest::collection::vec(0usize..300, 0..100),
        ) {
            let mut ring = Ring::new(limit);
            for size in &sizes {
                ring.push(vec![0; *size]);
                prop_assert!(ring.bytes() <= limit);
            }
            let (records, bytes) = ring.dropped;
            prop_assert_eq!(records as usize + ring.frames.len(), sizes.len());
            prop_assert_eq!(bytes as usize + ring.bytes(), sizes.iter().sum::<usize>());
            let kept: Vec<usize> = ring.frames.iter().map(Vec::len).collect();
            prop_assert_eq!(&kept[..], &sizes[records as usize..]);
        }
    }
}
