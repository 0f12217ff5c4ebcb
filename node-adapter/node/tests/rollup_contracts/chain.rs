//! What moves the chain and what does not: commit, prove, execute, settle, revert.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::SolEvent;
use carillon_settlement::Refusal;
use carillon_settlement::abi::{ChainHub, RollupChain, SharedBridge};

use super::common::batch::{Record, address_word, order, record, w0};
use super::common::blob::Blob;
use super::common::world::{CHAIN_ID, World, name};

const GENESIS: u64 = 10;

fn key_record() -> Record {
    let mut set_key = record(6, 3, 1, 0, U256::ZERO);
    (set_key[3], set_key[4]) = (U256::from(5), U256::from(6));
    set_key
}

#[tokio::test]
async fn one_transaction_settles_the_next_batch() {
    let mut world = World::new(10, U256::from(GENESIS)).await;
    let first = world.batch(1, [10, 11], vec![key_record()]);
    let receipt = world.settle(&first).await.unwrap();
    assert_eq!(world.root().await, U256::from(11));
    let executed = receipt
        .inner
        .logs()
        .iter()
        .find_map(|log| RollupChain::BatchExecuted::decode_log(&log.inner).ok())
        .unwrap();
    assert_eq!((executed.number, executed.newRoot), (1, U256::from(11)));
    let committed = receipt
        .inner
        .logs()
        .iter()
        .find_map(|log| RollupChain::BatchCommitted::decode_log(&log.inner).ok())
        .unwrap();
    let stored = first.stored(0, world.time_of(&receipt).await);
    assert_eq!(committed.batchHash, hash_of(&stored));
    assert_eq!(committed.versionedHash, first.blob.hash);

    // A blob with content, and messages.
    let mut second = world.batch(2, [11, 12], vec![]);
    second.records = vec![
        record(3, 7, 0, 500, address_word(world.user(1))),
        record(4, 8, 0, 0, U256::from(99)),
        record(3, 9, 0, 0, address_word(world.user(1))),
        record(4, 8, 2, 7, U256::from(98)),
    ];
    second.blob = Blob::new(&[U256::from(123), order() - U256::ONE, U256::from(5)]);
    world.settle(&second).await.unwrap();
    assert_eq!(world.root().await, U256::from(12));
    assert_eq!(second.messages(), [0, 1, 3], "nothing is paid by record 2");
    let root = ChainHub::messageRootCall {
        chainId: CHAIN_ID,
        batch: 2,
    };
    let root = world.view(world.l1.hub, &root).await.unwrap();
    assert_eq!(root, second.stored(0, 0).messageRoot);
    assert_ne!(root, B256::ZERO);
    let progress = world.progress().await;
    assert_eq!(
        (progress.committed, progress.proved, progress.executed),
        (2, 2, 2)
    );
}

fn hash_of(stored: &carillon_settlement::abi::IRollupChain::StoredBatch) -> B256 {
    use alloy::sol_types::SolValue;
    keccak256(stored.abi_encode())
}

