//! What the structure of a rollup circuit depends on, and the choice of the top.
//!
//! Plain numbers. Called by everything that names a circuit: keys, stores, the
//! command line, and the gadgets of this folder.

use thiserror::Error;

use super::widths::{OWNER_BITS, TOKEN_BITS, TOKEN_LEVELS};

/// Version of the constraints. Keys are bound to it through [`Shape::id`]; a test
/// pins the digest of the constraints to it.
pub const VERSION: u32 = 3;

/// Depth of the production account tree: 4^12 = 2^24 accounts.
pub const PRODUCTION_DEPTH: usize = 12;

/// Most slots of a batch: one blob holds 4,096 elements of two slots each.
pub const MAX_SLOTS: usize = 8192;

/// Most cells of a batch: no batch touches more.
pub const MAX_CELLS: usize = 3 * MAX_SLOTS;

/// Constraints of one level of a path: two hashes and the choice of the child.
const PATH_LEVEL: usize = 582;

/// Constraints of one Poseidon hash of four elements.
const NODE_HASH: usize = 288;

/// Constraints of one node of the top beside the hashes above it, rounded up.
const TOP_NODE: usize = 8;

/// A shape that no circuit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Number of slots out of range.
    #[error("a batch has 1 to {MAX_SLOTS} slots, not {slots}: choose a number in that range")]
    Slots {
        /// Slots asked for.
        slots: usize,
    },
    /// Number of cells out of range.
    #[error(
        "a batch has 1 to {most} cells over a tree of depth {depth}, not {cells}: choose a number in that range"
    )]
    Cells {
        /// Cells asked for.
        cells: usize,
        /// Most cells of this tree.
        most: usize,
        /// Depth asked for.
        depth: usize,
    },
    /// Number of records out of range.
    #[error(
        "a batch of {slots} slots has 1 to {slots} records, not {records}: choose a number in that range"
    )]
    Records {
        /// Records asked for.
        records: usize,
        /// Slots asked for.
        slots: usize,
    },
    /// Depth out of range.
    #[error(
        "the account tree has 1 to {PRODUCTION_DEPTH} levels, not {depth}: choose a number in that range"
    )]
    Depth {
        /// Depth asked for.
        depth: usize,
    },
    /// Top out of range.
    #[error(
        "the top of a tree of depth {depth} has 0 to {depth} levels, not {top}: choose a number in that range"
    )]
    Top {
        /// Levels asked for.
        top: usize,
        /// Depth asked for.
        depth: usize,
    },
}

/// Sizes of a batch: slots, cells, records, depth of the account tree, and how many
/// levels of that tree are hashed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    slots: usize,
    cells: usize,
    records: usize,
    depth: usize,
    top: usize,
}

impl Shape {
    /// A shape with the top that needs the fewest constraints.
    ///
    /// # Errors
    /// [`ShapeError`] if a figure is out of range.
    pub fn new(
        slots: usize,
        cells: usize,
        records: usize,
        depth: usize,
    ) -> Result<Self, ShapeError> {
        let cheapest = (0..=depth.min(PRODUCTION_DEPTH)).min_by_key(|top| {
            let nodes = 1usize << (2 * top);
            cells.saturating_mul(PATH_LEVEL * (depth - top))
                + 2 * NODE_HASH * (nodes / 3)
                + TOP_NODE * nodes
        });
        Self::with_top(slots, cells, records, depth, cheapest.unwrap_or(0))
    }

    /// A shape with a given number of levels in the top.
    ///
    /// # Errors
    /// [`ShapeError`] if a figure is out of range.
    pub fn with_top(
        slots: usize,
        cells: usize,
        records: usize,
        depth: usize,
        top: usize,
    ) -> Result<Self, ShapeError> {
        if !(1..=MAX_SLOTS).contains(&slots) {
            return Err(ShapeError::Slots { slots });
        }
        if !(1..=PRODUCTION_DEPTH).contains(&depth) {
            return Err(ShapeError::Depth { depth });
        }
        let most = MAX_CELLS.min(1 << (2 * depth + TOKEN_BITS));
        if !(1..=most).contains(&cells) {
            return Err(ShapeError::Cells { cells, most, depth });
        }
        if !(1..=slots).contains(&records) {
            return Err(ShapeError::Records { records, slots });
        }
        if top > depth {
            return Err(ShapeError::Top { top, depth });
        }
        Ok(Self {
            slots,
            cells,
            records,
            depth,
            top,
        })
    }

    /// A shape over the production tree.
    ///
    /// # Errors
    /// [`ShapeError`] if a figure is out of range.
    pub fn production(slots: usize, cells: usize, records: usize) -> Result<Self, ShapeError> {
        Self::new(slots, cells, records, PRODUCTION_DEPTH)
    }

    /// Most operations of a batch.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Most distinct balances of a batch.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Most records of a batch.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Levels of the account tree.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Levels of the account tree that are hashed as a whole.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Nodes at the lower edge of the top.
    pub fn top_nodes(&self) -> usize {
        1 << (2 * self.top)
    }

    /// Levels between an account's leaf and the top.
    pub fn path_levels(&self) -> usize {
        self.depth - self.top
    }

    /// Elements of the blob.
    pub fn blob_elements(&self) -> usize {
        self.slots.div_ceil(2)
    }

    /// Words of the header vector.
    pub fn header_words(&self) -> usize {
        3 + 5 * self.records
    }

    /// Bits of an account's index.
    pub(super) fn account_bits(&self) -> usize {
        2 * self.depth
    }

    /// Bits of a cell's address.
    pub(super) fn address_bits(&self) -> usize {
        self.account_bits() + TOKEN_BITS
    }

    /// Bits of a time: every access of the batch has its own, and 0 is before all.
    pub(super) fn time_bits(&self) -> usize {
        (4 * self.slots + 4).ilog2() as usize + 1
    }

    /// Stable name of the circuit, by which keys are stored:
    /// `rollup-v2-n1024-a512-d64-h12-k5`.
    pub fn id(&self) -> String {
        format!(
            "rollup-v{VERSION}-n{}-a{}-d{}-h{}-k{}",
            self.slots, self.cells, self.records, self.depth, self.top
        )
    }
}

// Two levels of bits a level of the token tree; packed words fit the field.
const _: () = assert!(2 * TOKEN_LEVELS == TOKEN_BITS && 32 + OWNER_BITS < 254);
