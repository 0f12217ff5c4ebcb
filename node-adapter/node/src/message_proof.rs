//! Proofs of messages for users: `carillon_getMessageProof`, and the same JSON from the command line.
//!
//! A proof is against the message root that Ethereum recorded with the batch; whoever gets one from a
//! node can check it there (`ChainHub.verifyMessage`). Called by `rpc` and `carillon-node message`.

use blstrs::Scalar;
use serde::{Deserialize, Serialize};

use super::store::{Part, Store, StoreError};
use carillon_protocol::Header;
use carillon_settlement::abi::ISharedBridge::Message;
use carillon_settlement::calls::messages;

/// The argument `message` of the contracts. Numbers are decimal strings, words `0x` and hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageProofJson {
    /// The chain.
    pub chain_id: String,
    /// The batch.
    pub batch: u64,
    /// Index of the record in the batch.
    pub record: u64,
    /// The record's words.
    pub words: Vec<String>,
    /// Siblings from the leaf up.
    pub path: Vec<String>,
    /// The leaf's place among the batch's messages.
    pub position: u64,
}

impl MessageProofJson {
    /// A message with its path.
    pub fn of(message: &Message) -> Self {
        Self {
            chain_id: message.chainId.to_string(),
            batch: message.batch,
            record: message.k.saturating_to(),
            words: message
                .words
                .iter()
                .map(|word| format!("{word:#066x}"))
                .collect(),
            path: message.path.iter().map(ToString::to_string).collect(),
            position: message.position.saturating_to(),
        }
    }
}

/// The proof of a record of a sealed batch; `None` if there is no such batch or the record is no
/// message.
///
/// # Errors
/// The database.
pub fn message_proof(
    store: &Store,
    chain_id: u64,
    batch: u64,
    record: u64,
) -> Result<Option<MessageProofJson>, StoreError> {
    let Some(bytes) = store.part(batch, Part::Header)? else {
        return Ok(None);
    };
    let damaged = || StoreError::Damaged {
        what: format!("the public data of batch {batch}"),
    };
    let (words, left) = bytes.as_chunks::<32>();
    let words: Option<Vec<Scalar>> = words
        .iter()
        .map(|word| Scalar::from_bytes_be(word).into())
        .collect();
    let words = words.filter(|_| left.is_empty()).ok_or_else(damaged)?;
    let header = Header::from_words(&words).map_err(|_| damaged())?;
    let found = messages(chain_id, &header);
    let mut found = found.iter();
    let found = found.find(|message| message.k == alloy::primitives::U256::from(record));
    Ok(found.map(MessageProofJson::of))
}
