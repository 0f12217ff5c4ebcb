//! A synthesised circuit as rows with values.
//!
//! [`System`] keeps each constraint with its class: its name without the numbers of slots, rows, bits
//! and rounds. What follows from what is in `relations`, the search for false witnesses in `solver`.

use std::collections::{BTreeSet, HashMap};

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use ff::Field;

/// Places of the public inputs, before all other variables.
pub const INPUTS: usize = 8;

/// A linear combination: the constant, and variables with their coefficients in their order.
#[derive(Clone, Default)]
pub struct Sum {
    pub constant: Scalar,
    pub terms: Vec<(usize, Scalar)>,
}

impl Sum {
    fn of(combination: &LinearCombination<Scalar>) -> Self {
        let mut sum = Self::default();
        for (variable, coefficient) in combination.iter() {
            match variable.get_unchecked() {
                Index::Input(0) => sum.constant += coefficient,
                Index::Input(i) => sum.terms.push((i, *coefficient)),
                Index::Aux(i) => sum.terms.push((INPUTS + i, *coefficient)),
            }
        }
        sum.tidy();
        sum
    }

    fn tidy(&mut self) {
        self.terms.sort_unstable_by_key(|(variable, _)| *variable);
        self.terms.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        self.terms
            .retain(|(_, coefficient)| *coefficient != Scalar::ZERO);
    }

    /// The sum and a multiple of another one.
    pub fn plus(mut self, factor: Scalar, other: &Self) -> Self {
        self.constant += factor * other.constant;
        let scaled = other.terms.iter().map(|(v, c)| (*v, factor * c));
        self.terms.extend(scaled);
        self.tidy();
        self
    }

    pub fn is_zero(&self) -> bool {
        self.terms.is_empty() && self.constant == Scalar::ZERO
    }

    pub fn coefficient(&self, variable: usize) -> Scalar {
        let found = self.terms.binary_search_by_key(&variable, |(v, _)| *v);
        found.map_or(Scalar::ZERO, |i| self.terms[i].1)
    }

    pub fn newest(&self) -> usize {
        self.terms.last().map_or(0, |(variable, _)| *variable)
    }

    pub fn value(&self, values: &[Scalar]) -> Scalar {
        let terms = self.terms.iter();
        terms.fold(self.constant, |sum, (variable, coefficient)| {
            sum + values[*variable] * coefficient
        })
    }
}

/// A constraint.
pub struct Row {
    /// a * b = c.
    pub sides: [Sum; 3],
    pub class: usize,
    /// The slot, row or node that it belongs to.
    pub part: usize,
    /// The last variable that was made.
    pub newest: usize,
}

impl Row {
    pub fn new(sides: [Sum; 3], class: usize, part: usize) -> Self {
        let newest = sides.iter().map(Sum::newest).max().unwrap_or_default();
        Self {
            sides,
            class,
            part,
            newest,
        }
    }

    /// A row that says that a sum is zero.
    pub fn zero(sum: Sum) -> Self {
        let one = Sum {
            constant: Scalar::ONE,
            ..Sum::default()
        };
        Self::new([sum, one, Sum::default()], usize::MAX, usize::MAX)
    }

    /// Its variables, the newest first.
    pub fn variables(&self) -> Vec<usize> {
        let terms = self.sides.iter().flat_map(|side| &side.terms);
        let variables: BTreeSet<usize> = terms.map(|(variable, _)| *variable).collect();
        variables.into_iter().rev().collect()
    }

    /// a * b - c.
    pub fn residual(&self, values: &[Scalar]) -> Scalar {
        let [a, b, c] = self.sides.each_ref().map(|side| side.value(values));
        a * b - c
    }

    pub fn holds(&self, values: &[Scalar]) -> bool {
        self.residual(values) == Scalar::ZERO
    }

