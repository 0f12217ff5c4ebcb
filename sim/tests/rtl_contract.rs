//! The Verilated card against hdl/doc/contract.md, by raw rings and doorbells:
//! what the driver relies on, and what a faulty host may do to it. Every fault
//! is followed by a good command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers fail the test that calls them
#![cfg(feature = "rtl")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::command::{
    Command, FLAG_COSET, FLAG_INVERSE, FLAG_LINK, FLAG_SGL, Group, MsmMode, NttKind, RawCommand,
};
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::{Direction, Transport};
use carillon_sim::rtl::{Bus, MemoryFault, RtlCard, RtlOptions};
use support::{RawHost, RawQueue, pattern, read, wait_for, with_list, write};

const MEMORY: u64 = 0x1000_0000;
const DOORBELL: u32 = 1;
const FETCH: u32 = 2;
const POST: u32 = 3;

fn card() -> Arc<RtlCard> {
    Arc::new(RtlCard::new(RtlOptions::default()).unwrap())
}

fn host(card: &Arc<RtlCard>) -> RawHost {
    RawHost::new(Arc::clone(card) as Arc<dyn Transport>, 32 << 20)
}

/// Moves a pattern to the card and back through `queue`.
fn round_trip(queue: &mut RawQueue<'_>, seed: u64, card: u64, bytes: usize) {
    let host = queue.host;
    let (from, to) = (host.allocate(bytes), host.allocate(bytes));
    let data = pattern(seed, bytes);
    host.memory.write(from, &data).unwrap();
    let there = write(1, host.address(from), card, bytes as u64);
    let done = queue.expect(&there, StatusCode::Success);
    assert_eq!(done.ops as usize, bytes / 64);
    assert!(done.cycles >= done.ops);
    let back = read(2, host.address(to), card, bytes as u64);
    queue.expect(&back, StatusCode::Success);
    assert_eq!(host.bytes(to, bytes), data);
}

/// A small command that must succeed after whatever was done to the queue.
fn still_works(queue: &mut RawQueue<'_>) {
    round_trip(queue, 99, 0x10_0000, 192);
}

#[test]
fn registers_tell_what_the_card_is() {
    let card = card();
    assert_eq!(card.read32(reg::magic::OFFSET), 0x4c52_4143);
    assert_eq!(card.read32(reg::version::OFFSET), 1);
    let hash = u64::from(card.read32(reg::rdl_hash_hi::OFFSET)) << 32
        | u64::from(card.read32(reg::rdl_hash_lo::OFFSET));
    assert_eq!(hash, reg::RDL_HASH);
    let queues = card.read32(reg::cap_queues::OFFSET);
    assert_eq!(reg::cap_queues::IO_QUEUES.get(queues), 2);
    assert_eq!(reg::cap_queues::MAX_LOG2_DEPTH.get(queues), 10);
    assert_eq!(card.read32(reg::cap_mem_lo::OFFSET), MEMORY as u32);
    // Read-only registers and unmapped offsets ignore writes; the latter read 0.
    for offset in [reg::magic::OFFSET, reg::status::OFFSET, 0x0ffc, 0xfffc] {
        let before = card.read32(offset);
        card.write32(offset, 0xffff_ffff);
        assert_eq!(card.read32(offset), before, "{offset:#x}");
    }
    assert_eq!(card.read32(0xfffc), 0);
    // Queue registers hold what is written, as far as they have bits.
    for queue in 0..3 {
        for (offset, bits) in [
            (reg::queue_sq_base_lo::offset(queue), 0xffff_ffc0),
            (reg::queue_sq_base_hi::offset(queue), 0xffff_ffff),
            (reg::queue_cq_base_lo::offset(queue), 0xffff_ffc0),
            (reg::queue_cq_base_hi::offset(queue), 0xffff_ffff),
            (reg::queue_log2_depth::offset(queue), 0xff),
        ] {
            card.write32(offset, 0xffff_ffff);
            assert_eq!(card.read32(offset), bits, "{offset:#x}");
            card.write32(offset, 0);
            assert_eq!(card.read32(offset), 0, "{offset:#x}");
        }
        // Doorbells are write-only.
        card.write32(reg::sq_tail::offset(queue), 1);
        assert_eq!(card.read32(reg::sq_tail::offset(queue)), 0);
    }
    // The admin queue has vector 0, asynchronous events the last.
    assert!(card.interrupt(3).is_ok() && card.interrupt(4).is_err());
}

