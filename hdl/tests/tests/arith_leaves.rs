//! Unit test of the leaves of the arithmetic blocks, `add3` and `mul_dsp`: the behavioural view and the
//! view in vendor cells against integers, in every cycle.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::{Dut, View};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `AddWidth`, `FpLeaf` and `FrLeaf` of `tops/arith_leaves.sv`.
const ADD_WIDTH: usize = 99;
const FP_LEAF: usize = 50;
const FR_LEAF: usize = 66;
/// `arith_pkg::dsp_latency` of the two widths.
const FP_LATENCY: usize = 9;
const FR_LATENCY: usize = 14;

const VIEWS: [View; 2] = [View::Structural, View::Cells];

fn mask(bits: usize) -> u128 {
    (1 << bits) - 1
}

/// A port's bytes, of which there are at most 16.
fn to_port(value: u128, bits: usize) -> Vec<u8> {
    value.to_le_bytes()[..bits.div_ceil(8)].to_vec()
}

/// A port's value without the zeros that fill its last word.
fn get(dut: &Dut, name: &str, bits: usize) -> Vec<u8> {
    let mut bytes = dut.get(name);
    let filling = bytes.split_off(bits.div_ceil(8));
    assert!(filling.iter().all(|byte| *byte == 0), "{name}");
    bytes
}

/// The product of the operands' lowest bits as a port gives it.
fn product(a: u128, b: u128, bits: usize) -> Vec<u8> {
    let (a, b) = (a & mask(bits), b & mask(bits));
    let mut result = vec![0; (2 * bits).div_ceil(8)];
    for (place, factor) in a.to_le_bytes().into_iter().enumerate() {
        // 66 bits times 8 stay below 2^128; add them byte by byte at their place.
        let mut carry = b * u128::from(factor);
        for byte in result.iter_mut().skip(place) {
            carry += u128::from(*byte);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    }
    result
}

/// Operands that stress carries, and random ones of random lengths.
fn operands(rng: &mut ChaCha8Rng) -> u128 {
    let value: u128 = match rng.gen_range(0..4) {
        0 => 0,
        1 => u128::MAX,
        2 => 1 << rng.gen_range(0..ADD_WIDTH),
        _ => rng.r#gen(),
    };
    value & mask(rng.gen_range(1..=ADD_WIDTH))
}

#[test]
fn sums_of_three_with_negated_operands() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for view in VIEWS {
        let mut dut = Dut::new("arith_leaves", view);
        for _ in 0..2000 {
            let (a, b, c) = (operands(&mut rng), operands(&mut rng), operands(&mut rng));
            let carries = rng.gen_range(0..4_u8);
            for (name, value) in [("a_i", a), ("b_i", b), ("c_i", c)] {
                dut.set(name, &to_port(value, ADD_WIDTH));
            }
            dut.set_u64("carry_i", u64::from(carries));
            dut.step();
            let all = mask(ADD_WIDTH);
            for (sum, carry, b, c) in [
                ("sum_o", "carry_o", b, c),
                ("minus_b_o", "minus_b_carry_o", b ^ all, c),
                ("minus_bc_o", "minus_bc_carry_o", b ^ all, c ^ all),
            ] {
                let golden = a + b + c + u128::from(carries.count_ones());
                let given = get(&dut, sum, ADD_WIDTH);
                assert_eq!(given, to_port(golden & all, ADD_WIDTH), "{view:?}: {sum}");
                // The views may split the carry between the two bits in different ways.
                let carried = dut.get_u64(carry).count_ones();
                assert_eq!(u128::from(carried), golden >> ADD_WIDTH, "{view:?}: {sum}");
            }
        }
    }
}

#[test]
fn products_in_every_cycle() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for view in VIEWS {
        let mut dut = Dut::new("arith_leaves", view);
        let mut given = Vec::new();
        for cycle in 0..2000 {
            let (a, b) = (operands(&mut rng), operands(&mut rng));
            dut.set("a_i", &to_port(a, ADD_WIDTH));
            dut.set("b_i", &to_port(b, ADD_WIDTH));
            dut.step();
            given.push((a, b));
            for (name, bits, latency) in
                [("fp_o", FP_LEAF, FP_LATENCY), ("fr_o", FR_LEAF, FR_LATENCY)]
            {
                if cycle + 1 >= latency {
                    let (a, b) = given[cycle + 1 - latency];
                    assert_eq!(
                        get(&dut, name, 2 * bits),
                        product(a, b, bits),
                        "{view:?}: {name} in cycle {cycle}"
                    );
                }
            }
        }
    }
}
