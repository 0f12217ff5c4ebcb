//! What fits one transaction: the records of a batch, by the gas of its settlement.
//!
//! Called before a chain is deployed and before a node runs: a batch that no transaction can settle
//! would stop the chain for good, with its queue.

use thiserror::Error;

/// The most gas that one Ethereum transaction may ask for (EIP-7825).
pub const MAX_TRANSACTION_GAS: u64 = 1 << 24;

/// What a transaction does costs this without records, rounded up: proof, blob, storage, the first
/// batch of a chain included.
const BASE: u64 = 420_000;
/// The same for each record: calldata at 16 and 4 gas a byte, its check, hashes, the word at z.
const RECORD: u64 = 4_120;
/// What its calldata cost at least (EIP-7623) without records, rounded up: the transaction, the
/// proof, the words beside H.
const FLOOR_BASE: u64 = 80_000;
/// The same for the most expensive record, a deposit with a key: 101 bytes that are not zero and 59 that
/// are, 40 and 10 gas each.
const FLOOR_RECORD: u64 = 101 * 40 + 59 * 10;

/// What a send costs at most, beside its record: the other chain takes all gas that it is asked with, the send
/// is alone in its run, and is the first of its lane and token. One that comes back, as an import of a sender
/// who is new to the queue, costs less.
const SEND: u64 = 290_000;

/// The most sends of a batch that one transaction can settle, at their dearest and without other records.
pub const MOST_SENDS: usize = ((MAX_TRANSACTION_GAS - BASE) / (SEND + RECORD)) as usize;

/// What a take costs at most, beside its record and its tail: the first of its lane and token, alone.
const TAKE: u64 = 120_000;
/// What an entry of a tail costs: calldata, copied once more to the bridge, and a hash.
const TAIL_ENTRY: u64 = 1_000;
/// What calldata of a tail with as many entries cost at least (EIP-7623), 32 bytes each and 256 beside them.
const FLOOR_TAIL: u64 = (32 * MOST_SENDS as u64 + 256) * 40;

/// Gas that the sends of a batch need at most, beside [`settle_gas`] of its records.
pub fn sends_gas(sends: usize) -> u64 {
    SEND.saturating_mul(sends as u64)
}

/// Gas that the settlement of a batch needs at most, whatever its records do: `records` is how many it has,
/// sends and takes among them.
///
/// Sends are counted at their dearest. Each take is counted as if it were alone in its lane and token, the
/// first there, and brought a tail of [`MOST_SENDS`] entries: a tail to the next checkpoint is no longer if the
/// sending chain puts no more sends into a batch. A chain that does can only make its own lane dear to take from.
pub fn batch_gas(records: usize, sends: usize, takes: usize) -> u64 {
    let takes = takes as u64;
    let each = TAKE + TAIL_ENTRY * MOST_SENDS as u64;
    let done = RECORD
        .saturating_mul(records as u64)
        .saturating_add(BASE)
        .saturating_add(sends_gas(sends))
        .saturating_add(each.saturating_mul(takes));
    let floor = FLOOR_RECORD
        .saturating_mul(records as u64)
        .saturating_add(FLOOR_BASE)
        .saturating_add(FLOOR_TAIL.saturating_mul(takes));
    done.max(floor)
}

/// Whether one transaction can settle a batch, by [`batch_gas`].
pub fn batch_fits(records: usize, sends: usize, takes: usize) -> bool {
    batch_gas(records, sends, takes) <= MAX_TRANSACTION_GAS
}

/// A shape whose full batches no transaction can settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a batch of {records} records can need {needed} gas to settle, and a transaction has {MAX_TRANSACTION_GAS} (EIP-7825): choose {largest} records at most"
)]
pub struct TooManyRecords {
    /// Asked for.
    pub records: usize,
    /// Gas of such a batch.
    pub needed: u64,
    /// The most that fit.
    pub largest: usize,
}

/// Gas that the settlement of a batch needs at most (`settle`; `commit` alone needs less), sends and
/// takes aside, for which the bridge does more. Compared with anvil by `rollup_contracts::gas`.
pub fn settle_gas(records: usize) -> u64 {
    batch_gas(records, 0, 0)
}

/// The most records of a batch that one transaction can settle, of whatever kind they are but sends
/// and takes; for sends see [`MOST_SENDS`].
pub fn largest_records() -> usize {
    let done = (MAX_TRANSACTION_GAS - BASE) / RECORD;
    done.min((MAX_TRANSACTION_GAS - FLOOR_BASE) / FLOOR_RECORD) as usize
}

/// Refuses shapes whose full batches cannot settle.
///
/// # Errors
/// [`TooManyRecords`] with the most that fit.
pub fn check_records(records: usize) -> Result<(), TooManyRecords> {
    let largest = largest_records();
    if records <= largest {
        return Ok(());
    }
    Err(TooManyRecords {
        records,
        needed: settle_gas(records),
        largest,
    })
}
