//! Commands that depend on one another: the flag `LINK`; and `FILL`, which needs no host.
//!
//! On a card without them the tests see that it says so, and that it refuses them as the contract asks.

use carillon_driver::command::{Command, FLAG_LINK, Group, MsmMode, RawCommand};
use carillon_driver::completion::Completion;
use carillon_driver::status::StatusCode;
use carillon_driver::{
    CardConfig, CardRegion, IoQueue, JobError, Msm, RecoveryAction, ResetLevel, Ticket,
};

use super::{Bench, Rig, bench, bench_with, config, patience, record, within};

/// A sum that the card refuses with `INVALID_LENGTH`.
fn refused<R: Rig>(bench: &Bench<R>) -> Msm {
    let region = bench.card.allocate(192).unwrap();
    Msm {
        group: Group::G1,
        bases: region.clone(),
        scalars: region.clone(),
        n: 0,
        result: region,
        window_bits: 0,
        mode: MsmMode::Split,
    }
}

async fn ended<R: Rig>(bench: &Bench<R>, ticket: Ticket<()>) -> Result<Completion, JobError> {
    within(patience(&bench.config, 4), ticket).await.result
}

/// A write of 64 bytes of `value`.
async fn write(queue: &IoQueue, value: u8, to: &CardRegion) -> Ticket<()> {
    queue.submit_bytes(&[value; 64], to).await
}

pub async fn a_fill_writes_its_word_and_no_more<R: Rig>() {
    let bench = bench::<R>().await;
    let queue = bench.card.queue(1);
    let region = bench.put(&[0xa5; 1024]).await;
    let part = region.part(128, 640).unwrap();
    let word = 0x0123_4567_89ab_cdef_u64;
    if !bench.card.info().fill {
        let error = queue.fill(word, &part).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::InvalidOpcode));
        bench.works().await;
        return;
    }
    let before = bench.card.counters().unwrap();
    let done = queue.fill(word, &part).await.unwrap();
    let after = bench.card.counters().unwrap();
    assert_eq!((done.ops, done.detail), (10, 0));
    assert_eq!(after.card_written - before.card_written, 640);
    // Commands alone come from the host.
    assert!(after.host_read - before.host_read < 640);
    let image = bench.get(&region, 1024).await;
    let (filled, rest) = (&image[128..768], [&image[..128], &image[768..]].concat());
    assert_eq!(filled, word.to_le_bytes().repeat(80));
    assert!(rest.iter().all(|&byte| byte == 0xa5));
    // A beat, and more than one burst.
    for bytes in [64, 4096 + 64, 100_032] {
        let region = bench.put(&vec![1; bytes + 64]).await;
        let part = region.part(0, bytes as u64).unwrap();
        let done = queue.fill(!word, &part).await.unwrap();
        assert_eq!(done.ops as usize, bytes / 64);
        let image = bench.get(&region, bytes + 64).await;
        let expected = (!word).to_le_bytes().repeat(bytes / 8);
        assert!(image[..bytes] == expected[..] && image[bytes..] == [1; 64]);
    }
    bench.works().await;
}

pub async fn a_chain_runs_to_its_end<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.put(&[0; 256]).await;
    let chain = bench.card.queue(0).chain().await;
    if !bench.card.info().link {
        let first = write(&chain, 1, &region).await;
        let last = write(&chain, 2, &region).await;
        chain.finish();
        let error = ended(&bench, first).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::InvalidField));
        ended(&bench, last).await.unwrap();
        bench.works().await;
        return;
    }
    let mut tickets = Vec::new();
    // More than the ring holds.
    for value in 0..20 {
        let part = region.part(64 * (u64::from(value) % 4), 64).unwrap();
        tickets.push(write(&chain, value, &part).await);
    }
    chain.finish();
    for ticket in tickets {
        ended(&bench, ticket).await.unwrap();
    }
    let image = bench.get(&region, 256).await;
    assert_eq!(image, [[16; 64], [17; 64], [18; 64], [19; 64]].concat());
}

