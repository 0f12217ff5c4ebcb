//! The card's arithmetic on memory images, by blst.
//!
//! Images are those of the contract: Montgomery form, little-endian limbs. No
//! registers, no queues; called by `execute.rs`.
#![allow(unsafe_code)]

use blst::{MultiPoint, blst_fp, blst_fr, blst_p1, blst_p1_affine, blst_scalar};

use carillon_driver::command::NttKind;

/// Bytes of a scalar, a coordinate and an affine point.
const FR: usize = 32;
const FP: usize = 48;
const G1: usize = 2 * FP;

/// r, little-endian limbs.
const R: [u64; 4] = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];
/// p, little-endian limbs.
const P: [u64; 6] = [
    0xb9fe_ffff_ffff_aaab,
    0x1eab_fffe_b153_ffff,
    0x6730_d2a0_f6b0_f624,
    0x6477_4b84_f385_12bf,
    0x4b1b_a7b6_434b_acd7,
    0x1a01_11ea_397f_e69a,
];
/// 2^384 mod p: one, as an image.
const FP_ONE: [u64; 6] = [
    0x7609_0000_0002_fffd,
    0xebf4_000b_c40c_0002,
    0x5f48_9857_53c7_58ba,
    0x77ce_5853_7052_5745,
    0x5c07_1a97_a256_ec6d,
    0x15f6_5ec3_fa80_e493,
];

/// A data fault: which kind, and the index of the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadData {
    /// An image that is not below r.
    Scalar(u64),
    /// A coordinate that is not below p.
    Point(u64),
}

fn limbs<const N: usize>(image: &[u8]) -> [u64; N] {
    let mut out = [0; N];
    for (limb, chunk) in out.iter_mut().zip(image.chunks_exact(8)) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        *limb = u64::from_le_bytes(bytes);
    }
    out
}

fn put(limbs: &[u64], out: &mut [u8]) {
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
/// point.
pub(super) fn check_msm(bases: &[u8], scalars: &[u8]) -> Result<(), BadData> {
    let terms = bases
        .chunks_exact(G1)
        .zip(scalars.chunks_exact(FR))
        .zip(0..);
    for ((point, scalar), i) in terms {
        if !below(&limbs(scalar), &R) {
            return Err(BadData::Scalar(i));
        }
        let (x, y) = point.split_at(FP);
        if !below(&limbs(x), &P) || !below(&limbs(y), &P) {
            return Err(BadData::Point(i));
        }
    }
    Ok(())
}

/// A running sum of scalar_i * base_i.
pub(super) struct MsmSum(blst_p1);

impl MsmSum {
    pub fn new() -> Self {
        Self(blst_p1::default())
    }

    /// Adds the terms, which passed [`check_msm`].
    pub fn add(&mut self, bases: &[u8], scalars: &[u8]) {
        let mut points = Vec::with_capacity(bases.len() / G1);
        let mut canonical = Vec::with_capacity(scalars.len());
        for (point, scalar) in bases.chunks_exact(G1).zip(scalars.chunks_exact(FR)) {
            let (x, y) = point.split_at(FP);
            let point = blst_p1_affine {
                x: blst_fp { l: limbs(x) },
                y: blst_fp { l: limbs(y) },
            };
            // blst's bucket code wants no point at infinity; it adds nothing.
            if point == blst_p1_affine::default() {
                continue;
            }
            points.push(point);
            let mut out = blst_scalar::default();
            // SAFETY: both are valid, and blst writes only `out`.
            unsafe { blst::blst_scalar_from_fr(&mut out, &blst_fr { l: limbs(scalar) }) };
            canonical.extend_from_slice(&out.b);
        }
        if points.is_empty() {
            return;
        }
        let sum = points.as_slice().mult(&canonical, 255);
        let mut total = blst_p1::default();
        // SAFETY: all three are valid points; blst writes only `total`.
        unsafe { blst::blst_p1_add_or_double(&mut total, &self.0, &sum) };
        self.0 = total;
    }

    /// X, Y, Z homogeneous, then zeros: 192 bytes. The representative is the
    /// one with Z = 1, and (0, 1, 0) for infinity.
    pub fn result(&self) -> [u8; 192] {
        let mut out = [0; 192];
        let mut affine = blst_p1_affine::default();
        // SAFETY: a valid point; blst writes only `affine`.
        let infinite = unsafe {
            blst::blst_p1_to_affine(&mut affine, &self.0);
            blst::blst_p1_is_inf(&self.0)
        };
        if infinite {
            put(&FP_ONE, &mut out[FP..2 * FP]);
        } else {
            put(&affine.x.l, &mut out[..FP]);
            put(&affine.y.l, &mut out[FP..2 * FP]);
            put(&FP_ONE, &mut out[2 * FP..3 * FP]);
        }
        out
    }
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
    let (seven, one) = (Fr::from_u64(GENERATOR), Fr::from_u64(1));
    if kind.coset && !kind.inverse {
        scale(values, seven, one);
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
        let base = if kind.coset { seven.inverse() } else { one };
        scale(values, base, Fr::from_u64(n as u64).inverse());
    }
    true
}

/// (a_i * b_i - c_i) * z.
pub(super) fn quotient(a: &[blst_fr], b: &[blst_fr], c: &[blst_fr], z: blst_fr) -> Vec<blst_fr> {
    let term =
        |((a, b), c): ((&blst_fr, &blst_fr), &blst_fr)| Fr(*a).mul(Fr(*b)).sub(Fr(*c)).mul(Fr(z)).0;
    a.iter().zip(b).zip(c).map(term).collect()
}
