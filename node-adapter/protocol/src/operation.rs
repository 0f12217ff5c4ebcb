//! One operation: its kind, fields, slot, record, signed message and name.
//!
//! Pure data; `ledger` checks it against the state, the circuit proves it.

use blstrs::Scalar;
use ff::Field;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::decimal::{Decimal, pack_amount, pack_fee};
use super::layout::{
    AMOUNT_MANTISSA_BITS, EXPONENT_BITS, FEE_MANTISSA_BITS, KIND_BITS, TOKEN_BITS, slot,
};
use super::{ACCOUNT_BITS, BALANCE_LIMIT, Domain, Party, Record, TOKENS};
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
    /// Out to an account of another chain.
    Send = 8,
    /// In from another chain, what was sent there.
    Take = 9,
    /// Back in, what was sent for a flow that did not come to its end.
    Return = 10,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Transfer,
        Self::Deposit,
        Self::Withdraw,
        Self::Bundle,
        Self::Import,
        Self::SetKey,
        Self::Exit,
        Self::Send,
        Self::Take,
        Self::Return,
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
            Self::Send => "send",
            Self::Take => "take",
            Self::Return => "return",
        }
    }

    /// The kind with a number; 0 is the no-op, which is not an operation.
    pub fn new(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether its account signs it; the others come from the L1 queue, or from other chains.
    pub fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Transfer | Self::Withdraw | Self::Bundle | Self::SetKey | Self::Send
        )
    }

    /// Whether it executes an entry of the L1 queue.
    pub fn is_queued(self) -> bool {
        matches!(self, Self::Deposit | Self::Import | Self::Exit)
    }

    /// Whether it is half of a movement between chains, whose other half L1 holds it against.
    pub fn is_between_chains(self) -> bool {
        matches!(self, Self::Send | Self::Take | Self::Return)
    }

    /// Whether it stands in H with a record.
    pub fn has_record(self) -> bool {
        self != Self::Transfer
    }

    /// Whether it brings funds in.
    pub fn is_inbound(self) -> bool {
        matches!(
            self,
            Self::Deposit | Self::Import | Self::Take | Self::Return
        )
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
    /// A send or its counterpart that names nobody on no chain.
    #[error(
        "word {word} of a {} is its other end: an owner and a chain, neither of them 0, and below 8 a leg if it is part of a flow", .kind.name()
    )]
    Party {
        /// Kind.
        kind: Kind,
        /// Position in the record.
        word: usize,
    },
    /// A return outside a flow.
    #[error("only a leg of a flow comes back as a return")]
    NoFlow,
    /// A memo or the name of a flow that L1 cannot have.
    #[error("the memo of a {}, or its flow's id, is below 2^248", .kind.name())]
    Memo {
        /// Kind.
        kind: Kind,
    },
    /// An owner that is no address.
    #[error("word {word} of a {} is an address on Ethereum that is not zero", .kind.name())]
    Owner {
        /// Kind.
        kind: Kind,
        /// Position in the record.
        word: usize,
    },
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
        // What could never be claimed, run or taken elsewhere does not leave L2.
        let kind = self.kind;
        let [w2, ..] = self.words;
        match kind {
            Kind::Withdraw if exceeds(&w2, 160) => Err(OperationError::Recipient),
            Kind::Bundle if exceeds(&w2, 248) => Err(OperationError::BundleHash),
            Kind::Send | Kind::Take | Kind::Return => self.other_end().map(|_| ()),
            _ => Ok(()),
        }
    }

    /// The other end of a send, a take or a return.
    ///
    /// # Errors
    /// [`OperationError`] if the words are not those of such an operation, as L1 sees it.
    pub fn other_end(&self) -> Result<Party, OperationError> {
        let kind = self.kind;
        let [w2, w3, w4] = self.words;
        let ((at, end), (word, owner)) = match kind {
            Kind::Send => ((2, w2), (3, w3)),
            _ => ((3, w3), (2, w2)),
        };
        if owner == Scalar::ZERO || exceeds(&owner, 160) {
            return Err(OperationError::Owner { kind, word });
        }
        if exceeds(&w4, 248) {
            return Err(OperationError::Memo { kind });
        }
        let party = Party::from_word(&end).ok_or(OperationError::Party { kind, word: at })?;
        if kind == Kind::Return && party.leg.is_none() {
            return Err(OperationError::NoFlow);
        }
        Ok(party)
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

    /// The 114 bits of the slot.
    ///
    /// # Errors
    /// [`OperationError::Digits`].
    pub fn slot(&self) -> Result<u128, OperationError> {
        let (amount, fee) = (self.packed_amount()?, self.packed_fee()?);
        Ok(u128::from(self.kind as u8)
            | u128::from(self.from) << slot::FROM
            | u128::from(self.to) << slot::TO
            | u128::from(self.token) << slot::TOKEN
            | u128::from(amount.mantissa) << slot::AMOUNT
            | u128::from(amount.exponent) << slot::AMOUNT_EXPONENT
            | u128::from(fee.mantissa) << slot::FEE
            | u128::from(fee.exponent) << slot::FEE_EXPONENT)
    }

    /// The operation of a slot and, for kinds that have one, its record; none for a no-op and for a
    /// kind that there is not. Nonce and signature are not part of the public data and are zero.
    ///
    /// # Errors
    /// [`OperationError::TooLarge`] if an amount is beyond 2^96.
    pub fn from_slot(bits: u128, record: Option<&Record>) -> Result<Option<Self>, OperationError> {
        let field = |position: u32, width: u32| (bits >> position) & ((1 << width) - 1);
        let Some(kind) = Kind::new(field(0, KIND_BITS) as u8) else {
            return Ok(None);
        };
        let decimal = |what, position, bits| {
            let decimal = Decimal {
                mantissa: field(position, bits) as u64,
                exponent: field(position + bits, EXPONENT_BITS) as u8,
            };
            let value = decimal.value().filter(|value| *value < BALANCE_LIMIT);
            value.ok_or(OperationError::TooLarge {
                what,
                value: decimal.value().unwrap_or(u128::MAX),
            })
        };
        let mut amount = decimal("amount", slot::AMOUNT, AMOUNT_MANTISSA_BITS)?;
        let mut words = [Scalar::ZERO; 3];
        if let Some(record) = record {
            amount = record.amount;
            words = record.words;
        }
        Ok(Some(Self {
            kind,
            from: field(slot::FROM, ACCOUNT_BITS) as u32,
            to: field(slot::TO, ACCOUNT_BITS) as u32,
            token: field(slot::TOKEN, TOKEN_BITS) as u8,
            amount,
            fee: decimal("fee", slot::FEE, FEE_MANTISSA_BITS)?,
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
        let shift = Scalar::from(2).pow_vartime([u64::from(slot::BITS)]);
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
            .chain_update(b"carillon/operation/3")
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

/// Whether a word has more bits than so many whole bytes.
fn exceeds(word: &Scalar, bits: usize) -> bool {
    let bytes = word.to_bytes_be();
    bytes.iter().take(32 - bits / 8).any(|byte| *byte != 0)
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
