//! The two groups of an MSM for the functional card: points as blst has them, and the endomorphisms
//! by which scalars are split (contract, "Scalars of an MSM").
//!
//! Called by `msm.rs`; no card memory, no scalars beyond their parts.
#![allow(unsafe_code)]

use blst::{MultiPoint, blst_fp, blst_fp2, blst_p1, blst_p1_affine, blst_p2, blst_p2_affine};
use blstrs::Scalar;
use carillon_driver::command::Group;

use super::arith::{FP, limbs, put};
use crate::split::{Halves, Quarters, split, split_in_four};

/// 2^384 mod p: one, as an image.
const FP_ONE: blst_fp = blst_fp {
    l: [
        0x7609_0000_0002_fffd,
        0xebf4_000b_c40c_0002,
        0x5f48_9857_53c7_58ba,
        0x77ce_5853_7052_5745,
        0x5c07_1a97_a256_ec6d,
        0x15f6_5ec3_fa80_e493,
    ],
};
/// The cube root of one with z^2 (x, y) = (beta x, -y) in G1, as an image.
const BETA: blst_fp = blst_fp {
    l: [
        0x30f1_361b_798a_64e8,
        0xf3b8_ddab_7ece_5a2a,
        0x16a8_ca3a_c615_77f7,
        0xc26a_2ff8_74fd_029b,
        0x3636_b766_6070_1c6e,
        0x051b_a4ab_241b_6160,
    ],
};
/// psi's factor of x: 1 / (1 + u)^((p - 1) / 3), a multiple of u; as an image.
const PSI_X: blst_fp2 = blst_fp2 {
    fp: [
        blst_fp { l: [0; 6] },
        blst_fp {
            l: [
                0x890d_c9e4_8675_45c3,
                0x2af3_2253_3285_a5d5,
                0x5088_0866_309b_7e2c,
                0xa20d_1b8c_7e88_1024,
                0x14e4_f04f_e2db_9068,
                0x14e5_6d3f_1564_853a,
            ],
        },
    ],
};
/// psi's factor of y: 1 / (1 + u)^((p - 1) / 2), as an image.
const PSI_Y: blst_fp2 = blst_fp2 {
    fp: [
        blst_fp {
            l: [
                0x3e2f_585d_a55c_9ad1,
                0x4294_213d_86c1_8183,
                0x3828_44c8_8b62_3732,
                0x92ad_2afd_1910_3e18,
                0x1d79_4e4f_ac7c_f0b9,
                0x0bd5_92fc_7d82_5ec8,
            ],
        },
        blst_fp {
            l: [
                0x7bcf_a7a2_5aa3_0fda,
                0xdc17_dec1_2a92_7e7c,
                0x2f08_8dd8_6b4e_bef1,
                0xd1ca_2087_da74_d4a7,
                0x2da2_5966_96ce_bc1d,
                0x0e2b_7eed_bbfd_87d2,
            ],
        },
    ],
};

/// A group that the functional card sums in.
pub(crate) trait SumGroup {
    /// Which one it is.
    const GROUP: Group;
    /// Bits of a part's magnitude.
    const PART_BITS: usize;
    /// A finite point, or zeros for infinity.
    type Affine: Copy + Default + PartialEq;
    /// A running sum; its default is infinity.
    type Point: Default;
    /// Images of a point and multiples of them.
    type Parts: IntoIterator<Item = (Self::Affine, i128)>;

    /// The point of an image.
    fn read(image: &[u8]) -> Self::Affine;
    /// -P.
    fn negative(point: Self::Affine) -> Self::Affine;
    /// What the parts of a scalar multiply, and the parts.
    fn split(point: Self::Affine, scalar: &Scalar) -> Self::Parts;
    /// The sum of multiples of finite points, each of `bits` bits, one after the other.
    fn mult(points: &[Self::Affine], magnitudes: &[u8], bits: usize) -> Self::Point;
    /// A + B.
    fn sum(a: &Self::Point, b: &Self::Point) -> Self::Point;
    /// X, Y, Z homogeneous with Z = 1, or (0, 1, 0) for infinity, into zeros.
    fn write(point: &Self::Point, out: &mut [u8]);
}

