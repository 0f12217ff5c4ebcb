//! The circuit as a whole: the order of its parts, and what binds them to the public inputs.
//!
//! Called by whoever sets up or proves, through `bellpepper_core::Circuit`; `weakened` leaves a part
//! out.

use bellpepper_core::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use super::bus::Bus;
use super::cells::Rows;
use super::data::{self, HeaderVector, Identity};
use super::mutation::Mutation;
use super::poseidon;
use super::public::PublicInputs;
use super::shape::Shape;
use super::slot::{Context, Slot};
use super::top::Top;
use super::witness::Witness;
use crate::num::{Num, enforce_equal, input};

/// The circuit of one batch with its witness.
///
/// The fields are public so that tests and auditors can try to cheat; every value
/// other than the true ones leaves a constraint unsatisfied.
#[derive(Clone, Debug)]
pub struct RollupCircuit {
    /// Sizes.
    pub shape: Shape,
    /// The public inputs claimed.
    pub public_inputs: PublicInputs,
    /// Everything else.
    pub witness: Witness,
}

impl RollupCircuit {
    /// A circuit for key generation and surveys: it has the structure of every batch
    /// of this shape, and no valid witness.
    pub fn blank(shape: Shape) -> Self {
        Self {
            shape,
            public_inputs: PublicInputs::default(),
            witness: Witness::blank(shape),
        }
    }

    /// Sets the challenge point and the values there.
    #[must_use]
    pub fn evaluate_at(mut self, z: Scalar) -> Self {
        self.public_inputs = PublicInputs::of(&self.witness, z);
        self
    }
}

impl Circuit<Scalar> for RollupCircuit {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        self.synthesize_without(cs, None)
    }
}

impl RollupCircuit {
    /// The circuit; without a part of its memory argument in mutation runs.
    pub(super) fn synthesize_without<CS: ConstraintSystem<Scalar>>(
        self,
        cs: &mut CS,
        without: Option<Mutation>,
    ) -> Result<(), SynthesisError> {
        let Self {
            shape,
            public_inputs,
            witness,
        } = self;
        if !witness.has_shape(shape) {
            return Err(SynthesisError::IncompatibleLengthVector(format!(
                "the witness does not have the shape {}",
                shape.id()
            )));
        }
        let inputs = Inputs::new(cs, &public_inputs)?;

        // Before the challenges.
        let identity = Identity::new(cs.namespace(|| "identity"), &witness)?;
        let context = Context {
            shape,
            domain: identity.domain.clone(),
            operator: identity.operator.clone(),
        };
        let mut slots: Vec<Slot> = Vec::with_capacity(witness.ops.len());
        for (i, op) in witness.ops.iter().enumerate() {
            let records = slots
                .last()
                .map_or_else(Num::zero, |slot| slot.records.clone());
            let cs = cs.namespace(|| format!("op {i}"));
            slots.push(Slot::new(cs, &context, i, op, &records)?);
        }
        let count = slots
            .last()
            .map_or_else(Num::zero, |slot| slot.records.clone());
        let header = HeaderVector::new(
            cs.namespace(|| "header vector"),
            &identity,
            witness.roots,
            &witness.records,
            &count,
        )?;
        let rows = Rows::new(cs, shape, &witness.cells)?;
        let top = Top::new(cs.namespace(|| "top"), &witness.top)?;
        enforce_equal(
            cs,
            "old root is the state before",
            &top.roots[0],
            &header.words[1],
        );
        enforce_equal(
            cs,
            "new root is the state after",
            &top.roots[1],
            &header.words[2],
        );

        // The public data.
        let packed: Vec<&Num> = slots.iter().map(|slot| &slot.packed).collect();
        let blob = data::blob(&packed);
        inputs.bind_vectors(cs, &header.words, &blob)?;

        // The challenges, from everything that the tuples are made of.
        let parts = slots.iter().flat_map(Slot::absorbed);
        let parts = parts.chain(rows.absorbed()).chain(top.absorbed());
        let absorbed: Vec<Num> = parts
            .filter(|(part, _)| without != Some(Mutation::Absorbed(part)))
            .map(|(_, value)| value)
            .collect();
        let memory = poseidon::commit(cs.namespace(|| "memory commitment"), &absorbed)?;
        let commitments = [
            ("C_H", inputs.header_commitment),
            ("C_B", inputs.blob_commitment),
            ("C_M", memory),
        ];
        let commitments = commitments.map(|(name, commitment)| {
            if without == Some(Mutation::Commitment(name)) {
                Num::zero()
            } else {
                commitment
            }
        });
        let [gamma, beta] = poseidon::bus_challenges(cs.namespace(|| "challenges"), commitments)?;

        // After the challenges.
        let mut cs = cs.namespace(|| "bus");
        let mut bus = Bus::new(cs.namespace(|| "powers"), gamma, beta, without)?;
        for (i, slot) in slots.iter().enumerate() {
            slot.put_on(cs.namespace(|| format!("op {i}")), &mut bus)?;
        }
        rows.put_on(cs.namespace(|| "rows"), &mut bus)?;
        header.put_on(cs.namespace(|| "header vector"), &mut bus)?;
        top.put_on(cs.namespace(|| "top"), &mut bus)?;
        bus.close(&mut cs);
        Ok(())
    }
}

/// The public inputs as variables.
struct Inputs {
    header_commitment: Num,
    blob_commitment: Num,
    z: Num,
    header_value: Num,
    blob_value: Num,
}

impl Inputs {
    /// The order is the contract's.
    fn new<CS: ConstraintSystem<Scalar>>(
        cs: &mut CS,
        claimed: &PublicInputs,
    ) -> Result<Self, SynthesisError> {
        let mut next = |name: &'static str, value: Scalar| input(cs.namespace(|| name), value);
        Ok(Self {
            header_commitment: next("header commitment", claimed.header_commitment)?,
            blob_commitment: next("blob commitment", claimed.blob_commitment)?,
            z: next("z", claimed.z)?,
            header_value: next("header value", claimed.header_value)?,
            blob_value: next("blob value", claimed.blob_value)?,
        })
    }

    /// The vectors are those committed to, and have the values claimed at z.
    fn bind_vectors<CS: ConstraintSystem<Scalar>>(
        &self,
        cs: &mut CS,
        header: &[Num],
        blob: &[Num],
    ) -> Result<(), SynthesisError> {
        let commitment = poseidon::commit(cs.namespace(|| "commitment to H"), header)?;
        enforce_equal(
            cs,
            "header commitment is of H",
            &commitment,
            &self.header_commitment,
        );
        let commitment = poseidon::commit(cs.namespace(|| "commitment to B"), blob)?;
        enforce_equal(
            cs,
            "blob commitment is of B",
            &commitment,
            &self.blob_commitment,
        );
        let value = data::polynomial(cs.namespace(|| "H at z"), header, &self.z)?;
        enforce_equal(cs, "header value is H at z", &value, &self.header_value);
        let value = data::blob_value(cs.namespace(|| "B at z"), blob, &self.z)?;
        enforce_equal(cs, "blob value is B at z", &value, &self.blob_value);
        Ok(())
    }
}
