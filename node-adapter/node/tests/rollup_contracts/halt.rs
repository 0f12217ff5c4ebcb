//! The operator falls silent; pauses; upgrades.

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::sol_types::SolCall;
use carillon_settlement::abi::state::StateVerifier;
use carillon_settlement::abi::{ChainTimelock, RollupChain, SharedBridge};

use super::bridge::claim;
use super::common::batch::{Batch, address_word, masked, record};
use super::common::state::{Account, State};
use super::common::world::{CHAIN_ID, World, name};
use super::test_contracts::ChainV2;

const DAY: u64 = 24 * 3600;

fn recover(index: u64, words: [U256; 5], to: Address) -> SharedBridge::recoverCall {
    SharedBridge::recoverCall {
        chainId: CHAIN_ID,
        index,
        words,
        to,
    }
}

#[tokio::test]
async fn the_operator_falls_silent_and_everyone_leaves_through_l1_alone() {
    let genesis = State::default().root();
    let mut world = World::new(40, genesis).await;
    let (alice, bob, stranger) = (world.user(1), world.user(2), world.user(3));
    let (bridge, chain) = (world.l1.bridge, world.l1.chain);
    world.deposit_eth(alice, 1000).await.unwrap();
    world.deposit_eth(bob, 500).await.unwrap();

    // One honest batch: both deposits, and Alice withdraws 100, which nobody claims yet.
    let mut state = State::default();
    let account = |owner, balance, nonce| Account {
        key: [U256::from(7), U256::from(8)],
        nonce,
        owner,
        balances: [(0, balance)].into(),
    };
    state.0.insert(5, account(alice, 900, 3));
    state.0.insert(1 << 23, account(bob, 500, 0));
    let mut batch = world.batch(
        1,
        [0, 0],
        vec![
            record(2, 5, 0, 1000, address_word(alice)),
            record(2, 1 << 23, 0, 500, address_word(bob)),
            record(3, 5, 0, 100, address_word(alice)),
        ],
    );
    (batch.old_root, batch.new_root) = (genesis, state.root());
    world.settle(&batch).await.unwrap();

    // L1's Poseidon gives the native root, for used, unused and empty cells.
    for (account, token) in [(5, 0), (1 << 23, 0), (5, 63), (6, 0), (0, 17)] {
        let call = StateVerifier::rootOfCall {
            proof: recode(&state.proof(account, token)),
        };
        let root = world.view(world.l1.state_verifier, &call).await.unwrap();
        assert_eq!(root, state.root(), "cell {account}, {token}");
    }

    // Now the operator is silent. Alice asks for her exit, and Carol's deposit waits behind it.
    world.request_exit(alice, 5, 0).await.unwrap();
    world.deposit_eth(stranger, 70).await.unwrap();
    let exit = |state: &State, account, token, to| SharedBridge::exitCall {
        chainId: CHAIN_ID,
        proof: state.proof(account, token),
        to,
    };
    let early = world.send(alice, bridge, &exit(&state, 5, 0, alice)).await;
    assert_eq!(name(early), "ChainNotHalted");
    let carol = masked(&record(2, 0, 0, 70, address_word(stranger)));
    let early = world
        .send(stranger, bridge, &recover(3, carol, stranger))
        .await;
    assert_eq!(name(early), "ChainNotHalted");
    let halt = RollupChain::haltCall {};
    assert_eq!(
        name(world.send(stranger, chain, &halt).await),
        "NothingOverdue"
    );
    world.warp(7 * DAY - 60).await;
    assert_eq!(
        name(world.send(stranger, chain, &halt).await),
        "NothingOverdue"
    );
    // A batch that is committed and not executed is void after the halt.
    let mut late = world.batch(2, [0, 3], vec![]);
    late.old_root = state.root();
    let stored = world.commit(&late).await.unwrap();
    world.prove(&late, &stored).await.unwrap();
    world.warp(120).await;
    world.send(stranger, chain, &halt).await.unwrap();

    assert_eq!(name(world.execute(&stored).await), "ChainHalted");
    assert_eq!(name(world.settle(&late).await), "ChainHalted");
    assert_eq!(name(world.commit(&late).await), "ChainHalted");
    assert_eq!(name(world.prove(&late, &stored).await), "ChainHalted");
    assert_eq!(
        name(world.send(stranger, chain, &halt).await),
        "ChainHalted"
    );
    assert_eq!(name(world.request_exit(alice, 5, 0).await), "ChainHalted");
    assert_eq!(name(world.deposit_eth(alice, 1).await), "ChainHalted");
    assert_eq!(world.root().await, state.root());

    // Everyone leaves, once, with what is theirs.
    let elsewhere = Address::repeat_byte(0x55);
    let stolen = world
        .send(stranger, bridge, &exit(&state, 5, 0, stranger))
        .await;
    assert_eq!(name(stolen), "NotRecipient");
    world
        .send(alice, bridge, &exit(&state, 5, 0, elsewhere))
        .await
        .unwrap();
    assert_eq!(world.balance(elsewhere).await, U256::from(900));
    let again = world
        .send(alice, bridge, &exit(&state, 5, 0, elsewhere))
        .await;
    assert_eq!(name(again), "AlreadyExited");
    let before = world.balance(bob).await;
    let receipt = world
        .send(stranger, bridge, &exit(&state, 1 << 23, 0, bob))
        .await
        .unwrap();
    println!("gas of an exit by state proof: {}", receipt.gas_used);
    assert_eq!(world.balance(bob).await - before, U256::from(500));

    // Lies about the state.
    let mut richer = state.clone();
    richer.0.get_mut(&5).unwrap().balances.insert(0, 901);
    let refused = world.send(alice, bridge, &exit(&richer, 5, 0, alice)).await;
    assert_eq!(name(refused), "StateProofInvalid");
    let mut mine = state.clone();
    mine.0.get_mut(&5).unwrap().owner = stranger;
    let refused = world
        .send(stranger, bridge, &exit(&mine, 5, 0, stranger))
        .await;
    assert_eq!(name(refused), "StateProofInvalid");
    let mut moved = exit(&state, 5, 0, alice);
    moved.proof.account = U256::from(6);
    assert_eq!(
        name(world.send(alice, bridge, &moved).await),
        "StateProofInvalid"
    );
    let mut outside = exit(&state, 5, 0, alice);
    outside.proof.account += U256::ONE << 24;
    assert_eq!(
        name(world.send(alice, bridge, &outside).await),
        "StateProofRange"
    );
    let mut other_token = exit(&state, 5, 0, alice);
    other_token.proof.token += U256::from(64);
    assert_eq!(
        name(world.send(alice, bridge, &other_token).await),
        "StateProofRange"
    );
    for (account, token) in [(5, 1), (9, 0)] {
        let empty = exit(&state, account, token, alice);
        assert_eq!(
            name(world.send(alice, bridge, &empty).await),
            "NothingToPay"
        );
    }

    // What waited in the queue goes back to its owners.
    let asked = record(7, 5, 0, 0, address_word(alice));
    let refused = world.send(alice, bridge, &recover(2, asked, alice)).await;
    assert_eq!(name(refused), "NothingToPay");
    let refused = world.send(alice, bridge, &recover(3, carol, alice)).await;
    assert_eq!(name(refused), "NotRecipient");
    let mut more = carol;
    more[1] += U256::ONE;
    let refused = world
        .send(stranger, bridge, &recover(3, more, stranger))
        .await;
    assert_eq!(name(refused), "EntryMismatch");
    let done = masked(&record(2, 0, 0, 1000, address_word(alice)));
    let refused = world.send(alice, bridge, &recover(0, done, alice)).await;
    assert_eq!(name(refused), "EntryNotOpen");
    let refused = world.send(alice, bridge, &recover(4, done, alice)).await;
    assert_eq!(name(refused), "EntryNotOpen");
    let before = world.balance(elsewhere).await;
    world
        .send(stranger, bridge, &recover(3, carol, elsewhere))
        .await
        .unwrap();
    assert_eq!(world.balance(elsewhere).await - before, U256::from(70));
    let again = world
        .send(stranger, bridge, &recover(3, carol, elsewhere))
        .await;
    assert_eq!(name(again), "AlreadyRecovered");

    // The old withdrawal is still paid, and then nothing is left.
    world
        .send(stranger, bridge, &claim(&batch.message(2), alice))
        .await
        .unwrap();
    assert_eq!(world.escrow(0).await, U256::ZERO);
    assert_eq!(world.balance(bridge).await, U256::ZERO);
}

