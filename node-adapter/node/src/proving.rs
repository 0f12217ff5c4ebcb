//! What a prover gets: the input of a batch.
//!
//! The input is the operations, and of the state before them what the circuit opens: accounts, the
//! nodes beside their paths, and the whole top of the tree. It grows with the batch and the depth of
//! the tree, not with the number of accounts. Called by `rollup` (sealing) and `batch_circuit`
//! (proving).

use std::collections::{BTreeMap, BTreeSet};

use blstrs::Scalar;
use rayon::prelude::*;

use super::account_forms::{account_from_bytes, account_to_bytes};
use super::machine::Refusal;
use super::operation::{self, OPERATION_BYTES};
use super::rollup_options::RollupOptions;
use carillon_circuit::rollup::Shape;
use carillon_protocol::crypto::poseidon::hash_node;
use carillon_protocol::ledger::{Account, Budget, Ledger, MAX_DEPTH, State};
use carillon_protocol::{Domain, Operation};

/// Version of the encoding.
const VERSION: u32 = 2;

/// The part of a state that a batch's circuit opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePart {
    depth: usize,
    /// Levels below the root whose nodes are all given: those that the circuit hashes as a whole.
    top: usize,
    /// Accounts whose paths are given, used or not.
    opened: BTreeSet<u32>,
    /// Hashes of empty subtrees by level.
    empty: Vec<Scalar>,
    accounts: BTreeMap<u32, Account>,
    /// Nodes that differ from the empty tree, by level (0: leaves) and index.
    nodes: BTreeMap<(u8, u32), Scalar>,
}

impl StatePart {
    /// The part for the batch that is being filled. Call it before the batch is closed.
    ///
    /// # Errors
    /// [`Refusal`] if there is no circuit of the batch's size.
    pub fn of(ledger: &Ledger, options: &RollupOptions) -> Result<Self, Refusal> {
        let top = shape(options.budget, options.depth)?.top();
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
        for level in depth.saturating_sub(top)..=depth {
            let width = 1u32 << (2 * (depth - level));
            wanted.extend((0..width).map(|index| (level as u8, index)));
        }
        let empty = empty_nodes(depth);
        let node = |(level, index): (u8, u32)| {
            let node = state.node(level.into(), index);
            (empty.get(usize::from(level)) != Some(&node)).then_some(((level, index), node))
        };
        let nodes = wanted.into_iter().filter_map(node).collect();
        Ok(Self {
            depth,
            top,
            empty: empty.clone(),
            accounts: opened
                .iter()
                .filter_map(|index| Some((*index, state.account(*index)?.clone())))
                .collect(),
            nodes,
            opened,
        })
    }

