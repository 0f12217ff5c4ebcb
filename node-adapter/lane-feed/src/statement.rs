//! What a chain signs of its lanes: heads and revocations, with the key that signs its receipts.
//!
//! PROTOCOL.md, "Lane heads". One head covers every entry before it. An epoch ends with a revocation;
//! two heads of one lane, epoch and count with different hashes are evidence ([`equivocation`]). Pure.

use alloy::primitives::B256;
use carillon_protocol::crypto::schnorr::{Message, PublicKey, SecretKey, Signature};
use carillon_protocol::{Domain, json, statement};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Separates heads from everything else that the key signs.
const HEAD: (&[u8], &[u8; 8]) = (b"carillon/lane-head/1", b"lanehead");
/// The same of revocations.
const REVOCATION: (&[u8], &[u8; 8]) = (b"carillon/lane-revocation/1", b"lanerevk");

/// How far a lane is, by the word of the chain that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The chain that sends, and its deployment.
    pub domain: Domain,
    /// The chain that it is for.
    #[serde(with = "json::decimal")]
    pub to: u64,
    /// Rises when entries must be numbered anew.
    #[serde(with = "json::decimal")]
    pub epoch: u64,
    /// Entries of the lane.
    #[serde(with = "json::decimal")]
    pub count: u64,
    /// The lane's hash with all of them.
    pub lane_hash: B256,
    /// R, then s.
    #[serde(with = "json::hex_array")]
    pub signature: [u8; 64],
}

/// The end of an epoch: entries from a place on are void, as far as they are not executed on Ethereum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The chain that sends, and its deployment.
    pub domain: Domain,
    /// The chain that it is for.
    #[serde(with = "json::decimal")]
    pub to: u64,
    /// The epoch that ends.
    #[serde(with = "json::decimal")]
    pub epoch: u64,
    /// The first entry that is void.
    #[serde(with = "json::decimal")]
    pub from: u64,
    /// R, then s.
    #[serde(with = "json::hex_array")]
    pub signature: [u8; 64],
}

impl Head {
    /// Signs a head.
    pub fn sign(
        key: &SecretKey,
        domain: Domain,
        to: u64,
        epoch: u64,
        count: u64,
        lane_hash: B256,
    ) -> Self {
        let mut head = Self {
            domain,
            to,
            epoch,
            count,
            lane_hash,
            signature: [0; 64],
        };
        head.signature = key.sign(&head.message()).to_bytes();
        head
    }

    /// Whether the key has signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        signed(key, &self.message(), &self.signature)
    }

    fn message(&self) -> Message {
        let numbers = [self.to, self.epoch, self.count];
        message(HEAD, self.domain, &numbers, self.lane_hash.as_slice())
    }
}

impl Revocation {
    /// Signs a revocation.
    pub fn sign(key: &SecretKey, domain: Domain, to: u64, epoch: u64, from: u64) -> Self {
        let mut revocation = Self {
            domain,
            to,
            epoch,
            from,
            signature: [0; 64],
        };
        revocation.signature = key.sign(&revocation.message()).to_bytes();
        revocation
    }

    /// Whether the key has signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        signed(key, &self.message(), &self.signature)
    }

    fn message(&self) -> Message {
        let numbers = [self.to, self.epoch, self.from];
        message(REVOCATION, self.domain, &numbers, &[])
    }
}

/// Why two heads are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEvidence {
    /// A head that the key did not sign says nothing about who holds the key.
    #[error("the {0} head is not signed by this key: nothing follows from it")]
    NotSigned(&'static str),
    /// Heads of different lanes, epochs or counts may differ.
    #[error("the heads are of different lanes, epochs or counts: an honest chain signs both")]
    OtherPlace,
    /// The same statement twice.
    #[error("both heads say the same")]
    Same,
}

