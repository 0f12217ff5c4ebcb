//! Runs that fail: undone as a whole, returned to L2 once; and what others may try to make a run
//! fail, or to do while it runs.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use carillon_settlement::GasLimit;
use carillon_settlement::abi::ISharedBridge::Message;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::interop::contracts::{AliasAccount, InteropHandler};
use carillon_settlement::interop::{Bundle, Call, Outcome, Ran, ran};

use super::common::published::pausing_token;
use super::world::{ETH, PLAIN, SHARE, World, error_of, reason};
use carillon_testing::contracts::{
    BundleAttacker, Counter, PlainToken, RebasingToken, ReentrantToken, ShareVault, SilentToken,
    SwitchedToken,
};

alloy::sol! {
    function pause();
    function unpause();
}

/// The reason of a run that failed.
pub async fn failure(world: &World, message: &Message, bundle: &Bundle) -> String {
    match world.handler.execute(message, bundle).await.unwrap() {
        Ran::Failed { reason } => error_of(&reason),
        executed @ Ran::Executed { .. } => panic!("{executed:?}"),
    }
}

#[tokio::test]
async fn a_failed_call_undoes_everything_and_returns_the_amount_once() {
    let mut world = World::new().await;
    let counter = world.create(&Counter::BYTECODE).await;
    let attacker = world.create(&BundleAttacker::BYTECODE).await;
    let count = Call::of(counter, &Counter::incrementCall {});
    let pay = count.clone().with_value(U256::from(50));
    let good = world.bundle(vec![pay.clone()]).await;
    let message = world.message(&good, ETH, 50).await;
    assert!(matches!(
        world.handler.execute(&message, &good).await.unwrap(),
        Ran::Executed { .. }
    ));
    let account = world.account();
    let counted = async |world: &World| {
        world
            .read(counter, Counter::countCall { caller: account })
            .await
    };
    assert_eq!(counted(&world).await, U256::from(1));

    let nowhere = Address::repeat_byte(0x55);
    let code = U256::from(77);
    let refuse = Call::of(attacker, &BundleAttacker::refuseCall { code });
    let alias_run = AliasAccount::runCall { calls: vec![] };
    let shares = Call::of(
        world.vault,
        &ShareVault::depositCall {
            amount: U256::from(1),
        },
    );
    // Calls, what goes back, the reason.
    type Case = (Vec<Call>, Option<(u8, u128)>, &'static str);
    let cases: Vec<Case> = vec![
        (vec![pay.clone(), refuse], None, "CallFailed: call 1"),
        (
            vec![pay.clone(), pay.clone()],
            None,
            "NotEnoughEther { index: 1",
        ),
        (
            vec![pay.clone(), Call::of(nowhere, &alias_run)],
            None,
            "NoContract { index: 1",
        ),
        (vec![pay.clone(), shares], None, "CallFailed: call 1"),
        // The alias account does not obey itself.
        (
            vec![pay.clone(), Call::of(account, &alias_run)],
            None,
            "NotHandler {",
        ),
        (vec![pay.clone()], Some((ETH, 1)), "ReturnTooSmall {"),
        (vec![pay.clone()], Some((SHARE, 1)), "ReturnTooSmall {"),
        (vec![pay.clone()], Some((9, 0)), "UnknownReturnToken {"),
    ];
    for (calls, back, expected) in cases {
        let mut bundle = world.bundle(calls).await;
        if let Some((token, min)) = back {
            bundle = bundle.returning(token, min);
        }
        let message = world.message(&bundle, ETH, 50).await;
        let (queued, escrow) = (world.queue(0).await.len() as u64, world.escrow(ETH).await);
        let failed = failure(&world, &message, &bundle).await;
        assert!(failed.contains(expected), "{failed}");
        if expected == "CallFailed: call 1" && failed.contains(&attacker.to_string()) {
            // The attacker's own error, 77.
            assert!(failed.contains("4d"), "{failed}");
        }
        assert_eq!(world.outcome(&message).await, Outcome::Failed);
        assert_eq!(world.queue(queued).await, [world.import(ETH, 50)]);
        assert_eq!(world.escrow(ETH).await, escrow);
        assert_eq!(counted(&world).await, U256::from(1));
        assert_eq!(world.balance(Address::ZERO, account).await, U256::ZERO);
        let again = reason(world.handler.execute(&message, &bundle).await);
        assert_eq!(again, "AlreadyHandled { outcome: 2 }");
        assert_eq!(reason(world.handler.cancel(&message, &bundle).await), again);
        assert_eq!(world.queue(queued).await.len(), 1);
    }
    // A batch takes what came back.
    let entries = world.queue(2).await;
    world.settle(&entries).await;
}

#[tokio::test]
async fn large_answers_starve_nobody() {
    let mut world = World::new().await;
    let attacker = world.create(&BundleAttacker::BYTECODE).await;
    let length = U256::from(200_000);
    let flood = Call::of(attacker, &BundleAttacker::floodCall { length });
    let bundle = world.bundle(vec![flood]).await;
    let message = world.message(&bundle, ETH, 5).await;
    assert!(matches!(
        world.handler.execute(&message, &bundle).await.unwrap(),
        Ran::Executed { .. }
    ));

    let bomb = Call::of(attacker, &BundleAttacker::bombCall { length });
    let bundle = world.bundle(vec![bomb]).await;
    let message = world.message(&bundle, ETH, 5).await;
    let mined = world
        .handler
        .execute_with(&message, &bundle, GasLimit::Estimate)
        .await
        .unwrap();
    let Ran::Failed { reason } = ran(world.handler.address(), &mined).unwrap() else {
        panic!("the bomb did not go off");
    };
    // 256 bytes of it, in the alias account's error.
    assert_eq!(reason.len(), 4 + 4 * 32 + 256);
    assert!(
        mined.receipt.gas_used < 500_000,
        "{}",
        mined.receipt.gas_used
    );
    assert_eq!(world.outcome(&message).await, Outcome::Failed);
}

#[tokio::test]
async fn a_bundle_cannot_be_starved() {
    let mut world = World::new().await;
    let attacker = world.create(&BundleAttacker::BYTECODE).await;
    // Needs most of its 500,000 gas.
    let burn = BundleAttacker::burnCall {
        gasToBurn: U256::from(330_000),
    };
    let bundle = world.bundle(vec![Call::of(attacker, &burn)]).await;
    let first = world.message(&bundle, ETH, 5).await;
    assert!(matches!(
        world.handler.execute(&first, &bundle).await.unwrap(),
        Ran::Executed { .. }
    ));

    // Every amount of gas: the transaction fails and changes nothing, or the bundle succeeds.
    let message = world.message(&bundle, ETH, 5).await;
    let mut names = Vec::new();
    for gas in (80_000..1_200_000).step_by(70_000) {
        match world
            .handler
            .execute_with(&message, &bundle, GasLimit::Fixed(gas))
            .await
        {
            Ok(mined) => {
                let end = ran(world.handler.address(), &mined).unwrap();
                assert!(matches!(end, Ran::Executed { .. }), "{gas}: {end:?}");
                break;
            }
            refused => names.push(reason(refused)),
        }
        assert_eq!(world.outcome(&message).await, Outcome::None);
    }
    assert_eq!(world.outcome(&message).await, Outcome::Executed);
    assert!(
        names.len() > 5 && names.iter().any(|n| n.contains("NotEnoughGas {")),
        "{names:?}"
    );
    println!("{} amounts of gas were refused", names.len());

    // A bundle whose own limit is too small fails, whatever the transaction brings.
    let mut small = world.bundle(bundle.calls.clone()).await;
    small.gasLimit = 200_000;
    let message = world.message(&small, ETH, 5).await;
    let end = world
        .handler
        .execute_with(&message, &small, GasLimit::Fixed(3_000_000))
        .await;
    let end = ran(world.handler.address(), &end.unwrap()).unwrap();
    assert!(matches!(end, Ran::Failed { .. }), "{end:?}");

    // And one that burns all it gets leaves enough for its return.
    let all = Call::of(attacker, &BundleAttacker::burnAllCall {});
    let bundle = world.bundle(vec![all]).await;
    let message = world.message(&bundle, ETH, 5).await;
    let queued = world.queue(0).await.len() as u64;
    failure(&world, &message, &bundle).await;
    assert_eq!(world.queue(queued).await, [world.import(ETH, 5)]);
}

#[tokio::test]
async fn failures_brought_about_by_a_contract_do_not_count() {
    let mut world = World::new().await;
    let attacker = world.create(&BundleAttacker::BYTECODE).await;
    let good = world.bundle(vec![]).await;
    let failing = world.bundle(vec![]).await.returning(SHARE, 1);
    let records = [
        good.record(9, ETH, 5).unwrap(),
        failing.record(9, ETH, 5).unwrap(),
    ];
    let messages = world.settle(&records).await;
    let forward = |k: usize, bundle: &Bundle| {
        let execute = InteropHandler::executeCall {
            message: messages[&k].clone().into(),
            bundle: bundle.clone(),
        };
        BundleAttacker::forwardCall {
            target: world.handler.address(),
            data: execute.abi_encode().into(),
        }
    };
    // Contracts may run bundles.
    world.send(attacker, &forward(0, &good)).await.unwrap();
    assert_eq!(world.outcome(&messages[&0]).await, Outcome::Executed);

    let refused = reason(world.send(attacker, &forward(1, &failing)).await);
    assert!(refused.contains("FailureNotFinal"), "{refused}");
    assert!(refused.contains("ReturnTooSmall"), "{refused}");
    assert_eq!(world.outcome(&messages[&1]).await, Outcome::None);
    // A plain account's run counts.
    let failed = failure(&world, &messages[&1], &failing).await;
    assert!(failed.contains("ReturnTooSmall"), "{failed}");
}

#[tokio::test]
async fn nothing_is_reentered() {
    let mut world = World::new().await;
    let attacker = world.create(&BundleAttacker::BYTECODE).await;
    let handler = world.handler.address();
    let account = world.account();
    let other = world.bundle(vec![]).await;
    let open = world.message(&other, PLAIN, 30).await;

    // What a called contract may try while a bundle runs.
    let execute = InteropHandler::executeCall {
        message: open.clone().into(),
        bundle: other.clone(),
    };
    let cancel = InteropHandler::cancelCall {
        message: open.clone().into(),
        bundle: other.clone(),
    };
    let run = InteropHandler::runCall {
        message: open.clone().into(),
        bundle: other.clone(),
        account: attacker,
    };
    let take = AliasAccount::Call {
        target: attacker,
        value: U256::from(1),
        data: Bytes::new(),
    };
    let alias_run = AliasAccount::runCall { calls: vec![take] };
    let attempts = [
        (
            handler,
            execute.abi_encode(),
            "ReentrancyGuardReentrantCall",
        ),
        (handler, cancel.abi_encode(), "ReentrancyGuardReentrantCall"),
        (handler, run.abi_encode(), "NotSelf {"),
        (account, alias_run.abi_encode(), "NotHandler {"),
    ];
    for (target, data, expected) in attempts {
        let attempt = BundleAttacker::attemptCall {
            target,
            data: data.into(),
        };
        let mut bundle = world.bundle(vec![Call::of(attacker, &attempt)]).await;
        bundle.gasLimit = 2_000_000;
        let message = world.message(&bundle, ETH, 5).await;
        let end = world.handler.execute(&message, &bundle).await.unwrap();
        assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
        assert!(
            !world
                .read(attacker, BundleAttacker::innerSucceededCall {})
                .await
        );
        let answer = world
            .read(attacker, BundleAttacker::innerAnswerCall {})
            .await;
        let answer = error_of(&answer);
        assert!(answer.contains(expected), "{answer}");
        assert_eq!(world.outcome(&open).await, Outcome::None);
    }
    assert_eq!(world.balance(Address::ZERO, attacker).await, U256::ZERO);
    // The other bundle was open all the time.
    world.handler.execute(&open, &other).await.unwrap();
    assert_eq!(world.balance(world.token, account).await, U256::from(30));
}

/// A token in a slot, of which the chain holds 1,000.
pub async fn with_token(world: &mut World, slot: u8, token: Address) {
    world.list(slot.into(), token).await.unwrap();
    let me = world.user(0);
    let amount = U256::from(1_000);
    let mint = PlainToken::mintCall { to: me, amount };
    world.send(token, &mint).await.unwrap();
    let approve = PlainToken::approveCall {
        spender: world.l1.bridge,
        value: amount,
    };
    world.send(token, &approve).await.unwrap();
    world.deposit_token(me, slot, 1_000).await.unwrap();
    // What bundles sent back waits before it.
    let executed = world.progress().await.queueExecuted;
    let records = world.queue(executed).await;
    world.settle(&records).await;
}

#[tokio::test]
async fn bundles_of_tokens_of_every_kind() {
    let mut world = World::new().await;
    let (account, handler) = (world.account(), world.handler.address());
    // Paused, blocked: the run fails, the amount is back on L2, and the next bundle has its chance.
    let switched = world.create(&SwitchedToken::BYTECODE).await;
    with_token(&mut world, 3, switched).await;
    let keep = world.bundle(vec![]).await;
    let pause = |paused_| SwitchedToken::setPausedCall { paused_ };
    let block = |blocked_| SwitchedToken::setBlockedCall { account, blocked_ };
    for paused in [true, false] {
        world.send(switched, &pause(paused)).await.unwrap();
        world.send(switched, &block(!paused)).await.unwrap();
        let message = world.message(&keep, 3, 100).await;
        let queued = world.queue(0).await.len() as u64;
        failure(&world, &message, &keep).await;
        let back = [world.import(3, 100)];
        assert_eq!(world.queue(queued).await, back);
        world.settle(&back).await;
    }
    world.send(switched, &block(false)).await.unwrap();
    let back = world.bundle(vec![]).await.returning(3, 100);
    let message = world.message(&back, 3, 100).await;
    let executed = |sent_back: u64| Ran::Executed {
        account,
        sent_back: U256::from(sent_back),
    };
    let ran = world.handler.execute(&message, &back).await.unwrap();
    assert_eq!(ran, executed(100));

    // The same of a token that others wrote.
    let pausing = world.create(&pausing_token()).await;
    with_token(&mut world, 7, pausing).await;
    world.send(pausing, &pauseCall {}).await.unwrap();
    let message = world.message(&keep, 7, 100).await;
    let queued = world.queue(0).await.len() as u64;
    let why = failure(&world, &message, &keep).await;
    assert!(why.contains("token transfer while paused"), "{why}");
    let imported = [world.import(7, 100)];
    assert_eq!(world.queue(queued).await, imported);
    world.settle(&imported).await;
    world.send(pausing, &unpauseCall {}).await.unwrap();
    let back = world.bundle(vec![]).await.returning(7, 100);
    let message = world.message(&back, 7, 100).await;
    let ran = world.handler.execute(&message, &back).await.unwrap();
    assert_eq!(ran, executed(100));

    // No answers: out, approved and back again.
    let silent = world.create(&SilentToken::BYTECODE).await;
    with_token(&mut world, 4, silent).await;
    let back = world.bundle(vec![]).await.returning(4, 100);
    let message = world.message(&back, 4, 100).await;
    let ran = world.handler.execute(&message, &back).await.unwrap();
    assert_eq!(ran, executed(100));

    // A token that calls the handler and the bridge while it moves.
    let reentrant = world.create(&ReentrantToken::BYTECODE).await;
    with_token(&mut world, 5, reentrant).await;
    let open = world.message(&keep, 5, 40).await;
    let again = InteropHandler::executeCall {
        message: open.clone().into(),
        bundle: keep.clone(),
    };
    let cancel = InteropHandler::announceCancelCall {
        message: open.clone().into(),
    };
    let calls = [again.abi_encode(), cancel.abi_encode()];
    for (call, held) in calls.into_iter().zip([100, 200]) {
        let arm = ReentrantToken::armCall {
            target: handler,
            call: call.into(),
        };
        world.send(reentrant, &arm).await.unwrap();
        let message = world.message(&keep, 5, 100).await;
        let ran = world.handler.execute(&message, &keep).await.unwrap();
        assert_eq!(ran, executed(0));
        let answer = world.read(reentrant, ReentrantToken::answerCall {}).await;
        assert_eq!(error_of(&answer), "ReentrancyGuardReentrantCall");
        assert_eq!(world.balance(reentrant, account).await, U256::from(held));
    }
    assert_eq!(world.outcome(&open).await, Outcome::None);

    // A loss: the bundle was signed for its whole amount, so it fails and nothing is lost on L2,
    // unless the owner agrees to his share.
    let rebasing = world.create(&RebasingToken::BYTECODE).await;
    let discreet = RebasingToken::setDiscreetCall { discreet_: true };
    world.send(rebasing, &discreet).await.unwrap();
    with_token(&mut world, 6, rebasing).await;
    let half = RebasingToken::rebaseCall {
        factor_: U256::from(500_000_000_000_000_000u64),
    };
    world.send(rebasing, &half).await.unwrap();
    let message = world.message(&keep, 6, 100).await;
    let queued = world.queue(0).await.len() as u64;
    let why = failure(&world, &message, &keep).await;
    assert!(why.contains("TokenShort {"), "{why}");
    assert_eq!(world.queue(queued).await, [world.import(6, 100)]);
    let accept = SharedBridge::acceptShareCall {
        token: rebasing,
        least: U256::from(1),
    };
    world.send_as(world.owner(), world.l1.bridge, &accept).await;
    let message = world.message(&keep, 6, 100).await;
    let ran = world.handler.execute(&message, &keep).await.unwrap();
    assert_eq!(ran, executed(0));
    assert_eq!(world.balance(rebasing, account).await, U256::from(50));
}
