//! One operation: its kind, fields, slot, record, signed message and name.
//!
//! Pure data; `ledger` checks it against the state, the circuit proves it.

use blstrs::Scalar;
use ff::Field;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::decimal::{Decimal, pack_amount, pack_fee};
use super::{ACCOUNT_BITS, BALANCE_LIMIT, Domain, Record, TOKENS};
use crate::crypto::schnorr::{SecretKey, Signature};

/// What an operation does, by its number in PROTOCOL.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// From one account to another.
    Transfer = 1,
    /// In from L1.
    Deposit = 2,
    /// Out to an address on L1.
    Withdraw = 3,
    /// Out into a bundle of calls on L1.
    Bundle = 4,
    /// In from another chain.
    Import = 5,
    /// Another key for an account.
    SetKey = 6,
    /// Out, asked for on L1.
    Exit = 7,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Transfer,
        Self::Deposit,
        Self::Withdraw,
        Self::Bundle,
        Self::Import,
        Self::SetKey,
        Self::Exit,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Deposit => "deposit",
            Self::Withdraw => "withdrawal",
            Self::Bundle => "bundle",
            Self::Import => "import",
            Self::SetKey => "new key",
            Self::Exit => "exit",
        }
    }

    /// The kind with a number; 0 is the no-op, which is not an operation.
    pub fn new(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether its account signs it; the others come from the L1 queue.
    pub fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Transfer | Self::Withdraw | Self::Bundle | Self::SetKey
        )
    }

    /// Whether it stands in H with a record.
    pub fn has_record(self) -> bool {
        self != Self::Transfer
    }

    /// Whether it brings funds in.
    pub fn is_inbound(self) -> bool {
        matches!(self, Self::Deposit | Self::Import)
    }
}

/// Why fields are not an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OperationError {
    /// An account's index is too large.
    #[error("account {account} does not exist: indices are below 2^{ACCOUNT_BITS}")]
    Account {
        /// Index given.
        account: u32,
    },
    /// A token slot is too large.
    #[error("token {token} does not exist: a chain has {TOKENS} slots")]
    Token {
        /// Slot given.
        token: u8,
    },
    /// An amount that slots cannot carry.
    #[error("{what} {value} cannot be encoded: {digits}; round it to fewer significant digits")]
    Digits {
        /// `amount` or `fee`.
        what: &'static str,
        /// The value.
        value: u128,
        /// What fits.
        digits: &'static str,
    },
    /// An amount beyond any balance.
    #[error("{what} {value} is 2^96 or more: no account can hold that much")]
    TooLarge {
        /// `amount` or `fee`.
        what: &'static str,
        /// The value.
        value: u128,
    },
    /// A withdrawal to nobody.
    #[error(
        "the recipient of a withdrawal is an address on Ethereum that is not zero: nobody else can claim it"
    )]
    Recipient,
    /// A bundle's hash that L1 cannot have.
    #[error("a bundle's hash is below 2^248: the keccak of the bundle without its last byte")]
    BundleHash,
    /// A field that this kind does not have.
    #[error("an operation of the kind {} has no {field}: leave it zero", .kind.name())]
    Extra {
        /// Kind.
        kind: Kind,
        /// The field.
        field: &'static str,
    },
}

/// An operation. Signed kinds carry a signature on [`Operation::message`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub kind: Kind,
    /// The account whose header is opened: the sender, or who a deposit goes to.
    pub from: u32,
    /// Receiver of a transfer, else 0.
    pub to: u32,
    /// Token slot.
    pub token: u8,
    /// Amount in the token's units; of an exit what it pays, which the state decides.
    pub amount: u128,
    /// Fee in the token's units; 0 unless signed.
    pub fee: u128,
    /// Nonce of a signed operation; of an entry of the L1 queue its index.
    pub nonce: u64,
    /// Words 2, 3 and 4 of the record; zeros for transfers.
    pub words: [Scalar; 3],
    /// Signature, R then s; zeros unless signed.
    pub signature: [u8; 64],
}

impl Operation {
    /// A transfer, not yet signed.
    pub fn transfer(from: u32, to: u32, token: u8, amount: u128, fee: u128, nonce: u64) -> Self {
        Self {
            to,
            ..Self::new(Kind::Transfer, from, token, amount, fee, nonce)
        }
    }

