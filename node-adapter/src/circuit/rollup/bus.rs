//! The bus: one sum that is zero exactly if everything written is read once.
//!
//! A tuple (tag, address, values) is a number, and the bus adds `1 / (gamma + tag +
//! 8 address + beta v1 + beta^2 v2 + ...)` for a tuple that is supplied and
//! subtracts it for one that is consumed (log-derivative argument: Haboeck,
//! "Multivariate lookups based on logarithmic derivatives",
//! <https://eprint.iacr.org/2022/1530>). gamma and beta are hashes of everything
//! that the tuples are made of, so the sum is zero for unequal multisets with a
//! probability of about (tuples * values) / r only. Called by the other files of
//! this folder after the challenges are drawn.

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use crate::circuit::num::{Num, alloc, constant, enforce_equal, enforce_product, mul, value};

/// What a tuple speaks of: below 8, so that tag and address never mix.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    /// (account; time, key x, key y, nonce, owner)
    Header = 1,
    /// (address of the cell; time, balance)
    Cell = 2,
    /// (number in the batch; the five words)
    Record = 3,
    /// (index; node before, node after)
    Top = 4,
}

/// The time of a tuple, its first value.
pub(super) enum Time<'a> {
    /// The tuple has no time.
    None,
    /// The circuit's structure fixes the time.
    Known(u64),
    /// The time is spelled by the witness.
    Read(&'a Num),
}

/// What is supplied or consumed: at most [`MAX_VALUES`] values, the time included.
pub(super) struct Tuple<'a> {
    pub(super) tag: Tag,
    pub(super) address: &'a Num,
    pub(super) time: Time<'a>,
    pub(super) values: &'a [&'a Num],
}

/// Most values of a tuple.
const MAX_VALUES: usize = 5;

/// The challenges and the sum so far.
pub(super) struct Bus {
    gamma: Num,
    /// beta, beta^2, ...
    powers: Vec<Num>,
    sum: Num,
}

impl Bus {
    /// An empty bus: 4 constraints.
    pub(super) fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        gamma: Num,
        beta: Num,
    ) -> Result<Self, SynthesisError> {
        let mut powers = vec![beta];
        for i in 1..MAX_VALUES {
            let next = mul(
                cs.namespace(|| format!("beta^{}", i + 1)),
                &powers[i - 1],
                &powers[0],
            )?;
            powers.push(next);
        }
        Ok(Self {
            gamma,
            powers,
            sum: Num::zero(),
        })
    }

    /// Adds a tuple, if `flag` is one: one constraint, and one for each value that is
    /// not constant.
    pub(super) fn supply<CS: ConstraintSystem<Scalar>>(
        &mut self,
        cs: CS,
        flag: &Num,
        tuple: &Tuple<'_>,
    ) -> Result<(), SynthesisError> {
        let share = self.share(cs, flag, tuple)?;
        self.add(&share);
        Ok(())
    }

    /// Takes a tuple away, if `flag` is one, at the same cost.
    pub(super) fn consume<CS: ConstraintSystem<Scalar>>(
        &mut self,
        cs: CS,
        flag: &Num,
        tuple: &Tuple<'_>,
    ) -> Result<(), SynthesisError> {
        let share = self.share(cs, flag, tuple)?.scale(-Scalar::ONE);
        self.add(&share);
        Ok(())
    }

    /// `flag / number of the tuple`. A number of zero with a set flag cannot be
    /// satisfied; with a cleared flag it leaves the share free, which is as unlikely
    /// as a guess of gamma.
    fn share<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        flag: &Num,
        tuple: &Tuple<'_>,
    ) -> Result<Num, SynthesisError> {
        let number = self.number(cs.namespace(|| "tuple"), tuple)?;
        let share = alloc(cs.namespace(|| "share"), || {
            let inverse: Option<Scalar> = value(&number)?.invert().into();
            Ok(value(flag)? * inverse.unwrap_or(Scalar::ZERO))
        })?;
        enforce_product(&mut cs, "share of the bus", &share, &number, flag);
        Ok(share)
    }

    fn number<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        tuple: &Tuple<'_>,
    ) -> Result<Num, SynthesisError> {
        let mut number = self
            .gamma
            .clone()
            .add(&constant::<CS>(Scalar::from(tuple.tag as u64)))
            .add(&tuple.address.clone().scale(Scalar::from(8)));
        let mut powers = self.powers.iter();
        match tuple.time {
            Time::None => {}
            Time::Known(time) => {
                let power = powers
                    .next()
                    .map(|power| power.clone().scale(Scalar::from(time)));
                number = number.add(&power.unwrap_or_else(Num::zero));
            }
            Time::Read(time) => {
                if let Some(power) = powers.next() {
                    number = number.add(&mul(cs.namespace(|| "time"), power, time)?);
                }
            }
        }
        for (power, (i, value)) in powers.zip(tuple.values.iter().enumerate()) {
            number = number.add(&mul(cs.namespace(|| format!("value {i}")), power, value)?);
        }
        Ok(number)
    }

    fn add(&mut self, share: &Num) {
        let sum = std::mem::replace(&mut self.sum, Num::zero());
        self.sum = sum.add(share);
    }

    /// Everything supplied has been consumed, and nothing else: one constraint.
    pub(super) fn close<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) {
        enforce_equal(
            cs,
            "everything written is read once",
            &self.sum,
            &Num::zero(),
        );
    }
}
