//! Runs MSMs on `msm_engine` and compares them with sums computed point by point with blstrs.

use std::marker::PhantomData;

use blstrs::{G1Affine, G2Affine, Scalar};
use ff::PrimeField;
use group::{Curve, Group};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::axi_memory::Timing;
use crate::curve::{ELEMENT_BYTES, MsmCurve};
use crate::field::Fp;
use crate::recode::Mode;
use crate::scalars;
use crate::unit::{Command, Outcome, Unit, status};
use crate::workload::{Points, Scalars};

const FULL_SCALARS: u8 = 0x08;
/// The largest window of the configuration under test.
pub const MAX_WINDOW_BITS: u8 = 13;
/// Bytes of a scalar.
pub const SCALAR_BYTES: usize = 32;
const PAGE: usize = 4096;
/// After the operands: bytes that are no element.
const GUARD: usize = 64;
/// What the result's place holds before a run.
const UNWRITTEN: u8 = 0xaa;

/// One sum to compute.
#[derive(Clone, Debug)]
pub struct Job<C = G1Affine> {
    /// Points.
    pub bases: Vec<C>,
    /// As many scalars.
    pub factors: Vec<Scalar>,
    /// As the command says it; 0 lets the card choose.
    pub window_bits: u8,
    /// With the endomorphism or without.
    pub mode: Mode,
}

impl<C: MsmCurve> Job<C> {
    /// `count` random operands of these kinds.
    pub fn draw(
        rng: &mut ChaCha8Rng,
        count: usize,
        kinds: (Points, Scalars),
        window_bits: u8,
        mode: Mode,
    ) -> Self {
        assert!(mode == Mode::Full || kinds.0 != Points::AnyOrder);
        Self {
            bases: kinds.0.draw(rng, count),
            factors: kinds.1.draw(rng, count, mode),
            window_bits,
            mode,
        }
    }

    /// The sum, one product after the other.
    #[must_use]
    pub fn golden(&self) -> C {
        let products = self.bases.iter().zip(&self.factors).map(product);
        products
            .fold(C::Curve::identity(), |sum, product| sum + product)
            .to_affine()
    }

    /// The sum by blst's own bucket method: for many points of order r.
    #[must_use]
    pub fn golden_large(&self) -> C {
        C::sum_of_products(&self.bases, &self.factors)
    }
}

/// blst multiplies by way of the endomorphism, which is right for points of order r alone.
fn product<C: MsmCurve>((base, factor): (&C, &Scalar)) -> C::Curve {
    let bytes = factor.to_repr();
    let bytes = bytes.as_ref();
    let top = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |top| top + 1);
    if top > 8 && base.has_order_r() {
        return *base * *factor;
    }
    let bits = bytes[..top]
        .iter()
        .rev()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    bits.fold(C::Curve::identity(), |sum, bit| {
        let double = sum.double();
        if bit == 1 { double + base } else { double }
    })
}

/// The engine with its card memory.
pub struct Msm<C = G1Affine> {
    /// Its memory and ports.
    pub unit: Unit,
    bases: usize,
    scalars: usize,
    result: usize,
    curve: PhantomData<C>,
}

impl Msm {
    /// An engine for MSMs in G1 of up to `capacity` elements, with the configuration's number of adders.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_adders(1, capacity)
    }

    /// An engine for MSMs in G1 with 1, 2 or 4 adders.
    #[must_use]
    pub fn with_adders(adders: usize, capacity: usize) -> Self {
        Self::of_curve(adders, capacity)
    }
}

impl Msm<G2Affine> {
    /// An engine for MSMs in G2 with 1, 2 or 4 adders.
    #[must_use]
    pub fn in_g2(adders: usize, capacity: usize) -> Self {
        Self::of_curve(adders, capacity)
    }
}

impl<C: MsmCurve> Msm<C> {
    /// An engine for MSMs of up to `capacity` elements with 1, 2 or 4 adders.
    #[must_use]
    pub fn of_curve(adders: usize, capacity: usize) -> Self {
        let model = match adders {
            1 => "msm_engine",
            2 => "msm_engine_a2",
            4 => "msm_engine_a4",
            _ => panic!("no model with {adders} adders: add it to hdl/tests/build.rs"),
        };
        // Nothing begins on a 4 KiB boundary, so that bursts are cut; the result crosses one.
        let bases = 0x40;
        let after = |end: usize| (end + GUARD).next_multiple_of(PAGE);
        // Room for a few points of the other group as well.
        let scalars = after(bases + (capacity + 8) * C::POINT_BYTES) + 0xfc0;
        let result = after(scalars + (capacity + 8) * SCALAR_BYTES) + 0xf80;
        Self {
            unit: Unit::new(model, after(result + G2Affine::RESULT_BYTES)),
            bases,
            scalars,
            result,
            curve: PhantomData,
        }
    }

    /// Where base `index` lies.
    #[must_use]
    pub fn base_at(&self, index: usize) -> usize {
        self.bases + index * C::POINT_BYTES
    }

    /// Where scalar `index` lies.
    #[must_use]
    pub fn scalar_at(&self, index: usize) -> usize {
        self.scalars + index * SCALAR_BYTES
    }

    /// Where the result goes.
    #[must_use]
    pub fn result_at(&self) -> usize {
        self.result
    }

