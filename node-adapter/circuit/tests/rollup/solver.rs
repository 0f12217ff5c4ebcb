//! What a prover could do if one constraint were not there.
//!
//! [`Solver::without`] is a prover that knows of one constraint that nobody checks. It changes a
//! variable there, computes anew what follows, and moves free values where that repairs a constraint.
//! [`Solver::closing_without`] starts from a lie that only the bus refuses: the sum over the tuples, as a
//! function of a variable that is free now and can be chosen when the challenges are known, has a
//! zero. What they find is checked: every constraint holds but the one that is left out.

use std::collections::{BTreeSet, HashSet};

use blstrs::Scalar;
use ff::{Field, PrimeField};

use super::relations::Relations;
use super::search::{Search, spelled};
use super::system::{Sum, System, roots};

/// Variables of a constraint that are changed.
const VARIABLES: usize = 8;

const BUS: &str = "bus/everything written is read once";

/// A variable and a value for it.
type Change = (usize, Scalar);

/// A system, and what is known about it.
pub struct Solver {
    pub system: System,
    pub relations: Relations,
    /// Constraints that the given values violate.
    pub violated: Vec<usize>,
    /// The constraint that the sum over all tuples is zero.
    pub bus: usize,
}

impl Solver {
    pub fn new(system: System) -> Self {
        let relations = Relations::of(&system);
        let violated = system.violated();
        let bus = (0..system.rows.len()).find(|row| system.class(*row) == BUS);
        Self {
            relations,
            violated,
            bus: bus.unwrap(),
            system,
        }
    }

    /// Constraints of a class: of every slot, row or node the first, the last, and some between.
    pub fn members(&self, class: &str, most: usize) -> Vec<usize> {
        let rows = 0..self.system.rows.len();
        let all: Vec<usize> = rows
            .filter(|row| self.system.class(*row) == class)
            .collect();
        let part = |row: &usize| self.system.rows[*row].part;
        let mut parts: Vec<&[usize]> = all.chunk_by(|a, b| part(a) == part(b)).collect();
        // The last ones first: later slots are empty.
        parts.reverse();
        let mut chosen = Vec::new();
        for turn in 0..most {
            for rows in &parts {
                let n = rows.len();
                let place = [0, n - 1, 1, n / 2, n / 3, n / 4]
                    .get(turn)
                    .copied()
                    .unwrap_or(turn);
                chosen.extend(rows.get(place));
            }
        }
        let mut seen = HashSet::new();
        chosen.retain(|row| seen.insert(*row));
        chosen.truncate(most);
        chosen
    }

    /// Whether a false witness exists that this constraint alone refuses.
    pub fn without(&self, row: usize) -> bool {
        let missing = [row];
        let attempt = |changes: &[Change], loose| {
            let values = Search::new(self, &missing, true).run(changes, loose);
            values.is_some_and(|values| self.is_forgery(&values, &missing))
        };
        let fixed = |attempts: Vec<Vec<Change>>| attempts.iter().any(|c| attempt(c, None));
        let bit = self.system.rows[row].bit().map(|(bit, _)| bit);
        fixed(self.other_spellings(row))
            || fixed(self.own_changes(row, bit))
            || bit.is_some_and(|bit| {
                let mut beside = self.changes_beside(row, bit).into_iter();
                beside.any(|change| attempt(&[change], Some(bit)))
            })
            || fixed(self.changes_below(row))
    }

    /// Canonical bits with the modulus added.
    fn other_spellings(&self, row: usize) -> Vec<Vec<Change>> {
        if !self.system.class(row).contains("canonical bits") {
            return Vec::new();
        }
        let variables = self.system.rows[row].variables().into_iter();
        let numbers: BTreeSet<usize> = variables
            .filter_map(|v| self.relations.numbers[v])
            .collect();
        let numbers = numbers.into_iter();
        numbers
            .map(|number| self.beyond_the_modulus(number))
            .collect()
    }

