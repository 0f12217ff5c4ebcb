//! Every check of the handler and of the alias account: the honest case first, then the attack.

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolConstructor};
use carillon_settlement::GasLimit;
use carillon_settlement::abi::ISharedBridge::Message;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::interop::contracts::{AliasAccount, AliasFactory, InteropHandler};
use carillon_settlement::interop::{
    Call, InteropContract, Outcome, Ran, alias_address, factory_address,
};

use super::world::{CHAIN, ETH, PLAIN, World, reason};
use carillon_testing::contracts::Counter;

#[tokio::test]
async fn a_message_must_have_been_sent_and_must_belong_to_the_bundle() {
    let mut world = World::new().await;
    let counter = world.create(&Counter::BYTECODE).await;
    let bundle = world
        .bundle(vec![Call::of(counter, &Counter::incrementCall {})])
        .await;
    let honest = world.message(&bundle, ETH, 10).await;
    assert!(matches!(
        world.handler.execute(&honest, &bundle).await.unwrap(),
        Ran::Executed { .. }
    ));

    let message = world.message(&bundle, ETH, 10).await;
    let refused = async |change: &dyn Fn(&mut Message)| {
        let mut changed = message.clone();
        change(&mut changed);
        reason(world.handler.execute(&changed, &bundle).await)
    };
    // No message of an executed batch.
    assert!(refused(&|m| m.batch += 1).await.contains("NoMessages"));
    assert!(refused(&|m| m.chainId += 1).await.contains("NoMessages"));
    for change in [
        &(|m: &mut Message| m.words[1] = U256::from(11)) as &dyn Fn(&mut _),
        &|m: &mut Message| m.words[0] += U256::from(16),
        &|m: &mut Message| m.words[4] = U256::from(1),
        &|m: &mut Message| m.k = U256::from(2),
        &|m: &mut Message| m.position = U256::from(0),
        &|m: &mut Message| m.path[0].0[0] ^= 1,
        &|m: &mut Message| m.path.clear(),
    ] {
        let refused = refused(change).await;
        assert!(
            refused.contains("MessageNotInBatch") || refused.contains("PositionOutOfRange"),
            "{refused}"
        );
    }
    // Another kind of message.
    let other = refused(&|m| m.words[0] = U256::from(3)).await;
    assert!(other.contains("NotABundle { kind: 3 }"), "{other}");

    // A tampered bundle, field by field.
    let mut tampered = vec![bundle.clone(); 6];
    tampered[0].calls[0].target = world.vault;
    tampered[1].calls[0].value = U256::from(1);
    tampered[2].calls.clear();
    tampered[3].deadline += 1;
    tampered[4].gasLimit += 1;
    tampered[5] = tampered[5].clone().returning(ETH, 0);
    for bundle in &tampered {
        let refused = reason(world.handler.execute(&message, bundle).await);
        assert!(refused.contains("WrongBundleHash"), "{refused}");
        let refused = reason(world.handler.cancel(&message, bundle).await);
        assert!(refused.contains("WrongBundleHash"), "{refused}");
    }

    // After all that, the bundle runs.
    world.handler.execute(&message, &bundle).await.unwrap();
    assert_eq!(world.outcome(&message).await, Outcome::Executed);
}

#[tokio::test]
async fn a_bundle_runs_only_where_and_for_whom_it_was_signed() {
    let mut world = World::new().await;
    let counter = world.create(&Counter::BYTECODE).await;
    let good = world
        .bundle(vec![Call::of(counter, &Counter::incrementCall {})])
        .await;
    let message = world.message(&good, ETH, 10).await;
    world.handler.execute(&message, &good).await.unwrap();

    let stranger = Address::repeat_byte(0x99);
    let mut bundles = vec![good.clone(); 4];
    bundles[0].chainId += 1;
    bundles[1].l1ChainId += U256::from(1);
    bundles[2].handler = stranger;
    // Somebody's L2 account signs a bundle in the name of another owner.
    bundles[3].owner = stranger;
    let names = ["WrongChain", "WrongL1Chain", "WrongHandler", "WrongOwner"];
    for (bundle, name) in bundles.iter().zip(names) {
        let mut record = bundle.record(9, ETH, 10).unwrap();
        record[3] = U256::from_be_slice(world.owner().as_slice());
        let message = world.message_of(record).await;
        let refused = reason(world.handler.execute(&message, bundle).await);
        assert!(refused.contains(&format!("{name} {{")), "{refused}");
        assert_eq!(world.outcome(&message).await, Outcome::None);

        // It can never run, so nobody has to wait for its deadline to get the amount back, which
        // goes to the owner of the account that signed.
        let queued = world.queue(0).await.len() as u64;
        world.handler.cancel(&message, bundle).await.unwrap();
        assert_eq!(world.outcome(&message).await, Outcome::Cancelled);
        assert_eq!(world.queue(queued).await, [world.import(ETH, 10)]);
    }
    let count = world
        .read(
            counter,
            Counter::countCall {
                caller: world.account(),
            },
        )
        .await;
    assert_eq!(count, U256::from(1));
    let theirs = alias_address(world.handler.address(), CHAIN, stranger);
    assert_eq!(world.balance(Address::ZERO, theirs).await, U256::ZERO);
}