/// The same proof in the types of the other module.
fn recode(
    proof: &carillon_settlement::abi::ISharedBridge::StateProof,
) -> carillon_settlement::abi::state::ISharedBridge::StateProof {
    use alloy::sol_types::SolValue;
    SolValue::abi_decode(&proof.abi_encode()).unwrap()
}

#[tokio::test]
async fn exits_that_are_served_keep_the_chain_alive() {
    let mut world = World::new(41, U256::from(1)).await;
    let alice = world.user(1);
    for what in ["first", "next"] {
        let receipt = world.deposit_eth(alice, 500).await.unwrap();
        println!(
            "gas of a deposit of ETH, the {what} one: {}",
            receipt.gas_used
        );
    }
    let receipt = world.request_exit(alice, 5, 0).await.unwrap();
    println!("gas of an exit's request: {}", receipt.gas_used);
    for (account, token) in [(1u64 << 24, 0u64), (0, 64)] {
        let refused = world.request_exit(alice, account, token).await;
        assert_eq!(name(refused), "NoSuchCell");
    }
    let owner = address_word(alice);
    let deposit = record(2, 5, 0, 500, owner);
    // Exits of another account, or for another owner, are not this entry.
    for wrong in [
        record(7, 6, 0, 1000, owner),
        record(7, 5, 0, 1000, address_word(world.user(2))),
    ] {
        let batch = world.batch(1, [1, 2], vec![deposit, deposit, wrong]);
        assert_eq!(name(world.settle(&batch).await), "QueueMismatch");
    }
    let batch = world.batch(
        1,
        [1, 2],
        vec![deposit, deposit, record(7, 5, 0, 1000, owner)],
    );
    world.settle(&batch).await.unwrap();
    let before = world.balance(alice).await;
    let call = claim(&batch.message(2), alice);
    world
        .send(world.user(3), world.l1.bridge, &call)
        .await
        .unwrap();
    assert_eq!(world.balance(alice).await - before, U256::from(1000));
    world.warp(30 * DAY).await;
    let halt = RollupChain::haltCall {};
    let refused = world.send(alice, world.l1.chain, &halt).await;
    assert_eq!(
        name(refused),
        "NothingOverdue",
        "an empty queue is never overdue"
    );
}