/// Points over Fp.
pub(crate) struct G1;
/// Points over Fp2, on the twist.
pub(crate) struct G2;

fn fp(image: &[u8]) -> blst_fp {
    blst_fp { l: limbs(image) }
}

fn fp2(image: &[u8]) -> blst_fp2 {
    let (low, high) = image.split_at(FP);
    blst_fp2 {
        fp: [fp(low), fp(high)],
    }
}

fn put2(value: &blst_fp2, out: &mut [u8]) {
    let (low, high) = out.split_at_mut(FP);
    put(&value.fp[0].l, low);
    put(&value.fp[1].l, high);
}

fn negated(value: &blst_fp) -> blst_fp {
    let mut out = blst_fp::default();
    // SAFETY: two valid field elements; blst writes only `out`.
    unsafe { blst::blst_fp_cneg(&mut out, value, true) };
    out
}

/// (beta x, -y), which is z^2 P if the point lies in the subgroup.
fn z_squared(point: blst_p1_affine) -> blst_p1_affine {
    let mut x = blst_fp::default();
    // SAFETY: three valid field elements; blst writes only `x`.
    unsafe { blst::blst_fp_mul(&mut x, &point.x, &BETA) };
    G1::negative(blst_p1_affine { x, y: point.y })
}

/// -psi(P), which is z P if the point lies in the subgroup: psi is the untwist, Frobenius' map and
/// the twist, (cx conj(x), cy conj(y)). Twice, it is (omega x, -y) for any point of the twist.
fn z(point: blst_p2_affine) -> blst_p2_affine {
    let times_conjugate = |factor: &blst_fp2, of: &blst_fp2| {
        let conjugate = blst_fp2 {
            fp: [of.fp[0], negated(&of.fp[1])],
        };
        let mut out = blst_fp2::default();
        // SAFETY: three valid field elements; blst writes only `out`.
        unsafe { blst::blst_fp2_mul(&mut out, factor, &conjugate) };
        out
    };
    G2::negative(blst_p2_affine {
        x: times_conjugate(&PSI_X, &point.x),
        y: times_conjugate(&PSI_Y, &point.y),
    })
}

impl SumGroup for G1 {
    const GROUP: Group = Group::G1;
    const PART_BITS: usize = 128;
    type Affine = blst_p1_affine;
    type Point = blst_p1;
    type Parts = [(blst_p1_affine, i128); 2];

    fn read(image: &[u8]) -> blst_p1_affine {
        let (x, y) = image.split_at(FP);
        blst_p1_affine { x: fp(x), y: fp(y) }
    }

    fn negative(point: blst_p1_affine) -> blst_p1_affine {
        blst_p1_affine {
            y: negated(&point.y),
            ..point
        }
    }

    fn split(point: blst_p1_affine, scalar: &Scalar) -> Self::Parts {
        let Halves { k1, k2 } = split(scalar);
        [(point, k1), (z_squared(point), k2)]
    }

    fn mult(points: &[blst_p1_affine], magnitudes: &[u8], bits: usize) -> blst_p1 {
        points.mult(magnitudes, bits)
    }

    fn sum(a: &blst_p1, b: &blst_p1) -> blst_p1 {
        let mut out = blst_p1::default();
        // SAFETY: all three are valid points; blst writes only `out`.
        unsafe { blst::blst_p1_add_or_double(&mut out, a, b) };
        out
    }

    fn write(point: &blst_p1, out: &mut [u8]) {
        let mut affine = blst_p1_affine::default();
        // SAFETY: a valid point; blst writes only `affine`.
        let infinite = unsafe {
            blst::blst_p1_to_affine(&mut affine, point);
            blst::blst_p1_is_inf(point)
        };
        let zero = blst_fp::default();
        let (x, y, z) = match infinite {
            true => (zero, FP_ONE, zero),
            false => (affine.x, affine.y, FP_ONE),
        };
        for (coordinate, out) in [x, y, z].iter().zip(out.chunks_exact_mut(FP)) {
            put(&coordinate.l, out);
        }
    }
}

