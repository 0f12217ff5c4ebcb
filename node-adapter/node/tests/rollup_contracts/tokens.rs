//! ERC-20 tokens of every kind.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_settlement::abi::SharedBridge;

use super::bridge::claim;
use super::common::batch::{address_word, record};
use super::common::world::{CHAIN_ID, PROBE, World, name};
use super::test_contracts::{
    FalseToken, FeeToken, PlainToken, RebasingToken, ReentrantToken, SilentToken, SwitchedToken,
};

/// The token in slot 1.
pub async fn with_token(world: &World, token: Address) {
    world.list(1, token).await.unwrap();
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
    world.list(2, silent).await.unwrap();
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
            least: U256::ZERO,
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
    let charge = |charges_| FeeToken::setChargesCall { charges_ };
    assert_eq!(name(world.list(1, token).await), "TokenRefused");
    // It behaves until it is listed.
    world.send(alice, token, &charge(false)).await.unwrap();
    with_token(&world, token).await;
    fund(&world, token).await;
    world.send(alice, token, &charge(true)).await.unwrap();
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
    let set = SharedBridge::setTokenCall {
        chainId: CHAIN_ID,
        slot: U256::from(1),
        token,
        least: U256::ZERO,
    };
    let refused = world.send(world.user(0), world.l1.bridge, &set).await;
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
            carillon_settlement::Refusal::decode(&answer).name(),
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

#[tokio::test]
async fn a_listing_tries_the_token_out() {
    let world = world(35).await;
    let (governor, bridge) = (world.user(0), world.l1.bridge);
    let plain = world.create(&PlainToken::BYTECODE).await;
    assert_eq!(name(world.list_held(1, plain).await), "TokenProbeMissing");
    let mint = PlainToken::mintCall {
        to: governor,
        amount: U256::from(PROBE),
    };
    world.send(governor, plain, &mint).await.unwrap();
    let revoke = PlainToken::approveCall {
        spender: bridge,
        value: U256::ZERO,
    };
    world.send(governor, plain, &revoke).await.unwrap();
    let set = SharedBridge::setTokenCall {
        chainId: CHAIN_ID,
        slot: U256::from(1),
        token: plain,
        least: U256::from(10),
    };
    let refused = world.send(governor, bridge, &set).await;
    assert_eq!(name(refused), "TokenProbeMissing");
    world.list_held(1, plain).await.unwrap();
    assert_eq!(balance(&world, plain, governor).await, U256::from(PROBE));
    assert_eq!(balance(&world, plain, bridge).await, U256::ZERO);

    let rebasing = world.create(&RebasingToken::BYTECODE).await;
    assert_eq!(name(world.list(2, rebasing).await), "TokenRefused");
    let least = SharedBridge::setLeastDepositCall {
        chainId: CHAIN_ID,
        slot: U256::from(1),
        least: U256::from(10),
    };
    world.send(governor, bridge, &least).await.unwrap();
    fund(&world, plain).await;
    let refused = world.deposit_token(world.user(1), 1, 9).await;
    assert_eq!(name(refused), "DepositTooSmall");
    world.deposit_token(world.user(1), 1, 10).await.unwrap();
}

/// The rebasing token hides what it is when it is listed. It loses half: whoever comes first gets
/// half, whoever comes last gets half, and nobody gets less than he agreed to.
#[tokio::test]
async fn a_loss_is_shared_by_all_who_hold_the_token() {
    let mut world = world(36).await;
    let (alice, bob, stranger) = (world.user(1), world.user(2), world.user(3));
    let bridge = world.l1.bridge;
    let token = world.create(&RebasingToken::BYTECODE).await;
    let discreet = RebasingToken::setDiscreetCall { discreet_: true };
    world.send(alice, token, &discreet).await.unwrap();
    with_token(&world, token).await;
    fund(&world, token).await;
    // A second chain has some of it, too.
    world.second_chain(78, U256::from(1)).await;
    let list = SharedBridge::setTokenCall {
        chainId: 78,
        slot: U256::from(9),
        token,
        least: U256::ZERO,
    };
    let approve = PlainToken::approveCall {
        spender: bridge,
        value: U256::MAX,
    };
    world.send(world.user(0), token, &approve).await.unwrap();
    world.send(world.user(0), bridge, &list).await.unwrap();
    let other = SharedBridge::depositCall {
        chainId: 78,
        token: U256::from(9),
        amount: U256::from(1_000),
        owner: alice,
        keyProof: vec![],
    };
    world.send(alice, bridge, &other).await.unwrap();
    world.deposit_token(alice, 1, 3_000).await.unwrap();
    let mut bundle = record(4, 4, 1, 100, U256::from(7));
    bundle[3] = address_word(bob);
    let records = vec![
        record(2, 4, 1, 3_000, address_word(alice)),
        record(3, 4, 1, 1_000, address_word(alice)),
        record(3, 4, 1, 1_001, address_word(bob)),
        record(3, 4, 1, 399, address_word(bob)),
        record(3, 4, 1, 500, address_word(alice)),
        bundle,
    ];
    let batch = world.batch(1, [1, 2], records);
    world.settle(&batch).await.unwrap();
    let rebase = |factor: u64| RebasingToken::rebaseCall {
        factor_: U256::from(factor),
    };
    let half = 500_000_000_000_000_000;
    world.send(alice, token, &rebase(half)).await.unwrap();

    // Nobody is made to take a loss, and no newcomer shares it.
    let first = claim(&batch.message(1), alice);
    for who in [stranger, alice] {
        assert_eq!(name(world.send(who, bridge, &first).await), "TokenShort");
    }
    assert_eq!(name(world.deposit_token(alice, 1, 5).await), "TokenShort");
    let accept = |least: u64| SharedBridge::acceptShareCall {
        token,
        least: U256::from(least),
    };
    world.send(alice, bridge, &accept(half + 1)).await.unwrap();
    assert_eq!(name(world.send(alice, bridge, &first).await), "TokenShort");
    world.send(alice, bridge, &accept(half)).await.unwrap();
    let before = balance(&world, token, alice).await;
    world.send(alice, bridge, &first).await.unwrap();
    assert_eq!(
        balance(&world, token, alice).await - before,
        U256::from(500)
    );
    // Alice's word binds nobody else.
    let second = claim(&batch.message(2), bob);
    assert_eq!(name(world.send(bob, bridge, &second).await), "TokenShort");
    world.send(bob, bridge, &accept(1)).await.unwrap();
    world.send(stranger, bridge, &second).await.unwrap();
    assert_eq!(balance(&world, token, bob).await, U256::from(500));
    let owed = SharedBridge::owedCall { token };
    assert_eq!(world.view(bridge, &owed).await.unwrap(), U256::from(1_999));
    assert_eq!(balance(&world, token, bridge).await, U256::from(1_000));
    assert_eq!(world.escrow(1).await, U256::from(999));

    // It grows again: everyone who waited is paid in full. What is above is nobody's; the unit that
    // the token's rounding moves too much comes from it.
    world
        .send(alice, token, &rebase(2 * half + half / 2))
        .await
        .unwrap();
    let third = claim(&batch.message(3), bob);
    world.send(stranger, bridge, &third).await.unwrap();
    assert_eq!(balance(&world, token, bob).await, U256::from(1_250 + 400));
    let fourth = claim(&batch.message(4), alice);
    world.send(stranger, bridge, &fourth).await.unwrap();
    assert_eq!(world.view(bridge, &owed).await.unwrap(), U256::from(1_100));
    world.deposit_token(alice, 1, 5).await.unwrap();
}

#[tokio::test]
async fn a_paused_or_blocked_payment_waits_and_thirty_decimals_are_units() {
    let mut world = world(37).await;
    let (alice, bob) = (world.user(1), world.user(2));
    let bridge = world.l1.bridge;
    let token = world.create(&SwitchedToken::BYTECODE).await;
    with_token(&world, token).await;
    fund(&world, token).await;
    let whole = U256::from(10).pow(U256::from(30));
    let mint = PlainToken::mintCall {
        to: alice,
        amount: whole,
    };
    world.send(alice, token, &mint).await.unwrap();
    // Not one token of thirty decimals fits a chain.
    let refused = world.deposit_token(alice, 1, 10u128.pow(30)).await;
    assert_eq!(name(refused), "EscrowFull");
    let held = 10u128.pow(28) + 7;
    let pause = |paused_| SwitchedToken::setPausedCall { paused_ };
    let block = |account, blocked_| SwitchedToken::setBlockedCall { account, blocked_ };
    world.send(alice, token, &pause(true)).await.unwrap();
    assert!(world.deposit_token(alice, 1, held).await.is_err());
    assert_eq!(
        (world.escrow(1).await, world.progress().await.queueLength),
        (U256::ZERO, 0)
    );
    world.send(alice, token, &pause(false)).await.unwrap();
    world.deposit_token(alice, 1, held).await.unwrap();
    let records = vec![
        record(2, 4, 1, held, address_word(alice)),
        record(3, 4, 1, 10u128.pow(28), address_word(bob)),
        record(3, 4, 1, 7, address_word(bob)),
    ];
    let batch = world.batch(1, [1, 2], records);
    world.settle(&batch).await.unwrap();
    let first = claim(&batch.message(1), bob);
    world.send(alice, token, &pause(true)).await.unwrap();
    assert!(world.send(bob, bridge, &first).await.is_err());
    world.send(alice, token, &pause(false)).await.unwrap();
    world.send(alice, token, &block(bob, true)).await.unwrap();
    assert!(world.send(alice, bridge, &first).await.is_err());
    assert_eq!(world.escrow(1).await, U256::from(held), "nothing is booked");
    // The one who is blocked names another address; the other claim waits until he is free.
    let elsewhere = Address::repeat_byte(0x79);
    let away = claim(&batch.message(1), elsewhere);
    assert_eq!(name(world.send(alice, bridge, &away).await), "NotRecipient");
    world.send(bob, bridge, &away).await.unwrap();
    assert_eq!(
        balance(&world, token, elsewhere).await,
        U256::from(10u128.pow(28))
    );
    let second = claim(&batch.message(2), bob);
    assert!(world.send(alice, bridge, &second).await.is_err());
    world.send(alice, token, &block(bob, false)).await.unwrap();
    world.send(alice, bridge, &second).await.unwrap();
    assert_eq!(balance(&world, token, bridge).await, U256::ZERO);
    assert_eq!(world.escrow(1).await, U256::ZERO);
}
