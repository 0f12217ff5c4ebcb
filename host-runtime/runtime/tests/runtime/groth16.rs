//! Groth16 on the CPU engine against independent truth: bellman 0.14 proves with our keys and
//! verifies our proofs, arkworks verifies our proofs, and what is wrong is refused.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bellman::groth16 as bellman16;
use bellpepper_core::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::{Bls12, Scalar};
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{
    Groth16Error, HBasis, KeyOrigin, Proof, VerifyingKey, prove, prove_assignment, setup, setup_in,
    synthesize, verify, verify_batch,
};
use carillon_runtime::image;
use carillon_workload::SquareChain;
use ff::Field;

use super::common::{BellmanChain, arkworks_accepts, bellman_accepts, bellman_parameters, rng};

async fn proof_of(
    log2: u32,
    seed: u64,
) -> (
    Arc<carillon_runtime::groth16::ProvingKey>,
    Proof,
    Vec<Scalar>,
) {
    let key = Arc::new(setup(SquareChain::blank(log2), &mut rng(seed)).unwrap());
    let circuit = SquareChain::with_witness(log2, seed);
    let inputs = vec![circuit.end().unwrap()];
    let (proof, report) = prove(&CpuEngine::new(), &key, circuit, &()).await.unwrap();
    assert_eq!(report.engine, "cpu");
    assert_eq!(report.domain_log2, log2);
    assert!(report.card.is_none());
    (key, proof, inputs)
}

#[tokio::test]
async fn proofs_pass_our_verifier_bellman_and_arkworks() {
    for log2 in [2, 3, 7] {
        let (key, proof, inputs) = proof_of(log2, u64::from(log2)).await;
        verify(&key.vk, &inputs, &proof).unwrap();
        assert!(bellman_accepts(&key.vk, &inputs, &proof));
        assert!(arkworks_accepts(&key.vk, &inputs, &proof));
        let wrong = vec![inputs[0] + Scalar::ONE];
        assert!(matches!(
            verify(&key.vk, &wrong, &proof),
            Err(Groth16Error::InvalidProof)
        ));
        assert!(!bellman_accepts(&key.vk, &wrong, &proof));
        assert!(!arkworks_accepts(&key.vk, &wrong, &proof));
    }
}

#[test]
fn bellman_proves_with_our_key() {
    let key = setup_in(HBasis::Powers, SquareChain::blank(6), &mut rng(6)).unwrap();
    let circuit = SquareChain::with_witness(6, 1);
    let inputs = vec![circuit.end().unwrap()];
    let params = bellman_parameters(&key);
    let theirs =
        bellman16::create_random_proof(BellmanChain(circuit), &params, &mut rng(2)).unwrap();
    let mut bytes = Vec::new();
    theirs.write(&mut bytes).unwrap();
    let ours = Proof::from_bytes(&bytes).unwrap();
    verify(&key.vk, &inputs, &ours).unwrap();
    assert_eq!(ours.to_bytes()[..], bytes[..]);
}

/// The basis of the H query changes neither the verifying key nor, with the same blinding, a byte of a proof.
#[tokio::test]
async fn both_bases_of_the_h_query_give_the_same_proof() {
    for log2 in [1, 2, 3, 6, 9] {
        let mut proofs = Vec::new();
        for basis in [HBasis::Powers, HBasis::Odd] {
            let key = setup_in(basis, SquareChain::blank(log2), &mut rng(6)).unwrap();
            assert_eq!(key.h.len(), basis.points(key.shape.domain()));
            let key = Arc::new(key);
            let assignment = Arc::new(synthesize(SquareChain::with_witness(log2, 5)).unwrap());
            let engine = CpuEngine::new();
            let proof = prove_assignment(&engine, &key, &assignment, &mut rng(7), &()).await;
            proofs.push((key.vk.to_bytes(), proof.unwrap().0.to_bytes()));
        }
        assert_eq!(proofs[0], proofs[1], "2^{log2}");
    }
}

#[tokio::test]
async fn proving_twice_gives_different_proofs() {
    let key = Arc::new(setup(SquareChain::blank(3), &mut rng(3)).unwrap());
    let engine = CpuEngine::new();
    let (one, _) = prove(&engine, &key, SquareChain::with_witness(3, 1), &())
        .await
        .unwrap();
    let (two, _) = prove(&engine, &key, SquareChain::with_witness(3, 1), &())
        .await
        .unwrap();
    assert_ne!(one, two, "proofs must be blinded");
}

#[test]
fn setup_is_deterministic_and_marked_insecure() {
    let key = |seed| setup(SquareChain::blank(4), &mut rng(seed)).unwrap();
    let (one, same, other) = (key(1), key(1), key(2));
    assert_eq!(one.vk, same.vk);
    assert_eq!(one.b2[..], same.b2[..]);
    assert_ne!(one.vk, other.vk);
    assert_eq!(one.circuit, other.circuit);
    assert_eq!(one.origin, KeyOrigin::InsecureDevelopment);
    assert!(one.origin.to_string().contains("INSECURE"));
    assert_ne!(
        one.circuit,
        setup(SquareChain::blank(5), &mut rng(1)).unwrap().circuit
    );
}

