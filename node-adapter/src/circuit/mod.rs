//! The batch circuit: R1CS that proves a batch of transfers over BLS12-381's
//! scalar field.
//!
//! Statement: "I know `slots` transfers, or fewer, each signed by its sender, that
//! lead from `old_root` to `new_root` on the chain and in the batch that `header`
//! names, and `data_commitment` commits to them in order." What each check stops
//! is in `CIRCUIT.md`.
//!
//! Generic over bellpepper's `ConstraintSystem`; no I/O. The `sequencer` makes the
//! witness with [`BatchBuilder`]; the prover synthesises [`BatchCircuit`]. The
//! structure depends on the [`Shape`] alone, never on a value.

mod builder;
mod edwards;
mod merkle;
mod num;
mod poseidon;
pub mod rollup;
mod rounds;
mod signature;
mod survey;
mod transfer;
mod witness;

use bellpepper_core::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;
use thiserror::Error;

pub use builder::{BatchBuilder, BuildError, Built};
pub use survey::{Part, Stats, digest, stats};
pub use witness::{AccountWitness, TransferWitness};

use crate::batch::{self, PublicInputs};
use crate::state::{self, MAX_DEPTH};
use num::{Num, alloc, alloc_uint, enforce_equal, input};

/// Version of the constraints. Proving keys are bound to it through
/// [`Shape::id`]; a test pins the digest of the constraints to it.
pub const VERSION: u32 = 1;

/// Depth of the production account tree: 4^12 = 2^24 accounts.
pub const PRODUCTION_DEPTH: usize = 12;

/// Most slots of a batch.
pub const MAX_SLOTS: usize = 1 << 16;

/// A shape that no circuit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// Number of slots out of range.
    #[error("a batch has 1 to {MAX_SLOTS} transfers, not {slots}")]
    Slots {
        /// Slots asked for.
        slots: usize,
    },
    /// Depth out of range.
    #[error("the account tree has 1 to {MAX_DEPTH} levels, not {depth}")]
    Depth {
        /// Depth asked for.
        depth: usize,
    },
}

/// What the structure of a circuit depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    slots: usize,
    depth: usize,
}

impl Shape {
    /// A batch of up to `slots` transfers over a tree of `depth` 4-ary levels.
    ///
    /// # Errors
    /// [`ShapeError`] if a figure is out of range.
    pub fn new(slots: usize, depth: usize) -> Result<Self, ShapeError> {
        if !(1..=MAX_SLOTS).contains(&slots) {
            return Err(ShapeError::Slots { slots });
        }
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(ShapeError::Depth { depth });
        }
        Ok(Self { slots, depth })
    }

    /// A batch of up to `slots` transfers over the production tree.
    ///
    /// # Errors
    /// [`ShapeError::Slots`].
    pub fn production(slots: usize) -> Result<Self, ShapeError> {
        Self::new(slots, PRODUCTION_DEPTH)
    }

    /// Most transfers in a batch.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Levels of the account tree.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Stable name of the circuit, by which proving keys are stored:
    /// `transfer-v1-n2-d12`.
    pub fn id(&self) -> String {
        format!("transfer-v{VERSION}-n{}-d{}", self.slots, self.depth)
    }
}

/// The circuit of one batch with its witness.
///
/// The fields are public so that tests and auditors can try to cheat; every value
/// other than the true ones leaves a constraint unsatisfied.
#[derive(Clone, Debug)]
pub struct BatchCircuit {
    /// Slots and depth.
    pub shape: Shape,
    /// The public inputs claimed.
    pub public_inputs: PublicInputs,
    /// Chain of the batch.
    pub chain_id: u64,
    /// Number of the batch.
    pub batch_number: u64,
    /// Root of the account tree before the batch.
    pub accounts_root: Scalar,
    /// Fees collected before the batch.
    pub fees: Scalar,
    /// One entry a slot: transfers first, then empty slots.
    pub slots: Vec<TransferWitness>,
}

impl BatchCircuit {
    /// A batch of empty slots over an empty state, for key generation: it has the
    /// structure of every batch of this shape, and it is satisfied.
    pub fn blank(shape: Shape) -> Self {
        let root = state::state_root(Scalar::ZERO, 0);
        let empty = TransferWitness::empty(shape.depth);
        Self {
            shape,
            public_inputs: PublicInputs {
                old_root: root,
                new_root: root,
                header: PublicInputs::header(0, 0),
                // No transfers fit any number of slots.
                data_commitment: batch::commit(&[], shape.slots).unwrap_or(Scalar::ZERO),
            },
            chain_id: 0,
            batch_number: 0,
            accounts_root: Scalar::ZERO,
            fees: Scalar::ZERO,
            slots: vec![empty; shape.slots],
        }
    }
}

impl Circuit<Scalar> for BatchCircuit {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        if self.slots.len() != self.shape.slots
            || self
                .slots
                .iter()
                .any(|slot| !slot.has_depth(self.shape.depth))
        {
            return Err(SynthesisError::IncompatibleLengthVector(format!(
                "the witness does not have the shape {}",
                self.shape.id()
            )));
        }

        // The order of these four is the contract's.
        let claimed = self.public_inputs;
        let old_root = input(cs.namespace(|| "old root"), claimed.old_root)?;
        let new_root = input(cs.namespace(|| "new root"), claimed.new_root)?;
        let header = input(cs.namespace(|| "header"), claimed.header)?;
        let commitment = input(cs.namespace(|| "data commitment"), claimed.data_commitment)?;

        let chain_id = bind_header(cs, &header, self.chain_id, self.batch_number)?;

        let accounts_root = alloc(cs.namespace(|| "accounts root"), || Ok(self.accounts_root))?;
        let fees = alloc(cs.namespace(|| "fees"), || Ok(self.fees))?;
        let before = poseidon::hash_state(
            cs.namespace(|| "state before"),
            [accounts_root.clone(), fees.clone()],
        )?;
        enforce_equal(cs, "old root is the state before", &before, &old_root);

        let mut running = transfer::Running::new(chain_id, accounts_root, fees);
        for (i, slot) in self.slots.iter().enumerate() {
            running.step(cs.namespace(|| format!("transfer {i}")), slot)?;
        }

        let after = poseidon::hash_state(
            cs.namespace(|| "state after"),
            [running.accounts_root, running.fees],
        )?;
        enforce_equal(cs, "new root is the state after", &after, &new_root);

        let link = poseidon::commit(cs.namespace(|| "data"), &running.packed)?;
        enforce_equal(
            cs,
            "data commitment is of these transfers",
            &link,
            &commitment,
        );
        Ok(())
    }
}

/// Splits the header into chain id and batch number and returns the chain id.
///
/// Both parts are range-checked: without that, `chain_id + k` with
/// `batch_number - k * 2^64` would give the same header for another chain.
fn bind_header<CS: ConstraintSystem<Scalar>>(
    cs: &mut CS,
    header: &Num,
    chain_id: u64,
    batch_number: u64,
) -> Result<Num, SynthesisError> {
    let (chain_id, _) = alloc_uint(cs.namespace(|| "chain id"), chain_id, 64)?;
    let (number, _) = alloc_uint(cs.namespace(|| "batch number"), batch_number, 64)?;
    let joined = number.add(&chain_id.clone().scale(num::pow2(64)));
    enforce_equal(cs, "header is chain id and batch number", &joined, header);
    Ok(chain_id)
}
