//! The rollup's state and its rules, natively: accounts with token balances, what each operation
//! does to them, and the tree over them.
//!
//! | file | idea |
//! |---|---|
//! | `account` | one account, its token tree and leaf |
//! | `state` | all accounts and the account tree; the root |
//! | `rules` | what an operation does, or why it is refused |
//! | `open` | [`Ledger`]: the state after the last sealed batch and the batch being filled |
//! | `replay` | the native checker: recomputes a batch from its public data alone |
//!
//! Pure; uses [`crate::crypto`] and the operations of the root. Called by `carillon-node`,
//! `carillon-circuit` (as a view of the state), the archive of `carillon-settlement` and the tests.
//! Trees are hashed when a batch is sealed, not operation by operation.

mod account;
mod open;
mod replay;
mod rules;
mod state;

pub use account::{Account, TOKEN_LEVELS};
pub use open::{Budget, Ledger, Opened};
pub use replay::{ReplayError, replay};
pub use rules::{RuleError, exit_amount};
pub use state::{MAX_DEPTH, State, StateProof};
