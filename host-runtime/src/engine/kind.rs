//! Names of engines and the one function that opens them. Called by the CLIs and the tests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::{Engine, EngineError};

/// An engine by name, as users write it after `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// `cpu`: blst on all cores.
    Cpu,
    /// `sim:rtl`: the Verilated card with fast arithmetic. Needs the feature `rtl`.
    SimRtl,
    /// `sim:rtl-structural`: the Verilated card with real multipliers, slow. Needs the feature
    /// `rtl-structural`.
    SimRtlStructural,
    /// `sim:model`: the functional card model in Rust.
    SimModel,
}

impl EngineKind {
    /// All engines that exist, whether or not this build has them.
    pub const ALL: [EngineKind; 4] = [
        EngineKind::Cpu,
        EngineKind::SimRtl,
        EngineKind::SimRtlStructural,
        EngineKind::SimModel,
    ];

    /// The name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Cpu => "cpu",
            EngineKind::SimRtl => "sim:rtl",
            EngineKind::SimRtlStructural => "sim:rtl-structural",
            EngineKind::SimModel => "sim:model",
        }
    }

    /// Whether this build can open the engine.
    pub fn is_built(self) -> bool {
        match self {
            EngineKind::Cpu | EngineKind::SimModel => true,
            EngineKind::SimRtl => cfg!(feature = "rtl"),
            EngineKind::SimRtlStructural => cfg!(feature = "rtl-structural"),
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = EngineError;

    fn from_str(given: &str) -> Result<Self, EngineError> {
        EngineKind::ALL
            .into_iter()
            .find(|kind| kind.name() == given)
            .ok_or_else(|| EngineError::Unknown {
                given: given.to_owned(),
            })
    }
}

/// As a string, the name that users write.
impl<'de> Deserialize<'de> for EngineKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// Opens an engine. A card engine takes hold of its card until it is dropped; must be called
/// within a tokio runtime with time enabled.
pub async fn open(kind: EngineKind) -> Result<Arc<dyn Engine>, EngineError> {
    match kind {
        EngineKind::Cpu => Ok(Arc::new(crate::cpu::CpuEngine::new())),
        EngineKind::SimModel | EngineKind::SimRtl | EngineKind::SimRtlStructural => {
            Ok(Arc::new(crate::card::open(kind).await?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in EngineKind::ALL {
            assert_eq!(kind.name().parse::<EngineKind>().unwrap(), kind);
        }
        let error = "fpga".parse::<EngineKind>().unwrap_err().to_string();
        assert!(
            error.contains("fpga") && error.contains("sim:model"),
            "{error}"
        );
    }

    #[cfg(not(feature = "rtl"))]
    #[tokio::test]
    async fn rtl_without_the_feature_says_how_to_get_it() {
        for kind in [EngineKind::SimRtl, EngineKind::SimRtlStructural] {
            assert!(!kind.is_built());
            let error = open(kind).await.err().unwrap().to_string();
            assert!(error.contains("--features rtl"), "{error}");
        }
    }
}
