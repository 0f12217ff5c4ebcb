//! `carillon-node send`: signs an operation and hands it to a node.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::sol_types::SolValue;
use carillon_cli::Output;
use carillon_node::{AccountJson, OperationJson, Receipt, Refusal};
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::ledger::RuleError;
use carillon_protocol::{Domain, Home, Operation};
use carillon_settlement::interop::BundleError;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Config;
use crate::exit::Failure;
use crate::node_rpc::Rpc;
use crate::node_url::NodeArgs;
use crate::secret::read_key;
use crate::user::{BundleFile, amount, wait};

/// What messages call the file of an account's key.
const KEY_FILE: &str = "the key file";

/// Operations that can be sent.
#[derive(Debug, Subcommand)]
pub enum SendCommand {
    /// Move an amount to another account
    Transfer {
        #[command(flatten)]
        common: Common,
        /// Account that receives
        #[arg(long, value_name = "INDEX")]
        to: u32,
        /// Amount: a number of the token's smallest unit, or of ETH, like 0.5eth
        #[arg(long, value_name = "AMOUNT", value_parser = amount)]
        amount: u128,
    },
    /// Move an amount to an address on Ethereum
    Withdraw {
        #[command(flatten)]
        common: Common,
        /// Address that is paid, 0x and 40 hex digits
        #[arg(long, value_name = "ADDRESS")]
        recipient: String,
        /// Amount: a number of the token's smallest unit, or of ETH, like 0.5eth
        #[arg(long, value_name = "AMOUNT", value_parser = amount)]
        amount: u128,
    },
    /// Move an amount to an account of another chain on the same bridge
    #[command(name = "chain")]
    Chain(ChainArgs),
    /// Give the account another key
    SetKey {
        #[command(flatten)]
        common: Common,
        /// File with the new secret key: 64 hex digits
        #[arg(long, value_name = "FILE")]
        new_key: PathBuf,
    },
    /// Send a bundle of calls to Ethereum; `bundle encode` makes its file
    Bundle(BundleArgs),
}

/// Arguments of a send to another chain.
#[derive(Debug, Args)]
pub struct ChainArgs {
    #[command(flatten)]
    common: Common,
    /// The other chain's id
    #[arg(long, value_name = "ID")]
    to_chain: u64,
    /// Who owns the account there, 0x and 40 hex digits; he needs none yet
    #[arg(long, value_name = "ADDRESS")]
    recipient: String,
    /// Amount: a number of the token's smallest unit, or of ETH, like 0.5eth
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    amount: u128,
    /// A message to the recipient, which everybody can read: 31 bytes of text at most, or 0x and 62 hex digits
    #[arg(long, default_value = "", value_name = "TEXT", value_parser = memo)]
    memo: [u8; 31],
}

/// A memo: text, filled with zero bytes, or all of its bytes in hex.
fn memo(text: &str) -> Result<[u8; 31], String> {
    let mut memo = [0; 31];
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode_to_slice(digits, &mut memo)
            .map_err(|_| "a memo in hex is 0x and 62 digits".to_owned())?,
        None => memo
            .get_mut(..text.len())
            .ok_or_else(|| format!("a memo has 31 bytes, this one {}", text.len()))?
            .copy_from_slice(text.as_bytes()),
    }
    Ok(memo)
}

/// Arguments of a bundle.
#[derive(Debug, Args)]
pub struct BundleArgs {
    #[command(flatten)]
    common: Common,
    /// The bundle's file, of `bundle encode`. Keep it: without it nobody can run the bundle
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Amount that goes to the alias account
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    amount: u128,
}

/// Options of every operation.
#[derive(Debug, Args)]
pub struct Common {
    #[command(flatten)]
    node: NodeArgs,
    /// File with the account's secret key: 64 hex digits
    #[arg(long, env = "CARILLON_ACCOUNT_KEY", value_name = "FILE")]
    key: PathBuf,
    /// The account
    #[arg(long, value_name = "INDEX")]
    from: u32,
    /// Token slot; 0 is ETH
    #[arg(long, default_value_t = 0, value_name = "SLOT")]
    token: u8,
    /// Fee in the token's units [default: the least one that the node takes]
    #[arg(long, value_name = "N")]
    fee: Option<u128>,
    /// Sign for this deployment of the chain alone: the `domain` that carillon_chain shows [default:
    /// what the node says]
    #[arg(long, value_name = "0xHEX")]
    domain: Option<Domain>,
    /// Nonce [default: the account's next one, as the node says]
    #[arg(long, value_name = "N")]
    nonce: Option<u32>,
    /// Wait until the operation is so far
    #[arg(long, value_name = "STATUS")]
    wait_for: Option<Until>,
    /// Seconds that --wait-for may take
    #[arg(long, value_name = "S", default_value_t = 600)]
    wait_timeout: u64,
}

