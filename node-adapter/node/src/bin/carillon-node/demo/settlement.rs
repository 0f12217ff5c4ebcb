//! From the proof to Ethereum: forgeries that must be refused, the settlement through the L1 sender,
//! the replay that must be refused, then what the users do with it.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, TxHash, U256};
use alloy::sol_types::SolCall;
use blstrs::G1Projective;
use carillon_circuit::rollup::RollupCircuit;
use carillon_protocol::Record;
use carillon_runtime::groth16::Proof;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::{PublishedBatch, messages};
use carillon_settlement::interop::{InteropContract, Ran, ran};
use carillon_settlement::sender::{
    FeePolicy, Intent, Journal, NodePort, Policy, Port, PortError, Sender, Status,
};
use carillon_settlement::{
    Anvil, BatchBlob, Executed, GasLimit, Refusal, progress, settle_intent, state_root,
};
use group::{Curve, Group};

use super::figures::{BUNDLED, CHAIN_ID, GIVEN, WITHDRAWN};
use super::story::Story;
use super::world::{SHAPE, World, entries};
use crate::exit::Failure;
use carillon_cli::Output;

/// How long the settlement may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A forgery that the contract refused in simulation; nothing was sent.
#[derive(Debug)]
pub struct Refused {
    /// What was forged.
    pub what: &'static str,
    /// The contract's reason.
    pub reason: Refusal,
}

/// The settled batch.
#[derive(Debug)]
pub struct Settled {
    /// The transaction.
    pub transaction: TxHash,
    /// Its block.
    pub block: u64,
    /// Its gas.
    pub gas: u64,
    /// The blob.
    pub versioned_hash: B256,
    /// Words of H.
    pub header_words: usize,
    /// Forgeries, all refused.
    pub refused: Vec<Refused>,
}

/// What the users did on Ethereum with the settled batch.
#[derive(Debug)]
pub struct Afterwards {
    /// Gas of Bob's claim.
    pub claim_gas: u64,
    /// Gas of Alice's bundle.
    pub bundle_gas: u64,
    /// Alice's alias account.
    pub alias: Address,
    /// Entries that the bundle put into the queue of the rollup.
    pub entries: usize,
}

/// The batch as it is published.
pub fn publish(
    story: &Story,
    circuit: &RollupCircuit,
) -> Result<(PublishedBatch, BatchBlob), Failure> {
    let blob = BatchBlob::new(&story.batch.blob)?;
    let published = PublishedBatch {
        chain_id: CHAIN_ID,
        shape: SHAPE,
        header: story.batch.header.clone(),
        header_commitment: circuit.public_inputs.header_commitment,
        blob_commitment: circuit.public_inputs.blob_commitment,
        versioned_hash: blob.versioned_hash(),
    };
    Ok((published, blob))
}

/// Tries forgeries, settles, tries a replay.
pub async fn settle(
    output: &Output,
    anvil: &Anvil,
    world: &World,
    (published, blob): (&PublishedBatch, &BatchBlob),
    proof: &Proof,
) -> Result<Settled, Failure> {
    let port = NodePort::new(anvil.url(), Duration::from_secs(10))?;
    let operator = world.operator.address();
    let chain = world.l1.chain;
    let good = settle_intent(chain, published, blob, proof)?;

    let step = output.step("forgeries");
    let mut refused = Vec::new();
    let tampered = Proof {
        c: (proof.c + G1Projective::generator()).to_affine(),
        ..proof.clone()
    };
    let tampered = settle_intent(chain, published, blob, &tampered)?;
    refused.push(
        refuse(
            &port,
            operator,
            "a tampered proof",
            "ProofInvalid",
            (&tampered, blob),
        )
        .await?,
    );
    let mut richer = published.clone();
    richer.header.new_root += blstrs::Scalar::from(1);
    let richer = settle_intent(chain, &richer, blob, proof)?;
    refused.push(
        refuse(
            &port,
            operator,
            "a false new root",
            "ProofInvalid",
            (&richer, blob),
        )
        .await?,
    );
    let mut skipped = published.clone();
    skipped.header.records.remove(0);
    let skipped = settle_intent(chain, &skipped, blob, proof)?;
    refused.push(
        refuse(
            &port,
            operator,
            "a deposit left out",
            "QueueMismatch",
            (&skipped, blob),
        )
        .await?,
    );
    let other = BatchBlob::new(&[blstrs::Scalar::from(7)])?;
    refused.push(
        refuse(
            &port,
            operator,
            "another blob",
            "NotTheBlobsCommitment",
            (&good, &other),
        )
        .await?,
    );
    step.done("all refused by the contract");

    let step = output.step("settlement");
    let transaction = send(anvil, world, good.clone()).await?;
    let receipt = world.operator.mined(transaction).await?.ok_or_else(|| {
        Failure::wrong_result(format!("transaction {transaction} has no receipt"))
    })?;
    let done = progress(&world.operator, chain).await?;
    let number = published.header.batch_number;
    let root = state_root(&world.operator, chain).await?;
    let expected = U256::from_be_bytes(published.header.new_root.to_bytes_be());
    if done.executed != number || root != expected {
        return Err(Failure::wrong_result(format!(
            "the contract is at batch {} with root {root:#066x}, the ledger at batch {number} with root {expected:#066x}",
            done.executed
        )));
    }
    step.done(&format!("transaction {transaction}"));

    let step = output.step("replay");
    let replay = refuse(
        &port,
        operator,
        "a replayed batch",
        "BatchAlreadyCommitted",
        (&good, blob),
    );
    refused.push(replay.await?);
    step.done("refused by the contract");
    Ok(Settled {
        transaction,
        block: receipt.block_number.unwrap_or_default(),
        gas: receipt.gas_used,
        versioned_hash: published.versioned_hash,
        header_words: published.header.to_words().len(),
        refused,
    })
}

