//! Ledger and circuit hold the same rules: every batch that the ledger closes satisfies
//! the circuit, with the ledger's public data, and an operation that the circuit would
//! refuse is refused by the ledger first.

use blstrs::Scalar;
use carillon_circuit::rollup::{BuildError, RollupCircuit, Shape, circuit_of};
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::poseidon::commit;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::{Ledger, Opened, RuleError, State, replay};
use carillon_protocol::{Domain, Kind, Operation, Party, Record, challenge, owner_word};
use carillon_runtime::groth16::{self, Groth16Error};
use ff::Field;
use proptest::prelude::*;

const CHAIN: Domain = Domain::from_number(270 << 90);
const DEPTH: usize = 3;
const OPERATOR: u32 = 2;
const ZERO: Scalar = Scalar::ZERO;

fn shape() -> Shape {
    Shape::new(8, 14, 8, DEPTH).unwrap()
}

fn owner(user: u8) -> [u8; 20] {
    [user + 1; 20]
}

fn key(user: u8, version: u8) -> SecretKey {
    let mut seed = [user; 32];
    seed[0] = version;
    SecretKey::from_seed(&seed)
}

fn violated(circuit: RollupCircuit) -> Option<String> {
    match groth16::synthesize(circuit) {
        Ok(_) => None,
        Err(Groth16Error::Unsatisfied { constraint, .. }) => Some(constraint),
        Err(other) => panic!("{other}"),
    }
}

/// A ledger with its users' keys, and the state before the batch.
struct World {
    ledger: Ledger,
    before: State,
    keys: [u8; 4],
    checker: State,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::new(CHAIN, DEPTH, OPERATOR, owner(3));
        Self {
            before: ledger.state().clone(),
            checker: ledger.state().clone(),
            ledger,
            keys: [0; 4],
        }
    }

    fn deposit(&mut self, kind: Kind, user: u8, token: u8, amount: u128, with_key: bool) {
        let key = key(user, self.keys[usize::from(user)])
            .public()
            .coordinates();
        let entry = Record {
            kind,
            account: 0,
            token,
            amount,
            words: [
                owner_word(&owner(user)),
                if with_key { key.x } else { ZERO },
                if with_key { key.y } else { ZERO },
            ],
        };
        let operation = self.ledger.from_queue(0, &entry).unwrap();
        self.ledger.execute(&operation).unwrap();
    }

    /// What was sent on another chain, or what comes back from one.
    fn arrive(&mut self, kind: Kind, user: u8, amount: u128) {
        let leg = (kind == Kind::Return).then_some(7);
        let from = Party {
            leg,
            ..Party::new(owner(user), 271)
        };
        let entry = Record {
            kind,
            account: 0,
            token: 0,
            amount,
            words: [owner_word(&owner(user)), from.to_word(), Scalar::from(77)],
        };
        let operation = self.ledger.from_queue(0, &entry).unwrap();
        self.ledger.execute(&operation).unwrap();
    }

    fn account(&self, user: u8) -> u32 {
        self.ledger.account_for(&owner(user))
    }

    fn sign(&self, user: u8, mut operation: Operation) -> Operation {
        operation.from = self.account(user);
        operation.nonce = self.ledger.account(operation.from).nonce.into();
        let key = key(user, self.keys[usize::from(user)]);
        operation.sign(&key, CHAIN, &owner(user)).unwrap()
    }

    /// Closes the batch and compares circuit, ledger and checker.
    fn close(&mut self) -> RollupCircuit {
        let Opened {
            operations,
            header,
            blob,
        } = self.ledger.close();
        let circuit = circuit_of(shape(), &self.before, &header, &operations).unwrap();
        let inputs = circuit.public_inputs;
        // The ledger's data, padded to the shape, are the circuit's.
        let mut padded = header.to_words();
        padded.resize(shape().header_words(), ZERO);
        let mut elements = blob.clone();
        elements.resize(shape().blob_elements(), ZERO);
        assert_eq!(circuit.witness.header_vector(), padded);
        assert_eq!(circuit.witness.blob_vector(), elements);
        assert_eq!(inputs.header_commitment, commit(&padded));
        assert_eq!(inputs.blob_commitment, commit(&elements));
        let z = challenge(
            &inputs.header_commitment,
            &inputs.blob_commitment,
            &header.to_words(),
            &[7; 32],
        );
        replay(&mut self.checker, &header, &blob).unwrap();
        assert_eq!(self.checker.root(), self.ledger.state().root());
        self.before = self.ledger.state().clone();
        circuit.evaluate_at(z)
    }
}

