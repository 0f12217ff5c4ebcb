//! Soft confirmations: the sequencer's signed word that an operation is accepted and durable.
//!
//! It is not finality. A receipt says "this operation is in my log at this place"; only a settled
//! batch says that Ethereum agrees, and `finality` in the JSON is always `soft`. What it is good
//! for: a sequencer that leaves the operation out, or puts another at its place, has signed the
//! evidence against itself.
//!
//! Operations are made durable in groups, and a group gets one signature: over the root of a binary
//! SHA-256 tree of its operations. A receipt holds the path from its operation to that root.
//!
//! ```text
//! leaf   = SHA-256(0x00, id, sequence)        parent = SHA-256(0x01, left, right)
//! signed = SHA-256("carillon/soft-confirmation/1", chain id, first sequence, count, time, root)
//! ```
//!
//! What was accepted behind money that another chain has sent and not settled is conditional: the
//! receipt says on what, and so does what is signed:
//!
//! ```text
//! signed = SHA-256("carillon/soft-confirmation/2", the same, number of conditions, chain, count, ...)
//! ```
//!
//! If a condition fails, the receipt is taken back with a signed notice ([`take_back`]).
//!
//! Integers are 8 bytes, big-endian; an odd node moves up unchanged. Called by `writer`; clients
//! call [`Receipt::verify`].

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use carillon_protocol::crypto::schnorr::{Message, PublicKey, SecretKey, Signature};
use carillon_protocol::json::{decimal, hex_array};
use carillon_protocol::statement;

/// Separates these signatures from all others, also from those of operations.
const TAG: &[u8] = b"carillon/soft-confirmation/1";

/// The same for those of conditional operations.
const CONDITIONAL: &[u8] = b"carillon/soft-confirmation/2";
/// And for notices that a receipt is void.
const VOID: &[u8] = b"carillon/receipt-revoked/1";

/// A soft confirmation. 64-bit numbers are decimal strings in JSON, bytes are `0x` and hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The operation.
    #[serde(with = "hex_array")]
    pub id: [u8; 32],
    /// Its place in the sequencer's log.
    #[serde(with = "decimal")]
    pub sequence: u64,
    /// Always `soft`: this is no settlement.
    pub finality: Finality,
    /// The chain.
    #[serde(with = "decimal")]
    pub chain_id: u64,
    /// Sequence number of the first operation of its group.
    #[serde(with = "decimal")]
    pub first: u64,
    /// Operations of its group.
    #[serde(with = "decimal")]
    pub count: u64,
    /// When the group was made durable, in milliseconds since the Unix epoch.
    #[serde(with = "decimal")]
    pub time: u64,
    /// Siblings from the operation's leaf up to the group's root.
    pub path: Vec<Digest32>,
    /// The sequencer's key, compressed.
    #[serde(with = "hex_array")]
    pub sequencer: [u8; 32],
    /// Its signature, R then s.
    #[serde(with = "hex_array")]
    pub signature: [u8; 64],
    /// What other chains must settle; if one does not, the receipt is taken back. None for most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditional: Vec<Condition>,
}

/// What stands behind something until another chain settles: so many entries of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The chain that sent them.
    #[serde(with = "decimal")]
    pub chain: u64,
    /// Entries of its lane that must be executed on L1.
    #[serde(with = "decimal")]
    pub count: u64,
}

/// What a confirmation is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// The sequencer's word.
    Soft,
}

/// A SHA-256 digest, in hex in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest32(#[serde(with = "hex_array")] pub [u8; 32]);

/// Why a receipt is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Another sequencer, or another chain.
    #[error("the receipt is not of this sequencer: ask the sequencer whose key you trust")]
    OtherSequencer,
    /// The place is outside the group, or the path has not its length.
    #[error("the receipt's place is not one of its group")]
    Place,
    /// Path or signature do not fit.
    #[error("the sequencer's signature does not cover this operation at this place")]
    Signature,
}

