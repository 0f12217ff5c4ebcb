//! Questions to a node's JSON-RPC. Called by every command that asks a node.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::exit::Failure;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// JSON-RPC over HTTP.
pub struct Rpc {
    http: reqwest::Client,
    url: String,
}

impl Rpc {
    /// A client of the node at `url`.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| Failure::unexpected(format!("no HTTP client: {error}")))?;
        Ok(Self {
            http,
            url: url.to_owned(),
        })
    }

    /// Asks; an answer that is an error is one here, too.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, Failure> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let unreachable = |error: reqwest::Error| {
            Failure::unavailable(format!("the node at {} does not answer: {error}", self.url))
        };
        let answer = self.http.post(&self.url).json(&request).send().await;
        let answer: Value = answer
            .map_err(unreachable)?
            .json()
            .await
            .map_err(unreachable)?;
        if let Some(error) = answer.get("error") {
            let message = error["message"].as_str().unwrap_or("no reason given");
            return Err(Failure::input(format!(
                "the node refused {method}: {message}"
            )));
        }
        serde_json::from_value(answer["result"].clone()).map_err(|error| {
            Failure::unexpected(format!(
                "the node's answer to {method} was not understood: {error}"
            ))
        })
    }
}
