//! Every engine gives a batch the same proof, byte for byte, when the key and the blinding are the same; whether its
//! constraints were recorded before or written anew makes no difference.
//!
//! For a batch of the sequencer with every kind of operation; and, among the long tests, for the demo's own batch, made
//! on a real Ethereum node and proved on the Verilated card too.

use std::sync::Arc;

use blstrs::Scalar;
use carillon_circuit::rollup::{
    RollupCircuit, Shape, circuit_of, constraints, setup_from, synthesize, witness,
};
use carillon_node::{BatchInput, Machine, Part, QueueEntry, Rollup, RollupOptions};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::State;
use carillon_protocol::{Kind, Operation, Party, Record, owner_word};
use carillon_runtime::EngineKind;
use carillon_runtime::engine;
use carillon_runtime::groth16::{self, Assignment, ProvingKey, prove_assignment};
use carillon_settlement::{Anvil, AnvilOptions};
use ff::Field;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_chacha::ChaCha12Rng;

use super::figures::{CELLS, DEPTH, OTHERS};
use super::settlement::publish;
use super::story::Story;
use super::world::World;

/// Transfers of a demo that is told nothing.
const TRANSFERS: usize = 4;
const SEED: u64 = 1;

fn key_of(shape: Shape) -> Arc<ProvingKey> {
    Arc::new(setup_from(shape, &mut StdRng::seed_from_u64(2)).unwrap())
}

/// Proves a circuit on the CPU and on the cards, in both forms of the assignment.
async fn assert_same_proof(
    key: &Arc<ProvingKey>,
    shape: Shape,
    circuit: &RollupCircuit,
    cards: &[EngineKind],
) {
    let inputs = circuit.public_inputs.to_array();
    let written = synthesize(circuit.clone()).unwrap();
    let recorded = witness(&constraints(shape).unwrap(), circuit.clone()).unwrap();
    let forms: [(&str, Arc<Assignment>); 2] = [
        ("written", Arc::new(written)),
        ("recorded", Arc::new(recorded)),
    ];
    let mut expected = None;
    for kind in std::iter::once(&EngineKind::Cpu).chain(cards) {
        let engine = engine::open(kind.clone()).await.unwrap();
        for (form, assignment) in &forms {
            let mut blinding = ChaCha12Rng::seed_from_u64(3);
            let proof = prove_assignment(&*engine, key, assignment, &mut blinding, &()).await;
            let (proof, report) = proof.unwrap();
            assert_eq!(report.engine, kind.name());
            assert_eq!(report.card.is_some(), kind.card().is_some());
            groth16::verify(&key.vk, &inputs, &proof).unwrap();
            let bytes: [u8; 192] = proof.to_bytes();
            let expected = *expected.get_or_insert(bytes);
            assert_eq!(bytes, expected, "{}, {form}", kind.name());
        }
    }
}

/// What the demo proves when it is told nothing, and the key for it.
async fn demo() -> (Arc<ProvingKey>, Shape, RollupCircuit) {
    let shape = Shape::production(TRANSFERS + OTHERS, CELLS, OTHERS).unwrap();
    let key = key_of(shape);
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let genesis = State::genesis(DEPTH).root();
    let world = World::new(&anvil, &key.vk, &genesis, SEED).await.unwrap();
    let mut entries = Vec::new();
    for user in &world.users {
        entries.push(world.deposit(user).await.unwrap());
    }
    let story = Story::play(&world, &entries, TRANSFERS, SEED).unwrap();
    let batch = &story.batch;
    let circuit = circuit_of(shape, &story.before, &batch.header, &batch.operations).unwrap();
    let (published, _) = publish(&story, &circuit).unwrap();
    (key, shape, circuit.evaluate_at(published.challenge()))
}

