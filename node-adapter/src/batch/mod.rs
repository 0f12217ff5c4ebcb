//! What a batch is made of: transfers, their encodings, the public data, and the
//! public inputs that the circuit and the contract share.
//!
//! Pure data types; uses `crypto` alone. Called by `state`, `circuit`,
//! `sequencer` and the settlement code.

mod codec;
mod data;
mod public_inputs;
mod transfer;

pub use codec::{CodecError, TRANSFER_BYTES};
pub(crate) use data::LINK;
pub use data::{DATA_BYTES, DataError, commit, decode_data, encode_data};
pub use public_inputs::PublicInputs;
pub use transfer::{Owner, SignedTransfer, Transfer};
