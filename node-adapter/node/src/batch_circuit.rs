//! From a batch's input to its circuit: state view, trace, assignment, keys.
//!
//! The prover's half of `proving`: it trusts nothing in an input. What is wrong or missing there
//! gives other public inputs than the job's, or an unsatisfied circuit, which the engine finds before it proves.
//! Called by `carillon-node run` and `carillon-node prover`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use blstrs::Scalar;
use carillon_runtime::groth16::{Assignment, Constraints, Groth16Error, ProvingKey};
use carillon_runtime::keys;

use super::machine::Refusal;
use super::proving::{BatchInput, StatePart, shape};
use super::rollup_options::RollupOptions;
use carillon_circuit::rollup::{
    HeaderWitness, RollupCircuit, Shape, ShapeError, StateView, build, constraints, opened,
    trace_of, witness,
};
use carillon_protocol::ledger::Budget;
use carillon_protocol::scalar;
use carillon_prover_api::{PluginError, Prepare};

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
    let Budget {
        slots,
        cells,
        records,
    } = options.budget;
    Shape::new(slots, cells, records, options.depth)
}

/// What makes assignments for a shape. The first one takes longer: its constraints are recorded, which all
/// others share.
pub fn prepare(shape: Shape) -> Arc<dyn Prepare> {
    Arc::new(Batches {
        shape,
        constraints: OnceLock::new(),
    })
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
        let constraints = constraints(shape)?;
        // A key of an older version of the circuit stays in the folder, and is of no use.
        let key = match keys::load_for(&path, &constraints.digest()) {
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
            prepare: Arc::new(Batches {
                shape,
                constraints: OnceLock::from(Ok(constraints)),
            }),
        });
    }
    if found.is_empty() {
        return Err(CircuitsError::Empty {
            path: folder.to_owned(),
        });
    }
    Ok(found)
}

/// The shape in the name of a key file, `rollup-v2-n16-a16-d16-h4-k2-...ckey`.
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
struct Batches {
    shape: Shape,
    /// Those of the shape, once they were wanted; or why there are none.
    constraints: OnceLock<Result<Arc<Constraints>, String>>,
}

impl Batches {
    fn constraints(&self) -> Result<&Arc<Constraints>, PluginError> {
        let record = || constraints(self.shape).map_err(|error| error.to_string());
        let recorded = self.constraints.get_or_init(record).as_ref();
        recorded.map_err(|error| PluginError::Engine(error.clone()))
    }
}

impl Prepare for Batches {
    fn assignment(&self, input: &[u8]) -> Result<Assignment, PluginError> {
        let wrong = |error: &dyn std::fmt::Display| PluginError::Input(error.to_string());
        let input = BatchInput::from_bytes(input).map_err(|error| wrong(&error))?;
        let asked = shape(input.budget, input.state.depth()).map_err(|error| wrong(&error))?;
        if asked != self.shape {
            return Err(PluginError::Input(format!(
                "it is for the circuit {}, the key is that of {}",
                asked.id(),
                self.shape.id()
            )));
        }
        let circuit = circuit(asked, &input).map_err(|error| wrong(&error))?;
        witness(self.constraints()?, circuit).map_err(|error| wrong(&error))
    }
}

/// The circuit of a batch with its witness.
///
/// # Errors
/// [`Refusal`] if the batch does not fit the shape, or the input lacks a part of the state.
pub fn circuit(shape: Shape, input: &BatchInput) -> Result<RollupCircuit, Refusal> {
    let refuse = |error: &dyn std::fmt::Display| Refusal::new("input", error.to_string());
    let state = &input.state;
    let trace = trace_of(
        state,
        input.domain,
        input.number,
        input.operator,
        &input.operations,
    );
    let trace = trace.map_err(|error| refuse(&error))?;
    state.check(shape, opened(shape, &trace))?;
    let circuit = build(shape, state, &trace).map_err(|error| refuse(&error))?;
    Ok(circuit.evaluate_at(input.z))
}

impl StateView for StatePart {
    fn depth(&self) -> usize {
        Self::depth(self)
    }

    fn header(&self, account: u32) -> HeaderWitness {
        HeaderWitness::from(&self.account(account))
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
    use ff::Field;

    use super::*;
    use crate::Rollup;
    use crate::machine::Machine;
    use crate::ports::QueueEntry;
    use crate::store::Part;
    use carillon_circuit::rollup::circuit_of;
    use carillon_protocol::crypto::schnorr::SecretKey;
    use carillon_protocol::ledger::{Account, Ledger, State};
    use carillon_protocol::{Kind, Operation, Record, owner_word};

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
            let operation = operation.sign(&alice, options.domain(), &[1; 20]).unwrap();
            let ticket = rollup.check(&operation).unwrap();
            assert!(rollup.fits(&operation));
            rollup.execute(&operation, Some(ticket)).unwrap();
        }
        let signed = rollup.seal().unwrap();
        assert_eq!(deposits.new_root, signed.old_root);

