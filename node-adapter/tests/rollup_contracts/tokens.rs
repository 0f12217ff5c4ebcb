//! ERC-20 tokens of every kind.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_node::settlement::abi::SharedBridge;

use super::bridge::claim;
use super::common::batch::{address_word, record};
use super::common::world::{CHAIN_ID, World, name};
use super::test_contracts::{FalseToken, FeeToken, PlainToken, ReentrantToken, SilentToken};

/// A world with one token in slot 1, of which user 1 has a million and the bridge's approval.
pub async fn with_token(world: &World, token: Address) {
    let set = SharedBridge::setTokenCall {
        chainId: CHAIN_ID,
        slot: U256::from(1),
        token,
    };
    world
        .send(world.user(0), world.l1.bridge, &set)
        .await
        .unwrap();
}

async fn world(seed: u64) -> World {
    World::with(seed, U256::from(1), |options| options.hand_over = false).await
}

async fn fund(world: &World, token: Address) {
    let mint = PlainToken::mintCall {
        to: world.user(1),
        amount: U256::from(1_000_000),
    };
    world.send(world.user(1), token, &mint).await.unwrap();
    let approve = PlainToken::approveCall {
        spender: world.l1.bridge,
        value: U256::MAX,
    };
    world.send(world.user(1), token, &approve).await.unwrap();
}

async fn balance(world: &World, token: Address, of: Address) -> U256 {
    let call = PlainToken::balanceOfCall { account: of };
    world.view(token, &call).await.unwrap()
}

#[tokio::test]
async fn plain_and_silent_tokens_go_in_and_out() {
    let mut world = world(30).await;
    let alice = world.user(1);
    let plain = world.create(&PlainToken::BYTECODE).await;
    with_token(&world, plain).await;
    fund(&world, plain).await;
    let silent = world.create(&SilentToken::BYTECODE).await;
    let set = SharedBridge::setTokenCall {
        chainId: CHAIN_ID,
        slot: U256::from(2),
        token: silent,
    };
    world
        .send(world.user(0), world.l1.bridge, &set)
        .await
        .unwrap();
    fund(&world, silent).await;
    for slot in [1, 2] {
        world.deposit_token(alice, slot, 500).await.unwrap();
    }
    let records = vec![
        record(2, 4, 1, 500, address_word(alice)),
        record(2, 4, 2, 500, address_word(alice)),
        record(3, 4, 1, 200, address_word(world.user(2))),
        record(3, 4, 2, 200, address_word(world.user(2))),
    ];
    let batch = world.batch(1, [1, 2], records);
    world.settle(&batch).await.unwrap();
    for (k, slot, token) in [(2, 1, plain), (3, 2, silent)] {
        let call = claim(&batch.message(k), world.user(2));
        world.send(alice, world.l1.bridge, &call).await.unwrap();
        assert_eq!(balance(&world, token, world.user(2)).await, U256::from(200));
        assert_eq!(world.escrow(slot).await, U256::from(300));
        assert_eq!(
            balance(&world, token, world.l1.bridge).await,
            U256::from(300)
        );
    }
    // ETH with a token deposit has no place to go.
    let call = SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::from(1),
        amount: U256::from(5),
        owner: alice,
        keyProof: vec![],
    };
    let refused = world
        .send_value(alice, world.l1.bridge, &call, U256::from(1))
        .await;
    assert_eq!(name(refused), "WrongValue");
    // A slot is for one token, for good; a token has one slot.
    for (slot, token) in [
        (1u64, silent),
        (3, plain),
        (0, plain),
        (64, plain),
        (4, alice),
    ] {
        let set = SharedBridge::setTokenCall {
            chainId: CHAIN_ID,
            slot: U256::from(slot),
            token,
        };
        let refused = world.send(world.user(0), world.l1.bridge, &set).await;
        assert_eq!(name(refused), "TokenSlotRefused");
    }
}

#[tokio::test]
async fn a_chain_holds_less_than_2_to_the_96() {
    let world = world(31).await;
    let alice = world.user(1);
    let plain = world.create(&PlainToken::BYTECODE).await;
    with_token(&world, plain).await;
    fund(&world, plain).await;
    let mint = PlainToken::mintCall {
        to: alice,
        amount: U256::ONE << 97,
    };
    world.send(alice, plain, &mint).await.unwrap();
    let most = (1u128 << 96) - 1;
    let refused = world.deposit_token(alice, 1, most + 1).await;
    assert_eq!(name(refused), "EscrowFull");
    world.deposit_token(alice, 1, most).await.unwrap();
    assert_eq!(name(world.deposit_token(alice, 1, 1).await), "EscrowFull");
    assert_eq!(world.escrow(1).await, U256::from(most));
}

