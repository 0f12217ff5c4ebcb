//! What a rollup's machine is made for: the chain, the capacity of its batches, the tree. Plain data;
//! called by everything that opens a node's folder or names its circuit.

use super::store::ChainMark;
use carillon_protocol::ledger::{Budget, MAX_DEPTH};
use carillon_protocol::{ACCOUNT_BITS, BLOB_ELEMENTS, Domain, Home, TOKENS};
use carillon_settlement::DataMode;

/// Numbers that no node has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {given}: choose {allowed}")]
pub struct OptionsError {
    what: &'static str,
    given: u64,
    allowed: String,
}

/// What the machine is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupOptions {
    /// The chain.
    pub chain_id: u64,
    /// Where its contracts are.
    pub home: Home,
    /// The account that fees go to.
    pub operator: u32,
    /// The owner whose deposits open that account; zeros for nobody.
    pub operator_owner: [u8; 20],
    /// Capacity of a batch.
    pub budget: Budget,
    /// Levels of the account tree.
    pub depth: usize,
    /// Where the batches' data are; the contract says it.
    pub mode: DataMode,
}

impl RollupOptions {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`OptionsError`] naming the one that is out of range.
    pub fn new(
        chain_id: u64,
        operator: u32,
        slots: usize,
        cells: usize,
        records: usize,
        depth: usize,
    ) -> Result<Self, OptionsError> {
        let most_slots = 2 * BLOB_ELEMENTS;
        let tree = depth.min(MAX_DEPTH);
        for (what, given, least, most) in [
            ("the number of slots", slots, 1, most_slots),
            // One transfer touches three balances.
            (
                "the number of cells",
                cells,
                3,
                (3 * most_slots).min(usize::from(TOKENS) << (2 * tree)),
            ),
            ("the number of records", records, 1, slots.max(1)),
            ("the depth of the account tree", depth, 1, MAX_DEPTH),
        ] {
            if !(least..=most).contains(&given) {
                return Err(OptionsError {
                    what,
                    given: given as u64,
                    allowed: format!("{least} to {most}"),
                });
            }
        }
        let accounts = 1u64 << (2 * depth).min(ACCOUNT_BITS as usize);
        if u64::from(operator) >= accounts {
            return Err(OptionsError {
                what: "the operator's account",
                given: operator.into(),
                allowed: format!("an index below {accounts}"),
            });
        }
        Ok(Self {
            chain_id,
            home: Home::default(),
            operator,
            operator_owner: [0; 20],
            budget: Budget {
                slots,
                cells,
                records,
            },
            depth,
            mode: DataMode::default(),
        })
    }

    /// What the chain's operations are signed for.
    pub fn domain(&self) -> Domain {
        Domain::new(&self.home, self.chain_id)
    }

    /// What a folder is bound to.
    pub fn mark(&self) -> ChainMark {
        ChainMark {
            chain_id: self.chain_id,
            l1_chain_id: self.home.l1_chain_id,
            hub: format!("0x{}", hex::encode(self.home.hub)),
            depth: self.depth,
            operator: self.operator,
        }
    }
}
