//! Messages of executed batches, with their proofs, from L1 and where needed the archive.
//!
//! H is in the calldata of the transaction that committed a batch, so L1 alone gives the messages.
//! A batch that came through another contract has no plain calldata; the archive has its H, too.
//! Nothing is believed: H must lead to the message root that L1 recorded. Called by users' commands.

use alloy::primitives::{Address, U256};
use blstrs::Scalar;

use super::history::{Executed, History, HistoryError, chain_of, published};
use super::{Archive, ArchiveError};
use crate::SettlementError;
use crate::abi::ISharedBridge::Message;
use crate::calls::{message_root, messages};
use crate::watch::NodeSource;
use carillon_protocol::{Header, Kind};

/// Why messages were not found.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// L1's events.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A request to L1.
    #[error(transparent)]
    Node(#[from] SettlementError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Not executed.
    #[error(
        "L1 has executed {executed} batches, batch {number} is none of them: wait until it is settled"
    )]
    NotExecuted {
        /// The batch.
        number: u64,
        /// Batches that L1 has executed.
        executed: u64,
    },
    /// The record is no message.
    #[error(
        "record {record} of batch {number} is no message: messages are withdrawals and exits of an amount, and bundles"
    )]
    NoMessage {
        /// The batch.
        number: u64,
        /// The record.
        record: u64,
    },
    /// The calldata do not hold the batch.
    #[error(
        "batch {number} was committed through another contract, so that its data cannot be read from the transaction; name the chain's archive with --archive"
    )]
    NotPublished {
        /// The batch.
        number: u64,
    },
    /// Wrong data.
    #[error(
        "the data of batch {number} do not lead to the message root on L1 ({reason}); ask another node, or name another archive"
    )]
    WrongData {
        /// The batch.
        number: u64,
        /// What is wrong.
        reason: String,
    },
}

/// A message with what its words say.
#[derive(Clone, Debug)]
pub struct SentMessage {
    /// Ready for the bridge or the handler.
    pub message: Message,
    /// Withdrawal, exit or bundle.
    pub kind: Kind,
    /// The account that it comes from.
    pub account: u32,
    /// Token slot.
    pub token: u8,
    /// Amount in the token's smallest unit.
    pub amount: u128,
}

impl SentMessage {
    /// The messages that a batch of a chain sends, in order.
    pub fn of(chain_id: u64, header: &Header) -> Vec<Self> {
        let sent = messages(chain_id, header).into_iter();
        let sent = sent.filter_map(|message| {
            let at = usize::try_from(message.k).ok()?;
            let record = header.records.get(at)?;
            Some(Self {
                kind: record.kind,
                account: record.account,
                token: record.token,
                amount: record.amount,
                message,
            })
        });
        sent.collect()
    }

    /// Who is paid, or whose alias account acts; `None` if the word is no address.
    pub fn owner(&self) -> Option<Address> {
        let word = match self.kind {
            Kind::Bundle => self.message.words[3],
            _ => self.message.words[2],
        };
        (word >> 160 == U256::ZERO).then(|| Address::from_word(word.to_be_bytes::<32>().into()))
    }
}

/// The messages of the executed batches of `history`, or of one of them.
pub async fn sent_messages(
    source: &NodeSource,
    archive: Option<&Archive>,
    history: &History,
    only: Option<u64>,
) -> Result<Vec<SentMessage>, MessageError> {
    let executed = history.executed.len() as u64;
    if let Some(number) = only.filter(|number| !(1..=executed).contains(number)) {
        return Err(MessageError::NotExecuted { number, executed });
    }
    let wanted = history.executed.iter();
    let wanted = wanted.filter(|batch| only.is_none_or(|number| number == batch.number));
    let chain_id = chain_of(source).await?.chain;
    let mut found = Vec::new();
    for batch in wanted.filter(|batch| !batch.message_root.is_zero()) {
        let header = header(source, archive, chain_id, batch).await?;
        found.extend(SentMessage::of(chain_id, &header));
    }
    Ok(found)
}

/// One message; `record` is its index among the batch's records.
pub async fn sent_message(
    source: &NodeSource,
    archive: Option<&Archive>,
    history: &History,
    number: u64,
    record: u64,
) -> Result<SentMessage, MessageError> {
    let all = sent_messages(source, archive, history, Some(number)).await?;
    let mut all = all.into_iter();
    all.find(|sent| sent.message.k == U256::from(record))
        .ok_or(MessageError::NoMessage { number, record })
}

/// H of a batch: from the calldata, else from the archive.
async fn header(
    source: &NodeSource,
    archive: Option<&Archive>,
    chain_id: u64,
    batch: &Executed,
) -> Result<Header, MessageError> {
    let number = batch.number;
    let (_, data) = published(source, batch).await?;
    let words = match (data, archive) {
        (Some(data), _) => data.h.iter().map(scalar).collect(),
        (None, Some(archive)) => Some(archive.get(number).await?.header),
        (None, None) => return Err(MessageError::NotPublished { number }),
    };
    let wrong = |reason: String| MessageError::WrongData { number, reason };
    let words: Vec<Scalar> =
        words.ok_or_else(|| wrong("a word is not below the field's order".into()))?;
    let header = Header::from_words(&words).map_err(|error| wrong(error.to_string()))?;
    if header.batch_number != number || message_root(chain_id, &header) != batch.message_root {
        return Err(wrong("another root".into()));
    }
    Ok(header)
}

fn scalar(word: &U256) -> Option<Scalar> {
    Scalar::from_bytes_be(&word.to_be_bytes()).into()
}
