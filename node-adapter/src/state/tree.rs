//! Sparse 4-ary Poseidon Merkle tree of account leaves.
//!
//! Only nodes that differ from the empty tree are stored; the hash of an empty
//! subtree is cached per level. A [`Draft`] reads through to its tree and collects
//! changes, so a batch that fails leaves no trace. Called by [`super::State`] and
//! by the witness builder of the circuit.

use std::collections::{BTreeMap, HashMap};

use blstrs::Scalar;
use ff::Field;
use thiserror::Error;

use crate::crypto::poseidon::hash_node;

/// Greatest depth: 4^16 leaves use all 32 bits of an account index.
pub const MAX_DEPTH: usize = 16;

/// An authentication path: for each level from the leaf up, the four children of
/// the node above, the one on the path included.
pub type Path = Vec<[Scalar; 4]>;

/// Level (0 = leaves) and position within the level.
type NodeId = (u8, u32);

/// Why the tree refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TreeError {
    /// Depth out of range.
    #[error("tree depth {depth} is out of range: choose 1 to {MAX_DEPTH} levels")]
    Depth {
        /// Depth asked for.
        depth: usize,
    },
    /// No such leaf.
    #[error("leaf {index} does not exist in a tree of depth {depth} (4^{depth} leaves)")]
    NoSuchLeaf {
        /// Index asked for.
        index: u32,
        /// Depth of the tree.
        depth: usize,
    },
}

/// The committed tree.
#[derive(Clone, Debug)]
pub struct AccountTree {
    depth: u8,
    /// `empty[l]` is the hash of an empty subtree whose root is at level `l`.
    empty: Vec<Scalar>,
    nodes: HashMap<NodeId, Scalar>,
}

impl AccountTree {
    /// An empty tree with 4^depth leaves.
    ///
    /// # Errors
    /// [`TreeError::Depth`] unless `1 <= depth <= MAX_DEPTH`.
    pub fn new(depth: usize) -> Result<Self, TreeError> {
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(TreeError::Depth { depth });
        }
        let mut empty = vec![Scalar::ZERO];
        for level in 0..depth {
            empty.push(hash_node(&[empty[level]; 4]));
        }
        Ok(Self {
            depth: depth as u8,
            empty,
            nodes: HashMap::new(),
        })
    }

    /// Levels between a leaf and the root.
    pub fn depth(&self) -> usize {
        self.depth.into()
    }

    /// Number of leaves.
    pub fn capacity(&self) -> u64 {
        1 << (2 * self.depth)
    }

    /// The root.
    pub fn root(&self) -> Scalar {
        self.node((self.depth, 0))
    }

    /// Starts a set of changes on top of this tree.
    pub fn draft(&self) -> Draft<'_> {
        Draft {
            tree: self,
            changed: HashMap::new(),
        }
    }

    /// Takes over the changes of a draft of this tree.
    pub fn commit(&mut self, changes: Changes) {
        self.nodes.extend(changes.0);
    }

    fn node(&self, id: NodeId) -> Scalar {
        self.nodes
            .get(&id)
            .copied()
            .unwrap_or(self.empty[usize::from(id.0)])
    }
}

/// Nodes changed by a draft.
#[derive(Debug)]
pub struct Changes(HashMap<NodeId, Scalar>);

/// Changes on top of a tree that are not yet committed.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    tree: &'a AccountTree,
    changed: HashMap<NodeId, Scalar>,
}

