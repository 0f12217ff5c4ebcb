//! What follows from what in a circuit: how a prover computes one value after the other.

use std::collections::{BTreeMap, HashMap, HashSet};

use blstrs::Scalar;
use ff::Field;

use super::system::{INPUTS, Row, Sum, System};

/// How the value of a variable follows from others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The constraint has one solution for it.
    Row(usize),
    /// It is the bit of an `is_equal`, whose two constraints these are.
    Equality([usize; 2]),
}

/// Relations between the variables and constraints of a system.
pub struct Relations {
    /// Constraints by variable; those of `matches` count on from those of the system.
    pub users: Vec<Vec<usize>>,
    pub makers: Vec<Option<Maker>>,
    pub bits: Vec<bool>,
    /// The number that a bit spells.
    pub numbers: Vec<Option<usize>>,
    /// What makes the bus close, whatever the challenges are: tuples that are equal in the witness
    /// stay so, part by part.
    pub matches: Vec<Row>,
}

impl Relations {
    pub fn of(system: &System) -> Self {
        let count = system.values.len();
        let mut relations = Self {
            users: vec![Vec::new(); count],
            makers: vec![None; count],
            bits: vec![false; count],
            numbers: vec![None; count],
            matches: matches(system),
        };
        for (number, bits) in system.numbers.iter().enumerate() {
            for (bit, _) in bits {
                relations.numbers[*bit] = Some(number);
            }
        }
        for (bit, _) in system.rows.iter().filter_map(Row::bit) {
            relations.bits[bit] = true;
        }
        let rows = system.rows.iter().chain(&relations.matches).enumerate();
        for (i, row) in rows {
            for variable in row.variables() {
                relations.users[variable].push(i);
            }
            if i >= system.rows.len() {
                continue;
            }
            let newest = row.newest;
            if makes(row, newest) && !relations.bits[newest] {
                let first = relations.makers[newest].unwrap_or(Maker::Row(i));
                relations.makers[newest] = Some(first);
            }
        }
        for (i, rows) in system.rows.windows(2).enumerate() {
            if let Some(bit) = equality(&rows[0], &rows[1]) {
                relations.makers[bit] = Some(Maker::Equality([i, i + 1]));
            }
        }
        relations
    }

    /// The nearest variables that nothing makes, of which a constraint's are made.
    pub fn sources(&self, system: &System, row: usize, most: usize) -> Vec<usize> {
        let mut queue = self.row(system, row).variables();
        let mut seen: HashSet<usize> = queue.iter().copied().collect();
        let mut found = Vec::new();
        let mut next = 0;
        while next < queue.len() && next < 400 && found.len() < most {
            let variable = queue[next];
            next += 1;
            match self.makers[variable] {
                None => found.push(variable),
                Some(Maker::Row(maker) | Maker::Equality([maker, _])) => {
                    let used = system.rows[maker].variables().into_iter();
                    queue.extend(used.filter(|v| seen.insert(*v)));
                }
            }
        }
        found
    }

    pub fn row<'a>(&'a self, system: &'a System, row: usize) -> &'a Row {
        let own = system.rows.len();
        row.checked_sub(own)
            .map_or_else(|| &system.rows[row], |i| &self.matches[i])
    }
}

/// Whether a row is there to make a variable: linear in it, and no condition that something is zero.
fn makes(row: &Row, variable: usize) -> bool {
    let [a, b, c] = &row.sides;
    let within = |side: &Sum| side.coefficient(variable) != Scalar::ZERO;
    variable >= INPUTS && !c.is_zero() && !(within(a) && within(b))
}

/// The bit e of d e = 0 and (d + e) u = 1.
fn equality(first: &Row, second: &Row) -> Option<usize> {
    let [d, e, zero] = &first.sides;
    let [(bit, one)] = e.terms[..] else {
        return None;
    };
    if one != Scalar::ONE || !zero.is_zero() {
        return None;
    }
    let [sum, _, unit] = &second.sides;
    let rest = sum.clone().plus(-Scalar::ONE, d).plus(-Scalar::ONE, e);
    let unit = unit.terms.is_empty() && unit.constant == Scalar::ONE;
    (rest.is_zero() && unit).then_some(bit)
}

/// A tuple on the bus.
struct Tuple {
    number: Scalar,
    /// gamma, tag and address.
    base: Sum,
    /// Its other parts by the power of beta.
    parts: BTreeMap<usize, Sum>,
}

/// For each pair of tuples that cancel, that their parts are equal.
fn matches(system: &System) -> Vec<Row> {
    let values = &system.values;
    let last = |row: &Row| {
        system.classes[row.class]
            .rsplit('/')
            .next()
            .map(str::to_owned)
    };
    let products: HashMap<usize, &Row> = system
        .rows
        .iter()
        .filter(|row| system.classes[row.class].contains("/tuple/"))
        .map(|row| (row.newest, row))
        .collect();
    let beta = system.rows.iter().find(|row| {
        let class = &system.classes[row.class];
        class == "bus/powers/beta^2/product"
    });
    let Some(beta) = beta.map(|row| &row.sides[0]) else {
        return Vec::new();
    };
    let power = beta.newest();
    let close = "everything written is read once";
    let close = system
        .rows
        .iter()
        .find(|row| last(row).as_deref() == Some(close));
    let mut sides: [Vec<Tuple>; 2] = [Vec::new(), Vec::new()];
    for row in &system.rows {
        let [share, number, flag] = &row.sides;
        let on_bus = last(row).as_deref() == Some("share of the bus");
        if !on_bus || flag.value(values) == Scalar::ZERO {
            continue;
        }
        let time = beta.coefficient(power).invert();
        let time = number.coefficient(power) * Option::<Scalar>::from(time).unwrap_or_default();
        let mut base = number.clone().plus(-time, beta);
        let mut parts = BTreeMap::new();
        if time != Scalar::ZERO {
            let constant = Sum {
                constant: time,
                ..Sum::default()
            };
            parts.insert(power, constant);
        }
        for (variable, _) in &number.terms {
            if let Some(product) = products.get(variable) {
                let [of, part, _] = &product.sides;
                parts.insert(of.newest(), part.clone());
            }
        }
        base.terms
            .retain(|(variable, _)| !products.contains_key(variable));
        let tuple = Tuple {
            number: number.value(values),
            base,
            parts,
        };
        let supplied = close.map(|row| row.sides[0].coefficient(share.newest()));
        sides[usize::from(supplied == Some(Scalar::ONE))].push(tuple);
    }
    let [consumed, mut supplied] = sides;
    let mut rows = Vec::new();
    for tuple in consumed {
        let Some(other) = supplied.iter().position(|t| t.number == tuple.number) else {
            continue;
        };
        let other = supplied.swap_remove(other);
        // gamma stands in both.
        let mut equal = vec![other.base.plus(-Scalar::ONE, &tuple.base)];
        let mut parts = other.parts;
        for (power, part) in tuple.parts {
            let theirs = parts.remove(&power).unwrap_or_default();
            equal.push(theirs.plus(-Scalar::ONE, &part));
        }
        equal.extend(parts.into_values());
        rows.extend(
            equal
                .into_iter()
                .filter(|sum| !sum.terms.is_empty())
                .map(Row::zero),
        );
    }
    rows
}
