//! What an operation does to the accounts, or why it is refused: the rules of PROTOCOL.md.
//!
//! Used by the ledger for new operations and by replay for those of a batch; signatures are checked
//! apart ([`Signed`]), since the public data do not hold them.

use blstrs::Scalar;
use ff::Field;
use thiserror::Error;

use super::account::Account;
use crate::crypto::jubjub::Point;
use crate::crypto::schnorr::{KeyError, PublicKey};
use crate::{BALANCE_LIMIT, Domain, Kind, Operation, OperationError, owner_word};

/// Why an operation is refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// Its fields are wrong.
    #[error(transparent)]
    Form(#[from] OperationError),
    /// Beyond the tree.
    #[error("account {account} is beyond this chain's tree")]
    NoSuchIndex {
        /// Index.
        account: u32,
    },
    /// Nobody owns the account.
    #[error("account {account} is not in use: a deposit to its owner opens it")]
    Unused {
        /// Index.
        account: u32,
    },
    /// No key was set.
    #[error("account {account} has no key: its owner sets one with a deposit on L1")]
    NoKey {
        /// Index.
        account: u32,
    },
    /// The signature is not the account's.
    #[error("the signature is not account {account}'s on these fields: sign them with its key")]
    BadSignature {
        /// Index.
        account: u32,
    },
    /// Replayed, reordered or skipped.
    #[error("the nonce is {got}, the account's next one is {expected}: sign again with that one")]
    Nonce {
        /// The account's next nonce.
        expected: u32,
        /// The operation's.
        got: u64,
    },
    /// No nonce is left.
    #[error("account {account} has used all nonces: move its funds from another account")]
    NonceExhausted {
        /// Index.
        account: u32,
    },
    /// Moves nothing.
    #[error("the amount is zero: move at least one unit")]
    ZeroAmount,
    /// Too little.
    #[error("account {account} has {balance} of token {token}, the operation needs {needed}")]
    Overspend {
        /// Index.
        account: u32,
        /// Token slot.
        token: u8,
        /// Balance.
        balance: u128,
        /// Amount and fee.
        needed: u128,
    },
    /// Beyond 2^96: the bridge keeps a token's total below, so the chain's funds are inconsistent.
    #[error("account {account} cannot hold that much of token {token}")]
    Overflow {
        /// Index.
        account: u32,
        /// Token slot.
        token: u8,
    },
    /// A deposit to somebody else's account.
    #[error("account {account} belongs to another owner than the deposit's")]
    WrongOwner {
        /// Index.
        account: u32,
    },
    /// A key that is no key.
    #[error("the new key: {0}")]
    Key(#[from] KeyError),
    /// A word that the kind fixes has another value.
    #[error("word {word} of the record is not what the kind asks for")]
    Word {
        /// Position in the record.
        word: usize,
    },
    /// A withdrawal to the bridge, which can claim nothing.
    #[error("the recipient is the bridge itself, which can never claim: name an address of yours")]
    ToBridge,
    /// An exit that pays another amount than the state says.
    #[error("the exit pays {got}, the state says {expected}")]
    ExitAmount {
        /// By the state.
        expected: u128,
        /// In the operation.
        got: u128,
    },
}

/// What is known of an operation, which says what of it is still to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// It is new: check the signature, for this chain.
    Check {
        /// Chain and deployment.
        domain: Domain,
    },
    /// It is new, and the signature was checked against the account's present key and owner; the
    /// nonce was not.
    Verified,
    /// It was accepted before and stands in the node's own log. What circuit and L1 ask for must
    /// hold, the nonce included; rules of admission may have become stricter since.
    Accepted,
    /// It is in a batch, or comes from the queue on L1. The data hold neither signature nor nonce.
    Trusted,
}

impl Signed {
    /// Whether it is still open if the operation is taken. Only then rules count that neither the
    /// circuit nor L1 has.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Check { .. } | Self::Verified)
    }
}

/// Accounts as an operation left them, in order of change; a later entry replaces an earlier one.
pub type Outcome = Vec<(u32, Account)>;

