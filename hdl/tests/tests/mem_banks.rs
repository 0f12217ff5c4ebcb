//! Unit test of `carillon_pkg::banked`, with four banks: every address has one place, and rows that lie a power of two
//! apart are in all banks alike.
#![cfg(feature = "rtl")]

use std::collections::BTreeSet;

use carillon_hdl_tests::{Dut, View};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PAGE: u64 = 4096;
const BANKS: u64 = 4;

struct Banks(Dut);

impl Banks {
    fn new() -> Self {
        Self(Dut::new("mem_banks", View::Fast))
    }

    fn place(&mut self, address: u64) -> u64 {
        self.0.set_u64("addr_i", address);
        self.0.step();
        self.0.get_u64("addr_o")
    }

    fn bank(&mut self, address: u64) -> u64 {
        self.place(address) / PAGE % BANKS
    }
}

#[test]
fn pages_change_places_in_their_group_and_nothing_else_moves() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut banks = Banks::new();
    let random: Vec<u64> = (0..200).map(|_| rng.r#gen()).collect();
    let bits = (0..64).map(|bit| 1 << bit);
    for group in bits.chain(0..64).chain(random) {
        let first = group / (BANKS * PAGE) * (BANKS * PAGE);
        let inside = rng.gen_range(0..PAGE);
        let places: BTreeSet<u64> = (0..BANKS)
            .map(|page| banks.place(first + page * PAGE + inside))
            .collect();
        let expected: BTreeSet<u64> = (0..BANKS)
            .map(|page| first + page * PAGE + inside)
            .collect();
        assert_eq!(places, expected, "group at {first:#x}");
    }
}

/// The number of a row that is the `place`-th to be read, or to be written (hdl/doc/ntt.md, "The passes").
const ORDERS: [fn(u64) -> u64; 2] = [
    |place| place.reverse_bits() >> (64 - ROWS_LOG2),
    |place| place >> 1 | (place & 1) << (ROWS_LOG2 - 1),
];
const ROWS_LOG2: u32 = 10;

#[test]
fn rows_of_a_tile_meet_all_banks() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut banks = Banks::new();
    for stride in (12..=23).map(|log2| 1u64 << log2) {
        for (order, most) in ORDERS.into_iter().zip([24, 36]) {
            for _ in 0..4 {
                let first: u64 = rng.gen_range(0..1 << 24) * 64;
                let rows: Vec<u64> = (0..1 << ROWS_LOG2)
                    .map(|place| banks.bank(first + order(place) * stride))
                    .collect();
                // All in one of four without the sum, from 16 KiB on.
                for some in rows.windows(64) {
                    let in_bank = |bank| some.iter().filter(|other| **other == bank).count();
                    let fullest = (0..BANKS).map(in_bank).max().unwrap();
                    assert!(fullest <= most, "rows {stride:#x} apart: {fullest} of 64");
                }
            }
        }
    }
}

#[test]
fn lanes_in_step_meet_different_banks() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut banks = Banks::new();
    // A block of a lane's points is three pages, and lanes take blocks in turn.
    let (mut apart, steps) = (0, 4096);
    let first: u64 = rng.gen_range(0..1 << 24) * 64;
    for step in 0..steps {
        let lanes: BTreeSet<u64> = (0..4)
            .map(|lane| banks.bank(first + 3 * (4 * step + lane) * PAGE))
            .collect();
        apart += u64::from(lanes.len() == 4);
    }
    assert!(apart * 100 >= steps * 85, "{apart} of {steps}");
}
