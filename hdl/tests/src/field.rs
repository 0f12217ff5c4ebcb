//! Golden field arithmetic from blst, on Montgomery images as the gateware holds them.
#![allow(unsafe_code)]

use blst::{blst_fp, blst_fr};
use rand::RngCore;

/// Bits of an Fp port.
pub const FP_BITS: usize = 381;
/// Bits of an Fr port.
pub const FR_BITS: usize = 255;

/// p, least significant limb first (draft-irtf-cfrg-pairing-friendly-curves, section 4.2.1).
const P: [u64; 6] = [
    0xb9fe_ffff_ffff_aaab,
    0x1eab_fffe_b153_ffff,
    0x6730_d2a0_f6b0_f624,
    0x6477_4b84_f385_12bf,
    0x4b1b_a7b6_434b_acd7,
    0x1a01_11ea_397f_e69a,
];

/// r, the order of G1, likewise.
const R: [u64; 4] = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];

macro_rules! field {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $limbs:expr, $modulus:expr,
     $mul:ident, $add:ident, $sub:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $raw);

        impl $name {
            /// The element whose Montgomery image is `limbs`, which must be below the modulus.
            #[must_use]
            pub fn from_image(limbs: [u64; $limbs]) -> Self {
                assert!(
                    limbs.iter().rev().lt($modulus.iter().rev()),
                    "an image is below the modulus"
                );
                Self($raw { l: limbs })
            }

            /// The images 0, 1, 2, modulus - 1, modulus - 2, and patterns that stress carries.
            #[must_use]
            pub fn edges() -> Vec<Self> {
                let mut edges = Vec::new();
                for small in 0..3 {
                    let mut low = [0; $limbs];
                    low[0] = small;
                    edges.push(Self::from_image(low));
                    // The modulus is odd and its lowest limb is not 1 without a carry into the next,
                    // so subtract with borrow.
                    let mut high = $modulus;
                    let mut borrow = small + 1;
                    for limb in &mut high {
                        let (value, under) = limb.overflowing_sub(borrow);
                        *limb = value;
                        borrow = u64::from(under);
                    }
                    edges.push(Self::from_image(high));
                }
                // All ones below the top limb, and single ones at the limbs' borders.
                let mut ones = [u64::MAX; $limbs];
                ones[$limbs - 1] = 0;
                edges.push(Self::from_image(ones));
                for limb in 0..$limbs {
                    let mut single = [0; $limbs];
                    single[limb] = if limb + 1 == $limbs { 1 << 56 } else { 1 << 63 };
                    edges.push(Self::from_image(single));
                }
                edges
            }

            /// A uniformly random image below the modulus.
            pub fn random(rng: &mut impl RngCore) -> Self {
                loop {
                    let mut limbs = [0; $limbs];
                    limbs.fill_with(|| rng.next_u64());
                    let bits = $modulus[$limbs - 1].leading_zeros();
                    limbs[$limbs - 1] >>= bits;
                    if limbs.iter().rev().lt($modulus.iter().rev()) {
                        return Self::from_image(limbs);
                    }
                }
            }

            /// The image in little-endian bytes, as a port takes it.
            #[must_use]
            pub fn to_port(self) -> Vec<u8> {
                self.0.l.iter().flat_map(|limb| limb.to_le_bytes()).collect()
            }

            /// The element in a port's bytes; panics unless it is below the modulus.
            #[must_use]
            pub fn from_port(bytes: &[u8]) -> Self {
                let mut limbs = [0; $limbs];
                for (index, byte) in bytes.iter().enumerate() {
                    limbs[index / 8] |= u64::from(*byte) << (index % 8 * 8);
                }
                Self::from_image(limbs)
            }
        }

        field!(@operator $name, $raw, Mul, mul, $mul);
        field!(@operator $name, $raw, Add, add, $add);
        field!(@operator $name, $raw, Sub, sub, $sub);
    };
    (@operator $name:ident, $raw:ident, $trait:ident, $method:ident, $function:ident) => {
        impl std::ops::$trait for $name {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                let mut result = $raw::default();
                // SAFETY: three valid, aligned elements; blst only reads the last two.
                unsafe { blst::$function(&mut result, &self.0, &other.0) };
                Self(result)
            }
        }
    };
}

field!(
    /// An element of the base field.
    Fp, blst_fp, 6, P, blst_fp_mul, blst_fp_add, blst_fp_sub
);
field!(
    /// An element of the scalar field.
    Fr, blst_fr, 4, R, blst_fr_mul, blst_fr_add, blst_fr_sub
);

impl Fp {
    /// 1/self, and 0 for 0.
    #[must_use]
    pub fn inverse(self) -> Self {
        let mut result = blst_fp::default();
        // SAFETY: two valid, aligned elements.
        unsafe { blst::blst_fp_inverse(&mut result, &self.0) };
        Self(result)
    }
}
