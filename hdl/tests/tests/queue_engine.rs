//! Unit test of the queue engine (`hdl/rtl/queue`) against `hdl/doc/contract.md`, "Queues": rings,
//! doorbells, phases, aborts, starting and stopping. The checks of commands stand in `queue_check.rs`.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::queue_host::status::{
    ABORTED, BAD_POINT, INVALID_LENGTH, LINK_BROKEN, SUCCESS,
};
use carillon_hdl_tests::queue_host::{
    AREA, Completion, DMA, MSM, NTT, QueueHost, abort, figures, linked, msm, ntt, write,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `QUEUE_STATUS.error`
const DOORBELL: u64 = 1;
const FETCH: u64 = 2;
const POST: u64 = 3;

#[test]
fn commands_run_in_ring_order_and_phases_flip_each_lap() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (timing, log2_depth) in Timing::ALL.into_iter().zip([1, 2, 3, 2]) {
        let mut bench = QueueHost::enabled(timing, log2_depth);
        bench.unit_status = BAD_POINT;
        let depth = 1_u16 << log2_depth;
        let (mut sent, mut received) = (0, 0);
        while received < 5 * depth + 1 {
            for _ in 0..rng
                .gen_range(1..depth.max(2))
                .min(depth - 1 - (sent - received))
            {
                bench.submit(1, &write(0x100 + sent));
                sent += 1;
            }
            let expected = Completion {
                figures: figures(0x100 + received),
                sq_head: (received + 1) % depth,
                queue: 1,
                cid: 0x100 + received,
                status: BAD_POINT,
                phase: (received / depth).is_multiple_of(2),
            };
            assert_eq!(bench.consume(1), expected, "{timing:?}");
            received += 1;
        }
        while received < sent {
            bench.consume(1);
            received += 1;
        }
        bench.until("it sleeps", |bench| bench.dut.get_u64("awake_o") == 0);
        bench.run(2);
        let order: Vec<_> = (0..sent).map(|index| (DMA, 0x100 + index)).collect();
        assert_eq!(bench.started, order);
        let count = usize::from(sent);
        assert_eq!((bench.irqs, bench.posted), ([0, count, 0], count));
        assert_eq!((bench.errors, bench.stops), (count, 0));
        assert_eq!(
            bench.dut.get_u64("sq_head_o") >> 16 & 0xffff,
            u64::from(sent % depth)
        );
    }
}

#[test]
fn a_full_completion_ring_holds_the_queue() {
    let mut bench = QueueHost::enabled(Timing::STEADY, 2);
    for cid in 0..3 {
        bench.submit(1, &write(cid));
    }
    for cid in 0..3 {
        assert_eq!(bench.take(1).cid, cid);
    }
    // Three are unconsumed: the next two wait, the first of them executed, and the card sleeps.
    bench.submit(1, &write(3));
    bench.submit(1, &write(4));
    bench.until("it sleeps", |bench| bench.dut.get_u64("awake_o") == 0);
    let before = bench.host.bytes.clone();
    bench.run(500);
    assert_eq!(bench.started.len(), 4, "one at a time");
    assert!(bench.host.bytes == before && bench.peek(1).is_none());
    bench.still_works(2);
    for (freed, cid) in [(1, 3), (2, 4)] {
        bench.ring("cq_head", 1, freed);
        assert_eq!(bench.take(1).cid, cid);
        bench.run(200);
        assert!(bench.peek(1).is_none(), "one place, one completion");
    }
}

#[test]
fn a_wrong_doorbell_or_depth_stops_the_queue_alone() {
    let mut bench = QueueHost::enabled(Timing::STEADY, 2);
    for doorbell in ["sq_tail", "cq_head"] {
        for value in [4, 0x1_0000, u32::MAX] {
            bench.ring(doorbell, 1, value);
            bench.until("the queue stops", |bench| !bench.active(1));
            assert_eq!(bench.error(1), DOORBELL, "{doorbell} {value:#x}");
            bench.still_works(2);
            bench.disable(1);
            bench.enable(1, 2);
            assert_eq!((bench.active(1), bench.error(1)), (true, 0));
            bench.still_works(1);
        }
    }
    for log2_depth in [0, 11] {
        bench.disable(1);
        bench.enable(1, log2_depth);
        assert_eq!((bench.active(1), bench.error(1)), (false, DOORBELL));
    }
    bench.disable(1);
    // Doorbells of a queue that is not active are ignored, also across enabling it.
    bench.ring("sq_tail", 1, 3);
    bench.ring("cq_head", 1, u32::MAX);
    bench.enable(1, 10);
    bench.run(300);
    assert_eq!((bench.active(1), bench.error(1)), (true, 0));
    assert!(bench.peek(1).is_none());
    bench.still_works(1);
    assert_eq!(bench.stops, 8);
}

