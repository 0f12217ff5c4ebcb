//! Size and identity of a circuit: constraints by part, and a digest of the R1CS.
//!
//! Both come from a constraint system that counts and hashes without storing
//! anything or computing a witness. Called by `carillon-node`, by the tests that
//! pin the circuit's version, and by operators who compare keys.

use std::collections::BTreeMap;
use std::fmt;

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use sha2::{Digest, Sha256};

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
    let survey = Survey::of(shape, false)?;
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

/// SHA-256 over the R1CS of a shape: every constraint with its variables and
/// coefficients, in order. Two circuits with equal digests accept the same
/// witnesses and can share keys.
///
/// # Errors
/// Passes on synthesis errors; a valid shape gives none.
pub fn digest(shape: Shape) -> Result<[u8; 32], SynthesisError> {
    let survey = Survey::of(shape, true)?;
    let hash = survey.hash.unwrap_or_default();
    let sizes = [survey.inputs, survey.aux, survey.constraints].map(|n| (n as u64).to_le_bytes());
    Ok(hash.chain_update(sizes.concat()).finalize().into())
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
    hash: Option<Sha256>,
}

impl Survey {
    fn of(shape: Shape, hash: bool) -> Result<Self, SynthesisError> {
        let mut survey = Self {
            inputs: 1,
            aux: 0,
            constraints: 0,
            parts: BTreeMap::new(),
            path: Vec::new(),
            hash: hash.then(Sha256::new),
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

    fn absorb(&mut self, lc: &LinearCombination<Scalar>) {
        let Some(hash) = &mut self.hash else { return };
        hash.update((lc.len() as u64).to_le_bytes());
        for (variable, coefficient) in lc.iter() {
            let (kind, index) = match variable.get_unchecked() {
                Index::Input(index) => (0u8, index),
                Index::Aux(index) => (1, index),
            };
            hash.update([kind]);
            hash.update((index as u64).to_le_bytes());
            hash.update(coefficient.to_bytes_le());
        }
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

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        self.constraints += 1;
        *self.parts.entry(self.part()).or_default() += 1;
        if self.hash.is_some() {
            self.absorb(&a(LinearCombination::zero()));
            self.absorb(&b(LinearCombination::zero()));
            self.absorb(&c(LinearCombination::zero()));
        }
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