        let prepared = prepare(shape);
        for sealed in [&deposits, &signed] {
            let (_, input) = sealed
                .parts
                .iter()
                .find(|(part, _)| *part == Part::Input)
                .unwrap();
            let assignment = prepared.assignment(input).unwrap();
            assignment.check().unwrap();
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
        let error = prepare(other).assignment(input).unwrap_err().to_string();
        assert!(error.contains("n6") && error.contains("n7"), "{error}");
    }

    /// A circuit of more than 4,222 cells hashes more than six levels of the tree as a whole: what a
    /// prover gets must hold them, or be refused with the name of what is missing.
    #[test]
    fn inputs_of_large_circuits_hold_the_whole_top() {
        let options = RollupOptions::new(270, 0, 8, 4_300, 8, 12).unwrap();
        let shape = shape_of(&options).unwrap();
        assert!(shape.top() >= 7, "{}", shape.id());
        // Accounts below every node of the upper levels.
        let place = |user: u32| user * 262_000;
        let key = |user: u32| SecretKey::from_seed(&[user as u8 + 1; 32]);
        let owner = |user: u32| [user as u8 + 1; 20];
        let mut state = State::genesis(12);
        state.update((0..64).map(|user| {
            let account = Account {
                key: Some(*key(user).public()),
                nonce: 0,
                owner: owner(user),
                balances: [(3, 1000)].into(),
            };
            (place(user), account)
        }));
        let mut ledger = Ledger::resume(options.domain(), 0, owner(0), state.clone(), 5);
        for user in 1..7 {
            let to = place(63 - user);
            let transfer = Operation::transfer(place(user), to, 3, 50, 2, 0);
            let transfer = transfer.sign(&key(user), options.domain(), &owner(user));
            ledger.execute(&transfer.unwrap()).unwrap();
        }
        let part = StatePart::of(&ledger, &options).unwrap();
        let closed = ledger.close();
        let input = BatchInput {
            domain: options.domain(),
            number: 5,
            operator: 0,
            budget: options.budget,
            z: Scalar::from(9),
            state: part,
            operations: closed.operations.clone(),
        };
        let bytes = input.to_bytes();
        let input = BatchInput::from_bytes(&bytes).unwrap();
        let built = circuit(shape, &input).unwrap();
        let whole = circuit_of(shape, &state, &closed.header, &closed.operations).unwrap();
        let whole = whole.evaluate_at(input.z);
        assert_eq!(
            built.witness.roots,
            [closed.header.old_root, closed.header.new_root]
        );
        assert!(built.witness == whole.witness);
        assert_eq!(built.public_inputs, whole.public_inputs);

        // Each node of the encoding, dropped: 37 bytes of level, index and hash.
        let [mut nodes, mut at] = [0, 0];
        let tail = closed.operations.len() * crate::operation::OPERATION_BYTES + 4;
        let end = bytes.len() - tail;
        let count = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        for start in (0..end - 4).rev() {
            if count(start) > 0 && start + 4 + 37 * count(start) == end {
                (nodes, at) = (count(start), start);
                break;
            }
        }
        // Those that are not empty: 64 on each lower level of the top, for as many accounts.
        assert!(nodes > 5 * 64, "{nodes} nodes");
        for dropped in (0..nodes).step_by(nodes / 12) {
            let mut less = bytes[..at].to_vec();
            less.extend_from_slice(&(nodes as u32 - 1).to_be_bytes());
            let place = at + 4 + 37 * dropped;
            less.extend_from_slice(&bytes[at + 4..place]);
            less.extend_from_slice(&bytes[place + 37..]);
            let less = BatchInput::from_bytes(&less).unwrap();
            let error = circuit(shape, &less).unwrap_err().to_string();
            assert!(error.contains("node") || error.contains("leaf"), "{error}");
        }
        // A part made for a smaller top, as six levels once were for every circuit.
        let small = RollupOptions::new(270, 0, 8, 4_200, 8, 12).unwrap();
        let part = StatePart::of(&ledger, &small).unwrap();
        let error = part.check(shape, []).unwrap_err().to_string();
        assert!(error.contains("top 6 of 12"), "{error}");
        let error = part.check(shape_of(&small).unwrap(), [place(9) + 1]);
        assert!(error.unwrap_err().to_string().contains("is missing"));
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
        assert_eq!(shape_in("rollup-v2-n6.txt"), None);
    }
}