#[tokio::test]
async fn a_pause_stops_batches_and_deposits_for_a_while_and_nothing_else() {
    let mut world = World::new(42, U256::from(1)).await;
    let (guardian, alice) = (world.user(0), world.user(1));
    let chain = world.l1.chain;
    world.deposit_eth(alice, 1000).await.unwrap();
    let records = vec![
        record(2, 5, 0, 1000, address_word(alice)),
        record(3, 5, 0, 10, address_word(alice)),
    ];
    let one = world.batch(1, [1, 2], records);
    world.settle(&one).await.unwrap();
    let two = world.batch(2, [2, 3], vec![]);
    let pause = |duration| RollupChain::pauseCall { duration };
    let refused = world.send(guardian, chain, &pause(2 * DAY + 1)).await;
    assert_eq!(name(refused), "PauseRefused");
    world.send(guardian, chain, &pause(2 * DAY)).await.unwrap();
    assert_eq!(name(world.settle(&two).await), "ChainPaused");
    assert_eq!(name(world.commit(&two).await), "ChainPaused");
    assert_eq!(name(world.deposit_eth(alice, 5).await), "ChainPaused");
    // Exits are asked for and claims are paid all the same.
    world.request_exit(alice, 5, 0).await.unwrap();
    let call = claim(&one.message(1), alice);
    world.send(alice, world.l1.bridge, &call).await.unwrap();
    world.warp(2 * DAY + 1).await;
    world.deposit_eth(alice, 5).await.unwrap();
    // Not again before the cool-down; and it was no help against the queue's clock.
    assert_eq!(
        name(world.send(guardian, chain, &pause(60)).await),
        "PauseRefused"
    );
    world.warp(5 * DAY).await;
    assert_eq!(
        name(world.send(guardian, chain, &pause(60)).await),
        "PauseRefused"
    );
    world
        .send(alice, chain, &RollupChain::haltCall {})
        .await
        .unwrap();
    world.warp(3 * DAY).await;
    world.send(guardian, chain, &pause(60)).await.unwrap();
    let exit = SharedBridge::exitCall {
        chainId: CHAIN_ID,
        proof: State::default().proof(5, 0),
        to: alice,
    };
    let refused = world.send(alice, world.l1.bridge, &exit).await;
    assert_eq!(
        name(refused),
        "StateProofInvalid",
        "the pause does not stop exits"
    );
}