    /// Other values of the constraint's variables; for a bit, too, with the others of its number
    /// such that the number stays.
    fn own_changes(&self, row: usize, bit: Option<usize>) -> Vec<Vec<Change>> {
        let mut changes = Vec::new();
        for variable in ends(self.system.rows[row].variables()) {
            for step in [1, -1, 2, -2, 7, -7] {
                let size = Scalar::from(u64::from(i32::unsigned_abs(step)));
                let step = if step < 0 { -size } else { size };
                let value = self.system.values[variable] + step;
                changes.extend(bit.and_then(|_| self.respelled(variable, value)));
                changes.push(vec![(variable, value)]);
            }
        }
        changes
    }

    /// Bits that stand beside this one: if it may have any value, it can make up for them.
    fn changes_beside(&self, row: usize, bit: usize) -> Vec<Change> {
        let users = self.relations.users[bit].iter().take(40);
        let rows = users.filter(|user| **user != row);
        let rows = rows.map(|user| self.relations.row(&self.system, *user));
        let variables: BTreeSet<usize> = rows.flat_map(|row| ends(row.variables())).collect();
        let bits = variables.into_iter();
        let bits = bits.filter(|v| *v != bit && self.relations.bits[*v]);
        bits.take(12).map(|v| self.changed(v)).collect()
    }

    /// What the constraint's variables are made of.
    fn changes_below(&self, row: usize) -> Vec<Vec<Change>> {
        let own = self.system.rows[row].variables();
        let sources = self.relations.sources(&self.system, row, 2 * VARIABLES);
        let below = sources.into_iter().filter(|v| !own.contains(v));
        below.map(|v| vec![self.changed(v)]).collect()
    }

    /// A variable with another value, a bit with the other one.
    fn changed(&self, variable: usize) -> Change {
        let value = self.system.values[variable];
        let other = if self.relations.bits[variable] {
            Scalar::ONE - value
        } else {
            value + Scalar::ONE
        };
        (variable, other)
    }

    /// Whether a lie that only the bus refuses is accepted without this constraint.
    pub fn closing_without(&self, row: usize) -> bool {
        let mut variables = ends(self.system.rows[row].variables()).into_iter();
        variables.any(|variable| self.closes(&[row], &[(variable, Scalar::ONE)]))
    }

    /// Whether such a lie is accepted without some constraints together: two variables of theirs are
    /// moved so that a sum which holds both stays.
    pub fn closing_without_all(&self, missing: &[usize]) -> bool {
        let newest = missing.iter().map(|row| self.system.rows[*row].newest);
        let variables: Vec<usize> = newest.collect();
        let pairs = variables
            .iter()
            .flat_map(|a| variables.iter().map(move |b| (*a, *b)));
        pairs.filter(|(a, b)| a < b).any(|(a, b)| {
            let users = self.relations.users[a].iter();
            let rows = users.map(|row| self.relations.row(&self.system, *row));
            let factors = |side: &Sum| [a, b].map(|variable| side.coefficient(variable));
            let mut factors = rows.flat_map(|row| &row.sides).map(factors);
            let both = factors.find(|both| !both.contains(&Scalar::ZERO));
            both.is_some_and(|[of_a, of_b]| self.closes(missing, &[(a, of_b), (b, -of_a)]))
        })
    }

    /// Whether the constraints are the only ones that refuse some values for their newest variables,
    /// with what follows.
    pub fn with_values(&self, missing: &[usize], values: &[Scalar]) -> bool {
        let newest = missing.iter().map(|row| self.system.rows[*row].newest);
        let changes: Vec<Change> = newest.zip(values.iter().copied()).collect();
        let values = Search::new(self, missing, true).run(&changes, None);
        values.is_some_and(|values| self.is_forgery(&values, missing))
    }

    /// Whether the sum over all tuples has a zero along a direction.
    fn closes(&self, missing: &[usize], direction: &[Change]) -> bool {
        let with = |times: Scalar| {
            let moved = |(v, step): &Change| (*v, self.system.values[*v] + times * step);
            let changes: Vec<Change> = direction.iter().map(moved).collect();
            Search::new(self, missing, false).run(&changes, None)
        };
        let sum = &self.system.rows[self.bus];
        let residual = |times: u64| with(Scalar::from(times)).map(|v| sum.residual(&v));
        let residuals = [0, 1, 2, 3].map(residual).into_iter();
        let Some(residuals) = residuals.collect::<Option<Vec<_>>>() else {
            return false;
        };
        let accepted =
            |times: Scalar| with(times).is_some_and(|values| self.is_forgery(&values, missing));
        zeros(&residuals).into_iter().any(accepted)
    }

