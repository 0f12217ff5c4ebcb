//! What a prover gets: the input of a batch.
//!
//! The input is the operations, and of the state before them what the circuit opens: accounts, and
//! the nodes beside their paths. It grows with the batch and the depth of the tree, not with the
//! number of accounts. Called by `rollup` (sealing) and `batch_circuit` (proving).

use std::collections::{BTreeMap, BTreeSet};

use blstrs::Scalar;

use super::machine::Refusal;
use super::operation::{self, OPERATION_BYTES};
use super::rollup::{RollupOptions, account_from_bytes, account_to_bytes};
use crate::ledger::{Account, Budget, Ledger, MAX_DEPTH, State};
use crate::protocol::Operation;

/// Version of the encoding.
const VERSION: u32 = 1;
/// Levels below the root whose nodes are all given: the circuit may hash so many as a whole.
const TOP: usize = 6;

/// The part of a state that a batch's circuit opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePart {
    depth: usize,
    /// Hashes of empty subtrees by level.
    empty: Vec<Scalar>,
    accounts: BTreeMap<u32, Account>,
    /// Nodes that differ from the empty tree, by level (0: leaves) and index.
    nodes: BTreeMap<(u8, u32), Scalar>,
}

impl StatePart {
    /// The part for the batch that is being filled. Call it before the batch is closed.
    pub fn of(ledger: &Ledger, options: &RollupOptions) -> Self {
        let (state, depth) = (ledger.state(), options.depth);
        let capacity = u32::try_from(state.capacity()).unwrap_or(u32::MAX);
        // Rows that the batch does not need open the lowest balances.
        let spare = (0..=(options.budget.cells / 64) as u32).filter(|index| *index < capacity);
        let mut opened: BTreeSet<u32> = spare.collect();
        opened.extend(ledger.touched().keys());
        opened.insert(ledger.operator());
        let mut wanted = BTreeSet::new();
        for level in 0..depth {
            for index in &opened {
                let first = (index >> (2 * level)) & !3;
                wanted.extend((first..first + 4).map(|index| (level as u8, index)));
            }
        }
        for level in depth.saturating_sub(TOP)..=depth {
            let width = 1u32 << (2 * (depth - level));
            wanted.extend((0..width).map(|index| (level as u8, index)));
        }
        let empty = empty_nodes(depth);
        let node = |(level, index): (u8, u32)| {
            let node = state.node(level.into(), index);
            (empty.get(usize::from(level)) != Some(&node)).then_some(((level, index), node))
        };
        Self {
            depth,
            empty: empty.clone(),
            accounts: opened
                .iter()
                .filter_map(|index| Some((*index, state.account(*index)?.clone())))
                .collect(),
            nodes: wanted.into_iter().filter_map(node).collect(),
        }
    }

    /// Levels of the account tree.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// A node of the account tree: level 0 is the leaves.
    pub fn node(&self, level: usize, index: u32) -> Scalar {
        let given = u8::try_from(level).ok();
        let given = given.and_then(|level| self.nodes.get(&(level, index)));
        let empty = || self.empty.get(level).copied().unwrap_or_default();
        given.copied().unwrap_or_else(empty)
    }

    /// An account; the default if it is unused.
    pub fn account(&self, index: u32) -> Account {
        self.accounts.get(&index).cloned().unwrap_or_default()
    }
}

/// Hashes of empty subtrees by level.
fn empty_nodes(depth: usize) -> Vec<Scalar> {
    let genesis = State::genesis(depth);
    (0..=depth).map(|level| genesis.node(level, 0)).collect()
}

/// Everything that a prover needs for one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInput {
    /// The chain.
    pub chain_id: u64,
    /// The batch.
    pub number: u64,
    /// The account that fees go to.
    pub operator: u32,
    /// The circuit's room.
    pub budget: Budget,
    /// The challenge point.
    pub z: Scalar,
    /// The state before.
    pub state: StatePart,
    /// The operations.
    pub operations: Vec<Operation>,
}

