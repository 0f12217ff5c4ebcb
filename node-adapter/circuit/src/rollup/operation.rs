//! From the ledger's operations and state to the circuit of a batch.
//!
//! The ledger has executed the operations; what they read and when it was written is
//! followed again by a [`Tracer`], independently. [`circuit_of`] has the whole state, as
//! the demo and the tests have it; a prover has a part, and goes on from [`trace_of`].

use blstrs::Scalar;
use ff::Field;
use jubjub::{AffinePoint, ExtendedPoint, Fq, Fr};

use super::builder::{BuildError, build};
use super::trace::{StateView, Trace, Tracer};
use super::witness::{HeaderWitness, OpWitness};
use super::{RollupCircuit, Shape};
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::ledger::{Account, State};
use carillon_protocol::{Domain, Header, Kind, Operation, OperationError, owner_word, scalar};

/// The circuit of a batch: `state` is the state before it, `header` names chain, number
/// and operator, and the operations are those that the ledger executed, in order. The
/// challenge point is still zero ([`RollupCircuit::evaluate_at`]).
///
/// # Errors
/// [`BuildError`] if the batch does not fit the shape, or an operation has no slot.
pub fn circuit_of(
    shape: Shape,
    state: &State,
    header: &Header,
    operations: &[Operation],
) -> Result<RollupCircuit, BuildError> {
    let (domain, number) = (header.domain, header.batch_number);
    let trace = trace_of(state, domain, number, header.operator, operations)?;
    build(shape, state, &trace)
}

/// What operations that the ledger executed, in order, read and write over `state`, the state before
/// them.
///
/// # Errors
/// [`OperationError`] if amounts of an operation cannot be encoded.
pub fn trace_of(
    state: &impl StateView,
    domain: Domain,
    batch_number: u64,
    operator: u32,
    operations: &[Operation],
) -> Result<Trace, OperationError> {
    let mut tracer = Tracer::new(state, domain, batch_number, operator);
    for operation in operations {
        tracer.push(OpWitness::of(operation)?);
    }
    Ok(tracer.finish())
}

impl OpWitness {
    /// The fields of an operation; what it reads is up to the tracer.
    ///
    /// # Errors
    /// [`OperationError`] if its amounts cannot be encoded.
    pub fn of(operation: &Operation) -> Result<Self, OperationError> {
        let (amount, fee) = (operation.packed_amount()?, operation.packed_fee()?);
        let signature = operation
            .kind
            .is_signed()
            .then(|| operation.decoded_signature());
        let (r, s) = signature
            .flatten()
            .map_or((Point::IDENTITY, [0; 32]), |signature| {
                (signature.r(), signature.s())
            });
        let [_, x, y] = operation.words;
        let new_key = Point { x, y };
        Ok(Self {
            kind: operation.kind as u8,
            from: operation.from,
            to: operation.to,
            token: operation.token,
            mantissa: amount.mantissa,
            exponent: amount.exponent,
            // 11 bits.
            fee_mantissa: fee.mantissa as u16,
            fee_exponent: fee.exponent,
            amount: scalar(operation.amount),
            words: operation.words,
            r,
            s,
            key_root: if operation.kind == Kind::SetKey {
                eighth(&new_key)
            } else {
                Point::IDENTITY
            },
            ..Self::empty()
        })
    }
}

/// The point of which a point of the prime-order subgroup is eight times; for other
/// points some other point.
fn eighth(point: &Point) -> Point {
    let coordinate = |value: &Scalar| Option::from(Fq::from_bytes(&value.to_bytes_le()));
    let (Some(x), Some(y)) = (coordinate(&point.x), coordinate(&point.y)) else {
        return Point::IDENTITY;
    };
    let inverse: Option<Fr> = Fr::from(8).invert().into();
    let point = ExtendedPoint::from(AffinePoint::from_raw_unchecked(x, y));
    Point::from_extended(&(point * inverse.unwrap_or(Fr::ZERO)))
}

impl From<&Account> for HeaderWitness {
    fn from(account: &Account) -> Self {
        Self {
            key: account.key_point(),
            nonce: Scalar::from(u64::from(account.nonce)),
            owner: owner_word(&account.owner),
        }
    }
}

impl StateView for State {
    fn depth(&self) -> usize {
        Self::depth(self)
    }

    fn header(&self, account: u32) -> HeaderWitness {
        let unused = HeaderWitness::UNUSED;
        self.account(account).map_or(unused, HeaderWitness::from)
    }

    fn balance(&self, account: u32, token: u8) -> Scalar {
        let balance = self
            .account(account)
            .map_or(0, |account| account.balance(token));
        scalar(balance)
    }

    fn token_node(&self, account: u32, level: usize, index: u32) -> Scalar {
        match self.account(account) {
            Some(account) => account.token_node(level, index),
            None => Account::default().token_node(level, index),
        }
    }

    fn node(&self, level: usize, index: u32) -> Scalar {
        Self::node(self, level, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_protocol::crypto::schnorr::SecretKey;

    #[test]
    fn an_eighth_times_eight_is_the_key() {
        let key = SecretKey::from_seed(&[7; 32]).public().coordinates();
        let root = eighth(&key);
        assert!(root.is_on_curve() && root != key);
        let [x, y] = [root.x, root.y].map(|v| Fq::from_bytes(&v.to_bytes_le()).unwrap());
        let point = ExtendedPoint::from(AffinePoint::from_raw_unchecked(x, y));
        assert_eq!(Point::from_extended(&(point * Fr::from(8))), key);
    }
}