impl Receipt {
    /// Checks that `sequencer` has confirmed the operation at this place.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, sequencer: &PublicKey) -> Result<(), ReceiptError> {
        if sequencer.to_bytes() != self.sequencer {
            return Err(ReceiptError::OtherSequencer);
        }
        let index = self.sequence.checked_sub(self.first);
        let index = index.filter(|index| *index < self.count);
        let (mut index, mut width) = (index.ok_or(ReceiptError::Place)?, self.count);
        let mut node = leaf(&self.id, self.sequence);
        let mut path = self.path.iter();
        while width > 1 {
            // The last node of an odd row has no sibling.
            if index % 2 == 1 || index + 1 < width {
                let sibling = path.next().ok_or(ReceiptError::Place)?;
                node = if index % 2 == 1 {
                    parent(&sibling.0, &node)
                } else {
                    parent(&node, &sibling.0)
                };
            }
            (index, width) = (index / 2, width.div_ceil(2));
        }
        if path.next().is_some() {
            return Err(ReceiptError::Place);
        }
        let numbers = [self.chain_id, self.first, self.count, self.time];
        let message = message(numbers, &node, &self.conditional);
        let signature =
            Signature::from_bytes(&self.signature).map_err(|_| ReceiptError::Signature)?;
        if sequencer.verify(&message, &signature) {
            Ok(())
        } else {
            Err(ReceiptError::Signature)
        }
    }
}

/// Signs the receipts of a group: one signature, one path each.
pub fn confirm(
    key: &SecretKey,
    chain_id: u64,
    first: u64,
    time: u64,
    ids: &[[u8; 32]],
    conditions: &[Condition],
) -> Vec<Receipt> {
    let numbered = (first..).zip(ids);
    let mut rows = vec![
        numbered
            .map(|(sequence, id)| leaf(id, sequence))
            .collect::<Vec<_>>(),
    ];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        let next = row.chunks(2).map(|pair| match pair {
            [left, right] => parent(left, right),
            _ => pair[0],
        });
        let next = next.collect();
        rows.push(next);
    }
    let count = ids.len() as u64;
    let root = rows.last().and_then(|row| row.first().copied());
    let root = root.unwrap_or_default();
    let signature = key.sign(&message([chain_id, first, count, time], &root, conditions));
    let path = |at: usize| {
        let levels = rows.iter().enumerate();
        levels
            .filter_map(|(level, row)| row.get((at >> level) ^ 1).copied().map(Digest32))
            .collect()
    };
    let (sequencer, signature) = (key.public().to_bytes(), signature.to_bytes());
    ids.iter()
        .enumerate()
        .map(|(at, id)| Receipt {
            id: *id,
            sequence: first + at as u64,
            finality: Finality::Soft,
            chain_id,
            first,
            count,
            time,
            path: path(at),
            sequencer,
            signature,
            conditional: conditions.to_vec(),
        })
        .collect()
}

fn leaf(id: &[u8; 32], sequence: u64) -> [u8; 32] {
    let hash = Sha256::new().chain_update([0]).chain_update(id);
    hash.chain_update(sequence.to_be_bytes()).finalize().into()
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let hash = Sha256::new().chain_update([1]).chain_update(left);
    hash.chain_update(right).finalize().into()
}

/// What is signed.
fn message(numbers: [u64; 4], root: &[u8; 32], conditions: &[Condition]) -> Message {
    let tag = if conditions.is_empty() {
        TAG
    } else {
        CONDITIONAL
    };
    let mut hash = Sha256::new().chain_update(tag);
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    hash.update(root);
    if !conditions.is_empty() {
        hash.update((conditions.len() as u64).to_be_bytes());
    }
    for Condition { chain, count } in conditions {
        hash.update(chain.to_be_bytes());
        hash.update(count.to_be_bytes());
    }
    statement(b"softconf", &hash.finalize().into())
}

