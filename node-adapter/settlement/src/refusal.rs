//! The contracts' reasons for refusing a call, decoded from revert data. No I/O.
//!
//! Called by [`super::l1`] for every revert, simulated or mined.

use alloy::primitives::Bytes;
use alloy::sol_types::SolInterface;

use super::abi;

/// Characters of an untrusted contract's words that are shown.
const MOST_WORDS: usize = 300;

/// Why a contract refused. Words and wording follow the errors of the Solidity sources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An error of the rollup protocol's contracts, [`super::abi`].
    #[error("{text}")]
    Contract {
        /// The Solidity error.
        name: &'static str,
        /// The error with its arguments.
        text: String,
    },
    /// What a chain said to the gateway, which undid everything.
    #[error("chain {chain} refused its step {step}: {reason}")]
    Step {
        /// Which of the gateway's items, from 0.
        item: u64,
        /// The chain.
        chain: u64,
        /// Which of the item's steps, from 0.
        step: u64,
        /// Why.
        reason: Box<Refusal>,
    },
    /// A contract's own words, or the fault that Solidity found: tokens written before custom errors
    /// speak so, and what a bundle calls may.
    #[error("reverted: {text}")]
    Words {
        /// The words in quotes, or the fault.
        text: String,
    },
    /// Revert data that is none of the contracts' errors.
    #[error("reverted with {data}, which is no error of these contracts")]
    Unknown {
        /// The data.
        data: Bytes,
    },
    /// No revert data at all.
    #[error("reverted without a reason (most often: out of gas)")]
    Silent,
}

impl Refusal {
    /// Decodes revert data.
    pub fn decode(data: &Bytes) -> Self {
        nested(data).unwrap_or_else(|| Self::flat(data))
    }

    /// The same without a look at what an error carries of others.
    fn flat(data: &Bytes) -> Self {
        if data.is_empty() {
            return Refusal::Silent;
        }
        contract_error(data)
            .or_else(|| words(data))
            .unwrap_or_else(|| Refusal::Unknown { data: data.clone() })
    }

    /// The name of the Solidity error, for tables and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Contract { name, .. } => name,
            Refusal::Step { .. } => "StepRefused",
            Refusal::Words { .. } => "Words",
            Refusal::Unknown { .. } => "Unknown",
            Refusal::Silent => "Silent",
        }
    }

    /// What an operator can do about it.
    pub fn advice(&self) -> &'static str {
        if let Refusal::Step { reason, .. } = self {
            return reason.advice();
        }
        match self.name() {
            "NotOperator" => "run with the key of the chain's operator",
            "ChainHalted" => {
                "the chain is halted for good: users leave with their proofs, see the page on halted chains"
            }
            "ChainPaused" => "wait until the pause ends",
            "BatchesPending" => "execute or revert the batches that are committed, then it goes on",
            "ProofInvalid" | "UnknownShape" => {
                "the contract's verifying key is not that of this node's proofs: compare keys and shape"
            }
            "StateRootMismatch" | "BatchAlreadyCommitted" | "BatchOutOfOrder" => {
                "another node may have settled: compare with `carillon-node resync`"
            }
            "Silent" => "out of gas, or no contract of this project at the address",
            _ => "compare the node's configuration with the contract's",
        }
    }
}

/// The error of the first of these contracts that knows the selector. Errors of equal names have
/// equal arguments.
macro_rules! first_of {
    ($data:expr, [$($errors:path),* $(,)?]) => {{
        let selector: [u8; 4] = $data.get(..4)?.try_into().ok()?;
        $(
            if let Ok(error) = <$errors>::abi_decode($data) {
                let name = <$errors>::name_by_selector(selector)?;
                return Some(contract_refusal(name, &format!("{error:?}")));
            }
        )*
        None
    }};
}

/// Every contract of the rollup protocol that may refuse.
fn contract_error(data: &Bytes) -> Option<Refusal> {
    first_of!(
        data,
        [
            abi::RollupChain::RollupChainErrors,
            abi::SharedBridge::SharedBridgeErrors,
            abi::ChainHub::ChainHubErrors,
            abi::Gateway::GatewayErrors,
            abi::Groth16Verifier::Groth16VerifierErrors,
            abi::ChainTimelock::ChainTimelockErrors,
            abi::UpgradeableProxy::UpgradeableProxyErrors,
            abi::interop::InteropHandler::InteropHandlerErrors,
            abi::interop::AliasAccount::AliasAccountErrors,
            abi::interop::Checks::ChecksErrors,
            abi::interop::Forwarder7786::Forwarder7786Errors,
            abi::demo::GhoLikeToken::GhoLikeTokenErrors,
            abi::demo::DirectMinter::DirectMinterErrors,
            abi::demo::PriceSource::PriceSourceErrors,
        ]
    )
}

/// `Error(string)` and `Panic(uint256)`, which any contract may use. The words are untrusted: they
/// are quoted, cut, and cannot move a terminal's cursor.
fn words(data: &Bytes) -> Option<Refusal> {
    use alloy::sol_types::{Panic, Revert, SolError};
    if let Ok(revert) = Revert::abi_decode(data) {
        let words: String = revert.reason.chars().take(MOST_WORDS).collect();
        let text = format!("\"{}\"", words.escape_debug());
        return Some(Refusal::Words { text });
    }
    let panic = Panic::abi_decode(data).ok()?;
    let text = panic.to_string();
    Some(Refusal::Words { text })
}

