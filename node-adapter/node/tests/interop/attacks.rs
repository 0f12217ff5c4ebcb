//! What a signed bundle may call and still harm nobody but its owner: the checks of `Checks.sol`, the
//! rollup's own contracts, and the alias account itself.

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use alloy::sol_types::SolCall;
use carillon_settlement::abi::{ChainHub, RollupChain, SharedBridge};
use carillon_settlement::interop::contracts::{AliasAccount, AliasFactory, Checks, InteropHandler};
use carillon_settlement::interop::{Call, Outcome, Ran, factory_address};

use super::failures::failure;
use super::world::{CHAIN, ETH, PLAIN, World};
use carillon_testing::contracts::{BundleAttacker, Counter, PlainToken};

#[tokio::test]
async fn checks_hold_or_fail_with_their_figures() {
    let mut world = World::new().await;
    let checks = world.create(&Checks::BYTECODE).await;
    let (account, token) = (world.account(), world.token);
    let rich = world.user(5);
    let spender = Address::repeat_byte(0x51);
    let now = world.now().await;
    let me = Address::ZERO;
    let least = |amount: u64| U256::from(amount);
    let tokens = |account, amount| {
        Call::of(
            checks,
            &Checks::tokenBalanceCall {
                token,
                account,
                least: least(amount),
            },
        )
    };
    let ether = |account, amount| {
        Call::of(
            checks,
            &Checks::etherBalanceCall {
                account,
                least: least(amount),
            },
        )
    };
    let not_after = |last: u64| {
        let last = U256::from(last);
        Call::of(checks, &Checks::notAfterCall { last })
    };
    let approve = |value: u64| {
        let value = U256::from(value);
        Call::of(token, &PlainToken::approveCall { spender, value })
    };
    let none_left = |account| {
        Call::of(
            checks,
            &Checks::noAllowanceCall {
                token,
                account,
                spender,
            },
        )
    };
    // All of them hold: what came is there, nobody may take it, and it is not late.
    let calls = vec![
        tokens(me, 100),
        tokens(account, 100),
        ether(rich, 1),
        not_after(now + 1_000),
        approve(5),
        approve(0),
        none_left(me),
        none_left(account),
    ];
    let good = world.bundle(calls).await;
    let message = world.message(&good, PLAIN, 100).await;
    let end = world.handler.execute(&message, &good).await.unwrap();
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");

    // Each that does not hold ends the bundle, and says what it found.
    let cases = [
        (
            vec![tokens(me, 201)],
            format!(
                "BalanceTooSmall {{ token: {token:?}, account: {account:?}, balance: 200, least: 201 }}"
            ),
        ),
        (
            vec![ether(me, 1)],
            format!(
                "BalanceTooSmall {{ token: {:?}, account: {account:?}, balance: 0, least: 1 }}",
                Address::ZERO
            ),
        ),
        (vec![not_after(now - 1)], format!("last: {} }}", now - 1)),
        (
            vec![approve(5), none_left(me)],
            format!(
                "AllowanceLeft {{ token: {token:?}, account: {account:?}, spender: {spender:?}, allowance: 5 }}"
            ),
        ),
    ];
    for (calls, expected) in cases {
        let index = calls.len() - 1;
        let bundle = world.bundle(calls).await;
        let message = world.message(&bundle, PLAIN, 100).await;
        let queued = world.queue(0).await.len() as u64;
        let why = failure(&world, &message, &bundle).await;
        assert!(why.contains(&format!("CallFailed: call {index}")), "{why}");
        assert!(why.contains(&expected), "{why}");
        // Undone with all before it.
        assert_eq!(world.queue(queued).await, [world.import(PLAIN, 100)]);
        let left = PlainToken::allowanceCall {
            owner: account,
            spender,
        };
        assert_eq!(world.read(token, left).await, U256::ZERO);
    }
}