/// Signs the notice that the receipt of an operation at a place is void: a condition has failed.
pub fn take_back(key: &SecretKey, chain_id: u64, id: &[u8; 32], sequence: u64) -> [u8; 64] {
    key.sign(&void(chain_id, id, sequence)).to_bytes()
}

/// Whether a sequencer has taken a receipt back.
pub fn is_taken_back(
    sequencer: &PublicKey,
    chain_id: u64,
    id: &[u8; 32],
    sequence: u64,
    signature: &[u8; 64],
) -> bool {
    Signature::from_bytes(signature)
        .is_ok_and(|signature| sequencer.verify(&void(chain_id, id, sequence), &signature))
}

fn void(chain_id: u64, id: &[u8; 32], sequence: u64) -> Message {
    let mut hash = Sha256::new().chain_update(VOID);
    hash.update(chain_id.to_be_bytes());
    hash.update(id);
    hash.update(sequence.to_be_bytes());
    statement(b"rcptvoid", &hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_of_groups_of_every_size_verify_and_changed_ones_do_not() {
        let key = SecretKey::from_seed(&[1; 32]);
        for count in [1usize, 2, 3, 5, 8, 13] {
            let ids: Vec<[u8; 32]> = (0..count).map(|i| [i as u8; 32]).collect();
            let receipts = confirm(&key, 270, 40, 1_700, &ids, &[]);
            for (at, receipt) in receipts.iter().enumerate() {
                assert_eq!(receipt.sequence, 40 + at as u64);
                assert_eq!(receipt.verify(key.public()), Ok(()), "{count} {at}");
                let text = serde_json::to_string(receipt).unwrap();
                assert!(text.contains("\"finality\":\"soft\""), "{text}");
                assert_eq!(&serde_json::from_str::<Receipt>(&text).unwrap(), receipt);
            }
        }
        let ids = [[1; 32], [2; 32], [3; 32]];
        let good = confirm(&key, 270, 40, 1_700, &ids, &[]).remove(1);
        type Change = fn(&mut Receipt);
        let changes: [(Change, ReceiptError); 8] = [
            (|r| r.id[0] ^= 1, ReceiptError::Signature),
            (|r| r.sequence = 42, ReceiptError::Place),
            (|r| r.sequence = 43, ReceiptError::Place),
            (|r| r.chain_id = 271, ReceiptError::Signature),
            (|r| r.time += 1, ReceiptError::Signature),
            (|r| r.path[0].0[0] ^= 1, ReceiptError::Signature),
            (|r| r.path.push(Digest32([0; 32])), ReceiptError::Place),
            (|r| r.sequencer[0] ^= 1, ReceiptError::OtherSequencer),
        ];
        for (at, (change, error)) in changes.into_iter().enumerate() {
            let mut receipt = good.clone();
            change(&mut receipt);
            assert_eq!(receipt.verify(key.public()), Err(error), "change {at}");
        }
        // A condition is signed: it cannot be left out, added or changed.
        let condition = |count| Condition { chain: 271, count };
        let conditional = confirm(&key, 270, 40, 1_700, &ids, &[condition(3)]).remove(1);
        assert_eq!(conditional.verify(key.public()), Ok(()));
        for (receipt, conditions) in [
            (&conditional, vec![]),
            (&conditional, vec![condition(4)]),
            (&conditional, vec![condition(3), condition(3)]),
            (&good, vec![condition(3)]),
        ] {
            let mut changed = receipt.clone();
            changed.conditional = conditions;
            assert_eq!(changed.verify(key.public()), Err(ReceiptError::Signature));
        }
        let notice = take_back(&key, 270, &good.id, 41);
        assert!(is_taken_back(key.public(), 270, &good.id, 41, &notice));
        for (chain, sequence) in [(271, 41), (270, 42)] {
            assert!(!is_taken_back(
                key.public(),
                chain,
                &good.id,
                sequence,
                &notice
            ));
        }
        let other = SecretKey::from_seed(&[2; 32]);
        assert_eq!(
            good.verify(other.public()),
            Err(ReceiptError::OtherSequencer)
        );
    }
}
