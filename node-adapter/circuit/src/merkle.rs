//! Opening and replacing one leaf of the 4-ary account tree.
//!
//! The prover shows, level by level, all four children of the node above; the
//! child that the index bits select must be the hash reached so far. The same
//! children with only that child exchanged give the new root, so an update can
//! change nothing but the opened leaf. Called by `cells`.

use bellpepper_core::boolean::Boolean;
use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use super::num::{Num, alloc, enforce_product, from_bit, mul, sub};
use super::poseidon::hash_node;

/// Roots before and after one leaf is replaced.
pub(super) struct Roots {
    /// Root that the path gives for the old leaf.
    pub(super) before: Num,
    /// Root with the new leaf in its place.
    pub(super) after: Num,
}

/// Replaces the leaf at the index spelled by `index` (two bits a level, least
/// significant first): 582 constraints a level.
pub(super) fn replace<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    old_leaf: Num,
    new_leaf: Num,
    index: &[Boolean],
    path: &[[Scalar; 4]],
) -> Result<Roots, SynthesisError> {
    let mut roots = Roots {
        before: old_leaf,
        after: new_leaf,
    };
    for (level, (bits, values)) in index.chunks(2).zip(path).enumerate() {
        let mut cs = cs.namespace(|| format!("level {level}"));
        let mut children = Vec::with_capacity(4);
        for (i, value) in values.iter().enumerate() {
            children.push(alloc(cs.namespace(|| format!("child {i}")), || Ok(*value))?);
        }
        let [low, high] = [0, 1].map(|i| from_bit::<CS>(&bits[i]));
        let [c0, c1, c2, c3] = [0, 1, 2, 3].map(|i: usize| &children[i]);

        // Selected child: low ? c1 : c0 without the high bit, low ? c3 : c2 with it.
        let left = mul(cs.namespace(|| "low (c1 - c0)"), &low, &sub(c1, c0))?.add(c0);
        let right = mul(cs.namespace(|| "low (c3 - c2)"), &low, &sub(c3, c2))?.add(c2);
        enforce_product(
            &mut cs,
            "selected child is the opened node",
            &high,
            &sub(&right, &left),
            &sub(&roots.before, &left),
        );

        // The change lands on the selected child alone.
        let change = sub(&roots.after, &roots.before);
        let at_low = mul(cs.namespace(|| "low change"), &low, &change)?;
        let at_high = mul(cs.namespace(|| "high change"), &high, &change)?;
        let at_3 = mul(cs.namespace(|| "low high change"), &low, &at_high)?;
        let at_1 = sub(&at_low, &at_3);
        let at_2 = sub(&at_high, &at_3);
        let at_0 = sub(&sub(&change, &at_1), &at_high);
        let replaced = [
            c0.clone().add(&at_0),
            c1.clone().add(&at_1),
            c2.clone().add(&at_2),
            c3.clone().add(&at_3),
        ];

        let shown = [c0, c1, c2, c3].map(Num::clone);
        roots = Roots {
            before: hash_node(cs.namespace(|| "hash before"), shown)?,
            after: hash_node(cs.namespace(|| "hash after"), replaced)?,
        };
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;
    use ff::Field;

    use super::*;
    use crate::num::alloc_uint;
    use carillon_protocol::crypto::poseidon::hash_node as native;

    type Cs = TestConstraintSystem<Scalar>;

    fn leaf(index: u32) -> Scalar {
        Scalar::from(100 + u64::from(index))
    }

    /// A full tree of two levels.
    struct Tree(Vec<Scalar>);

    impl Tree {
        fn nodes(&self) -> Vec<Scalar> {
            let (groups, _) = self.0.as_chunks::<4>();
            groups.iter().map(native).collect()
        }

        fn root(&self) -> Scalar {
            Tree(self.nodes())
                .nodes()
                .first()
                .copied()
                .unwrap_or_default()
        }

        fn path(&self, index: u32) -> Vec<[Scalar; 4]> {
            let group = |nodes: &[Scalar], at: usize| std::array::from_fn(|i| nodes[4 * at + i]);
            vec![group(&self.0, index as usize / 4), group(&self.nodes(), 0)]
        }
    }

    fn tree() -> Tree {
        Tree((0..16).map(leaf).collect())
    }

    fn run(
        index: u32,
        old: Scalar,
        new: Scalar,
        path: &[[Scalar; 4]],
    ) -> (Cs, Option<Scalar>, Option<Scalar>) {
        let mut cs = Cs::new();
        let (_, bits) = alloc_uint(cs.namespace(|| "index"), index.into(), 4).unwrap();
        let old = alloc(cs.namespace(|| "old"), || Ok(old)).unwrap();
        let new = alloc(cs.namespace(|| "new"), || Ok(new)).unwrap();
        let roots = replace(cs.namespace(|| "path"), old, new, &bits, path).unwrap();
        (cs, roots.before.get_value(), roots.after.get_value())
    }

    #[test]
    fn roots_agree_with_the_native_tree_at_every_position() {
        let before_tree = tree();
        for index in 0..16 {
            let path = before_tree.path(index);
            let new = Scalar::from(7);
            let mut changed = tree();
            changed.0[index as usize] = new;
            let (cs, before, after) = run(index, leaf(index), new, &path);
            assert!(cs.is_satisfied());
            assert_eq!(cs.num_constraints(), 4 + 2 * 582);
            assert_eq!(
                (before, after),
                (Some(before_tree.root()), Some(changed.root()))
            );
        }
    }

    #[test]
    fn a_wrong_leaf_index_or_selected_child_is_refused() {
        let tree = tree();
        let path = tree.path(6);
        let refused = Some("path/level 0/selected child is the opened node");
        let (cs, ..) = run(6, leaf(5), leaf(5), &path);
        assert_eq!(cs.which_is_unsatisfied(), refused);
        for wrong in (0..16).filter(|i| i & 3 != 6 & 3) {
            let (cs, ..) = run(wrong, leaf(6), leaf(6), &path);
            assert_eq!(cs.which_is_unsatisfied(), refused, "index {wrong}");
        }
        let mut changed = path;
        changed[1][1] += Scalar::ONE;
        let (cs, ..) = run(6, leaf(6), leaf(6), &changed);
        assert_eq!(
            cs.which_is_unsatisfied(),
            Some("path/level 1/selected child is the opened node")
        );
    }

    #[test]
    fn a_wrong_sibling_gives_another_root() {
        let tree = tree();
        let path = tree.path(6);
        for level in 0..2 {
            for child in 0..4 {
                let mut changed = path.clone();
                changed[level][child] += Scalar::ONE;
                let (cs, before, _) = run(6, leaf(6), leaf(6), &changed);
                assert!(cs.which_is_unsatisfied().is_some() || before != Some(tree.root()));
            }
        }
    }
}