#[test]
fn identify_writes_the_identity_page() {
    let card = card();
    let host = host(&card);
    let mut admin = RawQueue::new(&host, 0, 2);
    let page = host.allocate(8192);
    host.memory.write(page, &[0xee; 8192]).unwrap();
    // Also across a page boundary: only the granule of 64 is asked for.
    for offset in [page, page + 1024] {
        let identify = Command::Identify {
            page: host.address(offset),
        };
        admin.expect(&identify.encode(7), StatusCode::Success);
        let found = host.bytes(offset, 4096);
        assert_eq!(&found[..8], b"CARILLON");
        assert_eq!(found[8..16], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(found[16..24], reg::RDL_HASH.to_le_bytes());
        assert_eq!(found[24..32], MEMORY.to_le_bytes());
        let msm = card.read32(reg::cap_msm::OFFSET).to_le_bytes();
        let ntt = card.read32(reg::cap_ntt::OFFSET).to_le_bytes();
        assert_eq!(
            found[32..39],
            [2, 10, msm[0], msm[1], msm[2], ntt[0], ntt[1]]
        );
        // Window sizes by floor(log2(n)), split and whole: within the capability, the marks where they belong.
        let (split, whole) = (&found[64..96], &found[96..128]);
        let bits: Vec<u8> = split.iter().map(|byte| byte & 0x7f).collect();
        assert!(bits.iter().all(|size| (2..=msm[0]).contains(size)) && bits[31] == msm[0]);
        assert!(
            whole
                .iter()
                .all(|byte| (0x82..=0x80 | msm[0]).contains(byte))
        );
        assert_eq!(whole[31], 0x80 | msm[0]);
        assert!(
            split.iter().all(|byte| byte & 0x80 == 0),
            "one adder splits"
        );
        // The same for MSM_G2 where the card has it, else zeros.
        let in_g2 = &found[128..192];
        if found[39] & 1 == 0 {
            assert!(in_g2.iter().all(|&b| b == 0));
        } else {
            let mut sizes = in_g2.iter().map(|byte| byte & 0x7f);
            assert!(sizes.all(|size| (2..=msm[0]).contains(&size)));
            assert!(in_g2[32..].iter().all(|byte| byte & 0x80 != 0));
        }
        assert!(found[40..64].iter().chain(&found[192..]).all(|&b| b == 0));
    }
    let read_only = Command::Identify { page: 64 };
    admin.expect(&read_only.encode(8), StatusCode::HostWrite);
    let identify = Command::Identify {
        page: host.address(page),
    };
    admin.expect(&identify.encode(9), StatusCode::Success);
}

#[test]
fn data_survives_the_trip_with_and_without_stalls() {
    for (backpressure, seed) in [(0, 1), (30, 2), (70, 3)] {
        let options = RtlOptions {
            backpressure,
            seed,
            ..RtlOptions::default()
        };
        let card = Arc::new(RtlCard::new(options).unwrap());
        let host = host(&card);
        let mut queue = RawQueue::new(&host, 1, 3);
        for (i, bytes) in [64, 128, 4032, 4096, 4160, 65_536, 192 * 64]
            .into_iter()
            .enumerate()
        {
            // Card addresses off the page, so that bursts meet page boundaries.
            round_trip(
                &mut queue,
                seed + i as u64,
                0x1_0000 * i as u64 + 0xfc0,
                bytes,
            );
        }
        round_trip(&mut queue, 5, MEMORY - 4096, 4096);
    }
}

#[test]
fn counters_count() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 2, 3);
    round_trip(&mut queue, 4, 0x4000, 8192);
    queue.expect(&RawCommand::default(), StatusCode::InvalidOpcode);
    // A completion is seen before the bus has answered the card; the interrupt comes after that.
    let line = card.interrupt(2).unwrap();
    wait_for("interrupts", || (line.count() == 3).then_some(()));
    let read = |low, high| host.read64(low, high);
    assert_eq!(
        read(
            reg::count_commands_lo::OFFSET,
            reg::count_commands_hi::OFFSET
        ),
        3
    );
    assert_eq!(
        read(reg::count_errors_lo::OFFSET, reg::count_errors_hi::OFFSET),
        1
    );
    assert_eq!(
        read(
            reg::count_card_written_lo::OFFSET,
            reg::count_card_written_hi::OFFSET
        ),
        8192
    );
    assert_eq!(
        read(
            reg::count_card_read_lo::OFFSET,
            reg::count_card_read_hi::OFFSET
        ),
        8192
    );
    // Commands come in beats of 64 bytes, completions go in 32.
    assert_eq!(
        read(
            reg::count_host_read_lo::OFFSET,
            reg::count_host_read_hi::OFFSET
        ),
        8192 + 3 * 64
    );
    assert_eq!(
        read(
            reg::count_host_written_lo::OFFSET,
            reg::count_host_written_hi::OFFSET
        ),
        8192 + 3 * 32
    );
    let busy = read(reg::count_busy_lo::OFFSET, reg::count_busy_hi::OFFSET);
    let cycles = read(reg::count_cycles_lo::OFFSET, reg::count_cycles_hi::OFFSET);
    assert!(256 <= busy && busy < cycles, "{busy} of {cycles}");
}

