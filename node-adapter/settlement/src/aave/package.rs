//! Finds the published contracts of Aave v3 and reads their bytecode, with libraries linked.

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, Bytes};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::SettlementError;
use crate::anvil::tools_folders;

/// The version of `@aave/core-v3` that `scripts/tools/package.json` pins.
pub const AAVE_VERSION: &str = "1.19.3";
/// Where the package is below a tools folder.
const PLACE: &str = "node/node_modules/@aave/core-v3";
/// Hexadecimal digits of the place of a library's address.
const ADDRESS_DIGITS: usize = 40;

/// Why a market was not put up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AaveError {
    /// The contracts are not there.
    #[error(
        "the contracts of Aave v3 (npm package @aave/core-v3 {AAVE_VERSION}) were not found in {searched}: they are not part of this program, since their licence (BUSL-1.1) is their authors'; run `make setup`, or name another tools folder with CARILLON_TOOLS"
    )]
    Missing {
        /// The places that were searched.
        searched: String,
    },
    /// Another version.
    #[error(
        "{} is version {found} of @aave/core-v3, {AAVE_VERSION} is wanted; run `make setup`", .path.display()
    )]
    Version {
        /// The package.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// An artifact that is not as it should be.
    #[error("{}: {reason}; remove the tools folder and run `make setup`", .path.display())]
    Artifact {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The chain refused something, or did not answer.
    #[error(transparent)]
    L1(#[from] SettlementError),
}

/// The package on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    root: PathBuf,
}

impl Package {
    /// Finds it in the tools folder: `CARILLON_TOOLS`, or a `.tools` above the current folder or above this
    /// program.
    ///
    /// # Errors
    /// [`AaveError::Missing`], [`AaveError::Version`].
    pub fn find() -> Result<Self, AaveError> {
        Self::among(tools_folders())
    }

    fn among(tools: Vec<PathBuf>) -> Result<Self, AaveError> {
        let places = tools.iter().map(|folder| folder.join(PLACE));
        let found = places.clone().find(|place| place.is_dir());
        let Some(root) = found else {
            let named = std::env::var_os("CARILLON_TOOLS").is_some();
            let first = places.map(|place| place.display().to_string()).next();
            return Err(AaveError::Missing {
                searched: match first.filter(|_| named) {
                    Some(place) => place,
                    None => format!("the project's .tools folder ({PLACE})"),
                },
            });
        };
        let manifest: Value = read(&root.join("package.json"))?;
        let version = manifest["version"].as_str().unwrap_or("none");
        if version != AAVE_VERSION {
            return Err(AaveError::Version {
                found: version.to_owned(),
                path: root,
            });
        }
        Ok(Self { root })
    }

    /// The artifact of a contract: the file `{source}` below `contracts`, without its ending, has the contract of
    /// that name.
    pub(super) fn artifact(&self, source: &str) -> Result<Artifact, AaveError> {
        let name = source.rsplit('/').next().unwrap_or(source);
        let path = self
            .root
            .join(format!("artifacts/contracts/{source}.sol/{name}.json"));
        let raw: Raw = read(&path)?;
        let fault = |reason: &str| AaveError::Artifact {
            path: path.clone(),
            reason: reason.into(),
        };
        let code = raw.bytecode.strip_prefix("0x");
        let code = code.filter(|code| !code.is_empty() && code.is_ascii());
        let code = code
            .ok_or_else(|| fault("it has no bytecode in hex digits"))?
            .to_owned();
        let mut links = Vec::new();
        for (file, libraries) in raw.link_references {
            let source = file.strip_prefix("contracts/");
            let source = source.and_then(|source| source.strip_suffix(".sol"));
            let source = source.ok_or_else(|| fault("a library is in no contract's file"))?;
            for (_, places) in libraries {
                let places = serde_json::from_value::<Vec<Span>>(places)
                    .map_err(|error| fault(&error.to_string()))?;
                let inside = |span: &Span| {
                    span.length == ADDRESS_DIGITS / 2
                        && span.start.saturating_add(span.length) <= code.len() / 2
                };
                if !places.iter().all(inside) {
                    return Err(fault("a library's place is outside of the bytecode"));
                }
                links.push(Link {
                    source: source.to_owned(),
                    places: places.iter().map(|span| span.start).collect(),
                });
            }
        }
        Ok(Artifact { path, code, links })
    }
}

/// A contract's bytecode, with holes where the addresses of its libraries belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Artifact {
    path: PathBuf,
    code: String,
    links: Vec<Link>,
}

