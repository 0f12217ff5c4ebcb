//! The sum of an MSM, by blst: in one of the two ways of the contract ("Scalars
//! of an MSM"), which differ only on points outside the subgroup of order r.
//!
//! Called by `execute.rs`, on operands that passed `arith::check_msm`. What the
//! groups differ in is in `group.rs`.

use blst::blst_fr;
use blstrs::Scalar;
use carillon_driver::command::MsmMode;

use super::arith::{FR, limbs};
pub(super) use super::group::{G1, G2, SumGroup};

/// Bits that scalars are said to have where they are taken whole. From 257 on,
/// blst multiplies without the endomorphism, which it otherwise uses for few
/// points and which is wrong outside the subgroup.
const WHOLE_BITS: usize = 257;

/// A running sum of scalar_i * base_i.
pub(super) struct MsmSum<G: SumGroup> {
    mode: MsmMode,
    total: G::Point,
}

/// Operands as blst wants them: finite points, magnitudes one after the other.
struct Terms<G: SumGroup> {
    points: Vec<G::Affine>,
    magnitudes: Vec<u8>,
}

impl<G: SumGroup> Terms<G> {
    /// One part of a split scalar, and the image of the point that it multiplies.
    fn part(&mut self, point: G::Affine, multiple: i128) {
        if multiple == 0 {
            return;
        }
        self.points.push(match multiple < 0 {
            true => G::negative(point),
            false => point,
        });
        // Parts are that short, so nothing is cut off.
        let magnitude = multiple.unsigned_abs().to_le_bytes();
        self.magnitudes.extend(&magnitude[..G::PART_BITS / 8]);
    }

    fn whole(&mut self, point: G::Affine, scalar: &Scalar) {
        self.points.push(point);
        self.magnitudes.extend(scalar.to_bytes_le());
        self.magnitudes.push(0);
    }
}

impl<G: SumGroup> MsmSum<G> {
    pub fn new(mode: MsmMode) -> Self {
        Self {
            mode,
            total: G::Point::default(),
        }
    }

    /// Adds the terms, which passed `arith::check_msm`.
    pub fn add(&mut self, bases: &[u8], scalars: &[u8]) {
        let mut terms = Terms::<G> {
            points: Vec::new(),
            magnitudes: Vec::new(),
        };
        let point_bytes = G::GROUP.point_bytes() as usize;
        let pairs = bases
            .chunks_exact(point_bytes)
            .zip(scalars.chunks_exact(FR));
        for (point, scalar) in pairs {
            let scalar = Scalar::from(blst_fr { l: limbs(scalar) });
            let point = G::read(point);
            // blst's bucket code wants no point at infinity; it adds nothing. Under a
            // zero scalar there may be anything.
            if scalar == Scalar::default() || point == G::Affine::default() {
                continue;
            }
            match self.mode {
                MsmMode::Full => terms.whole(point, &scalar),
                MsmMode::Split => {
                    for (point, multiple) in G::split(point, &scalar) {
                        terms.part(point, multiple);
                    }
                }
            }
        }
        if terms.points.is_empty() {
            return;
        }
        let bits = match self.mode {
            MsmMode::Full => WHOLE_BITS,
            MsmMode::Split => G::PART_BITS,
        };
        debug_assert_eq!(
            terms.magnitudes.len(),
            terms.points.len() * bits.div_ceil(8)
        );
        let sum = G::mult(&terms.points, &terms.magnitudes, bits);
        self.total = G::sum(&self.total, &sum);
    }

    /// X, Y, Z homogeneous, then zeros: 192 or 320 bytes. The representative is the
    /// one with Z = 1, and (0, 1, 0) for infinity.
    pub fn result(&self) -> Vec<u8> {
        let mut out = vec![0; G::GROUP.result_bytes() as usize];
        G::write(&self.total, &mut out);
        out
    }
}
