//! Makes the witness of a batch from a state and its transfers.
//!
//! Works in field arithmetic and checks nothing that the circuit checks: given a
//! transfer that is not allowed, it makes the best witness a cheating prover could,
//! and the circuit is unsatisfied. The `sequencer` therefore gives it transfers
//! that it has executed; the soundness tests give it forgeries.

use std::collections::BTreeMap;

use blstrs::Scalar;
use ff::Field;
use thiserror::Error;

use super::{AccountWitness, BatchCircuit, Shape, TransferWitness};
use crate::batch::{self, DataError, PublicInputs, SignedTransfer};
use crate::crypto::poseidon::hash_state;
use crate::state::{Changes, Draft, State, TreeError, scalar_from_u128};

/// Why a witness cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// State and circuit differ in depth.
    #[error("the state has a tree of depth {state}, the circuit of depth {circuit}: use one depth")]
    Depth {
        /// Depth of the state's tree.
        state: usize,
        /// Depth of the circuit.
        circuit: usize,
    },
    /// A party that is not registered.
    #[error("account {index} does not exist: register it first")]
    NoSuchAccount {
        /// Index given.
        index: u32,
    },
    /// No slot left.
    #[error("all {slots} slots of the batch are taken: seal it first")]
    Full {
        /// Slots of the batch.
        slots: usize,
    },
    /// The public data cannot be committed to.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The tree refused.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Builds one batch on top of a state, which it does not change.
#[derive(Debug)]
pub struct BatchBuilder<'a> {
    shape: Shape,
    chain_id: u64,
    number: u64,
    state: &'a State,
    draft: Draft<'a>,
    touched: BTreeMap<u32, AccountWitness>,
    fees: Scalar,
    packed: Vec<Scalar>,
    slots: Vec<TransferWitness>,
}

/// The outcome of a [`BatchBuilder`].
#[derive(Debug)]
pub struct Built {
    /// The circuit with its witness and public inputs.
    pub circuit: BatchCircuit,
    /// Changes to the account tree.
    pub changes: Changes,
    /// Root of the account tree after the batch.
    pub accounts_root: Scalar,
}

impl<'a> BatchBuilder<'a> {
    /// An empty batch.
    ///
    /// # Errors
    /// [`BuildError::Depth`] if state and shape differ.
    pub fn new(
        shape: Shape,
        chain_id: u64,
        number: u64,
        state: &'a State,
    ) -> Result<Self, BuildError> {
        let depth = state.tree().depth();
        if depth != shape.depth() {
            return Err(BuildError::Depth {
                state: depth,
                circuit: shape.depth(),
            });
        }
        Ok(Self {
            shape,
            chain_id,
            number,
            state,
            draft: state.tree().draft(),
            touched: BTreeMap::new(),
            fees: scalar_from_u128(state.fees()),
            packed: Vec::new(),
            slots: Vec::with_capacity(shape.slots()),
        })
    }

    /// Adds one transfer; its outcome is what the circuit computes.
    ///
    /// # Errors
    /// [`BuildError::Full`] and [`BuildError::NoSuchAccount`]; nothing is added then.
    pub fn push(&mut self, signed: &SignedTransfer) -> Result<(), BuildError> {
        let order = &signed.transfer;
        if self.slots.len() == self.shape.slots() {
            return Err(BuildError::Full {
                slots: self.shape.slots(),
            });
        }
        let sender = self.account(order.from)?;
        self.account(order.to)?;

        let sender_path = self.draft.path(order.from)?;
        let (amount, fee) = (Scalar::from(order.amount), Scalar::from(order.fee));
        let charged = AccountWitness {
            nonce: sender.nonce + Scalar::ONE,
            balance: sender.balance - amount - fee,
            ..sender
        };
        self.replace(order.from, charged)?;

        let receiver = self.account(order.to)?;
        let receiver_path = self.draft.path(order.to)?;
        self.replace(
            order.to,
            AccountWitness {
                balance: receiver.balance + amount,
                ..receiver
            },
        )?;

        self.fees += fee;
        self.packed.push(order.pack());
        self.slots.push(TransferWitness {
            enabled: true,
            from: order.from,
            to: order.to,
            amount: order.amount,
            fee: order.fee,
            sender,
            sender_path,
            receiver,
            receiver_path,
            r: signed.signature.r(),
            s: signed.signature.s(),
        });
        Ok(())
    }

    /// Fills the rest with empty slots and computes the public inputs.
    ///
    /// # Errors
    /// [`BuildError::Data`], which cannot happen after successful pushes.
    pub fn finish(mut self) -> Result<Built, BuildError> {
        let empty = TransferWitness::empty(self.shape.depth());
        self.slots.resize(self.shape.slots(), empty);
        let accounts_root = self.draft.root();
        let public_inputs = PublicInputs {
            old_root: self.state.root(),
            new_root: hash_state(&[accounts_root, self.fees]),
            header: PublicInputs::header(self.chain_id, self.number),
            data_commitment: batch::commit(&self.packed, self.shape.slots())?,
        };
        let circuit = BatchCircuit {
            shape: self.shape,
            public_inputs,
            chain_id: self.chain_id,
            batch_number: self.number,
            accounts_root: self.state.tree().root(),
            fees: scalar_from_u128(self.state.fees()),
            slots: self.slots,
        };
        Ok(Built {
            circuit,
            changes: self.draft.into_changes(),
            accounts_root,
        })
    }

    fn account(&self, index: u32) -> Result<AccountWitness, BuildError> {
        let untouched = || self.state.account(index).map(AccountWitness::from);
        let account = self.touched.get(&index).copied().or_else(untouched);
        account.ok_or(BuildError::NoSuchAccount { index })
    }

    fn replace(&mut self, index: u32, account: AccountWitness) -> Result<(), BuildError> {
        self.draft.set_leaf(index, account.leaf())?;
        self.touched.insert(index, account);
        Ok(())
    }
}