#[tokio::test]
async fn messages_are_found_by_their_path_alone() {
    let mut world = World::new(11, U256::from(GENESIS)).await;
    let records: Vec<_> = (0..5)
        .map(|i| record(3, i, 0, 10 + u128::from(i), U256::from(i + 1)))
        .collect();
    let batch = world.batch(1, [10, 11], records);
    world.settle(&batch).await.unwrap();
    let hub = world.l1.hub;
    let call = |m: &carillon_settlement::abi::ISharedBridge::Message| ChainHub::verifyMessageCall {
        chainId: m.chainId,
        batch: m.batch,
        k: m.k,
        words: m.words,
        path: m.path.clone(),
        position: m.position,
    };
    for k in 0..5 {
        world.view(hub, &call(&batch.message(k))).await.unwrap();
    }
    let good = batch.message(2);
    let mut cases = Vec::new();
    for word in 0..5 {
        let mut changed = call(&good);
        changed.words[word] += U256::ONE;
        cases.push((changed, "MessageNotInBatch"));
    }
    let mut changed = call(&good);
    changed.k = U256::from(1);
    cases.push((changed, "MessageNotInBatch"));
    let mut changed = call(&good);
    changed.position = U256::from(3);
    cases.push((changed, "MessageNotInBatch"));
    let mut changed = call(&good);
    changed.position = U256::from(8 + 2);
    cases.push((changed, "PositionOutOfRange"));
    let mut changed = call(&good);
    changed.path.pop();
    cases.push((changed, "MessageNotInBatch"));
    let mut changed = call(&good);
    changed.path[0] = B256::ZERO;
    cases.push((changed, "MessageNotInBatch"));
    let mut changed = call(&good);
    changed.batch = 2;
    cases.push((changed, "NoMessages"));
    let mut changed = call(&good);
    changed.chainId = 78;
    cases.push((changed, "NoMessages"));
    for (i, (changed, expected)) in cases.into_iter().enumerate() {
        assert_eq!(name(world.view(hub, &changed).await), expected, "case {i}");
    }
    // The hub takes message roots from the chain alone.
    let forged = ChainHub::recordMessageRootCall {
        chainId: CHAIN_ID,
        batch: 2,
        root: B256::repeat_byte(1),
    };
    let refused = world.send(world.user(0), hub, &forged).await;
    assert_eq!(name(refused), "NotTheChain");
}

