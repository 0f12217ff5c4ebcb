//! The archive: every batch as one object in a store that outlives blobs and disks.
//!
//! | file | what it is | I/O |
//! |---|---|---|
//! | `object` | a batch as bytes: versioned, checksummed, one encoding | none |
//! | `store` | [`Archive`]: put, get, list, verify over `object_store` | store |
//! | `history` | what L1 says of a chain's batches, from its events and calldata | network |
//! | `check` | one batch against L1 and against the state it is replayed on | none |
//! | `messages` | messages of executed batches, for claims | network, store |
//! | `places` | which entry of its lane each take is | none |
//! | `pending` | committed batches as the contract wants them back | network |
//! | `proof_json` | state proofs as a file | none |
//! | `resync` | [`resync`]: the state rebuilt from L1 and the archive | network, store |
//!
//! Ethereum forgets blobs after weeks. The archive keeps B, and L1 keeps the versioned hash that B
//! must have: an archive cannot lie, only be incomplete. Batches of a validium have no blob: there the
//! archive is the only place of B, and the commitment C_B, in the hash that the contract keeps, binds it.
//!
//! Called by the node (put) and by `carillon-node resync`. May use `carillon-protocol` and the
//! rest of the crate.

mod check;
mod history;
mod messages;
mod object;
mod pending;
mod places;
mod proof_json;
mod resync;
mod store;

pub use check::{CheckError, Checked, Field, Terms, check, check_ahead};
pub use history::{
    Executed, History, HistoryError, Published, chain_of, domain_of, mode_of, published,
};
pub use messages::{MessageError, SentMessage, sent_message, sent_messages};
pub use object::{Batch, ChainId, ObjectError, Shape};
pub use pending::pending_batches;
pub use places::Place;
pub use proof_json::StateProofJson;
pub use resync::{
    Replayed, ResyncError, ResyncOptions, ResyncReport, ResyncStep, open_archive, resync,
    resync_ahead, resync_until,
};
pub use store::{Archive, ArchiveError, Fault, PutOutcome, Verified};
