//! From a batch's input to its circuit: state view, trace, assignment, keys.
//!
//! The prover's half of `proving`: it trusts nothing in an input. What is wrong or missing there
//! gives other public inputs than the job's, or an unsatisfied circuit. Called by `carillon-node run`
//! and `carillon-node prover`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blstrs::Scalar;
use carillon_runtime::groth16::{self, Assignment, Groth16Error, ProvingKey};
use carillon_runtime::keys;
use ff::Field;
use jubjub::{AffinePoint, ExtendedPoint, Fq, Fr};

use super::machine::Refusal;
use super::proving::{BatchInput, StatePart};
use super::rollup::RollupOptions;
use crate::circuit::rollup::{
    HeaderWitness, OpWitness, RollupCircuit, Shape, ShapeError, StateView, Tracer, build, digest,
};
use crate::crypto::jubjub::Point;
use crate::ledger::Budget;
use crate::protocol::{Kind, Operation, owner_word};
use crate::prover_api::{PluginError, Prepare};

/// Why the circuits of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CircuitsError {
    /// The folder cannot be read.
    #[error("cannot read the key folder {}: {source}; name another with --key-dir", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// No key of a rollup circuit in it.
    #[error("the key folder {} has no key of a rollup circuit (rollup-*.ckey); copy the node's key there", .path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
    /// A circuit cannot be made.
    #[error(transparent)]
    Circuit(#[from] Groth16Error),
    /// A shape that no circuit has.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// A circuit that can be proved here.
pub struct ProverCircuit {
    /// Its name.
    pub id: String,
    /// Its key.
    pub key: Arc<ProvingKey>,
    /// What makes assignments for it.
    pub prepare: Arc<dyn Prepare>,
}

/// The circuit's shape for a node's batches.
///
/// # Errors
/// [`ShapeError`] if the numbers make no circuit.
pub fn shape_of(options: &RollupOptions) -> Result<Shape, ShapeError> {
    shape(options.budget, options.depth)
}

fn shape(budget: Budget, depth: usize) -> Result<Shape, ShapeError> {
    Shape::new(budget.slots, budget.cells, budget.records, depth)
}

/// What makes assignments for a shape.
pub fn prepare(shape: Shape) -> Arc<dyn Prepare> {
    Arc::new(Batches(shape))
}

/// The circuits whose keys are in a folder; the files are named after their shapes. Takes seconds for
/// large ones.
///
/// # Errors
/// [`CircuitsError`].
pub fn circuits(folder: &Path) -> Result<Vec<ProverCircuit>, CircuitsError> {
    let fault = |source| CircuitsError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(shape) = name.and_then(shape_in) else {
            continue;
        };
        let shape = shape?;
        // A key of an older version of the circuit stays in the folder, and is of no use.
        let key = match keys::load_for(&path, &digest(shape)?) {
            Ok(key) => Arc::new(key),
            Err(error @ keys::KeyError::WrongCircuit { .. }) => {
                tracing::warn!(%error, "left out");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        found.push(ProverCircuit {
            id: shape.id(),
            key,
            prepare: prepare(shape),
        });
    }
    if found.is_empty() {
        return Err(CircuitsError::Empty {
            path: folder.to_owned(),
        });
    }
    Ok(found)
}

/// The shape in the name of a key file, `rollup-v1-n16-a16-d16-h4-k2-...ckey`.
fn shape_in(name: &str) -> Option<Result<Shape, ShapeError>> {
    let rest = name.strip_prefix("rollup-")?;
    rest.strip_suffix(".ckey")?;
    let number = |letter: char| {
        let mut parts = rest.split('-');
        parts.find_map(|part| part.strip_prefix(letter)?.parse::<usize>().ok())
    };
    Some(Shape::with_top(
        number('n')?,
        number('a')?,
        number('d')?,
        number('h')?,
        number('k')?,
    ))
}

/// Makes assignments for the batches of a shape.
struct Batches(Shape);

impl Prepare for Batches {
    fn assignment(&self, input: &[u8]) -> Result<Assignment, PluginError> {
        let wrong = |error: &dyn std::fmt::Display| PluginError::Input(error.to_string());
        let input = BatchInput::from_bytes(input).map_err(|error| wrong(&error))?;
        let asked = shape(input.budget, input.state.depth()).map_err(|error| wrong(&error))?;
        if asked != self.0 {
            return Err(PluginError::Input(format!(
                "it is for the circuit {}, the key is that of {}",
                asked.id(),
                self.0.id()
            )));
        }
        let circuit = circuit(asked, &input).map_err(|error| wrong(&error))?;
        groth16::synthesize(circuit).map_err(|error| wrong(&error))
    }
}

/// The circuit of a batch with its witness.
///
/// # Errors
/// [`Refusal`] if the batch does not fit the shape.
pub fn circuit(shape: Shape, input: &BatchInput) -> Result<RollupCircuit, Refusal> {
    let refuse = |error: &dyn std::fmt::Display| Refusal::new("input", error.to_string());
    let state = &input.state;
    let mut tracer = Tracer::new(state, input.chain_id, input.number, input.operator);
    for operation in &input.operations {
        tracer.push(witness(operation)?);
    }
    let circuit = build(shape, state, &tracer.finish()).map_err(|error| refuse(&error))?;
    Ok(circuit.evaluate_at(input.z))
}

/// The fields of an operation as the circuit takes them; what it reads is up to the tracer.
fn witness(operation: &Operation) -> Result<OpWitness, Refusal> {
    let refuse = |error: &dyn std::fmt::Display| Refusal::new("input", error.to_string());
    let amount = operation.packed_amount().map_err(|error| refuse(&error))?;
    let fee = operation.packed_fee().map_err(|error| refuse(&error))?;
    let mut witness = OpWitness {
        kind: operation.kind as u8,
        from: operation.from,
        to: operation.to,
        token: operation.token,
        mantissa: amount.mantissa,
        exponent: amount.exponent,
        // 11 bits.
        fee_mantissa: fee.mantissa as u16,
        fee_exponent: fee.exponent,
        amount: scalar(operation.amount),
        words: operation.words,
        ..OpWitness::empty()
    };
    if let Some(signature) = operation
        .decoded_signature()
        .filter(|_| operation.kind.is_signed())
    {
        (witness.r, witness.s) = (signature.r(), signature.s());
    }
    if operation.kind == Kind::SetKey {
        witness.key_root = eighth(&operation.words[1], &operation.words[2]);
    }
    Ok(witness)
}

/// The point of which a key is eight times. (Of what is no key, some point.)
fn eighth(x: &Scalar, y: &Scalar) -> Point {
    let coordinate = |value: &Scalar| Option::from(Fq::from_bytes(&value.to_bytes_le()));
    let (Some(x), Some(y)) = (coordinate(x), coordinate(y)) else {
        return Point::IDENTITY;
    };
    // 8 is prime to the subgroup's order.
    let inverse = Option::from(Fr::from(8).invert()).unwrap_or(Fr::ZERO);
    let key = ExtendedPoint::from(AffinePoint::from_raw_unchecked(x, y));
    Point::from_extended(&(key * inverse))
}

fn scalar(value: u128) -> Scalar {
    let (low, high) = (value as u64, (value >> 64) as u64);
    Scalar::from(low) + Scalar::from(high) * Scalar::from(1 << 32).square()
}

impl StateView for StatePart {
    fn depth(&self) -> usize {
        Self::depth(self)
    }

    fn header(&self, account: u32) -> HeaderWitness {
        let account = self.account(account);
        HeaderWitness {
            key: account.key_point(),
            nonce: Scalar::from(u64::from(account.nonce)),
            owner: owner_word(&account.owner),
        }
    }

    fn balance(&self, account: u32, token: u8) -> Scalar {
        scalar(self.account(account).balance(token))
    }

    fn token_node(&self, account: u32, level: usize, index: u32) -> Scalar {
        self.account(account).token_node(level, index)
    }

    fn node(&self, level: usize, index: u32) -> Scalar {
        Self::node(self, level, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::schnorr::SecretKey;
    use crate::node::Rollup;
    use crate::node::machine::Machine;
    use crate::node::ports::QueueEntry;
    use crate::node::store::Part;
    use crate::protocol::Record;

    /// What the node publishes and what the circuit computes are the same, for a batch with deposits
    /// and one with every signed kind; and the circuit is satisfied.
    #[test]
    fn sealed_batches_satisfy_their_circuit_with_the_published_inputs() {
        let options = RollupOptions::new(270, 0, 6, 8, 6, 3).unwrap();
        let shape = shape_of(&options).unwrap();
        let mut rollup = Rollup::new(&options);
        let (alice, bob) = (
            SecretKey::from_seed(&[1; 32]),
            SecretKey::from_seed(&[2; 32]),
        );
        for (index, key) in [(0u8, &alice), (1, &bob)] {
            let point = key.public().coordinates();
            let record = Record {
                kind: Kind::Deposit,
                account: 0,
                token: 3,
                amount: 1000,
                words: [owner_word(&[index + 1; 20]), point.x, point.y],
            };
            let words = record.to_words().map(|word| word.to_bytes_be());
            let entry = QueueEntry {
                index: index.into(),
                words,
            };
            let deposit = rollup.from_queue(&entry).unwrap();
            rollup.execute(&deposit, None).unwrap();
        }
        let deposits = rollup.seal().unwrap();

        let new = SecretKey::from_seed(&[3; 32]).public().coordinates();
        let transfer = Operation::transfer(1, 2, 3, 50, 2, 0);
        let mut withdraw = Operation::new(Kind::Withdraw, 1, 3, 70, 1, 1);
        withdraw.words[0] = owner_word(&[9; 20]);
        let mut set_key = Operation::new(Kind::SetKey, 1, 3, 0, 1, 2);
        set_key.words = [Scalar::ZERO, new.x, new.y];
        for operation in [transfer, withdraw, set_key] {
            let operation = operation.sign(&alice, 270, &[1; 20]).unwrap();
            let ticket = rollup.check(&operation).unwrap();
            assert!(rollup.fits(&operation));
            rollup.execute(&operation, Some(ticket)).unwrap();
        }
        let signed = rollup.seal().unwrap();
        assert_eq!(deposits.new_root, signed.old_root);

        for sealed in [&deposits, &signed] {
            let (_, input) = sealed
                .parts
                .iter()
                .find(|(part, _)| *part == Part::Input)
                .unwrap();
            let assignment = Batches(shape).assignment(input).unwrap();
            let computed: Vec<String> = assignment
                .public_inputs()
                .iter()
                .map(|input| format!("0x{}", hex::encode(input.to_bytes_be())))
                .collect();
            assert_eq!(computed, sealed.public_inputs);
        }
        // Another shape's prover refuses it with both names.
        let other = Shape::new(7, 8, 6, 3).unwrap();
        let (_, input) = &signed.parts[2];
        let error = Batches(other).assignment(input).unwrap_err().to_string();
        assert!(error.contains("n6") && error.contains("n7"), "{error}");
    }

    #[test]
    fn key_files_name_their_shape() {
        let shape = Shape::new(6, 8, 6, 3).unwrap();
        let name = format!("{}-0123456789abcdef-INSECURE.ckey", shape.id());
        assert_eq!(shape_in(&name), Some(Ok(shape)));
        assert_eq!(
            shape_in("transfer-v1-n2-d12-0123456789abcdef-INSECURE.ckey"),
            None
        );
        assert_eq!(shape_in("rollup-v1-n6.txt"), None);
    }
}