pub async fn a_chain_ends_at_its_first_failure<R: Rig>() {
    let bench = bench::<R>().await;
    if !bench.card.info().link {
        return;
    }
    for failing in 0..4 {
        let region = bench.put(&[0; 256]).await;
        let before = bench.card.counters().unwrap();
        let chain = bench.card.queue(0).chain().await;
        let (mut tickets, mut id) = (Vec::new(), None);
        for index in 0..4 {
            let ticket = if index == failing {
                chain.submit_msm(&refused(&bench)).await
            } else {
                let part = region.part(64 * index, 64).unwrap();
                write(&chain, 7, &part).await
            };
            if index == failing {
                id = ticket.command_id();
            }
            tickets.push(ticket);
        }
        chain.finish();
        // Another queue is not concerned, and neither is what comes behind.
        let other = write(bench.card.queue(1), 8, &region.part(0, 64).unwrap()).await;
        ended(&bench, other).await.unwrap();
        let behind = write(bench.card.queue(0), 9, &region.part(64, 64).unwrap()).await;
        for (index, ticket) in tickets.into_iter().enumerate() {
            match (index as u64).cmp(&failing) {
                std::cmp::Ordering::Less => drop(ended(&bench, ticket).await.unwrap()),
                std::cmp::Ordering::Equal => {
                    let error = ended(&bench, ticket).await.unwrap_err();
                    assert_eq!(error.status(), Some(StatusCode::InvalidLength));
                }
                std::cmp::Ordering::Greater => {
                    let error = ended(&bench, ticket).await.unwrap_err();
                    assert_eq!(error.recovery_action(), RecoveryAction::Retry);
                    assert_eq!(error.status(), Some(StatusCode::LinkBroken));
                    let JobError::LinkBroken { failed } = error else {
                        panic!("{error}");
                    };
                    assert_eq!(Some(failed), id);
                    record::served("command before it in its chain failed", &error);
                }
            }
        }
        ended(&bench, behind).await.unwrap();
        let after = bench.card.counters().unwrap();
        assert_eq!(after.errors - before.errors, 4 - failing);
        let image = bench.get(&region, 256).await;
        assert!(image[64..128].iter().all(|&byte| byte == 9));
        let ran = |index: u64| image[64 * index as usize] == 7;
        assert_eq!([ran(2), ran(3)], [2 < failing, 3 < failing]);
    }
}

/// Who is left out names who failed, although it would have been refused itself.
pub async fn what_a_broken_chain_leaves_out_names_the_failure<R: Rig>() {
    let bench = bench::<R>().await;
    if !bench.card.info().link {
        return;
    }
    let linked = |command: Command| RawCommand {
        flags: FLAG_LINK,
        ..command.encode(0)
    };
    let fill = |bytes| Command::Fill {
        word: 0,
        card: 0,
        bytes,
    };
    let queue = bench.card.queue(0);
    // SAFETY: there is no host address in it.
    #[allow(unsafe_code)]
    let send = |raw| unsafe { queue.submit_raw(raw, 0, Vec::new(), Vec::new()) };
    // Refused; not run though it would be refused, too; not run; the next runs.
    let first = send(linked(fill(1))).await;
    let id = first.command_id();
    let (second, third) = (send(linked(fill(2))).await, send(fill(64).encode(0)).await);
    let fourth = send(fill(3).encode(0)).await;
    let refused = |error: JobError| error.status() == Some(StatusCode::InvalidLength);
    assert!(refused(first.await.result.unwrap_err()));
    for ticket in [second, third] {
        let error = ticket.await.result.unwrap_err();
        assert!(
            matches!(error, JobError::LinkBroken { failed } if Some(failed) == id),
            "{error}"
        );
    }
    assert!(refused(fourth.await.result.unwrap_err()));
    bench.works().await;
}

