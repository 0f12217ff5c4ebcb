//! A card that leaves the bus at the worst moments, and one that is taken.
//!
//! The moment is an access of the driver to the card, counted from the start of
//! what it does: every one of them gets its turn (on slow cards some).

use std::sync::Arc;

use carillon_driver::transport::TransportError;
use carillon_driver::{CardConfig, CardError, JobError, RecoveryAction, ResetLevel};

use super::record::Advice;
use super::{Bench, Closed, Rig, config, patience, record, within};

const GONE: &str = "Gone or Offline";

fn quick<R: Rig>() -> CardConfig {
    let mut config = config::<R>();
    config.deadlines.control = R::stall();
    config
}

/// A rig that has left the bus once and come back; none if it cannot leave.
async fn movable<R: Rig>(closed: Closed<R>, name: &str) -> Option<Closed<R>> {
    if !closed.rig.unplug() {
        record::not_injectable(name);
        return None;
    }
    Some(comes_back(closed).await)
}

/// Unplugs the card at the access after the next `n`.
fn ambush<R: Rig>(bench: &Closed<R>, n: u32) {
    let rig = Arc::clone(&bench.rig);
    bench.faulty.ambush(n, move || {
        rig.unplug();
    });
}

fn gone(error: &impl Advice) {
    assert_eq!(error.action(), RecoveryAction::Reopen, "{}", error.name());
}

/// After the card was lost: nothing is mapped; back on the bus (or another one
/// in its place), it opens and works.
async fn comes_back<R: Rig>(closed: Closed<R>) -> Closed<R> {
    if closed.faulty.disarm() {
        closed.rig.unplug();
    }
    closed.unmapped().await;
    let closed = if closed.rig.replug() {
        closed
    } else {
        Closed::new(closed.config)
    };
    let bench = closed.bench().await;
    bench.works().await;
    bench.close().await
}

pub async fn unplugged_while_it_is_opened<R: Rig>() {
    let name = "unplugged while it is opened";
    let closed = Closed::<R>::new(quick::<R>());
    let before = closed.faulty.accesses();
    closed.open().await.unwrap().close().await;
    let accesses = closed.faulty.accesses() - before;
    assert!(accesses > 40);
    let Some(mut closed) = movable(closed, name).await else {
        return;
    };
    for n in (0..accesses).step_by(R::THIN) {
        ambush(&closed, n);
        match closed.open().await {
            Err(error) => gone(&error),
            // The last accesses belong to closing it.
            Ok(card) => within(patience(&closed.config, 2), card.close()).await,
        }
        closed = comes_back(closed).await;
    }
    record::one_of(name, GONE, RecoveryAction::Reopen);
}

pub async fn unplugged_while_commands_are_sent<R: Rig>() {
    let name = "unplugged while commands are sent";
    let closed = Closed::<R>::new(quick::<R>());
    let Some(mut closed) = movable(closed, name).await else {
        return;
    };
    for n in (0..16).step_by(R::THIN) {
        let bench = closed.bench().await;
        let region = bench.card.allocate(64).unwrap();
        let mut tickets = Vec::new();
        let buffers: Vec<_> = (0..12).map(|i| bench.down(&[i; 64])).collect();
        let rig = Arc::clone(&bench.rig);
        bench.faulty.ambush(n, move || {
            rig.unplug();
        });
        for (i, buffer) in buffers.into_iter().enumerate() {
            let send = bench.card.queue(i % 2).submit_write(buffer, &region);
            tickets.push(within(patience(&bench.config, 1), send).await);
        }
        for ticket in tickets {
            let finished = within(patience(&bench.config, 1), ticket).await;
            assert!(
                finished.memory.is_some(),
                "a card that is gone reaches nothing"
            );
            if let Err(error) = finished.result {
                gone(&error);
                assert!(matches!(error, JobError::Offline { .. }), "{error}");
            }
        }
        assert_eq!(bench.card.quarantined(), 0);
        drop(region);
        closed = comes_back(bench.close().await).await;
    }
    record::one_of(name, GONE, RecoveryAction::Reopen);
}

pub async fn unplugged_while_it_is_reset<R: Rig>() {
    let name = "unplugged while it is reset";
    let closed = Closed::<R>::new(quick::<R>());
    let Some(mut closed) = movable(closed, name).await else {
        return;
    };
    for level in [ResetLevel::Controller, ResetLevel::Function] {
        let bench = closed.bench().await;
        let before = bench.faulty.accesses();
        bench.card.reset(level).await.unwrap();
        let accesses = bench.faulty.accesses() - before;
        closed = bench.close().await;
        for n in (0..accesses).step_by(R::THIN) {
            let bench = closed.bench().await;
            let rig = Arc::clone(&bench.rig);
            bench.faulty.ambush(n, move || {
                rig.unplug();
            });
            let reset = within(patience(&bench.config, 4), bench.card.reset(level)).await;
            if let Err(error) = reset {
                gone(&error);
            }
            closed = comes_back(bench.close().await).await;
        }
    }
    record::one_of(name, GONE, RecoveryAction::Reopen);
}

pub async fn unplugged_while_it_is_dropped<R: Rig>() {
    let name = "unplugged while it is dropped";
    let closed = Closed::<R>::new(quick::<R>());
    let Some(mut closed) = movable(closed, name).await else {
        return;
    };
    for n in 0..6 {
        let bench = closed.bench().await;
        let region = bench.card.allocate(64).unwrap();
        let buffer = bench.down(&[1; 64]);
        let ticket = bench.card.queue(0).submit_write(buffer, &region).await;
        let Bench {
            card,
            faulty,
            rig,
            config,
        } = bench;
        closed = Closed {
            faulty,
            rig,
            config,
        };
        ambush(&closed, n);
        drop(region);
        within(patience(&closed.config, 3), card.close()).await;
        let finished = within(patience(&closed.config, 1), ticket).await;
        assert!(finished.memory.is_some());
        if let Err(error) = &finished.result {
            gone(error);
        }
        drop(finished);
        closed = comes_back(closed).await;
    }
    record::one_of(name, "Closed or Offline", RecoveryAction::Reopen);
}

pub async fn one_opener_at_a_time<R: Rig>() {
    let name = "opened while somebody has it open";
    let closed = Closed::<R>::new(config::<R>());
    let first = closed.open().await.unwrap();
    let error = closed.open().await.unwrap_err();
    assert!(
        matches!(error, CardError::Transport(TransportError::Busy { .. })),
        "{error}"
    );
    assert_eq!(error.recovery_action(), RecoveryAction::FixRequest);
    // The first is not disturbed.
    let region = first.allocate(64).unwrap();
    let buffer = first.buffer_to_card(64).unwrap();
    first.queue(0).write(buffer, &region).await.ok().unwrap();
    drop(region);
    // The advice: close it there first.
    first.close().await;
    closed.bench().await.follow(name, &error).await;
}
