//! Which deployment of a chain a signature and a batch are for.
//!
//! Chain ids are chosen freely, so two deployments can have the same one. What is signed and what
//! stands in H[0] is a number made of L1, hub and id. Pure. Called by everything that signs, checks
//! signatures, or reads H.

use std::fmt;
use std::str::FromStr;

use blstrs::Scalar;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha3::{Digest, Keccak256};
use thiserror::Error;

use super::operation::scalar;

/// Where a chain's contracts are. The default is a chain without Ethereum, as for development.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Home {
    /// The L1's EIP-155 chain id; 0 without Ethereum.
    pub l1_chain_id: u64,
    /// The register of chains (`ChainHub`); zeros without Ethereum.
    pub hub: [u8; 20],
    /// The bridge that holds the funds (`SharedBridge`); zeros without Ethereum. No part of the
    /// domain: nobody withdraws to it.
    pub bridge: [u8; 20],
}

/// The low 128 bits of `keccak(abi.encode(L1 chain id, hub, chain id))`: a chain of one deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(u128);

/// Text that is no domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a domain is 0x and 32 hex digits, as `carillon_chain` shows it")]
pub struct DomainError;

impl Domain {
    /// The domain of a chain.
    pub fn new(home: &Home, chain_id: u64) -> Self {
        let mut words = [0; 96];
        words[24..32].copy_from_slice(&home.l1_chain_id.to_be_bytes());
        words[44..64].copy_from_slice(&home.hub);
        words[88..].copy_from_slice(&chain_id.to_be_bytes());
        let digest = Keccak256::digest(words);
        let low = digest.last_chunk::<16>().copied().unwrap_or_default();
        Self(u128::from_be_bytes(low))
    }

    /// The domain of a chain without Ethereum.
    pub fn local(chain_id: u64) -> Self {
        Self::new(&Home::default(), chain_id)
    }

    /// The domain with a number, as `H[0]` has it.
    pub const fn from_number(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u128 {
        self.0
    }

    /// The number as a field element.
    pub fn word(self) -> Scalar {
        scalar(self.0)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:032x}", self.0)
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let digits = text.strip_prefix("0x").ok_or(DomainError)?;
        let plain = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16).map_err(|_| DomainError)?;
        plain.then_some(Self(number)).ok_or(DomainError)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256, keccak256};
    use alloy::sol_types::SolValue;

    use super::*;

    #[test]
    fn every_part_of_a_deployment_changes_the_domain() {
        let home = Home {
            l1_chain_id: 31337,
            hub: [7; 20],
            bridge: [8; 20],
        };
        let domain = Domain::new(&home, 270);
        let encoded = (U256::from(31337), Address::from([7; 20]), 270u64).abi_encode();
        let digest = U256::from_be_bytes(keccak256(encoded).0);
        let low = digest & ((U256::from(1) << 128) - U256::from(1));
        assert_eq!(U256::from(domain.number()), low);
        let l1_chain_id = 1;
        let mut hub = home.hub;
        hub[19] = 8;
        for other in [
            Domain::new(&home, 271),
            Domain::new(&Home { hub, ..home }, 270),
            Domain::new(
                &Home {
                    l1_chain_id,
                    ..home
                },
                270,
            ),
            Domain::local(270),
        ] {
            assert_ne!(other, domain);
        }
        let bridge = [9; 20];
        assert_eq!(Domain::new(&Home { bridge, ..home }, 270), domain);
        assert_eq!(domain.to_string().parse(), Ok(domain));
        for wrong in [
            "",
            "0x",
            "270",
            "0x+0000000000000000000000000000000f",
            "0x0000000000000000000000000000010f0",
        ] {
            assert_eq!(wrong.parse::<Domain>(), Err(DomainError), "{wrong}");
        }
    }
}
