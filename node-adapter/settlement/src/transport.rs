//! JSON-RPC over HTTP, with what the answer says about when to come back.
//!
//! Keeps the status, the body and `Retry-After` of an answer that is none, bounds the size of a body,
//! and leaves URLs, which may hold keys, out of errors. Called by `client`.

use std::task::{Context, Poll};
use std::time::Duration;

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Url};
use tower_service::Service;

/// Longest answer that is read, in bytes; an answer with 10,000 logs has about 10 million.
const LONGEST: usize = 128 << 20;
/// Most of an error's body that is kept.
const KEPT: usize = 4096;

/// An HTTP exchange that brought no JSON-RPC answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFailure {
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The beginning of the body, or the error of the connection.
    pub body: String,
}

impl std::fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(300).collect();
        match self.status {
            Some(status) => write!(f, "HTTP {status}: {body:?}"),
            None => write!(f, "{body}"),
        }
    }
}

impl std::error::Error for HttpFailure {}

/// The transport of every client of L1.
#[derive(Clone, Debug)]
pub struct Transport {
    client: Client,
    url: Url,
}

impl Transport {
    /// For the node at `url`.
    pub fn new(url: Url) -> Self {
        Self {
            client: Client::new(),
            url,
        }
    }

    async fn exchange(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let sent = self.client.post(self.url).json(&request).send().await;
        let mut answer = sent.map_err(|error| failed(broken(error)))?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(part) = (answer.chunk().await).map_err(|error| failed(broken(error)))? {
            if body.len() + part.len() > LONGEST {
                return Err(failed(HttpFailure {
                    status: Some(413),
                    retry_after: None,
                    body: format!("the answer is longer than {LONGEST} bytes"),
                }));
            }
            body.extend_from_slice(&part);
        }
        let text =
            |body: &[u8]| String::from_utf8_lossy(body.get(..KEPT).unwrap_or(body)).into_owned();
        let parsed = serde_json::from_slice(&body);
        match parsed {
            Ok(packet) if status.is_success() => Ok(packet),
            _ => Err(failed(HttpFailure {
                status: Some(status.as_u16()),
                retry_after,
                body: text(&body),
            })),
        }
    }
}

fn failed(failure: HttpFailure) -> TransportError {
    TransportErrorKind::custom(failure)
}

/// An error of the connection, with its causes and without the URL.
fn broken(error: reqwest::Error) -> HttpFailure {
    let error = error.without_url();
    let mut body = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !body.contains(&text) {
            body = format!("{body}: {text}");
        }
        cause = inner.source();
    }
    HttpFailure {
        status: None,
        retry_after: None,
        body,
    }
}

impl Service<RequestPacket> for Transport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().exchange(request))
    }
}
