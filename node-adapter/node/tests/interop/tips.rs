//! Tips: paid to whoever runs a bundle, after a run that succeeds and after one that fails for good, and
//! what may be tried to get one without the work, or to turn the payment against the owner.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use carillon_settlement::GasLimit;
use carillon_settlement::abi::ISharedBridge::Message;
use carillon_settlement::interop::contracts::InteropHandler;
use carillon_settlement::interop::{Bundle, BundleError, Call, Outcome, Ran, ran, tip_paid};

use super::failures::{failure, with_token};
use super::world::{ETH, PLAIN, SHARE, World, error_of, reason};
use carillon_testing::contracts::{BundleAttacker, RebasingToken, SwitchedToken, TipTaker};

/// Runs a bundle as another account; what it ended with, and what the account earned by it.
async fn earned(
    world: &World,
    signer: usize,
    token: Address,
    message: &Message,
    bundle: &Bundle,
) -> (Ran, U256) {
    let (handler, runner) = (world.handler_as(signer), world.user(signer));
    let before = world.balance(token, runner).await;
    let mined = handler
        .execute_with(message, bundle, GasLimit::Estimate)
        .await
        .unwrap();
    let mut after = world.balance(token, runner).await;
    if token.is_zero() {
        let price = mined.receipt.effective_gas_price;
        after += U256::from(u128::from(mined.receipt.gas_used) * price);
    }
    let earned = after - before;
    let paid = tip_paid(world.handler.address(), &mined);
    let said = (!earned.is_zero()).then_some((runner, earned));
    assert_eq!(paid, said, "the event and the balance");
    (ran(world.handler.address(), &mined).unwrap(), earned)
}

fn execute(message: &Message, bundle: &Bundle) -> Bytes {
    let call = InteropHandler::executeCall {
        message: message.clone().into(),
        bundle: bundle.clone(),
    };
    call.abi_encode().into()
}

#[tokio::test]
async fn the_runner_is_paid_out_of_the_withdrawn_amount() {
    let mut world = World::new().await;
    let friend = Address::repeat_byte(0x77);
    let account = world.account();
    // What paying a tip costs whoever runs the bundle.
    for tip in [0, 0, 30] {
        let bundle = world.bundle(vec![]).await.tipping(tip);
        let message = world.message(&bundle, PLAIN, 100).await;
        let run = world.handler_as(8);
        let run = run
            .execute_with(&message, &bundle, GasLimit::Estimate)
            .await;
        let gas = run.unwrap().receipt.gas_used;
        println!("gas of a bundle that only withdraws a token, tip {tip}: {gas}");
    }
    let bundle = world.bundle(vec![]).await.returning(PLAIN, 270);
    let message = world.message(&bundle, PLAIN, 0).await;
    world.handler.execute(&message, &bundle).await.unwrap();

    for (slot, token) in [(ETH, Address::ZERO), (PLAIN, world.token)] {
        // Stays: the alias account has what the tip left.
        let bundle = world.bundle(vec![]).await.tipping(30);
        let message = world.message(&bundle, slot, 100).await;
        let (end, tip) = earned(&world, 6, token, &message, &bundle).await;
        assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
        assert_eq!(tip, U256::from(30));
        assert_eq!(world.balance(token, account).await, U256::from(70));

        // Goes back: everything but the tip, also what was there before.
        let bundle = world.bundle(vec![]).await.returning(slot, 140).tipping(30);
        let message = world.message(&bundle, slot, 100).await;
        let (end, tip) = earned(&world, 6, token, &message, &bundle).await;
        let sent_back = U256::from(140);
        assert_eq!(end, Ran::Executed { account, sent_back });
        assert_eq!(tip, U256::from(30));
        assert_eq!(world.balance(token, account).await, U256::ZERO);

        // What goes back must be enough without the tip.
        let bundle = world.bundle(vec![]).await.returning(slot, 71).tipping(30);
        let message = world.message(&bundle, slot, 100).await;
        let (queued, escrow) = (world.queue(0).await.len() as u64, world.escrow(slot).await);
        let (end, tip) = earned(&world, 6, token, &message, &bundle).await;
        let Ran::Failed { reason } = end else {
            panic!("{end:?}")
        };
        let why = error_of(&reason);
        assert!(
            why.contains("ReturnTooSmall { balance: 70, minAmount: 71"),
            "{why}"
        );
        // Final, and the runner had the work: the rest is the owner's.
        assert_eq!(tip, U256::from(30));
        assert_eq!(world.queue(queued).await, [world.import(slot, 70)]);
        assert_eq!(world.escrow(slot).await, escrow - U256::from(30));
    }

    // A tip of everything leaves nothing to give back.
    let spend = vec![Call::pay(friend, U256::from(1))];
    let bundle = world.bundle(spend).await.tipping(100);
    let message = world.message(&bundle, ETH, 100).await;
    let queued = world.queue(0).await.len() as u64;
    let (end, tip) = earned(&world, 6, Address::ZERO, &message, &bundle).await;
    let Ran::Failed { reason } = end else {
        panic!("{end:?}")
    };
    let why = error_of(&reason);
    assert!(why.contains("TipSpent { balance: 99, tip: 100"), "{why}");
    assert_eq!(tip, U256::from(100));
    assert_eq!(world.queue(queued).await.len(), 0);
    assert_eq!(world.balance(Address::ZERO, friend).await, U256::ZERO);

    // Also if the bundle sends back the token whose tip the calls have spent.
    let spend = vec![Call::pay(friend, U256::from(90))];
    let bundle = world.bundle(spend).await.returning(ETH, 0).tipping(20);
    let message = world.message(&bundle, ETH, 100).await;
    let why = failure(&world, &message, &bundle).await;
    assert!(why.contains("TipSpent { balance: 10, tip: 20"), "{why}");

    // A run that burns all its gas leaves enough for its return and the tip.
    let attacker = world.create(&BundleAttacker::BYTECODE).await;
    let all = Call::of(attacker, &BundleAttacker::burnAllCall {});
    let bundle = world.bundle(vec![all]).await.tipping(1);
    let message = world.message(&bundle, PLAIN, 5).await;
    let queued = world.queue(0).await.len() as u64;
    let (end, tip) = earned(&world, 6, world.token, &message, &bundle).await;
    assert!(matches!(end, Ran::Failed { .. }), "{end:?}");
    assert_eq!(tip, U256::from(1));
    assert_eq!(world.queue(queued).await, [world.import(PLAIN, 4)]);
}