/// A batch that the sequencer seals, with an operation of every kind in the smallest circuit that has room for them.
fn every_kind() -> (Shape, RollupCircuit) {
    let (token, fee) = (3, 1);
    // Two users and the operator have a balance each. All kinds but transfers leave a record.
    let options = RollupOptions::new(270, 0, 10, 3, 9, 1).unwrap();
    let mut rollup = Rollup::new(&options);
    let keys = [1, 2, 3].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let [alice, bob, new] = &keys;
    let owners = [[1; 20], [2; 20]];
    let (elsewhere, memo) = (Party::new([9; 20], 271), Scalar::from(77));
    let leg = Party {
        leg: Some(7),
        ..elsewhere
    };
    let queued = |rollup: &mut Rollup, kind, user: usize, account, amount, key: &SecretKey| {
        let key = key.public().coordinates();
        let words = match kind {
            Kind::Exit => [owner_word(&owners[user]), Scalar::ZERO, Scalar::ZERO],
            Kind::Take => [owner_word(&owners[user]), elsewhere.to_word(), memo],
            Kind::Return => [owner_word(&owners[user]), leg.to_word(), memo],
            _ => [owner_word(&owners[user]), key.x, key.y],
        };
        let record = Record {
            kind,
            account,
            token,
            amount,
            words,
        };
        let entry = QueueEntry {
            index: rollup.queue(),
            words: record.to_words().map(|word| word.to_bytes_be()),
        };
        let operation = rollup.from_queue(&entry).unwrap();
        assert!(rollup.fits(&operation));
        rollup.execute(&operation, None).unwrap();
    };
    queued(&mut rollup, Kind::Deposit, 0, 0, 1000, alice);
    queued(&mut rollup, Kind::Import, 1, 0, 500, bob);
    let [from, to] = owners.map(|owner| rollup.ledger().account_for(&owner));
    let hash = Scalar::from(0xb0d1e);
    let new = new.public().coordinates();
    let signed = [
        Operation::transfer(from, to, token, 50, fee, 0),
        Operation {
            words: [owner_word(&[9; 20]), Scalar::ZERO, Scalar::ZERO],
            ..Operation::new(Kind::Withdraw, from, token, 70, fee, 1)
        },
        Operation {
            words: [hash, owner_word(&owners[0]), Scalar::ZERO],
            ..Operation::new(Kind::Bundle, from, token, 20, fee, 2)
        },
        Operation {
            words: [Scalar::ZERO, new.x, new.y],
            ..Operation::new(Kind::SetKey, from, token, 0, fee, 3)
        },
        Operation {
            words: [elsewhere.to_word(), owner_word(&owners[0]), memo],
            ..Operation::new(Kind::Send, from, token, 30, fee, 4)
        },
    ];
    for operation in signed {
        let domain = options.domain();
        // The key is another one by then.
        let key = if operation.kind == Kind::Send {
            &keys[2]
        } else {
            alice
        };
        let operation = operation.sign(key, domain, &owners[0]).unwrap();
        let ticket = rollup.check(&operation).unwrap();
        assert!(rollup.fits(&operation));
        rollup.execute(&operation, Some(ticket)).unwrap();
    }
    queued(&mut rollup, Kind::Exit, 1, to, 0, bob);
    queued(&mut rollup, Kind::Take, 1, 0, 11, bob);
    queued(&mut rollup, Kind::Return, 0, 0, 12, alice);

    let sealed = rollup.seal().unwrap();
    let input = sealed.parts.iter().find(|(part, _)| *part == Part::Input);
    let input = BatchInput::from_bytes(&input.unwrap().1).unwrap();
    let mut kinds: Vec<u8> = input.operations.iter().map(|op| op.kind as u8).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, Kind::ALL.map(|kind| kind as u8));
    let shape = carillon_node::shape_of(&options).unwrap();
    (shape, carillon_node::circuit(shape, &input).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_every_kind_has_one_proof_on_every_engine() {
    let (shape, circuit) = every_kind();
    let key = key_of(shape);
    assert_same_proof(&key, shape, &circuit, &[EngineKind::SimModel]).await;
}

/// On the Verilated card too, if the build has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two proofs on the Verilated card: make soak"]
async fn soak_the_demos_batch_has_one_proof_on_every_engine() {
    let (key, shape, circuit) = demo().await;
    let cards = [EngineKind::SimModel, EngineKind::SimRtl];
    let cards: Vec<_> = cards.into_iter().filter(EngineKind::is_built).collect();
    assert_same_proof(&key, shape, &circuit, &cards).await;
}
