//! What may be tried against a bundle that uses Aave: prices moved before it runs, and a callback of the
//! pool that comes back in.

use alloy::primitives::{Address, Bytes, I256, U256};
use alloy::sol_types::{SolCall, SolValue};
use carillon_settlement::aave::{IPool, MarketOptions};
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::abi::demo::PriceSource;
use carillon_settlement::interop::contracts::{AliasAccount, InteropHandler};
use carillon_settlement::interop::{Call, Outcome, Ran};

use super::aave_world::{Actions, GHO, UNIT, WETH, deposit, market};
use super::failures::failure;
use super::world::{ETH, World, error_of, reason};
use carillon_testing::contracts::FlashBorrower;

/// A chain that holds 10 WETH and 5 GHO-like tokens of the operator, and the market.
async fn lending() -> (World, Actions) {
    let mut world = World::new().await;
    let (market, checks) = market(&world, &MarketOptions::default()).await;
    let (me, queued) = (world.user(0), world.queue(0).await.len() as u64);
    for (slot, token, amount) in [(WETH, market.weth, 10 * UNIT), (GHO, market.gho, 5 * UNIT)] {
        deposit(&world, me, (slot, token), amount, me, vec![]).await;
    }
    let records = world.queue(queued).await;
    world.settle(&records).await;
    let alias = world.account();
    let act = Actions {
        market,
        checks,
        alias,
    };
    (world, act)
}

#[tokio::test]
async fn a_price_moved_before_the_run_meets_the_floor() {
    let (mut world, act) = lending().await;
    let dollars = |price: u64| PriceSource::setCall {
        answer: I256::unchecked_from(price * 100_000_000),
    };
    let calls = act.story(UNIT, 1_000 * UNIT);
    // At 3,000 dollars the factor is 2.475.
    let mut signed = world.bundle(calls.clone()).await.returning(GHO, 1);
    let mut floorless = world.bundle(calls[..3].to_vec()).await.returning(GHO, 1);
    for bundle in [&mut signed, &mut floorless] {
        bundle.gasLimit = 1_500_000;
    }
    let with_floor = world.message(&signed, WETH, UNIT).await;
    // Halved: the pool would still lend, at a factor of 1.2375.
    world
        .send(act.market.weth_price, &dollars(1_500))
        .await
        .unwrap();
    let queued = world.queue(0).await.len() as u64;
    let why = failure(&world, &with_floor, &signed).await;
    assert!(why.contains("CallFailed: call 3"), "{why}");
    assert!(why.contains("HealthFactorTooLow {"), "{why}");
    assert!(
        why.contains("healthFactor: 1237500000000000000, least: 1500000000000000000"),
        "{why}"
    );
    // Final, undone, paid back.
    assert_eq!(world.outcome(&with_floor).await, Outcome::Failed);
    assert_eq!(world.queue(queued).await, [world.import(WETH, UNIT)]);
    for token in [act.market.a_weth, act.market.gho_debt, act.market.weth] {
        assert_eq!(world.balance(token, act.alias).await, U256::ZERO);
    }
    let again = reason(world.handler.execute(&with_floor, &signed).await);
    assert_eq!(again, "AlreadyHandled { outcome: 2 }");
    // Without the floor the same calls go through: it is the check that stops them.
    let without = world.message(&floorless, WETH, UNIT).await;
    let end = world.handler.execute(&without, &floorless).await.unwrap();
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    // And at the old price the first bundle, signed again, goes through, too.
    world
        .send(act.market.weth_price, &dollars(3_000))
        .await
        .unwrap();
    let message = world.message(&signed, WETH, UNIT).await;
    let end = world.handler.execute(&message, &signed).await.unwrap();
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
}

#[tokio::test]
async fn a_callback_of_the_pool_cannot_come_back_in() {
    let (mut world, act) = lending().await;
    let borrower = world.create(&FlashBorrower::BYTECODE).await;
    let handler = world.handler.address();
    let other = world.bundle(vec![]).await;
    let open = world.message(&other, ETH, 30).await;
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
        account: borrower,
    };
    let take = AliasAccount::Call {
        target: borrower,
        value: U256::from(1),
        data: Bytes::new(),
    };
    let alias_run = AliasAccount::runCall { calls: vec![take] };
    let claim = SharedBridge::claimBundleCall {
        message: open.clone(),
        to: borrower,
    };
    let loan = |receiver, target: Address, data: Vec<u8>| {
        let flash = IPool::flashLoanSimpleCall {
            receiver,
            asset: act.market.gho,
            amount: U256::from(500 * UNIT),
            params: (target, Bytes::from(data)).abi_encode_params().into(),
            referralCode: 0,
        };
        Call::of(act.market.pool, &flash)
    };
    let guard = "ReentrancyGuardReentrantCall";
    let attempts = [
        (handler, execute.abi_encode(), guard),
        (handler, cancel.abi_encode(), guard),
        (handler, run.abi_encode(), "NotSelf {"),
        (act.alias, alias_run.abi_encode(), "NotHandler {"),
        (world.l1.bridge, claim.abi_encode(), "NotHandler {"),
    ];
    for (index, (target, data, expected)) in attempts.into_iter().enumerate() {
        let mut bundle = world.bundle(vec![loan(borrower, target, data)]).await;
        bundle.gasLimit = 2_000_000;
        let message = world.message(&bundle, ETH, 5).await;
        let end = world.handler.execute(&message, &bundle).await.unwrap();
        assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
        let calls = world.read(borrower, FlashBorrower::callsCall {}).await;
        assert_eq!(calls, U256::from(index + 1), "the pool called back");
        let inner = FlashBorrower::innerSucceededCall {};
        assert!(!world.read(borrower, inner).await);
        let answer = world
            .read(borrower, FlashBorrower::innerAnswerCall {})
            .await;
        let answer = error_of(&answer);
        assert!(answer.contains(expected), "{answer}");
        assert_eq!(world.outcome(&open).await, Outcome::None);
    }
    assert_eq!(world.balance(Address::ZERO, borrower).await, U256::ZERO);
    // An alias account takes no callbacks itself.
    let mut bundle = world.bundle(vec![loan(act.alias, handler, vec![])]).await;
    bundle.gasLimit = 2_000_000;
    let message = world.message(&bundle, ETH, 5).await;
    let why = failure(&world, &message, &bundle).await;
    assert!(why.contains("CallFailed: call 0"), "{why}");
    // The other bundle was open all the time.
    world.handler.execute(&open, &other).await.unwrap();
    assert_eq!(
        world.balance(Address::ZERO, act.alias).await,
        U256::from(55)
    );
}