impl BatchInput {
    /// The bytes of a job: numbers big-endian, lists after their length (4).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let length = |length: usize| (length as u32).to_be_bytes();
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.chain_id.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.operator.to_be_bytes());
        let Budget {
            slots,
            cells,
            records,
        } = self.budget;
        for number in [slots, cells, records, self.state.depth] {
            out.extend_from_slice(&length(number));
        }
        out.extend_from_slice(&self.z.to_bytes_be());
        out.extend_from_slice(&length(self.state.accounts.len()));
        for (index, account) in &self.state.accounts {
            let bytes = account_to_bytes(account);
            out.extend_from_slice(&index.to_be_bytes());
            out.extend_from_slice(&length(bytes.len()));
            out.extend_from_slice(&bytes);
        }
        out.extend_from_slice(&length(self.state.nodes.len()));
        for ((level, index), node) in &self.state.nodes {
            out.push(*level);
            out.extend_from_slice(&index.to_be_bytes());
            out.extend_from_slice(&node.to_bytes_be());
        }
        out.extend_from_slice(&length(self.operations.len()));
        for operation in &self.operations {
            out.extend_from_slice(&operation::encode(operation));
        }
        out
    }

    /// Reads [`BatchInput::to_bytes`].
    ///
    /// # Errors
    /// [`Refusal`] for bytes that are no input of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let refuse = |what: &str| Refusal::new("input", format!("not a batch's input: {what}"));
        Self::read(&mut Reader(bytes))
            .ok_or_else(|| refuse("truncated, damaged, or of another version"))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.u32()? != VERSION {
            return None;
        }
        let (chain_id, number, operator) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let budget = Budget {
            slots: reader.u32()? as usize,
            cells: reader.u32()? as usize,
            records: reader.u32()? as usize,
        };
        let depth = reader.u32()? as usize;
        if !(1..=MAX_DEPTH).contains(&depth) {
            return None;
        }
        let z = reader.scalar()?;
        let mut accounts = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let (index, length) = (reader.u32()?, reader.u32()? as usize);
            accounts.insert(index, account_from_bytes(reader.take(length)?)?);
        }
        let mut nodes = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let level = *reader.take(1)?.first()?;
            let index = reader.u32()?;
            nodes.insert((level, index), reader.scalar()?);
        }
        let mut operations = Vec::new();
        for _ in 0..reader.u32()? {
            operations.push(operation::decode(reader.take(OPERATION_BYTES)?).ok()?);
        }
        let state = StatePart {
            depth,
            empty: empty_nodes(depth),
            accounts,
            nodes,
        };
        reader.0.is_empty().then_some(Self {
            chain_id,
            number,
            operator,
            budget,
            z,
            state,
            operations,
        })
    }
}

/// Takes bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn scalar(&mut self) -> Option<Scalar> {
        let bytes: &[u8; 32] = self.take(32)?.try_into().ok()?;
        Option::from(Scalar::from_bytes_be(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::schnorr::SecretKey;
    use crate::protocol::{Kind, Record, owner_word};

    #[test]
    fn inputs_round_trip_and_damaged_ones_are_refused() {
        let options = RollupOptions::new(270, 0, 8, 8, 8, 3).unwrap();
        let mut ledger = Ledger::new(270, 3, 0, [0; 20]);
        let key = SecretKey::from_seed(&[1; 32]);
        let point = key.public().coordinates();
        for index in 0..3u8 {
            let record = Record {
                kind: Kind::Deposit,
                account: 0,
                token: 1,
                amount: 100,
                words: [owner_word(&[index + 1; 20]), point.x, point.y],
            };
            let deposit = ledger.from_queue(index.into(), &record).unwrap();
            ledger.execute_verified(&deposit).unwrap();
        }
        ledger.close();
        let transfer = Operation::transfer(1, 2, 1, 5, 1, 0);
        let transfer = transfer.sign(&key, 270, &[1; 20]).unwrap();
        ledger.execute(&transfer).unwrap();
        let input = BatchInput {
            chain_id: 270,
            number: 2,
            operator: 0,
            budget: options.budget,
            z: Scalar::from(9),
            state: StatePart::of(&ledger, &options),
            operations: ledger.operations().to_vec(),
        };
        assert_eq!(input.state.account(1).balance(1), 100);
        let bytes = input.to_bytes();
        assert_eq!(BatchInput::from_bytes(&bytes).unwrap(), input);
        for wrong in [&bytes[..bytes.len() - 1], &bytes[1..], &[]] {
            assert!(BatchInput::from_bytes(wrong).is_err());
        }
        assert!(BatchInput::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
}