#[test]
fn scatter_lists_gather_and_scatter() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 3);
    let (area, list) = (host.allocate(1 << 20), host.allocate(4096));
    let data = pattern(8, 1 << 20);
    host.memory.write(area, &data).unwrap();
    let put = |entries: &[(u64, u64)]| {
        for (i, (address, bytes)) in entries.iter().enumerate() {
            let entry: Vec<u8> = [address.to_le_bytes(), bytes.to_le_bytes()].concat();
            host.memory.write(list + 16 * i, &entry).unwrap();
        }
    };
    // Seven pieces, so that the list itself takes two beats.
    let pieces: Vec<(u64, u64)> = (0..7).map(|i| (0x2_0000 * i + 64 * i, 64 << i)).collect();
    let total: u64 = pieces.iter().map(|p| p.1).sum();
    let placed: Vec<_> = pieces
        .iter()
        .map(|&(at, bytes)| (host.address(area) + at, bytes))
        .collect();
    put(&placed);
    let list_address = host.address(list);
    let gathered: Vec<u8> = pieces
        .iter()
        .flat_map(|&(at, bytes)| data[at as usize..(at + bytes) as usize].to_vec())
        .collect();
    let gather = with_list(write(1, list_address, 0x8000, total));
    assert_eq!(
        queue.expect(&gather, StatusCode::Success).ops,
        total as u32 / 64
    );
    let back = host.allocate(total as usize);
    queue.expect(
        &read(2, host.address(back), 0x8000, total),
        StatusCode::Success,
    );
    assert_eq!(host.bytes(back, total as usize), gathered);

    host.memory.write(area, &vec![0; 1 << 20]).unwrap();
    queue.expect(
        &with_list(read(3, list_address, 0x8000, total)),
        StatusCode::Success,
    );
    let mut expected = vec![0; 1 << 20];
    for &(at, bytes) in &pieces {
        let range = at as usize..(at + bytes) as usize;
        expected[range.clone()].copy_from_slice(&data[range]);
    }
    // The pieces, and nothing beside them.
    for &(at, bytes) in &pieces {
        let range = at as usize..(at + bytes) as usize;
        expected[range.clone()].copy_from_slice(&host.bytes(area + range.start, range.len()));
    }
    assert_eq!(host.bytes(area, 1 << 20), expected);

    let bad: [(&[(u64, u64)], StatusCode); 7] = [
        (&[(0, 64), (64, 128)], StatusCode::InvalidLength),
        (&[(0, 0), (64, 128)], StatusCode::InvalidLength),
        (&[(0, 32), (64, 96)], StatusCode::InvalidLength),
        (&[(0, 1 << 40)], StatusCode::InvalidLength),
        (&[(8, 128)], StatusCode::Misaligned),
        (&[(0, 64), (32, 64)], StatusCode::Misaligned),
        (&[(1 << 40, 128)], StatusCode::HostRead),
    ];
    for (entries, status) in bad {
        let placed: Vec<_> = entries
            .iter()
            .map(|&(at, bytes)| (host.address(area) + at, bytes))
            .collect();
        put(&placed);
        queue.expect(&with_list(write(4, list_address, 0, 128)), status);
        still_works(&mut queue);
    }
    queue.expect(&with_list(read(5, 64, 0, 128)), StatusCode::HostRead);
    still_works(&mut queue);
}

