//! What circuit, node, contracts and wallets of a Carillon rollup agree on (PROTOCOL.md): operations
//! and their slots, records and signed messages; the public vectors H and B; the challenge point.
//!
//! | module | idea |
//! |---|---|
//! | (root) | operations, records, vectors: what is signed and what is public |
//! | [`json`] | bytes and numbers in JSON |
//! | [`layout`] | where the fields of slots and records are |
//! | [`crypto`] | Poseidon, Jubjub, Schnorr |
//! | [`ledger`] | the state and its rules; the native checker of a batch |
//!
//! Pure: no I/O, no threads, unless the feature `parallel` hashes trees on all cores.

mod blob;
pub mod crypto;
mod decimal;
mod domain;
pub mod json;
pub mod layout;
pub mod ledger;
mod operation;
mod party;
mod statement;
mod vectors;

pub use blob::{BLOB_POINTS, evaluate_blob};
pub use decimal::{Decimal, pack_amount, pack_fee};
pub use domain::{Domain, DomainError, Home};
pub use operation::{Kind, Operation, OperationError, owner_word, scalar};
pub use party::{MOST_LEGS, Party};
pub use statement::statement;
pub use vectors::{
    BLOB_ELEMENTS, HEADER_WORDS, Header, RECORD_WORDS, Record, VectorError, blob_bytes,
    blob_elements, challenge, slots_of,
};

/// Bits of an account's index.
pub const ACCOUNT_BITS: u32 = 24;
/// Tokens of a chain.
pub const TOKENS: u8 = 64;
/// Balances are below this.
pub const BALANCE_LIMIT: u128 = 1 << 96;
