//! Size and identity of a rollup circuit: constraints by part, and a digest of the
//! R1CS.
//!
//! The size comes from a constraint system that counts without storing anything or
//! computing a witness; the digest is the one that keys carry. Called by
//! `carillon-node`, by the tests that pin the circuit's version, and by operators who
//! compare keys.

use std::collections::BTreeMap;

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use carillon_runtime::groth16::{CircuitDigest, Groth16Error, circuit_digest};

use super::{RollupCircuit, Shape};

/// Constraints of one part of the circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part, named as in unsatisfied-constraint errors, without numbers.
    pub name: String,
    /// Its constraints: in one slot, in one row, or in the batch.
    pub constraints: usize,
}

/// Size of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The shape measured.
    pub shape: Shape,
    /// Constraints in all.
    pub constraints: usize,
    /// Variables of the witness.
    pub witness: usize,
    /// Public inputs, without the constant one.
    pub inputs: usize,
    /// Constraints by part of one slot, largest first.
    pub slot_parts: Vec<Part>,
    /// Constraints by part of one row after the first, largest first.
    pub cell_parts: Vec<Part>,
    /// Constraints by part of what a batch needs once, largest first.
    pub batch_parts: Vec<Part>,
}

impl Stats {
    /// All constraints over all slots, rounded up: what a transfer costs in a full
    /// batch.
    pub fn per_transfer(&self) -> usize {
        self.constraints.div_ceil(self.shape.slots())
    }

    /// log2 of the evaluation domain: the least power of two that holds the
    /// constraints and one row for each input and the constant one.
    pub fn domain_log2(&self) -> u32 {
        (self.constraints + self.inputs + 1)
            .next_power_of_two()
            .trailing_zeros()
    }
}

/// Measures the circuit of a shape.
///
/// # Errors
/// Passes on synthesis errors; a valid shape gives none.
pub fn stats(shape: Shape) -> Result<Stats, SynthesisError> {
    let mut survey = Survey {
        inputs: 1,
        ..Survey::default()
    };
    RollupCircuit::blank(shape).synthesize(&mut survey)?;
    let parts = |place: Place| {
        let mut parts: Vec<Part> = survey
            .parts
            .iter()
            .filter(|((of, _), _)| *of == place)
            .map(|((_, name), constraints)| Part {
                name: name.clone(),
                constraints: *constraints,
            })
            .collect();
        parts.sort_by(|a, b| {
            b.constraints
                .cmp(&a.constraints)
                .then_with(|| a.name.cmp(&b.name))
        });
        parts
    };
    Ok(Stats {
        shape,
        constraints: survey.constraints,
        witness: survey.aux,
        inputs: survey.inputs - 1,
        slot_parts: parts(Place::Slot),
        cell_parts: parts(Place::Cell),
        batch_parts: parts(Place::Batch),
    })
}

/// The digest of a shape's constraints that its keys carry
/// ([`carillon_runtime::groth16::circuit_digest`]).
///
/// # Errors
/// Passes on synthesis errors; a valid shape gives none.
pub fn digest(shape: Shape) -> Result<CircuitDigest, Groth16Error> {
    circuit_digest(RollupCircuit::blank(shape))
}

/// Where a constraint belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The first slot stands for all.
    Slot,
    /// The last row stands for all.
    Cell,
    /// Once a batch.
    #[default]
    Batch,
    /// A slot or row that is represented by another one.
    Elsewhere,
}

/// Counts constraints by the namespace they are made in.
#[derive(Default)]
struct Survey {
    inputs: usize,
    aux: usize,
    constraints: usize,
    parts: BTreeMap<(Place, String), usize>,
    path: Vec<String>,
    last_cell: usize,
}

impl Survey {
    /// The part that the current namespace belongs to.
    fn part(&mut self) -> (Place, String) {
        let mut names = self.path.iter().map(String::as_str);
        let mut first = names.next().unwrap_or("bindings");
        let on_bus = first == "bus";
        if on_bus {
            first = names.find(|name| *name != "rows").unwrap_or("powers");
        }
        let number = |prefix: &str| first.strip_prefix(prefix)?.parse::<usize>().ok();
        let place = if let Some(slot) = number("op ") {
            if slot == 0 {
                Place::Slot
            } else {
                Place::Elsewhere
            }
        } else if let Some(cell) = number("cell ") {
            if cell > self.last_cell && !on_bus {
                self.last_cell = cell;
                self.parts.retain(|(place, _), _| *place != Place::Cell);
            }
            if cell == self.last_cell {
                Place::Cell
            } else {
                Place::Elsewhere
            }
        } else {
            let name = if on_bus {
                format!("bus: {first}")
            } else {
                first.to_owned()
            };
            return (Place::Batch, name);
        };
        if place == Place::Elsewhere {
            return (place, String::new());
        }
        let part = if on_bus {
            "bus"
        } else {
            names.next().unwrap_or("bindings")
        };
        let name = match names.next() {
            Some(detail) if matches!(part, "signature" | "opening") => format!("{part}: {detail}"),
            _ => part.to_owned(),
        };
        (place, name)
    }
}

impl ConstraintSystem<Scalar> for Survey {
    type Root = Self;

    fn alloc<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.aux += 1;
        Ok(Variable::new_unchecked(Index::Aux(self.aux - 1)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.inputs += 1;
        Ok(Variable::new_unchecked(Index::Input(self.inputs - 1)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, _: LA, _: LB, _: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        self.constraints += 1;
        let part = self.part();
        *self.parts.entry(part).or_default() += 1;
    }

    fn push_namespace<NR, N>(&mut self, name: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
        self.path.push(name().into());
    }

    fn pop_namespace(&mut self) {
        self.path.pop();
    }

    fn get_root(&mut self) -> &mut Self::Root {
        self
    }
}
