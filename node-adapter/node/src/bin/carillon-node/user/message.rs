//! `carillon-node message`: withdrawals, exits and bundles that a chain has sent to Ethereum, with
//! what became of them and with their proofs.

use std::path::PathBuf;

use alloy::primitives::{Address, U256};
use carillon_cli::Output;
use carillon_node::MessageProofJson;
use carillon_protocol::Kind;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::archive::{SentMessage, sent_message, sent_messages};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::chain::{Chain, ChainArgs, PastArgs, failure, message_failure};
use crate::exit::Failure;

/// Commands about messages.
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// List messages, and whether they were used
    List(ListArgs),
    /// The proof of a message, as `claim` and the contracts take it
    Proof(ProofArgs),
}

/// Where messages are read.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub past: PastArgs,
    /// The chain's archive: a folder, or a URL like file:///var/lib/carillon/archive. Needed only for
    /// batches that a contract committed, whose data are not in a plain transaction [default: none]
    #[arg(
        long,
        env = "CARILLON_ARCHIVE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub archive: Option<String>,
}

/// Arguments of `message list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only messages that pay this address, or act for it [default: all]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Only messages of this batch
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Only messages that were not used
    #[arg(long)]
    open: bool,
}

/// Arguments of `message proof`.
#[derive(Debug, Args)]
pub struct ProofArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The batch
    #[arg(long, value_name = "N")]
    batch: u64,
    /// Index of the record in the batch, as `message list` shows it
    #[arg(long, value_name = "K")]
    record: u64,
    /// Write the proof to this file, too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl PlaceArgs {
    /// All messages, or those of one batch.
    pub async fn all(
        &self,
        output: &Output,
        chain: &Chain,
        batch: Option<u64>,
    ) -> Result<Vec<SentMessage>, Failure> {
        let history = chain.history(output, &self.past).await?;
        let archive = match &self.archive {
            Some(url) => Some(chain.archive(url).await?),
            None => None,
        };
        let found = sent_messages(&chain.source, archive.as_ref(), &history, batch);
        found.await.map_err(message_failure)
    }

    /// One message.
    pub async fn one(
        &self,
        output: &Output,
        chain: &Chain,
        batch: u64,
        record: u64,
    ) -> Result<SentMessage, Failure> {
        let history = chain.history(output, &self.past).await?;
        let archive = match &self.archive {
            Some(url) => Some(chain.archive(url).await?),
            None => None,
        };
        let found = sent_message(&chain.source, archive.as_ref(), &history, batch, record);
        found.await.map_err(message_failure)
    }
}

/// Whether a message was used on Ethereum.
pub async fn used(chain: &Chain, sent: &SentMessage) -> Result<bool, Failure> {
    let call = SharedBridge::messageUsedCall {
        chainId: sent.message.chainId,
        batch: sent.message.batch,
        k: sent.message.k,
    };
    let bridge = chain.contracts.bridge;
    chain.source.read(bridge, call).await.map_err(failure)
}

/// A message for JSON.
pub fn fields(sent: &SentMessage) -> Value {
    json!({
        "batch": sent.message.batch,
        "record": sent.message.k.to_string(),
        "kind": kind(sent.kind),
        "account": sent.account,
        "token": sent.token,
        "amount": sent.amount.to_string(),
        "owner": sent.owner(),
    })
}

/// A kind's name.
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Bundle => "bundle",
        Kind::Exit => "exit",
        _ => "withdrawal",
    }
}

/// Runs a command.
pub async fn run(output: &Output, command: MessageCommand) -> Result<(), Failure> {
    match command {
        MessageCommand::List(args) => list(output, args).await,
        MessageCommand::Proof(args) => proof(output, args).await,
    }
}

async fn list(output: &Output, args: ListArgs) -> Result<(), Failure> {
    let chain = args.place.chain.connect().await?;
    let all = args.place.all(output, &chain, args.batch).await?;
    let wanted = all
        .into_iter()
        .filter(|sent| args.owner.is_none() || sent.owner() == args.owner);
    let mut lines = vec![
        [
            "batch", "record", "kind", "token", "amount", "owner", "used",
        ]
        .map(String::from)
        .to_vec(),
    ];
    let mut entries = Vec::new();
    for sent in wanted {
        let used = used(&chain, &sent).await?;
        if used && args.open {
            continue;
        }
        let mut entry = fields(&sent);
        entry["used"] = json!(used);
        entries.push(entry);
        lines.push(vec![
            sent.message.batch.to_string(),
            sent.message.k.to_string(),
            kind(sent.kind).into(),
            sent.token.to_string(),
            sent.amount.to_string(),
            sent.owner()
                .map_or("no address".into(), |owner| owner.to_string()),
            if used { "yes" } else { "no" }.into(),
        ]);
    }
    let fields = json!({ "chain_id": chain.contracts.chain_id, "messages": entries });
    output.table("carillon.messages/1", fields, &lines);
    Ok(())
}

async fn proof(output: &Output, args: ProofArgs) -> Result<(), Failure> {
    let chain = args.place.chain.connect().await?;
    let sent = args
        .place
        .one(output, &chain, args.batch, args.record)
        .await?;
    let proof = MessageProofJson::of(&sent.message);
    if let Some(path) = &args.out {
        write_json(path, &proof)?;
    }
    let position: U256 = sent.message.position;
    let rows = [
        ("batch", args.batch.to_string()),
        ("record", args.record.to_string()),
        ("kind", kind(sent.kind).to_owned()),
        ("amount", format!("{} of token {}", sent.amount, sent.token)),
        ("words", proof.words.join(" ")),
        ("position", position.to_string()),
        ("path", proof.path.join(" ")),
    ];
    output.result("carillon.message_proof/1", json!(proof), &rows);
    Ok(())
}

/// Writes a file as JSON.
pub fn write_json(path: &std::path::Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    let fault =
        |reason: String| Failure::input(format!("cannot write {}: {reason}", path.display()));
    let mut text = serde_json::to_string_pretty(value).map_err(|error| fault(error.to_string()))?;
    text.push('\n');
    std::fs::write(path, text).map_err(|error| fault(error.to_string()))
}
