//! What a job leaves behind: nothing that the next user of the card could read.

use carillon_driver::CardRegion;

use super::{Bench, Rig, bench, patience, within};

/// Bytes of each region, several beats.
const BYTES: usize = 8 << 10;
const SECRET: u8 = 0xa5;

/// Regions at the start of card memory, full of a secret.
async fn secrets<R: Rig>(bench: &Bench<R>, count: usize) -> Vec<CardRegion> {
    let mut regions = Vec::new();
    for _ in 0..count {
        regions.push(bench.put(&[SECRET; BYTES]).await);
    }
    regions
}

/// What a new user finds at the start of card memory.
async fn found<R: Rig>(bench: &Bench<R>, count: usize) -> Vec<u8> {
    let region = bench.card.allocate((count * BYTES) as u64).unwrap();
    assert_eq!(region.address(), 0);
    bench.get(&region, count * BYTES).await
}

pub async fn the_next_opener_reads_nothing<R: Rig>() {
    // Some are still held when the card is closed, one is public.
    let first = bench::<R>().await;
    let mut regions = secrets(&first, 3).await;
    let public = first.card.allocate_public(BYTES as u64).unwrap();
    let data = first.down(&[1; BYTES]);
    first.card.queue(1).write(data, &public).await.ok().unwrap();
    regions.swap_remove(1);
    assert_eq!(first.card.touched_memory(), 3 * BYTES as u64);
    let second = first.reopen().await;
    drop(regions);
    let all = found(&second, 4).await;
    assert!(all[..3 * BYTES].iter().all(|&b| b == 0));
    assert!(all[3 * BYTES..].iter().all(|&b| b == 1), "it is public");

    // A card that is closed in mid-job: the command is ended, then its memory overwritten.
    let regions = secrets(&second, 2).await;
    second.slow(true);
    let long = second.card.buffer_to_card(BYTES).unwrap();
    let ticket = second.card.queue(0).submit_write(long, &regions[0]).await;
    let closed = second.close().await;
    let ended = within(patience(&closed.config, 3), ticket).await;
    assert!(ended.memory.is_some());
    closed.rig.heal();
    let third = closed.bench().await;
    assert!(found(&third, 2).await.iter().all(|&b| b == 0));
}

pub async fn one_region_is_cleared_and_no_more<R: Rig>() {
    let bench = bench::<R>().await;
    let regions = secrets(&bench, 3).await;
    let part = regions[1].part(64, 4096 + 64).unwrap();
    let clear = bench.card.queue(1).clear(&part);
    within(patience(&bench.config, 2), clear).await.unwrap();
    assert_eq!(
        bench.card.touched_memory(),
        (3 * BYTES - (4096 + 64)) as u64
    );
    let middle = bench.get(&regions[1], BYTES).await;
    let (before, rest) = middle.split_at(64);
    let (cleared, after) = rest.split_at(4096 + 64);
    assert!(cleared.iter().all(|&b| b == 0));
    assert!(before.iter().chain(after).all(|&b| b == SECRET));
    for neighbour in [&regions[0], &regions[2]] {
        let bytes = bench.get(neighbour, BYTES).await;
        assert!(bytes.iter().all(|&b| b == SECRET));
    }
    // All the host memory for it is free again.
    bench.works().await;
}
