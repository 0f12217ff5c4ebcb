//! Futures of commands that are dropped, in every state that a command has.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use carillon_driver::command::NttKind;
use carillon_driver::registers as reg;
use carillon_driver::{CardConfig, HostBuf, Ntt};

use super::{Bench, Rig, bench, bench_with, config, patience, record, within};

/// Sends a command that is under way for some time.
fn long<R: Rig>(bench: &Bench<R>) -> HostBuf {
    bench.card.buffer_to_card(R::LONG).unwrap()
}

async fn briefly<T>(future: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_millis(3), future)
        .await
        .is_ok()
}

pub async fn futures_dropped_in_every_state<R: Rig>() {
    let config = CardConfig {
        log2_depth: 1,
        ..config::<R>()
    };
    let bench = bench_with::<R>(config).await;
    let free = bench.card.free_memory();
    let queue = bench.card.queue(0).clone();
    let settled = async |name: &str, restarts: u64| {
        bench.slow(false);
        let empty = async {
            while bench.card.free_memory() != free {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(patience(&bench.config, 2), empty).await;
        bench.works().await;
        assert_eq!(bench.card.free_memory(), free, "{name}");
        assert_eq!(bench.card.quarantined(), 0, "{name}");
        let counters = bench.card.driver_counters();
        assert_eq!(counters.queue_restarts, restarts, "{name}");
        record::unnoticed(&format!("future dropped {name}"));
    };

    let region = bench.card.allocate(R::LONG as u64).unwrap();
    drop(queue.submit_write(long(&bench), &region));
    drop(region);
    settled("before it was polled", 0).await;

    // The ring holds one command.
    bench.slow(true);
    let region = bench.card.allocate(R::LONG as u64).unwrap();
    let first = queue.submit_write(long(&bench), &region).await;
    assert!(!briefly(queue.submit_write(long(&bench), &region)).await);
    drop((first, region));
    settled("while it waited for a free slot", 0).await;

    bench.slow(true);
    let region = bench.card.allocate(R::LONG as u64).unwrap();
    drop(queue.submit_write(long(&bench), &region).await);
    drop(region);
    settled("right after it was sent", 0).await;

    bench.slow(true);
    let region = bench.card.allocate(R::LONG as u64).unwrap();
    let ticket = queue.submit_write(long(&bench), &region).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(ticket);
    drop(region);
    settled("while it ran", 0).await;

    let region = bench.card.allocate(64).unwrap();
    let ticket = queue.submit_write(bench.down(&[1; 64]), &region).await;
    let ended = async {
        while queue.outstanding() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(patience(&bench.config, 1), ended).await;
    drop((ticket, region));
    settled("after the command had ended", 0).await;

    // A queue that takes its time to stop.
    let status = reg::queue_status::offset(1);
    bench
        .faulty
        .pin(status, Some(reg::queue_status::ACTIVE.set(0, 1)));
    bench.faulty.lose_doorbells(1);
    let region = bench.card.allocate(64).unwrap();
    let lost = queue.submit_write(bench.down(&[1; 64]), &region).await;
    let mut health = bench.card.health();
    let repairing = health.wait_for(|h| *h == carillon_driver::Health::Repairing);
    within(patience(&bench.config, 1), repairing).await.unwrap();
    drop(lost);
    assert!(!briefly(queue.submit_write(bench.down(&[2; 64]), &region)).await);
    bench.faulty.pin(status, None);
    drop(region);
    let ready = health.wait_for(|h| *h == carillon_driver::Health::Ready);
    within(patience(&bench.config, 3), ready).await.unwrap();
    settled("while its queue was repaired", 1).await;

    drop(queue);
    let closed = bench.close().await;
    let late = closed.bench().await;
    let region = late.card.allocate(64).unwrap();
    let buffer = late.down(&[1; 64]);
    let queue = late.card.queue(0).clone();
    let closed = late.close().await;
    drop(queue.submit_write(buffer, &region).await);
    drop((queue, region));
    closed.unmapped().await;
    closed.bench().await.works().await;
    record::unnoticed("future dropped after the card was closed");
}

/// Told that a job has ended, it keeps the driver from going on for a moment.
struct Delay(AtomicBool);

impl Wake for Delay {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub async fn a_completion_is_counted_before_it_is_told<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(64).unwrap();
    // A fast card may have ended a command before it is asked: then another one is tried.
    for _ in 0..100 {
        let before = bench.card.driver_counters().completions;
        let queue = bench.card.queue(0);
        let mut ticket = queue.submit_write(bench.down(&[1; 64]), &region).await;
        let delay = Arc::new(Delay(AtomicBool::new(false)));
        let waker = Arc::clone(&delay).into();
        let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker));
        let waits = polled.is_pending();
        let finished = match polled {
            Poll::Ready(finished) => finished,
            Poll::Pending => {
                let told = async {
                    while !delay.0.load(Ordering::Acquire) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                within(patience(&bench.config, 1), told).await;
                assert_eq!(bench.card.driver_counters().completions, before + 1);
                ticket.await
            }
        };
        finished.result.unwrap();
        assert_eq!(bench.card.driver_counters().completions, before + 1);
        if waits {
            return;
        }
    }
}

/// A proof that nobody wants any more: a chain of transforms whose futures are dropped is not computed
/// to its end, instead of keeping the card for all of them.
pub async fn a_dropped_chain_is_not_computed_to_its_end<R: Rig>() {
    const LOG2: u8 = 16;
    // An ABORT goes out when its command's turn has come, and a functional card may finish several
    // transforms before an emulated host has spoken. How many depends on both, so that the chain gets
    // longer until it outlasts them; no card computes the longest of them before its host says a word.
    const CHAINS: [u64; 3] = [6, 20, 60];
    let config = CardConfig {
        log2_depth: 6,
        ..config::<R>()
    };
    let bench = bench_with::<R>(config).await;
    let each = u64::from(LOG2) << (LOG2 - 1);
    let bytes = 32u64 << LOG2;
    // Zeros are scalars, too.
    let regions: Vec<_> = (0..3)
        .map(|_| bench.card.allocate(bytes).unwrap())
        .collect();
    within(
        patience(&bench.config, 9),
        bench.card.queue(0).clear(&regions[0]),
    )
    .await
    .unwrap();
    let ntt = Ntt {
        source: regions[0].clone(),
        destination: regions[1].clone(),
        scratch: regions[2].clone(),
        log2n: LOG2,
        kind: NttKind::default(),
    };
    let mut computed = Vec::new();
    for chain in CHAINS {
        let before = bench.card.counters().unwrap();
        let mut tickets = Vec::new();
        for _ in 0..chain {
            tickets.push(bench.card.queue(0).submit_ntt(&ntt).await);
        }
        drop(tickets);
        let idle = async {
            while bench.card.queue(0).outstanding() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(patience(&bench.config, 9), idle).await;
        let after = bench.card.counters().unwrap();
        let done = after.butterflies - before.butterflies;
        computed.push((chain, done));
        if done < (chain - 1) * each {
            break;
        }
    }
    assert!(
        computed
            .last()
            .is_some_and(|(chain, done)| *done < (chain - 1) * each),
        "transforms sent and butterflies computed: {computed:?}, {each} a transform"
    );
    assert_eq!(bench.card.driver_counters().queue_restarts, 0);
    drop((ntt, regions));
    bench.works().await;
}
