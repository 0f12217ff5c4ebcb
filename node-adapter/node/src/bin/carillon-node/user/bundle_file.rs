//! Bundles as files: what a user keeps from signing until the bundle has run.

use std::path::Path;

use alloy::primitives::{Address, Bytes, U256};
use carillon_settlement::interop::{Bundle, Call, Place};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// A bundle. Wei and amounts are decimal strings, bytes `0x` and hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    /// The rollup chain.
    pub chain_id: u64,
    /// The Ethereum chain.
    pub l1_chain_id: u64,
    /// The `InteropHandler`.
    pub handler: Address,
    /// The owner of the account that signs it.
    pub owner: Address,
    /// Last second in which it may run, Unix time.
    pub deadline: u64,
    /// Gas of the whole run.
    pub gas_limit: u64,
    /// What it does.
    pub calls: Vec<CallFile>,
    /// What goes back to the rollup after the calls.
    #[serde(rename = "return")]
    pub back: Option<ReturnFile>,
    /// For whoever runs it, in the token that it withdraws.
    #[serde(default = "no_tip")]
    pub tip: String,
}

/// The tip of a bundle that has none.
pub fn no_tip() -> String {
    "0".into()
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFile {
    /// Who is called.
    pub target: Address,
    /// Wei.
    pub value: String,
    /// Selector and arguments.
    pub data: Bytes,
}

impl CallFile {
    /// The contract's call.
    pub fn call(&self) -> Result<Call, Failure> {
        let value = U256::from_str_radix(&self.value, 10).map_err(|_| {
            Failure::input(format!(
                "`{}` is no number of wei in a bundle's call",
                self.value
            ))
        })?;
        Ok(Call {
            target: self.target,
            value,
            data: self.data.clone(),
        })
    }
}

/// A return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnFile {
    /// Token slot.
    pub token: u8,
    /// The bundle fails if there is less.
    pub min_amount: String,
}

impl BundleFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let fault =
            |reason: String| Failure::input(format!("the bundle {}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| fault(error.to_string()))
    }

    /// The contract's bundle, checked.
    pub fn bundle(&self) -> Result<Bundle, Failure> {
        let place = Place {
            chain_id: self.chain_id,
            l1_chain_id: self.l1_chain_id,
            handler: self.handler,
        };
        let calls = self
            .calls
            .iter()
            .map(CallFile::call)
            .collect::<Result<_, _>>()?;
        let mut bundle = Bundle::new(place, self.owner, self.deadline, self.gas_limit, calls);
        if let Some(back) = &self.back {
            let least = units("return", &back.min_amount)?;
            bundle = bundle.returning(back.token, least);
        }
        bundle = bundle.tipping(units("tip", &self.tip)?);
        bundle
            .check()
            .map_err(|error| Failure::input(error.to_string()))?;
        Ok(bundle)
    }
}

/// An amount below 2^96 of a bundle's part.
fn units(part: &str, text: &str) -> Result<u128, Failure> {
    let amount = text.parse::<u128>().ok().filter(|amount| *amount < 1 << 96);
    amount.ok_or_else(|| Failure::input(format!("`{text}` is no amount of a bundle's {part}")))
}

/// A call on the command line: `TARGET`, `TARGET,VALUE` or `TARGET,VALUE,DATA`.
pub fn call(text: &str) -> Result<CallFile, String> {
    let mut parts = text.splitn(3, ',');
    let target = parts.next().unwrap_or_default();
    let target = target
        .parse()
        .map_err(|_| format!("`{target}` is not an address"))?;
    let value = match parts.next() {
        None | Some("") => 0,
        Some(value) => super::units::amount(value)?,
    };
    let data = match parts.next() {
        None => Bytes::new(),
        Some(data) => data
            .parse()
            .map_err(|_| format!("`{data}` is no hex data"))?,
    };
    Ok(CallFile {
        target,
        value: value.to_string(),
        data,
    })
}

/// A return on the command line: `SLOT` or `SLOT,LEAST`.
pub fn back(text: &str) -> Result<ReturnFile, String> {
    let (token, least) = text.split_once(',').unwrap_or((text, "0"));
    let token = token.parse::<u8>().ok().filter(|token| *token < 64);
    Ok(ReturnFile {
        token: token.ok_or_else(|| format!("`{text}` is no return: write SLOT or SLOT,LEAST"))?,
        min_amount: super::units::amount(least)?.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_tip_has_none_and_a_tip_is_an_amount() {
        let text = r#"{ "chain_id": 1, "l1_chain_id": 2, "handler": "0x1111111111111111111111111111111111111111",
            "owner": "0x2222222222222222222222222222222222222222", "deadline": 3, "gas_limit": 4, "calls": [],
            "return": null }"#;
        let mut file: BundleFile = serde_json::from_str(text).unwrap();
        assert!(file.bundle().unwrap().tip.is_zero());
        file.tip = "7".into();
        assert_eq!(file.bundle().unwrap().tip.to::<u128>(), 7);
        for tip in ["", "-1", "1.5", &(1u128 << 96).to_string()] {
            file.tip = tip.into();
            let error = file.bundle().unwrap_err().to_string();
            assert!(error.contains("tip"), "{error}");
        }
    }

    #[test]
    fn calls_and_returns_are_read() {
        let target = "0x1111111111111111111111111111111111111111";
        let read = call(target).unwrap();
        assert_eq!((read.value.as_str(), read.data.len()), ("0", 0));
        let read = call(&format!("{target},0.5eth,0x01020304")).unwrap();
        assert_eq!(
            (read.value.as_str(), read.data.len()),
            ("500000000000000000", 4)
        );
        for text in [
            "",
            "0x11",
            &format!("{target},many"),
            &format!("{target},1,0xzz"),
        ] {
            assert!(call(text).is_err(), "{text}");
        }
        assert_eq!(back("3").unwrap().min_amount, "0");
        assert_eq!(back("0,1gwei").unwrap().min_amount, "1000000000");
        for text in ["", "64", "x,1", "1,-1"] {
            assert!(back(text).is_err(), "{text}");
        }
    }
}
