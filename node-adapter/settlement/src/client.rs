//! One way of asking an Ethereum node: a deadline for every request, and every error classified.
//!
//! Called by [`super::L1Client`], the sender's port and the watcher's source.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use alloy::network::Ethereum;
use alloy::providers::RootProvider;
use alloy::rpc::client::RpcClient;
use alloy::transports::{RpcError, TransportErrorKind};

use super::transport::Transport;
use super::{RpcFailure, SettlementError};

/// An Ethereum node behind a URL.
#[derive(Clone, Debug)]
pub struct EthNode {
    provider: RootProvider<Ethereum>,
    deadline: Duration,
}

impl EthNode {
    /// The node at `url`; each answer may take `deadline`. Does not connect yet.
    ///
    /// # Errors
    /// [`SettlementError::Url`].
    pub fn new(url: &str, deadline: Duration) -> Result<Self, SettlementError> {
        let wrong = |reason: String| SettlementError::Url {
            url: url.into(),
            reason,
        };
        let parsed: reqwest::Url = url.parse().map_err(|error| wrong(format!("{error}")))?;
        match parsed.scheme() {
            "http" => {}
            "https" => {
                let advice =
                    "TLS is not built in: put a proxy that speaks TLS in front of the node";
                return Err(wrong(advice.into()));
            }
            other => return Err(wrong(format!("{other}:// is not supported"))),
        }
        let client = RpcClient::new(Transport::new(parsed), false);
        Ok(Self {
            provider: RootProvider::new(client),
            deadline,
        })
    }

    /// The requests of the node.
    pub fn provider(&self) -> &RootProvider<Ethereum> {
        &self.provider
    }

    /// Longest wait for an answer.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Waits for an answer; `request` is the JSON-RPC method.
    ///
    /// # Errors
    /// [`RpcFailure`].
    pub async fn ask<T>(
        &self,
        request: &'static str,
        answer: impl IntoFuture<IntoFuture: Future<Output = Result<T, RpcError<TransportErrorKind>>>>,
    ) -> Result<T, RpcFailure> {
        match tokio::time::timeout(self.deadline, answer.into_future()).await {
            Ok(answer) => answer.map_err(|error| RpcFailure::new(request, &error)),
            Err(_) => Err(RpcFailure::timed_out(request, self.deadline)),
        }
    }
}
