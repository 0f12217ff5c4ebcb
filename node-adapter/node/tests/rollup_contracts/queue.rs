//! The queue's clock and price: nobody but the operator ends a chain, nobody makes it expensive for
//! others without paying more himself, and what comes in can be executed.

use alloy::primitives::{Address, Bytes, U256};
use carillon_settlement::abi::RollupChain;
use carillon_settlement::deploy::DeployOptions;

use super::common::batch::{Record, address_word, record};
use super::common::world::{CHAIN_ID, EXIT_FEE, World, name};
use super::test_contracts::ChainV2;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// Entries that wait before the surcharge begins, at `slow`'s terms.
const FREE: u128 = 1;

/// One entry in six hours within a delay of a week: fourteen fit half of it, so that sixty are a
/// flood.
fn slow(options: &mut DeployOptions) {
    options.entry_interval = 6 * HOUR;
    options.hand_over = false;
}

/// The fee when so many wait.
fn fee(waiting: u128) -> u128 {
    EXIT_FEE + EXIT_FEE * waiting.saturating_sub(FREE) / FREE
}

async fn due(world: &World, index: u64) -> u64 {
    let call = RollupChain::dueAtCall { index };
    world.view(world.l1.chain, &call).await.unwrap()
}

async fn ask(world: &World, from: Address, account: u64, value: u128) -> Result<u64, &'static str> {
    let call = RollupChain::requestExitCall {
        account: U256::from(account),
        token: U256::ZERO,
    };
    let sent = world.send_value(from, world.l1.chain, &call, U256::from(value));
    match sent.await {
        Ok(receipt) => Ok(receipt.gas_used),
        Err(reason) => Err(reason.name()),
    }
}

/// Executes the next exits of `asker`, of the accounts from `first` on, in batch `number`.
async fn serve(world: &mut World, number: u64, asker: Address, accounts: std::ops::Range<u32>) {
    let exit = |account| record(7, account, 0, 0, address_word(asker));
    let records: Vec<Record> = accounts.map(exit).collect();
    let batch = world.batch(number, [number, number + 1], records);
    world.settle(&batch).await.unwrap();
}

#[tokio::test]
async fn an_exit_costs_its_fee_and_is_asked_for_once() {
    let mut world = World::new(80, U256::from(1)).await;
    let (operator, alice, bob) = (world.user(0), world.user(1), world.user(2));
    let chain = world.l1.chain;
    assert_eq!(ask(&world, alice, 5, EXIT_FEE - 1).await, Err("FeeTooLow"));
    assert_eq!(ask(&world, alice, 5, 0).await, Err("FeeTooLow"));
    let before = world.balance(alice).await;
    let receipt = world.request_exit(alice, 5, 0).await.unwrap();
    let spent = before - world.balance(alice).await;
    let gas = U256::from(u128::from(receipt.gas_used) * receipt.effective_gas_price);
    assert_eq!(spent - gas, U256::from(EXIT_FEE));
    println!("gas of an exit's request: {}", receipt.gas_used);
    // What is too much comes back.
    ask(&world, alice, 6, 5 * EXIT_FEE).await.unwrap();
    assert_eq!(world.balance(chain).await, U256::from(2 * EXIT_FEE));
    // The same cell: once for each caller while the entry waits.
    assert_eq!(
        ask(&world, alice, 5, EXIT_FEE).await,
        Err("ExitAlreadyOpen")
    );
    ask(&world, bob, 5, EXIT_FEE).await.unwrap();
    let refused = RollupChain::collectFeesCall { to: alice };
    assert_eq!(
        name(world.send(alice, chain, &refused).await),
        "NotOperator"
    );

    // Served: the operator has its fees, and Alice may ask again.
    let collect = RollupChain::collectFeesCall {
        to: Address::repeat_byte(0x66),
    };
    world.send(operator, chain, &collect).await.unwrap();
    assert_eq!(
        world.balance(collect.to).await,
        U256::ZERO,
        "none is served"
    );
    serve(&mut world, 1, alice, 5..7).await;
    world.send(operator, chain, &collect).await.unwrap();
    assert_eq!(world.balance(collect.to).await, U256::from(2 * EXIT_FEE));
    world.send(operator, chain, &collect).await.unwrap();
    assert_eq!(world.balance(collect.to).await, U256::from(2 * EXIT_FEE));
    ask(&world, alice, 5, EXIT_FEE).await.unwrap();

    // Halted: those who were not served have theirs back, once.
    world.warp(7 * DAY + 60).await;
    let halt = RollupChain::haltCall {};
    world.send(bob, chain, &halt).await.unwrap();
    let refund = |index, account, who, to| RollupChain::refundFeeCall {
        index,
        words: record(7, account, 0, 0, address_word(who)),
        to,
    };
    let elsewhere = Address::repeat_byte(0x67);
    let cases = [
        (refund(0, 5, alice, alice), alice, "EntryNotOpen"),
        (refund(4, 5, alice, alice), alice, "EntryNotOpen"),
        (refund(3, 6, alice, alice), alice, "EntryMismatch"),
        (refund(3, 5, alice, elsewhere), bob, "NotRecipient"),
    ];
    for (call, from, expected) in cases {
        assert_eq!(name(world.send(from, chain, &call).await), expected);
    }
    let call = refund(3, 5, alice, elsewhere);
    world.send(alice, chain, &call).await.unwrap();
    assert_eq!(world.balance(elsewhere).await, U256::from(EXIT_FEE));
    let again = world.send(alice, chain, &call).await;
    assert_eq!(name(again), "FeeAlreadyRefunded");
    let before = world.balance(bob).await;
    world
        .send(alice, chain, &refund(2, 5, bob, bob))
        .await
        .unwrap();
    assert_eq!(world.balance(bob).await - before, U256::from(EXIT_FEE));
    assert_eq!(world.balance(chain).await, U256::ZERO);
}

