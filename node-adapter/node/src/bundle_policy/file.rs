//! The file of a policy: TOML, read strictly.

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, U256};
use serde::Deserialize;

use super::BundlePolicy;
use super::rule::{Condition, Function, Rule};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
#[error("the policy of bundles {}: {reason}", .path.display())]
pub struct PolicyError {
    path: PathBuf,
    reason: String,
}

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    tokens: Option<Vec<u8>>,
    most_value: Option<String>,
    most_tip: Option<String>,
    #[serde(default)]
    deadline: WindowFile,
    #[serde(default)]
    recipients: Vec<Address>,
    #[serde(default)]
    allow: Vec<RuleFile>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowFile {
    least: Option<u64>,
    most: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    target: Address,
    function: String,
    most_value: Option<String>,
    #[serde(default)]
    argument: Vec<ConditionFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionFile {
    index: usize,
    equal: Option<String>,
    at_most: Option<String>,
    at_least: Option<String>,
    #[serde(default)]
    own_alias: bool,
}

impl BundlePolicy {
    /// Reads a file.
    ///
    /// # Errors
    /// [`PolicyError`] with the place in the file.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let fault = |reason: String| PolicyError {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        Self::parse(&text).map_err(fault)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: PolicyFile = toml::from_str(text).map_err(|error| error.to_string())?;
        let tokens = file.tokens.map(|slots| {
            let wrong = slots.iter().find(|slot| **slot >= 64);
            match wrong {
                Some(slot) => Err(format!(
                    "tokens: slot {slot} does not exist, slots are 0 to 63"
                )),
                None => Ok(slots.into_iter().collect()),
            }
        });
        let deadline = (
            file.deadline.least.unwrap_or(0),
            file.deadline.most.unwrap_or(u64::MAX),
        );
        if deadline.0 > deadline.1 {
            return Err("deadline: least is more than most, so that no bundle fits".into());
        }
        let rules = file.allow.into_iter().enumerate().map(|(index, rule)| {
            let named = |reason: String| format!("[[allow]] number {}: {reason}", index + 1);
            rule.rule().map_err(named)
        });
        Ok(Self {
            tokens: tokens.transpose()?,
            most_value: number("most_value", file.most_value)?,
            most_tip: number("most_tip", file.most_tip)?,
            deadline,
            recipients: file.recipients.into_iter().collect(),
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

impl RuleFile {
    fn rule(self) -> Result<Rule, String> {
        let function = Function::read(&self.function)?;
        let most_value = number("most_value", self.most_value)?.unwrap_or_default();
        let mut rule = Rule::new(self.target, function, most_value);
        for argument in self.argument {
            let conditions = [
                number("equal", argument.equal)?.map(Condition::Equal),
                number("at_most", argument.at_most)?.map(Condition::AtMost),
                number("at_least", argument.at_least)?.map(Condition::AtLeast),
                argument.own_alias.then_some(Condition::OwnAlias),
            ];
            if conditions.iter().all(Option::is_none) {
                return Err(format!(
                    "argument {} has no condition: give equal, at_most, at_least or own_alias = true",
                    argument.index
                ));
            }
            for condition in conditions.into_iter().flatten() {
                rule.require(argument.index, condition)?;
            }
        }
        Ok(rule)
    }
}

/// A number as a decimal string, or `0x` and hex digits.
fn number(name: &str, text: Option<String>) -> Result<Option<U256>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text.as_str(), 10),
    };
    let known = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix as u32));
    let value = known.then(|| U256::from_str_radix(digits, radix).ok());
    value.flatten().map(Some).ok_or_else(|| {
        format!(
            "{name}: `{text}` is no number; write decimal digits, or 0x and hex digits, in quotes"
        )
    })
}
