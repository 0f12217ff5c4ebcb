//! Where a chain's data are: in blobs of Ethereum, or with its operator alone. Plain data and one hash.
//!
//! Called by whoever publishes, settles or checks a batch.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::B256;
use blstrs::Scalar;

use super::{BatchBlob, SettlementError};

/// Where B of a chain's batches is. The contract fixes it for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataMode {
    /// In a blob of each batch's transaction: anyone can rebuild the state.
    #[default]
    Rollup,
    /// With the operator: batches have no blob, and who keeps the data back blocks exits.
    Validium,
}

impl DataMode {
    /// The mode by the contract's own flag.
    pub fn of(validium: bool) -> Self {
        if validium {
            Self::Validium
        } else {
            Self::Rollup
        }
    }

    /// Whether batches have no blob.
    pub fn is_validium(self) -> bool {
        self == Self::Validium
    }

    /// What the challenge names of the blob that holds these elements: zero where there is none.
    ///
    /// # Errors
    /// [`SettlementError::Blob`] for more elements than a blob has.
    pub fn versioned_hash(self, elements: &[Scalar]) -> Result<B256, SettlementError> {
        match self {
            Self::Rollup => Ok(BatchBlob::new(elements)?.versioned_hash()),
            Self::Validium => Ok(B256::ZERO),
        }
    }
}

impl fmt::Display for DataMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rollup => "rollup",
            Self::Validium => "validium",
        })
    }
}

impl FromStr for DataMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "rollup" => Ok(Self::Rollup),
            "validium" => Ok(Self::Validium),
            other => Err(format!("{other} is no data mode: give rollup or validium")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_as_it_is_read_and_only_a_rollup_names_a_blob() {
        for mode in [DataMode::Rollup, DataMode::Validium] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
            assert_eq!(DataMode::of(mode.is_validium()), mode);
        }
        assert!("plasma".parse::<DataMode>().is_err());
        let elements = [Scalar::from(7)];
        assert!(
            DataMode::Validium
                .versioned_hash(&elements)
                .unwrap()
                .is_zero()
        );
        // The version of EIP-4844 is the first byte, so no blob has the hash zero.
        assert_eq!(DataMode::Rollup.versioned_hash(&elements).unwrap()[0], 1);
    }
}