#[tokio::test]
async fn a_flood_ends_no_chain_and_pays_for_itself() {
    let mut world = World::with(81, U256::from(1), slow).await;
    let (mallory, alice) = (world.user(6), world.user(1));
    let chain = world.l1.chain;
    let burnt = world.balance(Address::ZERO).await;
    let (mut paid, mut gas) = (0, 0);
    for waiting in 0..60u64 {
        let price = fee(waiting.into());
        assert_eq!(
            ask(&world, mallory, waiting, price - 1).await,
            Err("FeeTooLow")
        );
        gas += ask(&world, mallory, waiting, price).await.unwrap();
        paid += price;
        let call = RollupChain::enqueuedAtCall { index: waiting };
        let since = world.view(chain, &call).await.unwrap();
        let work = (waiting + 1) * 6 * HOUR;
        let expected = since + 7 * DAY / 2 + work.max(7 * DAY / 2);
        assert_eq!(due(&world, waiting).await, expected);
    }
    // All but the entry fee is burnt.
    let held = world.balance(chain).await;
    assert_eq!(held, U256::from(60 * EXIT_FEE));
    let burnt = world.balance(Address::ZERO).await - burnt;
    assert!(burnt >= U256::from(paid) - held, "{burnt}");
    println!("gas of a request in a flood of sixty: {}", gas / 60);
    // An honest user pays a step, not the sum of them; deposits pay the surcharge alone.
    let (entries, last) = (60, fee(60));
    assert_eq!(last, 60 * EXIT_FEE);
    ask(&world, alice, 100, last).await.unwrap();
    let surcharge = RollupChain::depositFeeCall {};
    let surcharge = world.view(chain, &surcharge).await.unwrap();
    assert_eq!(surcharge, U256::from(fee(61) - EXIT_FEE));
    assert_eq!(name(world.deposit_eth(alice, 1_000).await), "WrongValue");
    let deposit = carillon_settlement::abi::SharedBridge::depositCall {
        chainId: CHAIN_ID,
        token: U256::ZERO,
        amount: U256::from(1_000),
        owner: alice,
        keyProof: vec![],
    };
    let value = U256::from(1_000) + surcharge * U256::from(2);
    let bridge = world.l1.bridge;
    world
        .send_value(alice, bridge, &deposit, value)
        .await
        .unwrap();
    assert_eq!(world.balance(bridge).await, U256::from(1_000));

    // The operator does what it has promised, twelve entries in three days, and nobody can halt the
    // chain, though its oldest entry is at times much older than a week.
    let halt = RollupChain::haltCall {};
    for batch in 0..entries / 12 {
        world.warp(3 * DAY).await;
        for index in [12 * batch, entries] {
            let over = RollupChain::haltOverCall {
                index: index.into(),
            };
            assert_eq!(
                name(world.send(alice, chain, &over).await),
                "NothingOverdue"
            );
        }
        let served = 12 * batch..12 * (batch + 1);
        serve(&mut world, u64::from(batch) + 1, mallory, served).await;
    }
    assert_eq!(
        name(world.send(mallory, chain, &halt).await),
        "NothingOverdue"
    );
    assert_eq!(
        world
            .view(chain, &RollupChain::exitFeeCall {})
            .await
            .unwrap(),
        U256::from(fee(2))
    );
    // And when it does nothing more, Alice's entry is overdue at the time that she was told.
    let last = due(&world, entries.into()).await;
    let now = world.now().await;
    world.warp(last - now - 60).await;
    assert_eq!(
        name(world.send(alice, chain, &halt).await),
        "NothingOverdue"
    );
    world.warp(120).await;
    world.send(alice, chain, &halt).await.unwrap();
}

