//! `carillon-node bundle`: calls on Ethereum that one signature on the rollup pays for and allows.

use std::path::PathBuf;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolValue;
use carillon_cli::Output;
use carillon_protocol::Kind;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::archive::SentMessage;
use carillon_settlement::interop::contracts::InteropHandler;
use carillon_settlement::interop::{Bundle, Ran, alias_address, ran, tip_paid};
use clap::{Args, Subcommand};
use serde_json::json;

use super::alias;
use super::bundle_file::{BundleFile, CallFile, ReturnFile, back, call};
use super::chain::{Chain, ChainArgs, failure};
use super::message::{PlaceArgs, fields, write_json};
use super::wallet::WalletArgs;
use crate::config::Config;
use crate::exit::Failure;
use crate::send::{self, SendCommand};

/// Commands about bundles.
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Make a bundle's file: where it may run, for whom, and what it does
    Encode(EncodeArgs),
    /// Sign a bundle on the rollup and hand it to a node
    Send(send::BundleArgs),
    /// Run a bundle on Ethereum once its batch is executed; anyone may
    Execute(RunArgs),
    /// Return the amount of a bundle whose deadline has passed, or that can never run
    Cancel(RunArgs),
    /// Return the amount of a bundle whose file is lost: the owner announces it, and a week later gives
    /// the same command again
    TakeBack(TakeBackArgs),
    /// On a halted chain: make calls from one's own alias account, by a state proof
    AsOwner(alias::AsOwnerArgs),
}

/// Arguments of `bundle encode`.
#[derive(Debug, Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// The owner of the account that will sign it
    #[arg(long, value_name = "ADDRESS")]
    owner: Address,
    /// A call: target, wei (or like 0.5eth) and data; can be repeated, and the order counts
    #[arg(long = "call", value_name = "TARGET[,VALUE[,DATA]]", value_parser = call)]
    calls: Vec<CallFile>,
    /// After the calls, send the alias account's whole balance of a token back to the rollup; the
    /// bundle fails if it is less than LEAST
    #[arg(long = "return", value_name = "SLOT[,LEAST]", value_parser = back)]
    back: Option<ReturnFile>,
    /// For whoever runs it, out of what it withdraws and in that token's smallest unit (or like 0.5eth);
    /// also if the run fails for good
    #[arg(long, value_name = "AMOUNT", default_value = "0", value_parser = super::units::amount)]
    tip: u128,
    /// Seconds from now in which it may run
    #[arg(long, value_name = "S", default_value_t = 24 * 3600)]
    valid: u64,
    /// Gas of the whole run: withdrawal, calls and return
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    gas_limit: u64,
    /// The bundle's file. Keep it: without it nobody can run the bundle
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `bundle execute` and `bundle cancel`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The bundle's file
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The batch that sent it [default: the first whose message has the bundle's hash and no outcome]
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
}

/// Arguments of `bundle take-back`.
#[derive(Debug, Args)]
pub struct TakeBackArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The batch that sent it
    #[arg(long, value_name = "N")]
    batch: u64,
    /// Index of the record in the batch, as `message list` shows it
    #[arg(long, value_name = "K")]
    record: u64,
}

/// Runs a command.
pub async fn run(output: &Output, command: BundleCommand, config: &Config) -> Result<(), Failure> {
    match command {
        BundleCommand::Encode(args) => encode(output, args).await,
        BundleCommand::Send(args) => send::run(output, SendCommand::Bundle(args), config).await,
        BundleCommand::Execute(args) => execute(output, args).await,
        BundleCommand::Cancel(args) => cancel(output, args).await,
        BundleCommand::TakeBack(args) => take_back(output, args).await,
        BundleCommand::AsOwner(args) => alias::run(output, args).await,
    }
}

