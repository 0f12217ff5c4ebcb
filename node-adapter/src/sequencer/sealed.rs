//! A sealed batch: everything the prover and settlement need.

use blstrs::Scalar;

use crate::batch::{PublicInputs, SignedTransfer, encode_data};
use crate::circuit::BatchCircuit;

/// A batch that will not change any more.
#[derive(Clone, Debug)]
pub struct SealedBatch {
    /// Its number; batches count from 1.
    pub number: u64,
    /// State root before.
    pub old_root: Scalar,
    /// State root after.
    pub new_root: Scalar,
    /// The transfers in order.
    pub transfers: Vec<SignedTransfer>,
    /// Public inputs of the proof.
    pub public_inputs: PublicInputs,
    /// Public data, [`crate::batch::DATA_BYTES`] bytes a transfer.
    pub data: Vec<u8>,
    /// The circuit with its witness, for the prover.
    pub circuit: BatchCircuit,
}

impl SealedBatch {
    pub(super) fn new(number: u64, transfers: Vec<SignedTransfer>, circuit: BatchCircuit) -> Self {
        let public_inputs = circuit.public_inputs;
        Self {
            number,
            old_root: public_inputs.old_root,
            new_root: public_inputs.new_root,
            data: encode_data(transfers.iter().map(|signed| &signed.transfer)),
            transfers,
            public_inputs,
            circuit,
        }
    }
}
