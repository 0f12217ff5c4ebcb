//! A prover's work: computes anew what follows from some changes, and repairs what they break.
//!
//! Called by `solver`, which says what is changed and checks what is found.

use std::collections::{BTreeSet, HashSet};

use blstrs::Scalar;
use ff::{Field, PrimeField};

use super::relations::Maker;
use super::solver::Solver;
use super::system::{INPUTS, Row};

/// Constraints looked at before an attempt is given up.
const STEPS: usize = 40_000;
/// Free values moved before an attempt is given up, with those taken back.
const REPAIRS: usize = 24;
/// Values that follow from others and are set all the same: their makers have to be repaired.
const PUSHES: usize = 3;

/// A prover's work so far.
#[derive(Clone)]
struct Work {
    values: Vec<Scalar>,
    /// Variables whose values were chosen.
    fixed: HashSet<usize>,
    /// Constraints to look at, in the order of what they make.
    waiting: BTreeSet<(usize, usize)>,
    pushes: usize,
}

/// A prover's way from some changes to a witness.
pub struct Search<'a> {
    solver: &'a Solver,
    /// The constraints that nobody checks.
    missing: &'a [usize],
    /// A bit that may have any value.
    loose: Option<usize>,
    /// Whether the bus has to close.
    bus: bool,
    budget: usize,
    steps: usize,
}

impl<'a> Search<'a> {
    pub fn new(solver: &'a Solver, missing: &'a [usize], bus: bool) -> Self {
        Self {
            solver,
            missing,
            loose: None,
            bus,
            budget: REPAIRS,
            steps: STEPS,
        }
    }

    /// Values after some changes, with all constraints repaired but the missing ones. What is changed
    /// stays, unless a bit is `loose`: then that one makes up for the changes, with any value.
    pub fn run(mut self, changes: &[(usize, Scalar)], loose: Option<usize>) -> Option<Vec<Scalar>> {
        if changes.is_empty() {
            return None;
        }
        self.loose = loose;
        let mut work = Work {
            values: self.solver.system.values.clone(),
            fixed: HashSet::new(),
            waiting: BTreeSet::new(),
            pushes: 0,
        };
        for row in &self.solver.violated {
            self.wait(&mut work, *row);
        }
        for (variable, value) in changes {
            self.set(&mut work, *variable, *value);
            if loose.is_none() {
                work.fixed.insert(*variable);
            }
        }
        self.settle(work)
    }

    fn wait(&self, work: &mut Work, row: usize) {
        let own = self.solver.system.rows.len();
        let of_bus = row >= own || row == self.solver.bus;
        if !self.missing.contains(&row) && (self.bus || !of_bus) {
            let newest = self.solver.relations.row(&self.solver.system, row).newest;
            work.waiting.insert((newest, row));
        }
    }

    fn set(&self, work: &mut Work, variable: usize, value: Scalar) {
        if work.values[variable] != value {
            work.values[variable] = value;
            for row in &self.solver.relations.users[variable] {
                self.wait(work, *row);
            }
        }
    }

    fn settle(&mut self, mut work: Work) -> Option<Vec<Scalar>> {
        while let Some((_, index)) = work.waiting.pop_first() {
            self.steps = self.steps.checked_sub(1)?;
            let row = self.solver.relations.row(&self.solver.system, index);
            if row.holds(&work.values)
                || self.make(&mut work, index, row)
                || self.spell(&mut work, row)
            {
                continue;
            }
            return self.repair(&work, index, row);
        }
        Some(work.values)
    }