#[tokio::test]
async fn a_tip_larger_than_the_amount_locks_nothing() {
    let mut world = World::new().await;
    let bundle = world.bundle(vec![]).await.tipping(11);
    let refused = bundle.record(9, PLAIN, 10).unwrap_err();
    assert_eq!(
        refused,
        BundleError::Tip {
            tip: 11,
            amount: 10
        }
    );
    bundle.record(9, PLAIN, 11).unwrap();

    // A record that no tool would make.
    let mut record = bundle.record(9, PLAIN, 11).unwrap();
    record[1] = U256::from(10);
    let message = world.message_of(record).await;
    let refused = reason(world.handler.execute(&message, &bundle).await);
    assert_eq!(refused, "TipAboveAmount { tip: 11, amount: 10 }");
    assert_eq!(world.outcome(&message).await, Outcome::None);
    // Before the deadline, by anyone, and whoever cancels earns nothing.
    let queued = world.queue(0).await.len() as u64;
    world.handler_as(6).cancel(&message, &bundle).await.unwrap();
    assert_eq!(world.queue(queued).await, [world.import(PLAIN, 10)]);
    assert_eq!(world.balance(world.token, world.user(6)).await, U256::ZERO);

    // A bundle that can run is not cancelled for its tip.
    let message = world.message(&bundle, PLAIN, 11).await;
    let early = reason(world.handler.cancel(&message, &bundle).await);
    assert!(early.contains("DeadlineNotPassed {"), "{early}");
}

