//! `carillon-node deposit`: ETH or tokens from Ethereum into an account of the rollup.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::sol;
use alloy::sol_types::SolEvent;
use carillon_cli::Output;
use carillon_settlement::abi::RollupChain::QueueEntry;
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::calls::key_proof;
use clap::Args;
use serde_json::{Value, json};

use super::chain::{Chain, ChainArgs, failure};
use super::units::amount;
use super::wait;
use super::wallet::{Sent, Wallet, WalletArgs};
use crate::config::Config;
use crate::exit::Failure;
use crate::node_url::NodeArgs;
use crate::secret;

sol! {
    /// What a deposit needs of a token.
    interface IERC20 {
        function balanceOf(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external;
    }
}

/// Arguments of `deposit`.
#[derive(Debug, Args)]
pub struct DepositArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Amount: a number of the token's smallest unit, or of ETH, like 0.5eth
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    amount: u128,
    /// Token slot of the chain; 0 is ETH
    #[arg(long, value_name = "SLOT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..64))]
    token: u8,
    /// Address on Ethereum that owns the account [default: the one that signs]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// File with the account's secret key on the rollup (`keygen` makes one): registers its public
    /// key with the account. A first deposit needs it, later ones do not; only the owner may give it
    #[arg(long, env = "CARILLON_ACCOUNT_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Let the bridge take this amount of the token first, in a transaction of its own
    #[arg(long)]
    approve: bool,
    /// Wait until the node at --url has executed the deposit
    #[arg(long, value_name = "STATUS")]
    wait_for: Option<Until>,
    #[command(flatten)]
    node: NodeArgs,
    /// Seconds that --wait-for may take
    #[arg(long, value_name = "S", default_value_t = 600)]
    wait_timeout: u64,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Until {
    /// The node has executed the deposit
    Executed,
}

/// Checks, then deposits.
pub async fn run(output: &Output, args: DepositArgs, config: &Config) -> Result<(), Failure> {
    if args.amount == 0 {
        return Err(Failure::input("a deposit has an amount above 0".into()));
    }
    // Before anything is sent.
    let node = args.wait_for.map(|_| args.node.rpc(config)).transpose()?;
    let wallet = args.wallet.open(&args.chain)?;
    let owner = args.owner.unwrap_or(wallet.address());
    let key = match &args.key {
        None => None,
        // A key from the environment is meant for one's own account.
        Some(_) if owner != wallet.address() => {
            return Err(Failure::input(format!(
                "a key is registered by the owner alone: {} signs, {owner} is the owner; leave --key (and CARILLON_ACCOUNT_KEY) out",
                wallet.address()
            )));
        }
        Some(path) => Some(secret::read_key(path, "the account's key")?),
    };
    let proof = key.as_ref().map(|key| key_proof(key.public()));
    let chain = args.chain.connect().await?;
    takes_deposits(&chain).await?;
    let amount = U256::from(args.amount);
    least(&chain, args.token, amount).await?;
    let fee = surcharge(&chain).await?;
    let value = match args.token {
        0 => amount + fee,
        slot => {
            token(output, &chain, &wallet, slot, amount, args.approve).await?;
            fee
        }
    };
    let call = SharedBridge::depositCall {
        chainId: chain.contracts.chain_id,
        token: U256::from(args.token),
        amount,
        owner,
        keyProof: proof.unwrap_or_default(),
    };
    let bridge = chain.contracts.bridge;
    let sent = wallet.send(output, "deposit", bridge, value, call).await?;
    let index = queue_index(&chain, &sent)?;
    if let (Some(node), Some(index)) = (&node, index) {
        let patience = Duration::from_secs(args.wait_timeout);
        wait::executed(output, node, index, patience).await?;
    }
    report(output, &chain, &args, owner, &sent, index);
    Ok(())
}

/// The entry that the deposit made in the chain's queue.
fn queue_index(chain: &Chain, sent: &Sent) -> Result<Option<u64>, Failure> {
    let Some(mined) = sent.mined() else {
        return Ok(None);
    };
    let logs = mined.receipt.inner.logs().iter();
    let ours = logs.filter(|log| log.address() == chain.contracts.chain);
    let mut entries = ours.filter_map(|log| QueueEntry::decode_log(&log.inner).ok());
    let none = || Failure::wrong_result("the deposit made no entry in the chain's queue".into());
    entries
        .next()
        .map(|entry| Some(entry.index))
        .ok_or_else(none)
}

/// A chain that is halted or paused would refuse; say why and until when.
async fn takes_deposits(chain: &Chain) -> Result<(), Failure> {
    let at = chain.contracts.chain;
    let id = chain.contracts.chain_id;
    if chain.progress().await?.halted {
        return Err(Failure::input(format!(
            "chain {id} is halted for good: it takes nothing in; what is on it leaves by `exit claim` and `recover`"
        )));
    }
    let until = chain.source.read(at, RollupChain::pausedUntilCall {}).await;
    match until.map_err(failure)? {
        0 => Ok(()),
        until => Err(Failure::input(format!(
            "chain {id} is paused until {until} (Unix time): deposit after that"
        ))),
    }
}

/// A chain may refuse deposits that are not worth an entry of its queue.
async fn least(chain: &Chain, slot: u8, amount: U256) -> Result<(), Failure> {
    let call = SharedBridge::leastDepositCall {
        chainId: chain.contracts.chain_id,
        slot: U256::from(slot),
    };
    let bridge = chain.contracts.bridge;
    let least = chain.source.read(bridge, call).await.map_err(failure)?;
    if amount >= least {
        return Ok(());
    }
    Err(Failure::input(format!(
        "chain {} takes {least} of token {slot} at least, the deposit is {amount}",
        chain.contracts.chain_id
    )))
}

/// What a deposit costs beside its amount: nothing while the queue is short. It moves with the queue,
/// so a quarter more is sent; the bridge gives back what is above.
async fn surcharge(chain: &Chain) -> Result<U256, Failure> {
    let call = RollupChain::depositFeeCall {};
    let fee = chain.source.read(chain.contracts.chain, call).await;
    let fee = fee.map_err(failure)?;
    Ok(fee + fee / U256::from(4))
}

/// Balance and allowance of a token; approves if that is asked for.
async fn token(
    output: &Output,
    chain: &Chain,
    wallet: &Wallet,
    slot: u8,
    amount: U256,
    approve: bool,
) -> Result<(), Failure> {
    let (id, bridge, from) = (
        chain.contracts.chain_id,
        chain.contracts.bridge,
        wallet.address(),
    );
    let call = SharedBridge::tokenAtCall {
        chainId: id,
        slot: U256::from(slot),
    };
    let token = chain.source.read(bridge, call).await.map_err(failure)?;
    if token.is_zero() {
        return Err(Failure::input(format!(
            "chain {id} has no token in slot {slot}"
        )));
    }
    let call = IERC20::balanceOfCall { owner: from };
    let balance = chain.source.read(token, call).await.map_err(failure)?;
    if balance < amount {
        return Err(Failure::input(format!(
            "{from} has {balance} of the token {token}, the deposit is {amount}"
        )));
    }
    let call = IERC20::allowanceCall {
        owner: from,
        spender: bridge,
    };
    let allowed = chain.source.read(token, call).await.map_err(failure)?;
    if allowed >= amount {
        return Ok(());
    }
    if !approve {
        return Err(Failure::input(format!(
            "the bridge {bridge} may take {allowed} of the token {token}, the deposit is {amount}: add --approve, which allows this amount first"
        )));
    }
    // Some tokens let an allowance be changed from and to zero only.
    let steps = if allowed.is_zero() {
        vec![amount]
    } else {
        vec![U256::ZERO, amount]
    };
    for amount in steps {
        let call = IERC20::approveCall {
            spender: bridge,
            amount,
        };
        wallet
            .send(output, "approve", token, U256::ZERO, call)
            .await?;
        if wallet.dry_run() {
            return Err(Failure::input(
                "the approval would succeed; the deposit after it can be simulated only once it is there: nothing was sent".into(),
            ));
        }
    }
    Ok(())
}

fn report(
    output: &Output,
    chain: &Chain,
    args: &DepositArgs,
    owner: Address,
    sent: &Sent,
    index: Option<u64>,
) {
    let index = index.map_or(Value::Null, |index| json!(index));
    let next = if args.wait_for.is_some() {
        "`carillon-node account --owner ADDRESS` shows the account"
    } else {
        "the node executes the entry once enough blocks are on top of it; `carillon-node account --owner ADDRESS` shows the account then"
    };
    let fields = json!({
        "chain_id": chain.contracts.chain_id,
        "bridge": chain.contracts.bridge,
        "owner": owner,
        "token": args.token,
        "amount": args.amount.to_string(),
        "key_registered": args.key.is_some(),
        "queue_index": index,
        "transaction": sent.json(),
        "next": next,
    });
    let rows = [
        sent.row(),
        ("owner", owner.to_string()),
        ("amount", format!("{} of token {}", args.amount, args.token)),
        (
            "key",
            match args.key {
                Some(_) => "registered with the deposit".into(),
                None => "none given: an account without a key cannot send".into(),
            },
        ),
        ("entry of the queue", index.to_string()),
    ];
    output.result("carillon.deposit/1", fields, &rows);
    output.closing(&format!(
        "next: {}",
        next.replace("ADDRESS", &owner.to_string())
    ));
}
