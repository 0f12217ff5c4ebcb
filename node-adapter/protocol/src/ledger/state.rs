//! All accounts, the sparse 4-ary tree over their leaves, and the state root.
//!
//! Called by [`super::Ledger`], by replay, and through its nodes by the circuit's builder.

use std::collections::{BTreeMap, HashMap};

use blstrs::Scalar;

use super::account::{Account, TOKEN_LEVELS, UNUSED_LEAF};
use crate::crypto::poseidon::hash_node;

/// Most levels of an account tree: an index has 24 bits.
pub const MAX_DEPTH: usize = 12;

/// What a function gives for each item; on all cores with the feature `parallel`.
fn of_each<T: Sync, R: Send>(items: &[T], of: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        items.par_iter().map(of).collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        items.iter().map(of).collect()
    }
}

/// The accounts as of one state root.
#[derive(Clone, Debug)]
pub struct State {
    depth: usize,
    accounts: BTreeMap<u32, Account>,
    /// Nodes that differ from the empty tree, by level (0: leaves) and index.
    nodes: HashMap<(usize, u32), Scalar>,
    /// Hashes of empty subtrees by level.
    empty: Vec<Scalar>,
}

/// A proof that an account stands in a state, for L1: siblings on the way up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// The account's index.
    pub account: u32,
    /// The account.
    pub value: Account,
    /// The four children of each node above the account's leaf, from the leaf up.
    pub path: Vec<[Scalar; 4]>,
    /// The four children of each node above the balance of a token, from the balance up.
    pub token_path: Vec<[Scalar; 4]>,
}

impl State {
    /// The empty state over a tree of `depth` levels, at most [`MAX_DEPTH`]; a larger depth is cut.
    pub fn genesis(depth: usize) -> Self {
        let depth = depth.clamp(1, MAX_DEPTH);
        let mut empty = vec![*UNUSED_LEAF];
        for level in 0..depth {
            empty.push(hash_node(&[empty[level]; 4]));
        }
        Self {
            depth,
            accounts: BTreeMap::new(),
            nodes: HashMap::new(),
            empty,
        }
    }

    /// Levels of the account tree.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Accounts that fit the tree.
    pub fn capacity(&self) -> u64 {
        1 << (2 * self.depth)
    }

    /// An account that was used.
    pub fn account(&self, index: u32) -> Option<&Account> {
        self.accounts.get(&index)
    }

    /// All accounts that were used.
    pub fn accounts(&self) -> impl Iterator<Item = (u32, &Account)> {
        self.accounts
            .iter()
            .map(|(index, account)| (*index, account))
    }

    /// A node of the account tree: level 0 is the leaves.
    pub fn node(&self, level: usize, index: u32) -> Scalar {
        let empty = || self.empty.get(level).copied().unwrap_or_default();
        self.nodes
            .get(&(level, index))
            .copied()
            .unwrap_or_else(empty)
    }

    /// The state root.
    pub fn root(&self) -> Scalar {
        self.node(self.depth, 0)
    }

    /// Replaces accounts and hashes each node above them once, in parallel.
    pub fn update(&mut self, accounts: impl IntoIterator<Item = (u32, Account)>) {
        let accounts: Vec<(u32, Account)> = accounts.into_iter().collect();
        let leaves = of_each(&accounts, |(index, account)| (*index, account.leaf()));
        let mut level_nodes: BTreeMap<u32, Scalar> = leaves.into_iter().collect();
        self.accounts.extend(accounts);
        for level in 0..self.depth {
            let mut parents: Vec<u32> = level_nodes.keys().map(|index| index >> 2).collect();
            parents.dedup();
            self.nodes.extend(
                level_nodes
                    .iter()
                    .map(|(index, hash)| ((level, *index), *hash)),
            );
            let hashed = of_each(&parents, |parent| {
                let children = [0, 1, 2, 3].map(|child| self.node(level, parent << 2 | child));
                (*parent, hash_node(&children))
            });
            level_nodes = hashed.into_iter().collect();
        }
        self.nodes.extend(
            level_nodes
                .iter()
                .map(|(index, hash)| ((self.depth, *index), *hash)),
        );
    }

    /// The proof of an account and one of its balances.
    pub fn prove(&self, account: u32, token: u8) -> StateProof {
        let value = self.accounts.get(&account).cloned().unwrap_or_default();
        let path = (0..self.depth).map(|level| {
            let parent = account >> (2 * level) >> 2;
            [0, 1, 2, 3].map(|child| self.node(level, parent << 2 | child))
        });
        let token_path = (0..TOKEN_LEVELS).map(|level| {
            let parent = u32::from(token) >> (2 * level) >> 2;
            [0, 1, 2, 3].map(|child| value.token_node(level, parent << 2 | child))
        });
        StateProof {
            account,
            path: path.collect(),
            token_path: token_path.collect(),
            value,
        }
    }
}