#[tokio::test]
async fn a_wrapping_contract_earns_by_success_alone() {
    let mut world = World::new().await;
    let taker = world.create(&TipTaker::BYTECODE).await;
    let handler = world.handler.address();
    let good = world.bundle(vec![]).await.tipping(30);
    let failing = world.bundle(vec![]).await.returning(SHARE, 1).tipping(30);
    let records = [
        good.record(9, ETH, 100).unwrap(),
        failing.record(9, ETH, 100).unwrap(),
        good.record(9, ETH, 100).unwrap(),
    ];
    let messages = world.settle(&records).await;
    let forward = |k: usize, bundle: &Bundle| TipTaker::forwardCall {
        to: handler,
        call_: execute(&messages[&k], bundle),
    };

    // A failure that a contract could have brought about pays nobody.
    let refused = reason(world.send(taker, &forward(1, &failing)).await);
    assert!(refused.contains("FailureNotFinal"), "{refused}");
    assert_eq!(world.outcome(&messages[&1]).await, Outcome::None);
    assert_eq!(world.balance(Address::ZERO, taker).await, U256::ZERO);

    // Who refuses the money undoes his own transaction, and nothing else.
    let arm = |refusing_, target_, data_| TipTaker::armCall {
        refusing_,
        target_,
        data_,
    };
    world
        .send(taker, &arm(true, Address::ZERO, Bytes::new()))
        .await
        .unwrap();
    let refused = reason(world.send(taker, &forward(0, &good)).await);
    assert!(refused.contains("CallFailed: call 0"), "{refused}");
    assert_eq!(world.outcome(&messages[&0]).await, Outcome::None);
    assert_eq!(
        world.balance(Address::ZERO, world.account()).await,
        U256::ZERO
    );

    // While it is paid it cannot come in again, and the tip is the wrapper's, once.
    let other = execute(&messages[&2], &good);
    world
        .send(taker, &arm(false, handler, other))
        .await
        .unwrap();
    world.send(taker, &forward(0, &good)).await.unwrap();
    assert_eq!(world.outcome(&messages[&0]).await, Outcome::Executed);
    assert_eq!(world.outcome(&messages[&2]).await, Outcome::None);
    assert_eq!(world.balance(Address::ZERO, taker).await, U256::from(30));
    let answer = world.read(taker, TipTaker::innerAnswerCall {}).await;
    assert!(!world.read(taker, TipTaker::innerSucceededCall {}).await);
    assert_eq!(error_of(&answer), "ReentrancyGuardReentrantCall");
    let again = reason(world.send(taker, &forward(0, &good)).await);
    assert_eq!(again, "AlreadyHandled { outcome: 1 }");
}

#[tokio::test]
async fn who_cannot_be_paid_cannot_make_a_bundle_fail() {
    let mut world = World::new().await;
    let token = world.create(&SwitchedToken::BYTECODE).await;
    with_token(&mut world, 3, token).await;
    let blocked = world.user(6);
    let block = SwitchedToken::setBlockedCall {
        account: blocked,
        blocked_: true,
    };
    world.send(token, &block).await.unwrap();

    // The token blocks the runner, not the owner: the bundle keeps its chance.
    let good = world.bundle(vec![]).await.tipping(30);
    let failing = world.bundle(vec![]).await.returning(SHARE, 1).tipping(30);
    let records = [
        good.record(9, 3, 100).unwrap(),
        failing.record(9, 3, 100).unwrap(),
    ];
    let messages = world.settle(&records).await;
    for (k, bundle) in [(0, &good), (1, &failing)] {
        let refused = reason(world.handler_as(6).execute(&messages[&k], bundle).await);
        assert!(refused.contains("reverted with 0x"), "{refused}");
        assert_eq!(world.outcome(&messages[&k]).await, Outcome::None);
    }
    let (end, tip) = earned(&world, 5, token, &messages[&0], &good).await;
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    assert_eq!(tip, U256::from(30));
    let (end, tip) = earned(&world, 5, token, &messages[&1], &failing).await;
    assert!(matches!(end, Ran::Failed { .. }), "{end:?}");
    assert_eq!(tip, U256::from(30));
    assert_eq!(world.balance(token, blocked).await, U256::ZERO);
}