#[tokio::test]
async fn each_wrong_batch_is_refused_with_its_reason() {
    let mut world = World::new(12, U256::from(GENESIS)).await;
    let chain = world.l1.chain;
    world.deposit_eth(world.user(1), 50).await.unwrap();
    let owner = address_word(world.user(1));
    let good = world.batch(1, [10, 11], vec![key_record(), record(2, 4, 0, 50, owner)]);
    let operator = world.user(0);
    let accepted = {
        let call = world.settle_call(&good);
        world.try_blob(operator, chain, &call, &good.blob).await
    };
    accepted.expect("the honest batch passes");

    // Changes of H. The proof is made for the changed words, so each stop is the check's own.
    let change = |f: &dyn Fn(&mut Vec<U256>)| {
        let mut data = good.data();
        f(&mut data.h);
        data
    };
    let cases: Vec<(&str, _, &str)> = vec![
        ("other chain", change(&|h| h[0] += U256::ONE), "WrongDomain"),
        (
            "the same chain elsewhere",
            change(&|h| h[0] ^= U256::ONE << 127),
            "WrongDomain",
        ),
        (
            "replay",
            change(&|h| h[0] -= U256::ONE << 128),
            "BatchAlreadyCommitted",
        ),
        (
            "gap",
            change(&|h| h[0] += U256::ONE << 128),
            "BatchOutOfOrder",
        ),
        (
            "fees to another account",
            change(&|h| h[0] += U256::ONE << 192),
            "WrongOperatorAccount",
        ),
        (
            "one record more than there are words",
            change(&|h| h[0] += U256::ONE << 224),
            "HeaderLength",
        ),
        (
            "a bit above the count",
            change(&|h| h[0] += U256::ONE << 240),
            "HeaderLength",
        ),
        (
            "a word too many",
            change(&|h| h.push(U256::ZERO)),
            "HeaderLength",
        ),
        ("no header", change(&|h| h.truncate(2)), "HeaderLength"),
        (
            "other old root",
            change(&|h| h[1] = U256::from(9)),
            "StateRootMismatch",
        ),
        (
            "new root above r",
            change(&|h| h[2] += order()),
            "WordNotInField",
        ),
        (
            "record word above r",
            change(&|h| h[6] += order()),
            "WordNotInField",
        ),
        ("kind 0", change(&|h| h[3] = U256::from(16)), "RecordKind"),
        (
            "a transfer as a record",
            change(&|h| h[3] = U256::from(1)),
            "RecordKind",
        ),
        (
            "bits above the token",
            change(&|h| h[3] += U256::ONE << 34),
            "RecordMalformed",
        ),
        (
            "amount of 2^96",
            change(&|h| h[9] = U256::ONE << 96),
            "RecordAmount",
        ),
        (
            "a withdrawal to nobody",
            change(&|h| h[3] = w0(3, 3, 1)),
            "RecordWord",
        ),
        (
            "a withdrawal to no address",
            change(&|h| (h[3], h[5]) = (w0(3, 3, 1), U256::ONE << 160)),
            "RecordWord",
        ),
        (
            "a bundle with a byte too much",
            change(&|h| (h[3], h[5]) = (w0(4, 3, 1), U256::ONE << 248)),
            "RecordWord",
        ),
        (
            "deposit of more",
            change(&|h| h[9] += U256::ONE),
            "QueueMismatch",
        ),
        (
            "deposit for another owner",
            change(&|h| h[10] += U256::ONE),
            "QueueMismatch",
        ),
        (
            "deposit with a key",
            change(&|h| h[11] = U256::ONE),
            "QueueMismatch",
        ),
        (
            "deposit of another token",
            change(&|h| h[8] = w0(2, 4, 1)),
            "QueueMismatch",
        ),
        (
            "a second deposit",
            change(&|h| {
                h[0] += U256::ONE << 224;
                let deposit = h[8..13].to_vec();
                h.extend(deposit);
            }),
            "QueueOverrun",
        ),
    ];
    for (what, data, expected) in cases {
        let mut call = world.settle_call(&good);
        call.batch = data;
        let refused = world.try_blob(operator, chain, &call, &good.blob).await;
        assert_eq!(name(refused), expected, "{what}");
    }

    // Changes of what surrounds H.
    let mut call = world.settle_call(&good);
    call.batch.cH = order();
    let refused = world.try_blob(operator, chain, &call, &good.blob).await;
    assert_eq!(name(refused), "WordNotInField", "C_H");
    let mut call = world.settle_call(&good);
    call.batch.cB += U256::ONE;
    let refused = world.try_blob(operator, chain, &call, &good.blob).await;
    assert_eq!(name(refused), "ProofInvalid", "C_B");
    let mut call = world.settle_call(&good);
    call.batch.shape = 2;
    let refused = world.try_blob(operator, chain, &call, &good.blob).await;
    assert_eq!(name(refused), "UnknownShape");
    let mut call = world.settle_call(&good);
    call.batch.blobIndex = U256::from(1);
    let refused = world.try_blob(operator, chain, &call, &good.blob).await;
    assert_eq!(name(refused), "NoBlob");
    let call = world.settle_call(&good);
    let refused = world.send(operator, chain, &call).await;
    assert_eq!(name(refused), "NoBlob", "a transaction without blobs");
    let stranger = world.user(5);
    let refused = world.try_blob(stranger, chain, &call, &good.blob).await;
    assert_eq!(name(refused), "NotOperator");

    // The new root and a set-key record are free words of H: only the proof stops these.
    for (what, index) in [("new root", 2), ("key", 7)] {
        let mut call = world.settle_call(&good);
        call.batch.h[index] += U256::ONE;
        let refused = world.try_blob(operator, chain, &call, &good.blob).await;
        assert_eq!(name(refused), "ProofInvalid", "{what}");
    }
    world.settle(&good).await.unwrap();
    let mut replay = world.settle_call(&good);
    let refused = world.try_blob(operator, chain, &replay, &good.blob).await;
    assert_eq!(name(refused), "BatchAlreadyCommitted");
    replay.batch.h[0] += U256::ONE << 128;
    let refused = world.try_blob(operator, chain, &replay, &good.blob).await;
    assert_eq!(name(refused), "StateRootMismatch");
}