#[tokio::test]
async fn an_entry_of_a_short_queue_is_due_before_one_of_a_long_queue() {
    let mut world = World::with(82, U256::from(1), slow).await;
    let (mallory, alice) = (world.user(6), world.user(1));
    let chain = world.l1.chain;
    for account in 0..40 {
        world.request_exit(mallory, account, 0).await.unwrap();
    }
    serve(&mut world, 1, mallory, 0..39).await;
    world.request_exit(alice, 50, 0).await.unwrap();
    assert!(due(&world, 40).await < due(&world, 39).await);
    world.warp(7 * DAY + 60).await;
    // While entries are older than the delay nobody changes the rules, also behind the timelock.
    let logic = world.create(&ChainV2::BYTECODE).await;
    let governor = world.user(0);
    let upgrade = RollupChain::upgradeToAndCallCall {
        newImplementation: logic,
        data: Bytes::new(),
    };
    let verifier = RollupChain::setVerifierCall {
        shape: 1,
        verifier_: world.l1.verifiers[0].1,
    };
    let operator = RollupChain::setOperatorCall {
        operator_: governor,
        operatorAccount_: 0,
    };
    assert_eq!(
        name(world.send(governor, chain, &upgrade).await),
        "QueueBehind"
    );
    assert_eq!(
        name(world.send(governor, chain, &verifier).await),
        "QueueBehind"
    );
    assert_eq!(
        name(world.send(governor, chain, &operator).await),
        "QueueBehind"
    );
    let halt = RollupChain::haltCall {};
    assert_eq!(
        name(world.send(alice, chain, &halt).await),
        "NothingOverdue"
    );
    for (index, expected) in [
        (39, "NothingOverdue"),
        (38, "NothingOverdue"),
        (41, "NothingOverdue"),
    ] {
        let over = RollupChain::haltOverCall { index };
        assert_eq!(name(world.send(alice, chain, &over).await), expected);
    }
    let over = RollupChain::haltOverCall { index: 40 };
    assert!(world.view(chain, &over).await.is_ok());
    // Served instead, the rules may change.
    serve(&mut world, 2, mallory, 39..40).await;
    serve(&mut world, 3, alice, 50..51).await;
    world.send(governor, chain, &verifier).await.unwrap();
    world.send(governor, chain, &operator).await.unwrap();
    world.send(governor, chain, &upgrade).await.unwrap();
}