    /// The combination that the row says is zero, if the row is linear.
    pub fn linear(&self) -> Option<Sum> {
        let [a, b, c] = &self.sides;
        let (side, factor) = match (a.terms.is_empty(), b.terms.is_empty()) {
            (_, true) => (a, b.constant),
            (true, false) => (b, a.constant),
            _ => return None,
        };
        let scaled = Sum::default().plus(factor, side);
        Some(scaled.plus(-Scalar::ONE, c))
    }

    /// The bit of which the row says that it is one, and the bit that forbids it if there is one:
    /// (1 - x) x = 0, or (1 - e - x) x = 0.
    pub fn bit(&self) -> Option<(usize, Option<usize>)> {
        let [a, b, c] = &self.sides;
        let [(x, one)] = b.terms[..] else {
            return None;
        };
        let fits = one == Scalar::ONE
            && c.is_zero()
            && b.constant == Scalar::ZERO
            && a.constant == Scalar::ONE;
        let minus = a.terms.iter().all(|(_, factor)| *factor == -Scalar::ONE);
        if !fits || !minus || a.coefficient(x) == Scalar::ZERO || a.terms.len() > 2 {
            return None;
        }
        let other = a.terms.iter().find(|(v, _)| *v != x);
        Some((x, other.map(|(v, _)| *v)))
    }

    /// Values of a variable with which the row holds.
    pub fn solutions(&self, values: &[Scalar], variable: usize) -> Vec<Scalar> {
        let [ka, kb, kc] = self.sides.each_ref().map(|s| s.coefficient(variable));
        let [a, b, c] = self.sides.each_ref().map(|side| side.value(values));
        // (a + ka d) (b + kb d) = c + kc d.
        let changes = roots(ka * kb, ka * b + kb * a - kc, a * b - c);
        let value = values[variable];
        changes.into_iter().map(|d| value + d).collect()
    }
}

/// Where a x^2 + b x + c = 0.
pub fn roots(a: Scalar, b: Scalar, c: Scalar) -> Vec<Scalar> {
    let inverse = |x: Scalar| Option::<Scalar>::from(x.invert());
    let Some(half) = inverse(a.double()) else {
        return inverse(b).map(|inverse| -c * inverse).into_iter().collect();
    };
    let root: Option<Scalar> = (b.square() - (a * c).double().double()).sqrt().into();
    let both = root.map(|root| [(root - b) * half, (-root - b) * half]);
    both.into_iter().flatten().collect()
}

/// A synthesised circuit.
#[derive(Default)]
pub struct System {
    path: Vec<String>,
    inputs: usize,
    /// Public inputs, then the other variables.
    pub values: Vec<Scalar>,
    pub rows: Vec<Row>,
    pub classes: Vec<String>,
    class_index: HashMap<String, usize>,
    part_index: HashMap<String, usize>,
    /// Bits that spell a number, with their places in it.
    pub numbers: Vec<Vec<(usize, usize)>>,
    number_index: HashMap<String, usize>,
    /// A variable's name whose value is wanted, and nothing else.
    watch: Option<(&'static str, Scalar)>,
}

/// The number at the end of a name like `bit 12`.
fn number_in<'a>(segment: &'a str, name: &str) -> Option<&'a str> {
    let number = segment.strip_prefix(name)?.strip_prefix(' ')?;
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    number.split(' ').all(digits).then_some(number)
}

/// A name without the numbers that count repetitions.
fn class_of(path: &[String]) -> String {
    let mut out: Vec<&str> = Vec::with_capacity(path.len());
    for segment in path {
        let name = segment.split(' ').next().unwrap_or_default();
        let counted = number_in(segment, name).is_some();
        // These tell different things apart, not repetitions.
        let kept =
            matches!(name, "age" | "value" | "word") || name == "cell" && out.last() == Some(&"op");
        let run = number_in(segment, "run ending at").map(|_| "run");
        out.push(run.unwrap_or(if counted && !kept { name } else { segment }));
    }
    out.join("/")
}