#[test]
fn bus_errors_on_a_ring_stop_it() {
    for (error, fault) in [(FETCH, AREA), (POST, AREA + AREA / 2)] {
        let mut bench = QueueHost::enabled(Timing::ALL[2], 2);
        let fault = Some(fault as u64);
        let side = if error == FETCH {
            &mut bench.host.read_fault
        } else {
            &mut bench.host.write_fault
        };
        *side = fault;
        bench.submit(1, &write(1));
        bench.until("the queue stops", |bench| {
            bench.error(1) == error && !bench.active(1)
        });
        bench.run(2);
        assert_eq!((bench.irqs[1], bench.posted, bench.stops), (0, 0, 1));
        bench.still_works(2);
        (bench.host.read_fault, bench.host.write_fault) = (None, None);
        bench.disable(1);
        bench.enable(1, 2);
        bench.still_works(1);
    }
}

#[test]
fn a_queue_is_in_order_and_queues_overlap() {
    let mut bench = QueueHost::enabled(Timing::STEADY, 3);
    bench.unit_cycles = 1000;
    bench.submit(1, &msm(1));
    bench.submit(1, &ntt(2));
    bench.submit(2, &ntt(3));
    bench.submit(2, &msm(4));
    bench.run(900);
    // Both units run; the second command of each queue waits for the first.
    assert_eq!(bench.started, [(MSM, 1), (NTT, 3)]);
    assert_eq!(bench.dut.get_u64("busy_o"), 1);
    bench.still_works(0);
    for (q, cid) in [(1, 1), (2, 3), (1, 2), (2, 4)] {
        assert_eq!(bench.consume(q).cid, cid);
    }
    // One unit for all: in turn, never two at once (the played units check that).
    bench.unit_cycles = 50;
    bench.started.clear();
    for cid in 0..4 {
        bench.submit(1, &msm(0x10 + cid));
        bench.submit(2, &msm(0x20 + cid));
    }
    for _ in 0..4 {
        bench.consume(1);
        bench.consume(2);
    }
    for pair in bench.started.chunks(2) {
        let queues: u16 = pair.iter().map(|(_, cid)| cid >> 4).sum();
        assert_eq!(queues, 3, "one of each: {:x?}", bench.started);
    }
}

#[test]
fn abort_ends_the_running_or_the_next_command() {
    let mut bench = QueueHost::enabled(Timing::STEADY, 3);
    let outcome =
        |completion: Completion| (completion.cid, completion.status, completion.figures[5]);
    bench.unit_cycles = 2000;
    for target in [0x11, 0x12] {
        bench.started.clear();
        for cid in 0x11..=0x13 {
            bench.submit(1, &msm(cid));
        }
        bench.run(200);
        bench.submit(0, &abort(7, 1, target));
        assert_eq!(outcome(bench.consume(0)), (7, SUCCESS, 1));
        for cid in 0x11..=0x13 {
            let completion = bench.consume(1);
            let status = if cid == target { ABORTED } else { SUCCESS };
            assert_eq!((completion.cid, completion.status), (cid, status));
        }
        // The running one was started before, the next one never was.
        let runs = if target == 0x11 { 3 } else { 2 };
        assert_eq!(
            bench
                .started
                .iter()
                .filter(|(unit, _)| *unit == MSM)
                .count(),
            runs
        );
    }
    // Waiting for a unit that another queue uses.
    bench.submit(2, &msm(0x21));
    bench.run(100);
    bench.submit(1, &msm(0x22));
    bench.submit(0, &abort(8, 1, 0x22));
    assert_eq!(outcome(bench.consume(0)), (8, SUCCESS, 1));
    assert_eq!(outcome(bench.consume(1)), (0x22, ABORTED, 0));
    // Not there: another id, an idle queue, no such queue.
    for (queue, cid) in [(2, 0x22), (1, 0x21), (3, 0x21), (0xffff, 0x21)] {
        bench.submit(0, &abort(9, queue, cid));
        assert_eq!(outcome(bench.consume(0)), (9, SUCCESS, 0), "{queue:#x}");
    }
    assert_eq!(bench.consume(2).status, SUCCESS);
    bench.still_works(1);
}

#[test]
fn disabling_at_any_moment_ends_in_bounded_time_and_starts_afresh() {
    for timing in [Timing::STEADY, Timing::ALL[2]] {
        let mut bench = QueueHost::enabled(timing, 2);
        bench.unit_cycles = 50;
        for moment in (0..40).chain((40..240).step_by(9)) {
            for cid in 0..3 {
                bench.submit(1, &msm(cid));
            }
            bench.run(moment);
            let cycles = bench.disable(1);
            // At most one access to the ring and the end of one unit.
            let bound = bench.drain_cycles + 4 * timing.latency + 60;
            assert!(cycles <= bound, "{cycles} cycles after {moment}");
            assert!(bench.running[MSM].is_none(), "the unit was ended first");
            let (bytes, irqs) = (bench.host.bytes.clone(), bench.irqs);
            bench.run(150);
            assert!(
                bench.host.bytes == bytes && bench.irqs == irqs,
                "posted after {moment}"
            );
            bench.still_works(2);

            bench.enable(1, 2);
            bench.submit(1, &msm(9));
            let completion = bench.consume(1);
            assert_eq!((completion.cid, completion.sq_head), (9, 1));
            assert!(completion.phase && bench.peek(1).is_none());
            assert_eq!(completion.status, SUCCESS, "after {moment}");
            bench.disable(1);
            bench.enable(1, 2);
        }
    }
}