    /// Checks that nothing is missing for a circuit of this shape that opens these accounts. What is
    /// not in the part reads as empty, so each node that the circuit reads is compared with the hash
    /// of those below it.
    ///
    /// # Errors
    /// [`Refusal`] naming what is missing.
    pub fn check(
        &self,
        shape: Shape,
        accounts: impl IntoIterator<Item = u32>,
    ) -> Result<(), Refusal> {
        let refuse = |what: String| Err(Refusal::new("input", what));
        if shape.depth() != self.depth || shape.top() > self.top {
            return refuse(format!(
                "it holds the top {} of {} levels, the circuit {} hashes the top {} of {}",
                self.top,
                self.depth,
                shape.id(),
                shape.top(),
                shape.depth()
            ));
        }
        let mut accounts = accounts.into_iter();
        if let Some(account) = accounts.find(|account| !self.opened.contains(account)) {
            return refuse(format!("account {account} is missing"));
        }
        let opened: Vec<u32> = self.opened.iter().copied().collect();
        let wrong_leaf = |index: &&u32| self.node(0, **index) != self.account(**index).leaf();
        if let Some(account) = opened.par_iter().find_first(wrong_leaf) {
            return refuse(format!(
                "account {account} is not what its leaf in the tree says"
            ));
        }
        let paths = opened
            .iter()
            .flat_map(|index| (1..=self.depth).map(move |level| (level, index >> (2 * level))));
        let whole = (self.depth - self.top + 1..=self.depth)
            .flat_map(|level| (0..1u32 << (2 * (self.depth - level))).map(move |i| (level, i)));
        let parents: BTreeSet<(usize, u32)> = paths.chain(whole).collect();
        let parents: Vec<_> = parents.into_iter().collect();
        let torn = |(level, index): &&(usize, u32)| {
            let children = [0, 1, 2, 3].map(|child| self.node(level - 1, index << 2 | child));
            let node = self.node(*level, *index);
            let empty = |level: usize, node| self.empty.get(level) == Some(&node);
            let nothing = children.iter().all(|child| empty(level - 1, *child));
            !(nothing && empty(*level, node)) && hash_node(&children) != node
        };
        match parents.par_iter().find_first(torn) {
            None => Ok(()),
            Some((level, index)) => refuse(format!(
                "node {index} of level {level} is not the hash of those below it: one of them is \
                 missing or wrong"
            )),
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

/// The circuit's shape for batches of a size.
///
/// # Errors
/// [`Refusal`] if there is none.
pub(super) fn shape(budget: Budget, depth: usize) -> Result<Shape, Refusal> {
    Shape::new(budget.slots, budget.cells, budget.records, depth)
        .map_err(|error| Refusal::new("input", error.to_string()))
}

/// Hashes of empty subtrees by level.
fn empty_nodes(depth: usize) -> Vec<Scalar> {
    let genesis = State::genesis(depth);
    (0..=depth).map(|level| genesis.node(level, 0)).collect()
}

/// Everything that a prover needs for one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInput {
    /// The chain and its deployment.
    pub domain: Domain,
    /// The batch.
    pub number: u64,
    /// The account that fees go to.
    pub operator: u32,
    /// The circuit's capacity.
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
        out.extend_from_slice(&self.domain.number().to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.operator.to_be_bytes());
        let Budget {
            slots,
            cells,
            records,
        } = self.budget;
        for number in [slots, cells, records, self.state.depth, self.state.top] {
            out.extend_from_slice(&length(number));
        }
        out.extend_from_slice(&self.z.to_bytes_be());
        out.extend_from_slice(&length(self.state.opened.len()));
        for index in &self.state.opened {
            out.extend_from_slice(&index.to_be_bytes());
        }
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
        let domain = Domain::from_number(reader.u128()?);
        let (number, operator) = (reader.u64()?, reader.u32()?);
        let budget = Budget {
            slots: reader.u32()? as usize,
            cells: reader.u32()? as usize,
            records: reader.u32()? as usize,
        };
        let (depth, top) = (reader.u32()? as usize, reader.u32()? as usize);
        if !(1..=MAX_DEPTH).contains(&depth) || top > depth {
            return None;
        }
        let z = reader.scalar()?;
        let mut opened = BTreeSet::new();
        for _ in 0..reader.u32()? {
            opened.insert(reader.u32()?);
        }
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
            top,
            opened,
            empty: empty_nodes(depth),
            accounts,
            nodes,
        };
        reader.0.is_empty().then_some(Self {
            domain,
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

    fn u128(&mut self) -> Option<u128> {
        Some(u128::from_be_bytes(self.take(16)?.try_into().ok()?))
    }

    fn scalar(&mut self) -> Option<Scalar> {
        let bytes: &[u8; 32] = self.take(32)?.try_into().ok()?;
        Option::from(Scalar::from_bytes_be(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_protocol::crypto::schnorr::SecretKey;
    use carillon_protocol::{Kind, Record, owner_word};

    #[test]
    fn inputs_round_trip_and_damaged_ones_are_refused() {
        let options = RollupOptions::new(270, 0, 8, 8, 8, 3).unwrap();
        let mut ledger = Ledger::new(options.domain(), 3, 0, [0; 20]);
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
        let transfer = transfer.sign(&key, options.domain(), &[1; 20]).unwrap();
        ledger.execute(&transfer).unwrap();
        let input = BatchInput {
            domain: options.domain(),
            number: 2,
            operator: 0,
            budget: options.budget,
            z: Scalar::from(9),
            state: StatePart::of(&ledger, &options).unwrap(),
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
