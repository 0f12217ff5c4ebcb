//! How wide the values are that the circuit works on, and how deep the tree of an account's tokens
//! is. Used by every file that allocates them.

use carillon_protocol::layout;

/// Levels of an account's token tree: 4^3 = 64 slots.
pub const TOKEN_LEVELS: usize = 3;

/// Bits of a kind.
pub(super) const KIND_BITS: usize = layout::KIND_BITS as usize;
/// Bits of a token slot.
pub(super) const TOKEN_BITS: usize = layout::TOKEN_BITS as usize;
/// Bits of an account's index.
pub(super) const ACCOUNT_BITS: usize = carillon_protocol::ACCOUNT_BITS as usize;
/// Bits of a balance.
pub(super) const BALANCE_BITS: usize = 96;
/// Bits of a record's amount.
pub(super) const AMOUNT_BITS: usize = 96;
/// Bits of a nonce.
pub(super) const NONCE_BITS: usize = 32;
/// Bits of the number that names a chain of one deployment.
pub(super) const DOMAIN_BITS: usize = 128;
/// Bits of an owner, an address on L1.
pub(super) const OWNER_BITS: usize = 160;