/// Where an operation is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Until {
    /// In a batch
    Sealed,
    /// The batch has a proof
    Proved,
    /// Executed on Ethereum: its messages can be used
    Settled,
    /// Executed on Ethereum, deep enough
    Final,
}

impl Until {
    fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Proved => "proved",
            Self::Settled => "settled",
            Self::Final => "final",
        }
    }
}

/// Signs and sends.
pub async fn run(output: &Output, command: SendCommand, config: &Config) -> Result<(), Failure> {
    let (SendCommand::Transfer { common, .. }
    | SendCommand::Withdraw { common, .. }
    | SendCommand::SetKey { common, .. }
    | SendCommand::Chain(ChainArgs { common, .. })
    | SendCommand::Bundle(BundleArgs { common, .. })) = &command;
    let key = read_key(&common.key, KEY_FILE)?;
    let rpc = common.node.rpc(config)?;
    let chain: Value = rpc.ask("carillon_chain", json!([])).await?;
    let (home, chain_id, domain) = deployment(&chain, common.domain)?;
    let account: AccountJson = rpc.ask("carillon_getAccount", json!([common.from])).await?;
    if account.key.as_deref() != Some(hex(&key.public().to_bytes()).as_str()) {
        return Err(Failure::input(format!(
            "the key in {} is not that of account {}; its key is {}",
            common.key.display(),
            common.from,
            account
                .key
                .as_deref()
                .unwrap_or("not set: deposit with a key first")
        )));
    }
    let nonce = common.nonce.unwrap_or(account.nonce);
    let (from, token) = (common.from, common.token);
    let kind = match &command {
        SendCommand::Transfer { .. } => "transfer",
        SendCommand::Withdraw { .. } => "withdraw",
        SendCommand::SetKey { .. } => "set_key",
        SendCommand::Bundle(_) => "bundle",
        SendCommand::Chain(_) => "send",
    };
    let fee = match common.fee {
        Some(fee) => fee.to_string(),
        None => least_fee(&rpc, kind, token).await?,
    };
    let paid = fee.clone();
    let unsigned = [0; 64];
    let refused = |refusal: Refusal| Failure::input(refusal.to_string());
    let owner = account.owner_bytes().map_err(refused)?;
    // Of a bundle: what was signed by its hash.
    let mut shown = None;
    let json = match &command {
        SendCommand::Transfer { to, amount, .. } => OperationJson::Transfer {
            from,
            to: *to,
            token,
            amount: amount.to_string(),
            fee,
            nonce,
            signature: unsigned,
        },
        SendCommand::Withdraw {
            recipient, amount, ..
        } => OperationJson::Withdraw {
            from,
            token,
            amount: amount.to_string(),
            fee,
            nonce,
            recipient: address(recipient)?,
            signature: unsigned,
        },
        SendCommand::SetKey { new_key, .. } => OperationJson::SetKey {
            from,
            token,
            fee,
            nonce,
            key: read_key(new_key, KEY_FILE)?.public().to_bytes(),
            signature: unsigned,
        },
        SendCommand::Chain(args) => OperationJson::Send {
            from,
            token,
            amount: args.amount.to_string(),
            fee,
            nonce,
            recipient: address(&args.recipient)?,
            chain: args.to_chain.to_string(),
            leg: None,
            memo: args.memo,
            owner,
            signature: unsigned,
        },
        SendCommand::Bundle(args) => {
            let bundle = BundleFile::read(&args.bundle)?.bundle()?;
            let owner = Address::from(owner);
            if bundle.owner != owner || bundle.chainId != chain_id {
                return Err(Failure::input(format!(
                    "the bundle is for chain {} and the owner {}, account {from} is on chain {chain_id} and of the owner {owner}: it could never run",
                    bundle.chainId, bundle.owner
                )));
            }
            let error = |error: BundleError| Failure::input(error.to_string());
            bundle.check_tip(args.amount).map_err(error)?;
            // A chain with a policy looks at it; others see that it is the one that was signed.
            shown = Some(hex(&bundle.abi_encode()));
            OperationJson::Bundle {
                from,
                token,
                amount: args.amount.to_string(),
                fee,
                nonce,
                bundle: bundle.hash().to_be_bytes(),
                owner: owner.into(),
                signature: unsigned,
            }
        }
    };
    if let OperationJson::Withdraw { recipient, .. } = &json
        && home.bridge != [0; 20]
        && *recipient == home.bridge
    {
        return Err(Failure::input(RuleError::ToBridge.to_string()));
    }
    let operation = json.clone().into_operation().map_err(refused)?;
    let operation = operation
        .sign(&key, domain, &owner)
        .map_err(|error| Failure::input(error.to_string()))?;
    let json = json.signed(operation.signature);

    let mut parameters = vec![json!(json)];
    parameters.extend(shown.map(|bundle| json!(bundle)));
    let receipt: Receipt = rpc.ask("carillon_sendOperation", json!(parameters)).await?;
    confirmed(&chain, &receipt, &operation, domain)?;
    let mut fields = json!({ "receipt": receipt, "fee": paid });
    let mut rows = vec![
        ("operation", hex(&receipt.id)),
        ("sequence", receipt.sequence.to_string()),
        ("fee", paid.clone()),
        (
            "confirmation",
            "soft: accepted and on the sequencer's disk, not settled".to_owned(),
        ),
    ];
    if let Some(until) = common.wait_for {
        let patience = Duration::from_secs(common.wait_timeout);
        let id = hex(&receipt.id);
        let status = wait::operation(output, &rpc, &id, until.name(), patience).await?;
        let text = |field: &str| status[field].to_string().replace('"', "");
        rows.pop();
        rows.push(("status", text("status")));
        rows.push(("batch", text("batch")));
        fields["operation"] = status;
    }
    output.result("carillon.send/1", fields, &rows);
    Ok(())
}

