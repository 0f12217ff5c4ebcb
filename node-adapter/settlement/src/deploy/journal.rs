//! The journal of a deployment: each transaction is on disk, signed, before it is sent.
//!
//! A deployment is a fixed sequence of transactions with one key. A line is written before each is
//! sent and one after it was mined, so that a deployment that was cut off (a crash, a node that went
//! away, an empty purse) goes on where it ended and nothing is deployed twice. Called by `deploy`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::{Decodable2718, Encodable2718};
use alloy::primitives::{Address, B256, Bytes, TxHash, U256, keccak256};
use alloy::rpc::types::TransactionReceipt;
use serde::{Deserialize, Serialize};

use crate::{GasLimit, L1Client, Meaning, SettlementError};

/// Version of the lines.
const FORMAT: u32 = 1;

/// A transaction that was mined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    /// The contract that it created.
    pub created: Option<Address>,
    /// Its hash.
    pub transaction: TxHash,
    /// Its block.
    pub block: u64,
    /// Gas that it used.
    pub gas: u64,
}

impl Done {
    pub fn of(receipt: &TransactionReceipt) -> Self {
        Self {
            created: receipt.contract_address,
            transaction: receipt.transaction_hash,
            block: receipt.block_number.unwrap_or_default(),
            gas: receipt.gas_used,
        }
    }
}

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Whose deployment it is.
    Begun {
        format: u32,
        l1: u64,
        genesis: B256,
        deployer: Address,
    },
    /// A transaction is about to be sent; for the same step again if the one before was not taken.
    Signed {
        step: usize,
        action: String,
        call: B256,
        bytes: Bytes,
    },
    /// It was mined and succeeded.
    Mined { step: usize, done: Done },
}

/// A transaction of the sequence.
#[derive(Clone, Debug)]
struct Step {
    action: String,
    /// Hash of what is called, and with what.
    call: B256,
    /// The transaction, as often as it was signed: at most one of them can be mined.
    signed: Vec<Bytes>,
    done: Option<Done>,
}

/// A deployment's journal on disk.
#[derive(Debug)]
pub struct DeployJournal {
    path: PathBuf,
    file: File,
    steps: Vec<Step>,
    at: usize,
    resumed: usize,
}