fn funded() -> World {
    let mut world = World::new();
    for user in 0..4 {
        world.deposit(Kind::Deposit, user, 0, 10_000, true);
    }
    world.deposit(Kind::Deposit, 1, 9, 777, false);
    world.deposit(Kind::Import, 2, 9, 778, false);
    assert_eq!(violated(world.close()), None);
    world
}

/// An operation by kind on small numbers.
fn operation(world: &World, kind: u8, user: u8, to: u8, amount: u128) -> Operation {
    let new = |kind, amount| Operation::new(kind, 0, 0, amount, 3, 0);
    let key = key(user, world.keys[usize::from(user)] + 1)
        .public()
        .coordinates();
    match kind {
        0 => Operation::transfer(0, world.account(to), 0, amount, 3, 0),
        1 => Operation {
            words: [owner_word(&owner(user)), ZERO, ZERO],
            ..new(Kind::Withdraw, amount)
        },
        2 => Operation {
            words: [Scalar::from(0xb0b), owner_word(&owner(user)), ZERO],
            ..new(Kind::Bundle, amount)
        },
        3 => Operation {
            words: [ZERO, key.x, key.y],
            ..new(Kind::SetKey, 0)
        },
        _ => Operation {
            words: [elsewhere(to), owner_word(&owner(user)), Scalar::from(77)],
            ..new(Kind::Send, amount)
        },
    }
}

/// A user on another chain.
fn elsewhere(user: u8) -> Scalar {
    Party::new(owner(user), 271).to_word()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn every_batch_of_the_ledger_satisfies_the_circuit(
        moves in prop::collection::vec((0u8..10, 0u8..3, 0u8..4, 1u128..4000), 1..14)
    ) {
        let mut world = funded();
        for (i, (kind, user, to, amount)) in moves.into_iter().enumerate() {
            match kind {
                0..=4 => {
                    let order = operation(&world, kind, user, to, amount);
                    let order = world.sign(user, order);
                    let accepted = world.ledger.execute(&order).is_ok();
                    if accepted && kind == 3 {
                        world.keys[usize::from(user)] += 1;
                    }
                }
                5 => world.deposit(Kind::Deposit, user, 1, amount, false),
                6 => world.deposit(Kind::Import, user, 0, amount, true),
                7 => world.arrive(Kind::Take, to, amount),
                8 => world.arrive(Kind::Return, user, amount),
                _ => {
                    let entry = Record {
                        kind: Kind::Exit,
                        account: world.account(user),
                        token: 0,
                        amount: 0,
                        words: [owner_word(&owner(to)), ZERO, ZERO],
                    };
                    let order = world.ledger.from_queue(0, &entry).unwrap();
                    world.ledger.execute(&order).unwrap();
                }
            }
            if i % 8 == 7 {
                prop_assert_eq!(violated(world.close()), None);
            }
        }
        prop_assert_eq!(violated(world.close()), None);
    }
}

/// One user's operation must not make a batch that cannot be proved.
#[test]
fn words_that_the_circuit_refuses_are_refused_by_the_ledger() {
    let mut world = funded();
    for kind in 0..5 {
        let honest = operation(&world, kind, 1, 2, 100);
        world.ledger.check(&world.sign(1, honest.clone())).unwrap();
        for word in 0..3 {
            let mut changed = honest.clone();
            changed.words[word] += Scalar::ONE;
            let changed = world.sign(1, changed);
            let executed = world.ledger.execute(&changed);
            // Free by protocol: the recipient of a withdrawal, the hash of a bundle, the recipient
            // and the memo of a send.
            if matches!((kind, word), (1 | 2 | 4, 0) | (4, 2)) {
                assert_eq!(executed, Ok(()), "kind {kind}, word {word}");
            } else {
                assert!(executed.is_err(), "kind {kind}, word {word}");
            }
        }
    }
    assert_eq!(violated(world.close()), None);
}