#[tokio::test]
async fn the_deadline_separates_running_from_cancelling() {
    let mut world = World::new().await;
    let bundle = world.bundle(vec![]).await;
    let in_time = world.message(&bundle, PLAIN, 10).await;
    let late = world.message(&bundle, PLAIN, 20).await;
    let early = reason(world.handler.cancel(&late, &bundle).await);
    assert!(early.contains("DeadlineNotPassed {"), "{early}");
    world.handler.execute(&in_time, &bundle).await.unwrap();

    world.warp(3_700).await;
    let refused = reason(world.handler.execute(&late, &bundle).await);
    assert!(refused.contains("DeadlinePassed {"), "{refused}");
    let queued = world.queue(0).await.len() as u64;
    let escrow = world.escrow(PLAIN).await;
    world.handler_as(6).cancel(&late, &bundle).await.unwrap();
    assert_eq!(world.outcome(&late).await, Outcome::Cancelled);
    assert_eq!(world.queue(queued).await, [world.import(PLAIN, 20)]);
    assert_eq!(world.escrow(PLAIN).await, escrow);

    // Once.
    for again in [
        reason(world.handler.cancel(&late, &bundle).await),
        reason(world.handler.execute(&late, &bundle).await),
    ] {
        assert_eq!(again, "AlreadyHandled { outcome: 3 }");
    }
    let again = reason(world.handler.cancel(&in_time, &bundle).await);
    assert_eq!(again, "AlreadyHandled { outcome: 1 }");
    assert_eq!(world.queue(queued).await.len(), 1);
}

#[tokio::test]
async fn nobody_but_the_handler_moves_an_alias_account_or_a_bundle_s_amount() {
    let mut world = World::new().await;
    let bundle = world.bundle(vec![]).await;
    let message = world.message(&bundle, ETH, 500).await;
    world.handler.execute(&message, &bundle).await.unwrap();
    let account = world.account();
    assert_eq!(world.balance(Address::ZERO, account).await, U256::from(500));

    // The operator, another account, and the owner himself before a halt.
    let calls = vec![contract_call(&Call::pay(
        Address::repeat_byte(1),
        U256::from(500),
    ))];
    for signer in [0, 3, 6] {
        let client = world.client_as(signer);
        let run = AliasAccount::runCall {
            calls: calls.clone(),
        }
        .abi_encode();
        let refused = reason(client.call("run", account, run.into()).await);
        assert!(refused.contains("NotHandler {"), "{refused}");
    }
    assert_eq!(world.balance(Address::ZERO, account).await, U256::from(500));

    // The inside of the handler, and the bridge's functions for the handler.
    let open = world.message(&bundle, ETH, 600).await;
    let run = InteropHandler::runCall {
        message: open.clone().into(),
        bundle: bundle.clone(),
        account,
    };
    let refused = reason(world.send(world.handler.address(), &run).await);
    assert!(refused.contains("NotSelf {"), "{refused}");
    let claim = SharedBridge::claimBundleCall {
        message: open.clone(),
        to: world.client.address(),
    };
    let refused = reason(world.send(world.l1.bridge, &claim).await);
    assert!(refused.contains("NotHandler {"), "{refused}");
    let back = SharedBridge::returnBundleCall {
        tip: U256::ZERO,
        to: Address::ZERO,
        message: open.clone(),
    };
    let refused = reason(world.send(world.l1.bridge, &back).await);
    assert!(refused.contains("NotHandler {"), "{refused}");
    world.handler.execute(&open, &bundle).await.unwrap();
    assert_eq!(
        world.balance(Address::ZERO, account).await,
        U256::from(1_100)
    );
}

