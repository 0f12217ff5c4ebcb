//! An account as users read it and as the store keeps it, and the names by which the store finds it.
//! No I/O. Called by `rollup`, `proving` (a prover's input has accounts in the same bytes), `rebuild`
//! and `rpc`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::Refusal;
use super::store::StoreError;
use carillon_protocol::TOKENS;
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::ledger::Account;

/// An account in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountJson {
    /// Its index.
    pub index: u32,
    /// Its key, compressed; none until its owner sets one.
    pub key: Option<String>,
    /// Its owner's address on L1; none for the operator's until it is opened.
    pub owner: Option<String>,
    /// Nonce of its next signed operation.
    pub nonce: u32,
    /// Balances that are not zero, by token slot.
    pub balances: BTreeMap<u8, String>,
}

impl AccountJson {
    /// An account by its bytes in the store; `None` if nobody has used it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn read(index: u32, bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        let account = account_from_bytes(bytes).ok_or_else(|| StoreError::Damaged {
            what: format!("account {index}"),
        })?;
        if account == Account::default() {
            return Ok(None);
        }
        let prefixed = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        Ok(Some(Self {
            index,
            key: account.key.map(|key| prefixed(&key.to_bytes())),
            owner: (account.owner != [0; 20]).then(|| prefixed(&account.owner)),
            nonce: account.nonce,
            balances: account
                .balances
                .iter()
                .map(|(token, balance)| (*token, balance.to_string()))
                .collect(),
        }))
    }

    /// The owner's address, zeros for none.
    ///
    /// # Errors
    /// [`Refusal`] for text that is no address.
    pub fn owner_bytes(&self) -> Result<[u8; 20], Refusal> {
        let mut bytes = [0; 20];
        let text = match &self.owner {
            None => return Ok(bytes),
            Some(text) => text.strip_prefix("0x").unwrap_or(text),
        };
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Refusal::new("encoding", format!("`{text}` is not an address")))?;
        Ok(bytes)
    }
}

/// The name that an account is found by through its owner.
pub(super) fn owner_name(owner: &[u8; 20]) -> Vec<u8> {
    [b"owner ", &owner[..]].concat()
}

/// The name that an account is found by through its key.
pub(super) fn key_name(key: &[u8; 32]) -> Vec<u8> {
    [b"key ", &key[..]].concat()
}

/// Nonce (4), owner (20), key (32, zeros for none), then token (1) and balance (16) for each balance.
pub(super) fn account_to_bytes(account: &Account) -> Vec<u8> {
    let mut out = Vec::with_capacity(56 + 17 * account.balances.len());
    out.extend_from_slice(&account.nonce.to_be_bytes());
    out.extend_from_slice(&account.owner);
    // Zeros encode a point of order four: never a key.
    let key = account.key.map_or([0; 32], |key| key.to_bytes());
    out.extend_from_slice(&key);
    for (token, balance) in &account.balances {
        out.push(*token);
        out.extend_from_slice(&balance.to_be_bytes());
    }
    out
}

/// Reads [`account_to_bytes`].
pub(super) fn account_from_bytes(bytes: &[u8]) -> Option<Account> {
    let (nonce, rest) = bytes.split_first_chunk::<4>()?;
    let (owner, rest) = rest.split_first_chunk::<20>()?;
    let (key, rest) = rest.split_first_chunk::<32>()?;
    let (balances, left) = rest.as_chunks::<17>();
    let balance = |entry: &[u8; 17]| {
        let (token, balance) = entry.split_first()?;
        let balance = u128::from_be_bytes(balance.try_into().ok()?);
        (*token < TOKENS).then_some((*token, balance))
    };
    Some(Account {
        key: match key {
            [0, ..] if *key == [0; 32] => None,
            key => Some(PublicKey::from_bytes(key).ok()?),
        },
        nonce: u32::from_be_bytes(*nonce),
        owner: *owner,
        balances: balances.iter().map(balance).collect::<Option<_>>()?,
    })
    .filter(|_| left.is_empty())
}