    /// Some of the constraints left out are violated, and all others hold.
    fn is_forgery(&self, values: &[Scalar], missing: &[usize]) -> bool {
        let rows = self.system.rows.iter().enumerate();
        let mut violated = rows.filter(|(_, row)| !row.holds(values)).peekable();
        violated.peek().is_some() && violated.all(|(i, _)| missing.contains(&i))
    }

    /// Bits of a number with the modulus added, if that fits.
    fn beyond_the_modulus(&self, number: usize) -> Vec<Change> {
        let bits = &self.system.numbers[number];
        let mut spelled = [0u8; 32];
        for (bit, place) in bits {
            if self.system.values[*bit] == Scalar::ONE {
                spelled[place / 8] |= 1 << (place % 8);
            }
        }
        // The modulus is -1 and one more.
        let mut carry = 1;
        for (byte, more) in spelled.iter_mut().zip((-Scalar::ONE).to_repr().as_ref()) {
            let sum = u16::from(*byte) + u16::from(*more) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        if carry > 0 || spelled[31] >> 7 > 0 {
            return Vec::new();
        }
        let bit = |place: usize| Scalar::from(u64::from(spelled[place / 8] >> (place % 8) & 1));
        bits.iter()
            .map(|(variable, place)| (*variable, bit(*place)))
            .collect()
    }

    /// The number that a bit spells, with another value of that bit.
    fn respelled(&self, bit: usize, value: Scalar) -> Option<Vec<Change>> {
        let bits = &self.system.numbers[self.relations.numbers[bit]?];
        let weight = |place: usize| Scalar::from(2).pow_vartime([place as u64]);
        let terms = bits
            .iter()
            .map(|(v, place)| self.system.values[*v] * weight(*place));
        let (_, place) = bits.iter().find(|(v, _)| *v == bit)?;
        let rest = terms.sum::<Scalar>() - value * weight(*place);
        let others = bits.iter().filter(|(v, _)| *v != bit).copied();
        let mut changes = spelled(&rest, &others.collect::<Vec<_>>())?;
        changes.push((bit, value));
        Some(changes)
    }
}

/// The first and the last variables.
fn ends(mut variables: Vec<usize>) -> Vec<usize> {
    if variables.len() > VARIABLES {
        variables.drain(VARIABLES / 2..variables.len() - VARIABLES / 2);
    }
    variables
}

/// Zeros of a function by its values at 0, 1, 2 and 3: of (a + b x) / (1 + d x), and of
/// (a + b x + c x^2) / (1 + d x).
fn zeros(r: &[Scalar]) -> Vec<Scalar> {
    let inverse = |x: Scalar| Option::<Scalar>::from(x.invert());
    let two = Scalar::from(2);
    let a = r[0];
    let mut found = Vec::new();
    // b - r1 d = r1 - a, 2 b - 2 r2 d = r2 - a.
    if let Some(inverse) = inverse(two * (r[2] - r[1])) {
        let d = (two * (r[1] - a) - (r[2] - a)) * inverse;
        found.extend(roots(Scalar::ZERO, r[1] - a + r[1] * d, a));
    }
    // k b + k^2 c - k r_k d = r_k - a for k = 1, 2, 3: second differences of r_k and of k r_k.
    let s = [Scalar::ZERO, r[1], two * r[2], Scalar::from(3) * r[3]];
    let third = |v: [Scalar; 4]| v[3] - Scalar::from(3) * v[2] + Scalar::from(3) * v[1] - v[0];
    // The numerator r_k (1 + d k) is of degree two: its third difference is zero.
    if let Some(inverse) = inverse(third(s)) {
        let d = -third([r[0], r[1], r[2], r[3]]) * inverse;
        let at = |k: usize| r[k] + d * s[k];
        let half = Option::<Scalar>::from(two.invert()).unwrap_or_default();
        let c = (at(2) - two * at(1) + at(0)) * half;
        found.extend(roots(c, at(1) - at(0) - c, a));
    }
    found
}