async fn encode(output: &Output, args: EncodeArgs) -> Result<(), Failure> {
    let chain = args.chain.connect().await?;
    let contracts = chain.contracts;
    if contracts.handler.is_zero() {
        return Err(Failure::input(format!(
            "the bridge {} has no interop handler: bundles cannot run",
            contracts.bridge
        )));
    }
    let now = chain.source.time().await.map_err(failure)?;
    let file = BundleFile {
        chain_id: contracts.chain_id,
        l1_chain_id: contracts.l1_chain,
        handler: contracts.handler,
        owner: args.owner,
        deadline: now + args.valid,
        gas_limit: args.gas_limit,
        calls: args.calls,
        back: args.back,
        tip: args.tip.to_string(),
    };
    let bundle = file.bundle()?;
    if args.out.exists() {
        return Err(Failure::input(format!(
            "{} exists: a bundle that was signed is lost with its file; name another",
            args.out.display()
        )));
    }
    write_json(&args.out, &file)?;
    let hash = format!("{:#066x}", bundle.hash());
    let alias = alias_address(contracts.handler, contracts.chain_id, args.owner);
    let fields = json!({
        "file": args.out,
        "hash": hash,
        "alias": alias,
        "deadline": file.deadline,
        "bundle": file,
        "encoded": format!("0x{}", hex::encode(bundle.abi_encode())),
    });
    let rows = [
        ("bundle", args.out.display().to_string()),
        ("hash", hash),
        ("acts as", alias.to_string()),
        ("may run until (Unix time)", file.deadline.to_string()),
        ("tip for who runs it", file.tip.clone()),
    ];
    output.result("carillon.bundle/1", fields, &rows);
    output.closing("next: `carillon-node bundle send` signs it on the rollup; keep the file");
    Ok(())
}

/// A bundle, its message, and where both are.
struct Found {
    chain: Chain,
    bundle: Bundle,
    sent: SentMessage,
}

/// Finds the message of a bundle that has had no outcome.
async fn find(output: &Output, args: &RunArgs) -> Result<Found, Failure> {
    let bundle = BundleFile::read(&args.bundle)?.bundle()?;
    let chain = args.place.chain.connect().await?;
    let all = args.place.all(output, &chain, args.batch).await?;
    let hash = bundle.hash();
    let ours = all.into_iter();
    let ours = ours.filter(|sent| sent.kind == Kind::Bundle && sent.message.words[2] == hash);
    let mut handled = None;
    for sent in ours {
        let call = InteropHandler::outcomeCall {
            chainId: sent.message.chainId,
            batch: sent.message.batch,
            k: sent.message.k,
        };
        let outcome = chain
            .source
            .read(bundle.handler, call)
            .await
            .map_err(failure)?;
        if outcome == 0 {
            return Ok(Found {
                chain,
                bundle,
                sent,
            });
        }
        handled = Some((sent.message.batch, outcome));
    }
    Err(Failure::input(match handled {
        Some((batch, outcome)) => format!(
            "the bundle of batch {batch} has had its outcome: it was {}",
            match outcome {
                1 => "executed",
                2 => "run and failed, and its amount went back",
                _ => "cancelled, and its amount went back",
            }
        ),
        None => format!(
            "no executed batch has sent a bundle with the hash {hash:#066x}: wait until its batch is settled"
        ),
    }))
}

async fn execute(output: &Output, args: RunArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.place.chain)?;
    let Found {
        chain,
        bundle,
        sent,
    } = find(output, &args).await?;
    let now = chain.source.time().await.map_err(failure)?;
    if now > bundle.deadline {
        return Err(Failure::input(format!(
            "the bundle's time was over at {} (Unix time): `bundle cancel` returns its amount",
            bundle.deadline
        )));
    }
    if let Err(error) = bundle.check_tip(sent.amount) {
        return Err(Failure::input(format!(
            "{error}: `bundle cancel` returns its amount at once"
        )));
    }
    let handler = bundle.handler;
    let owner = bundle.owner;
    let tip = bundle.tip.to_string();
    let slot = sent.token;
    let call = InteropHandler::executeCall {
        message: sent.message.clone().into(),
        bundle,
    };
    let done = wallet
        .send(output, "run a bundle", handler, U256::ZERO, call)
        .await?;
    let mut fields = fields(&sent);
    fields["transaction"] = done.json();
    fields["tip"] = json!({ "token": slot, "amount": tip });
    let alias = alias_address(handler, chain.contracts.chain_id, owner);
    let mut rows = vec![
        done.row(),
        ("acted as", alias.to_string()),
        (
            "tip for who runs it",
            format!("{tip} units of the token in slot {slot}"),
        ),
    ];
    if let Some(mined) = done.mined() {
        let earned = tip_paid(handler, mined).map_or(U256::ZERO, |(_, amount)| amount);
        fields["earned"] = json!(earned.to_string());
        match ran(handler, mined).map_err(failure)? {
            Ran::Executed { sent_back, .. } => {
                fields["outcome"] = json!("executed");
                fields["sent_back"] = json!(sent_back.to_string());
                rows.push(("outcome", "executed".into()));
                rows.push(("sent back to the rollup", sent_back.to_string()));
            }
            Ran::Failed { reason } => {
                fields["outcome"] = json!("failed");
                fields["reason"] = json!(reason);
                rows.push((
                    "outcome",
                    "failed: its amount goes back to the owner".into(),
                ));
                rows.push(("reason", reason.to_string()));
            }
        }
    }
    let failed = fields["outcome"] == "failed";
    output.result("carillon.bundle_execute/1", fields, &rows);
    if failed {
        return Err(Failure::wrong_result(
            "the bundle's run failed and was undone; its amount goes back to its owner".into(),
        ));
    }
    Ok(())
}

