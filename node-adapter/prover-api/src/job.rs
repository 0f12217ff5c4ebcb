//! What a job is, and how its parts look on the wire: JSON, bytes as `0x` and hex digits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use blstrs::Scalar;
use carillon_runtime::groth16::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The lane of the jobs offered here: Groth16 over BLS12-381.
pub const LANE: &str = "G16";

/// A verifying key by its SHA-256 ([`VerifyingKey::to_bytes`]): what a prover says it can prove for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &VerifyingKey) -> Self {
        Self(Sha256::digest(key.to_bytes()).into())
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({self})")
    }
}

/// Text that is not the hash of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not the hash of a verifying key: 64 hex digits are expected, with or without 0x"
)]
pub struct ParseHashError {
    given: String,
}

impl FromStr for KeyHash {
    type Err = ParseHashError;

    fn from_str(given: &str) -> Result<Self, ParseHashError> {
        let mut bytes = [0; 32];
        let digits = given.strip_prefix("0x").unwrap_or(given);
        match hex::decode_to_slice(digits, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(ParseHashError {
                given: given.chars().take(80).collect(),
            }),
        }
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Something to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number: that of the batch.
    pub number: u64,
    /// The key that the proof must verify with.
    pub key: KeyHash,
    /// The public inputs that it must verify for, without the constant ONE.
    pub public_inputs: Vec<Scalar>,
    /// All that a prover needs to make the witness. The API does not look inside.
    pub input: Vec<u8>,
}

/// A job together with the lease on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    /// The job.
    pub job: Job,
    /// Which lease of this job it is. Only the newest one counts.
    pub generation: u64,
    /// How long the lease holds unless a heartbeat renews it.
    pub valid: Duration,
}

/// The answer to `pick`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PickAnswer {
    pub job: u64,
    pub lane: String,
    pub vk_hash: KeyHash,
    #[serde(with = "scalars")]
    pub public_inputs: Vec<Scalar>,
    #[serde(with = "hex_bytes")]
    pub input: Vec<u8>,
    pub generation: u64,
    pub lease_ms: u64,
}

impl From<LeasedJob> for PickAnswer {
    fn from(leased: LeasedJob) -> Self {
        Self {
            job: leased.job.number,
            lane: LANE.to_owned(),
            vk_hash: leased.job.key,
            public_inputs: leased.job.public_inputs,
            input: leased.job.input,
            generation: leased.generation,
            lease_ms: millis(leased.valid),
        }
    }
}

impl From<PickAnswer> for LeasedJob {
    fn from(answer: PickAnswer) -> Self {
        Self {
            job: Job {
                number: answer.job,
                key: answer.vk_hash,
                public_inputs: answer.public_inputs,
                input: answer.input,
            },
            generation: answer.generation,
            valid: Duration::from_millis(answer.lease_ms),
        }
    }
}

/// The body of `submit`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitBody {
    pub job: u64,
    pub generation: u64,
    pub vk_hash: KeyHash,
    #[serde(with = "hex_bytes")]
    pub proof: Vec<u8>,
}

/// The body of `heartbeat`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeartbeatBody {
    pub job: u64,
    pub generation: u64,
}

/// The answer to `heartbeat`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeartbeatAnswer {
    pub lease_ms: u64,
}

/// The body of `fail`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailBody {
    pub job: u64,
    pub generation: u64,
    pub reason: String,
}

/// The body of every refusal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub error: String,
}

/// Whole milliseconds; more than 2^64 of them are cut off.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes as `0x` and hex digits.
pub(super) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("0x{}", hex::encode(bytes)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map_err(serde::de::Error::custom)
    }
}

/// Field elements as 32 bytes, big-endian, each as [`hex_bytes`].
pub(super) mod scalars {
    use blstrs::Scalar;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[Scalar], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(
            values
                .iter()
                .map(|value| format!("0x{}", hex::encode(value.to_bytes_be()))),
        )
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Scalar>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts
            .iter()
            .map(|text| {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
                    .map_err(D::Error::custom)?;
                Option::from(Scalar::from_bytes_be(&bytes)).ok_or_else(|| {
                    D::Error::custom("a public input is not below the field's order")
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_round_trip_and_unreduced_inputs_are_refused() {
        let leased = LeasedJob {
            job: Job {
                number: 7,
                key: KeyHash([9; 32]),
                public_inputs: vec![Scalar::from(5), -Scalar::from(1)],
                input: vec![1, 2, 3],
            },
            generation: 4,
            valid: Duration::from_millis(1500),
        };
        let text = serde_json::to_string(&PickAnswer::from(leased.clone())).unwrap();
        let back: PickAnswer = serde_json::from_str(&text).unwrap();
        assert_eq!(LeasedJob::from(back), leased);
        let unreduced = text.replace(
            &hex::encode(Scalar::from(5).to_bytes_be()),
            &"ff".repeat(32),
        );
        let error = serde_json::from_str::<PickAnswer>(&unreduced).unwrap_err();
        assert!(error.to_string().contains("field's order"), "{error}");
        assert!("0x12".parse::<KeyHash>().is_err());
        let hash = KeyHash([0xab; 32]);
        assert_eq!(hash.to_string().parse::<KeyHash>(), Ok(hash));
    }
}
