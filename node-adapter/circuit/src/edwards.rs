//! Twisted Edwards points in the circuit: addition, doubling, fixed-base and
//! variable-base multiplication on Jubjub.
//!
//! Formulas: Bernstein, Birkner, Joye, Lange, Peters, "Twisted Edwards curves"
//! (<https://eprint.iacr.org/2008/013>), section 6, with a = -1. Since -1 is a
//! square and d is not, they are complete: denominators never vanish on curve
//! points, so there are no exceptional cases to forge. Every input must be on the
//! curve; [`EdwardsPoint::witness`] checks it, multiples of checked points keep it.
//! Called by `signature`.

use bellpepper_core::boolean::Boolean;
use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use super::num::{Num, alloc, constant, enforce_product, from_bit, mul, sub, value};
use carillon_protocol::crypto::jubjub::{EDWARDS_D, GENERATOR_WINDOWS, Point, WINDOW_BITS};

/// A point by its affine coordinates.
#[derive(Clone, Debug)]
pub(super) struct EdwardsPoint {
    pub(super) x: Num,
    pub(super) y: Num,
}

impl EdwardsPoint {
    /// A point of the witness, checked to be on the curve: 3 constraints.
    pub(super) fn witness<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        point: Point,
    ) -> Result<Self, SynthesisError> {
        let x = alloc(cs.namespace(|| "x"), || Ok(point.x))?;
        let y = alloc(cs.namespace(|| "y"), || Ok(point.y))?;
        let xx = mul(cs.namespace(|| "x^2"), &x, &x)?;
        let yy = mul(cs.namespace(|| "y^2"), &y, &y)?;
        // y^2 - x^2 - 1 = d x^2 y^2
        let left = sub(&sub(&yy, &xx), &constant::<CS>(Scalar::ONE));
        enforce_product(&mut cs, "on the curve", &xx.scale(*EDWARDS_D), &yy, &left);
        Ok(Self { x, y })
    }

    /// The sum of two points: 6 constraints.
    pub(super) fn add<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        other: &Self,
    ) -> Result<Self, SynthesisError> {
        let a = mul(cs.namespace(|| "x1 y2"), &self.x, &other.y)?;
        let b = mul(cs.namespace(|| "y1 x2"), &self.y, &other.x)?;
        let c = mul(
            cs.namespace(|| "d x1 y2 y1 x2"),
            &a.clone().scale(*EDWARDS_D),
            &b,
        )?;
        let cross = mul(
            cs.namespace(|| "(x1 + y1)(x2 + y2)"),
            &self.x.clone().add(&self.y),
            &other.x.clone().add(&other.y),
        )?;
        let sum = a.add(&b);
        let rest = sub(&cross, &sum);
        Self::quotients(cs, &sum, &rest, &c)
    }

    /// Twice the point: 5 constraints.
    pub(super) fn double<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
    ) -> Result<Self, SynthesisError> {
        let a = mul(cs.namespace(|| "x y"), &self.x, &self.y)?;
        let c = mul(
            cs.namespace(|| "d x^2 y^2"),
            &a.clone().scale(*EDWARDS_D),
            &a,
        )?;
        let both = self.x.clone().add(&self.y);
        let cross = mul(cs.namespace(|| "(x + y)^2"), &both, &both)?;
        let sum = a.scale(Scalar::from(2));
        let rest = sub(&cross, &sum);
        Self::quotients(cs, &sum, &rest, &c)
    }

    /// The point `(u / (1 + c), v / (1 - c))`: 2 constraints.
    fn quotients<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        u: &Num,
        v: &Num,
        c: &Num,
    ) -> Result<Self, SynthesisError> {
        let one = constant::<CS>(Scalar::ONE);
        let (plus, minus) = (one.clone().add(c), sub(&one, c));
        // One inversion serves both quotients.
        let inverse = || -> Result<Scalar, SynthesisError> {
            let product = value(&plus)? * value(&minus)?;
            Option::from(product.invert()).ok_or(SynthesisError::DivisionByZero)
        };
        let inverse = c.get_value().and_then(|_| inverse().ok());
        let inverse = || inverse.ok_or(SynthesisError::DivisionByZero);
        let x = alloc(cs.namespace(|| "x"), || {
            Ok(value(u)? * value(&minus)? * inverse()?)
        })?;
        let y = alloc(cs.namespace(|| "y"), || {
            Ok(value(v)? * value(&plus)? * inverse()?)
        })?;
        enforce_product(&mut cs, "x is the quotient", &x, &plus, u);
        enforce_product(&mut cs, "y is the quotient", &y, &minus, v);
        Ok(Self { x, y })
    }

    /// The base point times the number spelled by `bits`, least significant first;
    /// at most 252 bits: 9 constraints per 3 bits, 6 less for the first window.
    pub(super) fn generator_multiple<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        bits: &[Boolean],
    ) -> Result<Self, SynthesisError> {
        let mut sum: Option<Self> = None;
        for (i, (window, table)) in bits
            .chunks(WINDOW_BITS)
            .zip(&*GENERATOR_WINDOWS)
            .enumerate()
        {
            let mut cs = cs.namespace(|| format!("window {i}"));
            let multiple = Self::select_constant(cs.namespace(|| "select"), window, table)?;
            sum = Some(match sum {
                None => multiple,
                Some(sum) => sum.add(cs.namespace(|| "add"), &multiple)?,
            });
        }
        Ok(sum.unwrap_or_else(|| Self::identity::<CS>()))
    }

    /// The point times the number spelled by `bits`, least significant first, in
    /// windows of 2 bits from the top: 22 constraints per 2 bits and 11 for the
    /// table. An odd count is topped up with a zero bit.
    pub(super) fn multiple<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        bits: &[Boolean],
    ) -> Result<Self, SynthesisError> {
        let double = self.double(cs.namespace(|| "2P"))?;
        let triple = double.add(cs.namespace(|| "3P"), self)?;
        let zero = Boolean::constant(false);
        let mut sum: Option<Self> = None;
        for (i, window) in bits.chunks(2).enumerate().rev() {
            let mut cs = cs.namespace(|| format!("window {i}"));
            let (low, high) = (&window[0], window.get(1).unwrap_or(&zero));
            let multiple =
                self.select_multiple(cs.namespace(|| "select"), &double, &triple, low, high)?;
            sum = Some(match sum {
                None => multiple,
                Some(sum) => sum
                    .double(cs.namespace(|| "double once"))?
                    .double(cs.namespace(|| "double twice"))?
                    .add(cs.namespace(|| "add"), &multiple)?,
            });
        }
        Ok(sum.unwrap_or_else(|| Self::identity::<CS>()))
    }

    fn identity<CS: ConstraintSystem<Scalar>>() -> Self {
        Self {
            x: Num::zero(),
            y: constant::<CS>(Scalar::ONE),
        }
    }

    /// One of 8 constant points by 3 bits: 3 constraints. Missing bits count as zero.
    fn select_constant<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        bits: &[Boolean],
        table: &[Point; 8],
    ) -> Result<Self, SynthesisError> {
        let zero = Num::zero();
        let bits: Vec<Num> = bits.iter().map(from_bit::<CS>).collect();
        let [b0, b1, b2] = [0, 1, 2].map(|i| bits.get(i).unwrap_or(&zero));
        let b01 = mul(cs.namespace(|| "bit 0 and bit 1"), b0, b1)?;
        // Multilinear interpolation over (b0, b1) of the half of the table at `base`.
        let half = |coordinate: fn(&Point) -> Scalar, base: usize| {
            let [t0, t1, t2, t3] = [0, 1, 2, 3].map(|i| coordinate(&table[base + i]));
            constant::<CS>(t0)
                .add(&b0.clone().scale(t1 - t0))
                .add(&b1.clone().scale(t2 - t0))
                .add(&b01.clone().scale(t3 - t2 - t1 + t0))
        };
        Ok(Self {
            x: choose(
                cs.namespace(|| "x"),
                b2,
                &half(|p| p.x, 0),
                &half(|p| p.x, 4),
            )?,
            y: choose(
                cs.namespace(|| "y"),
                b2,
                &half(|p| p.y, 0),
                &half(|p| p.y, 4),
            )?,
        })
    }

    /// O, P, 2P or 3P by 2 bits: 6 constraints.
    fn select_multiple<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        double: &Self,
        triple: &Self,
        low: &Boolean,
        high: &Boolean,
    ) -> Result<Self, SynthesisError> {
        let (low, high) = (from_bit::<CS>(low), from_bit::<CS>(high));
        let none = Self::identity::<CS>();
        let mut select = |name: &'static str, p: [&Num; 4]| {
            let mut cs = cs.namespace(|| name);
            let without = choose(cs.namespace(|| "O or P"), &low, p[0], p[1])?;
            let with = choose(cs.namespace(|| "2P or 3P"), &low, p[2], p[3])?;
            choose(cs.namespace(|| "high bit"), &high, &without, &with)
        };
        Ok(Self {
            x: select("x", [&none.x, &self.x, &double.x, &triple.x])?,
            y: select("y", [&none.y, &self.y, &double.y, &triple.y])?,
        })
    }
}

