//! Questions to a node's JSON-RPC. Called by every command that asks a node.

use std::time::Duration;

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::exit::Failure;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// JSON-RPC over HTTP.
pub struct Rpc {
    http: reqwest::Client,
    url: Url,
}

impl Rpc {
    /// A client of the node at `url`.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let url = parsed(url)?;
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| Failure::unexpected(format!("no HTTP client: {error}")))?;
        Ok(Self { http, url })
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
        let answer = self.http.post(self.url.clone()).json(&request).send().await;
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

/// The URL of a node; others would fail only when it is asked, as if it did not answer.
fn parsed(given: &str) -> Result<Url, Failure> {
    let wrong = |reason: &str| {
        Failure::input(format!(
            "{} is no URL of a node: {reason}; give one such as http://127.0.0.1:3060",
            carillon_redact::url(given)
        ))
    };
    let url = Url::parse(given).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "http" => Ok(url),
        "https" => Err(wrong(
            "TLS is not built in, a proxy that speaks TLS can stand in front of the node",
        )),
        _ => Err(wrong("its scheme is not http")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_cli::ExitStatus;

    #[test]
    fn what_is_no_url_of_a_node_is_wrong_input() {
        for given in [
            "foo",
            "",
            "127.0.0.1:3060",
            "localhost:3060",
            "ftp://node",
            "https://node",
        ] {
            let failure = Rpc::new(given).err().unwrap();
            assert_eq!(failure.code(), 4, "{given}");
            let text = failure.to_string();
            assert!(text.contains("http://127.0.0.1:3060"), "{text}");
        }
        Rpc::new("http://localhost:3060").unwrap();
    }
}
