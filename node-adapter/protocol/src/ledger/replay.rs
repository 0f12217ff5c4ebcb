//! The native checker: recomputes a batch from its public data and the state before it.
//!
//! Knows nothing of the circuit or the ledger that made the batch. Signatures are not in the data:
//! the proof answers for them. Called by the archive of `carillon-settlement` (resync)
//! and by the tests.

use std::collections::BTreeMap;

use blstrs::Scalar;
use thiserror::Error;

use super::account::Account;
use super::rules::{self, RuleError, Signed};
use super::state::State;
use crate::{Header, Operation, OperationError, VectorError, slots_of};

/// Why public data do not lead from one state to the next.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The data do not decode.
    #[error(transparent)]
    Data(#[from] VectorError),
    /// A slot does not decode.
    #[error("slot {slot}: {reason}")]
    Slot {
        /// Position.
        slot: usize,
        /// Why.
        reason: OperationError,
    },
    /// The batch starts from another state.
    #[error(
        "the batch starts from root {said}, the state has {state}: replay the batches before it"
    )]
    OldRoot {
        /// In H.
        said: Scalar,
        /// Of the state.
        state: Scalar,
    },
    /// A slot whose record is missing or another's.
    #[error("slot {slot} and its record in H do not belong together")]
    Record {
        /// Position.
        slot: usize,
    },
    /// Records that no slot asks for.
    #[error("H has {left} records that no slot asks for")]
    RecordsLeft {
        /// How many.
        left: usize,
    },
    /// An operation that the state does not allow.
    #[error("slot {slot}: {reason}")]
    Rule {
        /// Position.
        slot: usize,
        /// Why.
        reason: RuleError,
    },
    /// The batch ends in another state.
    #[error("the batch claims root {said}, its operations lead to {computed}")]
    NewRoot {
        /// In H.
        said: Scalar,
        /// Recomputed.
        computed: Scalar,
    },
}

/// Applies a batch to the state before it.
///
/// # Errors
/// [`ReplayError`], the first thing that is wrong; the state is then as it was.
pub fn replay(
    state: &mut State,
    header: &Header,
    blob: &[Scalar],
) -> Result<Vec<Operation>, ReplayError> {
    if header.old_root != state.root() {
        return Err(ReplayError::OldRoot {
            said: header.old_root,
            state: state.root(),
        });
    }
    let mut touched: BTreeMap<u32, Account> = BTreeMap::new();
    let mut records = header.records.iter();
    let mut operations = Vec::new();
    for (slot, bits) in slots_of(blob)?.into_iter().enumerate() {
        let decode = |record| Operation::from_slot(bits, record);
        let wrong = |reason| ReplayError::Slot { slot, reason };
        let Some(mut operation) = decode(None).map_err(wrong)? else {
            if bits != 0 {
                return Err(ReplayError::Record { slot });
            }
            continue;
        };
        if operation.kind.has_record() {
            let record = records.next().ok_or(ReplayError::Record { slot })?;
            operation = decode(Some(record))
                .map_err(wrong)?
                .filter(|operation| operation.record() == Some(*record))
                .ok_or(ReplayError::Record { slot })?;
        }
        let account = |index| {
            let before = || state.account(index);
            touched
                .get(&index)
                .or_else(before)
                .cloned()
                .unwrap_or_default()
        };
        let outcome = rules::apply(
            &operation,
            header.operator,
            state.capacity(),
            Signed::Trusted,
            account,
        )
        .map_err(|reason| ReplayError::Rule { slot, reason })?;
        touched.extend(outcome);
        operations.push(operation);
    }
    let left = records.count();
    if left != 0 {
        return Err(ReplayError::RecordsLeft { left });
    }
    let mut after = state.clone();
    after.update(touched);
    if after.root() != header.new_root {
        return Err(ReplayError::NewRoot {
            said: header.new_root,
            computed: after.root(),
        });
    }
    *state = after;
    Ok(operations)
}