/// Consumes a completion of a command that did not run because the command `failed` had failed.
fn assert_broken(bench: &mut QueueHost, q: usize, cid: u16, failed: u16) {
    let completion = bench.consume(q);
    let expected = [0, 0, 0, 0, 0, u32::from(failed)];
    assert_eq!(
        (completion.cid, completion.status, completion.figures),
        (cid, LINK_BROKEN, expected)
    );
}

#[test]
fn a_failure_ends_its_chain_and_is_named_by_what_did_not_run() {
    let mut bench = QueueHost::enabled(Timing::STEADY, 4);
    // All is well: a chain is commands like others.
    for command in [linked(write(1)), linked(ntt(2)), msm(3)] {
        bench.submit(1, &command);
    }
    for cid in 1..=3 {
        let completion = bench.consume(1);
        assert_eq!((completion.cid, completion.status), (cid, SUCCESS));
    }
    // The second is refused: the rest of the chain does not run, what comes after it does.
    let mut refused = linked(msm(12));
    refused[3] = 0;
    for command in [
        linked(write(11)),
        refused,
        linked(ntt(13)),
        linked(msm(14)),
        ntt(15),
    ] {
        bench.submit(1, &command);
    }
    for command in [linked(write(16)), write(17)] {
        bench.submit(1, &command);
    }
    assert_eq!(bench.consume(1).status, SUCCESS);
    assert_eq!(bench.consume(1).status, INVALID_LENGTH);
    for cid in 13..=15 {
        assert_broken(&mut bench, 1, cid, 12);
    }
    for cid in 16..=17 {
        let completion = bench.consume(1);
        assert_eq!((completion.cid, completion.status), (cid, SUCCESS));
    }
    let expected = [
        (DMA, 1),
        (NTT, 2),
        (MSM, 3),
        (DMA, 11),
        (DMA, 16),
        (DMA, 17),
    ];
    assert_eq!(bench.started, expected);
    // A unit fails, also the last command of a chain, which breaks nothing; the other queue is not concerned.
    bench.unit_status = BAD_POINT;
    bench.submit(1, &linked(msm(21)));
    bench.submit(1, &ntt(22));
    bench.submit(1, &msm(23));
    bench.submit(2, &write(24));
    assert_eq!(bench.consume(1).status, BAD_POINT);
    assert_broken(&mut bench, 1, 22, 21);
    assert_eq!(bench.consume(1).status, BAD_POINT);
    assert_eq!(bench.consume(2).status, BAD_POINT);
}

#[test]
fn an_abort_breaks_a_chain_and_a_new_start_knows_none() {
    let mut bench = QueueHost::enabled(Timing::STEADY, 4);
    bench.unit_cycles = 100_000;
    for command in [linked(msm(1)), linked(ntt(2)), write(3)] {
        bench.submit(1, &command);
    }
    bench.until("it runs", |bench| bench.running[MSM].is_some());
    // The first is ended; of what follows the second was to be aborted, too, and says so.
    bench.submit(0, &abort(100, 1, 2));
    assert_eq!(bench.consume(0).figures[5], 1);
    bench.submit(0, &abort(101, 1, 1));
    assert_eq!(bench.consume(0).figures[5], 1);
    assert_eq!(bench.consume(1).status, ABORTED);
    assert_eq!(bench.consume(1).status, ABORTED);
    assert_broken(&mut bench, 1, 3, 1);
    // Disabled in the middle of a broken chain.
    bench.unit_cycles = 10;
    bench.unit_status = BAD_POINT;
    bench.submit(1, &linked(msm(4)));
    assert_eq!(bench.consume(1).status, BAD_POINT);
    bench.disable(1);
    bench.enable(1, 4);
    bench.unit_status = SUCCESS;
    bench.still_works(1);
}

#[test]
fn chains_of_any_length_break_where_they_fail() {
    const PLACES: usize = 15;
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for timing in Timing::ALL {
        let mut bench = QueueHost::enabled(timing, 4);
        let mut broken: Option<u16> = None;
        let mut cid = 0;
        while cid < 400 {
            // Fetched ahead, and more than the completion ring holds before any is consumed.
            let batch: Vec<_> = (0..rng.gen_range(1..=PLACES))
                .map(|index| (cid + index as u16, rng.gen_bool(0.8), rng.gen_bool(0.2)))
                .collect();
            cid += batch.len() as u16;
            for (cid, links, fails) in &batch {
                let mut command = write(*cid);
                if *fails {
                    command[3] = 0;
                }
                bench.submit(1, &if *links { linked(command) } else { command });
            }
            for (cid, links, fails) in batch {
                match broken {
                    Some(failed) => assert_broken(&mut bench, 1, cid, failed),
                    None => {
                        let status = if fails { INVALID_LENGTH } else { SUCCESS };
                        assert_eq!(bench.consume(1).status, status);
                    }
                }
                let failed = broken.or(fails.then_some(cid));
                broken = failed.filter(|_| links);
            }
        }
    }
}