pub async fn a_chain_that_is_dropped_is_closed<R: Rig>() {
    for log2_depth in [1, 3] {
        let bench = bench_with::<R>(CardConfig {
            log2_depth,
            ..config::<R>()
        })
        .await;
        if !bench.card.info().link {
            return;
        }
        let region = bench.put(&[0; 128]).await;
        let chain = bench.card.queue(0).chain().await;
        let failing = chain.submit_msm(&refused(&bench)).await;
        // Who comes behind waits for the chain's end, and does not belong to it.
        let behind = write(bench.card.queue(0), 3, &region);
        tokio::pin!(behind);
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), &mut behind).await;
        assert!(early.is_err(), "the chain has the queue");
        drop(chain);
        let behind = within(patience(&bench.config, 2), behind).await;
        ended(&bench, behind).await.unwrap();
        let error = ended(&bench, failing).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::InvalidLength));

        // Its tickets are dropped, too, before the card knows of the last.
        let chain = bench.card.queue(0).chain().await;
        drop(write(&chain, 4, &region).await);
        drop(write(&chain, 5, &region).await);
        drop(chain);
        bench.works().await;
        // One that is empty.
        bench.card.queue(0).chain().await.finish();
        bench.works().await;
    }
}

/// What the driver refuses never reaches the card, and neither does what depends on it.
pub async fn a_chain_ends_with_what_cannot_be_sent<R: Rig>() {
    let bench = bench::<R>().await;
    if !bench.card.info().link {
        return;
    }
    let region = bench.put(&[0; 64]).await;
    let chain = bench.card.queue(0).chain().await;
    let first = write(&chain, 1, &region).await;
    let too_long = chain.submit_bytes(&[2; 65], &region).await;
    let after = write(&chain, 3, &region).await;
    chain.finish();
    ended(&bench, first).await.unwrap();
    for ticket in [too_long, after] {
        assert_eq!(ticket.command_id(), None);
        let error = ended(&bench, ticket).await.unwrap_err();
        assert!(matches!(error, JobError::Size { .. }), "{error}");
    }
    assert_eq!(bench.get(&region, 64).await, [1; 64]);
    bench.works().await;
}

/// What is held back is not overdue, and does not keep the card from being reset or closed.
pub async fn a_chain_may_take_its_time<R: Rig>() {
    let bench = bench::<R>().await;
    if !bench.card.info().link {
        return;
    }
    let region = bench.put(&[0; 64]).await;
    let chain = bench.card.queue(0).chain().await;
    let held = write(&chain, 1, &region).await;
    tokio::time::sleep(R::stall() * 2).await;
    assert_eq!(bench.card.driver_counters().timeouts, 0);
    chain.finish();
    ended(&bench, held).await.unwrap();

    // A chain does not go on behind a restart of its queue.
    let chain = bench.card.queue(0).chain().await;
    let held = write(&chain, 2, &region).await;
    let reset = bench.card.reset(ResetLevel::Controller);
    within(patience(&bench.config, 3), reset).await.unwrap();
    let late = write(&chain, 3, &region).await;
    chain.finish();
    for ticket in [held, late] {
        let error = ended(&bench, ticket).await.unwrap_err();
        assert!(matches!(error, JobError::Restarted { .. }), "{error}");
    }
    assert_eq!(bench.get(&region, 64).await, [1; 64]);
    bench.works().await;

    // The close sends what is held back, or ends it.
    let chain = bench.card.queue(0).chain().await;
    let held = write(&chain, 4, &region).await;
    let limit = patience(&bench.config, 3);
    let closed = bench.close().await;
    let late = write(&chain, 5, &region).await;
    for ticket in [held, late] {
        let end = within(limit, ticket).await.result;
        assert!(matches!(end, Ok(_) | Err(JobError::Closed)), "{end:?}");
    }
    drop(chain);
    closed.bench().await.works().await;
}
