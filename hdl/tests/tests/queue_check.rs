//! Unit test of the checks that the queue engine makes before a command runs
//! (`hdl/rtl/queue/queue_check.sv`) against `hdl/doc/contract.md`: every status, their order, and the
//! largest commands that pass.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::queue_host::status::{
    INVALID_FIELD, INVALID_LENGTH, INVALID_OPCODE, MISALIGNED, OUT_OF_RANGE, OVERLAP, SUCCESS,
};
use carillon_hdl_tests::queue_host::{Command, QueueHost, abort, linked, ntt, write};

/// The end of card memory.
const TOP: u64 = 0x1000_0000;

/// (word, value, status): the command ends with `status` until `word` is set to `value`.
type Repair = (usize, u64, u64);

#[test]
fn checks_are_made_in_the_order_of_the_contract() {
    // Each starts with a command that is wrong in several ways and is repaired step by step.
    let ladders: [(Command, &[Repair]); 9] = [
        // WRITE: host, card, bytes. An unknown opcode, then a flag, the length, both addresses, the range.
        (
            [0x13 | 0x02 << 8, 1, TOP + 1, 63, 0, 0, 0, 0],
            &[
                (0, 0x10 | 0x02 << 8, INVALID_OPCODE),
                (0, 0x10 | 0x01 << 8, INVALID_FIELD),
                (3, 128, INVALID_LENGTH),
                (1, 64, MISALIGNED),
                (2, TOP - 64, MISALIGNED),
                (2, TOP - 128, OUT_OF_RANGE),
            ],
        ),
        // READ: length 0; reserved bits.
        (
            [0x11 | 1 << 63, 0, TOP, 0, 0, 0, 0, 0],
            &[
                (0, 0x11, INVALID_FIELD),
                (3, 64, INVALID_LENGTH),
                (2, TOP - 64, OUT_OF_RANGE),
            ],
        ),
        // FILL: pattern, card, bytes.
        (
            [0x12 | 0x01 << 8, 3, TOP + 1, 63, 0, 0, 0, 0],
            &[
                (0, 0x12, INVALID_FIELD),
                (3, 128, INVALID_LENGTH),
                (2, TOP - 64, MISALIGNED),
                (2, TOP - 128, OUT_OF_RANGE),
            ],
        ),
        // MSM: bases, scalars, count, result.
        (
            [0x22 | 14 << 40, 1, 1, 0, 1, 0, 0, 0],
            &[
                (0, 0x20 | 14 << 40, INVALID_OPCODE),
                (0, 0x20 | 13 << 40, INVALID_FIELD),
                (3, 1 << 32, INVALID_LENGTH),
                (3, u64::from(u32::MAX), INVALID_LENGTH),
                (1, 0, MISALIGNED),
                (2, TOP, MISALIGNED),
                (4, TOP - 128, MISALIGNED),
                (3, 2, OUT_OF_RANGE),
                (2, TOP - 64, OUT_OF_RANGE),
                (4, TOP - 192, OUT_OF_RANGE),
            ],
        ),
        // In G2 points and result are larger.
        (
            [0x21 | 0x02 << 8, TOP - 128, TOP - 64, 2, TOP - 256, 0, 0, 0],
            &[
                (0, 0x21 | 0x08 << 8 | 13 << 40, INVALID_FIELD),
                (1, TOP - 320, OUT_OF_RANGE),
                (1, TOP - 384, OUT_OF_RANGE),
                (4, TOP - 320, OUT_OF_RANGE),
            ],
        ),
        // NTT of 4: source, destination, scratch.
        (
            [0x40 | 0x08 << 8 | 21 << 32, 1, 64, TOP - 64, 0, 0, 0, 0],
            &[
                (0, 0x30 | 0x08 << 8 | 2 << 32, INVALID_OPCODE),
                (0, 0x30 | 0x06 << 8 | 21 << 32, INVALID_FIELD),
                (0, 0x30 | 0x24 << 8 | 2 << 32, INVALID_FIELD),
                (0, 0x30 | 0x06 << 8 | 2 << 32, INVALID_FIELD),
                (1, 0, MISALIGNED),
                (3, 128, OUT_OF_RANGE),
                (2, 192, OVERLAP),
                (3, 64, OVERLAP),
                (1, 320, OVERLAP),
            ],
        ),
        // QUOTIENT: a, b, c, destination, count, z.
        (
            [0x38 | 0x04 << 8, 0, 0, 32, 0, 0, TOP, 0],
            &[
                (0, 0x38, INVALID_FIELD),
                (5, 3, INVALID_LENGTH),
                (3, TOP - 64, MISALIGNED),
                (3, 0, OUT_OF_RANGE),
                (6, TOP - 64, OUT_OF_RANGE),
            ],
        ),
        // A product: whatever stands for c and z does not matter.
        (
            [0x38 | 0x14 << 8, 0, 0, 32, TOP, 0, TOP + 3, 0],
            &[
                (0, 0x38 | 0x10 << 8, INVALID_FIELD),
                (5, 3, INVALID_LENGTH),
                (4, 0, OUT_OF_RANGE),
            ],
        ),
        // Admin commands on an I/O queue.
        (
            [0x01, 0, 0, 64, 0, 0, 0, 0],
            &[(0, 0x02, INVALID_OPCODE), (0, 0x10, INVALID_OPCODE)],
        ),
    ];
    let mut bench = QueueHost::enabled(Timing::ALL[1], 4);
    let judge = |bench: &mut QueueHost, q, command: &Command, status| {
        let before = bench.started.len();
        bench.submit(q, command);
        let completion = bench.consume(q);
        assert_eq!(completion.status, status, "{command:x?}");
        let runs = status == SUCCESS;
        assert_eq!(
            bench.started.len() - before,
            usize::from(runs),
            "{command:x?}"
        );
        if !runs {
            assert_eq!(completion.figures, [0; 6]);
        }
    };
    for (mut command, repairs) in ladders {
        for (word, value, status) in repairs {
            judge(&mut bench, 1, &command, *status);
            command[*word] = *value;
        }
        judge(&mut bench, 1, &command, SUCCESS);
        // Any command of an I/O queue may be linked.
        judge(&mut bench, 1, &linked(command), SUCCESS);
    }
    // On the admin queue: I/O opcodes, flags, a misaligned page; ABORT's operand is no address.
    for (command, status) in [
        (write(0), INVALID_OPCODE),
        (ntt(0), INVALID_OPCODE),
        ([0x01 | 0x01 << 8, 1, 0, 0, 0, 0, 0, 0], INVALID_FIELD),
        ([0x01 | 0x40 << 8, 0, 0, 0, 0, 0, 0, 0], INVALID_FIELD),
        ([0x02 | 1 << 48, 1, 0, 0, 0, 0, 0, 0], INVALID_FIELD),
        ([0x01, 32, 0, 0, 0, 0, 0, 0], MISALIGNED),
        (abort(0, 1, 0), SUCCESS),
    ] {
        judge(&mut bench, 0, &command, status);
    }
    bench.still_works(0);
}