/// What the circuit accepts is history once it is settled: whether word 2 can be claimed or run on L1 is
/// for L1 to say when the batch is committed, so replay takes what new operations may not have.
#[test]
fn words_that_the_circuit_accepts_are_replayed() {
    let two = |bits: u64| Scalar::from(2).pow_vartime([bits]);
    let mut world = funded();
    let recipient = owner_word(&owner(1));
    let new = |kind, words| Operation {
        words,
        ..Operation::new(kind, 0, 0, 100, 3, 0)
    };
    // Kind, words, and whether the circuit takes them.
    let cases = [
        (Kind::Withdraw, [recipient + two(160), ZERO, ZERO], true),
        (Kind::Bundle, [two(248), recipient, ZERO], true),
        (Kind::Withdraw, [ZERO; 3], false),
        (Kind::Send, [ZERO, recipient, ZERO], true),
        (Kind::Send, [elsewhere(2), recipient, two(250)], true),
    ];
    for (kind, words, proved) in cases {
        let first = match kind {
            Kind::Send => elsewhere(2),
            _ => recipient,
        };
        let honest = world.sign(1, new(kind, [first, words[1], ZERO]));
        let changed = world.sign(1, new(kind, words));
        let refused = world.ledger.clone().execute(&changed);
        assert!(matches!(refused, Err(RuleError::Form(_))), "{kind:?}");
        // Word 2 is not in the state: the roots are those of the honest batch.
        world.ledger.execute(&honest).unwrap();
        let Opened {
            mut header, blob, ..
        } = world.ledger.close();
        header.records[0].words = words;
        let circuit = circuit_of(shape(), &world.before, &header, &[changed]).unwrap();
        assert_eq!(violated(circuit).is_none(), proved, "{kind:?}");
        let replayed = replay(&mut world.checker.clone(), &header, &blob);
        assert_eq!(replayed.is_ok(), proved, "{kind:?}: {replayed:?}");
        header.records[0].words = honest.words;
        replay(&mut world.checker, &header, &blob).unwrap();
        world.before = world.ledger.state().clone();
    }
}

#[test]
fn keys_outside_the_subgroup_are_refused_by_both() {
    let mut world = funded();
    let good = key(1, 1).public().coordinates();
    let bad = Point {
        x: -good.x,
        y: -good.y,
    };
    let set = Operation {
        words: [ZERO, bad.x, bad.y],
        ..Operation::new(Kind::SetKey, 0, 0, 0, 0, 0)
    };
    let set = world.sign(1, set);
    assert!(matches!(world.ledger.execute(&set), Err(RuleError::Key(_))));
    let header = world.ledger.close().header;
    let circuit = circuit_of(shape(), &world.before, &header, &[set]).unwrap();
    let stopped = violated(circuit).unwrap();
    assert!(stopped.contains("new key's x"), "{stopped}");
}

#[test]
fn batches_beyond_the_shape_are_errors() {
    let mut world = funded();
    for i in 0..9 {
        let order = Operation::transfer(0, world.account(2), 0, 10 + i, 1, 0);
        let order = world.sign(1, order);
        world.ledger.execute(&order).unwrap();
    }
    let opened = world.ledger.close();
    let refused = circuit_of(shape(), &world.before, &opened.header, &opened.operations);
    let full = BuildError::Full {
        what: "operations",
        count: 9,
        capacity: 8,
    };
    assert_eq!(refused.unwrap_err(), full);
    let shallow = Shape::new(9, 9, 1, 2).unwrap();
    let refused = circuit_of(shallow, &world.before, &opened.header, &opened.operations);
    assert_eq!(
        refused.unwrap_err(),
        BuildError::Depth {
            state: 3,
            circuit: 2
        }
    );
}