/// Every way to be refused, the earlier check first where two apply.
fn refused(host: u64) -> Vec<(&'static str, RawCommand, StatusCode)> {
    use StatusCode::{InvalidField, InvalidLength, InvalidOpcode, Misaligned, OutOfRange, Overlap};
    let field = |mut command: RawCommand, change: fn(&mut RawCommand)| {
        change(&mut command);
        command
    };
    let msm = |bases, scalars, n, result, window_bits| {
        Command::Msm {
            group: Group::G1,
            bases,
            scalars,
            n,
            result,
            window_bits,
            mode: MsmMode::Split,
        }
        .encode(1)
    };
    let ntt = |source, destination, scratch, log2n| {
        Command::Ntt {
            source,
            destination,
            scratch,
            log2n,
            kind: NttKind::default(),
        }
        .encode(1)
    };
    let quotient = |a, b, c, destination, n, z| {
        Command::Quotient {
            a,
            b,
            c,
            destination,
            n,
            z,
        }
        .encode(1)
    };
    // The word is no address: it may be anything.
    let fill = |card, bytes| {
        let word = 1;
        Command::Fill { word, card, bytes }.encode(1)
    };
    let opcode = |code| RawCommand {
        opcode: code,
        cid: 1,
        ..RawCommand::default()
    };
    let mut cases = vec![
        ("admin opcode", opcode(0x01), InvalidOpcode),
        ("admin opcode", opcode(0x02), InvalidOpcode),
        ("copy", opcode(0x13), InvalidOpcode),
        ("unknown", opcode(0x22), InvalidOpcode),
        ("selftest", opcode(0x40), InvalidOpcode),
        ("opcode 0", opcode(0), InvalidOpcode),
        ("opcode 255", opcode(0xff), InvalidOpcode),
        (
            "opcode before field",
            field(opcode(0x13), |c| c.reserved = 1),
            InvalidOpcode,
        ),
        (
            "reserved",
            field(write(1, host, 0, 64), |c| c.reserved = 0x8000),
            InvalidField,
        ),
        (
            "flag",
            field(write(1, host, 0, 64), |c| c.flags = FLAG_COSET),
            InvalidField,
        ),
        (
            "flag",
            field(read(1, host, 0, 64), |c| c.flags = FLAG_SGL | 0x80),
            InvalidField,
        ),
        (
            "field before length",
            field(write(1, host, 0, 0), |c| c.flags = 8),
            InvalidField,
        ),
        (
            "flag",
            field(fill(0, 64), |c| c.flags = FLAG_SGL),
            InvalidField,
        ),
        ("no bytes", fill(1, 0), InvalidLength),
        ("half a beat", fill(1, 96), InvalidLength),
        ("card address", fill(32, 64), Misaligned),
        ("over the end", fill(MEMORY - 64, 128), OutOfRange),
        ("wraps around", fill(64, u64::MAX - 63), OutOfRange),
        ("no bytes", write(1, host, 0, 0), InvalidLength),
        ("half a beat", read(1, host, 0, 96), InvalidLength),
        (
            "length before alignment",
            read(1, host + 1, 1, 1),
            InvalidLength,
        ),
        ("host address", write(1, host + 32, 0, 64), Misaligned),
        ("card address", write(1, host, 32, 64), Misaligned),
        (
            "alignment before range",
            read(1, host, MEMORY + 1, 64),
            Misaligned,
        ),
        ("beyond memory", write(1, host, MEMORY, 64), OutOfRange),
        ("over the end", read(1, host, MEMORY - 64, 128), OutOfRange),
        (
            "wraps around",
            write(1, host, u64::MAX - 63, 128),
            OutOfRange,
        ),
        ("enormous", write(1, host, 64, u64::MAX - 63), OutOfRange),
        ("window", msm(0, 0, 1, 0, 14), InvalidField),
        (
            "flag",
            field(msm(0, 0, 1, 0, 0), |c| c.flags = FLAG_SGL),
            InvalidField,
        ),
        ("no terms", msm(0, 0, 0, 0, 0), InvalidLength),
        ("too many terms", msm(0, 0, 1 << 32, 0, 0), InvalidLength),
        ("bases", msm(8, 0, 1, 0, 0), Misaligned),
        ("scalars", msm(0, 32, 1, 0, 0), Misaligned),
        ("result", msm(0, 0, 1, 96, 0), Misaligned),
        ("bases", msm(MEMORY - 64, 0, 1, 0, 0), OutOfRange),
        ("scalars", msm(0, MEMORY - 64, 3, 0, 0), OutOfRange),
        ("result", msm(0, 0, 1, MEMORY - 128, 0), OutOfRange),
        ("most terms", msm(0, 0, (1 << 32) - 1, 0, 0), OutOfRange),
        ("length", ntt(0, 0x1000_0000, 0, 21), InvalidField),
        (
            "flag",
            field(ntt(0, 0, 0, 4), |c| c.flags = FLAG_INVERSE | FLAG_SGL),
            InvalidField,
        ),
        ("source", ntt(16, 0x8000, 0x1_0000, 4), Misaligned),
        ("destination", ntt(0, 0x8008, 0x1_0000, 4), Misaligned),
        ("scratch", ntt(0, 0x8000, 0x1_0001, 4), Misaligned),
        ("scratch", ntt(0, 0x8000, MEMORY - 64, 4), OutOfRange),
        (
            "range before overlap",
            ntt(MEMORY - 64, MEMORY - 64, 0, 2),
            OutOfRange,
        ),
        ("source, destination", ntt(0, 0, 0x8000, 1), Overlap),
        ("source, scratch", ntt(0x1000, 0x8000, 0x13c0, 5), Overlap),
        ("destination, scratch", ntt(0, 0x8040, 0x8000, 2), Overlap),
        ("one element", ntt(0, 64, 64, 0), Overlap),
        (
            "flag",
            field(quotient(0, 0, 0, 0, 1, 0), |c| c.flags = FLAG_SGL),
            InvalidField,
        ),
        ("no elements", quotient(0, 0, 0, 0, 0, 0), InvalidLength),
        ("too many", quotient(0, 0, 0, 0, u64::MAX, 0), InvalidLength),
    ];
    for operand in 0..6 {
        if operand == 4 {
            continue; // the count
        }
        let mut command = quotient(0, 0, 0, 0, 3, 0);
        command.op[operand] = 32;
        cases.push(("quotient operand", command, Misaligned));
        // Three elements do not fit in the last beat, the one element z would.
        command.op[operand] = if operand == 5 { MEMORY } else { MEMORY - 64 };
        cases.push(("quotient operand", command, OutOfRange));
    }
    cases
}