#[tokio::test]
async fn tampered_proofs_are_refused() {
    let (key, proof, inputs) = proof_of(3, 9).await;
    let tampered = [
        Proof {
            a: -proof.a,
            ..proof.clone()
        },
        Proof {
            b: -proof.b,
            ..proof.clone()
        },
        Proof {
            c: proof.a,
            ..proof.clone()
        },
    ];
    for proof in tampered {
        let error = verify(&key.vk, &inputs, &proof).unwrap_err();
        assert!(matches!(error, Groth16Error::InvalidProof));
        assert!(!bellman_accepts(&key.vk, &inputs, &proof));
    }
    let error = verify(&key.vk, &[], &proof).unwrap_err();
    assert!(matches!(
        error,
        Groth16Error::PublicInputs {
            found: 0,
            expected: 1
        }
    ));
}

#[tokio::test]
async fn a_batch_holds_only_if_all_proofs_hold() {
    let key = Arc::new(setup(SquareChain::blank(3), &mut rng(3)).unwrap());
    let engine = CpuEngine::new();
    let mut proofs = Vec::new();
    for seed in 0..3 {
        let circuit = SquareChain::with_witness(3, seed);
        let inputs = vec![circuit.end().unwrap()];
        proofs.push((inputs, prove(&engine, &key, circuit, &()).await.unwrap().0));
    }
    let batch = |proofs: &[(Vec<Scalar>, Proof)]| {
        let refs: Vec<_> = proofs
            .iter()
            .map(|(inputs, proof)| (&inputs[..], proof))
            .collect();
        verify_batch(&key.vk, &refs, &mut rng(0))
    };
    batch(&proofs).unwrap();
    batch(&[]).unwrap();
    proofs[1].0[0] += Scalar::ONE;
    assert!(matches!(batch(&proofs), Err(Groth16Error::InvalidProof)));
}

