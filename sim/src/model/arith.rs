//! The card's arithmetic on memory images, by blst.
//!
//! Images are those of the contract: Montgomery form, little-endian limbs. No
//! registers, no queues; called by `execute.rs`.
#![allow(unsafe_code)]

use blst::blst_fr;

use carillon_driver::command::{Group, NttKind};

use crate::split::R;

/// Bytes of a scalar and of an element of the base field.
pub(super) const FR: usize = 32;
pub(super) const FP: usize = 48;

/// p, little-endian limbs.
const P: [u64; 6] = [
    0xb9fe_ffff_ffff_aaab,
    0x1eab_fffe_b153_ffff,
    0x6730_d2a0_f6b0_f624,
    0x6477_4b84_f385_12bf,
    0x4b1b_a7b6_434b_acd7,
    0x1a01_11ea_397f_e69a,
];
/// A data fault: which kind, and the index of the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadData {
    /// An image that is not below r.
    Scalar(u64),
    /// A coordinate that is not below p.
    Point(u64),
}

pub(super) fn limbs<const N: usize>(image: &[u8]) -> [u64; N] {
    let mut out = [0; N];
    for (limb, chunk) in out.iter_mut().zip(image.chunks_exact(8)) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        *limb = u64::from_le_bytes(bytes);
    }
    out
}

pub(super) fn put(limbs: &[u64], out: &mut [u8]) {
    for (chunk, limb) in out.chunks_exact_mut(8).zip(limbs) {
        chunk.copy_from_slice(&limb.to_le_bytes());
    }
}

fn below<const N: usize>(value: &[u64; N], modulus: &[u64; N]) -> bool {
    value.iter().rev().lt(modulus.iter().rev())
}

/// The elements of a vector of scalar images.
///
/// # Errors
/// The index of the first that is not below r.
pub(super) fn scalars(images: &[u8]) -> Result<Vec<blst_fr>, BadData> {
    let decode = |(i, image): (usize, &[u8])| {
        let l = limbs(image);
        below(&l, &R)
            .then_some(blst_fr { l })
            .ok_or(BadData::Scalar(i as u64))
    };
    images.chunks_exact(FR).enumerate().map(decode).collect()
}

/// The images of `elements`.
pub(super) fn images(elements: &[blst_fr]) -> Vec<u8> {
    let mut out = vec![0; elements.len() * FR];
    for (image, e) in out.chunks_exact_mut(FR).zip(elements) {
        put(&e.l, image);
    }
    out
}

/// The first faulty element of an MSM's operands: lowest index, scalar before
/// point. Points under zero scalars are not looked at.
pub(super) fn check_msm(group: Group, bases: &[u8], scalars: &[u8]) -> Result<(), BadData> {
    let terms = bases
        .chunks_exact(group.point_bytes() as usize)
        .zip(scalars.chunks_exact(FR))
        .zip(0..);
    for ((point, scalar), i) in terms {
        let scalar = limbs(scalar);
        if !below(&scalar, &R) {
            return Err(BadData::Scalar(i));
        }
        if scalar == [0; 4] {
            continue;
        }
        if !point.chunks_exact(FP).all(|fp| below(&limbs(fp), &P)) {
            return Err(BadData::Point(i));
        }
    }
    Ok(())
}

/// Fr, with blst's functions as operators.
#[derive(Clone, Copy)]
struct Fr(blst_fr);

macro_rules! fr_operator {
    ($name:ident, $blst:ident) => {
        fn $name(self, other: Self) -> Self {
            let mut out = blst_fr::default();
            // SAFETY: three valid field elements; blst writes only `out`.
            unsafe { blst::$blst(&mut out, &self.0, &other.0) };
            Self(out)
        }
    };
}

impl Fr {
    fr_operator!(mul, blst_fr_mul);
    fr_operator!(add, blst_fr_add);
    fr_operator!(sub, blst_fr_sub);

    fn from_u64(n: u64) -> Self {
        let mut out = blst_fr::default();
        // SAFETY: blst reads four limbs and writes `out`.
        unsafe { blst::blst_fr_from_uint64(&mut out, [n, 0, 0, 0].as_ptr()) };
        Self(out)
    }