    /// An operation without words and signature.
    pub fn new(kind: Kind, from: u32, token: u8, amount: u128, fee: u128, nonce: u64) -> Self {
        Self {
            kind,
            from,
            to: 0,
            token,
            amount,
            fee,
            nonce,
            words: [Scalar::ZERO; 3],
            signature: [0; 64],
        }
    }

    /// Checks what does not need the state: what the circuit asks for, and what L1 asks for when a
    /// batch is committed.
    ///
    /// # Errors
    /// [`OperationError`] naming the field.
    pub fn check_form(&self) -> Result<(), OperationError> {
        self.check_proved_form()?;
        // What could never be claimed or run on L1 does not leave L2.
        let [w2, ..] = self.words;
        let high = |bits: usize| w2.to_bytes_be()[..32 - bits / 8].iter().any(|b| *b != 0);
        match self.kind {
            Kind::Withdraw if high(160) => Err(OperationError::Recipient),
            Kind::Bundle if high(248) => Err(OperationError::BundleHash),
            _ => Ok(()),
        }
    }

    /// The part of [`Operation::check_form`] that the circuit asks for, too: ranges, encodings, fields
    /// that the kind has. It holds for every operation of a settled batch; what L1 asks for beside it
    /// was looked at when that batch was committed, by the contract of then.
    ///
    /// # Errors
    /// [`OperationError`] naming the field.
    pub fn check_proved_form(&self) -> Result<(), OperationError> {
        for account in [self.from, self.to] {
            if account >> ACCOUNT_BITS != 0 {
                return Err(OperationError::Account { account });
            }
        }
        if self.token >= TOKENS {
            return Err(OperationError::Token { token: self.token });
        }
        for (what, value) in [("amount", self.amount), ("fee", self.fee)] {
            if value >= BALANCE_LIMIT {
                return Err(OperationError::TooLarge { what, value });
            }
        }
        let kind = self.kind;
        let transfer = kind == Kind::Transfer;
        for (field, present, allowed) in [
            ("receiver", self.to != 0, transfer),
            ("fee", self.fee != 0, kind.is_signed()),
            ("amount", self.amount != 0, kind != Kind::SetKey),
            ("record words", self.words != [Scalar::ZERO; 3], !transfer),
        ] {
            if present && !allowed {
                return Err(OperationError::Extra { kind, field });
            }
        }
        if kind == Kind::Withdraw && self.words[0] == Scalar::ZERO {
            return Err(OperationError::Recipient);
        }
        self.packed_amount()?;
        self.packed_fee().map(|_| ())
    }

    /// The amount as the slot carries it: of transfers only.
    ///
    /// # Errors
    /// [`OperationError::Digits`].
    pub fn packed_amount(&self) -> Result<Decimal, OperationError> {
        if self.kind != Kind::Transfer {
            return Ok(Decimal::default());
        }
        pack_amount(self.amount).ok_or(OperationError::Digits {
            what: "amount",
            value: self.amount,
            digits: "a transfer carries a number below 2^35 times a power of ten",
        })
    }

    /// The fee as the slot carries it.
    ///
    /// # Errors
    /// [`OperationError::Digits`].
    pub fn packed_fee(&self) -> Result<Decimal, OperationError> {
        pack_fee(self.fee).ok_or(OperationError::Digits {
            what: "fee",
            value: self.fee,
            digits: "a fee is a number below 2^11 times a power of ten",
        })
    }

    /// The 113 bits of the slot.
    ///
    /// # Errors
    /// [`OperationError::Digits`].
    pub fn slot(&self) -> Result<u128, OperationError> {
        let (amount, fee) = (self.packed_amount()?, self.packed_fee()?);
        Ok(u128::from(self.kind as u8)
            | u128::from(self.from) << 3
            | u128::from(self.to) << 27
            | u128::from(self.token) << 51
            | u128::from(amount.mantissa) << 57
            | u128::from(amount.exponent) << 92
            | u128::from(fee.mantissa) << 97
            | u128::from(fee.exponent) << 108)
    }