/// Errors that carry the revert data of what was called.
fn nested(data: &Bytes) -> Option<Refusal> {
    use alloy::sol_types::SolError;
    if let Ok(error) = abi::Gateway::StepRefused::abi_decode(data) {
        let small = |number: alloy::primitives::U256| number.saturating_to::<u64>();
        return Some(Refusal::Step {
            item: small(error.item),
            chain: error.chainId,
            step: small(error.step),
            reason: Box::new(Refusal::flat(&error.reason)),
        });
    }
    if let Ok(error) = abi::interop::AliasAccount::CallFailed::abi_decode(data) {
        let (index, target, inner) = (error.index, error.target, Refusal::flat(&error.reason));
        return Some(Refusal::Contract {
            name: "CallFailed",
            text: format!("CallFailed: call {index} to {target}: {inner}"),
        });
    }
    let error = abi::interop::InteropHandler::FailureNotFinal::abi_decode(data).ok()?;
    let inner = match abi::interop::AliasAccount::CallFailed::abi_decode(&error.reason) {
        Ok(_) => nested(&error.reason).unwrap_or(Refusal::Silent),
        Err(_) => Refusal::flat(&error.reason),
    };
    Some(Refusal::Contract {
        name: "FailureNotFinal",
        text: format!(
            "FailureNotFinal: the run failed ({inner}), but counts only if a plain account calls directly"
        ),
    })
}

/// `shown` is `Name(Name { argument: value })`; the inner part is wanted.
fn contract_refusal(name: &'static str, shown: &str) -> Refusal {
    let inner = shown
        .split_once('(')
        .and_then(|(_, inner)| inner.strip_suffix(')'));
    Refusal::Contract {
        name,
        text: inner.unwrap_or(shown).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::abi::{Groth16Verifier, RollupChain};
    use super::*;
    use alloy::primitives::U256;
    use alloy::sol_types::SolError;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_data_is_decoded_to_something(selector in 0usize..10, bytes in vec(any::<u8>(), 0..200)) {
            let selectors = [RollupChain::NotOperator::SELECTOR, Groth16Verifier::KeyLength::SELECTOR];
            let mut data = selectors.get(selector).map_or(Vec::new(), |s| s.to_vec());
            data.extend(&bytes);
            let refusal = Refusal::decode(&data.into());
            prop_assert!(!refusal.to_string().is_empty() && !refusal.name().is_empty());
        }
    }

    #[test]
    fn errors_of_the_rollup_protocol_have_their_name_and_arguments() {
        let overrun = abi::RollupChain::QueueOverrun { end: 3, length: 2 };
        let decoded = Refusal::decode(&overrun.abi_encode().into());
        assert_eq!(decoded.name(), "QueueOverrun");
        assert_eq!(decoded.to_string(), "QueueOverrun { end: 3, length: 2 }");
        let used = abi::SharedBridge::MessageUsed {
            chainId: 7,
            batch: 8,
            k: U256::from(9),
        };
        let decoded = Refusal::decode(&used.abi_encode().into());
        assert_eq!(
            decoded.to_string(),
            "MessageUsed { chainId: 7, batch: 8, k: 9 }"
        );
    }

    #[test]
    fn untrusted_words_are_shown_and_cannot_do_harm() {
        let decoded = |text: &str| {
            let data = alloy::sol_types::Revert::from(text).abi_encode();
            Refusal::decode(&data.into()).to_string()
        };
        let paused = "ERC20Pausable: token transfer while paused";
        assert_eq!(decoded(paused), format!("reverted: \"{paused}\""));
        assert_eq!(decoded("a\u{1b}[2J\n"), "reverted: \"a\\u{1b}[2J\\n\"");
        assert!(decoded(&"x".repeat(10_000)).len() < 400);
        let overflow = alloy::sol_types::Panic::from(0x11u64).abi_encode();
        let shown = Refusal::decode(&overflow.into()).to_string();
        assert!(shown.contains("overflow"), "{shown}");
        // Cut short they are nobody's words.
        let cut = alloy::sol_types::Revert::from(paused).abi_encode()[..50].to_vec();
        assert_eq!(Refusal::decode(&cut.into()).name(), "Unknown");
    }

    #[test]
    fn foreign_truncated_and_empty_data_are_told_apart() {
        assert_eq!(Refusal::decode(&Bytes::new()), Refusal::Silent);
        let foreign = Bytes::from_static(&[1, 2, 3, 4]);
        assert_eq!(
            Refusal::decode(&foreign),
            Refusal::Unknown { data: foreign }
        );
        let truncated: Bytes = RollupChain::BatchOutOfOrder {
            number: 1,
            expected: 2,
        }
        .abi_encode()[..40]
            .to_vec()
            .into();
        assert!(matches!(
            Refusal::decode(&truncated),
            Refusal::Unknown { .. }
        ));
    }
}
