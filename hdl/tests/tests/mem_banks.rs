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

#[test]
fn strides_of_powers_of_two_meet_all_banks() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut banks = Banks::new();
    // Rows of a tile: from neighbouring pages to a transform of 2^28.
    for stride in (12..=30).map(|log2| 1u64 << log2) {
        for _ in 0..20 {
            let first: u64 = rng.gen_range(0..1 << 24) * 64;
            let mut rows = [0; BANKS as usize];
            for row in 0..64 {
                rows[banks.bank(first + row * stride) as usize] += 1;
            }
            let most = rows.into_iter().max().unwrap();
            assert!(
                most <= 24,
                "rows {stride:#x} apart from {first:#x}: {rows:?}"
            );
        }
    }
}
