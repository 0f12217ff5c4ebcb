//! [`Archive`]: batches in an object store; the URL decides which.
//!
//! One object per batch and one that names the chain. Objects are written whole or not at all, and a
//! batch that is there is not replaced by another one unless that is asked for. Called by the node,
//! `resync` and the tests.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use reqwest::Url;

use super::{Batch, ChainId, ObjectError};

/// Names the chain that an archive belongs to.
const CHAIN: &str = "chain.json";
/// Folder of the batches.
const BATCHES: &str = "batches";
const SUFFIX: &str = ".batch";

/// Why the archive did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Not a URL of a store.
    #[error(
        "{:?} is no archive ({}); give a folder, or a URL like file:///var/lib/carillon/archive",
        carillon_redact::url(.url),
        carillon_redact::text(.reason)
    )]
    Url {
        /// As given; shown without what may be secret.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The store.
    #[error("the archive failed: {}; look at the store and its rights, then try again", carillon_redact::text(&.0.to_string()))]
    Store(#[from] StoreError),
    /// No archive there.
    #[error("there is no archive of a chain here; name the folder that the node writes to")]
    Empty,
    /// Another chain's.
    #[error("the archive is of {found}, wanted is {wanted}")]
    OtherChain {
        /// Whose it is.
        found: ChainId,
        /// Whose it should be.
        wanted: ChainId,
    },
    /// No object for a batch.
    #[error("the archive has no batch {number}; copy it from another archive of the chain")]
    Missing {
        /// Which.
        number: u64,
    },
    /// An object is not what it should be.
    #[error(
        "the archive's object of batch {number} cannot be used: {reason}; replace it by a copy from another archive"
    )]
    Object {
        /// Which.
        number: u64,
        /// What is wrong.
        reason: ObjectError,
    },
    /// An object holds something else.
    #[error("the archive's object of batch {number} holds batch {found_number} of {found}")]
    Misplaced {
        /// Which.
        number: u64,
        /// Number inside.
        found_number: u64,
        /// Chain inside.
        found: ChainId,
    },
    /// Another batch has the number.
    #[error(
        "batch {number} is archived already with another content; replace it only if L1 took that batch back"
    )]
    Conflict {
        /// Which.
        number: u64,
    },
}

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It was written.
    Written,
    /// The same bytes were there.
    Present,
}

/// Something wrong with an archive.
#[derive(Debug)]
pub struct Fault {
    /// The batch.
    pub number: u64,
    /// What is wrong.
    pub error: ArchiveError,
}

/// What [`Archive::verify`] found.
#[derive(Debug)]
pub struct Verified {
    /// Batches that can be used.
    pub good: u64,
    /// The last batch there is an object of; 0 for none.
    pub last: u64,
    /// Those that cannot, also those missing below the last.
    pub faults: Vec<Fault>,
}

/// The archive of one chain.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    root: Path,
    chain: ChainId,
}

impl Archive {
    /// Opens the archive at a URL or in a folder for writing; a new one is given to `chain`.
    pub async fn create(url: &str, chain: ChainId) -> Result<Self, ArchiveError> {
        let (store, root) = locate(url, true)?;
        Self::create_in(store, root, chain).await
    }

    /// Opens an archive for reading. Refuses one of another chain.
    pub async fn open(url: &str, chain: ChainId) -> Result<Self, ArchiveError> {
        let (store, root) = locate(url, false)?;
        Self::open_in(store, root, chain).await
    }

    /// [`Archive::create`] in a store.
    pub async fn create_in(
        store: Arc<dyn ObjectStore>,
        root: Path,
        chain: ChainId,
    ) -> Result<Self, ArchiveError> {
        let archive = Self { store, root, chain };
        let text = serde_json::to_vec(&chain).map_err(|error| StoreError::Generic {
            store: "archive",
            source: error.into(),
        })?;
        match archive
            .write(&archive.at(CHAIN), text, PutMode::Create)
            .await
        {
            Err(ArchiveError::Store(StoreError::AlreadyExists { .. })) => {
                archive.check_owner().await?;
            }
            other => other?,
        }
        Ok(archive)
    }

    /// [`Archive::open`] in a store.
    pub async fn open_in(
        store: Arc<dyn ObjectStore>,
        root: Path,
        chain: ChainId,
    ) -> Result<Self, ArchiveError> {
        let archive = Self { store, root, chain };
        archive.check_owner().await?;
        Ok(archive)
    }

