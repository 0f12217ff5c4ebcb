//! Witness of a batch, as plain values.
//!
//! Fields are field elements wherever the circuit does not spell them in bits, so
//! that tests can put values there that no honest state holds. Made by
//! [`super::build`], read by the gadgets of this folder.

use blstrs::Scalar;
use ff::Field;

use super::shape::Shape;
use super::widths::TOKEN_LEVELS;
use carillon_protocol::Domain;
use carillon_protocol::crypto::jubjub::Point;

/// The header of an account: everything in its leaf but the balances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderWitness {
    /// Public key, (0, 0) if the account has none.
    pub key: Point,
    /// Nonce of the next signed operation.
    pub nonce: Scalar,
    /// Owner's address on L1, 0 if the account has none.
    pub owner: Scalar,
}

impl HeaderWitness {
    /// The header of an account that nobody has used.
    pub const UNUSED: Self = Self {
        key: Point {
            x: Scalar::ZERO,
            y: Scalar::ZERO,
        },
        nonce: Scalar::ZERO,
        owner: Scalar::ZERO,
    };
}

/// Everything the prover knows about one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpWitness {
    /// Kind, 0 to 7.
    pub kind: u8,
    /// Account whose header is opened, 24 bits.
    pub from: u32,
    /// Receiver of a transfer, 24 bits.
    pub to: u32,
    /// Token slot, 6 bits.
    pub token: u8,
    /// Mantissa of a transfer's amount, 35 bits.
    pub mantissa: u64,
    /// Decimal exponent of a transfer's amount, 5 bits.
    pub exponent: u8,
    /// Mantissa of the fee, 11 bits.
    pub fee_mantissa: u16,
    /// Decimal exponent of the fee, 5 bits.
    pub fee_exponent: u8,
    /// Amount that moves.
    pub amount: Scalar,
    /// Words 2, 3 and 4 of the record.
    pub words: [Scalar; 3],
    /// Header of `from` before the operation.
    pub header: HeaderWitness,
    /// Balances before each access: of `from`, of `to`, of the operator.
    pub balances: [Scalar; 3],
    /// When the values read were written: the header, then the three balances.
    pub times: [u64; 4],
    /// Signature: R.
    pub r: Point,
    /// Signature: s, little-endian.
    pub s: [u8; 32],
    /// The point of which a new key is eight times.
    pub key_root: Point,
}

impl OpWitness {
    /// A slot without an operation; `slot` is its position.
    pub const fn empty() -> Self {
        Self {
            kind: 0,
            from: 0,
            to: 0,
            token: 0,
            mantissa: 0,
            exponent: 0,
            fee_mantissa: 0,
            fee_exponent: 0,
            amount: Scalar::ZERO,
            words: [Scalar::ZERO; 3],
            header: HeaderWitness::UNUSED,
            balances: [Scalar::ZERO; 3],
            times: [0; 4],
            r: Point::IDENTITY,
            s: [0; 32],
            key_root: Point::IDENTITY,
        }
    }
}

/// Everything the prover knows about one cell: a balance that the batch opens and
/// closes once, with the header of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellWitness {
    /// Account.
    pub account: u32,
    /// Token slot.
    pub token: u8,
    /// Header before and after this row: it changes in the account's first row only.
    pub headers: [HeaderWitness; 2],
    /// Balance before and after the batch.
    pub balances: [Scalar; 2],
    /// When the header was last written, 0 for never.
    pub header_time: u64,
    /// When the balance was last written, 0 for never.
    pub time: u64,
    /// Path of the balance in the account's token tree, from the leaf up.
    pub token_path: Vec<[Scalar; 4]>,
    /// Path of the account's leaf up to the top, after the rows before this one.
    pub account_path: Vec<[Scalar; 4]>,
}

impl CellWitness {
    fn blank(shape: Shape) -> Self {
        Self {
            account: 0,
            token: 0,
            headers: [HeaderWitness::UNUSED; 2],
            balances: [Scalar::ZERO; 2],
            header_time: 0,
            time: 0,
            token_path: vec![[Scalar::ZERO; 4]; TOKEN_LEVELS],
            account_path: vec![[Scalar::ZERO; 4]; shape.path_levels()],
        }
    }
}

/// One node of the tree's top: the root of a subtree of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopWitness {
    /// Hash before and after the batch.
    pub nodes: [Scalar; 2],
    /// Whether a row opens an account below.
    pub touched: bool,
}

/// One record of the header vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordWitness {
    /// Its words.
    pub words: [Scalar; 5],
    /// Whether an operation makes it.
    pub used: bool,
}

/// The witness of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Chain and deployment of the batch.
    pub domain: Domain,
    /// Number of the batch.
    pub batch_number: u64,
    /// Account that fees are credited to.
    pub operator: u32,
    /// State roots before and after.
    pub roots: [Scalar; 2],
    /// One entry a record.
    pub records: Vec<RecordWitness>,
    /// One entry a slot.
    pub ops: Vec<OpWitness>,
    /// One entry a row, by increasing address.
    pub cells: Vec<CellWitness>,
    /// One entry a node of the top.
    pub top: Vec<TopWitness>,
}

impl Witness {
    /// Values that have the shape and nothing else: for keys and surveys, which read
    /// the structure only.
    pub fn blank(shape: Shape) -> Self {
        Self {
            domain: Domain::default(),
            batch_number: 0,
            operator: 0,
            roots: [Scalar::ZERO; 2],
            records: vec![RecordWitness::default(); shape.records()],
            ops: vec![OpWitness::empty(); shape.slots()],
            cells: vec![CellWitness::blank(shape); shape.cells()],
            top: vec![TopWitness::default(); shape.top_nodes()],
        }
    }

    /// Whether every list has the length that the shape gives it.
    pub(super) fn has_shape(&self, shape: Shape) -> bool {
        let paths = |cell: &CellWitness| {
            cell.token_path.len() == TOKEN_LEVELS && cell.account_path.len() == shape.path_levels()
        };
        self.records.len() == shape.records()
            && self.ops.len() == shape.slots()
            && self.cells.len() == shape.cells()
            && self.cells.iter().all(paths)
            && self.top.len() == shape.top_nodes()
    }
}