#[tokio::test]
async fn calls_into_the_rollup_s_own_contracts_have_no_rights() {
    let mut world = World::new().await;
    let open = world.bundle(vec![]).await;
    let other = world.message(&open, PLAIN, 30).await;
    let (bridge, hub, chain) = (world.l1.bridge, world.l1.hub, world.l1.chain);
    let handler = world.handler.address();
    let factory = factory_address(handler);
    let account = world.account();
    let thief = Address::repeat_byte(0x66);
    let words = [U256::ZERO; 5];
    let calls = [
        (
            Call::of(
                bridge,
                &SharedBridge::claimBundleCall {
                    message: other.clone(),
                    to: account,
                },
            ),
            "NotHandler {",
        ),
        (
            Call::of(
                bridge,
                &SharedBridge::returnBundleCall {
                    message: other.clone(),
                    tip: U256::from(30),
                    to: thief,
                },
            ),
            "NotHandler {",
        ),
        (
            Call::of(bridge, &SharedBridge::setHandlerCall { handler_: thief }),
            "NotGovernor {",
        ),
        (
            Call::of(bridge, &SharedBridge::setGovernorCall { governor_: thief }),
            "NotGovernor {",
        ),
        (
            Call::of(
                hub,
                &ChainHub::registerCall {
                    chainId: CHAIN + 1,
                    chain_: thief,
                },
            ),
            "NotGovernor {",
        ),
        (
            Call::of(chain, &RollupChain::enqueueCall { words }),
            "NotBridge",
        ),
        (
            Call::of(
                handler,
                &InteropHandler::executeCall {
                    message: other.clone().into(),
                    bundle: open.clone(),
                },
            ),
            "ReentrancyGuardReentrantCall",
        ),
        (
            Call::of(
                handler,
                &InteropHandler::cancelCall {
                    message: other.clone().into(),
                    bundle: open.clone(),
                },
            ),
            "ReentrancyGuardReentrantCall",
        ),
        (
            Call::of(
                handler,
                &InteropHandler::runCall {
                    message: other.clone().into(),
                    bundle: open.clone(),
                    account,
                },
            ),
            "NotSelf {",
        ),
        (
            Call::of(
                handler,
                &InteropHandler::runRetiredCall {
                    chainId: CHAIN,
                    calls: vec![],
                },
            ),
            "ReentrancyGuardReentrantCall",
        ),
        // The account itself.
        (
            Call::of(account, &AliasAccount::runCall { calls: vec![] }),
            "NotHandler {",
        ),
    ];
    for (call, expected) in calls {
        let mut bundle = world.bundle(vec![call]).await;
        bundle.gasLimit = 1_000_000;
        let message = world.message(&bundle, ETH, 7).await;
        let queued = world.queue(0).await.len() as u64;
        let why = failure(&world, &message, &bundle).await;
        assert!(why.contains("CallFailed: call 0"), "{why}");
        assert!(why.contains(expected), "{why} is not {expected}");
        assert_eq!(world.queue(queued).await, [world.import(ETH, 7)]);
        assert_eq!(world.outcome(&other).await, Outcome::None);
    }
    // What everybody may do, an alias account may do, too.
    let deposit = SharedBridge::depositCall {
        chainId: CHAIN,
        token: U256::ZERO,
        amount: U256::from(7),
        owner: world.owner(),
        keyProof: vec![],
    };
    let ensure = AliasFactory::ensureCall {
        chainId: CHAIN,
        owner: thief,
    };
    let calls = vec![
        Call::of(bridge, &deposit).with_value(U256::from(7)),
        Call::of(factory, &ensure),
    ];
    let mut bundle = world.bundle(calls).await;
    bundle.gasLimit = 1_500_000;
    let message = world.message(&bundle, ETH, 7).await;
    let end = world.handler.execute(&message, &bundle).await.unwrap();
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    // And the other bundle was open all the time.
    world.handler.execute(&other, &open).await.unwrap();
    assert_eq!(world.balance(world.token, account).await, U256::from(30));
}

/// The instructions of code, without the bytes that they push.
fn instructions(code: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        found.push(code[at]);
        at += match code[at] {
            push @ 0x60..=0x7f => usize::from(push - 0x5f) + 1,
            _ => 1,
        };
    }
    found
}

#[tokio::test]
async fn an_alias_account_runs_no_code_but_its_own() {
    const CALLCODE: u8 = 0xf2;
    const DELEGATECALL: u8 = 0xf4;
    const SELFDESTRUCT: u8 = 0xff;
    const SSTORE: u8 = 0x55;
    const CREATE: u8 = 0xf0;
    const CREATE2: u8 = 0xf5;
    let mut world = World::new().await;
    let attacker = world.create(&BundleAttacker::BYTECODE).await;
    let counter = world.create(&Counter::BYTECODE).await;
    let account = world.account();
    // Called and not lent its own body to: the counter counts at its own place, for the alias.
    let forward = BundleAttacker::forwardCall {
        target: counter,
        data: Counter::incrementCall {}.abi_encode().into(),
    };
    let calls = vec![
        Call::of(counter, &Counter::incrementCall {}),
        Call::of(attacker, &forward),
    ];
    let bundle = world.bundle(calls).await;
    let message = world.message(&bundle, ETH, 5).await;
    let end = world.handler.execute(&message, &bundle).await.unwrap();
    assert!(matches!(end, Ran::Executed { .. }), "{end:?}");
    for caller in [account, attacker] {
        let count = Counter::countCall { caller };
        assert_eq!(world.read(counter, count).await, U256::from(1));
    }
    let code = world.provider.get_code_at(account).await.unwrap();
    let used = instructions(&code);
    assert!(used.contains(&0xf1), "it calls");
    for forbidden in [
        CALLCODE,
        DELEGATECALL,
        SELFDESTRUCT,
        SSTORE,
        CREATE,
        CREATE2,
    ] {
        assert!(!used.contains(&forbidden), "instruction {forbidden:#x}");
    }
    // The same look finds the instruction where there is one.
    let proxy = world.provider.get_code_at(world.l1.bridge).await.unwrap();
    assert!(instructions(&proxy).contains(&DELEGATECALL));
}
