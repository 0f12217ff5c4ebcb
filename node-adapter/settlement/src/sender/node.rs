//! The sender's port over JSON-RPC. Every request has a deadline.
//!
//! Called by whoever makes a [`super::Sender`]: the service and the tests.

use std::future::IntoFuture;
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256, TxHash, TxKind, U256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::rpc::types::state::{AccountOverride, StateOverride};
use async_trait::async_trait;

use super::{BlockRef, Fees, Intent, Market, Port, PortError, Receipt, SendAnswer};
use crate::{EthNode, Meaning, RpcFailure, SettlementError};

/// Blocks whose tips the market's tip is taken from.
const TIP_BLOCKS: u64 = 10;
/// Percentile of the tips within a block.
const TIP_PERCENTILE: f64 = 20.0;

const ESTIMATE: &str = "eth_estimateGas";
/// More wei than any transaction may cost: 2^100.
const RICH: U256 = U256::from_limbs([0, 1 << 36, 0, 0]);

/// An Ethereum node behind a URL.
#[derive(Clone, Debug)]
pub struct NodePort {
    node: EthNode,
}

impl NodePort {
    /// The node at `url`; each answer may take `deadline`. Does not connect yet.
    ///
    /// # Errors
    /// [`SettlementError::Url`].
    pub fn new(url: &str, deadline: Duration) -> Result<Self, SettlementError> {
        let node = EthNode::new(url, deadline)?;
        Ok(Self { node })
    }

    fn missing(request: &'static str, what: &str) -> PortError {
        let reason = format!("the answer has no {what}");
        SettlementError::Rpc { request, reason }.into()
    }
}

#[async_trait]
impl Port for NodePort {
    async fn chain_id(&self) -> Result<u64, PortError> {
        let answer = self.node.provider().get_chain_id();
        Ok(self.node.ask("eth_chainId", answer).await?)
    }

    async fn head(&self) -> Result<BlockRef, PortError> {
        let request = "eth_getBlockByNumber";
        let latest = BlockNumberOrTag::Latest;
        let look = self.node.provider().get_block_by_number(latest);
        let block = self.node.ask(request, look.into_future()).await?;
        let block = block.ok_or_else(|| Self::missing(request, "block"))?;
        Ok(BlockRef {
            number: block.header.number,
            hash: block.header.hash,
        })
    }

    async fn market(&self) -> Result<Market, PortError> {
        let request = "eth_feeHistory";
        let latest = BlockNumberOrTag::Latest;
        let answer = self
            .node
            .provider()
            .get_fee_history(TIP_BLOCKS, latest, &[TIP_PERCENTILE]);
        let history = self.node.ask(request, answer).await?;
        let base = history
            .next_block_base_fee()
            .ok_or_else(|| Self::missing(request, "base fee"))?;
        let mut tips: Vec<u128> = history
            .reward
            .iter()
            .flatten()
            .filter_map(|block| block.first().copied())
            .filter(|tip| *tip > 0)
            .collect();
        tips.sort_unstable();
        Ok(Market {
            base,
            tip: tips.get(tips.len() / 2).copied().unwrap_or(0),
            blob: history.next_block_blob_base_fee().unwrap_or(1),
        })
    }

    async fn nonce(&self, address: Address) -> Result<u64, PortError> {
        let count = self.node.provider().get_transaction_count(address);
        Ok(self
            .node
            .ask("eth_getTransactionCount", count.latest())
            .await?)
    }

    async fn balance(&self, address: Address) -> Result<U256, PortError> {
        let answer = self.node.provider().get_balance(address).latest();
        Ok(self.node.ask("eth_getBalance", answer).await?)
    }

    async fn block_hash(&self, number: u64) -> Result<Option<B256>, PortError> {
        let number = BlockNumberOrTag::Number(number);
        let look = self.node.provider().get_block_by_number(number);
        let answer = self
            .node
            .ask("eth_getBlockByNumber", look.into_future())
            .await;
        match answer {
            Ok(block) => Ok(block.map(|block| block.header.hash)),
            // Some clients answer with an error for a block that they do not have.
            Err(failure) if failure.meaning == Meaning::Behind => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn receipt(&self, transaction: TxHash) -> Result<Option<Receipt>, PortError> {
        let look = self.node.provider().get_transaction_receipt(transaction);
        let Some(receipt) = self.node.ask("eth_getTransactionReceipt", look).await? else {
            return Ok(None);
        };
        let (Some(number), Some(hash)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(None);
        };
        // A node may still answer with the receipt of a block that it has left.
        if self.block_hash(number).await? != Some(hash) {
            return Ok(None);
        }
        Ok(Some(Receipt {
            hash: transaction,
            block: BlockRef { number, hash },
            success: receipt.status(),
        }))
    }

    async fn simulate(
        &self,
        from: Address,
        intent: &Intent,
        hashes: &[B256],
        fees: Option<Fees>,
    ) -> Result<u64, PortError> {
        let blobs = !hashes.is_empty();
        let request = TransactionRequest {
            from: Some(from),
            to: Some(TxKind::Call(intent.to)),
            value: Some(intent.value),
            input: intent.input.clone().into(),
            max_fee_per_gas: fees.map(|fees| fees.max),
            max_priority_fee_per_gas: fees.map(|fees| fees.tip),
            blob_versioned_hashes: blobs.then(|| hashes.to_vec()),
            max_fee_per_blob_gas: fees.filter(|_| blobs).map(|fees| fees.blob),
            transaction_type: blobs.then_some(3),
            ..Default::default()
        };
        // The library's default is the pending block, in which our own transactions may be mined.
        let provider = self.node.provider();
        let plain = || provider.estimate_gas(request.clone()).latest();
        let answer = if fees.is_some() {
            self.node.ask(ESTIMATE, plain()).await
        } else {
            // Some clients weigh even what is not offered: the balance is lifted out of the way.
            let rich = AccountOverride::default().with_balance(RICH);
            let rich = StateOverride::from_iter([(from, rich)]);
            match self.node.ask(ESTIMATE, plain().overrides(rich)).await {
                Err(failure) if failure.refusal.is_none() => self.node.ask(ESTIMATE, plain()).await,
                answer => answer,
            }
        };
        answer.map_err(|mut failure| match failure.refusal.take() {
            Some(refusal) => PortError::Refused(refusal),
            None => failure.into(),
        })
    }

    async fn send(&self, raw: &[u8]) -> Result<SendAnswer, PortError> {
        let sent = self.node.provider().send_raw_transaction(raw);
        match self.node.ask("eth_sendRawTransaction", sent).await {
            Ok(_) => Ok(SendAnswer::Taken),
            Err(failure) => verdict(failure),
        }
    }
}

/// The pool's answer, as far as it is one: an error of the node says nothing about the transaction.
fn verdict(failure: RpcFailure) -> Result<SendAnswer, PortError> {
    match failure.meaning {
        Meaning::Known => Ok(SendAnswer::Taken),
        Meaning::NonceUsed => Ok(SendAnswer::NonceUsed),
        Meaning::Outbid => Ok(SendAnswer::Underpriced),
        Meaning::RateLimited
        | Meaning::Down
        | Meaning::Unreadable
        | Meaning::Unauthorized
        | Meaning::Behind
        | Meaning::StateMissing => Err(failure.into()),
        _ => Ok(SendAnswer::Refused(failure)),
    }
}