/// Whether two heads show that who holds the key said two things of one place of a lane.
///
/// # Errors
/// [`NoEvidence`].
pub fn equivocation(key: &PublicKey, first: &Head, second: &Head) -> Result<(), NoEvidence> {
    for (name, head) in [("first", first), ("second", second)] {
        if !head.is_signed_by(key) {
            return Err(NoEvidence::NotSigned(name));
        }
    }
    let place = |head: &Head| (head.domain, head.to, head.epoch, head.count);
    if place(first) != place(second) {
        return Err(NoEvidence::OtherPlace);
    }
    if first.lane_hash == second.lane_hash {
        return Err(NoEvidence::Same);
    }
    Ok(())
}

fn message(
    (tag, short): (&[u8], &[u8; 8]),
    domain: Domain,
    numbers: &[u64],
    rest: &[u8],
) -> Message {
    let mut hash = Sha256::new().chain_update(tag);
    hash.update(domain.number().to_be_bytes());
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    statement(short, &hash.chain_update(rest).finalize().into())
}

fn signed(key: &PublicKey, message: &Message, signature: &[u8; 64]) -> bool {
    Signature::from_bytes(signature).is_ok_and(|signature| key.verify(message, &signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(key: &SecretKey, hash: u8) -> Head {
        let hash = B256::repeat_byte(hash);
        Head::sign(key, Domain::local(270), 271, 1, 5, hash)
    }

    #[test]
    fn each_field_is_signed() {
        let key = SecretKey::from_seed(&[1; 32]);
        let good = head(&key, 7);
        assert!(good.is_signed_by(key.public()));
        let other = SecretKey::from_seed(&[2; 32]);
        assert!(!good.is_signed_by(other.public()));
        let changes: [fn(&mut Head); 6] = [
            |head| head.domain = Domain::local(271),
            |head| head.to += 1,
            |head| head.epoch += 1,
            |head| head.count += 1,
            |head| head.lane_hash = B256::ZERO,
            |head| head.signature[3] ^= 1,
        ];
        for change in changes {
            let mut changed = good;
            change(&mut changed);
            assert!(!changed.is_signed_by(key.public()), "{changed:?}");
        }
        let good = Revocation::sign(&key, Domain::local(270), 271, 1, 5);
        assert!(good.is_signed_by(key.public()));
        let changes: [fn(&mut Revocation); 5] = [
            |revocation| revocation.domain = Domain::local(271),
            |revocation| revocation.to += 1,
            |revocation| revocation.epoch += 1,
            |revocation| revocation.from += 1,
            |revocation| revocation.signature[40] ^= 1,
        ];
        for change in changes {
            let mut changed = good;
            change(&mut changed);
            assert!(!changed.is_signed_by(key.public()), "{changed:?}");
        }
    }

    #[test]
    fn two_hashes_of_one_place_are_evidence_and_nothing_else_is() {
        let key = SecretKey::from_seed(&[1; 32]);
        let (first, second) = (head(&key, 7), head(&key, 8));
        let check = |first: &Head, second: &Head| equivocation(key.public(), first, second);
        assert_eq!(check(&first, &second), Ok(()));
        assert_eq!(check(&first, &first), Err(NoEvidence::Same));
        let later = Head::sign(&key, first.domain, 271, 2, 5, second.lane_hash);
        assert_eq!(check(&first, &later), Err(NoEvidence::OtherPlace));
        let forged = Head {
            lane_hash: B256::ZERO,
            ..first
        };
        assert_eq!(check(&first, &forged), Err(NoEvidence::NotSigned("second")));
        assert_eq!(check(&forged, &first), Err(NoEvidence::NotSigned("first")));
    }

    /// The vectors of PROTOCOL.md, "Lane heads".
    #[test]
    fn statements_have_the_bytes_of_the_page() {
        let page = include_str!("../../PROTOCOL.md");
        let key = SecretKey::from_seed(&[1; 32]);
        let (head, domain) = (head(&key, 7), Domain::local(270));
        let revocation = Revocation::sign(&key, domain, 271, 1, 5);
        let vectors = [
            &key.public().to_bytes()[..],
            &head.signature,
            &revocation.signature,
        ];
        let texts = vectors.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        let missing: Vec<&String> = texts
            .iter()
            .filter(|text: &&String| !page.contains(*text))
            .collect();
        assert!(missing.is_empty(), "the page lacks {missing:#?}");
    }
}
