//! Errors of set-up, proving and verification.

use bellpepper_core::SynthesisError;
use thiserror::Error;

use crate::engine::EngineError;

/// Why a key, a proof or a verification was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Groth16Error {
    /// The circuit's own code refused to build the constraint system or the witness.
    #[error("the circuit refused its input: {0}; give every variable a value that exists")]
    Synthesis(#[from] SynthesisError),
    /// The witness violates a constraint.
    #[error(
        "the witness does not satisfy constraint {index} `{constraint}`; the statement is false or the witness is wrong"
    )]
    Unsatisfied {
        /// Namespace path and name of the first violated constraint.
        constraint: String,
        /// Its position in the order of synthesis.
        index: usize,
    },
    /// The circuit differs in size from the one that its key was made for or that was recorded.
    #[error(
        "the circuit has {found} {what} but its key or its recorded constraints are of one with {expected}; use those of this circuit, and let its structure not depend on the witness"
    )]
    CircuitMismatch {
        /// What was counted.
        what: &'static str,
        /// Count in the circuit.
        found: usize,
        /// Count in the key or the recorded constraints.
        expected: usize,
    },
    /// More rows than the scalar field's transforms reach.
    #[error(
        "the circuit has {rows} rows, more than the 2^31 that a proof's transforms can hold; split it"
    )]
    TooLarge {
        /// Constraints plus public inputs.
        rows: usize,
    },
    /// More variables or terms than a recording has numbers for.
    #[error(
        "the circuit has more than 2^31 variables of a kind, or more than 2^32 terms in one of its matrices, which no recording can number; split it"
    )]
    TooManyTerms,
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine computed a proof that does not verify.
    #[error(
        "the proof computed by engine {engine} does not verify although the witness satisfies the circuit: the engine is faulty or the key does not belong to the circuit; nothing was released, repeat on another engine"
    )]
    FaultyProof {
        /// The engine's name.
        engine: String,
    },
    /// The pairing equation does not hold.
    #[error("the proof does not verify for these public inputs and this key")]
    InvalidProof,
    /// The number of public inputs is wrong.
    #[error("{found} public inputs given but the key expects {expected}")]
    PublicInputs {
        /// Count given.
        found: usize,
        /// Count expected, without the constant ONE.
        expected: usize,
    },
    /// Bytes that are not a proof.
    #[error("not a proof: {reason}")]
    ProofEncoding {
        /// What is wrong and where.
        reason: String,
    },
    /// Bytes that are not a verifying key.
    #[error("not a verifying key: {reason}")]
    VerifyingKeyEncoding {
        /// What is wrong and where.
        reason: String,
    },
}