/// Executes an operation over accounts given by `account` (unused ones are the default).
pub(super) fn apply(
    operation: &Operation,
    operator: u32,
    capacity: u64,
    signed: Signed,
    account: impl Fn(u32) -> Account,
) -> Result<Outcome, RuleError> {
    if signed == Signed::Trusted {
        operation.check_proved_form()?;
    } else {
        operation.check_form()?;
    }
    let Operation {
        kind,
        from,
        to,
        token,
        ..
    } = *operation;
    for index in [from, to] {
        if u64::from(index) >= capacity {
            return Err(RuleError::NoSuchIndex { account: index });
        }
    }
    let mut own = account(from);
    if kind.is_signed() {
        check_signature(operation, &own, signed)?;
        own.nonce = own
            .nonce
            .checked_add(1)
            .ok_or(RuleError::NonceExhausted { account: from })?;
    }
    check_words(operation)?;
    let [w2, w3, w4] = operation.words;
    match kind {
        // Neither circuit nor L1 mind them, so what was accepted before must be taken.
        Kind::Transfer | Kind::Withdraw | Kind::Send
            if operation.amount == 0 && signed.is_new() =>
        {
            return Err(RuleError::ZeroAmount);
        }
        Kind::Bundle | Kind::Send if w3 != owner_word(&own.owner) => {
            return Err(RuleError::Word { word: 3 });
        }
        Kind::SetKey => own.key = Some(PublicKey::from_coordinates(&Point { x: w3, y: w4 })?),
        Kind::Deposit | Kind::Import | Kind::Take | Kind::Return => {
            let owner = address(&w2).ok_or(RuleError::Word { word: 2 })?;
            if own.owner != owner && own.owner != [0; 20] {
                return Err(RuleError::WrongOwner { account: from });
            }
            own.owner = owner;
            // The third word of the others is no key.
            if kind.is_queued() && w3 != Scalar::ZERO {
                own.key = Some(PublicKey::from_coordinates(&Point { x: w3, y: w4 })?);
            }
        }
        Kind::Exit => {
            let expected = exit_amount(&own, token, &w2);
            if operation.amount != expected {
                return Err(RuleError::ExitAmount {
                    expected,
                    got: operation.amount,
                });
            }
        }
        _ => {}
    }
    if kind.is_inbound() {
        credit(&mut own, from, token, operation.amount)?;
    } else {
        let needed = operation.amount + operation.fee;
        let balance = own.balance(token);
        let rest = balance.checked_sub(needed).ok_or(RuleError::Overspend {
            account: from,
            token,
            balance,
            needed,
        })?;
        own.set_balance(token, rest);
    }
    let mut outcome = vec![(from, own)];
    let now = |outcome: &Outcome, index: u32| {
        let changed = outcome.iter().rev().find(|(i, _)| *i == index);
        changed.map_or_else(|| account(index), |(_, account)| account.clone())
    };
    if kind == Kind::Transfer {
        let mut receiver = now(&outcome, to);
        if signed.is_new() && receiver == Account::default() {
            return Err(RuleError::Unused { account: to });
        }
        credit(&mut receiver, to, token, operation.amount)?;
        outcome.push((to, receiver));
    }
    if kind.is_signed() {
        let mut paid = now(&outcome, operator);
        credit(&mut paid, operator, token, operation.fee)?;
        outcome.push((operator, paid));
    }
    Ok(outcome)
}

/// Refuses words that the kind does not have: the circuit does, and one such operation would make a
/// batch that cannot be proved.
fn check_words(operation: &Operation) -> Result<(), RuleError> {
    let (from, to) = match operation.kind {
        Kind::Transfer => (2, 4),
        Kind::Withdraw | Kind::Exit => (3, 4),
        Kind::Bundle => (4, 4),
        Kind::SetKey => (2, 2),
        Kind::Deposit | Kind::Import | Kind::Send | Kind::Take | Kind::Return => return Ok(()),
    };
    let extra = |word: &usize| operation.words.get(word - 2) != Some(&Scalar::ZERO);
    match (from..=to).find(extra) {
        Some(word) => Err(RuleError::Word { word }),
        None => Ok(()),
    }
}

/// What an exit pays: all of the balance to the owner, nothing to anyone else.
pub fn exit_amount(account: &Account, token: u8, owner: &Scalar) -> u128 {
    if owner_word(&account.owner) == *owner {
        account.balance(token)
    } else {
        0
    }
}

/// A word as an address that is not zero.
pub(super) fn address(word: &Scalar) -> Option<[u8; 20]> {
    let bytes = word.to_bytes_be();
    let (high, low) = bytes.split_at(12);
    let owner: [u8; 20] = low.try_into().ok()?;
    (high.iter().all(|byte| *byte == 0) && owner != [0; 20]).then_some(owner)
}

fn credit(account: &mut Account, index: u32, token: u8, amount: u128) -> Result<(), RuleError> {
    let balance = account.balance(token) + amount;
    if balance >= BALANCE_LIMIT {
        return Err(RuleError::Overflow {
            account: index,
            token,
        });
    }
    account.set_balance(token, balance);
    Ok(())
}

fn check_signature(operation: &Operation, own: &Account, signed: Signed) -> Result<(), RuleError> {
    if signed == Signed::Trusted {
        return Ok(());
    }
    let account = operation.from;
    let key = own.key.ok_or(RuleError::NoKey { account })?;
    if u64::from(own.nonce) != operation.nonce {
        return Err(RuleError::Nonce {
            expected: own.nonce,
            got: operation.nonce,
        });
    }
    let Signed::Check { domain } = signed else {
        return Ok(());
    };
    let message = operation.message(domain, &own.owner)?;
    let valid = operation
        .decoded_signature()
        .is_some_and(|signature| key.verify(&message, &signature));
    if valid {
        Ok(())
    } else {
        Err(RuleError::BadSignature { account })
    }
}
