//! The sender on clients other than anvil: a proxy answers as they do, and as what stands in front of
//! them. Each batch takes effect once, nothing is paid above the market, and requests have a budget.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use carillon_settlement::sender::{News, NoFaults, Shortage, Status};
use carillon_settlement::{L1Part, L1Reporter, Meaning};
use serde_json::json;

use crate::drills::{Running, World};
use carillon_testing::proxy::{Answer, Modes};

/// Requests that a settled batch may cost, whatever else is open.
const PER_BATCH: usize = 12;
/// Requests that a look may cost, however many batches are open.
const PER_LOOK: usize = 3;

const SHORT: &str = "insufficient funds for gas * price + value: balance 0, tx cost 5, overshot 5";

fn geth() -> Modes {
    Modes {
        geth_balance: true,
        ..Modes::default()
    }
}

fn signed(world: &World) -> usize {
    let signed = |news: &News| matches!(news, News::Signed { .. });
    world
        .events
        .iter()
        .filter(|event| signed(&event.news))
        .count()
}

fn shortages(world: &World) -> Vec<Shortage> {
    let events = world.events.iter();
    let found = events.filter_map(|event| match event.news {
        News::Shortage(shortage) => Some(shortage),
        _ => None,
    });
    found.collect()
}

async fn set_balance(world: &World, address: Address, wei: U256) {
    let params = json!([address, format!("{wei:#x}")]);
    world.rpc("anvil_setBalance", params).await;
}

/// The tip and the gas price that the transaction of a closed intent paid.
async fn paid(world: &World, sender: &Running, id: &str) -> (u128, u128) {
    let Some(Status::Closed(done)) = sender.status(id).unwrap() else {
        panic!("{id} is open")
    };
    let hash = done.transaction.unwrap();
    let provider = &world.provider;
    let receipt = provider
        .get_transaction_receipt(hash)
        .await
        .unwrap()
        .unwrap();
    let block = provider
        .get_block_by_hash(receipt.block_hash.unwrap())
        .await;
    let base = u128::from(block.unwrap().unwrap().header.base_fee_per_gas.unwrap());
    (
        receipt.effective_gas_price - base,
        receipt.effective_gas_price,
    )
}

#[tokio::test]
async fn blobs_are_settled_on_a_client_with_geths_balance_rule() {
    let mut world = World::new().await;
    world.proxy.set(geth());
    let mut sender = world.sender().await;
    sender.enqueue(world.blob_batch(1)).unwrap();
    sender.enqueue(world.blob_batch(2)).unwrap();
    world.finish(&mut sender).await;
    assert_eq!(world.numbers().await, [1, 2]);
    assert_eq!(signed(&world), 2, "{:#?}", world.events);
}

#[tokio::test]
async fn a_shortage_is_told_to_the_wei_and_nothing_is_signed_for_it() {
    let mut world = World::new().await;
    world.proxy.set(geth());
    let reporter = L1Reporter::default();
    let mut sender = world.sender().await.reporting(reporter.clone());
    let address = sender.address();
    for (number, blob) in [(1, false), (2, true)] {
        world.events.clear();
        set_balance(&world, address, U256::from(1_000)).await;
        sender
            .enqueue(if blob {
                world.blob_batch(number)
            } else {
                world.batch(number)
            })
            .unwrap();
        world.ticks(&mut sender, 10).await;
        let told = shortages(&world);
        let shortage = *told.last().unwrap();
        assert!(told.len() < 6, "{told:?}");
        assert_eq!(
            (shortage.address, shortage.have),
            (address, U256::from(1_000))
        );
        assert!(shortage.exact, "{shortage}");
        assert_eq!(signed(&world), 0);
        let part = reporter.status().settlement;
        let failure = part.last_failure.unwrap();
        assert_eq!(failure.kind, "funds");
        assert!(
            failure.reason.contains(&address.to_string()),
            "{}",
            failure.reason
        );
        assert!(part.failing_since.is_some() && part.next_retry.is_some());

        // One wei less is not enough, and as much as was told is.
        set_balance(&world, address, shortage.need - U256::from(1)).await;
        world.ticks(&mut sender, 5).await;
        assert_eq!(signed(&world), 0, "{:#?}", world.events);
        let last = *shortages(&world).last().unwrap();
        assert_eq!(last.need - last.have, U256::from(1), "{last}");
        set_balance(&world, address, shortage.need).await;
        world.finish(&mut sender).await;
        assert_eq!(world.numbers().await.len() as u64, number);
        assert!(reporter.status().settlement.failing_since.is_none());
    }
}

