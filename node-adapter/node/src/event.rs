//! What happens in a node, for whoever watches it: one event a step of a batch's way.
//!
//! Told by `driver`, printed by `carillon-node run`.

use serde::Serialize;

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum NodeEvent {
    /// Entries of the L1 queue were executed.
    Queue {
        /// The first one's index.
        first: u64,
        /// Deposits and imports among them.
        deposits: u64,
        /// Exit requests among them.
        exits: u64,
    },
    /// What another chain sent was taken.
    Taken {
        /// The chain that sent it.
        chain: u64,
        /// The first entry of its lane.
        first: u64,
        /// The entry behind the last one.
        next: u64,
    },
    /// What was taken of another chain's lane, and is not settled there, was taken back.
    Revoked {
        /// The chain that sent it.
        chain: u64,
        /// The first entry.
        from: u64,
    },
    /// A batch was sealed.
    Sealed {
        /// Its number.
        batch: u64,
        /// Its operations.
        operations: u64,
        /// Its records.
        records: u64,
    },
    /// A batch has its proof.
    BatchProved {
        /// Its number.
        batch: u64,
    },
    /// A batch is executed on Ethereum.
    Settled {
        /// Its number.
        batch: u64,
        /// The transaction, as far as known.
        transaction: Option<String>,
    },
    /// A batch is so deep on Ethereum that no reorg is expected to take it back.
    Final {
        /// Its number.
        batch: u64,
        /// The transaction, as far as known.
        transaction: Option<String>,
    },
    /// Ethereum took a batch back that counted as executed.
    Unsettled {
        /// Its number.
        batch: u64,
    },
}

impl std::fmt::Display for NodeEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = |transaction: &Option<String>| {
            let known = transaction.as_ref();
            known.map_or(String::new(), |hash| format!(" by transaction {hash}"))
        };
        match self {
            Self::Queue {
                first,
                deposits,
                exits,
            } => {
                let last = first + deposits + exits - 1;
                write!(
                    f,
                    "L1 queue: entries {first} to {last} executed ({deposits} deposits, {exits} exits)"
                )
            }
            Self::Taken { chain, first, next } => {
                let last = next - 1;
                write!(
                    f,
                    "lane from chain {chain}: entries {first} to {last} taken"
                )
            }
            Self::Revoked { chain, from } => write!(
                f,
                "lane from chain {chain}: entries from {from} on were taken and are not settled; they are taken back"
            ),
            Self::Sealed {
                batch,
                operations,
                records,
            } => write!(
                f,
                "batch {batch}: sealed, {operations} operations, {records} records"
            ),
            Self::BatchProved { batch } => write!(f, "batch {batch}: proved"),
            Self::Settled { batch, transaction } => {
                write!(f, "batch {batch}: settled on Ethereum{}", by(transaction))
            }
            Self::Final { batch, .. } => write!(f, "batch {batch}: final on Ethereum"),
            Self::Unsettled { batch } => {
                write!(f, "batch {batch}: taken back by Ethereum, settled again")
            }
        }
    }
}
