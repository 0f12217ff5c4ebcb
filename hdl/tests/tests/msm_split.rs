//! Unit test of `msm_split` and `msm_quarter`: the parts of a scalar are those that `recode` works out, one scalar a
//! cycle, in G2 one in two.
#![cfg(feature = "rtl")]

use blstrs::Scalar;
use carillon_hdl_tests::recode::{Mode, split};
use carillon_hdl_tests::{Dut, View, extract, pipeline};
use ff::{Field, PrimeField};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FR_BITS: usize = 255;
/// A part with its sign.
const PART_BITS: usize = FR_BITS + 1;

/// Random ones, and those around the places where a sign or a quotient changes.
fn samples(rng: &mut ChaCha8Rng) -> Vec<Scalar> {
    let z2 = Scalar::from_u128(0xac45_a401_0001_a402_0000_0001_0000_0000);
    let z = Scalar::from(0xd201_0000_0001_0000);
    let half = (-Scalar::ONE) * Scalar::from(2).invert().unwrap_or(Scalar::ONE);
    let mut scalars = vec![Scalar::ZERO, half, z2, z2.square()];
    for _ in 0..2_000 {
        let quotient = Scalar::from_u128(rng.r#gen::<u128>() >> rng.gen_range(1..128));
        // Multiples of z^2 and the middles between them.
        scalars.push(quotient * z2);
        scalars.push(quotient * z2 + z2 * half);
        // Likewise of z, near a multiple of z^2.
        let below = Scalar::from(rng.r#gen::<u64>() >> rng.gen_range(1..64));
        scalars.push(quotient * z2 + below * z);
        scalars.push(quotient * z2 + below * z + z * half);
        scalars.push(Scalar::from(2).pow_vartime([rng.gen_range(0..255)]));
        scalars.push(Scalar::random(&mut *rng));
    }
    let near = |scalar: Scalar| [scalar - Scalar::ONE, scalar, scalar + Scalar::ONE];
    scalars
        .into_iter()
        .flat_map(near)
        .flat_map(|scalar| [scalar, -scalar])
        .collect()
}

#[test]
fn parts_are_those_of_the_documentation() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let scalars = samples(&mut rng);
    // In G2 whole scalars pass msm_quarter.
    let runs = [
        (false, Mode::Glv),
        (false, Mode::Full),
        (true, Mode::Psi),
        (true, Mode::Full),
    ];
    for view in View::BOTH {
        for (g2, mode) in runs {
            let mut dut = Dut::new("msm_split_top", view);
            dut.set_u64("g2_i", u64::from(g2));
            dut.set_u64("full_i", u64::from(mode == Mode::Full));
            let items = scalars.iter().flat_map(|scalar| {
                let work = Some(vec![scalar.to_repr().as_ref().to_vec()]);
                if g2 { vec![work, None] } else { vec![work] }
            });
            let outputs = pipeline::run(&mut dut, &["k_i"], "parts_o", items);
            assert_eq!(outputs.len(), scalars.len());
            for (scalar, output) in scalars.iter().zip(&outputs) {
                assert_eq!(output.latency, outputs[0].latency);
                let parts = split(scalar, mode);
                for (index, (number, negative)) in parts.iter().enumerate() {
                    let part = extract(&output.value, index * PART_BITS, FR_BITS);
                    let expected: Vec<u8> =
                        number.iter().flat_map(|limb| limb.to_le_bytes()).collect();
                    assert_eq!(
                        part,
                        expected[..part.len()],
                        "{scalar:?}, part {index}, {mode:?}"
                    );
                    // The image of a point under z^2 is (x, -y): the upper half's signs are the opposite.
                    let upper = 2 * index >= parts.len() && parts.len() > 1;
                    let sign = extract(&output.value, index * PART_BITS + FR_BITS, 1) == [1];
                    let nonzero = number.iter().any(|limb| *limb != 0);
                    assert!(
                        !nonzero || sign == (*negative != upper),
                        "{scalar:?} {mode:?}"
                    );
                }
                for index in parts.len()..4 {
                    let rest = extract(&output.value, index * PART_BITS, FR_BITS);
                    assert!(rest.iter().all(|byte| *byte == 0), "these parts are all");
                }
            }
        }
    }
}
