//! What a sequencer signs that is no operation: a digest of 32 bytes under a tag.
//!
//! PROTOCOL.md, "Statements". Pure. Used by receipts and by what is said of lanes.

use blstrs::Scalar;

use super::crypto::schnorr::Message;

/// The message of a statement. The first element of an operation's message is below 2^242; the tag's
/// negative never is.
pub fn statement(tag: &[u8; 8], digest: &[u8; 32]) -> Message {
    let half = |bytes: &[u8]| {
        bytes.iter().fold(Scalar::from(0), |sum, byte| {
            sum * Scalar::from(256) + Scalar::from(u64::from(*byte))
        })
    };
    let (high, low) = digest.split_at(16);
    let zero = Scalar::from(0);
    let tag = -Scalar::from(u64::from_be_bytes(*tag));
    [tag, half(high), half(low), zero, zero, zero, zero]
}
