//! Mappings that are refused, and accesses that the bus must refuse.

use carillon_driver::command::Command;
use carillon_driver::dma::DmaError;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::TransportError;
use carillon_driver::{CardConfig, CardError, RecoveryAction};
use carillon_sim::faults::CardFault;

use super::{Closed, Rig, bench, bench_with, config, patience, record, within};

/// No mapping is at this I/O address on any transport: beyond 48 bits.
const NOWHERE: u64 = 0xff00_0000_0000_0000;

pub async fn failed_maps_leave_nothing_behind<R: Rig>() {
    let closed = Closed::<R>::new(config::<R>());
    // Every map that opening makes, until it has all it needs.
    let mut refused = 0;
    let card = loop {
        closed.faulty.fail_maps_after(Some(refused));
        let error = match closed.open().await {
            Ok(card) => break card,
            Err(error) => error,
        };
        assert!(matches!(error, CardError::Dma(_)), "{error}");
        assert_eq!(error.recovery_action(), RecoveryAction::FixRequest);
        closed.unmapped().await;
        record::served("map refused, any of those that opening makes", &error);
        refused += 1;
        assert!(refused < 100, "opening never has enough");
    };
    assert!(refused > 1, "opening maps memory");
    // More than the pool holds needs another mapping.
    let error = card.buffer_to_card(64 << 20).unwrap_err();
    assert!(matches!(error, CardError::Dma(_)), "{error}");
    closed.faulty.fail_maps_after(None);
    assert_eq!(card.buffer_to_card(64 << 20).unwrap().len(), 64 << 20);
    record::served("map refused while a pool grows", &error);
    let limit = closed.config.host_memory_limit as usize;
    let error = card.buffer_to_card(limit).unwrap_err();
    assert!(error.to_string().contains("host_memory_limit"), "{error}");
    card.close().await;
    closed.bench().await.works().await;
}

pub async fn locked_memory_that_runs_out_is_reported<R: Rig>() {
    let closed = Closed::<R>::new(config::<R>());
    closed.faulty.limit_maps(Some(4096));
    let error = closed.open().await.unwrap_err();
    assert!(
        matches!(
            &error,
            CardError::Dma(DmaError::Transport(TransportError::Map { .. }))
        ),
        "{error}"
    );
    assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
    closed.unmapped().await;
    // Enough to open, not enough to grow.
    closed.faulty.limit_maps(Some(32 << 20));
    let bench = closed.bench().await;
    let error = bench.card.buffer_to_card(64 << 20).unwrap_err();
    assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
    // The advice is to ask for less.
    assert_eq!(error.recovery_action(), RecoveryAction::FixRequest);
    assert_eq!(bench.card.buffer_to_card(4 << 20).unwrap().len(), 4 << 20);
    bench.follow("locked memory exhausted", &error).await;
}

/// What a command names wrongly is a bus error of that command alone.
pub async fn addresses_outside_and_wrong_directions_are_bus_errors<R: Rig>() {
    let mut bench = bench::<R>().await;
    let region = bench.card.allocate(4096).unwrap();
    let down = bench.down(&[1; 64]);
    let up = bench.card.buffer_from_card(64).unwrap();
    let (down_at, up_at) = (down.iova(), up.iova());
    let write = |host| Command::Write {
        host,
        card: region.address(),
        bytes: 64,
        list: false,
    };
    let read = |host| Command::Read {
        host,
        card: region.address(),
        bytes: 64,
        list: false,
    };
    let rows = [
        (
            "command reads outside of all mappings",
            write(NOWHERE),
            StatusCode::HostRead,
        ),
        (
            "command writes outside of all mappings",
            read(NOWHERE),
            StatusCode::HostWrite,
        ),
        (
            "command reads what the card may only write",
            write(up_at),
            StatusCode::HostRead,
        ),
        (
            "command writes what the card may only read",
            read(down_at),
            StatusCode::HostWrite,
        ),
    ];
    for (name, command, status) in rows {
        if !R::UNREADABLE && name == "command reads what the card may only write" {
            record::not_injectable(name);
            continue;
        }
        let finished = bench.raw(command.encode(0), Vec::new()).await;
        let error = finished.result.unwrap_err();
        assert_eq!(error.status(), Some(status), "{name}");
        bench = bench.follow(name, &error).await;
    }
    assert!(down.iter().all(|&b| b == 1) && up.iter().all(|&b| b == 0));
    assert_eq!(bench.card.driver_counters().queue_restarts, 0);
}

