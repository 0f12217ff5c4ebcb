//! Ethereum's fees, asked of a node: one request.
//!
//! Called by `service` through [`L1Prices`].

use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::providers::{Provider, RootProvider};
use async_trait::async_trait;

use super::fees::{L1Prices, Prices};
use super::ports::PortError;

/// Prices of the node behind a URL.
#[derive(Debug)]
pub struct NodePrices {
    provider: RootProvider,
    answer: Duration,
}

impl NodePrices {
    /// Asks the node at `url`; an answer may take so long. `None` if it is no URL.
    pub fn new(url: &str, answer: Duration) -> Option<Self> {
        let provider = RootProvider::new_http(url.parse().ok()?);
        Some(Self { provider, answer })
    }
}

#[async_trait]
impl L1Prices for NodePrices {
    async fn prices(&self) -> Result<Prices, PortError> {
        let asked = self
            .provider
            .get_fee_history(1, BlockNumberOrTag::Latest, &[]);
        let history = tokio::time::timeout(self.answer, asked)
            .await
            .map_err(|_| PortError::Unreachable("no answer to eth_feeHistory".into()))?
            .map_err(|error| PortError::Unreachable(carillon_redact::text(&error.to_string())))?;
        let missing = || PortError::Unreachable("eth_feeHistory names no base fee".into());
        // The last entry is the next block's.
        Ok(Prices {
            base: history.next_block_base_fee().ok_or_else(missing)?,
            blob: history.next_block_blob_base_fee().unwrap_or(1),
        })
    }
}