    /// Whose it is.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// Writes a batch. Writing the same again is no error, writing another one is.
    pub async fn put(&self, batch: &Batch) -> Result<PutOutcome, ArchiveError> {
        let number = batch.number;
        let bytes = self.encode(batch)?;
        let path = self.path(number);
        match self.write(&path, bytes.clone(), PutMode::Create).await {
            Ok(()) => Ok(PutOutcome::Written),
            Err(ArchiveError::Store(StoreError::AlreadyExists { .. })) => {
                let there = self.store.get(&path).await?.bytes().await?;
                if there == bytes {
                    Ok(PutOutcome::Present)
                } else {
                    Err(ArchiveError::Conflict { number })
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a batch in the place of another, which L1 took back, or which is damaged.
    pub async fn replace(&self, batch: &Batch) -> Result<(), ArchiveError> {
        let bytes = self.encode(batch)?;
        let path = self.path(batch.number);
        self.write(&path, bytes, PutMode::Overwrite).await
    }

    /// Reads a batch and checks that it is that batch of this chain.
    pub async fn get(&self, number: u64) -> Result<Batch, ArchiveError> {
        let bytes = match self.store.get(&self.path(number)).await {
            Ok(found) => found.bytes().await?,
            Err(StoreError::NotFound { .. }) => return Err(ArchiveError::Missing { number }),
            Err(error) => return Err(error.into()),
        };
        let batch =
            Batch::from_bytes(&bytes).map_err(|reason| ArchiveError::Object { number, reason })?;
        if batch.number != number || batch.chain != self.chain {
            return Err(ArchiveError::Misplaced {
                number,
                found_number: batch.number,
                found: batch.chain,
            });
        }
        Ok(batch)
    }

    /// Whether there is an object of a batch; it is not looked into.
    pub async fn contains(&self, number: u64) -> Result<bool, ArchiveError> {
        match self.store.head(&self.path(number)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Numbers of the batches there are objects of, in order.
    pub async fn list(&self) -> Result<Vec<u64>, ArchiveError> {
        let folder = self.at(BATCHES);
        let objects: Vec<_> = self.store.list(Some(&folder)).try_collect().await?;
        let mut numbers: Vec<u64> = objects
            .iter()
            .filter_map(|object| {
                object
                    .location
                    .filename()?
                    .strip_suffix(SUFFIX)?
                    .parse()
                    .ok()
            })
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads every object. Says what cannot be used and what is missing; does not look at L1.
    pub async fn verify(&self) -> Result<Verified, ArchiveError> {
        let numbers = self.list().await?;
        let last = numbers.last().copied().unwrap_or(0);
        let mut verified = Verified {
            good: 0,
            last,
            faults: Vec::new(),
        };
        for number in 1..=last {
            match self.get(number).await {
                Ok(_) => verified.good += 1,
                Err(ArchiveError::Store(error)) => return Err(error.into()),
                Err(error) => verified.faults.push(Fault { number, error }),
            }
        }
        Ok(verified)
    }

    fn encode(&self, batch: &Batch) -> Result<Vec<u8>, ArchiveError> {
        if batch.chain != self.chain {
            return Err(ArchiveError::OtherChain {
                found: self.chain,
                wanted: batch.chain,
            });
        }
        let number = batch.number;
        batch
            .to_bytes()
            .map_err(|reason| ArchiveError::Object { number, reason })
    }

    async fn check_owner(&self) -> Result<(), ArchiveError> {
        let bytes = match self.store.get(&self.at(CHAIN)).await {
            Ok(found) => found.bytes().await?,
            Err(StoreError::NotFound { .. }) => return Err(ArchiveError::Empty),
            Err(error) => return Err(error.into()),
        };
        let found: ChainId = serde_json::from_slice(&bytes).map_err(|_| ArchiveError::Empty)?;
        if found != self.chain {
            return Err(ArchiveError::OtherChain {
                found,
                wanted: self.chain,
            });
        }
        Ok(())
    }

    async fn write(&self, path: &Path, bytes: Vec<u8>, mode: PutMode) -> Result<(), ArchiveError> {
        let options = PutOptions::from(mode);
        let payload = PutPayload::from(bytes);
        self.store.put_opts(path, payload, options).await?;
        Ok(())
    }

    fn at(&self, name: &str) -> Path {
        self.root.clone().join(name)
    }

    /// Numbers have 12 digits, so that stores list them in order.
    fn path(&self, number: u64) -> Path {
        self.at(BATCHES).join(format!("{number:012}{SUFFIX}"))
    }
}

/// The store of a URL; what is not a URL is a folder.
fn locate(text: &str, create: bool) -> Result<(Arc<dyn ObjectStore>, Path), ArchiveError> {
    let wrong = |reason: String| ArchiveError::Url {
        url: text.into(),
        reason,
    };
    let folder = match Url::parse(text) {
        Ok(url) if url.scheme() == "file" => url
            .to_file_path()
            .map_err(|()| wrong("it names no local folder".into()))?,
        Ok(url) => {
            let (store, root) =
                object_store::parse_url(&url).map_err(|error| wrong(error.to_string()))?;
            return Ok((store.into(), root));
        }
        Err(_) => FilePath::new(text).to_path_buf(),
    };
    if create {
        std::fs::create_dir_all(&folder).map_err(|error| wrong(error.to_string()))?;
    } else if !folder.is_dir() {
        return Err(ArchiveError::Empty);
    }
    let store = object_store::local::LocalFileSystem::new_with_prefix(folder)
        .map_err(|error| wrong(error.to_string()))?
        .with_fsync(true);
    Ok((Arc::new(store), Path::default()))
}