#[tokio::test]
async fn tokens_that_charge_are_refused_both_ways() {
    let mut world = world(32).await;
    let alice = world.user(1);
    let token = world.create(&FeeToken::BYTECODE).await;
    with_token(&world, token).await;
    fund(&world, token).await;
    let charge = |charges_| FeeToken::setChargesCall { charges_ };
    let refused = world.deposit_token(alice, 1, 1000).await;
    assert_eq!(name(refused), "TokenMovedOtherAmount");
    world.send(alice, token, &charge(false)).await.unwrap();
    world.deposit_token(alice, 1, 1000).await.unwrap();
    world.deposit_token(alice, 1, 1000).await.unwrap();
    let records = vec![
        record(2, 4, 1, 1000, address_word(alice)),
        record(2, 4, 1, 1000, address_word(alice)),
        record(3, 4, 1, 1000, address_word(alice)),
    ];
    let batch = world.batch(1, [1, 2], records);
    world.settle(&batch).await.unwrap();
    // It charges the bridge, which would pay from what belongs to others.
    world.send(alice, token, &charge(true)).await.unwrap();
    let call = claim(&batch.message(2), alice);
    let refused = world.send(alice, world.l1.bridge, &call).await;
    assert_eq!(name(refused), "TokenMovedOtherAmount");
    world.send(alice, token, &charge(false)).await.unwrap();
    world.send(alice, world.l1.bridge, &call).await.unwrap();
    assert_eq!(world.escrow(1).await, U256::from(1000));
}

#[tokio::test]
async fn a_token_that_answers_false_is_refused() {
    let world = world(33).await;
    let token = world.create(&FalseToken::BYTECODE).await;
    with_token(&world, token).await;
    let refused = world.deposit_token(world.user(1), 1, 1000).await;
    assert_eq!(name(refused), "SafeERC20FailedOperation");
}

#[tokio::test]
async fn a_token_that_calls_back_gets_nothing_twice() {
    let mut world = world(34).await;
    let alice = world.user(1);
    let bridge = world.l1.bridge;
    let token = world.create(&ReentrantToken::BYTECODE).await;
    with_token(&world, token).await;
    fund(&world, token).await;
    let tried = async |world: &World| {
        let tried = world
            .view(token, &ReentrantToken::triedCall {})
            .await
            .unwrap();
        let succeeded = world
            .view(token, &ReentrantToken::succeededCall {})
            .await
            .unwrap();
        let answer = world
            .view(token, &ReentrantToken::answerCall {})
            .await
            .unwrap();
        assert!(tried && !succeeded);
        assert_eq!(
            carillon_node::settlement::Refusal::decode(&answer).name(),
            "ReentrancyGuardReentrantCall"
        );
    };
    // A deposit within a deposit would count the same tokens twice.
    let deposit = SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::from(1),
        amount: U256::from(1000),
        owner: alice,
        keyProof: vec![],
    };
    let arm = |call: Vec<u8>| ReentrantToken::armCall {
        target: bridge,
        call: call.into(),
    };
    world
        .send(alice, token, &arm(deposit.abi_encode()))
        .await
        .unwrap();
    world.deposit_token(alice, 1, 1000).await.unwrap();
    tried(&world).await;
    assert_eq!(world.escrow(1).await, U256::from(1000));
    assert_eq!(world.progress().await.queueLength, 1);

    let records = vec![
        record(2, 4, 1, 1000, address_word(alice)),
        record(3, 4, 1, 400, address_word(alice)),
    ];
    let batch = world.batch(1, [1, 2], records);
    world.settle(&batch).await.unwrap();
    let call = claim(&batch.message(1), alice);
    world
        .send(alice, token, &arm(call.abi_encode()))
        .await
        .unwrap();
    world.send(alice, bridge, &call).await.unwrap();
    tried(&world).await;
    assert_eq!(world.escrow(1).await, U256::from(600));
    assert_eq!(balance(&world, token, bridge).await, U256::from(600));
}
