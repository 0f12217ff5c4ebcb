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

use super::mutation::Mutation;
use crate::num::{Num, alloc, constant, enforce_equal, enforce_product, mul, value};

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

impl Tag {
    /// Its name, and the names of its values after the time.
    fn names(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Header => ("header", &["key x", "key y", "nonce", "owner"]),
            Self::Cell => ("cell", &["balance"]),
            Self::Record => (
                "record",
                &["word 0", "word 1", "word 2", "word 3", "word 4"],
            ),
            Self::Top => ("top", &["node before", "node after"]),
        }
    }
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
    /// What a mutation run leaves out of the tuples.
    without: Option<Mutation>,
}

impl Bus {
    /// An empty bus: 4 constraints.
    pub(super) fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        gamma: Num,
        beta: Num,
        without: Option<Mutation>,
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
            without,
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
        let (kind, names) = tuple.tag.names();
        let kept = |part| self.without != Some(Mutation::Part(kind, part));
        let mut number = self.gamma.clone();
        if self.without != Some(Mutation::Tag) {
            number = number.add(&constant::<CS>(Scalar::from(tuple.tag as u64)));
        }
        if kept("address") {
            number = number.add(&tuple.address.clone().scale(Scalar::from(8)));
        }
        let mut powers = self.powers.iter();
        match tuple.time {
            Time::Known(_) | Time::Read(_) if !kept("time") => drop(powers.next()),
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
            if names.get(i).is_some_and(|name| !kept(name)) {
                continue;
            }
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

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;

    use super::*;

    type Cs = TestConstraintSystem<Scalar>;
    type Plain = (Tag, u64, Option<u64>, Vec<u64>);

    /// Whether a bus with these tuples closes.
    fn closes(supplied: &[Plain], consumed: &[Plain]) -> bool {
        let mut cs = Cs::new();
        let mut names = 0;
        let mut number = |cs: &mut Cs, value: u64| {
            names += 1;
            alloc(cs.namespace(|| format!("number {names}")), || {
                Ok(Scalar::from(value))
            })
            .unwrap()
        };
        let (gamma, beta) = (number(&mut cs, 0xfeed_5eed), number(&mut cs, 0xbe7a_be7a));
        let mut bus = Bus::new(cs.namespace(|| "bus"), gamma, beta, None).unwrap();
        let one = constant::<Cs>(Scalar::ONE);
        for (side, tuples) in [supplied, consumed].into_iter().enumerate() {
            for (i, (tag, address, time, values)) in tuples.iter().enumerate() {
                let address = number(&mut cs, *address);
                let values: Vec<Num> = values.iter().map(|v| number(&mut cs, *v)).collect();
                let read = time.map(|time| number(&mut cs, time));
                let time = match (side, time, &read) {
                    (0, Some(time), _) => Time::Known(*time),
                    (_, _, Some(read)) => Time::Read(read),
                    _ => Time::None,
                };
                let tuple = Tuple {
                    tag: *tag,
                    address: &address,
                    time,
                    values: &values.iter().collect::<Vec<_>>(),
                };
                let name = format!("side {side} tuple {i}");
                let cs = cs.namespace(|| name);
                match side {
                    0 => bus.supply(cs, &one, &tuple),
                    _ => bus.consume(cs, &one, &tuple),
                }
                .unwrap();
            }
        }
        bus.close(&mut cs);
        cs.is_satisfied()
    }

    fn cell(address: u64, time: u64, balance: u64) -> Plain {
        (Tag::Cell, address, Some(time), vec![balance])
    }

    #[test]
    fn equal_multisets_close_in_any_order_and_others_do_not() {
        let a = cell(3, 5, 100);
        let b = (Tag::Record, 3, None, vec![1, 2, 3, 4, 5]);
        let both = [a.clone(), b.clone()];
        assert!(closes(&both, &[b.clone(), a.clone()]));
        assert!(closes(&[a.clone(), a.clone()], &[a.clone(), a.clone()]));
        assert!(!closes(&[a.clone(), a.clone()], std::slice::from_ref(&a)));
        assert!(!closes(&both, &[a.clone(), a.clone()]));
        for other in [
            cell(4, 5, 100),
            cell(3, 6, 100),
            cell(3, 5, 101),
            cell(3, 100, 5),
        ] {
            assert!(!closes(std::slice::from_ref(&a), &[other]));
        }
        for i in 0..5 {
            let mut changed = b.clone();
            changed.3[i] += 1;
            assert!(!closes(std::slice::from_ref(&b), &[changed]));
        }
        // Tag and address do not mix.
        let top = |address| (Tag::Top, address, None, vec![7, 8]);
        assert!(!closes(&[top(1)], &[(Tag::Header, 1, None, vec![7, 8])]));
        assert!(!closes(&[top(1)], &[top(2)]));
    }
}
