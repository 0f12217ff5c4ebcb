//! Size and identity of a circuit: constraints by part, and a digest of the R1CS.
//!
//! The size comes from a constraint system that counts without storing anything
//! or computing a witness; the digest is the one that keys carry. Called by
//! `carillon-node`, by the tests that pin the circuit's version, and by operators
//! who compare keys.

use std::collections::BTreeMap;
use std::fmt;

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use carillon_runtime::groth16::{CircuitDigest, Groth16Error, circuit_digest};

use super::{BatchCircuit, Shape};

/// Constraints of one part of the circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part, named as in unsatisfied-constraint errors, without slot numbers.
    pub name: String,
    /// Its constraints, in one slot for parts of a transfer.
    pub constraints: usize,
}

/// Size of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Constraints in all.
    pub constraints: usize,
    /// Variables of the witness.
    pub witness: usize,
    /// Public inputs, without the constant one.
    pub inputs: usize,
    /// Constraints of one slot.
    pub per_transfer: usize,
    /// Constraints by part of one slot, largest first.
    pub transfer_parts: Vec<Part>,
    /// Constraints by part of what a batch needs once, largest first.
    pub batch_parts: Vec<Part>,
}

impl Stats {
    /// Constraints that a batch needs once.
    pub fn per_batch(&self) -> usize {
        self.batch_parts.iter().map(|part| part.constraints).sum()
    }

    /// log2 of the evaluation domain: the least power of two that holds the
    /// constraints and one row for each input and the constant one.
    pub fn domain_log2(&self) -> u32 {
        (self.constraints + self.inputs + 1)
            .next_power_of_two()
            .trailing_zeros()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>8}  constraints, domain 2^{}",
            self.constraints,
            self.domain_log2()
        )?;
        writeln!(
            f,
            "{:>8}  witness variables, {} public inputs",
            self.witness, self.inputs
        )?;
        writeln!(f, "{:>8}  constraints a transfer", self.per_transfer)?;
        for part in &self.transfer_parts {
            writeln!(f, "{:>12}  {}", part.constraints, part.name)?;
        }
        writeln!(f, "{:>8}  constraints once a batch", self.per_batch())?;
        for part in &self.batch_parts {
            writeln!(f, "{:>12}  {}", part.constraints, part.name)?;
        }
        Ok(())
    }
}

/// Measures the circuit of a shape.
///
/// # Errors
/// Passes on synthesis errors; a valid shape gives none.
pub fn stats(shape: Shape) -> Result<Stats, SynthesisError> {
    let survey = Survey::of(shape)?;
    let parts = |per_slot: bool| {
        let chosen = survey
            .parts
            .iter()
            .filter(|((of_slot, _), _)| *of_slot == per_slot);
        let divisor = if per_slot { shape.slots() } else { 1 };
        let mut parts: Vec<Part> = chosen
            .map(|((_, name), count)| Part {
                name: name.clone(),
                constraints: count / divisor,
            })
            .collect();
        parts.sort_by(|a, b| {
            b.constraints
                .cmp(&a.constraints)
                .then_with(|| a.name.cmp(&b.name))
        });
        parts
    };
    let transfer_parts = parts(true);
    Ok(Stats {
        constraints: survey.constraints,
        witness: survey.aux,
        inputs: survey.inputs - 1,
        per_transfer: transfer_parts.iter().map(|part| part.constraints).sum(),
        transfer_parts,
        batch_parts: parts(false),
    })
}

/// The digest of a shape's constraints that its keys carry
/// ([`carillon_runtime::groth16::circuit_digest`]). Two circuits with equal digests
/// accept the same witnesses and can share keys.
///
/// # Errors
/// Passes on synthesis errors; a valid shape gives none.
pub fn digest(shape: Shape) -> Result<CircuitDigest, Groth16Error> {
    circuit_digest(BatchCircuit::blank(shape))
}

/// Namespaces that start with this belong to a slot.
const SLOT: &str = "transfer ";

struct Survey {
    inputs: usize,
    aux: usize,
    constraints: usize,
    /// Constraints by whether the part belongs to a slot and its name.
    parts: BTreeMap<(bool, String), usize>,
    path: Vec<String>,
}

impl Survey {
    fn of(shape: Shape) -> Result<Self, SynthesisError> {
        let mut survey = Self {
            inputs: 1,
            aux: 0,
            constraints: 0,
            parts: BTreeMap::new(),
            path: Vec::new(),
        };
        BatchCircuit::blank(shape).synthesize(&mut survey)?;
        Ok(survey)
    }

    /// The part the current namespace belongs to: its first name, or within a slot
    /// the next two, where the second one says something.
    fn part(&self) -> (bool, String) {
        let mut names = self.path.iter().map(String::as_str);
        let first = names.next().unwrap_or("bindings");
        if !first.starts_with(SLOT) {
            return (false, first.to_owned());
        }
        let part = names.next().unwrap_or("bindings");
        let name = match names.next() {
            Some(detail) if part == "signature" || part.ends_with("update") => {
                format!("{part}: {detail}")
            }
            _ => part.to_owned(),
        };
        (true, name)
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
        *self.parts.entry(self.part()).or_default() += 1;
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
