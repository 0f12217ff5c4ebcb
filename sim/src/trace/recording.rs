//! A trace in a file, as the tools use it: what can be read of it, and its
//! history. Reads one file, twice if need be, since a recording may
//! be larger than memory.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::format::{FormatError, Reader};
use super::history::History;
use super::record::{Entry, Record};

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// It cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Not one record can be read.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: FormatError,
    },
    /// It does not begin as recordings do.
    #[error("{path} does not begin with a start record; record it again")]
    NoStart {
        /// The file.
        path: PathBuf,
    },
}

/// A recording in a file.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    /// The transport that was recorded.
    pub transport: String,
    /// Identity of the recording program's register map.
    pub rdl_hash: u64,
    /// What became of its commands.
    pub history: History,
    /// Why reading ended before the end mark, if it did.
    pub damage: Option<FormatError>,
}

impl Recording {
    /// Reads the file once and makes its history.
    ///
    /// # Errors
    /// [`RecordingError`]. Damage behind the first record is no error; see
    /// [`Recording::damage`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let mut history = History::default();
        let mut damage = None;
        let mut start = None;
        for item in reader(path)? {
            match item {
                Ok(entry) => {
                    if history.summary.records == 0 {
                        start = Some(entry.record.clone());
                    }
                    history.push(&entry);
                }
                Err(error) => damage = Some(error),
            }
        }
        match (start, damage) {
            (
                Some(Record::Start {
                    transport,
                    rdl_hash,
                    ..
                }),
                damage,
            ) => Ok(Self {
                path: path.to_owned(),
                transport,
                rdl_hash,
                history,
                damage,
            }),
            (None, Some(source)) => Err(RecordingError::Format {
                path: path.to_owned(),
                source,
            }),
            _ => Err(RecordingError::NoStart {
                path: path.to_owned(),
            }),
        }
    }

    /// The records, as far as they can be read.
    ///
    /// # Errors
    /// [`RecordingError`], when the file is not what it was any more.
    pub fn entries(&self) -> Result<impl Iterator<Item = Entry> + use<>, RecordingError> {
        Ok(reader(&self.path)?.map_while(Result::ok))
    }
}

fn reader(path: &Path) -> Result<Reader<BufReader<File>>, RecordingError> {
    let file = File::open(path).map_err(|source| RecordingError::Open {
        path: path.to_owned(),
        source,
    })?;
    Reader::new(BufReader::new(file)).map_err(|source| RecordingError::Format {
        path: path.to_owned(),
        source,
    })
}