    /// The operation of a slot and, for kinds that have one, its record; none for a no-op. Nonce
    /// and signature are not part of the public data and are zero.
    ///
    /// # Errors
    /// [`OperationError::TooLarge`] if an amount is beyond 2^96.
    pub fn from_slot(slot: u128, record: Option<&Record>) -> Result<Option<Self>, OperationError> {
        let field = |position: u32, bits: u32| (slot >> position) & ((1 << bits) - 1);
        let Some(kind) = Kind::new(field(0, 3) as u8) else {
            return Ok(None);
        };
        let decimal = |what, position, bits| {
            let decimal = Decimal {
                mantissa: field(position, bits) as u64,
                exponent: field(position + bits, 5) as u8,
            };
            let value = decimal.value().filter(|value| *value < BALANCE_LIMIT);
            value.ok_or(OperationError::TooLarge {
                what,
                value: decimal.value().unwrap_or(u128::MAX),
            })
        };
        let mut amount = decimal("amount", 57, 35)?;
        let mut words = [Scalar::ZERO; 3];
        if let Some(record) = record {
            amount = record.amount;
            words = record.words;
        }
        Ok(Some(Self {
            kind,
            from: field(3, 24) as u32,
            to: field(27, 24) as u32,
            token: field(51, 6) as u8,
            amount,
            fee: decimal("fee", 97, 11)?,
            nonce: 0,
            words,
            signature: [0; 64],
        }))
    }

    /// The record, of kinds that have one.
    pub fn record(&self) -> Option<Record> {
        self.kind.has_record().then_some(Record {
            kind: self.kind,
            account: self.from,
            token: self.token,
            amount: self.amount,
            words: self.words,
        })
    }

    /// What the account signs: slot and domain, nonce, owner, amount, words.
    ///
    /// # Errors
    /// [`OperationError::Digits`].
    pub fn message(&self, domain: Domain, owner: &[u8; 20]) -> Result<[Scalar; 7], OperationError> {
        let slot = scalar(self.slot()?);
        let shift = Scalar::from(2).pow_vartime([113]);
        let [w2, w3, w4] = self.words;
        Ok([
            slot + shift * domain.word(),
            Scalar::from(self.nonce),
            owner_word(owner),
            scalar(self.amount),
            w2,
            w3,
            w4,
        ])
    }

    /// Signs the operation for a chain of one deployment and the account's owner.
    ///
    /// # Errors
    /// [`OperationError::Digits`].
    pub fn sign(
        mut self,
        key: &SecretKey,
        domain: Domain,
        owner: &[u8; 20],
    ) -> Result<Self, OperationError> {
        self.signature = key.sign(&self.message(domain, owner)?).to_bytes();
        Ok(self)
    }

    /// The signature, if it decodes.
    pub fn decoded_signature(&self) -> Option<Signature> {
        Signature::from_bytes(&self.signature).ok()
    }

    /// Names the operation on a chain of one deployment. The signature is not part of it: the same operation signed
    /// again is the same operation.
    pub fn id(&self, domain: Domain) -> [u8; 32] {
        let mut hash = Sha256::new()
            .chain_update(b"carillon/operation/2")
            .chain_update(domain.number().to_be_bytes())
            .chain_update([self.kind as u8])
            .chain_update(self.from.to_be_bytes())
            .chain_update(self.to.to_be_bytes())
            .chain_update([self.token])
            .chain_update(self.amount.to_be_bytes())
            .chain_update(self.fee.to_be_bytes())
            .chain_update(self.nonce.to_be_bytes());
        for word in &self.words {
            hash.update(word.to_bytes_be());
        }
        hash.finalize().into()
    }
}

/// An L1 address as a word.
pub fn owner_word(owner: &[u8; 20]) -> Scalar {
    let mut bytes = [0; 32];
    bytes[12..].copy_from_slice(owner);
    // 160 bits are always below the modulus.
    Option::from(Scalar::from_bytes_be(&bytes)).unwrap_or_default()
}

/// A 128-bit number as a field element.
pub fn scalar(value: u128) -> Scalar {
    // 128 bits are always below the modulus.
    Option::from(Scalar::from_u64s_le(&[
        value as u64,
        (value >> 64) as u64,
        0,
        0,
    ]))
    .unwrap_or_default()
}