#[tokio::test]
async fn the_proof_is_about_the_blob_that_was_sent() {
    let mut world = World::new(13, U256::from(GENESIS)).await;
    let (operator, chain) = (world.user(0), world.l1.chain);
    let mut good = world.batch(1, [10, 11], vec![]);
    good.blob = Blob::new(&[U256::from(1), U256::from(2)]);
    let other = Blob::new(&[U256::from(1), U256::from(3)]);
    let honest = world.settle_call(&good);
    world
        .try_blob(operator, chain, &honest, &good.blob)
        .await
        .expect("the honest batch passes");

    // The same call with another blob: its commitment is not that blob's.
    let refused = world.try_blob(operator, chain, &honest, &other).await;
    assert_eq!(name(refused), "NotTheBlobsCommitment");
    // With the other blob's commitment, opened at the challenge that now holds: the KZG part is
    // true, and the proof is about other data.
    let mut swapped = honest.clone();
    let mut wrong = good.clone();
    wrong.blob = other.clone();
    let (y, kzg_proof) = other.open(wrong.z());
    swapped.proof.kzgCommitment = other.commitment.to_vec().into();
    swapped.proof.kzgProof = kzg_proof.to_vec().into();
    swapped.proof.yB = y;
    let refused = world.try_blob(operator, chain, &swapped, &other).await;
    assert_eq!(name(refused), "ProofInvalid");

    let mut wrong_y = honest.clone();
    wrong_y.proof.yB += U256::ONE;
    let refused = world.try_blob(operator, chain, &wrong_y, &good.blob).await;
    assert_eq!(name(refused), "PointEvaluationFailed");
    let mut large_y = honest.clone();
    large_y.proof.yB += order();
    let refused = world.try_blob(operator, chain, &large_y, &good.blob).await;
    assert_eq!(name(refused), "PointEvaluationFailed");
    let mut wrong_kzg = honest.clone();
    wrong_kzg.proof.kzgProof = other.open(good.z()).1.to_vec().into();
    let refused = world
        .try_blob(operator, chain, &wrong_kzg, &good.blob)
        .await;
    assert_eq!(name(refused), "PointEvaluationFailed");
    for length in [0, 47, 49] {
        let mut short = honest.clone();
        short.proof.kzgProof = Bytes::from(vec![0xc0; length]);
        let refused = world.try_blob(operator, chain, &short, &good.blob).await;
        assert_eq!(name(refused), "KzgLength");
    }
    world.settle(&good).await.unwrap();
}

#[tokio::test]
async fn three_steps_lead_where_one_does_and_can_be_taken_back() {
    let mut world = World::new(14, U256::from(GENESIS)).await;
    let chain = world.l1.chain;
    let owner = address_word(world.user(1));
    world.deposit_eth(world.user(1), 50).await.unwrap();
    let one = world.batch(1, [10, 11], vec![record(2, 4, 0, 50, owner)]);
    let two = world.batch(2, [11, 12], vec![record(3, 4, 0, 20, owner)]);
    let stored_one = world.commit(&one).await.unwrap();
    let stored_two = world.commit(&two).await.unwrap();
    let expected = RollupChain::batchHashCall { number: 2 };
    let expected = world.view(chain, &expected).await.unwrap();
    assert_eq!(expected, hash_of(&stored_two));

    // Order, and nothing but what was committed.
    assert_eq!(name(world.prove(&two, &stored_two).await), "NotNext");
    assert_eq!(name(world.execute(&stored_one).await), "NotNext");
    for change in 0..7 {
        let mut forged = stored_one.clone();
        match change {
            0 => forged.newRoot += U256::ONE,
            1 => forged.cH += U256::ONE,
            2 => forged.queueEnd += 1,
            3 => forged.messageRoot = B256::repeat_byte(7),
            4 => forged.z += U256::ONE,
            5 => forged.crossings = B256::repeat_byte(7),
            _ => forged.committedAt -= 1,
        }
        let refused = world.prove(&one, &forged).await;
        assert_eq!(name(refused), "StoredBatchMismatch", "change {change}");
    }
    assert_eq!(name(world.prove(&two, &stored_one).await), "ProofInvalid");
    world.prove(&one, &stored_one).await.unwrap();
    // Once more does no harm: anyone may come before a transaction that proves and executes.
    world.prove(&one, &stored_one).await.unwrap();
    let mut forged = stored_one.clone();
    forged.newRoot += U256::ONE;
    assert_eq!(
        name(world.prove(&one, &forged).await),
        "StoredBatchMismatch"
    );
    world.execute(&stored_one).await.unwrap();
    assert_eq!(world.root().await, U256::from(11));
    assert_eq!(name(world.execute(&stored_one).await), "NotNext");

    // While a batch is in between, `settle` waits.
    let three = world.batch(3, [12, 13], vec![]);
    assert_eq!(name(world.settle(&three).await), "BatchesPending");

    // Batch 2 is taken back: by the operator now, by others from its age on.
    let revert = |stored: &carillon_settlement::abi::IRollupChain::StoredBatch| {
        RollupChain::revertBatchesCall {
            first: stored.clone(),
        }
    };
    let stranger = world.user(5);
    let refused = world.send(stranger, chain, &revert(&stored_one)).await;
    assert_eq!(name(refused), "BatchExecutedAlready");
    let refused = world.send(stranger, chain, &revert(&stored_two)).await;
    assert_eq!(name(refused), "RevertTooEarly");
    world.prove(&two, &stored_two).await.unwrap();
    world.warp(24 * 3600 + 1).await;
    let stored_three = world.commit(&three).await.unwrap();
    world
        .send(stranger, chain, &revert(&stored_two))
        .await
        .unwrap();
    let progress = world.progress().await;
    assert_eq!(
        (progress.committed, progress.proved, progress.executed),
        (1, 1, 1)
    );
    for stored in [&stored_two, &stored_three] {
        let gone = world.send(world.user(0), chain, &revert(stored)).await;
        assert_eq!(name(gone), "StoredBatchMismatch");
    }
    assert_eq!(
        name(world.prove(&two, &stored_two).await),
        "StoredBatchMismatch"
    );

    // Another batch 2 takes its place.
    let again = world.batch(2, [11, 14], vec![record(3, 4, 0, 30, owner)]);
    world.settle(&again).await.unwrap();
    assert_eq!(world.root().await, U256::from(14));
}