/// `bit ? b : a`: one constraint.
fn choose<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    bit: &Num,
    a: &Num,
    b: &Num,
) -> Result<Num, SynthesisError> {
    Ok(mul(cs, bit, &sub(b, a))?.add(a))
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;
    use group::Group;
    use jubjub::{ExtendedPoint, Fr, SubgroupPoint};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::num::alloc_bits;

    type Cs = TestConstraintSystem<Scalar>;

    fn affine(point: ExtendedPoint) -> Point {
        Point::from_extended(&point)
    }

    fn witness(cs: &mut Cs, name: &'static str, point: ExtendedPoint) -> EdwardsPoint {
        EdwardsPoint::witness(cs.namespace(|| name), affine(point)).unwrap()
    }

    fn assert_is(point: &EdwardsPoint, expected: ExtendedPoint) {
        let got = (point.x.get_value().unwrap(), point.y.get_value().unwrap());
        let expected = affine(expected);
        assert_eq!(got, (expected.x, expected.y));
    }

    fn bits_of(cs: &mut Cs, scalar: &Fr, count: usize) -> Vec<Boolean> {
        let bytes = scalar.to_bytes();
        let bit = |i: usize| Some(bytes[i / 8] >> (i % 8) & 1 == 1);
        alloc_bits(cs.namespace(|| "bits"), (0..count).map(bit))
            .unwrap()
            .1
    }

    /// The point (0, -1) of order two.
    fn order_two() -> ExtendedPoint {
        let minus_one = (-jubjub::Fq::one()).to_bytes();
        jubjub::AffinePoint::from_bytes(minus_one).unwrap().into()
    }

    #[test]
    fn addition_is_complete_and_agrees_with_jubjub() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (p, q) = (
            ExtendedPoint::random(&mut rng),
            ExtendedPoint::random(&mut rng),
        );
        let o = ExtendedPoint::identity();
        for (a, b) in [
            (p, q),
            (p, p),
            (p, -p),
            (p, o),
            (o, p),
            (o, o),
            (p, order_two()),
        ] {
            let mut cs = Cs::new();
            let (left, right) = (witness(&mut cs, "a", a), witness(&mut cs, "b", b));
            let before = cs.num_constraints();
            let sum = left.add(cs.namespace(|| "sum"), &right).unwrap();
            assert_eq!(cs.num_constraints() - before, 6);
            assert_is(&sum, a + b);
            assert!(cs.is_satisfied());
        }
    }

    #[test]
    fn doubling_is_complete_and_agrees_with_jubjub() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for p in [
            ExtendedPoint::random(&mut rng),
            ExtendedPoint::identity(),
            order_two(),
        ] {
            let mut cs = Cs::new();
            let point = witness(&mut cs, "p", p);
            let double = point.double(cs.namespace(|| "double")).unwrap();
            assert_eq!(cs.num_constraints(), 3 + 5);
            assert_is(&double, p + p);
            assert!(cs.is_satisfied());
        }
    }

    #[test]
    fn no_coordinate_of_a_sum_can_be_changed() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut cs = Cs::new();
        let p = witness(&mut cs, "p", ExtendedPoint::random(&mut rng));
        let q = witness(&mut cs, "q", ExtendedPoint::random(&mut rng));
        p.add(cs.namespace(|| "sum"), &q)
            .unwrap()
            .double(cs.namespace(|| "double"))
            .unwrap();
        for path in [
            "sum/x/num",
            "sum/y/num",
            "sum/x1 y2/value/num",
            "sum/y1 x2/value/num",
            "sum/d x1 y2 y1 x2/value/num",
            "sum/(x1 + y1)(x2 + y2)/value/num",
            "double/x/num",
            "double/y/num",
            "double/x y/value/num",
            "double/d x^2 y^2/value/num",
            "double/(x + y)^2/value/num",
        ] {
            let honest = cs.get(path);
            cs.set(path, honest + Scalar::ONE);
            assert!(cs.which_is_unsatisfied().is_some(), "{path}");
            cs.set(path, honest);
        }
        assert!(cs.is_satisfied());
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let mut cs = Cs::new();
        let off = Point {
            x: Scalar::ONE,
            y: Scalar::ONE,
        };
        EdwardsPoint::witness(cs.namespace(|| "p"), off).unwrap();
        assert_eq!(cs.which_is_unsatisfied(), Some("p/on the curve"));
    }

    #[test]
    fn generator_multiples_agree_with_jubjub() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for scalar in [Fr::zero(), Fr::one(), -Fr::one(), Fr::random(&mut rng)] {
            let mut cs = Cs::new();
            let bits = bits_of(&mut cs, &scalar, 252);
            let point =
                EdwardsPoint::generator_multiple(cs.namespace(|| "product"), &bits).unwrap();
            assert_eq!(cs.num_constraints(), 252 + 750);
            assert_is(&point, (SubgroupPoint::generator() * scalar).into());
            assert!(cs.is_satisfied());
        }
    }

    #[test]
    fn multiples_of_any_point_agree_with_jubjub() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let random = Fr::from_raw([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 0, 0]);
        let full = Fr::from_raw([u64::MAX, u64::MAX, 0, 0]);
        for scalar in [Fr::zero(), Fr::one(), Fr::from(6), random, full] {
            for point in [ExtendedPoint::random(&mut rng), ExtendedPoint::identity()] {
                let mut cs = Cs::new();
                let bits = bits_of(&mut cs, &scalar, 128);
                let base = witness(&mut cs, "p", point);
                let product = base.multiple(cs.namespace(|| "product"), &bits).unwrap();
                assert_eq!(cs.num_constraints(), 128 + 3 + 11 + 6 + 63 * 22);
                assert_is(&product, point * scalar);
                assert!(cs.is_satisfied());
            }
        }
    }

    #[test]
    fn odd_bit_counts_are_topped_up() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let point = ExtendedPoint::random(&mut rng);
        let mut cs = Cs::new();
        let bits = bits_of(&mut cs, &Fr::from(0b11011), 5);
        let base = witness(&mut cs, "p", point);
        assert_is(
            &base.multiple(cs.namespace(|| "p27"), &bits).unwrap(),
            point * Fr::from(27),
        );
        let g = EdwardsPoint::generator_multiple(cs.namespace(|| "g27"), &bits).unwrap();
        assert_is(&g, (SubgroupPoint::generator() * Fr::from(27)).into());
        assert!(cs.is_satisfied());
    }
}
