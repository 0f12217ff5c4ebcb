//! The rollup's state: accounts, the Merkle tree over them, and the fees collected.
//!
//! Pure computation; uses `crypto` and `batch`. The `sequencer` owns the one
//! [`State`]; the circuit proves its transitions.
//!
//! State root = Poseidon(root of the account tree, fees collected). Fees leave the
//! senders' balances and gather beside the tree, so the sum of all balances plus
//! the fees never changes in a batch of transfers.

mod account;
mod tree;

use blstrs::Scalar;
use thiserror::Error;

pub use account::Account;
pub use tree::{AccountTree, Changes, Draft, MAX_DEPTH, Path, TreeError};

use crate::crypto::poseidon;

/// Why a state cannot be created.
#[derive(Debug, Error)]
pub enum StateError {
    /// More accounts than leaves.
    #[error(
        "{accounts} accounts do not fit a tree of depth {depth} (4^{depth} leaves): raise the depth"
    )]
    TooManyAccounts {
        /// Accounts given.
        accounts: usize,
        /// Depth of the tree in 4-ary levels.
        depth: usize,
    },
    /// The tree refused.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Accounts, their tree and the fees collected, as of one state root.
#[derive(Clone, Debug)]
pub struct State {
    accounts: Vec<Account>,
    tree: AccountTree,
    fees: u128,
}

impl State {
    /// A first state: account `i` of the list gets index `i`.
    ///
    /// # Errors
    /// [`StateError`] if the depth is out of range or the accounts do not fit.
    pub fn genesis(depth: usize, accounts: Vec<Account>) -> Result<Self, StateError> {
        let empty = AccountTree::new(depth)?;
        if accounts.len() as u64 > empty.capacity() {
            return Err(StateError::TooManyAccounts {
                accounts: accounts.len(),
                depth,
            });
        }
        let mut draft = empty.draft();
        draft.set_leaves((0..).zip(accounts.iter().map(Account::leaf)))?;
        let changes = draft.into_changes();
        let mut tree = empty;
        tree.commit(changes);
        Ok(Self {
            accounts,
            tree,
            fees: 0,
        })
    }

    /// The account at an index, if it is registered.
    pub fn account(&self, index: u32) -> Option<&Account> {
        self.accounts.get(usize::try_from(index).ok()?)
    }

    /// All accounts; the position is the index.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The tree over the accounts.
    pub fn tree(&self) -> &AccountTree {
        &self.tree
    }

    /// Fees collected so far, in the smallest unit of the token.
    pub fn fees(&self) -> u128 {
        self.fees
    }

    /// The state root.
    pub fn root(&self) -> Scalar {
        state_root(self.tree.root(), self.fees)
    }

    /// Takes over the outcome of a batch; the caller has checked it.
    pub(crate) fn commit(
        &mut self,
        accounts: impl IntoIterator<Item = (u32, Account)>,
        changes: Changes,
        fees: u128,
    ) {
        for (index, account) in accounts {
            if let Some(place) = self.accounts.get_mut(index as usize) {
                *place = account;
            }
        }
        self.tree.commit(changes);
        self.fees = fees;
    }
}

/// State root of a tree root and the fees collected.
pub fn state_root(tree_root: Scalar, fees: u128) -> Scalar {
    poseidon::hash_state(&[tree_root, scalar_from_u128(fees)])
}

/// A 128-bit number as a field element.
pub(crate) fn scalar_from_u128(value: u128) -> Scalar {
    // 128 bits are always below the modulus.
    Option::from(Scalar::from_u64s_le(&[
        value as u64,
        (value >> 64) as u64,
        0,
        0,
    ]))
    .unwrap_or_default()
}