impl DeployJournal {
    /// Opens the journal at `path`, or begins one there.
    ///
    /// # Errors
    /// [`SettlementError::DeployJournal`] if the file cannot be used, is damaged, or belongs to another
    /// Ethereum chain or key; errors of the node.
    pub async fn open(path: &Path, client: &L1Client) -> Result<Self, SettlementError> {
        let (l1, genesis) = (client.chain_id().await?, client.genesis().await?);
        let deployer = client.address();
        let fault = |reason: String| fault(path, reason);
        let io = |error: std::io::Error| fault(error.to_string());
        let mut options = File::options();
        let options = options.read(true).append(true).create(true);
        let mut file = options.open(path).map_err(io)?;
        file.try_lock()
            .map_err(|error| fault(format!("another `deploy` uses it ({error})")))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        // What was being written when the process was killed was not sent.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(io)?;
        text.truncate(whole);
        let mut this = Self {
            path: path.to_owned(),
            file,
            steps: Vec::new(),
            at: 0,
            resumed: 0,
        };
        if text.is_empty() {
            this.write(&Line::Begun {
                format: FORMAT,
                l1,
                genesis,
                deployer,
            })?;
            return Ok(this);
        }
        for (number, line) in text.lines().enumerate() {
            let damaged = || fault(format!("line {} is damaged; restore the file", number + 1));
            match serde_json::from_str(line).map_err(|_| damaged())? {
                Line::Begun {
                    format: FORMAT,
                    l1: found,
                    genesis: first,
                    deployer: key,
                } if number == 0 => {
                    if (found, first) != (l1, genesis) {
                        return Err(fault(format!(
                            "it is of a deployment on another Ethereum chain (id {found}, first block {first}); move it away to begin a new one"
                        )));
                    }
                    if key != deployer {
                        return Err(fault(format!(
                            "it is of a deployment by {key}, the key given is of {deployer}; give that key, or move the file away to begin a new one"
                        )));
                    }
                }
                Line::Signed {
                    step,
                    action,
                    call,
                    bytes,
                } if number > 0 => {
                    if step == this.steps.len() {
                        this.steps.push(Step {
                            action,
                            call,
                            signed: vec![bytes],
                            done: None,
                        });
                    } else {
                        let last = this.steps.last_mut();
                        let last = last.filter(|last| last.call == call && last.done.is_none());
                        last.ok_or_else(damaged)?.signed.push(bytes);
                    }
                }
                Line::Mined { step, done } if number > 0 => {
                    this.steps.get_mut(step).ok_or_else(damaged)?.done = Some(done);
                }
                _ => return Err(damaged()),
            }
        }
        Ok(this)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Transactions of earlier runs that were taken over.
    pub fn resumed(&self) -> usize {
        self.resumed
    }

    /// Whether an earlier run has begun.
    pub fn is_begun(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The next transaction of the sequence: taken over, waited for, or sent.
    pub(super) async fn send(
        &mut self,
        client: &L1Client,
        action: &'static str,
        to: Option<Address>,
        input: Bytes,
    ) -> Result<Done, SettlementError> {
        let step = self.at;
        let call = keccak256([to.unwrap_or_default().as_slice(), &input].concat());
        if let Some(known) = self.steps.get(step).cloned() {
            if known.call != call {
                return Err(fault(
                    &self.path,
                    format!(
                        "step {step} was begun with other options ({}, now {action}); give the same ones, or move the file away to begin a new deployment",
                        known.action
                    ),
                ));
            }
            let done = match known.done {
                Some(done) => Some(done),
                None => self.take_over(client, action, &known.signed).await?,
            };
            if let Some(done) = done {
                if let Some(created) = done.created
                    && client.code(created).await?.is_empty()
                {
                    return Err(fault(
                        &self.path,
                        format!(
                            "there is no contract at {created}, which step {step} created: the Ethereum chain was reorganised or reset; move the file away to begin a new deployment"
                        ),
                    ));
                }
                self.resumed += 1;
                return self.finish(step, done);
            }
        }
        let signed = client
            .sign(action, to, U256::ZERO, input, GasLimit::Estimate)
            .await?;
        let bytes = Bytes::from(signed.encoded_2718());
        self.write(&Line::Signed {
            step,
            action: action.to_owned(),
            call,
            bytes: bytes.clone(),
        })?;
        match self.steps.get_mut(step) {
            Some(known) => known.signed.push(bytes),
            None => self.steps.push(Step {
                action: action.to_owned(),
                call,
                signed: vec![bytes],
                done: None,
            }),
        }
        let mined = client.send_signed(action, &signed).await?;
        self.finish(step, Done::of(&mined.receipt))
    }

    /// A transaction that earlier runs signed: what became of it. None if it has to be signed anew: it
    /// failed, or its nonce was used by something else, or the node does not take it at its price.
    async fn take_over(
        &self,
        client: &L1Client,
        action: &'static str,
        signed: &[Bytes],
    ) -> Result<Option<Done>, SettlementError> {
        let mut last = None;
        for bytes in signed {
            let signed = TxEnvelope::decode_2718(&mut bytes.as_ref())
                .map_err(|error| fault(&self.path, format!("no transaction: {error}")))?;
            if let Some(receipt) = client.mined(*signed.tx_hash()).await?
                && receipt.status()
            {
                return Ok(Some(Done::of(&receipt)));
            }
            last = Some(signed);
        }
        let nonce = client.nonce().await?;
        let Some(last) = last.filter(|last| last.nonce() >= nonce) else {
            return Ok(None);
        };
        match client.resume_signed(action, &last).await {
            Ok(mined) => Ok(Some(Done::of(&mined.receipt))),
            Err(error) if error.meaning().is_some_and(is_refused_by_the_pool) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn finish(&mut self, step: usize, done: Done) -> Result<Done, SettlementError> {
        let known = self.steps.get_mut(step);
        if let Some(known) = known.filter(|known| known.done.is_none()) {
            known.done = Some(done.clone());
            self.write(&Line::Mined {
                step,
                done: done.clone(),
            })?;
        }
        self.at += 1;
        Ok(done)
    }

    fn write(&mut self, line: &Line) -> Result<(), SettlementError> {
        let io = |error: std::io::Error| fault(&self.path, error.to_string());
        let mut text = serde_json::to_vec(line).map_err(|error| io(error.into()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(io)?;
        self.file.sync_all().map_err(io)
    }
}

/// Whether a pool will never take these bytes, or not at their price.
fn is_refused_by_the_pool(meaning: Meaning) -> bool {
    matches!(
        meaning,
        Meaning::FeeTooLow
            | Meaning::Funds
            | Meaning::Invalid
            | Meaning::NodeFeeCap
            | Meaning::NonceUsed
            | Meaning::Outbid
            | Meaning::Reserved
    )
}

fn fault(path: &Path, reason: String) -> SettlementError {
    SettlementError::DeployJournal {
        path: path.to_owned(),
        reason,
    }
}
