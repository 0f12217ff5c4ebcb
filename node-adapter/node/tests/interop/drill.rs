//! The bundle drill: one L2 signature, one L1 transaction.

use alloy::primitives::{Address, U256};
use carillon_settlement::GasLimit;
use carillon_settlement::interop::{Call, Outcome, Ran, ran};

use super::world::{ETH, PLAIN, SHARE, World, reason};
use carillon_testing::contracts::{Counter, PlainToken, ShareVault};

#[tokio::test]
async fn an_alias_withdraws_calls_two_contracts_and_sends_a_token_back() {
    let mut world = World::new().await;
    let counter = world.create(&Counter::BYTECODE).await;
    let amount = U256::from(1_000);
    let approve = PlainToken::approveCall {
        spender: world.vault,
        value: amount,
    };
    let calls = vec![
        Call::of(world.token, &approve),
        Call::of(world.vault, &ShareVault::depositCall { amount }),
        Call::of(counter, &Counter::incrementCall {}),
    ];
    let bundle = world.bundle(calls).await.returning(SHARE, 2_000);
    let message = world.message(&bundle, PLAIN, 1_000).await;
    let account = world.account();
    assert_eq!(world.outcome(&message).await, Outcome::None);
    let queued = world.queue(0).await.len() as u64;

    // Anybody may bring it.
    let mined = world
        .handler_as(5)
        .execute_with(&message, &bundle, GasLimit::Estimate)
        .await
        .unwrap();
    println!("gas of the drill's transaction: {}", mined.receipt.gas_used);
    let ran = ran(world.handler.address(), &mined).unwrap();
    let sent_back = U256::from(2_000);
    assert_eq!(ran, Ran::Executed { account, sent_back });
    assert_eq!(world.outcome(&message).await, Outcome::Executed);
    assert_eq!(world.balance(world.token, world.vault).await, amount);
    let count = world
        .read(counter, Counter::countCall { caller: account })
        .await;
    assert_eq!(count, U256::from(1));
    for token in [world.token, world.vault, Address::ZERO] {
        assert_eq!(world.balance(token, account).await, U256::ZERO);
    }
    assert_eq!(world.escrow(PLAIN).await, U256::from(999_000));
    assert_eq!(world.escrow(SHARE).await, sent_back);

    // The shares are in the queue, for the owner.
    let entries = world.queue(queued).await;
    let owner = U256::from_be_slice(world.owner().as_slice());
    let w0 = U256::from(2 + (u64::from(SHARE) << 28));
    assert_eq!(entries, [[w0, sent_back, owner, U256::ZERO, U256::ZERO]]);
    // And a batch that takes them is accepted.
    world.settle(&entries).await;

    // Once.
    let again = reason(world.handler.execute(&message, &bundle).await);
    assert_eq!(again, "AlreadyHandled { outcome: 1 }");
    world.warp(4_000).await;
    let cancelled = reason(world.handler.cancel(&message, &bundle).await);
    assert_eq!(cancelled, again);
    assert_eq!(world.queue(queued).await.len(), 1);
}

#[tokio::test]
async fn ether_is_spent_and_the_rest_goes_back() {
    let mut world = World::new().await;
    let counter = world.create(&Counter::BYTECODE).await;
    let friend = Address::repeat_byte(0x77);
    let calls = vec![
        Call::of(counter, &Counter::incrementCall {}).with_value(U256::from(300)),
        Call::of(world.vault, &ShareVault::depositEtherCall {}).with_value(U256::from(200)),
        Call::pay(friend, U256::from(100)),
    ];
    let bundle = world.bundle(calls).await.returning(ETH, 400);
    let message = world.message(&bundle, ETH, 1_000).await;
    let queued = world.queue(0).await.len() as u64;
    let end = world.handler.execute(&message, &bundle).await.unwrap();
    let account = world.account();
    let sent_back = U256::from(400);
    assert_eq!(end, Ran::Executed { account, sent_back });
    assert_eq!(world.balance(Address::ZERO, counter).await, U256::from(300));
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::from(100));
    assert_eq!(world.balance(Address::ZERO, account).await, U256::ZERO);
    assert_eq!(world.escrow(ETH).await, U256::from(999_400));
    assert_eq!(world.queue(queued).await[0][1], sent_back);

    // The shares stayed; a bundle without a withdrawal sends them back.
    assert_eq!(world.balance(world.vault, account).await, U256::from(400));
    let bundle = world.bundle(vec![]).await.returning(SHARE, 1);
    let message = world.message(&bundle, PLAIN, 0).await;
    let mined = world
        .handler
        .execute_with(&message, &bundle, GasLimit::Estimate)
        .await
        .unwrap();
    println!("gas of a return alone: {}", mined.receipt.gas_used);
    let ran = ran(world.handler.address(), &mined).unwrap();
    assert_eq!(ran, Ran::Executed { account, sent_back });
    assert_eq!(world.escrow(SHARE).await, sent_back);
}
