//! Whether a node and Ethereum speak of the same chain, before anything is executed or settled.
//!
//! A node that goes on with another operator's key, another verifying key or an older state works
//! for nothing: Ethereum refuses each of its batches, or two histories of one chain arise. Called by
//! `carillon-node run`.

use alloy::primitives::{Address, B256};

use super::rollup_options::RollupOptions;
use super::store::{L1Mark, Store, StoreError};
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::ledger::State;
use carillon_settlement::ChainOnL1;

/// The first thing in which they differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected is {expected}, found on Ethereum is {found}; {remedy}")]
pub struct Disagreement {
    /// What is compared.
    pub what: &'static str,
    /// Of the node.
    pub expected: String,
    /// Of L1.
    pub found: String,
    /// What to do.
    pub remedy: &'static str,
}

/// Why the comparison did not end well.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// They differ.
    #[error(transparent)]
    Differs(#[from] Disagreement),
    /// The archive has what the folder never sealed.
    #[error(
        "the archive has batch {next}, which this folder has not sealed: {}",
        REBUILD
    )]
    Archive {
        /// That batch.
        next: u64,
    },
    /// The node's database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the node was set to.
#[derive(Clone, Copy, Debug)]
pub struct Intended {
    /// Chain, operator's account, tree.
    pub rollup: RollupOptions,
    /// The address of the operator's key.
    pub operator: Address,
    /// The number of the batches' circuit on L1.
    pub shape: u32,
    /// Whether a gateway proves and executes what this node commits, so that one batch may be in between.
    pub joins: bool,
}

const REBUILD: &str = "this folder is older than the chain, or was lost: stop here and make a new one with `carillon-node resync --out FOLDER`";
const OTHER: &str = "the folder belongs to another history of the chain: give the right --data-dir, or make one with `carillon-node resync --out FOLDER`";

/// Compares the settings with the contracts: chain, operator and circuit.
///
/// # Errors
/// [`Disagreement`].
pub fn settings(l1: &ChainOnL1, node: &Intended) -> Result<(), Disagreement> {
    let differs = |what, expected: String, found: String, remedy| Disagreement {
        what,
        expected,
        found,
        remedy,
    };
    let rollup = &node.rollup;
    same(
        "the chain's id",
        rollup.chain_id,
        l1.chain,
        "give the right --chain and --chain-id",
    )?;
    same(
        "the chain's contract in the hub",
        l1.contract,
        l1.registered,
        "claims are served for the hub's contract alone: give its address as --chain",
    )?;
    if l1.progress.halted {
        return Err(differs(
            "the chain",
            "running".into(),
            "halted".into(),
            "nothing settles on it any more; its users leave by state proofs from the archive (`carillon-node resync`)",
        ));
    }
    let progress = &l1.progress;
    if progress.committed > progress.executed + u64::from(node.joins) {
        return Err(differs(
            "batches committed and not executed",
            "none".into(),
            format!("{} to {}", progress.executed + 1, progress.committed),
            "this node settles a batch in one step, or one at a time with a gateway, which the contract refuses meanwhile: have them proved and executed (anyone may), or take them back with `carillon-node revert`",
        ));
    }
    same(
        "who may commit batches",
        node.operator,
        l1.operator,
        "give the key of that address as --operator-key, or have the governor set the operator",
    )?;
    same(
        "the operator's account",
        rollup.operator,
        l1.operator_account,
        "give that account as --operator",
    )?;
    // The depth was checked before; the bound keeps the shift in its range whatever it is.
    let leaves = 1u64 << (2 * rollup.depth).min(63);
    same(
        "the leaves of the account tree",
        leaves,
        u64::from(l1.accounts),
        "with fewer the contract takes deposits for which the tree has no place: give the --depth that the chain was deployed with",
    )?;
    if l1.key_hash.is_none() {
        return Err(differs(
            "the circuit's verifier",
            format!("one of shape {}", node.shape),
            "none".into(),
            "give the number that `deploy` was given as --shape-number",
        ));
    }
    Ok(())
}

/// Compares the verifying key with the one of the contract: batches are proved for it.
///
/// # Errors
/// [`Disagreement`].
pub fn key(l1: &ChainOnL1, hash: B256) -> Result<(), Disagreement> {
    same(
        "the hash of the verifying key",
        hash,
        l1.key_hash.unwrap_or_default(),
        "proofs of this key are refused there: give the --slots, --cells and --records of `deploy`, and put the chain's own key into the key folder, from a backup if it was lost",
    )
}

/// Compares the key that signs receipts with the one that the hub has for the chain.
///
/// # Errors
/// [`Disagreement`].
pub fn receipts(own: &PublicKey, found: &PublicKey) -> Result<(), Disagreement> {
    let hex = |key: &PublicKey| format!("0x{}", hex::encode(key.to_bytes()));
    same(
        "the key that signs receipts",
        hex(own),
        hex(found),
        "other chains refuse what this key signs: give that key's file as --sequencer-key, or register this one with `carillon-node keys register`",
    )
}

/// Compares the folder with the contract: whose it is, and how far. `archived` says whether the
/// archive has the batch behind the folder's last one. Without a `store` the folder is new. Says what
/// the folder is bound to from now on.
///
/// # Errors
/// [`AgreementError`].
pub fn history(
    l1: &ChainOnL1,
    node: &Intended,
    store: Option<&Store>,
    archived: bool,
) -> Result<L1Mark, AgreementError> {
    let mark = L1Mark {
        l1: l1.l1,
        contract: l1.contract.to_string(),
    };
    if let Some(store) = store {
        match store.l1()? {
            Some(found) => same("the folder's chain on Ethereum", found, mark.clone(), OTHER)?,
            None if store.is_unused()? => {}
            None => {
                return Err(Disagreement {
                    what: "the folder's chain on Ethereum",
                    expected: "none: the folder was used without --l1".into(),
                    found: mark.to_string(),
                    remedy: OTHER,
                }
                .into());
            }
        }
    }
    let sealed = store.map(Store::sealed).transpose()?.flatten();
    let sealed = sealed.unwrap_or_default();
    let batch = |number| match store {
        Some(store) => store.batch(number),
        None => Ok(None),
    };
    let progress = &l1.progress;
    let number = progress.executed;
    if sealed.batch < number {
        return Err(Disagreement {
            what: "the last batch",
            expected: sealed.batch.to_string(),
            found: number.to_string(),
            remedy: REBUILD,
        }
        .into());
    }
    let (ours, remedy) = if number == 0 {
        let genesis = State::genesis(node.rollup.depth).root();
        (
            format!("0x{}", hex::encode(genesis.to_bytes_be())),
            "the tree has another depth than the contract's, or the contract another genesis: give the --depth of the contract, 12",
        )
    } else {
        let row = batch(number)?;
        (row.map_or("unknown".into(), |row| row.new_root), OTHER)
    };
    let root = format!("{:#066x}", l1.state_root);
    same(
        "the state root after the last executed batch",
        ours,
        root,
        remedy,
    )?;
    if let Some(row) = batch(progress.executed)? {
        same(
            "queue entries executed",
            row.queue,
            progress.queueExecuted,
            OTHER,
        )?;
    }
    if archived {
        let next = sealed.batch + 1;
        return Err(AgreementError::Archive { next });
    }
    Ok(mark)
}

fn same<T: PartialEq + std::fmt::Display>(
    what: &'static str,
    expected: T,
    found: T,
    remedy: &'static str,
) -> Result<(), Disagreement> {
    if expected == found {
        return Ok(());
    }
    Err(Disagreement {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
        remedy,
    })
}