#[tokio::test]
async fn a_reverted_batch_gives_its_queue_entries_back() {
    let mut world = World::new(15, U256::from(GENESIS)).await;
    let owner = address_word(world.user(1));
    world.deposit_eth(world.user(1), 50).await.unwrap();
    world.deposit_eth(world.user(1), 60).await.unwrap();
    let first = |number, roots| (number, roots);
    let (number, roots) = first(1, [10, 11]);
    let one = world.batch(number, roots, vec![record(2, 4, 0, 50, owner)]);
    let stored = world.commit(&one).await.unwrap();
    let skipping = world.batch(2, [11, 12], vec![record(2, 4, 0, 50, owner)]);
    assert_eq!(name(world.commit(&skipping).await), "QueueMismatch");
    let revert = RollupChain::revertBatchesCall { first: stored };
    world
        .send(world.user(0), world.l1.chain, &revert)
        .await
        .unwrap();
    let skipping = world.batch(1, [10, 11], vec![record(2, 4, 0, 60, owner)]);
    assert_eq!(
        name(world.settle(&skipping).await),
        "QueueMismatch",
        "skips an entry"
    );
    let turned = world.batch(
        1,
        [10, 11],
        vec![record(2, 4, 0, 60, owner), record(2, 4, 0, 50, owner)],
    );
    assert_eq!(
        name(world.settle(&turned).await),
        "QueueMismatch",
        "other order"
    );
    let both = world.batch(
        1,
        [10, 11],
        vec![record(2, 9, 0, 50, owner), record(2, 4, 0, 60, owner)],
    );
    world.settle(&both).await.unwrap();
    assert_eq!(world.progress().await.queueExecuted, 2);
}

