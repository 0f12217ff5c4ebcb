//! The bases of a sum, and what is known of them.
//!
//! A card saves windows of a sum by the curve's endomorphism, which is right only on the
//! subgroup of order r (`hdl/doc/contract.md`, "Scalars of an MSM"). Whether it may is therefore
//! not an option of the caller: it follows from how the bases were made, so that no sum can come
//! out wrong. Used by every engine; key queries keep what they know in [`crate::keys::Points`].

use blstrs::G1Affine;
use carillon_driver::command::MsmMode;

use crate::image::{PointImage, all_in_subgroup};

/// Points of G1, or of G2 where it is named, or of the curve around it. Copying copies the reference.
#[derive(Clone, Copy, Debug)]
pub struct Bases<'a, P: PointImage = G1Affine> {
    points: &'a [P],
    in_subgroup: bool,
}

impl<'a, P: PointImage> Bases<'a, P> {
    /// Points of which nothing is known. The sum is right for any point of the curve; a card
    /// spends about twice the additions on it in G1, and four times in G2.
    pub fn unknown(points: &'a [P]) -> Self {
        Self::known(points, false)
    }

    /// Examines the points, on all cores ([`all_in_subgroup`]), and remembers the answer. Worth it
    /// for bases that are used often.
    pub fn checked(points: &'a [P]) -> Self {
        let in_subgroup = all_in_subgroup(points);
        if !in_subgroup {
            tracing::debug!(
                points = points.len(),
                "bases outside the subgroup: scalars are taken whole"
            );
        }
        Self::known(points, in_subgroup)
    }

    /// For points whose making says where they are.
    pub(crate) fn known(points: &'a [P], in_subgroup: bool) -> Self {
        Self {
            points,
            in_subgroup,
        }
    }

    /// The points.
    pub fn points(self) -> &'a [P] {
        self.points
    }

    /// Whether all of them are known to lie in the subgroup of order r.
    pub fn in_subgroup(self) -> bool {
        self.in_subgroup
    }

    /// How a card must take the scalars.
    pub(crate) fn mode(self) -> MsmMode {
        if self.in_subgroup {
            MsmMode::Split
        } else {
            MsmMode::Full
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::outside_subgroup;

    #[test]
    fn one_point_outside_decides() {
        let mut points = carillon_workload::g1_bases(70, 1);
        points[7] = G1Affine::default();
        assert!(Bases::checked(&points).in_subgroup());
        assert!(!Bases::unknown(&points).in_subgroup());
        let mut off_curve = points.clone();
        off_curve[69] = G1Affine::from_raw_unchecked(points[0].x(), points[0].x(), false);
        points[69] = outside_subgroup();
        for points in [points, off_curve] {
            let bases = Bases::checked(&points);
            assert_eq!((bases.in_subgroup(), bases.mode()), (false, MsmMode::Full));
        }
    }
}
