//! Recorded constraints against [`synthesize`], on circuits of every kind.

use std::sync::Arc;

use bellpepper_core::{ConstraintSystem, LinearCombination, SynthesisError, Variable};
use proptest::prelude::*;

use super::*;
use crate::groth16::{Assignment, Polynomials, synthesize, witness};

/// A term: which of the variables there are so far, and which of the coefficients.
type Term = (usize, usize);

/// A constraint: `a * b = c`, where `c` is these terms and, if there is a factor, a new variable that makes it true.
#[derive(Clone, Debug)]
struct Row {
    a: Vec<Term>,
    b: Vec<Term>,
    c: Vec<Term>,
    factor: usize,
    /// The new variable is wrong.
    broken: bool,
}

/// A circuit of such constraints.
#[derive(Clone, Debug)]
struct Any {
    inputs: usize,
    rows: Vec<Row>,
    seed: u64,
}

/// 0, 1, -1, and others; a place modulo their number.
fn coefficient(place: usize) -> Scalar {
    let large = Scalar::from(3).pow_vartime([200]);
    let all = [
        Scalar::ZERO,
        Scalar::ONE,
        -Scalar::ONE,
        Scalar::from(2),
        -Scalar::from(7),
        large,
        -large.square(),
    ];
    all[place % all.len()]
}

fn sum(terms: &[Term], known: &[(Variable, Scalar)]) -> (LinearCombination<Scalar>, Scalar) {
    let zero = (LinearCombination::zero(), Scalar::ZERO);
    terms.iter().fold(zero, |(row, sum), (variable, place)| {
        let (variable, value) = known[variable % known.len()];
        let factor = coefficient(*place);
        (row + (factor, variable), sum + factor * value)
    })
}

impl Circuit<Scalar> for Any {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let mut known = vec![(CS::one(), Scalar::ONE)];
        for input in 0..self.inputs {
            let value = Scalar::from(self.seed + 3 * input as u64);
            known.push((
                cs.alloc_input(|| format!("input {input}"), || Ok(value))?,
                value,
            ));
        }
        for (index, row) in self.rows.into_iter().enumerate() {
            let mut cs = cs.namespace(|| format!("row {index}"));
            let (a, a_value) = sum(&row.a, &known);
            let (b, b_value) = sum(&row.b, &known);
            let (c, c_value) = sum(&row.c, &known);
            // A factor that is not zero.
            let factor = coefficient(1 + row.factor % 6);
            let mut value = (a_value * b_value - c_value) * factor.invert().unwrap();
            if row.broken {
                value += Scalar::ONE;
            }
            let made = cs.alloc(|| "made", || Ok(value))?;
            cs.enforce(|| "product", |_| a, |_| b, |_| c + (factor, made));
            known.push((made, value));
        }
        Ok(())
    }
}

fn row() -> impl Strategy<Value = Row> {
    let terms = || prop::collection::vec((0usize..6, 0usize..7), 0..5);
    (terms(), terms(), terms(), 0usize..6).prop_map(|(a, b, c, factor)| Row {
        a,
        b,
        c,
        factor,
        broken: false,
    })
}

fn circuit() -> impl Strategy<Value = Any> {
    let rows = prop::collection::vec(row(), 0..12);
    (0usize..4, rows, 0u64..1000).prop_map(|(inputs, rows, seed)| Any { inputs, rows, seed })
}

fn recorded(circuit: &Any) -> Arc<Constraints> {
    let circuit = circuit.clone();
    Arc::new(Constraints::record(move || circuit.clone()).unwrap())
}

/// A and B in blocks of so many rows.
fn polynomials(assignment: &Assignment, block: usize) -> Result<[Vec<Scalar>; 2], RowFault> {
    let domain = assignment.shape().domain();
    // Values that must be overwritten.
    let mut values = [1, 2].map(|old| vec![Scalar::from(old); domain]);
    let [a, b] = &mut values;
    let blocks = a.chunks_mut(block).zip(b.chunks_mut(block));
    for (index, rows) in blocks.enumerate() {
        assignment.rows(index * block, rows, &AtomicBool::new(false))?;
    }
    Ok(values)
}