#[tokio::test]
async fn being_first_at_an_alias_address_wins_nothing() {
    let mut world = World::new().await;
    let factory = factory_address(world.handler.address());
    let read = InteropHandler::factoryCall {};
    assert_eq!(world.read(world.handler.address(), read).await, factory);
    let owner = world.owner();
    // Chain and owner are both in the address.
    for (chain, owner) in [(CHAIN, owner), (CHAIN + 1, owner), (CHAIN, factory)] {
        let there = world
            .read(
                factory,
                AliasFactory::aliasOfCall {
                    chainId: chain,
                    owner,
                },
            )
            .await;
        assert_eq!(there, alias_address(world.handler.address(), chain, owner));
    }
    let account = world.account();
    assert_ne!(
        account,
        alias_address(world.handler.address(), CHAIN + 1, owner)
    );

    // Another account sends ETH to the address and creates the account before its first bundle.
    world.donate(6, account, 7).await;
    let ensure = AliasFactory::ensureCall {
        chainId: CHAIN,
        owner,
    };
    let first = ensure.abi_encode();
    let stranger = world.client_as(6);
    let mined = stranger
        .transact("ensure", Some(factory), first.into(), GasLimit::Estimate)
        .await;
    assert_eq!(mined.unwrap().receipt.inner.logs().len(), 1);
    assert_eq!(world.read(account, AliasAccount::ownerCall {}).await, owner);
    assert_eq!(
        world.read(account, AliasAccount::chainIdCall {}).await,
        CHAIN
    );
    let handler = world.read(account, AliasAccount::handlerCall {}).await;
    assert_eq!(handler, world.handler.address());
    // A second creation is no second account.
    let mined = world.send(factory, &ensure).await.unwrap();
    assert_eq!(mined.receipt.inner.logs().len(), 0);

    let bundle = world.bundle(vec![]).await.returning(ETH, 507);
    let message = world.message(&bundle, ETH, 500).await;
    let ran = world.handler.execute(&message, &bundle).await.unwrap();
    assert_eq!(
        ran,
        Ran::Executed {
            account,
            sent_back: U256::from(507)
        }
    );
}

#[tokio::test]
async fn a_bundle_that_nobody_can_show_goes_back_to_its_owner_alone() {
    let mut world = World::new().await;
    let owners = world.handler_as(3);
    let lost = world.bundle(vec![]).await;
    let mut kept = world.bundle(vec![]).await;
    kept.deadline += 30 * 24 * 3_600;
    let message = world.message(&lost, ETH, 70).await;
    let found = world.message(&kept, PLAIN, 80).await;

    let early = reason(owners.cancel_unopened(&message).await);
    assert_eq!(early, "NotAnnounced");
    let stranger = reason(world.handler_as(6).announce_cancel(&message).await);
    assert!(stranger.contains("NotOwner {"), "{stranger}");
    let mut forged = message.clone();
    forged.words[3] = U256::from_be_slice(world.user(6).as_slice());
    let refused = reason(world.handler_as(6).announce_cancel(&forged).await);
    assert!(refused.contains("MessageNotInBatch {"), "{refused}");
    for message in [&message, &found] {
        owners.announce_cancel(message).await.unwrap();
        let again = reason(owners.announce_cancel(message).await);
        assert!(again.contains("AlreadyAnnounced {"), "{again}");
    }
    world.warp(7 * 24 * 3_600 - 60).await;
    let early = reason(owners.cancel_unopened(&message).await);
    assert!(early.contains("CancelTooEarly {"), "{early}");
    // The announcement takes nothing from a bundle that is found after all.
    let ran = world.handler.execute(&found, &kept).await.unwrap();
    assert!(matches!(ran, Ran::Executed { .. }), "{ran:?}");
    world.warp(120).await;
    let late = reason(owners.cancel_unopened(&found).await);
    assert_eq!(late, "AlreadyHandled { outcome: 1 }");

    let stranger = reason(world.handler_as(6).cancel_unopened(&message).await);
    assert!(stranger.contains("NotOwner {"), "{stranger}");
    let queued = world.queue(0).await.len() as u64;
    owners.cancel_unopened(&message).await.unwrap();
    assert_eq!(world.outcome(&message).await, Outcome::Cancelled);
    assert_eq!(world.queue(queued).await, [world.import(ETH, 70)]);
    for again in [
        reason(owners.cancel_unopened(&message).await),
        reason(owners.announce_cancel(&message).await),
        reason(world.handler.execute(&message, &lost).await),
        reason(world.handler.cancel(&message, &lost).await),
    ] {
        assert_eq!(again, "AlreadyHandled { outcome: 3 }");
    }
    assert_eq!(world.queue(queued).await.len(), 1);
}

