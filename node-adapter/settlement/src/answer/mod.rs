//! What an Ethereum node's error means: first by code and data, then by the words of known clients, then
//! by codes that clients use differently and by the HTTP status.
//!
//! Pure. What is known to none of these is [`Meaning::Unknown`]: it is reported as it came and counts
//! neither as passing nor as success. Called by `client` for every request to L1.

mod meaning;
mod words;

use std::time::Duration;

use alloy::primitives::Bytes;
use alloy::rpc::json_rpc::ErrorPayload;
use alloy::transports::{RpcError, TransportErrorKind};
use serde_json::Value;

use super::transport::HttpFailure;
use super::{Refusal, Trouble};

pub(super) use meaning::LOGS;
pub use meaning::{Meaning, On};
pub use words::{WORDS, Words};

use meaning::SEND;

/// A node's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcFailure {
    /// The JSON-RPC method.
    pub request: &'static str,
    /// What it means.
    pub meaning: Meaning,
    /// The JSON-RPC code, if there was one.
    pub code: Option<i64>,
    /// The node's words.
    pub message: String,
    /// Why the contract refuses; with [`Meaning::Reverted`] only.
    pub refusal: Option<Refusal>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for RpcFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(refusal) = &self.refusal {
            return write!(f, "{}: {refusal}", self.request);
        }
        write!(
            f,
            "{}: {}",
            self.request,
            carillon_redact::text(&self.message)
        )?;
        match self.code {
            Some(code) => write!(f, " (code {code})"),
            None => Ok(()),
        }
    }
}

impl RpcFailure {
    /// As it is reported.
    pub fn trouble(&self) -> Trouble {
        Trouble {
            kind: self.meaning.name(),
            reason: self.to_string(),
            next_step: self.meaning.next_step().into(),
        }
    }

    /// An error of the transport or of the node.
    pub fn new(request: &'static str, error: &RpcError<TransportErrorKind>) -> Self {
        match error {
            RpcError::ErrorResp(payload) => Self::answered(request, payload),
            RpcError::Transport(TransportErrorKind::Custom(inner)) => {
                match inner.downcast_ref::<HttpFailure>() {
                    Some(failure) => Self::http(request, failure),
                    None => Self::plain(request, Meaning::Down, inner.to_string()),
                }
            }
            RpcError::Transport(other) => Self::plain(request, Meaning::Down, other.to_string()),
            RpcError::NullResp => {
                Self::plain(request, Meaning::Behind, "the answer is null".into())
            }
            RpcError::DeserError { err, text } => {
                let text: String = text.chars().take(SHOWN).collect();
                Self::plain(request, Meaning::Unreadable, format!("{err}: {text:?}"))
            }
            other => Self::plain(request, Meaning::Unknown, other.to_string()),
        }
    }

    /// A request that was not answered in time.
    pub fn timed_out(request: &'static str, deadline: Duration) -> Self {
        let message = format!("no answer within {} s", deadline.as_secs_f32());
        Self::plain(request, Meaning::Down, message)
    }

    /// An error that a node answered with.
    pub fn answered(request: &'static str, payload: &ErrorPayload) -> Self {
        let data: Option<Value> =
            (payload.data.as_deref()).and_then(|data| serde_json::from_str(data.get()).ok());
        let (code, message) = (payload.code, payload.message.as_ref());
        let (meaning, refusal) = meaning(request, code, message, data.as_ref());
        // Some clients answer "VM execution error" and put the words into the data.
        let more = data
            .as_ref()
            .and_then(Value::as_str)
            .filter(|_| refusal.is_none());
        let message = match more {
            Some(more) if !more.is_empty() && more != "0x" => {
                format!("{}: {}", cut(message), cut(more))
            }
            _ => cut(message),
        };
        Self {
            code: Some(code),
            refusal,
            ..Self::plain(request, meaning, message)
        }
    }