proptest! {
    #[test]
    fn rows_are_those_of_synthesis(circuit in circuit(), block in 1usize..40) {
        let constraints = recorded(&circuit);
        let whole = synthesize(circuit.clone()).unwrap();
        let lazy = witness(&constraints, circuit.clone()).unwrap();
        prop_assert_eq!(whole.shape(), lazy.shape());
        prop_assert_eq!(whole.witness(), lazy.witness());
        prop_assert_eq!(whole.public_inputs(), lazy.public_inputs());
        let Polynomials::Values([a, b]) = whole.polynomials() else {
            panic!("{:?}", whole.polynomials());
        };
        let expected = Ok([a.to_vec(), b.to_vec()]);
        prop_assert_eq!(&polynomials(&lazy, block), &expected);
        prop_assert_eq!(&polynomials(&whole, block), &expected);
        prop_assert_eq!(constraints.digest(), R1cs::record(circuit).unwrap().digest());
        prop_assert!(whole.check().is_ok() && lazy.check().is_ok());
    }

    #[test]
    fn the_first_violated_row_is_named_as_by_synthesis(
        mut circuit in circuit(),
        broken in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        block in 1usize..40,
    ) {
        prop_assume!(!circuit.rows.is_empty());
        for index in broken {
            let count = circuit.rows.len();
            circuit.rows[index.index(count)].broken = true;
        }
        let expected = synthesize(circuit.clone()).unwrap_err();
        let lazy = witness(&recorded(&circuit), circuit).unwrap();
        let Err(RowFault::Violated(index)) = polynomials(&lazy, block) else {
            panic!("{expected}");
        };
        prop_assert_eq!(lazy.unsatisfied(index).to_string(), expected.to_string());
        prop_assert_eq!(lazy.check().unwrap_err().to_string(), expected.to_string());
    }
}

/// More rows than a core computes at a time, violated in several of its steps.
fn long(broken: &[usize]) -> Any {
    let row = Row {
        a: vec![(1, 1)],
        b: vec![(2, 1)],
        c: Vec::new(),
        factor: 0,
        broken: false,
    };
    let mut rows = vec![row; 5 * STEP + 3];
    for index in broken {
        rows[*index].broken = true;
    }
    Any {
        inputs: 2,
        rows,
        seed: 1,
    }
}

#[test]
fn the_first_of_several_steps_is_found() {
    let last = 5 * STEP + 2;
    for broken in [
        &[0][..],
        &[last],
        &[3 * STEP, STEP - 1, last],
        &[last, STEP],
    ] {
        let circuit = long(broken);
        let lazy = witness(&recorded(&circuit), circuit).unwrap();
        let first = broken.iter().min().copied().unwrap();
        for block in [7, STEP, 4096] {
            let found = polynomials(&lazy, block);
            assert_eq!(
                found,
                Err(RowFault::Violated(first)),
                "{broken:?} by {block}"
            );
        }
    }
}

#[test]
fn rows_that_nobody_wants_are_not_computed() {
    let circuit = long(&[]);
    let lazy = witness(&recorded(&circuit), circuit).unwrap();
    let mut values = [0, 0].map(|_| vec![Scalar::from(9); 2 * STEP]);
    let [a, b] = &mut values;
    let stopped = lazy.rows(0, (a, b), &AtomicBool::new(true));
    assert_eq!(stopped, Err(RowFault::Stopped));
    assert!(
        values
            .concat()
            .iter()
            .all(|value| *value == Scalar::from(9))
    );
}

#[test]
fn another_structure_is_refused() {
    let constraints = recorded(&long(&[]));
    let mut fewer = long(&[]);
    fewer.rows.pop();
    let mut wider = long(&[]);
    wider.inputs += 1;
    let mut more = long(&[]);
    more.rows.push(more.rows[0].clone());
    for (circuit, expected) in [
        (fewer, "1282 constraints but its key"),
        (wider, "4 public inputs but its key"),
        (more, "1284 constraints but its key"),
    ] {
        let error = witness(&constraints, circuit).unwrap_err();
        assert!(
            matches!(error, Groth16Error::CircuitMismatch { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    use bellpepper_core::Index;
    for index in [
        Index::Input(1 << 31),
        Index::Aux(1 << 31),
        Index::Aux(1 << 40),
    ] {
        let mut system = R1cs::new();
        let far = Variable::new_unchecked(index);
        system.enforce(|| "far", |lc| lc + far, |lc| lc, |lc| lc);
        let error = system.finish().unwrap_err();
        assert!(matches!(error, Groth16Error::TooManyTerms), "{error}");
    }
    let mut system = R1cs::new();
    let last = Index::Aux((1 << 31) - 1);
    let variable = Variable::new_unchecked(last);
    system.enforce(|| "last", |lc| lc, |lc| lc, |lc| lc - variable);
    let system = system.finish().unwrap();
    let terms: Vec<_> = system.rows(Side::C).flatten().collect();
    assert_eq!(terms, [(last, -Scalar::ONE)]);
}
