//! What circuit, node and contracts agree on (PROTOCOL.md): operations and their slots,
//! records and signed messages; the public vectors H and B; the challenge point.
//!
//! Pure; uses `crypto` alone. Called by `ledger`, `circuit`, `node`, `settlement`, `archive`.

mod blob;
mod decimal;
mod domain;
mod operation;
mod vectors;

pub use blob::{BLOB_POINTS, evaluate_blob};
pub use decimal::{Decimal, pack_amount, pack_fee};
pub use domain::{Domain, DomainError, Home};
pub(crate) use operation::scalar;
pub use operation::{Kind, Operation, OperationError, owner_word};
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
