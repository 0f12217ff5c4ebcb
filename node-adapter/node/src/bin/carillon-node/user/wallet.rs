//! A user's key on Ethereum, and the transactions that it sends: each is simulated, its cost is
//! compared with the balance, and only then it is sent.

use std::path::PathBuf;
use std::time::Duration;

use alloy::consensus::Transaction;
use alloy::primitives::utils::format_ether;
use alloy::primitives::{Address, Bytes, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use carillon_cli::{Output, grouped};
use carillon_settlement::{Deadlines, GasLimit, L1Client, Mined, SettlementError};
use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::chain::{ChainArgs, failure};
use crate::exit::Failure;
use crate::secret;

/// Environment variable with the key itself.
const KEY_VARIABLE: &str = "CARILLON_L1_KEY";

/// Who signs on Ethereum.
#[derive(Clone, Debug, Args)]
pub struct WalletArgs {
    /// File with the key on Ethereum, 32 bytes in hex, readable by nobody else; without it the key
    /// itself is read from the environment variable CARILLON_L1_KEY
    #[arg(long, env = "CARILLON_L1_KEY_FILE", value_name = "FILE")]
    l1_key: Option<PathBuf>,
    /// Check and simulate, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Seconds to wait for the block with the transaction
    #[arg(long, value_name = "S", default_value_t = 300)]
    receipt_timeout: u64,
}

/// A key and a node.
#[derive(Debug)]
pub struct Wallet {
    /// The client that signs.
    client: L1Client,
    /// Send nothing.
    dry_run: bool,
}

impl WalletArgs {
    /// Reads the key.
    pub fn open(&self, chain: &ChainArgs) -> Result<Wallet, Failure> {
        let deadlines = Deadlines {
            answer: Duration::from_secs(30),
            receipt: Duration::from_secs(self.receipt_timeout),
            poll: Duration::from_millis(200),
        };
        let client = L1Client::new(&chain.l1, self.signer()?, deadlines).map_err(failure)?;
        Ok(Wallet {
            client,
            dry_run: self.dry_run,
        })
    }

    fn signer(&self) -> Result<PrivateKeySigner, Failure> {
        let (text, from) = match &self.l1_key {
            Some(path) => (
                secret::read(path, "the key on Ethereum")?,
                path.display().to_string(),
            ),
            None => match std::env::var(KEY_VARIABLE) {
                Ok(text) => (Zeroizing::new(text), KEY_VARIABLE.to_owned()),
                Err(_) => {
                    return Err(Failure::input(format!(
                        "no key on Ethereum: name its file with --l1-key or CARILLON_L1_KEY_FILE, or give it in {KEY_VARIABLE}; `keygen --ethereum` makes one"
                    )));
                }
            },
        };
        let wrong = |_| {
            Failure::input(format!(
                "the key on Ethereum in {from} is not 32 bytes in hex"
            ))
        };
        text.trim().parse().map_err(wrong)
    }
}

/// A transaction that was sent, or was only tried.
#[derive(Debug)]
pub enum Sent {
    /// Mined.
    Mined(Box<Mined>),
    /// Simulated with success; nothing was sent. The most wei that it may cost, fees included.
    Tried {
        /// Gas limit.
        gas: u64,
        /// Wei.
        cost: U256,
    },
}

impl Wallet {
    /// The address.
    pub fn address(&self) -> Address {
        self.client.address()
    }

    /// The client that signs.
    pub fn client(&self) -> &L1Client {
        &self.client
    }

    /// Whether nothing is sent.
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// Simulates a call; the name of the contract's refusal, or none if it would succeed.
    pub async fn refusal(
        &self,
        action: &'static str,
        to: Address,
        call: impl SolCall,
    ) -> Result<Option<&'static str>, Failure> {
        let input = call.abi_encode().into();
        match self.client.call(action, to, input).await {
            Ok(_) => Ok(None),
            Err(SettlementError::Refused { reason, .. }) => Ok(Some(reason.name())),
            Err(error) => Err(failure(error)),
        }
    }

    /// Simulates, compares the cost with the balance, sends, and waits for the block.
    pub async fn send(
        &self,
        output: &Output,
        action: &'static str,
        to: Address,
        value: U256,
        call: impl SolCall,
    ) -> Result<Sent, Failure> {
        let input = call.abi_encode().into();
        self.send_bytes(output, action, to, value, input).await
    }

    /// [`Wallet::send`] of a call that is encoded already.
    pub async fn send_bytes(
        &self,
        output: &Output,
        action: &'static str,
        to: Address,
        value: U256,
        input: Bytes,
    ) -> Result<Sent, Failure> {
        let step = output.step(action);
        let from = self.address();
        let balance = self.client.balance(from).await.map_err(failure)?;
        let short = |needed: U256| {
            Failure::input(format!(
                "{action} takes up to {} ETH with its fees, {from} has {} ETH on Ethereum; send it {} ETH more",
                format_ether(needed),
                format_ether(balance),
                format_ether(needed.saturating_sub(balance))
            ))
        };
        if balance < value || balance.is_zero() {
            return Err(short(value));
        }
        let signed = self
            .client
            .sign(action, Some(to), value, input, GasLimit::Estimate);
        let signed = signed.await.map_err(failure)?;
        let gas = signed.gas_limit();
        let cost = value + U256::from(gas) * U256::from(signed.max_fee_per_gas());
        if balance < cost {
            return Err(short(cost));
        }
        if self.dry_run {
            step.done(&format!(
                "would succeed with {} gas; nothing was sent",
                grouped(gas)
            ));
            return Ok(Sent::Tried { gas, cost });
        }
        let mined = self
            .client
            .send_signed(action, &signed)
            .await
            .map_err(failure)?;
        step.done(&format!(
            "transaction {} in block {}",
            mined.receipt.transaction_hash,
            mined.receipt.block_number.unwrap_or_default()
        ));
        Ok(Sent::Mined(Box::new(mined)))
    }
}

impl Sent {
    /// The mined transaction.
    pub fn mined(&self) -> Option<&Mined> {
        match self {
            Self::Mined(mined) => Some(mined),
            Self::Tried { .. } => None,
        }
    }

    /// For JSON.
    pub fn json(&self) -> Value {
        match self {
            Self::Mined(mined) => json!({
                "sent": true,
                "hash": mined.receipt.transaction_hash,
                "block": mined.receipt.block_number,
                "gas": mined.receipt.gas_used,
            }),
            Self::Tried { gas, cost } => json!({
                "sent": false,
                "gas_limit": gas,
                "cost_at_most": cost.to_string(),
            }),
        }
    }

    /// For people.
    pub fn row(&self) -> (&'static str, String) {
        let text = match self {
            Self::Mined(mined) => mined.receipt.transaction_hash.to_string(),
            Self::Tried { gas, cost } => format!(
                "not sent (--dry-run); {} gas, {} ETH at most",
                grouped(*gas),
                format_ether(*cost)
            ),
        };
        ("transaction", text)
    }
}