#[tokio::test]
async fn only_the_named_roles_change_the_chain() {
    let mut world = World::new(16, U256::from(GENESIS)).await;
    let chain = world.l1.chain;
    let stranger = world.user(5);
    let verifier = world.l1.verifiers[0].1;
    // The deployer has handed over: it governs no more.
    for who in [world.user(0), stranger] {
        let call = RollupChain::setVerifierCall {
            shape: 1,
            verifier_: verifier,
        };
        assert_eq!(name(world.send(who, chain, &call).await), "NotGovernor");
        let call = RollupChain::setOperatorCall {
            operator_: who,
            operatorAccount_: 1,
        };
        assert_eq!(name(world.send(who, chain, &call).await), "NotGovernor");
        let call = RollupChain::setGuardianCall { guardian_: who };
        assert_eq!(name(world.send(who, chain, &call).await), "NotGovernor");
        let call = RollupChain::setGovernorCall { governor_: who };
        assert_eq!(name(world.send(who, chain, &call).await), "NotGovernor");
        let call = RollupChain::upgradeToAndCallCall {
            newImplementation: verifier,
            data: Bytes::new(),
        };
        assert_eq!(name(world.send(who, chain, &call).await), "NotGovernor");
        let call = ChainHub::registerCall {
            chainId: 5,
            chain_: chain,
        };
        assert_eq!(
            name(world.send(who, world.l1.hub, &call).await),
            "NotGovernor"
        );
    }
    for who in [world.user(0), stranger] {
        let bridge = world.l1.bridge;
        let call = SharedBridge::setTokenCall {
            chainId: CHAIN_ID,
            slot: U256::from(3),
            token: chain,
            least: U256::ZERO,
        };
        assert_eq!(name(world.send(who, bridge, &call).await), "NotGovernor");
        let call = SharedBridge::setHandlerCall { handler_: who };
        assert_eq!(name(world.send(who, bridge, &call).await), "NotGovernor");
        let call = SharedBridge::removeHandlerCall {
            handler_: world.l1.handler,
        };
        assert_eq!(name(world.send(who, bridge, &call).await), "NotGovernor");
        let call = SharedBridge::setLeastDepositCall {
            chainId: CHAIN_ID,
            slot: U256::ZERO,
            least: U256::ZERO,
        };
        assert_eq!(name(world.send(who, bridge, &call).await), "NotGovernor");
        let call = SharedBridge::setGovernorCall { governor_: who };
        assert_eq!(name(world.send(who, bridge, &call).await), "NotGovernor");
        let call = SharedBridge::upgradeToAndCallCall {
            newImplementation: verifier,
            data: Bytes::new(),
        };
        assert_eq!(name(world.send(who, bridge, &call).await), "NotGovernor");
        let call = SharedBridge::initializeCall {
            hub_: world.l1.hub,
            governor_: who,
        };
        let refused = world.send(who, bridge, &call).await;
        assert_eq!(name(refused), "InvalidInitialization");
    }
    let enqueue = RollupChain::enqueueCall {
        words: record(2, 0, 0, 1_000, address_word(stranger)),
    };
    assert_eq!(
        name(world.send(stranger, chain, &enqueue).await),
        "NotBridge"
    );
    let pause = RollupChain::pauseCall { duration: 10 };
    assert_eq!(
        name(world.send(stranger, chain, &pause).await),
        "NotGuardian"
    );
    let setup = carillon_settlement::abi::IRollupChain::Setup {
        chainId: 1,
        hub: world.l1.hub,
        bridge: world.l1.bridge,
        operator: stranger,
        operatorAccount: 0,
        governor: stranger,
        guardian: stranger,
        genesisRoot: U256::ZERO,
        queueDelay: 10,
        revertDelay: 10,
        maxPause: 1,
        pauseCooldown: 10,
        entryInterval: 1,
        entryFee: Default::default(),
        accounts: 4,
        validium: false,
    };
    let again = RollupChain::initializeCall { setup };
    let refused = world.send(stranger, chain, &again).await;
    assert_eq!(name(refused), "InvalidInitialization");
    let batch = world.batch(1, [10, 11], vec![]);
    let call = world.settle_call(&batch);
    let refused: Result<u64, Refusal> = world.try_blob(stranger, chain, &call, &batch.blob).await;
    assert_eq!(name(refused), "NotOperator");
    assert_ne!(world.l1.timelock, Address::ZERO);
    world.settle(&batch).await.unwrap();
}