#[tokio::test]
async fn upgrades_wait_longer_than_it_takes_to_leave() {
    let mut world = World::new(43, U256::from(1)).await;
    let (guardian, stranger) = (world.user(0), world.user(3));
    let (chain, timelock) = (world.l1.chain, world.l1.timelock);
    let logic = world.create(&ChainV2::BYTECODE).await;
    let upgrade: Bytes = RollupChain::upgradeToAndCallCall {
        newImplementation: logic,
        data: Bytes::new(),
    }
    .abi_encode()
    .into();
    let salt = keccak256("upgrade");
    let schedule = |delay: u64| ChainTimelock::scheduleCall {
        target: chain,
        value: U256::ZERO,
        data: upgrade.clone(),
        predecessor: Default::default(),
        salt,
        delay: U256::from(delay),
    };
    let execute = ChainTimelock::executeCall {
        target: chain,
        value: U256::ZERO,
        payload: upgrade.clone(),
        predecessor: Default::default(),
        salt,
    };
    let refused = world.send(stranger, timelock, &schedule(15 * DAY)).await;
    assert_eq!(name(refused), "AccessControlUnauthorizedAccount");
    let refused = world.send(guardian, timelock, &schedule(DAY)).await;
    assert_eq!(name(refused), "TimelockInsufficientDelay");
    world
        .send(guardian, timelock, &schedule(15 * DAY))
        .await
        .unwrap();
    let refused = world.send(stranger, timelock, &execute).await;
    assert_eq!(name(refused), "TimelockUnexpectedOperationState");
    // Whoever does not like it asks for an exit now, and can halt the chain before.
    world.warp(14 * DAY).await;
    let refused = world.send(stranger, timelock, &execute).await;
    assert_eq!(name(refused), "TimelockUnexpectedOperationState");
    assert!(world.view(chain, &ChainV2::versionCall {}).await.is_err());
    world.warp(DAY + 1).await;
    world.send(stranger, timelock, &execute).await.unwrap();
    let version = world.view(chain, &ChainV2::versionCall {}).await.unwrap();
    assert_eq!(version, U256::from(2));
    // State and behaviour are still there.
    let batch: Batch = world.batch(1, [1, 2], vec![]);
    world.settle(&batch).await.unwrap();
    let fixed = ChainTimelock::updateDelayCall(U256::ZERO);
    assert_eq!(
        name(world.send(guardian, timelock, &fixed).await),
        "DelayFixed"
    );
}

#[tokio::test]
async fn a_halted_chain_is_never_upgraded() {
    let world = World::with(44, U256::from(1), |options| options.hand_over = false).await;
    let (governor, alice) = (world.user(0), world.user(1));
    let chain = world.l1.chain;
    let logic = world.create(&ChainV2::BYTECODE).await;
    let upgrade = RollupChain::upgradeToAndCallCall {
        newImplementation: logic,
        data: Bytes::new(),
    };
    world.send(governor, chain, &upgrade).await.unwrap();
    world.deposit_eth(alice, 5).await.unwrap();
    world.warp(8 * DAY).await;
    world
        .send(alice, chain, &RollupChain::haltCall {})
        .await
        .unwrap();
    assert_eq!(
        name(world.send(governor, chain, &upgrade).await),
        "ChainHalted"
    );
}

#[tokio::test]
async fn set_ups_that_leave_no_time_to_leave_are_refused() {
    use carillon_settlement::SettlementError;
    use carillon_settlement::deploy::{DeployOptions, Deployment};
    let world = World::new(45, U256::from(1)).await;
    let good = DeployOptions::new(5, &blstrs::Scalar::from(1));
    let mut cases = vec![(good.clone(), "BadSetup"); 9];
    cases[5].0.entry_interval = 0;
    cases[6].0.entry_interval = good.queue_delay / 2 + 1;
    cases[7].0.accounts = 1;
    cases[8].0.accounts = (1 << 24) + 1;
    cases[0].1 = "DelayTooShort";
    cases[0].0.governance_delay = 14 * DAY;
    cases[1] = (good.clone(), "BadSetup");
    cases[1].0.max_pause = 4 * DAY;
    cases[2] = (good.clone(), "BadSetup");
    cases[2].0.pause_cooldown = 6 * DAY;
    cases[3] = (good.clone(), "BadSetup");
    cases[3].0.chain_id = 0;
    cases[4] = (good.clone(), "BadSetup");
    cases[4].0.operator_account = 1 << 24;
    for (options, expected) in cases {
        match Deployment::deploy(&world.client, options)
            .await
            .unwrap_err()
        {
            SettlementError::Refused { reason, .. } => assert_eq!(reason.name(), expected),
            other => panic!("{other}"),
        }
    }
    Deployment::deploy(&world.client, good).await.unwrap();
}