#[tokio::test]
async fn two_minutes_without_a_pool_and_then_the_markets_price() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    let reporter = L1Reporter::default();
    sender = sender.reporting(reporter.clone());
    for (number, blob) in [(1, false), (2, true)] {
        world.events.clear();
        let before = world.proxy.requests();
        world
            .proxy
            .answering("eth_sendRawTransaction", Answer::Rpc(-32000, SHORT));
        sender
            .enqueue(if blob {
                world.blob_batch(number)
            } else {
                world.batch(number)
            })
            .unwrap();
        for second in 0..120 {
            world.tick(&mut sender).await.unwrap();
            if second % 12 == 11 {
                world.mine(1).await;
            }
        }
        let first = world.events.iter().find_map(|event| match event.news {
            News::Signed { fees, .. } => Some(fees),
            _ => None,
        });
        // The first fees, not eight times as much; and no new signature for each retry.
        assert!(signed(&world) <= 4, "{:#?}", world.events);
        assert_eq!(
            reporter.status().settlement.last_failure.unwrap().kind,
            "funds"
        );
        let requests = world.proxy.requests() - before;
        // A retry each two to three seconds, of six requests, besides a look each second.
        assert!(
            requests <= 120 * 2 + 60 * 7,
            "{requests}: {:?}",
            world.proxy.counts()
        );

        world.proxy.set(Modes::default());
        world.finish(&mut sender).await;
        assert_eq!(world.numbers().await.len() as u64, number);
        let (tip, price) = paid(&world, &sender, &format!("settle/{number}")).await;
        let first = first.unwrap();
        assert!(
            tip <= first.tip * 11 / 10,
            "{tip} wei of tip instead of {}",
            first.tip
        );
        assert!(price <= first.max, "{price}");
        let news = world
            .events
            .iter()
            .rev()
            .find_map(|event| match event.news {
                News::Signed { fees, nonce, .. } => Some((fees, nonce)),
                _ => None,
            });
        let (last, nonce) = news.unwrap();
        assert_eq!(nonce, number - 1, "the same nonce");
        assert!(
            last.tip <= first.tip * 11 / 10 && last.blob <= first.blob * 2,
            "{last:?}"
        );
    }
}

/// Clients tell a pending block in which our own transaction is mined: it is no effect, and no reason
/// to give the call up.
#[tokio::test]
async fn a_pending_transaction_is_no_effect() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    world.automine(false).await;
    sender.enqueue(world.batch(1)).unwrap();
    world.ticks(&mut sender, 8).await;
    assert!(
        !world.saw(|news| matches!(news, News::Taken(_))),
        "{:#?}",
        world.events
    );
    assert!(
        !world.saw(|news| matches!(news, News::Signed { blank: true, .. })),
        "{:#?}",
        world.events
    );
    assert_eq!(signed(&world), 2, "{:#?}", world.events);
    world.finish(&mut sender).await;
    assert_eq!(world.numbers().await, [1]);
}

#[tokio::test]
async fn counters_that_cannot_be_read_leave_it_to_the_simulation() {
    let mut world = World::new().await;
    world.proxy.set(Modes {
        answers: vec![(
            "eth_call",
            Answer::Rpc(-32000, "missing trie node 5c (path )"),
        )],
        ..geth()
    });
    let mut sender = world.sender().await;
    sender.enqueue(world.batch(1)).unwrap();
    sender.enqueue(world.blob_batch(2)).unwrap();
    world.finish(&mut sender).await;
    world.proxy.set(Modes::default());
    assert_eq!(world.numbers().await, [1, 2]);
    assert_eq!(signed(&world), 2);
}