fn index_of(index: &mut HashMap<String, usize>, name: String) -> usize {
    let next = index.len();
    *index.entry(name).or_insert(next)
}

impl System {
    /// Synthesises a circuit.
    pub fn of(circuit: impl Circuit<Scalar>) -> Self {
        let mut system = Self {
            values: vec![Scalar::ZERO; INPUTS],
            ..Self::default()
        };
        circuit.synthesize(&mut system).unwrap();
        system
    }

    /// The value of one variable of a circuit.
    pub fn value_in(circuit: impl Circuit<Scalar>, name: &'static str) -> Scalar {
        let mut system = Self {
            values: vec![Scalar::ZERO; INPUTS],
            watch: Some((name, Scalar::ZERO)),
            ..Self::default()
        };
        circuit.synthesize(&mut system).unwrap();
        let (_, value) = system.watch.unwrap();
        assert_ne!(value, Scalar::ZERO, "no variable {name}");
        value
    }

    /// The classes of all constraints.
    pub fn all_classes(&self) -> BTreeSet<&str> {
        self.classes.iter().map(String::as_str).collect()
    }

    pub fn class(&self, row: usize) -> &str {
        &self.classes[self.rows[row].class]
    }

    /// The constraints that the values violate.
    pub fn violated(&self) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        let violated = rows.filter(|(_, row)| !row.holds(&self.values));
        violated.map(|(i, _)| i).collect()
    }

    /// The classes of the constraints that the values violate.
    pub fn violated_classes(&self) -> BTreeSet<&str> {
        let violated = self.violated().into_iter();
        violated.map(|row| self.class(row)).collect()
    }

    /// Notes a bit that spells a number: they are made under `bit 0`, `bit 1`, ...
    fn note_bit(&mut self, variable: usize) {
        let Some((last, parents)) = self.path.split_last() else {
            return;
        };
        let Some(Ok(place)) = number_in(last, "bit").map(str::parse::<usize>) else {
            return;
        };
        let name = parents.join("/");
        // Canonical bits count from the top.
        let canonical = name.ends_with("canonical bits");
        let number = index_of(&mut self.number_index, name);
        if number == self.numbers.len() {
            self.numbers.push(Vec::new());
        }
        let place = if canonical { 254 - place } else { place };
        self.numbers[number].push((variable, place));
    }
}

impl ConstraintSystem<Scalar> for System {
    type Root = Self;

    fn alloc<F, A, AR>(&mut self, name: A, value: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        let value = value()?;
        let name = name().into();
        if let Some((wanted, found)) = &mut self.watch {
            if wanted.ends_with(&name) && format!("{}/{name}", self.path.join("/")) == *wanted {
                *found = value;
            }
        } else if name == "boolean" {
            self.note_bit(self.values.len());
        }
        self.values.push(value);
        let index = self.values.len() - 1 - INPUTS;
        Ok(Variable::new_unchecked(Index::Aux(index)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, value: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.inputs += 1;
        assert!(self.inputs < INPUTS);
        self.values[self.inputs] = value()?;
        Ok(Variable::new_unchecked(Index::Input(self.inputs)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, name: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        if self.watch.is_some() {
            return;
        }
        let zero = LinearCombination::zero;
        let sides = [a(zero()), b(zero()), c(zero())].map(|side| Sum::of(&side));
        let first = self
            .path
            .iter()
            .find(|segment| !matches!(segment.as_str(), "bus" | "rows"));
        let part = first.cloned().unwrap_or_default();
        let part = index_of(&mut self.part_index, part);
        let mut row = Row::new(sides, 0, part);

        self.path.push(name().into());
        let mut class = class_of(&self.path);
        self.path.pop();
        if matches!(row.bit(), Some((_, Some(_)))) {
            class.push_str(", or zero below a run");
        }
        row.class = index_of(&mut self.class_index, class.clone());
        if row.class == self.classes.len() {
            self.classes.push(class);
        }
        self.rows.push(row);
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
