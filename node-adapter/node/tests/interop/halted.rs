//! Alias accounts of a halted chain: the owner, and nobody else, by state proof.

use alloy::primitives::{Address, U256};
use carillon_settlement::interop::{Call, Outcome, Ran};

use super::common::state::{Account, State};
use super::world::{CHAIN, ETH, PLAIN, SHARE, World, reason};

#[tokio::test]
async fn the_owner_of_a_halted_chain_s_account_controls_the_alias() {
    let mut world = World::new().await;
    let owner = world.owner();
    let mallory = world.client_as(6).address();
    let account_of = |owner, token, balance| Account {
        owner,
        nonce: 3,
        balances: [(token, balance)].into(),
        ..Account::default()
    };
    let mut state = State::default();
    state.0.insert(9, account_of(owner, ETH, 70));
    state.0.insert(10, account_of(mallory, PLAIN, 80));
    let friend = Address::repeat_byte(0x44);

    // Three bundles: one is executed before the halt and leaves 500 wei in the alias.
    let bundle = world.bundle(vec![]).await;
    let failing = world.bundle(vec![]).await.returning(SHARE, 1);
    let back = world.bundle(vec![]).await.returning(ETH, 1);
    let records = [
        bundle.record(9, ETH, 500).unwrap(),
        failing.record(9, ETH, 40).unwrap(),
        back.record(9, ETH, 2).unwrap(),
    ];
    let messages = world.settle_to(&records, state.root()).await;
    world.handler.execute(&messages[&0], &bundle).await.unwrap();
    let account = world.account();

    let pay = |wei: u64| vec![Call::pay(friend, U256::from(wei))];
    let proof = state.proof(9, 0);
    let owners = world.handler_as(3);
    let theirs = world.handler_as(6);
    let early = owners.run_as_owner(CHAIN, proof.clone(), pay(100)).await;
    let refused = reason(early);
    assert!(refused.contains("ChainNotHalted {"), "{refused}");
    let unknown = owners
        .run_as_owner(CHAIN + 1, proof.clone(), pay(100))
        .await;
    let refused = reason(unknown);
    assert!(refused.contains("UnknownChain {"), "{refused}");

    world.halt().await;
    let mined = owners
        .run_as_owner(CHAIN, proof.clone(), pay(100))
        .await
        .unwrap();
    println!("gas of a run by the owner: {}", mined.receipt.gas_used);
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::from(100));
    assert_eq!(world.balance(Address::ZERO, account).await, U256::from(400));

    // Somebody else with the owner's proof, or with his own for his own alias, which is empty.
    let refused = reason(theirs.run_as_owner(CHAIN, proof.clone(), pay(100)).await);
    assert!(refused.contains("NotOwner {"), "{refused}");
    let own = state.proof(10, 0);
    let refused = reason(theirs.run_as_owner(CHAIN, own, pay(100)).await);
    assert!(refused.contains("NotEnoughEther {"), "{refused}");
    // A proof of a state that never was.
    let mut forged = State::default();
    forged.0.insert(9, account_of(mallory, ETH, 70));
    let forged = forged.proof(9, 0);
    let refused = reason(theirs.run_as_owner(CHAIN, forged, pay(100)).await);
    assert!(refused.contains("StateProofInvalid {"), "{refused}");

    // What is cancelled now cannot go back to L2: it goes to the alias account.
    for (k, bundle) in [(1, &failing), (2, &back)] {
        let before = world.balance(Address::ZERO, account).await;
        world.handler.cancel(&messages[&k], bundle).await.unwrap();
        assert_eq!(world.outcome(&messages[&k]).await, Outcome::Cancelled);
        let amount = records[k][1];
        assert_eq!(world.balance(Address::ZERO, account).await, before + amount);
        let again = reason(world.handler.cancel(&messages[&k], bundle).await);
        assert!(again.contains("AlreadyHandled {"), "{again}");
    }
    owners.run_as_owner(CHAIN, proof, pay(442)).await.unwrap();
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::from(542));
}

#[tokio::test]
async fn bundles_of_executed_batches_run_after_a_halt() {
    let mut world = World::new().await;
    let friend = Address::repeat_byte(0x45);
    let mut good = world.bundle(vec![Call::pay(friend, U256::from(60))]).await;
    let mut back = world.bundle(vec![]).await.returning(ETH, 1);
    // Longer than the queue's delay.
    good.deadline += 30 * 24 * 3_600;
    back.deadline += 30 * 24 * 3_600;
    let records = [
        good.record(9, ETH, 60).unwrap(),
        back.record(9, ETH, 40).unwrap(),
    ];
    let messages = world.settle(&records).await;
    world.halt().await;
    let ran = world.handler.execute(&messages[&0], &good).await.unwrap();
    assert!(matches!(ran, Ran::Executed { .. }));
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::from(60));
    // The chain takes nothing back, so this run fails; the amount stays on L1.
    let ran = world.handler.execute(&messages[&1], &back).await.unwrap();
    let Ran::Failed { reason } = ran else {
        panic!("{ran:?}")
    };
    let reason = super::world::error_of(&reason);
    assert!(reason.contains("ChainHalted"), "{reason}");
    assert_eq!(
        world.balance(Address::ZERO, world.account()).await,
        U256::from(40)
    );
}