/// What a pool or what is in front of it may say to a transaction; after ten seconds it relents.
#[tokio::test]
async fn whatever_is_said_to_a_transaction_it_takes_effect_once() {
    let mut world = World::new().await;
    world.deadline = Duration::from_millis(300);
    let mut sender = world.sender().await;
    let answers = [
        (
            Answer::Rpc(-32000, "nonce too low: next nonce 5, tx nonce 4"),
            None,
        ),
        (Answer::Rpc(-32010, "OldNonce"), None),
        (
            Answer::Rpc(-32000, "replacement transaction underpriced"),
            Some("outbid"),
        ),
        (
            Answer::Rpc(-32000, "transaction underpriced"),
            Some("fee_too_low"),
        ),
        (
            Answer::Rpc(-32000, "address already reserved"),
            Some("other_type_pending"),
        ),
        (Answer::Rpc(-32000, "txpool is full"), Some("pool_full")),
        (
            Answer::Rpc(
                -32000,
                "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
            ),
            Some("node_fee_cap"),
        ),
        (
            Answer::Rpc(-31999, "the words of a client that nobody knows"),
            Some("unknown"),
        ),
        (Answer::Http(502, "<html>Bad Gateway</html>"), Some("down")),
        (Answer::Http(200, "<html>hello</html>"), Some("unreadable")),
        (Answer::Limited(2), Some("rate_limited")),
        (Answer::Silence, Some("down")),
    ];
    let mut number = 0;
    for reaches_the_pool in [false, true] {
        for (answer, kind) in &answers {
            number += 1;
            let name = format!("{answer:?}, in the pool: {reaches_the_pool}");
            let reporter = L1Reporter::default();
            sender = sender.reporting(reporter.clone());
            world.events.clear();
            if reaches_the_pool {
                world.proxy.set(Modes {
                    lose_answers: Some(answer.clone()),
                    ..Modes::default()
                });
            } else {
                world
                    .proxy
                    .answering("eth_sendRawTransaction", answer.clone());
            }
            sender.enqueue(world.batch(number)).unwrap();
            let mut failed = None;
            for _ in 0..6 {
                world.now += Duration::from_secs(1);
                if let Err(error) = sender.tick(world.now).await {
                    assert!(error.is_transient(), "{name}: {error}");
                    failed = Some(error.trouble().kind);
                    // The task waits; a look each second would be no use.
                    world.now += Duration::from_secs(1);
                }
                world.events.extend(sender.take_events());
            }
            let told = failed.or(reporter.status().settlement.last_failure.map(|f| f.kind));
            if !reaches_the_pool {
                assert_eq!(told, *kind, "{name}");
                assert_eq!(world.numbers().await.len() as u64, number - 1, "{name}");
            }
            world.proxy.set(Modes::default());
            world.finish(&mut sender).await;
            let all: Vec<u64> = (1..=number).collect();
            assert_eq!(world.numbers().await, all, "{name}");
        }
    }
}

#[tokio::test]
async fn receipts_may_be_late_and_heads_may_go_back() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    world.proxy.set(Modes {
        late_receipts: 2,
        ..Modes::default()
    });
    sender.enqueue(world.batch(1)).unwrap();
    world.finish(&mut sender).await;
    assert!(
        !world.saw(|news| matches!(news, News::Freed(_))),
        "{:#?}",
        world.events
    );

    // Two nodes behind one address, one of them some blocks behind.
    world.proxy.set(Modes {
        lag: 3,
        ..Modes::default()
    });
    for number in 2..=4 {
        sender.enqueue(world.batch(number)).unwrap();
    }
    world.finish(&mut sender).await;
    assert_eq!(world.numbers().await, [1, 2, 3, 4]);
    assert!(
        !world.saw(|news| *news == News::Reorged),
        "{:#?}",
        world.events
    );
    let seen = world.saw(|news| matches!(news, News::NotTaken(f) if f.meaning == Meaning::Unknown));
    assert!(!seen, "{:#?}", world.events);
}

