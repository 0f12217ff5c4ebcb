//! Schnorr signatures over Jubjub with a Poseidon challenge of 128 bits.
//!
//! A signature on a message of seven field elements is (R, s) with
//! `s*G = R + c*PK`, where `c` is the low 128 bits of the canonical integer of
//! `Poseidon(R.x, R.y, PK.x, PK.y, m0, ..., m6)`. 128 bits of challenge give the
//! soundness of the group (Neven, Smart, Warinschi 2009) at half the circuit's
//! variable-base work. Nonces are derived from the key and the message, in the
//! manner of RFC 8032, so that a weak random source cannot leak a key. Called by
//! nodes and wallets; `carillon-circuit` proves the same equation.

use blstrs::Scalar;
use ff::Field;
use group::{Curve, Group};
use jubjub::{AffinePoint, ExtendedPoint, Fr, SubgroupPoint};
use sha2::{Digest, Sha512};
use thiserror::Error;
use zeroize::{DefaultIsZeroes, Zeroizing};

use super::jubjub::Point;
use super::{multiply, poseidon};

/// A message: slot and chain, nonce, owner, amount and three words, as PROTOCOL.md says.
pub type Message = [Scalar; 7];

/// Why bytes are not a key or a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the canonical encoding of a curve point.
    #[error("not a canonical Jubjub point: send the 32-byte compressed encoding of a curve point")]
    NotAPoint,
    /// On the curve but outside the prime-order subgroup, or the identity.
    #[error(
        "the public key is not in the prime-order subgroup: multiply it by the cofactor 8, or derive it from a secret scalar"
    )]
    NotInSubgroup,
    /// The scalar of a signature is not reduced.
    #[error("the signature scalar s is not below the subgroup order: reduce it before encoding")]
    ScalarNotReduced,
}

/// A public key: a point of the prime-order subgroup other than the identity.
///
/// The circuit relies on this property and does not check it again (a check costs
/// as much as a signature), so every constructor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    point: AffinePoint,
    coordinates: Point,
}

impl PublicKey {
    /// Decodes 32 compressed bytes (y, with the low bit of x on top) and checks the subgroup.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] or [`KeyError::NotInSubgroup`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let point = decode_point(bytes)?;
        let extended = ExtendedPoint::from(point);
        if bool::from(extended.is_identity()) || !bool::from(extended.is_torsion_free()) {
            return Err(KeyError::NotInSubgroup);
        }
        Ok(Self::new(point))
    }

    /// The key with these affine coordinates.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] or [`KeyError::NotInSubgroup`].
    pub fn from_coordinates(point: &Point) -> Result<Self, KeyError> {
        // The sign of x is its lowest bit.
        let mut bytes = point.y.to_bytes_le();
        bytes[31] |= (point.x.to_bytes_le()[0] & 1) << 7;
        let key = Self::from_bytes(&bytes)?;
        if key.coordinates != *point {
            return Err(KeyError::NotAPoint);
        }
        Ok(key)
    }

    /// The compressed encoding, 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.point.to_bytes()
    }

    /// The points P, 2P, 4P, 8P that end in this key: they show that it is in the prime-order
    /// subgroup, for whoever checks three doublings.
    pub fn doublings(&self) -> [Point; 4] {
        let eighth: Option<Fr> = Fr::from(8).invert().into();
        let mut point = ExtendedPoint::from(self.point) * eighth.unwrap_or(Fr::ZERO);
        std::array::from_fn(|_| {
            let here = Point::from_extended(&point);
            point = point.double();
            here
        })
    }

    /// Affine coordinates, as they enter the account leaf.
    pub fn coordinates(&self) -> Point {
        self.coordinates
    }

    /// Whether `signature` is this key's signature on `message`.
    pub fn verify(&self, message: &Message, signature: &Signature) -> bool {
        let c = challenge(&signature.r_coordinates, &self.coordinates, message);
        let shifted = multiply::times_128(&self.point.into(), low_128(&c));
        multiply::base_times(&signature.s) == shifted + signature.r
    }

    fn new(point: AffinePoint) -> Self {
        Self {
            point,
            coordinates: Point::from_affine(&point),
        }
    }
}