/// A card that reaches for memory on its own meets the IOMMU, and the host
/// nothing.
pub async fn a_rogue_card_reaches_nothing<R: Rig>() {
    let bench = bench::<R>().await;
    let down = bench.down(&[1; 4096]);
    let up = bench.card.buffer_from_card(4096).unwrap();
    let rows = [
        (
            "card reads outside of all mappings on its own",
            false,
            NOWHERE,
        ),
        ("card reads address 0 on its own", false, 0),
        (
            "card writes outside of all mappings on its own",
            true,
            NOWHERE,
        ),
        (
            "card writes what it may only read on its own",
            true,
            down.iova(),
        ),
        (
            "card reads what it may only write on its own",
            false,
            up.iova(),
        ),
    ];
    for (name, write, address) in rows {
        if !R::UNREADABLE && name == "card reads what it may only write on its own" {
            record::not_injectable(name);
            continue;
        }
        let before = bench.rig.rogue();
        let fault = CardFault::Rogue {
            write,
            address,
            bytes: 4096,
        };
        if !bench.inject(name, fault) {
            continue;
        }
        if let (Some(before), Some(after)) = (before, bench.rig.rogue()) {
            assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{name}");
        }
        assert!(down.iter().all(|&b| b == 1) && up.iter().all(|&b| b == 0));
        bench.works().await;
        record::unnoticed(name);
    }
    // The accesses are real: where the card may write, it does.
    let fault = CardFault::Rogue {
        write: true,
        address: up.iova(),
        bytes: 4096,
    };
    if bench.rig.inject(fault) {
        assert!(up.iter().all(|&b| b == 0xa5));
    }
    bench.works().await;
}

/// Pieces are sent without anybody taking the answers before the last; the pool holds a few.
pub async fn a_transfer_larger_than_the_pool_waits_for_its_own_pieces<R: Rig>() {
    const POOL: u64 = 64 << 10;
    let config = CardConfig {
        host_memory_limit: POOL,
        ..config::<R>()
    };
    let bench = bench_with::<R>(config).await;
    let bytes = 2 * POOL as usize;
    let data: Vec<u8> = (0..bytes).map(|i| (i / 64 * 7 + i) as u8).collect();
    let region = bench.card.allocate(bytes as u64).unwrap();
    let all = async {
        let mut tickets = Vec::new();
        for (number, piece) in data.chunks(POOL as usize / 4).enumerate() {
            let part = region.part(number as u64 * POOL / 4, POOL / 4).unwrap();
            let buffer = bench.card.buffer_with_in_turn(piece).await.unwrap();
            let queue = bench.card.queue(0);
            tickets.push(queue.submit_write_away(buffer, &part).await);
        }
        for ticket in tickets {
            ticket.await.result.unwrap();
        }
    };
    within(patience(&bench.config, 6), all).await;
    let quarter = POOL as usize / 4;
    for (number, piece) in data.chunks(quarter).enumerate() {
        let part = region.part((number * quarter) as u64, quarter as u64);
        assert_eq!(bench.get(&part.unwrap(), quarter).await, piece);
    }
    // What can never come together is not waited for.
    let whole = vec![0; POOL as usize];
    let error = bench.card.buffer_with_in_turn(&whole).await;
    assert!(matches!(error, Err(CardError::Dma(_))));
}