#[test]
fn every_refusal_has_its_status_and_the_queue_goes_on() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 2);
    for (what, command, status) in refused(host.iova) {
        let done = queue.run(&command);
        assert_eq!(done.status, status.into(), "{what}: {command:x?}");
        assert_eq!((done.ops, done.detail), (0, 0), "{what}");
    }
    still_works(&mut queue);

    let mut admin = RawQueue::new(&host, 0, 2);
    for (opcode, flags, op0, status) in [
        (0x10, 0, 0, StatusCode::InvalidOpcode),
        (0x30, 0, 0, StatusCode::InvalidOpcode),
        (0x01, FLAG_SGL, 0, StatusCode::InvalidField),
        (0x02, FLAG_SGL, 0, StatusCode::InvalidField),
        // Not for the admin queue; and the next command runs.
        (0x01, FLAG_LINK, 0, StatusCode::InvalidField),
        (0x12, 0, 0, StatusCode::InvalidOpcode),
        (0x01, 0, 8, StatusCode::Misaligned),
    ] {
        let mut command = RawCommand {
            opcode,
            flags,
            cid: 3,
            ..RawCommand::default()
        };
        command.op[0] = op0;
        admin.expect(&command, status);
    }
    let page = host.allocate(4096);
    let identify = Command::Identify {
        page: host.address(page),
    };
    admin.expect(&identify.encode(4), StatusCode::Success);
}

#[test]
fn rings_wrap_at_every_depth() {
    for log2_depth in [1, 2, 10] {
        let card = card();
        let host = host(&card);
        let mut queue = RawQueue::new(&host, 2, log2_depth);
        let area = host.allocate(64);
        let command = |cid| write(cid, host.address(area), 64 * u64::from(cid), 64);
        let line = card.interrupt(2).unwrap();
        let mut cid = 0u16;
        let mut due = 0u16;
        let total = (queue.depth * 5 / 2).max(40) as u16;
        while due < total {
            // As many as the ring holds, then their completions.
            let batch = (queue.depth as u16 - 1).min(total - cid);
            for _ in 0..batch {
                queue.place(&command(cid));
                cid += 1;
            }
            queue.ring_tail(queue.tail as u32);
            for _ in 0..batch {
                let done = queue.wait();
                assert_eq!(done.cid, due);
                assert_eq!(done.status, StatusCode::Success.into());
                due += 1;
                assert_eq!(done.sq_head as usize, usize::from(due) % queue.depth);
            }
        }
        wait_for("interrupts", || {
            (line.count() == u64::from(total)).then_some(())
        });
        let head = card.read32(reg::queue_sq_head::offset(2));
        assert_eq!(head as usize, usize::from(total) % queue.depth);
    }
}

