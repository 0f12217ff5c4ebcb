//! Proving keys on disk: page-aligned sections of affine points as blst and the card want them,
//! read into memory, checked by hash and on the curve, never parsed.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | ASCII `CARLKEY` and a zero byte |
//! | 8..12 | format version, which names the basis of h: 1 powers of tau, 2 odd powers ([`HBasis`](crate::groth16::HBasis)) |
//! | 12..16 | origin: 1 insecure development key |
//! | 16..48 | circuit digest |
//! | 48..72 | constraints, public inputs, private variables (8 bytes each) |
//! | 72.. | six sections, each offset (8), bytes (8), SHA-256 (32): vk, a, b1, b2, l, h |
//! | 4064..4096 | SHA-256 of bytes 0..4064 |
//!
//! Integers are little-endian; sections start at multiples of 4096 and follow one another. Files
//! appear under their name only when complete. Called by the CLIs and `node-adapter`.

mod error;
mod header;
mod points;
mod read;
mod write;

pub use error::KeyError;
pub use points::Points;
pub use read::{load, load_for};
pub use write::{save, save_new};