    /// An HTTP status instead of an answer; its body may hold a JSON-RPC error.
    fn http(request: &'static str, failure: &HttpFailure) -> Self {
        let by_status = match failure.status {
            None => Meaning::Down,
            Some(429) => Meaning::RateLimited,
            Some(413) => Meaning::TooLarge,
            Some(400 | 422) if request == LOGS => Meaning::TooLarge,
            Some(401 | 403 | 404) => Meaning::Unauthorized,
            Some(408 | 500..=599) => Meaning::Down,
            Some(200..=299) => Meaning::Unreadable,
            Some(_) => Meaning::Unknown,
        };
        let inner = serde_json::from_str::<Value>(&failure.body).ok();
        let inner = inner
            .as_ref()
            .and_then(|body| body.get("error"))
            .and_then(|error| serde_json::from_value::<ErrorPayload>(error.clone()).ok())
            .map(|payload| Self::answered(request, &payload));
        let mut result = match inner {
            Some(inner) if inner.meaning != Meaning::Unknown => inner,
            Some(inner) => Self {
                meaning: by_status,
                ..inner
            },
            None => Self::plain(request, by_status, failure.to_string()),
        };
        // Whatever the words say, the server wants fewer requests.
        if failure.status == Some(429) && result.meaning != Meaning::TooLarge {
            result.meaning = Meaning::RateLimited;
        }
        result.retry_after = failure.retry_after;
        result
    }

    fn plain(request: &'static str, meaning: Meaning, message: String) -> Self {
        Self {
            request,
            meaning,
            code: None,
            message,
            refusal: None,
            retry_after: None,
        }
    }
}

/// Most of a server's text that is shown.
const SHOWN: usize = 300;

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Meaning of an error, and the contract's reason if it is a revert.
fn meaning(
    request: &str,
    code: i64,
    message: &str,
    data: Option<&Value>,
) -> (Meaning, Option<Refusal>) {
    let low = message.to_ascii_lowercase();
    let is_call = On::Call.covers(request);
    if is_call {
        // Bytes in the data are the contract's answer, whatever the code and words.
        let bytes = data.and_then(revert_data);
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() >= 4) {
            return (Meaning::Reverted, Some(Refusal::decode(&bytes)));
        }
        // go-ethereum's code for a revert, which others took over.
        if code == 3 {
            return (Meaning::Reverted, Some(Refusal::Silent));
        }
    }
    let unambiguous = match code {
        -32601 => Some(Meaning::Unsupported),
        -32700 => Some(Meaning::Unreadable),
        _ => None,
    };
    let known = unambiguous.or_else(|| {
        let mut fitting = WORDS.iter().filter(|words| words.on.covers(request));
        fitting
            .find(|words| low.contains(words.text))
            .map(|words| words.meaning)
    });
    // Besu puts the words of a failed call into the data, Nethermind of a refused transaction, too.
    let known = known.or_else(|| {
        let low = data.and_then(Value::as_str)?.to_ascii_lowercase();
        let mut fitting = WORDS.iter().filter(|words| words.on.covers(request));
        fitting
            .find(|words| low.contains(words.text))
            .map(|words| words.meaning)
    });
    match known.unwrap_or_else(|| by_code(request, code)) {
        Meaning::Reverted if is_call => (Meaning::Reverted, Some(Refusal::Silent)),
        other => (other, None),
    }
}

/// Codes that clients use for different things, after their words said nothing.
fn by_code(request: &str, code: i64) -> Meaning {
    match (request, code) {
        // Besu's codes of refused transactions.
        (SEND, -32001) => Meaning::NonceUsed,
        (SEND, -32004) => Meaning::Funds,
        (SEND, -32006) => Meaning::NonceGap,
        (SEND, -32009) => Meaning::FeeTooLow,
        (SEND, -32002 | -32003 | -32602) => Meaning::Invalid,
        (LOGS, -32602 | -32005 | -32600 | -32614 | -32012) => Meaning::TooLarge,
        // EIP-1474.
        (_, -32001 | -32002) => Meaning::Behind,
        (_, -32004) => Meaning::Unsupported,
        (_, -32005 | 429) => Meaning::RateLimited,
        (_, -32015) => Meaning::Reverted,
        (_, -32603) => Meaning::Down,
        _ => Meaning::Unknown,
    }
}

/// Revert data: a hex string, one inside an object, or one behind the word "Reverted".
fn revert_data(data: &Value) -> Option<Bytes> {
    match data {
        Value::String(text) => {
            let text = text.trim();
            let hex = text.strip_prefix("Reverted ").unwrap_or(text);
            hex.starts_with("0x").then(|| hex.parse().ok()).flatten()
        }
        Value::Object(fields) => {
            let named = ["data", "result", "output"]
                .iter()
                .filter_map(|name| fields.get(*name));
            named.chain(fields.values()).find_map(revert_data)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