#[test]
fn completions_wait_for_a_free_entry() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 2);
    queue.report = false;
    let area = host.allocate(64);
    let command = |cid| write(cid, host.address(area), 0, 64);
    // Three fill the ring; their completions are seen but not given back.
    for cid in 0..3 {
        assert_eq!(queue.run(&command(cid)).cid, cid);
    }
    // A fourth runs, but its completion may not be written: three wait unconsumed.
    queue.submit(&command(3));
    let untouched = host.bytes(queue.cq + 3 * 32, 32);
    std::thread::sleep(Duration::from_millis(100));
    assert!(queue.poll().is_none(), "the fourth completion was written");
    assert_eq!(host.bytes(queue.cq + 3 * 32, 32), untouched);
    // The other queue is not held up, nor is the register block.
    let mut other = RawQueue::new(&host, 2, 2);
    still_works(&mut other);
    // One entry is free, and it appears.
    queue.ring_head(1);
    assert_eq!(queue.wait().cid, 3);
    queue.ring_head(queue.head as u32);
    queue.report = true;
    still_works(&mut queue);
    // A queue that holds a completion can be disabled.
    queue.report = false;
    for cid in 0..3 {
        queue.run(&command(cid));
    }
    queue.submit(&command(3));
    std::thread::sleep(Duration::from_millis(20));
    queue.revive();
    queue.report = true;
    still_works(&mut queue);
}

#[test]
fn doorbells_beyond_the_depth_stop_the_queue() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 2);
    let mut other = RawQueue::new(&host, 2, 2);
    let events = card.interrupt(3).unwrap();
    for (round, value) in [4, 5, 0x8000_0000, u32::MAX].into_iter().enumerate() {
        for tail in [true, false] {
            if tail {
                queue.ring_tail(value);
            } else {
                queue.ring_head(value);
            }
            queue.wait_error(DOORBELL);
            let expected = 2 * round as u64 + if tail { 1 } else { 2 };
            wait_for("asynchronous event", || {
                (events.count() == expected).then_some(())
            });
            still_works(&mut other);
            queue.revive();
            assert_eq!(queue.error(), 0);
            still_works(&mut queue);
        }
    }
    // Doorbells of a queue that is off do nothing, good or bad.
    queue.disable();
    queue.ring_tail(3);
    queue.ring_head(77);
    queue.enable();
    assert_eq!(queue.error(), 0);
    still_works(&mut queue);
}

#[test]
fn depths_beyond_the_capability_stop_the_queue() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 2);
    for depth in [0, 11, 255] {
        queue.disable();
        card.write32(reg::queue_log2_depth::offset(1), depth);
        queue.control(1);
        queue.wait_error(DOORBELL);
        queue.revive();
        still_works(&mut queue);
    }
}

#[test]
fn bus_errors_have_their_status_and_the_queue_goes_on() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 3);
    let area = host.allocate(1 << 16);
    let bytes = 1 << 16;
    let down = Arc::new(HostMemory::allocate(4096).unwrap());
    let down = card.map(down, Direction::ToDevice).unwrap();
    let up = Arc::new(HostMemory::allocate(4096).unwrap());
    let up = card.map(up, Direction::FromDevice).unwrap();
    let cases = [
        (write(1, 0, 0, 4096), StatusCode::HostRead),
        (write(1, up, 0, 4096), StatusCode::HostRead),
        (write(1, down, 0, 4096 + 64), StatusCode::HostRead),
        (read(1, 0, 0, 4096), StatusCode::HostWrite),
        (read(1, down, 0, 4096), StatusCode::HostWrite),
        (read(1, up, 0, 4096 + 64), StatusCode::HostWrite),
        (write(1, u64::MAX - 63, 0, 128), StatusCode::HostRead),
    ];
    for (command, status) in cases {
        let done = queue.run(&command);
        assert_eq!(done.status, status.into(), "{command:x?}");
        assert!(done.status.retryable);
        still_works(&mut queue);
    }
    for (reads, writes, status) in [
        (true, false, StatusCode::CardRead),
        (false, true, StatusCode::CardWrite),
    ] {
        card.fault_memory(Some(MemoryFault {
            address: 0x8000,
            bytes: 64,
            reads,
            writes,
        }));
        let there = write(2, host.address(area), 0, bytes);
        let back = read(3, host.address(area), 0, bytes);
        let fill = Command::Fill {
            word: 7,
            card: 0,
            bytes,
        };
        if reads {
            queue.expect(&there, StatusCode::Success);
            queue.expect(&back, status);
            let filled = queue.expect(&fill.encode(5), StatusCode::Success);
            assert_eq!(u64::from(filled.ops), bytes / 64);
        } else {
            queue.expect(&there, status);
            queue.expect(&fill.encode(5), status);
            queue.expect(&back, StatusCode::Success);
        }
        still_works(&mut queue);
        card.fault_memory(None);
        queue.expect(&there, StatusCode::Success);
        queue.expect(&back, StatusCode::Success);
    }
    card.unmap(down).unwrap();
    queue.expect(&write(4, down, 0, 64), StatusCode::HostRead);
    still_works(&mut queue);
}