    fn inverse(self) -> Self {
        let mut out = blst_fr::default();
        // SAFETY: two valid field elements; blst writes only `out`.
        unsafe { blst::blst_fr_eucl_inverse(&mut out, &self.0) };
        Self(out)
    }

    fn pow(self, exponent: [u64; 4]) -> Self {
        let mut result = Self::from_u64(1);
        for bit in (0..256).rev() {
            result = result.mul(result);
            if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
                result = result.mul(self);
            }
        }
        result
    }
}

/// Generator of the multiplicative group, and of the coset.
const GENERATOR: u64 = 7;
/// Two-adicity of r - 1.
const TWO_ADICITY: u32 = 32;

/// A primitive 2^log2n-th root of unity: 7^((r - 1) / 2^log2n).
fn root_of_unity(log2n: u8) -> Fr {
    // (r - 1) / 2^32: r's low word is 2^64 - 2^32 + 1.
    let odd = [
        R[0] >> 32 | R[1] << 32,
        R[1] >> 32 | R[2] << 32,
        R[2] >> 32 | R[3] << 32,
        R[3] >> 32,
    ];
    let mut root = Fr::from_u64(GENERATOR).pow(odd);
    for _ in u32::from(log2n)..TWO_ADICITY {
        root = root.mul(root);
    }
    root
}

/// Multiplies element j by `base`^j * `factor`.
fn scale(values: &mut [blst_fr], base: Fr, factor: Fr) {
    let mut power = factor;
    for v in values {
        v.l = Fr(*v).mul(power).0.l;
        power = power.mul(base);
    }
}

/// Transforms 2^log2n elements in place, natural order in and out. `proceed`
/// is asked after each stage; false ends it early, with undefined values.
pub(super) fn ntt(
    values: &mut [blst_fr],
    log2n: u8,
    kind: NttKind,
    mut proceed: impl FnMut(u64) -> bool,
) -> bool {
    let n = values.len();
    let one = Fr::from_u64(1);
    let shift = match (kind.coset, kind.odd) {
        (false, false) => one,
        (true, _) => Fr::from_u64(GENERATOR),
        (false, true) => root_of_unity(log2n + 1),
    };
    if !kind.inverse && (kind.coset || kind.odd) {
        scale(values, shift, one);
    }
    for i in 0..n {
        let j = if log2n == 0 {
            0
        } else {
            i.reverse_bits() >> (usize::BITS - u32::from(log2n))
        };
        if i < j {
            values.swap(i, j);
        }
    }
    let mut omega = root_of_unity(log2n);
    if kind.inverse {
        omega = omega.inverse();
    }
    let mut powers = Vec::with_capacity(n / 2);
    let mut power = one;
    for _ in 0..n / 2 {
        powers.push(power);
        power = power.mul(omega);
    }
    let mut half = 1;
    while half < n {
        let step = n / (2 * half);
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((a, b), w) in low.iter_mut().zip(high).zip(powers.iter().step_by(step)) {
                let t = Fr(*b).mul(*w);
                *b = Fr(*a).sub(t).0;
                *a = Fr(*a).add(t).0;
            }
        }
        half *= 2;
        if !proceed(n as u64 / 2) {
            return false;
        }
    }
    if kind.inverse {
        scale(values, shift.inverse(), Fr::from_u64(n as u64).inverse());
    }
    true
}

/// a_i * b_i.
pub(super) fn product(a: &[blst_fr], b: &[blst_fr]) -> Vec<blst_fr> {
    a.iter().zip(b).map(|(a, b)| Fr(*a).mul(Fr(*b)).0).collect()
}

/// (a_i * b_i - c_i) * z.
pub(super) fn quotient(a: &[blst_fr], b: &[blst_fr], c: &[blst_fr], z: blst_fr) -> Vec<blst_fr> {
    let term =
        |((a, b), c): ((&blst_fr, &blst_fr), &blst_fr)| Fr(*a).mul(Fr(*b)).sub(Fr(*c)).mul(Fr(z)).0;
    a.iter().zip(b).zip(c).map(term).collect()
}
