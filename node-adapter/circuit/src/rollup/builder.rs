//! Makes the circuit of a batch from a trace and the state before it.
//!
//! Opens every cell of the trace, fills the rest of the rows with untouched cells, and
//! hashes the new tree. Runs of rows below different nodes of the top do not depend on
//! each other and are made in parallel. Like the trace, it judges nothing. Called by
//! the node when it seals a batch, and by the soundness tests.

use std::collections::HashMap;

use blstrs::Scalar;
use ff::Field;
use rayon::prelude::*;
use thiserror::Error;

use super::trace::{StateView, Touched, Trace};
use super::widths::{NONCE_BITS, TOKEN_BITS, TOKEN_LEVELS};
use super::witness::{CellWitness, OpWitness, RecordWitness, TopWitness, Witness};
use super::{PublicInputs, RollupCircuit, Shape};
use carillon_protocol::OperationError;
use carillon_protocol::crypto::poseidon::{hash_node, hash_rollup_leaf};

/// Why a circuit cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// State and circuit differ in depth.
    #[error("the state has a tree of depth {state}, the circuit of depth {circuit}: use one depth")]
    Depth {
        /// Depth of the state's tree.
        state: usize,
        /// Depth of the circuit.
        circuit: usize,
    },
    /// More than the shape holds.
    #[error(
        "the batch has {count} {what}, its shape holds {capacity}: seal earlier or use a larger shape"
    )]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many fit.
        capacity: usize,
    },
    /// An operation that has no slot.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// An account beyond the tree.
    #[error("account {account} is beyond a tree of depth {depth}: use an account below 4^{depth}")]
    Account {
        /// The account.
        account: u32,
        /// Depth of the tree.
        depth: usize,
    },
}

/// Builds the circuit of a trace; the challenge point is still zero
/// ([`RollupCircuit::evaluate_at`]).
///
/// # Errors
/// [`BuildError`] if the trace does not fit the shape.
pub fn build<S: StateView>(
    shape: Shape,
    state: &S,
    trace: &Trace,
) -> Result<RollupCircuit, BuildError> {
    if state.depth() != shape.depth() {
        return Err(BuildError::Depth {
            state: state.depth(),
            circuit: shape.depth(),
        });
    }
    for (what, count, capacity) in [
        ("operations", trace.ops.len(), shape.slots()),
        ("records", trace.records.len(), shape.records()),
        ("cells", trace.cells.len(), shape.cells()),
    ] {
        if count > capacity {
            return Err(BuildError::Full {
                what,
                count,
                capacity,
            });
        }
    }
    let limit = 1u64 << (2 * shape.depth());
    if let Some((account, _)) = trace
        .cells
        .keys()
        .find(|(account, _)| u64::from(*account) >= limit)
    {
        return Err(BuildError::Account {
            account: *account,
            depth: shape.depth(),
        });
    }

    let addresses = addresses(shape, trace);
    let below = 2 * shape.path_levels();
    let runs: Vec<&[(u32, u8)]> = addresses
        .chunk_by(|a, b| a.0 >> below == b.0 >> below)
        .collect();
    let runs: Vec<(u32, Scalar, Vec<CellWitness>)> = runs
        .into_par_iter()
        .map(|run| {
            let (node, cells) = Run::new(shape, state, trace).rows(run);
            (
                run.first().map_or(0, |(account, _)| account >> below),
                node,
                cells,
            )
        })
        .collect();

    let level = shape.path_levels();
    let mut top: Vec<TopWitness> = (0..shape.top_nodes() as u32)
        .map(|j| TopWitness {
            nodes: [state.node(level, j); 2],
            touched: false,
        })
        .collect();
    let mut cells = Vec::with_capacity(shape.cells());
    for (j, node, rows) in runs {
        if let Some(top) = top.get_mut(j as usize) {
            top.nodes[1] = node;
            top.touched = true;
        }
        cells.extend(rows);
    }

    let mut ops = trace.ops.clone();
    ops.resize(shape.slots(), OpWitness::empty());
    let mut records: Vec<RecordWitness> = trace
        .records
        .iter()
        .map(|words| RecordWitness {
            words: *words,
            used: true,
        })
        .collect();
    records.resize(shape.records(), RecordWitness::default());
    let witness = Witness {
        domain: trace.domain,
        batch_number: trace.batch_number,
        operator: trace.operator,
        roots: [state.node(shape.depth(), 0), root(&top)],
        records,
        ops,
        cells,
        top,
    };
    let public_inputs = PublicInputs::of(&witness, Scalar::ZERO);
    Ok(RollupCircuit {
        shape,
        public_inputs,
        witness,
    })
}