#[test]
fn bus_errors_on_a_ring_stop_the_queue() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 2);
    let mut other = RawQueue::new(&host, 2, 2);
    let area = host.allocate(64);
    let good = write(1, host.address(area), 0, 64);
    for (sq, cq, error) in [
        (0x40, host.address(queue.cq), FETCH),
        (host.address(queue.sq), 0x40, POST),
    ] {
        queue.disable();
        queue.program(sq, cq);
        queue.enable();
        queue.submit(&good);
        queue.wait_error(error);
        still_works(&mut other);
        queue.revive();
        still_works(&mut queue);
    }
}

/// A command that takes a while: 16 MiB through the host bus.
fn long(host: &RawHost, area: usize, cid: u16) -> RawCommand {
    write(cid, host.address(area), 0, 16 << 20)
}

fn abort(queue: u16, cid: u16) -> RawCommand {
    Command::Abort { queue, cid }.encode(0x55)
}

#[test]
fn abort_ends_the_running_and_the_next_command() {
    let card = card();
    let host = host(&card);
    let mut admin = RawQueue::new(&host, 0, 3);
    let mut first = RawQueue::new(&host, 1, 3);
    let mut second = RawQueue::new(&host, 2, 3);
    let area = host.allocate(16 << 20);
    let small = write(12, host.address(area), 0, 64);

    // Nothing to abort: unknown id, idle queue, queue that does not exist.
    for target in [1, 2, 0, 3, 0xffff] {
        let done = admin.expect(&abort(target, 9), StatusCode::Success);
        assert_eq!(done.detail, 0, "queue {target}");
    }

    // Running on the first queue, its successor fetched; the second queue waits for the unit.
    first.place(&long(&host, area, 10));
    first.place(&write(11, host.address(area), 0, 64));
    first.place(&small);
    first.ring_tail(first.tail as u32);
    wait_for("the long command", || {
        (card.read32(reg::status::OFFSET) & reg::status::BUSY.mask() != 0).then_some(())
    });
    second.submit(&write(20, host.address(area), 0, 64));
    for (queue, cid, found) in [(1, 99, 0), (1, 12, 0), (2, 20, 1), (1, 11, 1), (1, 10, 1)] {
        let done = admin.expect(&abort(queue, cid), StatusCode::Success);
        assert_eq!(done.detail, found, "queue {queue} command {cid}");
    }
    for (queue, cid, status) in [
        (&mut second, 20, StatusCode::Aborted),
        (&mut first, 10, StatusCode::Aborted),
    ] {
        let done = queue.wait();
        assert_eq!((done.cid, done.status), (cid, status.into()));
    }
    let done = first.wait();
    assert_eq!((done.cid, done.status), (11, StatusCode::Aborted.into()));
    let done = first.wait();
    assert_eq!((done.cid, done.status), (12, StatusCode::Success.into()));
    still_works(&mut first);
    still_works(&mut second);
}

