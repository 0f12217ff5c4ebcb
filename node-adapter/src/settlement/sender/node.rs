//! The sender's port over JSON-RPC. Every request has a deadline.
//!
//! Called by whoever makes a [`super::Sender`]: the service and the tests.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, TxHash, TxKind};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy::transports::{RpcError, TransportErrorKind};
use async_trait::async_trait;

use super::{BlockRef, Head, Intent, Market, Port, PortError, Receipt, SendAnswer};
use crate::settlement::{Refusal, SettlementError};

/// Blocks whose tips the market's tip is taken from.
const TIP_BLOCKS: u64 = 10;
/// Percentile of the tips within a block.
const TIP_PERCENTILE: f64 = 20.0;

/// An Ethereum node behind a URL.
#[derive(Clone, Debug)]
pub struct NodePort {
    provider: RootProvider<Ethereum>,
    deadline: Duration,
}

impl NodePort {
    /// The node at `url`; each answer may take `deadline`. Does not connect yet.
    pub fn new(url: &str, deadline: Duration) -> Result<Self, SettlementError> {
        let parsed = url.parse().map_err(|error| SettlementError::Url {
            url: url.into(),
            reason: format!("{error}"),
        })?;
        Ok(Self {
            provider: RootProvider::new_http(parsed),
            deadline,
        })
    }

    async fn ask<T>(
        &self,
        request: &'static str,
        answer: impl IntoFuture<IntoFuture: Future<Output = Result<T, RpcError<TransportErrorKind>>>>,
    ) -> Result<T, PortError> {
        self.raw(request, answer).await?.map_err(|error| {
            let reason = error.to_string();
            SettlementError::Rpc { request, reason }.into()
        })
    }

    async fn raw<T>(
        &self,
        request: &'static str,
        answer: impl IntoFuture<IntoFuture: Future<Output = Result<T, RpcError<TransportErrorKind>>>>,
    ) -> Result<Result<T, RpcError<TransportErrorKind>>, PortError> {
        tokio::time::timeout(self.deadline, answer.into_future())
            .await
            .map_err(|_| {
                SettlementError::NoAnswer {
                    request,
                    deadline: self.deadline,
                }
                .into()
            })
    }

    fn missing(request: &'static str, what: &str) -> PortError {
        let reason = format!("the answer has no {what}");
        SettlementError::Rpc { request, reason }.into()
    }
}

#[async_trait]
impl Port for NodePort {
    async fn chain_id(&self) -> Result<u64, PortError> {
        self.ask("eth_chainId", self.provider.get_chain_id()).await
    }

    async fn head(&self) -> Result<Head, PortError> {
        let latest = self
            .provider
            .get_block_by_number(BlockNumberOrTag::Latest)
            .into_future();
        let block = self
            .ask("eth_getBlockByNumber", latest)
            .await?
            .ok_or_else(|| Self::missing("eth_getBlockByNumber", "block"))?;
        let history =
            self.provider
                .get_fee_history(TIP_BLOCKS, BlockNumberOrTag::Latest, &[TIP_PERCENTILE]);
        let history = self.ask("eth_feeHistory", history).await?;
        let base = history
            .next_block_base_fee()
            .ok_or_else(|| Self::missing("eth_feeHistory", "base fee"))?;
        let mut tips: Vec<u128> = history
            .reward
            .iter()
            .flatten()
            .filter_map(|block| block.first().copied())
            .filter(|tip| *tip > 0)
            .collect();
        tips.sort_unstable();
        Ok(Head {
            block: BlockRef {
                number: block.header.number,
                hash: block.header.hash,
            },
            market: Market {
                base,
                tip: tips.get(tips.len() / 2).copied().unwrap_or(0),
                blob: history.next_block_blob_base_fee().unwrap_or(1),
            },
        })
    }

    async fn nonce(&self, address: Address) -> Result<u64, PortError> {
        let count = self.provider.get_transaction_count(address).latest();
        self.ask("eth_getTransactionCount", count).await
    }

    async fn block_hash(&self, number: u64) -> Result<Option<B256>, PortError> {
        let block = self
            .provider
            .get_block_by_number(BlockNumberOrTag::Number(number))
            .into_future();
        let block = self.ask("eth_getBlockByNumber", block).await?;
        Ok(block.map(|block| block.header.hash))
    }

    async fn receipt(&self, transaction: TxHash) -> Result<Option<Receipt>, PortError> {
        let look = self.provider.get_transaction_receipt(transaction);
        let Some(receipt) = self.ask("eth_getTransactionReceipt", look).await? else {
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
    ) -> Result<u64, PortError> {
        let request = TransactionRequest {
            from: Some(from),
            to: Some(TxKind::Call(intent.to)),
            value: Some(intent.value),
            input: intent.input.clone().into(),
            blob_versioned_hashes: (!hashes.is_empty()).then(|| hashes.to_vec()),
            max_fee_per_blob_gas: (!hashes.is_empty()).then_some(u128::MAX >> 64),
            transaction_type: (!hashes.is_empty()).then_some(3),
            ..Default::default()
        };
        let error = match self
            .raw("eth_estimateGas", self.provider.estimate_gas(request))
            .await?
        {
            Ok(gas) => return Ok(gas),
            Err(error) => error,
        };
        let reason = error.to_string();
        let Some(payload) = error.as_error_resp() else {
            let request = "eth_estimateGas";
            return Err(SettlementError::Rpc { request, reason }.into());
        };
        match payload.as_revert_data() {
            Some(data) => Err(PortError::Refused(Refusal::decode(&data))),
            None if payload.message.contains("revert") => Err(PortError::Refused(Refusal::Silent)),
            None => Err(SettlementError::Rpc {
                request: "eth_estimateGas",
                reason,
            }
            .into()),
        }
    }

    async fn send(&self, raw: &[u8]) -> Result<SendAnswer, PortError> {
        let sent = self.provider.send_raw_transaction(raw);
        match self.raw("eth_sendRawTransaction", sent).await? {
            Ok(_) => Ok(SendAnswer::Taken),
            Err(error) => match error.as_error_resp() {
                Some(payload) => Ok(answer(&payload.message)),
                None => Err(SettlementError::Rpc {
                    request: "eth_sendRawTransaction",
                    reason: error.to_string(),
                }
                .into()),
            },
        }
    }
}

/// The words of geth, reth, erigon, nethermind and anvil for the cases that need no operator.
fn answer(message: &str) -> SendAnswer {
    let words = message.to_ascii_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    if any(&["already known", "already imported", "alreadyknown"]) {
        SendAnswer::Taken
    } else if any(&["nonce too low", "oldnonce", "nonce is too low"]) {
        SendAnswer::NonceUsed
    } else if any(&["underpriced", "replacementnotallowed"]) {
        SendAnswer::Underpriced
    } else {
        SendAnswer::Refused(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_nodes_are_understood() {
        assert_eq!(answer("already known"), SendAnswer::Taken);
        assert_eq!(answer("transaction already imported"), SendAnswer::Taken);
        assert_eq!(
            answer("nonce too low: next nonce 5, tx nonce 4"),
            SendAnswer::NonceUsed
        );
        assert_eq!(
            answer("replacement transaction underpriced"),
            SendAnswer::Underpriced
        );
        assert_eq!(
            answer("insufficient funds for gas"),
            SendAnswer::Refused("insufficient funds for gas".into())
        );
    }
}