async fn cancel(output: &Output, args: RunArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.place.chain)?;
    let Found {
        chain,
        bundle,
        sent,
    } = find(output, &args).await?;
    let contracts = chain.contracts;
    let accepted = accepted(&chain, bundle.handler).await?;
    let can_run = bundle.chainId == contracts.chain_id
        && bundle.l1ChainId == U256::from(contracts.l1_chain)
        && accepted
        && sent.owner() == Some(bundle.owner)
        && bundle.check_tip(sent.amount).is_ok();
    let now = chain.source.time().await.map_err(failure)?;
    if can_run && now <= bundle.deadline {
        return Err(Failure::input(format!(
            "the bundle can still run, until {} (Unix time): `bundle execute` runs it, and after that time `bundle cancel` returns its amount",
            bundle.deadline
        )));
    }
    // A bundle for a handler that the bridge obeys no more is cancelled by the newest.
    let handler = match accepted {
        true => bundle.handler,
        false => contracts.handler,
    };
    let call = InteropHandler::cancelCall {
        message: sent.message.clone().into(),
        bundle,
    };
    let done = wallet
        .send(output, "cancel a bundle", handler, U256::ZERO, call)
        .await?;
    let mut fields = fields(&sent);
    fields["transaction"] = done.json();
    output.result("carillon.bundle_cancel/1", fields, &[done.row()]);
    output.closing("next: the amount goes back to the owner as an entry of the chain's queue, or, if the chain is halted, to the alias account on Ethereum");
    Ok(())
}

/// Whether the bridge obeys a handler.
async fn accepted(chain: &Chain, handler: Address) -> Result<bool, Failure> {
    let call = SharedBridge::isHandlerCall { handler };
    let bridge = chain.contracts.bridge;
    chain.source.read(bridge, call).await.map_err(failure)
}

/// Two steps: announced, and after the delay returned.
async fn take_back(output: &Output, args: TakeBackArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.place.chain)?;
    let chain = args.place.chain.connect().await?;
    let sent = args
        .place
        .one(output, &chain, args.batch, args.record)
        .await?;
    if sent.kind != Kind::Bundle {
        return Err(Failure::input(format!(
            "record {} of batch {} is no bundle: `claim` pays it",
            args.record, args.batch
        )));
    }
    if sent.owner() != Some(wallet.address()) {
        let owner = sent
            .owner()
            .map_or("no address".into(), |owner| owner.to_string());
        return Err(Failure::input(format!(
            "only the owner {owner} takes a bundle back without its contents; {} signs",
            wallet.address()
        )));
    }
    let handler = chain.contracts.handler;
    let at = InteropHandler::announcedAtCall {
        chainId: sent.message.chainId,
        batch: sent.message.batch,
        k: sent.message.k,
    };
    let announced = chain.source.read(handler, at).await.map_err(failure)?;
    let delay = InteropHandler::CANCEL_DELAYCall {};
    let delay = chain.source.read(handler, delay).await.map_err(failure)?;
    let now = chain.source.time().await.map_err(failure)?;
    let message = sent.message.clone().into();
    let (step, done) = if announced == 0 {
        let call = InteropHandler::announceCancelCall { message };
        let action = "announce that a bundle is taken back";
        let done = wallet
            .send(output, action, handler, U256::ZERO, call)
            .await?;
        ("announced", done)
    } else if now < announced + delay {
        return Err(Failure::input(format!(
            "it was announced; the amount can be taken back from {} (Unix time), in {} seconds",
            announced + delay,
            announced + delay - now
        )));
    } else {
        let call = InteropHandler::cancelUnopenedCall { message };
        let done = wallet
            .send(output, "take a bundle back", handler, U256::ZERO, call)
            .await?;
        ("taken back", done)
    };
    let mut fields = fields(&sent);
    fields["step"] = json!(step);
    fields["transaction"] = done.json();
    let rows = [done.row(), ("step", step.to_owned())];
    output.result("carillon.bundle_take_back/1", fields, &rows);
    if announced == 0 {
        output.closing(&format!(
            "next: the same command again after {delay} seconds; until then the bundle can still run"
        ));
    }
    Ok(())
}