#[test]
fn disabling_ends_what_runs() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 3);
    let mut other = RawQueue::new(&host, 2, 3);
    let area = host.allocate(16 << 20);
    let busy = || card.read32(reg::status::OFFSET) & reg::status::BUSY.mask() != 0;

    // One queue: the other one goes on.
    queue.submit(&long(&host, area, 1));
    wait_for("the long command", || busy().then_some(()));
    queue.disable();
    assert!(queue.poll().is_none(), "nothing is posted after disabling");
    still_works(&mut other);
    queue.revive();
    still_works(&mut queue);

    // Disabled and enabled at once, without waiting in between.
    queue.submit(&long(&host, area, 2));
    wait_for("the long command", || busy().then_some(()));
    queue.control(0);
    queue.enable();
    wait_for("the end of the old command", || (!busy()).then_some(()));
    still_works(&mut queue);

    // The controller: every queue, and their enables are cleared.
    queue.submit(&long(&host, area, 3));
    wait_for("the long command", || busy().then_some(()));
    card.write32(reg::ctrl::OFFSET, 0);
    host.wait_ready(false);
    for q in [&queue, &other] {
        assert!(!q.active());
        assert_eq!(card.read32(reg::queue_ctrl::offset(q.number)), 0);
    }
    assert!(queue.poll().is_none());
    host.enable();
    assert!(!queue.active(), "queues stay off until they are enabled");
    for q in [&mut queue, &mut other] {
        q.enable();
        still_works(q);
    }

    // Function-level reset in the middle.
    queue.submit(&long(&host, area, 4));
    wait_for("the long command", || busy().then_some(()));
    card.reset().unwrap();
    assert_eq!(card.read32(reg::status::OFFSET), 0);
    assert_eq!(card.read32(reg::queue_sq_base_lo::offset(1)), 0);
    host.enable();
    queue.revive();
    still_works(&mut queue);
}

#[test]
fn queues_overlap_on_different_units_and_share_one() {
    let card = card();
    let host = host(&card);
    let mut first = RawQueue::new(&host, 1, 3);
    let mut second = RawQueue::new(&host, 2, 3);
    let area = host.allocate(16 << 20);
    first.submit(&long(&host, area, 1));
    // An NTT ends while the long transfer still runs.
    let ntt = Command::Ntt {
        source: 0x100_0000,
        destination: 0x101_0000,
        scratch: 0x102_0000,
        log2n: 6,
        kind: NttKind::default(),
    };
    second.expect(&ntt.encode(2), StatusCode::Success);
    assert!(
        first.poll().is_none(),
        "the transfer ended before the transform"
    );
    // A transfer on the second queue has to wait for the unit.
    second.submit(&write(3, host.address(area), 0x200_0000, 64));
    assert_eq!(first.wait().status, StatusCode::Success.into());
    assert_eq!(second.wait().cid, 3);
}

#[test]
fn stray_answers_are_fatal_until_reset() {
    for (bus, code) in [(Bus::Host, 1), (Bus::Memory, 2), (Bus::Lane, 2)] {
        let card = card();
        let host = host(&card);
        let events = card.interrupt(3).unwrap();
        assert_eq!(reg::status::FATAL.get(card.read32(reg::status::OFFSET)), 0);
        card.stray_response(bus);
        let status = card.read32(reg::status::OFFSET);
        assert_eq!(reg::status::FATAL.get(status), 1);
        assert_eq!(reg::status::FATAL_CODE.get(status), code);
        assert_eq!(events.count(), 1);
        card.reset().unwrap();
        assert_eq!(card.read32(reg::status::OFFSET), 0);
        host.enable();
        let mut queue = RawQueue::new(&host, 1, 2);
        still_works(&mut queue);
    }
}

#[test]
fn an_idle_card_stops_its_clock() {
    let card = card();
    let host = host(&card);
    let mut queue = RawQueue::new(&host, 1, 2);
    still_works(&mut queue);
    let settled = wait_for("sleep", || {
        let before = card.simulated().cycles;
        std::thread::sleep(Duration::from_millis(20));
        (card.simulated().cycles == before).then_some(before)
    });
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(card.simulated().cycles, settled);
    still_works(&mut queue);
    assert!(card.simulated().cycles > settled);
}

#[test]
fn an_unplugged_card_reads_all_ones() {
    let card = card();
    let host = host(&card);
    let mut events = card.events();
    card.unplug();
    assert_eq!(card.read32(reg::magic::OFFSET), u32::MAX);
    card.write32(reg::ctrl::OFFSET, 0);
    assert!(card.reset().is_err());
    // The host's side of a mapping is still there to be ended.
    card.unmap(host.iova).unwrap();
    assert!(card.unmap(host.iova).is_err());
    assert!(events.try_recv().is_ok());
}
