//! What a chain pays for its batch when many settle at once, from real transactions on anvil.

use alloy::consensus::{SignableTransaction, TxEip4844, TxEip4844WithSidecar, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::eips::eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant};
use alloy::primitives::{Bytes, U256};
use alloy::providers::Provider;
use alloy::signers::SignerSync;
use alloy::sol_types::SolCall;
use carillon_settlement::MAX_TRANSACTION_GAS;
use carillon_settlement::gateway::settle_many;

use super::common::batch::{Record, record};
use super::common::blob::Blob;
use super::network::Network;

/// Gas of a validium chain's batch when 32 of them settle at once: without records, and with one of each: a withdrawal,
/// a send to the next chain and a take from the one before.
const PINNED_EMPTY: u64 = 131_969;
const PINNED: u64 = 263_698;
/// The same of a chain with blobs when 16 of them settle, without its commitment.
const PINNED_ROLLUP: u64 = 310_816;
const SIZES: [usize; 6] = [1, 2, 4, 8, 16, 32];

async fn ring(seed: u64, chains: usize, validium: bool) -> Network {
    let net = Network::with(seed, chains, 1_000_000, |options| {
        options.validium = validium;
    })
    .await;
    for at in 0..chains {
        let next = (at + 1) % chains;
        if next != at {
            net.set_lane(at, next, true).await;
            net.set_lane(next, at, true).await;
        }
    }
    net
}

/// What each of the first `count` chains does: nothing, or a withdrawal, a send to the next, a take of what the one
/// before sends in the same transaction.
fn batches(net: &Network, count: usize, full: bool) -> Vec<(usize, Vec<Record>)> {
    let records = |at: usize| {
        if !full {
            return vec![];
        }
        let entry = net.entry(true, 100, 7);
        let (before, next) = ((at + count - 1) % count, (at + 1) % count);
        let to = super::common::batch::address_word(net.world.user(3));
        vec![
            record(3, 5, net.sides[at].slot, 10, to),
            net.sends(at, next, &entry),
            net.takes(before, at, &entry),
        ]
    };
    (0..count).map(|at| (at, records(at))).collect()
}

/// Settles these chains' next batches at once; returns the gas of the gateway's transaction, and of all commitments.
async fn settle(net: &mut Network, count: usize, full: bool) -> (u64, u64) {
    let mut members = Vec::new();
    let mut committed = 0;
    for (at, records) in batches(net, count, full) {
        let batch = net.batch(at, records);
        members.push(match batch.validium {
            true => net.signed(at, &batch),
            false => {
                let (member, gas) = net.committed_for(at, &batch).await;
                committed += gas;
                member
            }
        });
        net.sides[at].number += 1;
        net.sides[at].root += 1;
    }
    let receipt = net.settle_many(&members, vec![]).await.unwrap();
    (receipt.gas_used, committed)
}

/// Lanes between the last and the first of fewer chains, too.
async fn close_rings(net: &Network) {
    for count in SIZES.into_iter().filter(|count| *count > 2) {
        if count < net.sides.len() {
            net.set_lane(count - 1, 0, true).await;
            net.set_lane(0, count - 1, true).await;
        }
    }
}

#[tokio::test]
async fn many_chains_settle_for_what_the_page_says() {
    let mut net = ring(330, 32, true).await;
    close_rings(&net).await;
    println!(
        "validium chains at once | without records: gas a chain | with a withdrawal, a send, a take"
    );
    // Storage that is written for the first time is not what a chain pays for every batch.
    for size in SIZES {
        settle(&mut net, size, true).await;
    }
    let mut at_32 = [0; 2];
    for size in SIZES {
        let mut share = [0; 2];
        for full in [false, true] {
            let (gas, _) = settle(&mut net, size, full).await;
            assert!(gas < MAX_TRANSACTION_GAS, "{gas}");
            share[usize::from(full)] = gas / size as u64;
        }
        println!("{size:>23} | {:>28} | {:>33}", share[0], share[1]);
        at_32 = share;
    }
    near(at_32[0], PINNED_EMPTY);
    near(at_32[1], PINNED);
}

#[tokio::test]
async fn chains_with_blobs_commit_and_settle_for_what_the_page_says() {
    let mut net = ring(331, 16, false).await;
    close_rings(&net).await;
    println!("chains with blobs | commitment | at once: with a withdrawal, a send, a take");
    for size in SIZES.into_iter().filter(|size| *size <= 16) {
        settle(&mut net, size, true).await;
    }
    let mut last = 0;
    for size in SIZES.into_iter().filter(|size| *size <= 16) {
        let (gas, committed) = settle(&mut net, size, true).await;
        assert!(gas < MAX_TRANSACTION_GAS, "{gas}");
        last = gas / size as u64;
        println!("{size:>17} | {:>10} | {last}", committed / size as u64);
    }
    near(last, PINNED_ROLLUP);
}

fn near(measured: u64, pinned: u64) {
    let off = measured.abs_diff(pinned);
    assert!(off * 100 <= pinned * 3, "{measured} gas, {pinned} expected");
}

/// How many blobs a transaction may carry: chains that want to bring theirs with the gateway's are so many at most, so
/// they commit first.
#[tokio::test]
async fn a_transaction_carries_six_blobs() {
    let net = Network::with(332, 1, 0, |_| {}).await;
    let signer = &net.world.anvil.signers()[0];
    let call = settle_many(&[], vec![]);
    let zero = Blob::zero();
    let mut taken = Vec::new();
    for blobs in [1usize, 6, 7] {
        let many = |one: &BlobTransactionSidecarEip7594| {
            BlobTransactionSidecarEip7594::new(
                vec![one.blobs[0]; blobs],
                vec![one.commitments[0]; blobs],
                one.cell_proofs.repeat(blobs),
            )
        };
        let nonce = net.world.provider.get_transaction_count(signer.address());
        let tx = TxEip4844 {
            chain_id: 31337,
            nonce: nonce.await.unwrap(),
            gas_limit: 300_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: net.world.l1.gateway,
            value: U256::ZERO,
            access_list: Default::default(),
            blob_versioned_hashes: vec![zero.hash; blobs],
            max_fee_per_blob_gas: 1_000_000_000,
            input: Bytes::from(call.abi_encode()),
        };
        let sidecar = BlobTransactionSidecarVariant::Eip7594(many(&zero.sidecar));
        let tx = TxEip4844WithSidecar::from_tx_and_sidecar(tx, sidecar);
        let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let envelope: TxEnvelope = tx.into_signed(signature).into();
        let raw = envelope.encoded_2718();
        let sent = net.world.provider.send_raw_transaction(&raw).await;
        if let Err(error) = &sent {
            assert!(error.to_string().contains("too many blobs"), "{error}");
        }
        taken.push((blobs, sent.is_ok()));
    }
    let most = taken
        .iter()
        .filter(|(_, ok)| *ok)
        .map(|(blobs, _)| *blobs)
        .max();
    assert_eq!(most, Some(6), "{taken:?}");
}