#[tokio::test]
async fn a_full_tree_takes_no_new_owner_and_no_exit_of_an_account_that_it_has_not() {
    let mut world = World::with(83, U256::from(1), |options| {
        options.accounts = 4;
        options.hand_over = false;
    })
    .await;
    let chain = world.l1.chain;
    // One of the four accounts is the operator's.
    for user in 1..=3 {
        world.deposit_eth(world.user(user), 5).await.unwrap();
    }
    let late = world.user(4);
    assert_eq!(name(world.deposit_eth(late, 5).await), "AccountsFull");
    world.deposit_eth(world.user(2), 5).await.unwrap();
    let terms = world
        .view(chain, &RollupChain::queueTermsCall {})
        .await
        .unwrap();
    assert_eq!((terms._2, terms._3), (4, 3));
    assert_eq!(world.escrow(0).await, U256::from(20));
    assert_eq!(name(world.request_exit(late, 4, 0).await), "NoSuchCell");
    world.request_exit(late, 3, 0).await.unwrap();
    let operator = RollupChain::setOperatorCall {
        operator_: late,
        operatorAccount_: 4,
    };
    let refused = world.send(world.user(0), chain, &operator).await;
    assert_eq!(name(refused), "BadSetup");
    // What came in is executed, and opens no place: accounts stay their owners'.
    let deposit = |user, account| record(2, account, 0, 5, address_word(world.user(user)));
    let mut records = vec![deposit(1, 1), deposit(2, 2), deposit(3, 3), deposit(2, 2)];
    records.push(record(7, 3, 0, 0, address_word(late)));
    let batch = world.batch(1, [1, 2], records);
    world.settle(&batch).await.unwrap();
    assert_eq!(name(world.deposit_eth(late, 5).await), "AccountsFull");
}

#[tokio::test]
async fn dust_is_refused() {
    let world = World::with(84, U256::from(1), |options| {
        options.least_deposits = vec![(0, 1_000)];
    })
    .await;
    let alice = world.user(1);
    assert_eq!(name(world.deposit_eth(alice, 999).await), "DepositTooSmall");
    world.deposit_eth(alice, 1_000).await.unwrap();
}

/// What the attack costs by default, from the terms that the tests above check against the contract
/// and the gas that they measure; the second half is what it cost before requests had a fee and
/// deadlines counted all entries.
#[tokio::test]
async fn the_attack_s_cost() {
    let world = World::new(85, U256::from(1)).await;
    let terms = world
        .view(world.l1.chain, &RollupChain::queueTermsCall {})
        .await
        .unwrap();
    let times = world
        .view(world.l1.chain, &RollupChain::timesCall {})
        .await
        .unwrap();
    let (interval, base) = (terms._0, terms._1.to::<u128>() as f64 / 1e18);
    let free = times.queueDelay / (20 * interval);
    // The chain's first request writes a few slots more than the later ones.
    let mut gas = 0.0;
    for account in 5..8 {
        let asked = world.request_exit(world.user(1), account, 0).await;
        gas = asked.unwrap().gas_used as f64;
        println!("gas of a request: {gas}");
    }
    let eth = |entries: u64| {
        let surcharges: u64 = (0..entries)
            .map(|waiting| waiting.saturating_sub(free))
            .sum();
        let fees = base * (entries as f64 + surcharges as f64 / free as f64);
        (fees, entries as f64 * gas * 1e-9)
    };
    println!(
        "one entry each {interval} s, fee {base} ETH, gas {gas}; entries, fees, gas at 1 gwei, an honest user's fee then (ETH):"
    );
    let fit = times.queueDelay / 2 / interval;
    for (what, entries) in [
        ("the surcharge begins", free),
        ("deadlines begin to move", fit),
        ("a deadline moves by a day", fit + DAY / interval),
        ("a deadline moves by a week", fit + 7 * DAY / interval),
    ] {
        let (fees, gas) = eth(entries);
        let one = base * (1.0 + entries.saturating_sub(free) as f64 / free as f64);
        println!("  {what}: {entries}, {fees:.2}, {gas:.2}, {one:.5}");
    }
    let all = times.queueDelay / interval;
    println!(
        "  before: {all} entries ended a chain that serves one each {interval} s, {:.2} ETH in gas",
        all as f64 * 84_700.0 * 1e-9
    );
    let (fees, _) = eth(fit + 7 * DAY / interval);
    assert!(fees > 50.0, "{fees} ETH move a deadline by a week");
}
