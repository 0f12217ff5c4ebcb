//! INSECURE, for development and tests: an L1 queue read from a file.
//!
//! A JSON array of entries, `{"kind": "deposit", "token": 0, "amount": "1000", "owner": "0x...",
//! "key": "0x..."}` (the key is optional) or `{"kind": "exit", "account": 3, "token": 0, "owner":
//! "0x..."}`. The file may grow; what was read must not change. Called by `carillon-node run
//! --dev-queue`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use blstrs::Scalar;
use serde::Deserialize;

use super::ports::{L1Inbox, PortError, QueueEntry};
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::{Kind, layout};

/// Why a file is not a queue.
#[derive(Debug, thiserror::Error)]
#[error("the queue file {}: {reason}", .path.display())]
pub struct DevQueueError {
    path: PathBuf,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Deposit {
        token: u8,
        amount: String,
        #[serde(with = "carillon_protocol::json::hex_array")]
        owner: [u8; 20],
        #[serde(default)]
        key: Option<String>,
    },
    Exit {
        account: u32,
        token: u8,
        #[serde(with = "carillon_protocol::json::hex_array")]
        owner: [u8; 20],
    },
}

/// A queue in a file.
#[derive(Clone, Debug)]
pub struct DevQueue {
    path: PathBuf,
}

impl DevQueue {
    /// Checks the file.
    ///
    /// # Errors
    /// [`DevQueueError`] with the place.
    pub fn read(path: &Path) -> Result<Self, DevQueueError> {
        let queue = Self {
            path: path.to_owned(),
        };
        queue.all()?;
        Ok(queue)
    }

    fn all(&self) -> Result<Vec<QueueEntry>, DevQueueError> {
        let fault = |reason: String| DevQueueError {
            path: self.path.clone(),
            reason,
        };
        let text = std::fs::read_to_string(&self.path).map_err(|error| fault(error.to_string()))?;
        let lines: Vec<Line> =
            serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
        (0..)
            .zip(lines)
            .map(|(index, line)| {
                let words =
                    words(line).map_err(|reason| fault(format!("entry {index}: {reason}")))?;
                Ok(QueueEntry { index, words })
            })
            .collect()
    }
}

/// The record's words, masked as the contract hashes them.
fn words(line: Line) -> Result<[[u8; 32]; 5], String> {
    let head = |kind: Kind, account: u32, token: u8| {
        if token > 63 || account >= 1 << 24 {
            return Err("tokens are below 64, accounts below 2^24".to_owned());
        }
        Ok(u128::from(layout::record::word0(
            kind as u8, account, token,
        )))
    };
    let number = |value: u128| {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&value.to_be_bytes());
        word
    };
    let address = |owner: [u8; 20]| {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&owner);
        word
    };
    match line {
        Line::Deposit {
            token,
            amount,
            owner,
            key,
        } => {
            let amount = amount
                .parse()
                .ok()
                .filter(|amount: &u128| *amount < 1 << 96);
            let amount = amount.ok_or("`amount` is a decimal string below 2^96")?;
            let key = match key {
                None => [Scalar::from(0); 2],
                Some(text) => {
                    let mut bytes = [0; 32];
                    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(&text), &mut bytes)
                        .map_err(|_| "`key` is 0x and 64 hex digits")?;
                    let key = PublicKey::from_bytes(&bytes).map_err(|error| error.to_string())?;
                    [key.coordinates().x, key.coordinates().y]
                }
            };
            Ok([
                number(head(Kind::Deposit, 0, token)?),
                number(amount),
                address(owner),
                key[0].to_bytes_be(),
                key[1].to_bytes_be(),
            ])
        }
        Line::Exit {
            account,
            token,
            owner,
        } => Ok([
            number(head(Kind::Exit, account, token)?),
            [0; 32],
            address(owner),
            [0; 32],
            [0; 32],
        ]),
    }
}

#[async_trait]
impl L1Inbox for DevQueue {
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<QueueEntry>, PortError> {
        let this = self.clone();
        let all = tokio::task::spawn_blocking(move || this.all()).await;
        let all = all.map_err(|error| PortError::Unreachable(error.to_string()))?;
        let all = all.map_err(|error| PortError::Unreachable(error.to_string()))?;
        let new = all.into_iter().filter(|entry| entry.index >= from);
        Ok(new.take(most).collect())
    }
}
