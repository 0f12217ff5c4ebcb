//! Names of constraints: the namespaces that were open when they were enforced, and their own names.

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;

/// The namespaces that are open.
#[derive(Debug, Default)]
pub(super) struct Path(Vec<String>);

impl Path {
    /// Opens one.
    pub fn push(&mut self, name: String) {
        self.0.push(name);
    }

    /// Closes the innermost.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// The full name of a constraint here.
    pub fn name(&self, constraint: &str) -> String {
        let mut name = String::new();
        for part in &self.0 {
            name.push_str(part);
            name.push('/');
        }
        name + constraint
    }
}

/// The name of constraint `index` of a circuit, which is run for it, without computing a value; `None` if it
/// has no such constraint, or refuses to run.
pub(super) fn name_of<C: Circuit<Scalar>>(circuit: C, index: usize) -> Option<String> {
    let mut names = Names {
        left: index,
        path: Path::default(),
        found: None,
        inputs: 1,
        aux: 0,
    };
    circuit.synthesize(&mut names).ok()?;
    names.found
}

/// The constraint system that looks for one name.
struct Names {
    /// Constraints before the one looked for.
    left: usize,
    path: Path,
    found: Option<String>,
    inputs: usize,
    aux: usize,
}

impl ConstraintSystem<Scalar> for Names {
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

    fn enforce<A, AR, LA, LB, LC>(&mut self, name: A, _: LA, _: LB, _: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        if self.found.is_some() {
            return;
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.found = Some(self.path.name(&name().into())),
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

    fn get_root(&mut self) -> &mut Self {
        self
    }
}