/// A library that a contract calls.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    source: String,
    /// Bytes of the code at which its address stands.
    places: Vec<usize>,
}

impl Artifact {
    /// The libraries that must be there before.
    pub(super) fn libraries(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| link.source.as_str())
    }

    /// The code with their addresses, in the order of [`Artifact::libraries`].
    pub(super) fn linked(&self, addresses: &[Address]) -> Result<Bytes, AaveError> {
        let mut code = self.code.clone();
        for (link, address) in self.links.iter().zip(addresses) {
            for place in &link.places {
                let digits = 2 * place..2 * place + ADDRESS_DIGITS;
                code.replace_range(digits, &hex::encode(address));
            }
        }
        let bytes = hex::decode(&code).map_err(|error| AaveError::Artifact {
            path: self.path.clone(),
            reason: format!("its bytecode: {error}"),
        })?;
        Ok(bytes.into())
    }
}

/// As Hardhat writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    bytecode: String,
    #[serde(default)]
    link_references: std::collections::BTreeMap<String, Map<String, Value>>,
}

#[derive(Deserialize)]
struct Span {
    start: usize,
    length: usize,
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, AaveError> {
    let fault = |reason: String| AaveError::Artifact {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package with one contract.
    fn package(folder: &Path, version: &str, artifact: &str) -> Result<Package, AaveError> {
        let root = folder.join(PLACE);
        let contract = root.join("artifacts/contracts/a/Thing.sol");
        std::fs::create_dir_all(&contract).unwrap();
        let manifest = format!(r#"{{ "version": "{version}" }}"#);
        std::fs::write(root.join("package.json"), manifest).unwrap();
        std::fs::write(contract.join("Thing.json"), artifact).unwrap();
        Package::among(vec![folder.to_owned()])
    }

    #[test]
    fn what_is_missing_is_named_with_the_next_step() {
        let folder = tempfile::tempdir().unwrap();
        let error = Package::among(vec![folder.path().to_owned()]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("@aave/core-v3 1.19.3"), "{text}");
        assert!(text.contains("make setup"), "{text}");
        let error = package(folder.path(), "1.19.2", "{}").unwrap_err();
        assert!(error.to_string().contains("version 1.19.2"), "{error}");
    }

    #[test]
    fn libraries_are_linked_at_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let hole = "__$0123456789abcdef0123456789abcdef01$__";
        assert_eq!(hole.len(), ADDRESS_DIGITS);
        let text = |start: usize| {
            format!(
                r#"{{ "bytecode": "0x6001{hole}6002", "linkReferences": {{
                "contracts/b/Lib.sol": {{ "Lib": [{{ "start": {start}, "length": 20 }}] }} }} }}"#
            )
        };
        let good = package(folder.path(), AAVE_VERSION, &text(2)).unwrap();
        let artifact = good.artifact("a/Thing").unwrap();
        assert_eq!(artifact.libraries().collect::<Vec<_>>(), ["b/Lib"]);
        let linked = artifact.linked(&[Address::repeat_byte(0xab)]).unwrap();
        let expected = format!("0x6001{}6002", "ab".repeat(20));
        assert_eq!(linked.to_string(), expected);
        // A hole that stays one is no bytecode.
        assert!(artifact.linked(&[]).is_err());
        for start in [5, usize::MAX] {
            let wrong = package(folder.path(), AAVE_VERSION, &text(start)).unwrap();
            assert!(wrong.artifact("a/Thing").is_err(), "{start}");
        }
        for code in ["0x", "6001", "0x60\u{e9}"] {
            let text = format!(r#"{{ "bytecode": "{code}" }}"#);
            let wrong = package(folder.path(), AAVE_VERSION, &text).unwrap();
            assert!(wrong.artifact("a/Thing").is_err(), "{code}");
            assert!(wrong.artifact("a/Other").is_err());
        }
    }
}