#[tokio::test]
async fn a_token_whose_balances_move_pays_a_tip_exactly_or_nothing_happens() {
    let mut world = World::new().await;
    let token = world.create(&RebasingToken::BYTECODE).await;
    let discreet = RebasingToken::setDiscreetCall { discreet_: true };
    world.send(token, &discreet).await.unwrap();
    with_token(&mut world, 6, token).await;
    let rebase = |factor_: u128| RebasingToken::rebaseCall {
        factor_: U256::from(factor_),
    };
    const ONE: u128 = 10u128.pow(18);
    // Each share is worth three from the bundle's own call on: ten units cannot be moved, but twelve can.
    let calls = vec![Call::of(token, &rebase(3 * ONE))];
    let odd = world.bundle(calls).await.tipping(10);
    let message = world.message(&odd, 6, 100).await;
    let refused = reason(world.handler_as(5).execute(&message, &odd).await);
    assert!(refused.contains("TipNotPaid {"), "{refused}");
    assert!(refused.contains("tip: 10 }"), "{refused}");
    assert_eq!(world.outcome(&message).await, Outcome::None);
    // What can be moved exactly is paid.
    let calls = vec![Call::of(token, &rebase(2 * ONE))];
    let even = world.bundle(calls).await.tipping(10);
    let even_message = world.message(&even, 6, 100).await;
    let (end, tip) = earned(&world, 5, token, &even_message, &even).await;
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    assert_eq!(tip, U256::from(10));

    // A loss: a failure with a tip waits for its deadline, and then everything is back on L2.
    world.send(token, &rebase(ONE / 2)).await.unwrap();
    let refused = reason(world.handler_as(5).execute(&message, &odd).await);
    assert!(refused.contains("TokenShort {"), "{refused}");
    assert_eq!(world.outcome(&message).await, Outcome::None);
    world.warp(2 * 3_600).await;
    let queued = world.queue(0).await.len() as u64;
    world.handler_as(5).cancel(&message, &odd).await.unwrap();
    assert_eq!(world.queue(queued).await, [world.import(6, 100)]);
}

#[tokio::test]
async fn no_amount_of_gas_makes_a_tip_without_an_end() {
    let mut world = World::new().await;
    let runner = world.user(6);
    for (bundle, end) in [
        (world.bundle(vec![]).await.tipping(30), Outcome::Executed),
        (
            world.bundle(vec![]).await.returning(SHARE, 1).tipping(30),
            Outcome::Failed,
        ),
    ] {
        let message = world.message(&bundle, PLAIN, 100).await;
        let before = world.balance(world.token, runner).await;
        let mut refused = 0;
        for gas in (300_000..1_500_000).step_by(25_000) {
            let handler = world.handler_as(6);
            let run = handler
                .execute_with(&message, &bundle, GasLimit::Fixed(gas))
                .await;
            let earned = world.balance(world.token, runner).await - before;
            if run.is_ok() {
                assert_eq!(world.outcome(&message).await, end);
                assert_eq!(earned, U256::from(30));
                break;
            }
            refused += 1;
            assert_eq!(world.outcome(&message).await, Outcome::None);
            assert_eq!(earned, U256::ZERO);
        }
        assert_eq!(world.outcome(&message).await, end);
        assert!(refused > 5, "{refused}");
    }
}

#[tokio::test]
async fn on_a_halted_chain_the_tip_comes_out_of_what_the_alias_account_gets() {
    let mut world = World::new().await;
    let mut good = world.bundle(vec![]).await.tipping(30);
    let mut back = world.bundle(vec![]).await.returning(ETH, 1).tipping(30);
    for bundle in [&mut good, &mut back] {
        bundle.deadline += 30 * 24 * 3_600;
    }
    let records = [
        good.record(9, ETH, 100).unwrap(),
        back.record(9, ETH, 100).unwrap(),
        back.record(9, ETH, 100).unwrap(),
    ];
    let messages = world.settle(&records).await;
    world.halt().await;
    let account = world.account();
    let (end, tip) = earned(&world, 6, Address::ZERO, &messages[&0], &good).await;
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    assert_eq!(tip, U256::from(30));
    assert_eq!(world.balance(Address::ZERO, account).await, U256::from(70));
    // The chain takes nothing back, so the run fails; the owner has the rest on L1.
    let (end, tip) = earned(&world, 6, Address::ZERO, &messages[&1], &back).await;
    let Ran::Failed { reason } = end else {
        panic!("{end:?}")
    };
    assert!(error_of(&reason).contains("ChainHalted"));
    assert_eq!(tip, U256::from(30));
    assert_eq!(world.balance(Address::ZERO, account).await, U256::from(140));
    // A cancellation pays none.
    world.warp(40 * 24 * 3_600).await;
    let before = world.balance(Address::ZERO, account).await;
    world
        .handler_as(6)
        .cancel(&messages[&2], &back)
        .await
        .unwrap();
    assert_eq!(
        world.balance(Address::ZERO, account).await,
        before + U256::from(100)
    );
}
