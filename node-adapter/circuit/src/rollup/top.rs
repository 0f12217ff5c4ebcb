//! The top of the account tree, hashed as a whole before and after the batch.
//!
//! Its lower edge has 4^k nodes. A node that no row opens keeps its hash; one that is
//! touched supplies its two hashes to the bus, where the run of rows below it
//! consumes them. Called by [`super::RollupCircuit`].

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use super::bus::{Bus, Tag, Time, Tuple};
use super::witness::TopWitness;
use crate::num::{Num, alloc, alloc_bit, constant, enforce_product, from_bit, pow2, sub};
use crate::poseidon::hash_node;

/// Flags in one absorbed value.
const FLAGS: usize = 250;

struct Node {
    hashes: [Num; 2],
    touched: Num,
}

/// The nodes of the lower edge.
pub(super) struct Top {
    nodes: Vec<Node>,
    /// Roots of the account tree before and after.
    pub(super) roots: [Num; 2],
}

impl Top {
    /// The nodes and the two roots above them.
    pub(super) fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        witness: &[TopWitness],
    ) -> Result<Self, SynthesisError> {
        let one = constant::<CS>(Scalar::ONE);
        let mut nodes = Vec::with_capacity(witness.len());
        for (j, node) in witness.iter().enumerate() {
            let mut cs = cs.namespace(|| format!("node {j}"));
            let before = alloc(cs.namespace(|| "before"), || Ok(node.nodes[0]))?;
            let after = alloc(cs.namespace(|| "after"), || Ok(node.nodes[1]))?;
            let touched = alloc_bit(cs.namespace(|| "touched"), Some(node.touched))?;
            let touched = from_bit::<CS>(&touched);
            enforce_product(
                &mut cs,
                "an untouched node stays",
                &sub(&one, &touched),
                &sub(&after, &before),
                &Num::zero(),
            );
            nodes.push(Node {
                hashes: [before, after],
                touched,
            });
        }
        let mut root = |name: &'static str, side: usize| {
            let edge = nodes.iter().map(|node| node.hashes[side].clone()).collect();
            climb(cs.namespace(|| name), edge)
        };
        let roots = [root("hashes before", 0)?, root("hashes after", 1)?];
        Ok(Self { nodes, roots })
    }

    /// What the challenges are drawn from: the flags. The hashes are bound by the roots.
    pub(super) fn absorbed(&self) -> impl Iterator<Item = (&'static str, Num)> + '_ {
        self.nodes.chunks(FLAGS).map(|nodes| {
            let flags = nodes
                .iter()
                .enumerate()
                .fold(Num::zero(), |sum, (i, node)| {
                    sum.add(&node.touched.clone().scale(pow2(i as u64)))
                });
            ("top flags", flags)
        })
    }

    /// Supplies the touched nodes.
    pub(super) fn put_on<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        bus: &mut Bus,
    ) -> Result<(), SynthesisError> {
        for (j, node) in self.nodes.iter().enumerate() {
            let [before, after] = &node.hashes;
            let tuple = Tuple {
                tag: Tag::Top,
                address: &constant::<CS>(Scalar::from(j as u64)),
                time: Time::None,
                values: &[before, after],
            };
            bus.supply(cs.namespace(|| format!("node {j}")), &node.touched, &tuple)?;
        }
        Ok(())
    }
}

/// Root of a full 4-ary tree over its leaves.
fn climb<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    mut level: Vec<Num>,
) -> Result<Num, SynthesisError> {
    let mut height = 0;
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len() / 4);
        let (groups, _) = level.as_chunks::<4>();
        for (i, children) in groups.iter().enumerate() {
            let mut cs = cs.namespace(|| format!("hash {height} {i}"));
            above.push(hash_node(&mut cs, children.clone())?);
        }
        level = above;
        height += 1;
    }
    Ok(level.pop().unwrap_or_else(Num::zero))
}