impl SumGroup for G2 {
    const GROUP: Group = Group::G2;
    const PART_BITS: usize = 64;
    type Affine = blst_p2_affine;
    type Point = blst_p2;
    type Parts = [(blst_p2_affine, i128); 4];

    fn read(image: &[u8]) -> blst_p2_affine {
        let (x, y) = image.split_at(2 * FP);
        blst_p2_affine {
            x: fp2(x),
            y: fp2(y),
        }
    }

    fn negative(point: blst_p2_affine) -> blst_p2_affine {
        let [low, high] = point.y.fp;
        blst_p2_affine {
            y: blst_fp2 {
                fp: [negated(&low), negated(&high)],
            },
            ..point
        }
    }

    fn split(point: blst_p2_affine, scalar: &Scalar) -> Self::Parts {
        let Quarters {
            multiples: [a1, b1, a2, b2],
        } = split_in_four(scalar);
        let by_z = z(point);
        let by_z2 = z(by_z);
        [
            (point, a1.into()),
            (by_z, b1.into()),
            (by_z2, a2.into()),
            (z(by_z2), b2.into()),
        ]
    }

    fn mult(points: &[blst_p2_affine], magnitudes: &[u8], bits: usize) -> blst_p2 {
        points.mult(magnitudes, bits)
    }

    fn sum(a: &blst_p2, b: &blst_p2) -> blst_p2 {
        let mut out = blst_p2::default();
        // SAFETY: all three are valid points; blst writes only `out`.
        unsafe { blst::blst_p2_add_or_double(&mut out, a, b) };
        out
    }

    fn write(point: &blst_p2, out: &mut [u8]) {
        let mut affine = blst_p2_affine::default();
        // SAFETY: a valid point; blst writes only `affine`.
        let infinite = unsafe {
            blst::blst_p2_to_affine(&mut affine, point);
            blst::blst_p2_is_inf(point)
        };
        let zero = blst_fp2::default();
        let one = blst_fp2 {
            fp: [FP_ONE, blst_fp::default()],
        };
        let (x, y, z) = match infinite {
            true => (zero, one, zero),
            false => (affine.x, affine.y, one),
        };
        for (coordinate, out) in [x, y, z].iter().zip(out.chunks_exact_mut(2 * FP)) {
            put2(coordinate, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use blstrs::{G2Affine, G2Projective};
    use carillon_workload::vectors::{self, ScalarPattern};
    use ff::Field;
    use group::Curve;
    use group::prime::PrimeCurveAffine;

    use super::*;

    fn raw(point: &G2Affine) -> blst_p2_affine {
        *point.as_ref()
    }

    #[test]
    fn psi_multiplies_points_of_the_subgroup_by_z() {
        let factor = Scalar::from(0xd201_0000_0001_0000);
        for point in carillon_workload::g2_bases(5, 1) {
            assert_eq!(z(raw(&point)), raw(&(point * factor).to_affine()));
            let twice = z(z(raw(&point)));
            assert_eq!(twice, raw(&(point * factor.square()).to_affine()));
        }
    }

    #[test]
    fn twice_it_is_an_automorphism_of_the_twist() {
        let case = vectors::msm_case_outside_in::<G2Projective>(3, ScalarPattern::One, 1);
        // omega is the other cube root of one than G1's beta.
        let mut omega = blst_fp::default();
        // SAFETY: valid field elements; blst writes only `omega`.
        unsafe { blst::blst_fp_mul(&mut omega, &BETA, &BETA) };
        let omega = blst_fp2 {
            fp: [omega, blst_fp::default()],
        };
        for point in &case.bases {
            let before = raw(point);
            let twice = z(z(before));
            let mut x = blst_fp2::default();
            // SAFETY: valid field elements; blst writes only `x`.
            unsafe { blst::blst_fp2_mul(&mut x, &omega, &before.x) };
            assert_eq!((twice.x, twice.y), (x, G2::negative(before).y));
            // Outside the subgroup z P is another point.
            let factor = Scalar::from(0xd201_0000_0001_0000);
            let product = vectors::times(point.to_curve(), &factor).to_affine();
            assert_ne!(z(before), raw(&product));
        }
    }
}
