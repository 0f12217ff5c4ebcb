//! The node's encodings, the independent ones of these tests, and the contracts agree.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolValue;
use blstrs::Scalar;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger;
use carillon_protocol::{Header, Kind, Record, owner_word};
use carillon_settlement::abi::state::StateVerifier;
use carillon_settlement::calls::{PublishedBatch, messages, state_proof};

use super::bridge::claim;
use super::common::batch::{masked, scalar, word};
use super::common::blob::Blob;
use super::common::state::{Account, State};
use super::common::world::{CHAIN_ID, World};

fn rollup_record(kind: Kind, account: u32, token: u8, amount: u128, owner: Address) -> Record {
    Record {
        kind,
        account,
        token,
        amount,
        words: [owner_word(&owner.0.0), Scalar::from(0), Scalar::from(0)],
    }
}

#[tokio::test]
async fn a_batch_of_the_node_settles_and_its_messages_are_paid() {
    let mut world = World::new(70, U256::from(1)).await;
    let alice = world.user(1);
    world.deposit_eth(alice, 1000).await.unwrap();
    let records = vec![
        rollup_record(Kind::Deposit, 5, 0, 1000, alice),
        rollup_record(Kind::Withdraw, 5, 0, 0, alice),
        rollup_record(Kind::Withdraw, 5, 0, 30, alice),
        rollup_record(Kind::Bundle, 5, 0, 0, alice),
        rollup_record(Kind::SetKey, 5, 0, 0, Address::ZERO),
        rollup_record(Kind::Withdraw, 5, 0, 40, alice),
    ];
    let mut batch = world.batch(
        1,
        [1, 2],
        records
            .iter()
            .map(|r| r.to_words().map(|w| word(&w)))
            .collect(),
    );
    batch.blob = Blob::new(&[U256::from(9)]);
    let header = Header {
        domain: world.domain(),
        batch_number: 1,
        operator: 0,
        old_root: Scalar::from(1),
        new_root: Scalar::from(2),
        records,
    };
    let published = PublishedBatch {
        chain_id: CHAIN_ID,
        shape: 1,
        header: header.clone(),
        header_commitment: scalar(batch.c_h),
        blob_commitment: scalar(batch.c_b),
        versioned_hash: batch.blob.hash,
    };
    assert_eq!(published.data().abi_encode(), batch.data().abi_encode());
    assert_eq!(published.stored(3, 9), batch.stored(3, 9));
    for record in &header.records {
        let words = record.to_words().map(|w| word(&w));
        assert_eq!(
            record.to_queue_words().map(|w| word(&w)),
            masked(&words),
            "{record:?}"
        );
    }
    world.settle(&batch).await.unwrap();
    let messages = messages(CHAIN_ID, &header);
    let places: Vec<_> = messages.iter().map(|m| m.k.to::<usize>()).collect();
    assert_eq!(places, [2, 3, 5]);
    for k in [0, 2] {
        let call = claim(&messages[k], alice);
        world.send(alice, world.l1.bridge, &call).await.unwrap();
    }
    assert_eq!(world.escrow(0).await, U256::from(930));
}

#[tokio::test]
async fn state_proofs_of_the_node_are_those_of_l1() {
    let world = World::new(71, U256::from(1)).await;
    let alice = world.user(1);
    let key = *SecretKey::from_seed(&[1; 32]).public();
    let balances: BTreeMap<u8, u128> = [(0, 5), (17, (1 << 96) - 1), (63, 1)].into();
    let mut native = ledger::State::genesis(12);
    let mut independent = State::default();
    assert_eq!(word(&native.root()), independent.root());
    for (index, nonce) in [(0u32, 0u32), (77_777, u32::MAX), ((1 << 24) - 1, 3)] {
        native.update([(
            index,
            ledger::Account {
                key: Some(key),
                nonce,
                owner: alice.0.0,
                balances: balances.clone(),
            },
        )]);
        let point = key.coordinates();
        independent.0.insert(
            index,
            Account {
                key: [word(&point.x), word(&point.y)],
                nonce,
                owner: alice,
                balances: balances.clone(),
            },
        );
    }
    assert_eq!(word(&native.root()), independent.root());
    for (account, token) in [
        (0, 0),
        (77_777, 17),
        ((1 << 24) - 1, 63),
        (77_777, 16),
        (5, 5),
    ] {
        let proof = state_proof(&native.prove(account, token), token).unwrap();
        assert_eq!(proof, independent.proof(account, token));
        let call = StateVerifier::rootOfCall {
            proof: SolValue::abi_decode(&proof.abi_encode()).unwrap(),
        };
        let root = world.view(world.l1.state_verifier, &call).await.unwrap();
        assert_eq!(root, word(&native.root()), "cell {account}, {token}");
    }
    let shallow = ledger::State::genesis(4);
    assert!(state_proof(&shallow.prove(0, 0), 0).is_none());
}
