//! The form in which a card returns a sum, as an affine point. Called by `card`.
#![deny(unsafe_code)]

use blst::{blst_fp, blst_fp2, blst_p1, blst_p2};
use blstrs::{G1Affine, G2Affine};
use group::Curve;

use super::check::{PointImage, fp_in_range};
use super::{ImageError, from_blst_g1, from_blst_g2, product, product2};

/// Points that a card returns as sums.
pub trait CardSum: PointImage {
    /// The point X/Z, Y/Z of reduced coordinates, infinity where Z is 0; `None` if their number is
    /// another. It need not lie on the curve.
    #[doc(hidden)]
    fn divided(coordinates: &[blst_fp]) -> Option<Self>;
}

impl CardSum for G1Affine {
    fn divided(coordinates: &[blst_fp]) -> Option<Self> {
        let &[x, y, z] = coordinates else {
            return None;
        };
        // The Jacobian form of the same point is (X Z, Y Z^2, Z).
        let jacobian = blst_p1 {
            x: product(&x, &z),
            y: product(&product(&y, &z), &z),
            z,
        };
        Some(from_blst_g1(jacobian).to_affine())
    }
}

impl CardSum for G2Affine {
    fn divided(coordinates: &[blst_fp]) -> Option<Self> {
        let (pairs, []) = coordinates.as_chunks::<2>() else {
            return None;
        };
        let &[x, y, z] = pairs else {
            return None;
        };
        let [x, y, z] = [x, y, z].map(|fp| blst_fp2 { fp });
        let jacobian = blst_p2 {
            x: product2(&x, &z),
            y: product2(&product2(&y, &z), &z),
            z,
        };
        Some(from_blst_g2(jacobian).to_affine())
    }
}

/// The affine point of a homogeneous projective image X, Y, Z (x = X/Z, y = Y/Z; Z = 0 is
/// infinity), the form in which a card returns an MSM: 144 bytes in G1, 288 in G2; what follows is
/// not looked at. The point is checked to lie on the curve, since a card is not trusted.
pub fn from_homogeneous<P: CardSum>(raw: &[u8]) -> Result<P, ImageError> {
    let bytes = P::GROUP.sum_bytes() as usize;
    let length = ImageError::Length {
        bytes: raw.len(),
        element: bytes,
    };
    let Some(raw) = raw.get(..bytes) else {
        return Err(length);
    };
    let words = raw.as_chunks::<8>().0;
    let coordinates: Vec<blst_fp> = words
        .as_chunks::<6>()
        .0
        .iter()
        .map(|words| blst_fp {
            l: words.map(u64::from_le_bytes),
        })
        .collect();
    if !coordinates.iter().all(fp_in_range) {
        return Err(ImageError::CoordinateRange { index: 0 });
    }
    let point = P::divided(&coordinates).ok_or(length)?;
    if point.on_curve() {
        Ok(point)
    } else {
        Err(ImageError::OffCurve { index: 0 })
    }
}

#[cfg(test)]
mod tests {
    use group::Group;

    use super::*;

    fn image(coordinates: &[blst_fp]) -> Vec<u8> {
        let limbs = coordinates.iter().flat_map(|fp| fp.l);
        limbs.flat_map(u64::to_le_bytes).collect()
    }

    fn is_read<P: CardSum>(raw: &mut [u8], point: P) {
        assert_eq!(from_homogeneous(raw), Ok(point));
        let zeros = vec![0; raw.len()];
        assert_eq!(from_homogeneous(&zeros), Ok(P::identity()));
        raw[0] ^= 1;
        let error = from_homogeneous::<P>(raw).unwrap_err();
        assert_eq!(error, ImageError::OffCurve { index: 0 });
        for at in (0..raw.len()).step_by(48) {
            let mut large = raw.to_vec();
            large[at..at + 48].fill(0xff);
            let error = from_homogeneous::<P>(&large).unwrap_err();
            assert_eq!(error, ImageError::CoordinateRange { index: 0 }, "{at}");
        }
        let short = from_homogeneous::<P>(&raw[..raw.len() - 1]);
        assert!(matches!(short, Err(ImageError::Length { .. })));
    }

    #[test]
    fn homogeneous_images_become_affine() {
        let point = blstrs::G1Projective::generator().double().to_affine();
        // Any z will do; take the x coordinate of the point itself.
        let (x, y) = (point.as_ref().x, point.as_ref().y);
        let mut raw = image(&[product(&x, &x), product(&y, &x), x]);
        is_read(&mut raw, point);

        let point = blstrs::G2Projective::generator().double().to_affine();
        let (x, y) = (point.as_ref().x, point.as_ref().y);
        let coordinates = [product2(&x, &x), product2(&y, &x), x];
        let mut raw = image(&coordinates.map(|fp2| fp2.fp).concat());
        is_read(&mut raw, point);
    }
}