#[tokio::test]
async fn requests_per_batch_do_not_grow_with_the_number_of_batches() {
    let mut spent = Vec::new();
    for batches in [3u64, 12] {
        let mut world = World::new().await;
        // All are open to the end.
        world.policy.confirmations = 40;
        let mut sender = world.sender().await;
        let before = world.proxy.requests();
        for number in 1..=batches {
            sender.enqueue(world.batch(number)).unwrap();
        }
        let mut looks = 0;
        while sender.open_intents().next().is_some() {
            world.tick(&mut sender).await.unwrap();
            world.mine(3).await;
            looks += 1;
            assert!(looks < 60);
        }
        assert_eq!(world.numbers().await.len() as u64, batches);
        let requests = world.proxy.requests() - before;
        let budget = PER_BATCH * batches as usize + PER_LOOK * looks;
        assert!(
            requests <= budget,
            "{requests} of {budget}: {:?}",
            world.proxy.counts()
        );
        spent.push(requests - PER_LOOK * looks.min(requests / PER_LOOK));
    }
    println!("requests besides looks: {spent:?} for 3 and 12 batches");

    // Nothing happens on L1: one request a look.
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    for number in 1..=3 {
        sender.enqueue(world.batch(number)).unwrap();
    }
    world.ticks(&mut sender, 5).await;
    assert_eq!(world.numbers().await.len(), 3);
    let before = world.proxy.requests();
    world.ticks(&mut sender, 20).await;
    assert_eq!(
        world.proxy.requests() - before,
        20,
        "{:?}",
        world.proxy.counts()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_asks_l1_when_its_timer_says_so_and_never_for_a_status() {
    let mut world = World::new().await;
    world.policy.poll = Duration::from_secs(3600);
    world.policy.retry_after = Duration::from_millis(300);
    let stop = tokio_util::sync::CancellationToken::new();
    let reporter = L1Reporter::default();
    let sender = world.sender_with("task", world.key(), NoFaults).await;
    let (handle, work) = sender.reporting(reporter.clone()).start(stop.clone());
    let task = tokio::spawn(work);
    handle.enqueue(world.batch(1)).await.unwrap();
    let started = std::time::Instant::now();
    while world.numbers().await.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = world.proxy.requests();
    for _ in 0..1_000 {
        let status = handle.status("settle/1").unwrap();
        assert!(matches!(status, Some(Status::Sent { .. })), "{status:?}");
    }
    assert_eq!(handle.status("settle/2").unwrap(), None);
    assert_eq!(world.proxy.requests(), before);

    // Down: asked again after 0.3, 0.6, 1.2 s and so on, however often somebody wants something.
    world.proxy.set(Modes {
        all: Some(Answer::Http(503, "")),
        ..Modes::default()
    });
    handle.enqueue(world.batch(2)).await.unwrap();
    let failing = || {
        reporter
            .status()
            .part(L1Part::Settlement)
            .failing_since
            .is_some()
    };
    while !failing() {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = world.proxy.requests();
    let down = std::time::Instant::now();
    for number in 3..=20 {
        handle.enqueue(world.batch(number)).await.unwrap();
        let _ = handle.status("settle/2").unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let asked = world.proxy.requests() - before;
    let most = 2 + (down.elapsed().as_millis() / 300) as usize;
    assert!(
        asked >= 1 && asked <= most.min(5),
        "{asked} in {:?}",
        down.elapsed()
    );

    // A server that asks for patience gets it.
    world.proxy.set(Modes {
        all: Some(Answer::Limited(9)),
        ..Modes::default()
    });
    let limited = || {
        let failure = reporter.status().settlement.last_failure;
        failure.is_some_and(|failure| failure.kind == "rate_limited")
    };
    while !limited() {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let part = reporter.status().settlement;
    let pause = part.next_retry.unwrap() - part.last_failure.unwrap().at;
    assert!(pause >= 9_000, "{pause} ms");
    stop.cancel();
    task.await.unwrap().unwrap();
}