    /// The command for `job`.
    #[must_use]
    pub fn command<D: MsmCurve>(&self, job: &Job<D>) -> Command {
        let operands = [
            self.bases,
            self.scalars,
            job.bases.len(),
            self.result,
            0,
            0,
            0,
        ];
        Command {
            opcode: D::OPCODE,
            flags: if job.mode == Mode::Full {
                FULL_SCALARS
            } else {
                0
            },
            window_bits: job.window_bits,
            operands: operands.map(|operand| operand as u64),
            ..Command::default()
        }
    }

    /// Operands into memory, followed by bytes that are no element.
    pub fn load<D: MsmCurve>(&mut self, job: &Job<D>) {
        let (bases, scalars, result) = (self.bases, self.scalars, self.result);
        let memory = &mut self.unit.memory.bytes;
        let places = memory[bases..].chunks_exact_mut(D::POINT_BYTES);
        for (base, place) in job.bases.iter().zip(places) {
            let elements = base.elements();
            let limbs = elements.iter().flat_map(|element| element.l);
            for (limb, bytes) in limbs.zip(place.chunks_exact_mut(8)) {
                bytes.copy_from_slice(&limb.to_le_bytes());
            }
        }
        memory[bases + job.bases.len() * D::POINT_BYTES..][..GUARD].fill(0xff);
        let image = scalars::to_image(&job.factors);
        memory[scalars..][..image.len()].copy_from_slice(&image);
        memory[scalars + image.len()..][..GUARD].fill(0xff);
        memory[result..][..D::RESULT_BYTES].fill(UNWRITTEN);
    }

    /// Loads and runs one MSM; only its end is checked.
    pub fn run<D: MsmCurve>(&mut self, job: &Job<D>) -> Outcome {
        self.load(job);
        let outcome = self.unit.run(&self.command(job));
        assert_eq!(outcome.status, status::SUCCESS, "{}", self.context(job));
        outcome
    }

    /// After a reset the first command also marks all buckets empty: gets that out of the way of a measurement.
    pub fn warm_up(&mut self) {
        let one = Job {
            bases: vec![C::generator()],
            factors: vec![Scalar::from(1)],
            window_bits: 0,
            mode: C::MODES[0],
        };
        self.run(&one);
    }

    /// Runs one MSM and compares all it may and may not write.
    pub fn check<D: MsmCurve>(&mut self, job: &Job<D>) -> Outcome {
        self.load(job);
        let before = self.unit.memory.bytes.clone();
        let outcome = self.unit.run(&self.command(job));
        let context = self.context(job);
        assert_eq!(outcome.status, status::SUCCESS, "{context}");
        assert_eq!(self.result_of::<D>(), job.golden(), "{context}");
        let memory = &self.unit.memory.bytes;
        let end = self.result + D::RESULT_BYTES;
        assert!(
            memory[..self.result] == before[..self.result] && memory[end..] == before[end..],
            "nothing else is written: {context}"
        );
        outcome
    }

    /// Draws, runs and compares.
    pub fn check_drawn(
        &mut self,
        rng: &mut ChaCha8Rng,
        count: usize,
        kinds: (Points, Scalars),
        window_bits: u8,
        mode: Mode,
    ) -> Outcome {
        self.check(&Job::<C>::draw(rng, count, kinds, window_bits, mode))
    }

    /// Small commands, one in each group, that must be right whatever came before.
    pub fn check_usable(&mut self, rng: &mut ChaCha8Rng) {
        let timing = std::mem::replace(&mut self.unit.memory.timing, Timing::STEADY);
        if rng.r#gen() {
            self.check_small::<G1Affine>(rng);
            self.check_small::<G2Affine>(rng);
        } else {
            self.check_small::<G2Affine>(rng);
            self.check_small::<G1Affine>(rng);
        }
        self.unit.memory.timing = timing;
    }

    fn check_small<D: MsmCurve>(&mut self, rng: &mut ChaCha8Rng) {
        let (count, mode) = (rng.gen_range(1..6), D::MODES[rng.gen_range(0..2)]);
        let kinds = (Points::Distinct, Scalars::Ascending);
        self.check(&Job::<D>::draw(rng, count, kinds, 4, mode));
    }

    /// The point that the engine wrote, as the contract says: padded with zeros.
    #[must_use]
    pub fn result(&self) -> C {
        self.result_of::<C>()
    }

    fn result_of<D: MsmCurve>(&self) -> D {
        let written = &self.unit.memory.bytes[self.result..][..D::RESULT_BYTES];
        let (point, padding) = written.split_at(3 * D::DEGREE * ELEMENT_BYTES);
        assert!(padding.iter().all(|byte| *byte == 0), "padded with zeros");
        let elements: Vec<_> = point
            .chunks_exact(ELEMENT_BYTES)
            .map(Fp::from_port)
            .collect();
        D::from_result(&elements)
    }

    /// Panics if anything was written where the result belongs.
    pub fn assert_untouched(&self) {
        let place = &self.unit.memory.bytes[self.result..][..C::RESULT_BYTES];
        assert!(
            place.iter().all(|byte| *byte == UNWRITTEN),
            "no result is written"
        );
    }

    fn context<D>(&self, job: &Job<D>) -> String {
        format!(
            "n = {}, c = {}, {:?}, {:?}",
            job.bases.len(),
            job.window_bits,
            job.mode,
            self.unit.memory.timing
        )
    }
}