    /// Computes the variable that the constraint makes.
    fn make(&self, work: &mut Work, index: usize, row: &Row) -> bool {
        for variable in row.variables() {
            if work.fixed.contains(&variable) {
                continue;
            }
            match self.solver.relations.makers[variable] {
                Some(Maker::Row(maker)) if maker == index => {
                    let solutions = row.solutions(&work.values, variable);
                    if let [value] = solutions[..] {
                        self.set(work, variable, value);
                        return true;
                    }
                }
                Some(Maker::Equality(rows)) if rows.contains(&index) => {
                    if rows.iter().any(|row| self.missing.contains(row)) {
                        continue;
                    }
                    let [difference, ..] = &self.solver.system.rows[rows[0]].sides;
                    let equal = difference.value(&work.values) == Scalar::ZERO;
                    let bit = Scalar::from(u64::from(equal));
                    if work.values[variable] != bit {
                        self.set(work, variable, bit);
                        self.wait(work, index);
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Spells a number in the bits of a linear constraint, if they are its newest variables.
    fn spell(&self, work: &mut Work, row: &Row) -> bool {
        let number = |v: usize| self.solver.relations.numbers[v];
        let (Some(newest), Some(sum)) = (number(row.newest), row.linear()) else {
            return false;
        };
        let of_number = sum.terms.iter().filter(|(v, _)| number(*v) == Some(newest));
        let free = of_number.filter(|(v, _)| !work.fixed.contains(v) && self.loose != Some(*v));
        let bits: Vec<(usize, Scalar)> = free.copied().collect();
        // The coefficients are powers of two, all with one sign.
        let places = |sign: Scalar| {
            let place = |(v, factor): &(usize, Scalar)| Some((*v, log2(&(sign * factor))?));
            bits.iter().map(place).collect::<Option<Vec<_>>>()
        };
        let signed = [Scalar::ONE, -Scalar::ONE].into_iter();
        let Some((sign, places)) = signed.filter_map(|s| Some((s, places(s)?))).next() else {
            return false;
        };
        let now = bits.iter().map(|(v, factor)| work.values[*v] * factor);
        let rest = sum.value(&work.values) - now.sum::<Scalar>();
        let Some(changes) = spelled(&(-rest * sign), &places) else {
            return false;
        };
        for (variable, value) in changes {
            self.set(work, variable, value);
        }
        true
    }

    /// Moves a value with which the constraint holds, one after the other.
    fn repair(&mut self, work: &Work, index: usize, row: &Row) -> Option<Vec<Scalar>> {
        if index == self.solver.bus {
            return None;
        }
        let relations = &self.solver.relations;
        let (mut free, mut made) = (Vec::new(), Vec::new());
        for variable in row.variables() {
            if work.fixed.contains(&variable) {
                continue;
            }
            let loose = self.loose == Some(variable);
            let bit = relations.bits[variable] && !loose;
            for value in row.solutions(&work.values, variable) {
                let is_bit = value == Scalar::ZERO || value == Scalar::ONE;
                if bit && !is_bit {
                    continue;
                }
                if loose {
                    free.insert(0, (variable, value));
                } else if variable < INPUTS || relations.makers[variable].is_none() {
                    free.push((variable, value));
                } else if work.pushes < PUSHES && made.len() < 4 {
                    made.push((variable, value));
                }
            }
        }
        // Public inputs first: they are the prover's to publish.
        free.sort_by_key(|(variable, _)| *variable >= INPUTS && self.loose != Some(*variable));
        let pushed = made.into_iter().map(|choice| (choice, 1));
        for ((variable, value), pushes) in free.into_iter().map(|choice| (choice, 0)).chain(pushed)
        {
            self.budget = self.budget.checked_sub(1)?;
            let mut next = work.clone();
            next.pushes += pushes;
            next.fixed.insert(variable);
            self.set(&mut next, variable, value);
            if let Some(values) = self.settle(next) {
                return Some(values);
            }
        }
        None
    }
}

/// Bits at some places that spell a number, if they can.
pub fn spelled(number: &Scalar, bits: &[(usize, usize)]) -> Option<Vec<(usize, Scalar)>> {
    let mut repr = number.to_repr();
    let bytes = repr.as_mut();
    let mut changes = Vec::with_capacity(bits.len());
    for (variable, place) in bits {
        let bit = bytes[place / 8] >> (place % 8) & 1;
        bytes[place / 8] &= !(1 << (place % 8));
        changes.push((*variable, Scalar::from(u64::from(bit))));
    }
    bytes.iter().all(|byte| *byte == 0).then_some(changes)
}

/// The place of the only bit of a number.
fn log2(number: &Scalar) -> Option<usize> {
    let repr = number.to_repr();
    let bytes = repr.as_ref();
    let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
    let first = bytes.iter().position(|byte| *byte != 0)?;
    (ones == 1).then(|| 8 * first + bytes[first].trailing_zeros() as usize)
}
