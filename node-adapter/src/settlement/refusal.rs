//! The contracts' reasons for refusing a call, decoded from revert data. No I/O.
//!
//! Called by [`super::l1`] for every revert, simulated or mined.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolInterface;

use super::abi;
use super::contracts::Groth16Verifier::Groth16VerifierErrors as VerifierError;
use super::contracts::RollupChain::RollupChainErrors as ChainError;

/// Why a contract refused. Words and wording follow the errors of the Solidity sources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `RollupChain.NotOperator`.
    #[error("NotOperator: {caller} is not the operator {operator}; settle with the operator's key")]
    NotOperator {
        /// Who called.
        caller: Address,
        /// Who may.
        operator: Address,
    },
    /// `RollupChain.BatchAlreadySettled`.
    #[error(
        "BatchAlreadySettled: batch {number} is a replay, the chain has settled batches up to {last}"
    )]
    BatchAlreadySettled {
        /// The batch in the call.
        number: u64,
        /// The last settled batch.
        last: u64,
    },
    /// `RollupChain.BatchOutOfOrder`.
    #[error("BatchOutOfOrder: batch {number} cannot be settled, batch {expected} is next")]
    BatchOutOfOrder {
        /// The batch in the call.
        number: u64,
        /// The batch that is next.
        expected: u64,
    },
    /// `RollupChain.StateRootMismatch`.
    #[error(
        "StateRootMismatch: the batch starts from {old_root:#066x}, the chain is at {expected:#066x}"
    )]
    StateRootMismatch {
        /// The old root in the call.
        old_root: U256,
        /// The chain's state root.
        expected: U256,
    },
    /// `Groth16Verifier.ProofLength`.
    #[error("ProofLength: the proof has {length} bytes, not {expected}")]
    ProofLength {
        /// Bytes in the call.
        length: U256,
        /// Bytes of a proof.
        expected: U256,
    },
    /// `Groth16Verifier.InputNotInField`.
    #[error("InputNotInField: public input {index} is {value:#x}, not below the group order")]
    InputNotInField {
        /// Which input, from 0.
        index: U256,
        /// Its value.
        value: U256,
    },
    /// `Groth16Verifier.PrecompileFailed`.
    #[error(
        "PrecompileFailed: precompile {precompile} refused a point (off the curve, outside the \
         subgroup or not canonical), ran out of gas, or is missing on this chain"
    )]
    PrecompileFailed {
        /// The precompile.
        precompile: Address,
    },
    /// `Groth16Verifier.ProofInvalid`.
    #[error("ProofInvalid: the pairing equation does not hold for this proof and these inputs")]
    ProofInvalid,
    /// An error of one of the constructors: the deployment was given wrong arguments.
    #[error("deployment refused: {reason}")]
    Deployment {
        /// The Solidity error and its arguments.
        reason: String,
    },
    /// An error of the rollup protocol's contracts, [`super::abi`].
    #[error("{text}")]
    Contract {
        /// The Solidity error.
        name: &'static str,
        /// The error with its arguments.
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
        if data.is_empty() {
            return Refusal::Silent;
        }
        if let Ok(error) = ChainError::abi_decode(data) {
            return error.into();
        }
        if let Ok(error) = VerifierError::abi_decode(data) {
            return error.into();
        }
        contract_error(data).unwrap_or_else(|| Refusal::Unknown { data: data.clone() })
    }

    /// The name of the Solidity error, for tables and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::NotOperator { .. } => "NotOperator",
            Refusal::BatchAlreadySettled { .. } => "BatchAlreadySettled",
            Refusal::BatchOutOfOrder { .. } => "BatchOutOfOrder",
            Refusal::StateRootMismatch { .. } => "StateRootMismatch",
            Refusal::ProofLength { .. } => "ProofLength",
            Refusal::InputNotInField { .. } => "InputNotInField",
            Refusal::PrecompileFailed { .. } => "PrecompileFailed",
            Refusal::ProofInvalid => "ProofInvalid",
            Refusal::Deployment { .. } => "Deployment",
            Refusal::Contract { name, .. } => name,
            Refusal::Unknown { .. } => "Unknown",
            Refusal::Silent => "Silent",
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
    if let Some(refusal) = nested(data) {
        return Some(refusal);
    }
    first_of!(
        data,
        [
            abi::RollupChain::RollupChainErrors,
            abi::SharedBridge::SharedBridgeErrors,
            abi::ChainHub::ChainHubErrors,
            abi::Groth16Verifier::Groth16VerifierErrors,
            abi::ChainTimelock::ChainTimelockErrors,
            abi::UpgradeableProxy::UpgradeableProxyErrors,
            abi::interop::InteropHandler::InteropHandlerErrors,
            abi::interop::AliasAccount::AliasAccountErrors,
        ]
    )
}

