//! The twin of the tests with a trapdoor: each kind of record, made by the ledger from signed
//! operations and the queue, proved by the circuit, settled, and claimed.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U256};
use blstrs::Scalar;
use carillon_circuit::rollup::{Shape, circuit_of, setup, synthesize};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::{Ledger, Opened, State};
use carillon_protocol::{Domain, Header, Kind, Operation, Record, owner_word};
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{self, ProvingKey};
use carillon_settlement::abi::IRollupChain::BatchProof;
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::calls::{PublishedBatch, key_proof, messages, state_proof};
use carillon_settlement::deploy::{DeployOptions, Deployment};
use carillon_settlement::interop::{Bundle, InteropContract, Place};

use super::bridge::claim;
use super::common::batch::{domain, scalar, word};
use super::common::blob::Blob;
use super::common::world::{CHAIN_ID, World, name};

/// Number of the real circuit on L1; 1 is the trapdoor's.
const SHAPE: u32 = 2;
const ALICE: u128 = 1_000_000;
const BOB: u128 = 500;

fn shape() -> Shape {
    Shape::new(8, 4, 8, 12).unwrap()
}

struct Twin {
    world: World,
    key: Arc<ProvingKey>,
    ledger: Ledger,
    taken: u64,
}

impl Twin {
    /// Executes what waits in the queue on L1.
    async fn take_queue(&mut self) -> Vec<Kind> {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.world.l1.chain)
            .from_block(0);
        let logs = alloy::providers::Provider::get_logs(&self.world.provider, &filter);
        let mut kinds = Vec::new();
        for log in logs.await.unwrap() {
            let entry =
                <RollupChain::QueueEntry as alloy::sol_types::SolEvent>::decode_log(&log.inner);
            let Ok(entry) = entry else { continue };
            if entry.index < self.taken {
                continue;
            }
            let record = Record::from_words(&entry.words.map(scalar), 0).unwrap();
            let operation = self.ledger.from_queue(entry.index, &record).unwrap();
            self.ledger.execute(&operation).unwrap();
            kinds.push(operation.kind);
            self.taken += 1;
        }
        kinds
    }

    /// Closes the batch and makes the call that settles it, with its real proof.
    async fn close(&mut self) -> (Header, Blob, RollupChain::settleCall) {
        let before = self.ledger.state().clone();
        let Opened {
            operations,
            header,
            blob,
        } = self.ledger.close();
        let circuit = circuit_of(shape(), &before, &header, &operations).unwrap();
        let blob = Blob::new(&blob.iter().map(word).collect::<Vec<_>>());
        let published = PublishedBatch {
            chain_id: CHAIN_ID,
            shape: SHAPE,
            header: header.clone(),
            header_commitment: circuit.public_inputs.header_commitment,
            blob_commitment: circuit.public_inputs.blob_commitment,
            versioned_hash: blob.hash,
        };
        let z = published.challenge();
        let circuit = circuit.evaluate_at(z);
        let (y_b, kzg_proof) = blob.open(word(&z));
        assert_eq!(y_b, word(&circuit.public_inputs.blob_value));
        let engine = CpuEngine::new();
        let (proof, _) = groth16::prove_with(&engine, &self.key, || synthesize(circuit), &())
            .await
            .unwrap();
        let call = RollupChain::settleCall {
            batch: published.data(),
            proof: BatchProof {
                yB: y_b,
                kzgCommitment: blob.commitment.to_vec().into(),
                kzgProof: kzg_proof.to_vec().into(),
                proof: Bytes::copy_from_slice(&proof.to_eip2537()),
            },
            tails: vec![],
        };
        (header, blob, call)
    }

    async fn settle(&self, (header, blob, call): &(Header, Blob, RollupChain::settleCall)) {
        let chain = self.world.l1.chain;
        self.world.send_blob(0, chain, call, blob).await.unwrap();
        assert_eq!(self.world.root().await, word(&header.new_root));
    }

    async fn deposit(&self, user: usize, amount: u128, key: Option<&SecretKey>) {
        let owner = self.world.user(user);
        let call = SharedBridge::depositCall {
            chainId: CHAIN_ID,
            token: U256::ZERO,
            amount: U256::from(amount),
            owner,
            keyProof: key.map_or(vec![], |key| key_proof(key.public())),
        };
        let bridge = self.world.l1.bridge;
        let sent = self
            .world
            .send_value(owner, bridge, &call, U256::from(amount));
        sent.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_record_is_proved_settled_and_claimed() {
    let key = tokio::task::spawn_blocking(|| setup(shape()).unwrap());
    let key = Arc::new(key.await.unwrap());
    let genesis = word(&State::genesis(12).root());
    let vk = key.vk.clone();
    let world = World::with(90, genesis, |options| options.verifiers.push((SHAPE, vk))).await;
    let (operator, alice, bob, carol) =
        (world.user(0), world.user(1), world.user(2), world.user(3));
    let bridge = world.l1.bridge;
    // The chain's own word for what is signed.
    let chain_domain = RollupChain::domainCall {};
    let ours = world.view(world.l1.chain, &chain_domain).await.unwrap();
    assert_eq!(Domain::from_number(ours), world.domain());

    let mut twin = Twin {
        ledger: Ledger::new(world.domain(), 12, 0, operator.into()),
        world,
        key,
        taken: 0,
    };
    let keys = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    twin.deposit(1, ALICE, Some(&keys[0])).await;
    twin.deposit(2, BOB, None).await;
    twin.world.request_exit(bob, 2, 0).await.unwrap();
    let kinds = twin.take_queue().await;
    assert_eq!(kinds, [Kind::Deposit, Kind::Deposit, Kind::Exit]);

    // Alice pays Carol, changes her key, withdraws to the bridge (which a node that knows it
    // refuses), and signs a bundle whose time is over.
    let owner: [u8; 20] = alice.into();
    let account = twin.ledger.account_for(&owner);
    let place = Place {
        chain_id: CHAIN_ID,
        l1_chain_id: 31337,
        handler: twin.world.l1.handler,
    };
    let bundle = Bundle::new(place, alice, 0, 100_000, vec![]);
    let [_, _, w2, w3, w4] = bundle.record(account, 0, 300).unwrap().map(scalar);
    let new = keys[1].public().coordinates();
    let zero = Scalar::from(0);
    let to = |address: Address| [owner_word(&address.into()), zero, zero];
    let domain_here = twin.world.domain();
    for (nonce, (kind, amount, words, key)) in [
        (Kind::Withdraw, 1_000, to(carol), &keys[0]),
        (Kind::SetKey, 0, [zero, new.x, new.y], &keys[0]),
        (Kind::Withdraw, 700, to(bridge), &keys[1]),
        (Kind::Bundle, 300, [w2, w3, w4], &keys[1]),
    ]
    .into_iter()
    .enumerate()
    {
        let operation = Operation::new(kind, account, 0, amount, 2, nonce as u64);
        let operation = Operation { words, ..operation };
        let operation = operation.sign(key, domain_here, &owner).unwrap();
        let knowing = twin.ledger.clone().with_bridge(bridge.into());
        let refused = knowing.check(&operation).is_err();
        assert_eq!(refused, kind == Kind::Withdraw && amount == 700);
        twin.ledger.execute(&operation).unwrap();
    }
    let first = twin.close().await;
    let kinds: Vec<Kind> = first.0.records.iter().map(|record| record.kind).collect();
    assert_eq!(
        kinds[3..],
        [Kind::Withdraw, Kind::SetKey, Kind::Withdraw, Kind::Bundle]
    );

    // The same chain id under another hub, on the same L1, with the same key and genesis: neither
    // the batch nor what was signed for it is anything there.
    let options =
        DeployOptions::new(CHAIN_ID, &scalar(genesis)).verifier(SHAPE, twin.key.vk.clone());
    let second = Deployment::deploy(&twin.world.client, options)
        .await
        .unwrap();
    let theirs = twin.world.view(second.chain, &chain_domain).await.unwrap();
    assert_eq!(Domain::from_number(theirs), domain(second.hub, CHAIN_ID));
    assert_ne!(theirs, ours);
    let (_, blob, call) = &first;
    let refused = twin
        .world
        .try_blob(operator, second.chain, call, blob)
        .await;
    assert_eq!(name(refused), "WrongDomain");

    twin.settle(&first).await;
    let sent = messages(CHAIN_ID, &first.0);
    let [exited, withdrawn, stuck, bundled] = sent.as_slice() else {
        panic!("{} messages", sent.len())
    };
    for (message, to, amount) in [(exited, bob, BOB), (withdrawn, carol, 1_000)] {
        let before = twin.world.balance(to).await;
        // Anyone may bring it.
        let call = claim(message, to);
        twin.world.send(operator, bridge, &call).await.unwrap();
        assert_eq!(twin.world.balance(to).await - before, U256::from(amount));
    }
    let refused = twin.world.send(alice, bridge, &claim(stuck, bridge)).await;
    assert_eq!(name(refused), "RecipientCannotClaim");
    let proof = state_proof(&twin.ledger.state().prove(account, 0), 0).unwrap();
    let reclaim = SharedBridge::reclaimCall {
        message: stuck.clone(),
        proof,
        to: alice,
    };
    let before = twin.world.balance(alice).await;
    twin.world.send(operator, bridge, &reclaim).await.unwrap();
    assert_eq!(twin.world.balance(alice).await - before, U256::from(700));

    // The bundle comes back as an import, which the next batch executes.
    let handler = InteropContract::at(twin.world.client.clone(), twin.world.l1.handler);
    handler.cancel(bundled, &bundle).await.unwrap();
    assert_eq!(twin.take_queue().await, [Kind::Import]);
    let next = twin.close().await;
    twin.settle(&next).await;
    let spent = 1_000 + 700 + 4 * 2;
    assert_eq!(twin.ledger.account(account).balance(0), ALICE - spent);
    assert_eq!(twin.world.escrow(0).await, U256::from(ALICE - 1_700));
}
