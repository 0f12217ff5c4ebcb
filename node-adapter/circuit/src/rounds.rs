//! The constraints of a Poseidon hash, recorded once and replayed for every hash.
//!
//! neptune's `circuit2` derives the constraints by computing with linear combinations,
//! and spends most of a synthesis doing so; yet their coefficients depend on the domain
//! alone. [`Rounds::of`] runs it once over free inputs and keeps its rows;
//! [`Rounds::hash`] makes the same constraints with a hash's own inputs. Called by the
//! two Poseidon files of this folder.

use bellpepper_core::num::AllocatedNum;
use bellpepper_core::{ConstraintSystem, Index, LinearCombination, SynthesisError, Variable};
use blstrs::Scalar;
use ff::Field;
use neptune::circuit2::{Elt, PoseidonCircuit2};
use neptune::poseidon::Arity;

use super::num::{Num, constant};
use carillon_protocol::crypto::poseidon::Domain;
use carillon_runtime::groth16::{R1cs, Side};

/// A linear combination over the inputs and the inner variables of a hash.
#[derive(Debug, Default)]
struct Row {
    /// Kept where neptune has one, zero or not, so that the rows are the same.
    one: Option<Scalar>,
    inputs: Vec<(usize, Scalar)>,
    inner: Vec<(usize, Scalar)>,
}

impl Row {
    fn new(inputs: usize, terms: impl IntoIterator<Item = (Index, Scalar)>) -> Self {
        let mut row = Self::default();
        for (variable, coefficient) in terms {
            match variable {
                Index::Input(_) => row.one = Some(coefficient),
                Index::Aux(i) if i < inputs => row.inputs.push((i, coefficient)),
                Index::Aux(i) => row.inner.push((i - inputs, coefficient)),
            }
        }
        row
    }

    fn constant(&self) -> Scalar {
        self.one.unwrap_or(Scalar::ZERO)
    }

    fn value(&self, inputs: &[Scalar], inner: &[Scalar]) -> Scalar {
        let sum = |terms: &[(usize, Scalar)], values: &[Scalar]| {
            let products = terms
                .iter()
                .map(|(i, coefficient)| values[*i] * coefficient);
            products.fold(Scalar::ZERO, |sum, product| sum + product)
        };
        self.constant() + sum(&self.inputs, inputs) + sum(&self.inner, inner)
    }

    fn combination(
        &self,
        one: Variable,
        inputs: &[Num],
        inner: &[Variable],
    ) -> LinearCombination<Scalar> {
        let mut sum = LinearCombination::zero();
        for (i, coefficient) in &self.inputs {
            sum = sum + &inputs[*i].lc(*coefficient);
        }
        if let Some(constant) = self.one {
            sum = sum + (constant, one);
        }
        for (i, coefficient) in &self.inner {
            sum = sum + (*coefficient, inner[*i]);
        }
        sum
    }
}

/// `a * b = v - shift`, where `v` is the inner variable that the row makes.
#[derive(Debug)]
struct Product {
    a: Row,
    b: Row,
    c: Row,
    /// Whether the output depends on the variable.
    ends: bool,
}

/// The rows of a domain.
#[derive(Debug)]
pub(super) struct Rounds {
    products: Vec<Product>,
    output: Row,
}

impl Rounds {
    /// Records the constraints of a domain.
    pub(super) fn of<A: Arity<Scalar>>(domain: &Domain<A>) -> Self {
        let width = A::to_usize();
        let mut record = R1cs::new();
        let tag = constant::<R1cs>(domain.domain_tag);
        let mut elements = vec![Elt::Num(tag)];
        let inputs = (0..width).map(|_| AllocatedNum::alloc(&mut record, || Err(MISSING)));
        elements.extend(inputs.filter_map(Result::ok).map(Elt::Allocated));
        let output = PoseidonCircuit2::new(elements, domain).hash(&mut record);
        // A recorder refuses nothing, so there is an output.
        let output = output.map_or_else(|_| LinearCombination::zero(), |output| output.lc());
        let terms = output
            .iter()
            .map(|(v, factor)| (v.get_unchecked(), *factor));
        let output = Row::new(width, terms);
        let factors = record.rows(Side::A).zip(record.rows(Side::B));
        let rows = factors.zip(record.rows(Side::C));
        let products = rows.enumerate().map(|(i, ((a, b), c))| Product {
            a: Row::new(width, a),
            b: Row::new(width, b),
            c: Row::new(width, c),
            ends: output.inner.iter().any(|(used, _)| *used == i),
        });
        Self {
            products: products.collect(),
            output,
        }
    }

