//! How an engine is opened, beside which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::EngineError;

/// The environment variable that sets [`EngineOptions::dma_memory`].
pub const DMA_MEMORY: &str = "CARILLON_DMA_MEMORY";

/// How an engine is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Host memory that a card may use for DMA; `None` for the driver's usual limit (4 GiB each
    /// way). The CPU needs none.
    pub dma_memory: Option<DmaMemory>,
}

impl EngineOptions {
    /// As [`DMA_MEMORY`] says; the default where it is not set.
    ///
    /// # Errors
    /// [`EngineError::DmaMemory`] when it is not a size.
    pub fn from_env() -> Result<Self, EngineError> {
        let dma_memory = match std::env::var(DMA_MEMORY) {
            Ok(given) => Some(given.parse()?),
            Err(_) => None,
        };
        Ok(Self { dma_memory })
    }
}

/// Bytes of host memory for DMA in each direction: what is pinned at most. Written in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaMemory(u64);

impl DmaMemory {
    /// So many MiB; `None` outside 1 MiB to 1 TiB: rings and pieces must fit.
    pub fn mib(mib: u64) -> Option<Self> {
        (1..=1 << 20).contains(&mib).then_some(Self(mib << 20))
    }

    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for DmaMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0 >> 20)
    }
}

impl FromStr for DmaMemory {
    type Err = EngineError;

    fn from_str(given: &str) -> Result<Self, EngineError> {
        let mib = given.trim().parse().ok();
        mib.and_then(Self::mib)
            .ok_or_else(|| EngineError::DmaMemory {
                given: given.to_owned(),
            })
    }
}

/// As a number of MiB.
impl<'de> Deserialize<'de> for DmaMemory {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mib = u64::deserialize(from)?;
        Self::mib(mib).ok_or_else(|| {
            let given = mib.to_string();
            serde::de::Error::custom(EngineError::DmaMemory { given })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mebibytes_from_one() {
        assert_eq!("16".parse::<DmaMemory>().unwrap().bytes(), 16 << 20);
        for wrong in ["0", "", "-1", "16M", "1048577"] {
            let error = wrong.parse::<DmaMemory>().unwrap_err().to_string();
            assert!(error.contains("MiB"), "{error}");
        }
    }
}
