//! What can be wrong with an image.

use thiserror::Error;

/// A raw image that is not what it claims to be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// The byte length is not a whole number of elements.
    #[error(
        "{bytes} bytes are not a whole number of {element}-byte elements; the input is cut off"
    )]
    Length {
        /// Length given.
        bytes: usize,
        /// Bytes per element.
        element: usize,
    },
    /// The memory is not aligned for 64-bit limbs.
    #[error(
        "the image must start at a multiple of 8 bytes in memory; copy it to an aligned buffer"
    )]
    Alignment,
    /// A scalar is not reduced.
    #[error("scalar {index} is >= r; reduce it modulo the BLS12-381 group order first")]
    ScalarRange {
        /// Index of the first such scalar.
        index: usize,
    },
    /// A coordinate is not reduced.
    #[error("point {index} has a coordinate >= p; it is not a BLS12-381 point image")]
    CoordinateRange {
        /// Index of the first such point.
        index: usize,
    },
    /// A point does not satisfy the curve equation.
    #[error("point {index} is not on the curve; the data is corrupt or of another curve")]
    OffCurve {
        /// Index of the first such point.
        index: usize,
    },
    /// A point is outside the subgroup of order r.
    #[error(
        "point {index} is on the curve but not in the subgroup of order r; do not use this data"
    )]
    Subgroup {
        /// Index of the first such point.
        index: usize,
    },
}