#[test]
fn verifying_keys_are_encoded_as_bellman_does() {
    let key = setup(SquareChain::blank(3), &mut rng(3)).unwrap();
    let bytes = key.vk.to_bytes();
    let theirs = bellman16::VerifyingKey::<Bls12>::read(&bytes[..]).unwrap();
    let mut back = Vec::new();
    theirs.write(&mut back).unwrap();
    assert_eq!(bytes, back);
    assert_eq!(VerifyingKey::from_bytes(&bytes).unwrap(), key.vk);
    assert!(VerifyingKey::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(VerifyingKey::from_bytes(&bytes[..100]).is_err());
    let mut off_curve = bytes.clone();
    off_curve[95] ^= 1;
    let error = VerifyingKey::from_bytes(&off_curve)
        .unwrap_err()
        .to_string();
    assert!(error.contains("alpha_g1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proving_can_be_spawned() {
    let key = Arc::new(setup(SquareChain::blank(3), &mut rng(3)).unwrap());
    let job = async move {
        let engine = CpuEngine::new();
        prove(&engine, &key, SquareChain::with_witness(3, 1), &())
            .await
            .map(|(proof, _)| proof)
    };
    tokio::spawn(job).await.unwrap().unwrap();
}

/// x^2 = 4 and x * y = 6, in nested namespaces; the witness decides whether it holds.
struct Nested {
    x: u64,
    y: u64,
}

impl Circuit<Scalar> for Nested {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let x = cs.alloc(|| "x", || Ok(Scalar::from(self.x)))?;
        let y = cs.alloc_input(|| "y", || Ok(Scalar::from(self.y)))?;
        let mut outer = cs.namespace(|| "outer");
        outer.enforce(
            || "square",
            |lc| lc + x,
            |lc| lc + x,
            |lc| lc + (Scalar::from(4), CS::one()),
        );
        let mut inner = outer.namespace(|| "inner");
        inner.enforce(
            || "product",
            |lc| lc + x,
            |lc| lc + y,
            |lc| lc + (Scalar::from(6), CS::one()),
        );
        Ok(())
    }
}

#[tokio::test]
async fn an_unsatisfied_witness_names_the_constraint() {
    let key = Arc::new(setup(Nested { x: 0, y: 0 }, &mut rng(1)).unwrap());
    let engine = CpuEngine::new();
    let run = async |x, y| prove(&engine, &key, Nested { x, y }, &()).await;
    run(2, 3).await.unwrap();
    for (x, y, name, position) in [(2, 4, "outer/inner/product", 1), (3, 2, "outer/square", 0)] {
        match run(x, y).await.unwrap_err() {
            Groth16Error::Unsatisfied { constraint, index } => {
                assert_eq!((constraint.as_str(), index), (name, position));
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_key_of_another_circuit_is_refused() {
    let key = Arc::new(setup(SquareChain::blank(3), &mut rng(3)).unwrap());
    let error = prove(
        &CpuEngine::new(),
        &key,
        SquareChain::with_witness(4, 1),
        &(),
    )
    .await
    .unwrap_err();
    assert!(matches!(
        error,
        Groth16Error::CircuitMismatch {
            what: "constraints",
            found: 14,
            expected: 6
        }
    ));
}

#[tokio::test]
async fn a_faulty_computation_is_never_released() {
    // A key whose H query is wrong stands for any engine that computes wrongly.
    let mut key = setup(SquareChain::blank(3), &mut rng(3)).unwrap();
    let mut h = key.h.to_vec();
    h.swap(0, 1);
    key.h = h.into();
    let error = prove(
        &CpuEngine::new(),
        &Arc::new(key),
        SquareChain::with_witness(3, 1),
        &(),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&error, Groth16Error::FaultyProof { engine } if engine == "cpu"),
        "{error}"
    );
}

#[tokio::test]
async fn a_circuit_without_a_witness_is_refused() {
    let key = Arc::new(setup(SquareChain::blank(3), &mut rng(3)).unwrap());
    let error = prove(&CpuEngine::new(), &key, SquareChain::blank(3), &())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        Groth16Error::Synthesis(SynthesisError::AssignmentMissing)
    ));
}

/// Set in the process that proves and is then looked into.
const CHILD: &str = "CARILLON_TEST_SECRETS";
/// Of its blinding factors.
const BLINDING: u64 = 99;

/// Nothing of a proof's secrets is left in the memory of a process once the proof is there: not the
/// witness, not the blinding factors. Another process looks, which no optimisation can fool.
#[tokio::test]
async fn a_proof_leaves_no_secrets_in_memory() {
    const LOG2: u32 = 8;
    if std::env::var_os(CHILD).is_some() {
        let key = Arc::new(setup(SquareChain::blank(LOG2), &mut rng(8)).unwrap());
        let assignment = Arc::new(synthesize(SquareChain::with_witness(LOG2, 8)).unwrap());
        let engine = CpuEngine::new();
        let made = prove_assignment(&engine, &key, &assignment, &mut rng(BLINDING), &()).await;
        made.unwrap();
        let debug = format!("{assignment:?}");
        assert!(debug.len() < 200, "{debug}");
        // The parent looks at both moments.
        pause("before");
        drop(assignment);
        pause("after");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "groth16::a_proof_leaves_no_secrets_in_memory",
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut input = child.stdin.take().unwrap();
    let mut reach = |mark: &str| {
        let end = format!("pause {mark}");
        assert!(lines.any(|line| line.unwrap().contains(&end)), "{mark}");
    };
    // Only this process computes them once more.
    let start = SquareChain::with_witness(LOG2, 8).start().unwrap();
    let witness = std::iter::successors(Some((start, 0)), |(x, round)| {
        Some((x.square() + Scalar::from(*round), round + 1))
    });
    let mut secrets: Vec<_> = witness.map(|(x, _)| x).skip(2).take(200).collect();
    let mut blinding = rng(BLINDING);
    secrets.extend([Scalar::random(&mut blinding), Scalar::random(&mut blinding)]);
    let images: HashSet<[u8; 32]> = secrets
        .iter()
        .flat_map(|secret| [image_of(secret), secret.to_bytes_le()])
        .collect();

    reach("before");
    let held = found(child.id(), &images);
    assert!(
        held >= 200,
        "the search finds the witness while it is held: {held}"
    );
    writeln!(input).unwrap();
    reach("after");
    assert_eq!(found(child.id(), &images), 0);
    writeln!(input).unwrap();
    assert!(child.wait().unwrap().success());
}

fn pause(mark: &str) {
    println!("\npause {mark}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn image_of(scalar: &Scalar) -> [u8; 32] {
    image::bytes(std::slice::from_ref(scalar))
        .try_into()
        .unwrap()
}

/// How many values of `images` lie in the writable memory of a process, counted with repetition.
fn found(pid: u32, images: &HashSet<[u8; 32]>) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut count = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        // What was never touched cannot be read as one piece, nor does it hold anything.
        let mut piece = vec![0; 1 << 16];
        for at in (from..to).step_by(piece.len()) {
            let length = piece.len().min((to - at) as usize);
            if memory.read_exact_at(&mut piece[..length], at).is_err() {
                continue;
            }
            // Scalars are aligned to 8 bytes, bytes of them to nothing.
            let windows = piece[..length].windows(32);
            count += windows.filter(|bytes| images.contains(*bytes)).count();
        }
    }
    count
}