impl Draft<'_> {
    /// The root with the changes so far.
    pub fn root(&self) -> Scalar {
        self.node((self.tree.depth, 0))
    }

    /// The authentication path of a leaf.
    ///
    /// # Errors
    /// [`TreeError::NoSuchLeaf`].
    pub fn path(&self, index: u32) -> Result<Path, TreeError> {
        self.check(index)?;
        Ok((0..self.tree.depth)
            .map(|level| self.siblings(level, index >> (2 * level) >> 2))
            .collect())
    }

    /// Sets one leaf and the hashes above it.
    ///
    /// # Errors
    /// [`TreeError::NoSuchLeaf`].
    pub fn set_leaf(&mut self, index: u32, leaf: Scalar) -> Result<(), TreeError> {
        self.set_leaves([(index, leaf)])
    }

    /// Sets many leaves, hashing each node above them once.
    ///
    /// # Errors
    /// [`TreeError::NoSuchLeaf`]; the draft is then unchanged.
    pub fn set_leaves(
        &mut self,
        leaves: impl IntoIterator<Item = (u32, Scalar)>,
    ) -> Result<(), TreeError> {
        let mut level_nodes: BTreeMap<u32, Scalar> = leaves.into_iter().collect();
        if let Some((&index, _)) = level_nodes.last_key_value() {
            self.check(index)?;
        }
        for level in 0..self.tree.depth {
            self.changed.extend(
                level_nodes
                    .iter()
                    .map(|(&index, &hash)| ((level, index), hash)),
            );
            let mut parents = BTreeMap::new();
            for &index in level_nodes.keys() {
                let parent = index >> 2;
                parents
                    .entry(parent)
                    .or_insert_with(|| hash_node(&self.siblings(level, parent)));
            }
            level_nodes = parents;
        }
        self.changed.extend(
            level_nodes
                .iter()
                .map(|(_, &root)| ((self.tree.depth, 0), root)),
        );
        Ok(())
    }

    /// Ends the draft; [`AccountTree::commit`] applies the result.
    pub fn into_changes(self) -> Changes {
        Changes(self.changed)
    }

    /// The four children, at `level`, of the node `parent` above them.
    fn siblings(&self, level: u8, parent: u32) -> [Scalar; 4] {
        [0, 1, 2, 3].map(|child| self.node((level, parent << 2 | child)))
    }

    fn node(&self, id: NodeId) -> Scalar {
        self.changed
            .get(&id)
            .copied()
            .unwrap_or_else(|| self.tree.node(id))
    }

    fn check(&self, index: u32) -> Result<(), TreeError> {
        if u64::from(index) < self.tree.capacity() {
            return Ok(());
        }
        Err(TreeError::NoSuchLeaf {
            index,
            depth: self.tree.depth(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Root over a full list of leaves, by plain recursion.
    fn root_of(leaves: &[Scalar]) -> Scalar {
        if let [leaf] = leaves {
            return *leaf;
        }
        let quarter = leaves.len() / 4;
        hash_node(&[0, 1, 2, 3].map(|i| root_of(&leaves[i * quarter..(i + 1) * quarter])))
    }

    /// Root that a path gives for a leaf.
    fn climb(leaf: Scalar, mut index: u32, path: &Path) -> Scalar {
        path.iter().fold(leaf, |current, children| {
            assert_eq!(children[(index & 3) as usize], current);
            index >>= 2;
            hash_node(children)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn sparse_tree_equals_the_full_tree(writes in prop::collection::vec((0u32..64, 1u64..), 1..12)) {
            let mut full = vec![Scalar::ZERO; 64];
            let mut tree = AccountTree::new(3).unwrap();
            let mut one_by_one = tree.draft();
            for (index, value) in &writes {
                full[*index as usize] = Scalar::from(*value);
                one_by_one.set_leaf(*index, Scalar::from(*value)).unwrap();
            }
            prop_assert_eq!(one_by_one.root(), root_of(&full));
            let mut together = tree.draft();
            together.set_leaves(writes.iter().map(|(i, v)| (*i, Scalar::from(*v)))).unwrap();
            prop_assert_eq!(together.root(), root_of(&full));
            for index in [0, writes[0].0, 63] {
                let path = one_by_one.path(index).unwrap();
                prop_assert_eq!(climb(full[index as usize], index, &path), root_of(&full));
            }
            let changes = together.into_changes();
            prop_assert_eq!(tree.root(), root_of(&[Scalar::ZERO; 64]));
            tree.commit(changes);
            prop_assert_eq!(tree.root(), root_of(&full));
        }
    }

    #[test]
    fn depths_and_indices_out_of_range_are_refused() {
        assert_eq!(
            AccountTree::new(0).unwrap_err(),
            TreeError::Depth { depth: 0 }
        );
        assert_eq!(
            AccountTree::new(17).unwrap_err(),
            TreeError::Depth { depth: 17 }
        );
        let tree = AccountTree::new(2).unwrap();
        let mut draft = tree.draft();
        let refused = TreeError::NoSuchLeaf {
            index: 16,
            depth: 2,
        };
        assert_eq!(draft.path(16), Err(refused));
        let before = draft.root();
        assert_eq!(
            draft.set_leaves([(3, Scalar::ONE), (16, Scalar::ONE)]),
            Err(refused)
        );
        assert_eq!(draft.root(), before);
    }

    #[test]
    fn the_deepest_tree_takes_the_last_index() {
        let tree = AccountTree::new(MAX_DEPTH).unwrap();
        let mut draft = tree.draft();
        draft.set_leaf(u32::MAX, Scalar::ONE).unwrap();
        let path = draft.path(u32::MAX).unwrap();
        assert_eq!(climb(Scalar::ONE, u32::MAX, &path), draft.root());
    }
}