/// Bob claims his withdrawal; Alice's bundle runs.
pub async fn afterwards(
    output: &Output,
    world: &World,
    story: &Story,
) -> Result<Afterwards, Failure> {
    let [_, bob] = &world.users;
    let sent = messages(CHAIN_ID, &story.batch.header);
    let [withdrawal, bundle] = sent.as_slice() else {
        return Err(Failure::wrong_result(format!(
            "{} messages instead of two",
            sent.len()
        )));
    };
    let step = output.step("withdrawal");
    let before = world.operator.balance(bob.owner()).await?;
    let claim = SharedBridge::claimCall {
        message: withdrawal.clone(),
        to: bob.owner(),
    };
    // By the operator's key, so that Bob's balance moves by the withdrawal alone.
    let (to, input) = (Some(world.l1.bridge), claim.abi_encode().into());
    let mined = world
        .operator
        .transact("the claim", to, input, GasLimit::Estimate)
        .await?;
    let paid = world.operator.balance(bob.owner()).await? - before;
    expect("Bob's withdrawal", paid, WITHDRAWN)?;
    let claim_gas = mined.receipt.gas_used;
    step.done("Bob is paid on Ethereum");

    let step = output.step("bundle");
    let handler = InteropContract::at(world.operator.clone(), world.l1.handler);
    let mined = handler
        .execute_with(bundle, &story.bundle, GasLimit::Estimate)
        .await?;
    let Ran::Executed { account: alias, .. } = ran(world.l1.handler, &mined)? else {
        return Err(Failure::wrong_result(
            "the bundle failed on Ethereum".into(),
        ));
    };
    expect(
        "the payment of the bundle",
        world.operator.balance(world.third_party).await?,
        GIVEN,
    )?;
    let entries: Vec<(u64, Record)> = entries(&mined)?;
    let back: u128 = entries.iter().map(|(_, record)| record.amount).sum();
    expect(
        "what the bundle brings back to the rollup",
        U256::from(back),
        BUNDLED - GIVEN,
    )?;
    step.done("one L2 signature: a deposit, a payment, the rest back to the rollup");
    Ok(Afterwards {
        claim_gas,
        bundle_gas: mined.receipt.gas_used,
        alias,
        entries: entries.len(),
    })
}

fn expect(what: &str, found: U256, expected: u128) -> Result<(), Failure> {
    if found == U256::from(expected) {
        return Ok(());
    }
    Err(Failure::wrong_result(format!(
        "{what} is {found} wei instead of {expected}"
    )))
}

/// Sends the intent through the L1 sender and waits until it is in effect.
async fn send(anvil: &Anvil, world: &World, intent: Intent) -> Result<TxHash, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Settlement(error.to_string());
    let journal = Journal::in_memory().map_err(|error| failed(&error))?;
    let policy = Policy {
        confirmations: 0,
        poll: Duration::from_millis(20),
        fees: FeePolicy::default(),
        ..Policy::default()
    };
    let outcome = Executed {
        client: world.operator.clone(),
    };
    let port = NodePort::new(anvil.url(), Duration::from_secs(10))?;
    let mut sender = Sender::open(port, outcome, world.operator_key.clone(), journal, policy)
        .await
        .map_err(|error| failed(&error))?;
    let id = intent.id.clone();
    sender.enqueue(intent).map_err(|error| failed(&error))?;
    let started = Instant::now();
    loop {
        let wake = sender
            .tick(started.elapsed())
            .await
            .map_err(|error| failed(&error))?;
        for event in sender.take_events() {
            tracing::debug!(?event, "L1 sender");
        }
        if let Some(Status::Closed(done)) = sender.status(&id).map_err(|error| failed(&error))? {
            let transaction = done.transaction;
            return transaction.ok_or_else(|| {
                Failure::wrong_result(
                    "the batch was settled by a transaction of another account".into(),
                )
            });
        }
        if started.elapsed() > PATIENCE {
            return Err(Failure::Settlement(format!(
                "the batch is not settled after {} s",
                PATIENCE.as_secs()
            )));
        }
        let pause = wake.saturating_sub(started.elapsed());
        tokio::time::sleep(pause.min(Duration::from_millis(50))).await;
    }
}

/// Simulates a forgery and expects it to be refused for the reason named.
async fn refuse(
    port: &NodePort,
    operator: Address,
    what: &'static str,
    expected: &'static str,
    (intent, blob): (&Intent, &BatchBlob),
) -> Result<Refused, Failure> {
    let fees = FeePolicy::default().cap;
    match port
        .simulate(operator, intent, &[blob.versioned_hash()], Some(fees))
        .await
    {
        Err(PortError::Refused(reason)) if reason.name() == expected => {
            Ok(Refused { what, reason })
        }
        Err(PortError::Refused(reason)) => Err(Failure::wrong_result(format!(
            "the contract refused {what} as {}, not as {expected}: {reason}",
            reason.name()
        ))),
        Err(error) => Err(Failure::Settlement(error.to_string())),
        Ok(_) => Err(Failure::wrong_result(format!(
            "the contract accepts {what}"
        ))),
    }
}