#[tokio::test]
async fn a_new_handler_strands_nothing_of_the_old_one() {
    let mut world = World::new().await;
    let old = world.handler.clone();
    let account = world.account();
    let friend = Address::repeat_byte(0x77);
    let pay = |wei: u64| vec![Call::pay(friend, U256::from(wei))];
    let mut bundle = world.bundle(vec![]).await;
    bundle.deadline += 3_600;
    let first = world.message(&bundle, ETH, 500).await;
    old.execute(&first, &bundle).await.unwrap();

    let arguments = InteropHandler::constructorCall {
        hub_: world.l1.hub,
        bridge_: world.l1.bridge,
        stateVerifier_: world.l1.state_verifier,
    };
    let code = [InteropHandler::BYTECODE.as_ref(), &arguments.abi_encode()].concat();
    let newest = world.create(&code.into()).await;
    let new = InteropContract::at(world.client.clone(), newest);
    let set = SharedBridge::setHandlerCall { handler_: newest };
    world.send(world.l1.bridge, &set).await.unwrap();
    let handler = world.read(world.l1.bridge, SharedBridge::handlerCall {});
    assert_eq!(handler.await, newest);

    // What was signed for the old one is the old one's: it runs there, and the new one can neither
    // run it nor give it back before its time.
    let [second, third, fourth] = [
        world.message(&bundle, ETH, 10).await,
        world.message(&bundle, ETH, 20).await,
        world.message(&bundle, ETH, 30).await,
    ];
    let refused = reason(new.execute(&second, &bundle).await);
    assert!(refused.contains("WrongHandler {"), "{refused}");
    let refused = reason(new.cancel(&second, &bundle).await);
    assert!(refused.contains("DeadlineNotPassed {"), "{refused}");
    old.execute(&second, &bundle).await.unwrap();
    assert_eq!(world.balance(Address::ZERO, account).await, U256::from(510));
    let mut newer = bundle.clone();
    newer.handler = newest;
    let message = world.message(&newer, ETH, 40).await;
    new.execute(&message, &newer).await.unwrap();
    // No message has an outcome at both.
    world.warp(3 * 3_600).await;
    let refused = reason(new.cancel(&second, &bundle).await);
    assert!(refused.contains("MessageUsed {"), "{refused}");
    new.cancel(&third, &bundle).await.unwrap();
    let refused = reason(old.cancel(&third, &bundle).await);
    assert!(refused.contains("MessageUsed {"), "{refused}");

    // Removed: its bundles go back at once, its alias accounts obey their owners, each his own.
    let owners = InteropContract::at(world.client_as(3), old.address());
    let refused = reason(owners.run_retired(CHAIN, pay(510)).await);
    assert_eq!(refused, "HandlerAccepted");
    let remove = SharedBridge::removeHandlerCall {
        handler_: old.address(),
    };
    world.send(world.l1.bridge, &remove).await.unwrap();
    let mut open = bundle.clone();
    open.deadline += 30 * 24 * 3_600;
    let message = world.message(&open, ETH, 5).await;
    let refused = reason(old.execute(&message, &open).await);
    assert!(refused.contains("NotHandler {"), "{refused}");
    let queued = world.queue(0).await.len() as u64;
    new.cancel(&message, &open).await.unwrap();
    new.cancel(&fourth, &bundle).await.unwrap();
    let back = [world.import(ETH, 5), world.import(ETH, 30)];
    assert_eq!(world.queue(queued).await, back);
    let theirs = InteropContract::at(world.client_as(6), old.address());
    let refused = reason(theirs.run_retired(CHAIN, pay(510)).await);
    assert!(refused.contains("NotEnoughEther {"), "{refused}");
    owners.run_retired(CHAIN, pay(510)).await.unwrap();
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::from(510));
    assert_eq!(world.balance(Address::ZERO, account).await, U256::ZERO);
}

fn contract_call(call: &Call) -> carillon_settlement::interop::contracts::AliasAccount::Call {
    carillon_settlement::interop::contracts::AliasAccount::Call {
        target: call.target,
        value: call.value,
        data: call.data.clone(),
    }
}
