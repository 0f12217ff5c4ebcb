//! Registers that do not say what the card says.

use std::collections::BTreeMap;

use carillon_driver::{CardError, RecoveryAction};
use carillon_sim::faults::CardFault;

use super::record::Advice;
use super::{Bench, Closed, Rig, bench, bench_with, config, patience, record, within};

/// Every register of the map; of those that each queue has, the admin queue's
/// and the first I/O queue's under one name.
fn registers() -> BTreeMap<String, Vec<u32>> {
    let hex = |line: &str| {
        let digits = line.split("0x").nth(1)?.trim_end_matches(';');
        u32::from_str_radix(digits, 16).ok()
    };
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let (mut name, mut first) = (String::new(), 0);
    for line in include_str!("../../../driver/src/registers.rs").lines() {
        let line = line.trim();
        if let Some(module) = line.strip_prefix("pub mod ") {
            name = module.trim_end_matches(" {").to_uppercase();
        } else if line.starts_with("pub const OFFSET: u32") {
            found.insert(name.clone(), vec![hex(line).unwrap()]);
        } else if line.starts_with("pub const FIRST: u32") {
            first = hex(line).unwrap();
        } else if line.starts_with("pub const STRIDE: u32") {
            let stride = hex(line).unwrap();
            found.insert(name.clone(), (0..2).map(|q| first + q * stride).collect());
        }
    }
    found
}

/// One command; its error, if it has one.
async fn attempt<R: Rig>(bench: &Bench<R>) -> Option<carillon_driver::JobError> {
    bench.write(0, 64).await.err()
}

/// One register reads all ones, all others are sound: the driver opens the card
/// or says why not, ends every command, and serves again afterwards.
pub async fn all_ones_at_each_register<R: Rig>() {
    let registers = registers();
    assert!(registers.len() > 40, "{registers:?}");
    let mut config = config::<R>();
    config.deadlines.control = R::stall();
    let mut closed = Closed::<R>::new(config);
    for (name, offsets) in registers {
        let queues = ["", " of the admin queue", " of an I/O queue"];
        let several = offsets.len() > 1;
        for (q, offset) in offsets.into_iter().enumerate() {
            let of = queues[if several { q.min(1) + 1 } else { 0 }];
            let label = if name.starts_with("COUNT_") {
                "all ones from a counter, at open".into()
            } else {
                format!("all ones from {name}{of}, at open")
            };
            closed.faulty.pin(offset, Some(u32::MAX));
            let opened = closed.open().await;
            closed.faulty.pin(offset, None);
            let at_open = match opened {
                Ok(card) => {
                    card.close().await;
                    None
                }
                Err(error) => {
                    // Nothing is wrong with what was asked.
                    let fix = RecoveryAction::FixRequest;
                    assert_ne!(error.action(), fix, "{label}: {error}");
                    Some(error)
                }
            };
            closed.unmapped().await;
            let bench = closed.bench().await;
            bench.faulty.pin(offset, Some(u32::MAX));
            let running = attempt(&bench).await;
            bench.faulty.pin(offset, None);
            // A repair that began with the bad register ends with the sound one.
            let _ = attempt(&bench).await;
            let bench = match &running {
                Some(error) if error.action() == RecoveryAction::Reopen => bench.reopen().await,
                _ => bench,
            };
            bench.works().await;
            closed = bench.close().await;
            match at_open {
                // Whether the first command has ended before anybody looks there.
                error if name == "QUEUE_STATUS" => {
                    let retry = RecoveryAction::Retry;
                    assert!(error.is_none_or(|e| e.action() == retry), "{label}");
                    record::one_of(&label, "none or Restarted", retry);
                }
                Some(error) => record::served(&label, &error),
                None => record::unnoticed(&label),
            }
        }
    }
}

/// One read that comes back as all ones is no proof that the card is gone; two
/// in a row, the second of the identity register, are.
pub async fn poisoned_reads_are_told_from_a_card_that_is_gone<R: Rig>() {
    let bench = bench::<R>().await;
    for _ in 0..5 {
        bench.faulty.poison_reads(1);
        let _ = bench.card.counters().unwrap();
        bench.works().await;
    }
    let restarts = bench.card.driver_counters().queue_restarts;
    assert_eq!(restarts, 0);
    record::unnoticed("one register read poisoned");
    bench.faulty.poison_reads(2);
    let error = bench.card.counters().unwrap_err();
    assert!(matches!(error, CardError::Gone { .. }), "{error}");
    bench
        .follow("register read and identity read poisoned", &error)
        .await;
}

pub async fn a_card_that_is_never_ready<R: Rig>() {
    let name = "card never ready";
    let mut config = config::<R>();
    config.deadlines.control = R::stall();
    let bench = bench_with::<R>(config).await;
    if !bench.inject(name, CardFault::NeverReady) {
        return;
    }
    let closed = bench.close().await;
    let error = closed.open().await.unwrap_err();
    assert!(
        matches!(error, CardError::Unresponsive { what: "start", .. }),
        "{error}"
    );
    closed.rig.heal();
    closed.bench().await.follow(name, &error).await;
}

pub async fn a_card_that_never_resets<R: Rig>() {
    let name = "function-level reset fails";
    if !R::RESET_IS_CHECKED {
        return record::not_injectable(name);
    }
    let bench = bench::<R>().await;
    if !bench.inject(name, CardFault::NeverResets) {
        return;
    }
    let reset = bench.card.reset(carillon_driver::ResetLevel::Function);
    let error = within(patience(&bench.config, 2), reset).await.unwrap_err();
    assert!(matches!(error, CardError::Transport(_)), "{error}");
    assert_eq!(error.recovery_action(), RecoveryAction::Reopen);
    assert!(matches!(bench.rig.mapped(), None | Some(0)), "out of reach");
    bench.rig.heal();
    bench.follow(name, &error).await;
}