    /// The digest of the inputs.
    pub(super) fn hash<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        inputs: &[Num],
    ) -> Result<Num, SynthesisError> {
        let given: Option<Vec<Scalar>> = inputs.iter().map(Num::get_value).collect();
        let mut values = Vec::with_capacity(self.products.len());
        let mut inner = Vec::with_capacity(self.products.len());
        let mut output = self.output.one.map_or_else(Num::zero, constant::<CS>);
        for (i, Product { a, b, c, ends }) in self.products.iter().enumerate() {
            let value = given.as_ref().map(|given| {
                let value = a.value(given, &values) * b.value(given, &values) - c.constant();
                values.push(value);
                value
            });
            let value = || value.ok_or(MISSING);
            inner.push(if *ends {
                let last = AllocatedNum::alloc(cs.namespace(|| format!("last {i}")), value)?;
                let variable = last.get_variable();
                let coefficient = self.output.inner.iter().find(|(used, _)| *used == i);
                let coefficient = coefficient.map_or(Scalar::ZERO, |(_, coefficient)| *coefficient);
                output = output.add(&Num::from(last).scale(coefficient));
                variable
            } else {
                cs.alloc(|| format!("inner {i}"), value)?
            });
            cs.enforce(
                || format!("product {i}"),
                |_| a.combination(CS::one(), inputs, &inner),
                |_| b.combination(CS::one(), inputs, &inner),
                |_| c.combination(CS::one(), inputs, &inner),
            );
        }
        Ok(output)
    }
}

const MISSING: SynthesisError = SynthesisError::AssignmentMissing;

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;

    use super::*;
    use crate::num::alloc;
    use carillon_protocol::crypto::poseidon::{NODE, hash_node};

    #[test]
    fn each_row_makes_its_own_variable() {
        let rounds = Rounds::of(&NODE);
        for (i, product) in rounds.products.iter().enumerate() {
            assert!(product.c.inputs.is_empty());
            assert_eq!(product.c.inner, [(i, Scalar::ONE)]);
        }
    }

    #[test]
    fn replayed_constraints_are_those_of_neptune() {
        let values = [1, 2, 3, 4].map(Scalar::from);
        let run = |replay: bool| {
            let mut cs = TestConstraintSystem::<Scalar>::new();
            let mut i = 0;
            let inputs = values.map(|value| {
                i += 1;
                alloc(cs.namespace(|| format!("input {i}")), || Ok(value)).unwrap()
            });
            let output = if replay {
                Rounds::of(&NODE)
                    .hash(cs.namespace(|| "hash"), &inputs)
                    .unwrap()
            } else {
                let tag = constant::<TestConstraintSystem<Scalar>>(NODE.domain_tag);
                let elements = [tag].into_iter().chain(inputs).map(Elt::Num).collect();
                let mut hash = PoseidonCircuit2::new(elements, &NODE);
                hash.hash(&mut cs.namespace(|| "hash")).unwrap().num()
            };
            assert_eq!(output.get_value(), Some(hash_node(&values)));
            assert!(cs.is_satisfied());
            let rows: Vec<_> = bellpepper_core::Comparable::constraints(&cs)
                .iter()
                .map(|(a, b, c, _)| (a.clone(), b.clone(), c.clone()))
                .map(|(a, b, c)| [a, b, c].map(|lc| format!("{:?}", lc.iter().collect::<Vec<_>>())))
                .collect();
            (rows, cs.scalar_aux())
        };
        assert_eq!(run(true), run(false));
    }
}