/// Errors of bundles that carry the revert data of what they called.
fn nested(data: &Bytes) -> Option<Refusal> {
    use alloy::sol_types::SolError;
    if let Ok(error) = abi::interop::AliasAccount::CallFailed::abi_decode(data) {
        let (index, target, inner) = (error.index, error.target, Refusal::decode(&error.reason));
        return Some(Refusal::Contract {
            name: "CallFailed",
            text: format!("CallFailed: call {index} to {target}: {inner}"),
        });
    }
    let error = abi::interop::InteropHandler::FailureNotFinal::abi_decode(data).ok()?;
    let inner = Refusal::decode(&error.reason);
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

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::NotOperator(e) => Refusal::NotOperator {
                caller: e.caller,
                operator: e.operator,
            },
            ChainError::BatchAlreadySettled(e) => Refusal::BatchAlreadySettled {
                number: e.number,
                last: e.lastSettled,
            },
            ChainError::BatchOutOfOrder(e) => Refusal::BatchOutOfOrder {
                number: e.number,
                expected: e.expected,
            },
            ChainError::StateRootMismatch(e) => Refusal::StateRootMismatch {
                old_root: e.oldRoot,
                expected: e.expected,
            },
            ChainError::GenesisRootNotInField(e) => Refusal::Deployment {
                reason: format!(
                    "GenesisRootNotInField: {:#x} is not a field element",
                    e.root
                ),
            },
            ChainError::VerifierWithoutCode(e) => Refusal::Deployment {
                reason: format!(
                    "VerifierWithoutCode: there is no contract at {}",
                    e.verifier
                ),
            },
            ChainError::ZeroOperator(_) => Refusal::Deployment {
                reason: "ZeroOperator: the operator is the zero address".into(),
            },
        }
    }
}

impl From<VerifierError> for Refusal {
    fn from(error: VerifierError) -> Self {
        match error {
            VerifierError::ProofLength(e) => Refusal::ProofLength {
                length: e.length,
                expected: e.expected,
            },
            VerifierError::InputNotInField(e) => Refusal::InputNotInField {
                index: e.index,
                value: e.value,
            },
            VerifierError::PrecompileFailed(e) => Refusal::PrecompileFailed {
                precompile: e.precompile,
            },
            VerifierError::ProofInvalid(_) => Refusal::ProofInvalid,
            VerifierError::KeyLength(e) => Refusal::Deployment {
                reason: format!(
                    "KeyLength: the verifying key has {} bytes, not {}",
                    e.length, e.expected
                ),
            },
            VerifierError::KeyPointAtInfinity(e) => Refusal::Deployment {
                reason: format!(
                    "KeyPointAtInfinity: the verifying key's point at byte {} is infinity",
                    e.offset
                ),
            },
            VerifierError::KeyNotStored(_) => Refusal::Deployment {
                reason: "KeyNotStored: the key's data contract could not be created".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::contracts::{Groth16Verifier, RollupChain};
    use super::*;
    use alloy::sol_types::SolError;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn errors_of_both_contracts_are_decoded() {
        let replay = RollupChain::BatchAlreadySettled {
            number: 3,
            lastSettled: 5,
        };
        assert_eq!(
            Refusal::decode(&replay.abi_encode().into()),
            Refusal::BatchAlreadySettled { number: 3, last: 5 }
        );
        let invalid = Groth16Verifier::ProofInvalid {};
        assert_eq!(
            Refusal::decode(&invalid.abi_encode().into()),
            Refusal::ProofInvalid
        );
    }

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