/// The addresses of all rows: those of the trace, and the lowest others.
fn addresses(shape: Shape, trace: &Trace) -> Vec<(u32, u8)> {
    let spare = shape.cells().saturating_sub(trace.cells.len());
    let others = (0u32..)
        .map(|address| (address >> TOKEN_BITS, (address & 63) as u8))
        .filter(|address| !trace.cells.contains_key(address))
        .take(spare);
    let mut addresses: Vec<(u32, u8)> = trace.cells.keys().copied().chain(others).collect();
    addresses.sort_unstable();
    addresses
}

/// The accounts that the circuit of a trace opens.
pub fn opened(shape: Shape, trace: &Trace) -> impl Iterator<Item = u32> {
    let headers: Vec<u32> = trace.headers.keys().copied().collect();
    let cells = addresses(shape, trace).into_iter();
    headers.into_iter().chain(cells.map(|(account, _)| account))
}

/// Root above the nodes of the top after the batch.
fn root(top: &[TopWitness]) -> Scalar {
    let mut level: Vec<Scalar> = top.iter().map(|node| node.nodes[1]).collect();
    while level.len() > 1 {
        let (groups, _) = level.as_chunks::<4>();
        level = groups.par_iter().map(hash_node).collect();
    }
    level.first().copied().unwrap_or(Scalar::ZERO)
}

/// The rows below one node of the top, with the nodes they have changed so far.
struct Run<'a, S> {
    shape: Shape,
    state: &'a S,
    trace: &'a Trace,
    /// By level and index.
    nodes: HashMap<(usize, u32), Scalar>,
    /// By level and index, of the account at hand.
    tokens: HashMap<(usize, u32), Scalar>,
}

impl<'a, S: StateView> Run<'a, S> {
    fn new(shape: Shape, state: &'a S, trace: &'a Trace) -> Self {
        Self {
            shape,
            state,
            trace,
            nodes: HashMap::new(),
            tokens: HashMap::new(),
        }
    }

    /// The rows of the given addresses, and the node of the top after them.
    fn rows(mut self, addresses: &[(u32, u8)]) -> (Scalar, Vec<CellWitness>) {
        let mut node = Scalar::ZERO;
        let mut previous = None;
        let mut rows = Vec::with_capacity(addresses.len());
        for &(account, token) in addresses {
            let first = previous != Some(account);
            previous = Some(account);
            if first {
                self.tokens.clear();
            }
            let (after, row) = self.row(account, token, first);
            node = after;
            rows.push(row);
        }
        (node, rows)
    }

    fn row(&mut self, account: u32, token: u8, first: bool) -> (Scalar, CellWitness) {
        let state = self.state;
        let header = self.trace.headers.get(&account).copied();
        let header = header.unwrap_or_else(|| Touched::untouched(state.header(account)));
        let cell = self.trace.cells.get(&(account, token)).copied();
        let cell = cell.unwrap_or_else(|| Touched::untouched(state.balance(account, token)));

        let (token_path, token_root) = climb(
            &mut self.tokens,
            |level, index| state.token_node(account, level, index),
            token.into(),
            cell.after,
            TOKEN_LEVELS,
        );
        let leaf = header.after.leaf(token_root);
        let (account_path, node) = climb(
            &mut self.nodes,
            |level, index| state.node(level, index),
            account,
            leaf,
            self.shape.path_levels(),
        );
        let row = CellWitness {
            account,
            token,
            headers: [
                if first { header.before } else { header.after },
                header.after,
            ],
            balances: [cell.before, cell.after],
            header_time: if first { header.time } else { 0 },
            time: cell.time,
            token_path,
            account_path,
        };
        (node, row)
    }
}

/// Children of every node above a leaf before it changes, and the node reached with
/// the leaf changed; `changed` keeps the nodes on the way.
fn climb(
    changed: &mut HashMap<(usize, u32), Scalar>,
    before: impl Fn(usize, u32) -> Scalar,
    mut index: u32,
    leaf: Scalar,
    levels: usize,
) -> (Vec<[Scalar; 4]>, Scalar) {
    let mut path = Vec::with_capacity(levels);
    let mut node = leaf;
    for level in 0..levels {
        let first = index & !3;
        let mut children: [Scalar; 4] = std::array::from_fn(|child| {
            let id = (level, first + child as u32);
            changed
                .get(&id)
                .copied()
                .unwrap_or_else(|| before(id.0, id.1))
        });
        path.push(children);
        changed.insert((level, index), node);
        children[(index & 3) as usize] = node;
        node = hash_node(&children);
        index >>= 2;
    }
    (path, node)
}

impl super::HeaderWitness {
    /// The leaf of an account with this header and a token root.
    pub fn leaf(&self, tokens: Scalar) -> Scalar {
        let word = self.nonce + self.owner * Scalar::from(1 << NONCE_BITS);
        hash_rollup_leaf(&[self.key.x, self.key.y, word, tokens])
    }
}