/// The least fee that the node takes for an operation of this kind.
async fn least_fee(rpc: &Rpc, kind: &str, token: u8) -> Result<String, Failure> {
    let fees: Value = rpc.ask("carillon_fees", json!([])).await?;
    let fee = &fees["tokens"][token.to_string()][kind];
    match fee.as_str() {
        Some(fee) => Ok(fee.to_owned()),
        // Where nothing is asked for, every token will do.
        None if fees["asked"] == false => Ok("0".to_owned()),
        None => Err(Failure::input(format!(
            "the node names no fee in token {token} for now; name one with --fee, or ask again in a moment"
        ))),
    }
}

/// Where the node says that its chain is, and what its operations are signed for. A node whose words
/// do not fit together could have an operation signed for another deployment.
fn deployment(chain: &Value, wanted: Option<Domain>) -> Result<(Home, u64, Domain), Failure> {
    let text = |field: &str| chain[field].as_str().unwrap_or_default();
    let number = |field: &str| text(field).parse::<u64>();
    let missing =
        |_| Failure::unexpected("the node does not say which chain of which hub it is".into());
    let (chain_id, l1_chain_id) = (number("chain_id"), number("l1_chain_id"));
    let home = Home {
        l1_chain_id: l1_chain_id.map_err(missing)?,
        hub: address(text("hub"))?,
        bridge: address(text("bridge"))?,
    };
    let chain_id = chain_id.map_err(missing)?;
    let domain = Domain::new(&home, chain_id);
    if text("domain") != domain.to_string() {
        return Err(Failure::wrong_result(format!(
            "the node says that its domain is {}, L1, hub and chain id make {domain}: ask another node",
            text("domain")
        )));
    }
    match wanted {
        Some(wanted) if wanted != domain => Err(Failure::input(format!(
            "the node is of the deployment {domain}, --domain asks for {wanted}: name the right --url"
        ))),
        _ => Ok((home, chain_id, domain)),
    }
}

/// The receipt is for this operation, and signed by the sequencer that the node named before.
fn confirmed(
    chain: &Value,
    receipt: &Receipt,
    operation: &Operation,
    domain: Domain,
) -> Result<(), Failure> {
    let mut bytes = [0; 32];
    let text = chain["sequencer"].as_str().unwrap_or_default();
    let known = hex::decode_to_slice(text.trim_start_matches("0x"), &mut bytes).is_ok();
    let sequencer = known.then(|| PublicKey::from_bytes(&bytes).ok()).flatten();
    let sequencer = sequencer
        .ok_or_else(|| Failure::wrong_result("the node names no sequencer's key".into()))?;
    if receipt.id != operation.id(domain) {
        return Err(Failure::wrong_result(
            "the receipt is for another operation".into(),
        ));
    }
    receipt
        .verify(&sequencer)
        .map_err(|error| Failure::wrong_result(error.to_string()))
}

/// An address on Ethereum.
pub fn address(text: &str) -> Result<[u8; 20], Failure> {
    let mut bytes = [0; 20];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).map_err(|_| {
        Failure::input(format!(
            "`{text}` is not an address: 0x and 40 hex digits are expected"
        ))
    })?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memos_are_text_or_all_bytes_in_hex() {
        let mut text = [0; 31];
        text[..6].copy_from_slice("Gr\u{fc}ss".as_bytes());
        assert_eq!(memo("Gr\u{fc}ss"), Ok(text));
        assert_eq!(memo(""), Ok([0; 31]));
        assert_eq!(memo(&"x".repeat(31)), Ok([b'x'; 31]));
        assert_eq!(memo(&format!("0x{}", "ab".repeat(31))), Ok([0xab; 31]));
        for wrong in [&"x".repeat(32), "0x", "0xab", &"0x".repeat(32)] {
            assert!(memo(wrong).is_err(), "{wrong}");
        }
    }
}