/// A scalar that nobody may learn: a secret key, or the nonce of a signature, which gives the key
/// away together with it. Wiped when dropped.
type SecretScalar = Zeroizing<Wiped>;

/// `Fr`, as `zeroize` wants it.
#[derive(Clone, Copy, Default)]
struct Wiped(Fr);

impl DefaultIsZeroes for Wiped {}

/// A secret key, derived from a seed and wiped from memory when dropped.
pub struct SecretKey {
    /// Canonical little-endian bytes of the secret scalar.
    scalar: Zeroizing<[u8; 32]>,
    /// Keys the derivation of signature nonces.
    nonce_key: Zeroizing<[u8; 64]>,
    public: PublicKey,
}

impl SecretKey {
    /// Derives a key from 32 bytes of secret randomness.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let scalar = hash_to_scalar(b"carillon/jubjub/key/1", &[seed]);
        let nonce_key = Sha512::new()
            .chain_update(b"carillon/jubjub/nonce-key/1")
            .chain_update(seed);
        let public = ExtendedPoint::from(SubgroupPoint::generator() * scalar.0).to_affine();
        Self {
            scalar: Zeroizing::new(scalar.0.to_bytes()),
            nonce_key: Zeroizing::new(nonce_key.finalize().into()),
            public: PublicKey::new(public),
        }
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message; the same message always gives the same signature.
    pub fn sign(&self, message: &Message) -> Signature {
        let message_bytes: Vec<u8> = message.iter().flat_map(Scalar::to_bytes_le).collect();
        let nonce = hash_to_scalar(
            b"carillon/jubjub/nonce/1",
            &[&*self.nonce_key, &self.public.to_bytes(), &message_bytes],
        );
        let r = ExtendedPoint::from(SubgroupPoint::generator() * nonce.0).to_affine();
        let r_coordinates = Point::from_affine(&r);
        // The stored bytes are canonical by construction.
        let secret = Option::from(Fr::from_bytes(&self.scalar)).unwrap_or(Fr::ZERO);
        let secret = SecretScalar::new(Wiped(secret));
        let s = nonce.0 + challenge(&r_coordinates, &self.public.coordinates, message) * secret.0;
        Signature {
            r,
            r_coordinates,
            s,
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A signature (R, s): R is on the curve and s is reduced, by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    r: AffinePoint,
    r_coordinates: Point,
    s: Fr,
}

impl Signature {
    /// Decodes 64 bytes: R compressed, then s little-endian.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] or [`KeyError::ScalarNotReduced`].
    pub fn from_bytes(bytes: &[u8; 64]) -> Result<Self, KeyError> {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        let r = decode_point(&r)?;
        let s = Option::from(Fr::from_bytes(&s)).ok_or(KeyError::ScalarNotReduced)?;
        Ok(Self {
            r,
            r_coordinates: Point::from_affine(&r),
            s,
        })
    }

    /// The 64-byte encoding.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r.to_bytes());
        bytes[32..].copy_from_slice(&self.s.to_bytes());
        bytes
    }

    /// Coordinates of R, for the witness.
    pub fn r(&self) -> Point {
        self.r_coordinates
    }

    /// Canonical little-endian bytes of s, for the witness.
    pub fn s(&self) -> [u8; 32] {
        self.s.to_bytes()
    }
}

fn decode_point(bytes: &[u8; 32]) -> Result<AffinePoint, KeyError> {
    Option::from(AffinePoint::from_bytes(*bytes)).ok_or(KeyError::NotAPoint)
}

/// The challenge as a Jubjub scalar below 2^128.
fn challenge(r: &Point, key: &Point, message: &Message) -> Fr {
    let [m0, m1, m2, m3, m4, m5, m6] = *message;
    let digest = poseidon::hash_message(&[r.x, r.y, key.x, key.y, m0, m1, m2, m3, m4, m5, m6]);
    let bytes = digest.to_bytes_le();
    let (words, _) = bytes.as_chunks::<8>();
    Fr::from_raw([
        u64::from_le_bytes(words[0]),
        u64::from_le_bytes(words[1]),
        0,
        0,
    ])
}

/// The low 128 bits of a scalar.
fn low_128(scalar: &Fr) -> u128 {
    let bytes = scalar.to_bytes();
    bytes[..16]
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// A non-zero scalar from a hash; 512 bits are reduced, so the bias is below 2^-250.
fn hash_to_scalar(tag: &[u8], parts: &[&[u8]]) -> SecretScalar {
    let mut hash = Sha512::new().chain_update(tag);
    for part in parts {
        hash.update(part);
    }
    let mut digest = Zeroizing::new(<[u8; 64]>::from(hash.finalize()));
    loop {
        let scalar = SecretScalar::new(Wiped(Fr::from_bytes_wide(&digest)));
        if !bool::from(scalar.0.is_zero()) {
            return scalar;
        }
        *digest = Sha512::digest(*digest).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seed: u64) -> Message {
        std::array::from_fn(|i| Scalar::from(seed + i as u64))
    }

    #[test]
    fn signatures_verify_only_for_their_key_and_message() {
        let (alice, bob) = (
            SecretKey::from_seed(&[1; 32]),
            SecretKey::from_seed(&[2; 32]),
        );
        let signature = alice.sign(&message(7));
        assert!(alice.public().verify(&message(7), &signature));
        assert!(!alice.public().verify(&message(8), &signature));
        assert!(!bob.public().verify(&message(7), &signature));
        for part in 0..3 {
            let mut changed = message(7);
            changed[part] += Scalar::ONE;
            assert!(!alice.public().verify(&changed, &signature));
        }
        assert_eq!(signature, alice.sign(&message(7)));
        assert_ne!(signature.r, alice.sign(&message(8)).r);
    }

    #[test]
    fn encodings_round_trip_and_bad_ones_are_refused() {
        let key = SecretKey::from_seed(&[3; 32]);
        let bytes = key.public().to_bytes();
        assert_eq!(PublicKey::from_bytes(&bytes), Ok(*key.public()));
        let signature = key.sign(&message(1));
        assert_eq!(Signature::from_bytes(&signature.to_bytes()), Ok(signature));

        let mut unreduced = signature.to_bytes();
        unreduced[32..].fill(0xff);
        assert_eq!(
            Signature::from_bytes(&unreduced),
            Err(KeyError::ScalarNotReduced)
        );
        let mut off_curve = signature.to_bytes();
        off_curve[..32].fill(0xff);
        assert_eq!(Signature::from_bytes(&off_curve), Err(KeyError::NotAPoint));
    }

    #[test]
    fn keys_outside_the_prime_subgroup_are_refused() {
        let identity = AffinePoint::identity().to_bytes();
        assert_eq!(
            PublicKey::from_bytes(&identity),
            Err(KeyError::NotInSubgroup)
        );
        // (0, -1) has order two; added to a good key it keeps the curve but leaves the subgroup.
        let minus_one = (-jubjub::Fq::one()).to_bytes();
        let order_two = AffinePoint::from_bytes(minus_one).unwrap();
        assert_eq!(
            PublicKey::from_bytes(&minus_one),
            Err(KeyError::NotInSubgroup)
        );
        let good = SecretKey::from_seed(&[4; 32]).public.point;
        let mixed = ExtendedPoint::from(good) + ExtendedPoint::from(order_two);
        assert_eq!(
            PublicKey::from_bytes(&mixed.to_affine().to_bytes()),
            Err(KeyError::NotInSubgroup)
        );
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let key = SecretKey::from_seed(&[5; 32]);
        let shown = format!("{key:?}");
        assert!(shown.contains("public") && !shown.contains("scalar"));
    }
}
