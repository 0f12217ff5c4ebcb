//! What a batch reads and writes, without judging it.
//!
//! A [`Tracer`] follows operations in field arithmetic and checks nothing that the
//! circuit checks: for an operation that is not allowed it makes the trace of the
//! best cheating prover, and the circuit is unsatisfied. The ledger of `carillon-protocol`
//! executes operations before they come here; the soundness tests bring forgeries.

use std::collections::BTreeMap;

use blstrs::Scalar;
use ff::Field;

use super::witness::{HeaderWitness, OpWitness};
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::{Domain, layout};

/// A state as the builder reads it: values and tree hashes before the batch.
///
/// Levels count from the leaves; in the token tree these are the balances.
pub trait StateView: Sync {
    /// Levels of the account tree.
    fn depth(&self) -> usize;
    /// The header of an account.
    fn header(&self, account: u32) -> HeaderWitness;
    /// The balance of an account.
    fn balance(&self, account: u32, token: u8) -> Scalar;
    /// A node of an account's token tree.
    fn token_node(&self, account: u32, level: usize, index: u32) -> Scalar;
    /// A node of the account tree.
    fn node(&self, level: usize, index: u32) -> Scalar;
}

/// One value that the batch touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched<T> {
    /// Before the batch.
    pub before: T,
    /// After the batch.
    pub after: T,
    /// When it was last written, 0 for never.
    pub time: u64,
}

impl<T: Copy> Touched<T> {
    /// A value that nothing has written.
    pub fn untouched(value: T) -> Self {
        Self {
            before: value,
            after: value,
            time: 0,
        }
    }

    /// Reads the value and when it was written.
    fn read(&self) -> (T, u64) {
        (self.after, self.time)
    }

    fn write(&mut self, value: T, time: u64) {
        (self.after, self.time) = (value, time);
    }
}

/// A batch, executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Chain and deployment of the batch.
    pub domain: Domain,
    /// Number of the batch.
    pub batch_number: u64,
    /// Account that fees are credited to.
    pub operator: u32,
    /// The operations with what each read.
    pub ops: Vec<OpWitness>,
    /// Their records.
    pub records: Vec<[Scalar; 5]>,
    /// Headers touched.
    pub headers: BTreeMap<u32, Touched<HeaderWitness>>,
    /// Balances touched, by account and token.
    pub cells: BTreeMap<(u32, u8), Touched<Scalar>>,
}

/// Follows operations over a state.
#[derive(Debug)]
pub struct Tracer<'a, S> {
    state: &'a S,
    trace: Trace,
}

impl<'a, S: StateView> Tracer<'a, S> {
    /// No operations yet.
    pub fn new(state: &'a S, domain: Domain, batch_number: u64, operator: u32) -> Self {
        Self {
            state,
            trace: Trace {
                domain,
                batch_number,
                operator,
                ..Trace::default()
            },
        }
    }

    /// The trace.
    pub fn finish(self) -> Trace {
        self.trace
    }

    /// The header of an account now.
    pub fn header(&mut self, account: u32) -> HeaderWitness {
        self.header_of(account).after
    }

    /// A balance now.
    pub fn balance(&mut self, account: u32, token: u8) -> Scalar {
        self.cell(account, token).after
    }

    /// Follows one operation: takes its fields, amount, words and signature as they
    /// are, and fills in what it reads.
    pub fn push(&mut self, mut op: OpWitness) {
        let time = 4 * self.trace.ops.len() as u64 + 1;
        if op.kind == 0 {
            self.trace.ops.push(op);
            return;
        }
        let signed = matches!(op.kind, 1 | 3 | 4 | 6 | 8);
        let fee = decimal(op.fee_mantissa.into(), op.fee_exponent);

        (op.header, op.times[0]) = self.header_of(op.from).read();
        let after = new_header(&op, signed);
        self.header_of(op.from).write(after, time);

        let own = self.cell(op.from, op.token);
        (op.balances[0], op.times[1]) = own.read();
        let moved = match op.kind {
            2 | 5 | 9 | 10 => op.amount,
            6 => Scalar::ZERO,
            _ => -op.amount,
        };
        own.write(op.balances[0] + moved - fee, time);
        if op.kind == 1 {
            let to = self.cell(op.to, op.token);
            (op.balances[1], op.times[2]) = to.read();
            to.write(op.balances[1] + op.amount, time + 1);
        }
        if signed {
            let operator = self.cell(self.trace.operator, op.token);
            (op.balances[2], op.times[3]) = operator.read();
            operator.write(op.balances[2] + fee, time + 2);
        }
        if op.kind >= 2 {
            let word0 = layout::record::word0(op.kind, op.from, op.token);
            let [w2, w3, w4] = op.words;
            self.trace
                .records
                .push([Scalar::from(word0), op.amount, w2, w3, w4]);
        }
        self.trace.ops.push(op);
    }

    fn header_of(&mut self, account: u32) -> &mut Touched<HeaderWitness> {
        let untouched = || Touched::untouched(self.state.header(account));
        self.trace.headers.entry(account).or_insert_with(untouched)
    }

    fn cell(&mut self, account: u32, token: u8) -> &mut Touched<Scalar> {
        let untouched = || Touched::untouched(self.state.balance(account, token));
        self.trace
            .cells
            .entry((account, token))
            .or_insert_with(untouched)
    }
}

/// The header that an operation leaves.
fn new_header(op: &OpWitness, signed: bool) -> HeaderWitness {
    let mut header = op.header;
    let [w2, w3, w4] = op.words;
    let inbound = matches!(op.kind, 2 | 5 | 9 | 10);
    if signed {
        header.nonce += Scalar::ONE;
    }
    if inbound {
        header.owner = w2;
    }
    if op.kind == 6 || (matches!(op.kind, 2 | 5) && w3 != Scalar::ZERO) {
        header.key = Point { x: w3, y: w4 };
    }
    header
}

/// `mantissa * 10^exponent`.
fn decimal(mantissa: u64, exponent: u8) -> Scalar {
    Scalar::from(mantissa) * Scalar::from(10).pow_vartime([u64::from(exponent)])
}
