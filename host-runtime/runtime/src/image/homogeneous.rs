//! The form in which a card returns a sum, as an affine point. Called by `card`.
#![deny(unsafe_code)]

use blst::{blst_fp, blst_p1};
use blstrs::G1Affine;
use group::Curve;

use super::check::{PointImage, fp_in_range};
use super::{ImageError, from_blst_g1, product};

/// The affine point of a homogeneous projective image X, Y, Z (x = X/Z, y = Y/Z; Z = 0 is
/// infinity), 144 bytes, the form in which a card returns an MSM. The point is checked to lie on
/// the curve, since a card is not trusted.
pub fn g1_from_homogeneous(raw: &[u8]) -> Result<G1Affine, ImageError> {
    let Some((words, _)) = raw.get(..144).map(|raw| raw.as_chunks::<8>()) else {
        return Err(ImageError::Length {
            bytes: raw.len(),
            element: 144,
        });
    };
    let coordinate = |index: usize| {
        let mut fp = blst_fp::default();
        for (limb, word) in fp.l.iter_mut().zip(&words[6 * index..]) {
            *limb = u64::from_le_bytes(*word);
        }
        if fp_in_range(&fp) {
            Ok(fp)
        } else {
            Err(ImageError::CoordinateRange { index: 0 })
        }
    };
    let (x, y, z) = (coordinate(0)?, coordinate(1)?, coordinate(2)?);
    // The Jacobian form of the same point is (X Z, Y Z^2, Z).
    let jacobian = blst_p1 {
        x: product(&x, &z),
        y: product(&product(&y, &z), &z),
        z,
    };
    let point = from_blst_g1(jacobian).to_affine();
    if point.on_curve() {
        Ok(point)
    } else {
        Err(ImageError::OffCurve { index: 0 })
    }
}

#[cfg(test)]
mod tests {
    use blst::blst_p1_affine;
    use group::Group;

    use super::*;

    #[test]
    fn homogeneous_images_become_affine() {
        let point = blstrs::G1Projective::generator().double().to_affine();
        // Any z will do; take the x coordinate of the point itself.
        let affine: &blst_p1_affine = point.as_ref();
        let z = affine.x;
        let mut raw = Vec::new();
        for coordinate in [product(&affine.x, &z), product(&affine.y, &z), z] {
            raw.extend(coordinate.l.iter().flat_map(|limb| limb.to_le_bytes()));
        }
        assert_eq!(g1_from_homogeneous(&raw), Ok(point));
        assert_eq!(g1_from_homogeneous(&[0; 144]), Ok(G1Affine::default()));
        raw[0] ^= 1;
        assert_eq!(
            g1_from_homogeneous(&raw),
            Err(ImageError::OffCurve { index: 0 })
        );
        assert!(matches!(
            g1_from_homogeneous(&raw[..100]),
            Err(ImageError::Length { .. })
        ));
    }
}
