//! How a node brings its batches to a gateway, over plain HTTP. Called by `carillon-node`.

use std::time::Duration;

use reqwest::{Client as Http, StatusCode, Url};

use super::Submission;

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that are looked at.
const SHOWN: usize = 600;

/// Why a batch was not brought.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Not an address that this build can talk to.
    #[error("{given:?} is not the URL of a gateway: {reason}; give one like http://127.0.0.1:3080")]
    Url {
        /// What was given.
        given: String,
        /// What is wrong.
        reason: String,
    },
    /// No answer; it may come later.
    #[error("the gateway does not answer: {0}")]
    Unreachable(String),
    /// The gateway does not take it.
    #[error("the gateway does not take the batch: {0}")]
    Refused(String),
}

/// A gateway across the network.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    base: Url,
}

impl Client {
    /// A client of the gateway at `url`.
    ///
    /// # Errors
    /// [`ClientError::Url`].
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let wrong = |reason: String| ClientError::Url {
            given: url.to_owned(),
            reason,
        };
        let base = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if base.scheme() != "http" {
            return Err(wrong(
                "this build speaks plain http only; put a TLS proxy or a tunnel between".into(),
            ));
        }
        let http = Http::builder().timeout(TIMEOUT).build();
        let http = http.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { http, base })
    }

    /// Brings a batch; the same again does no harm.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn submit(&self, submission: &Submission) -> Result<(), ClientError> {
        let url = self.base.join("/gateway/v1/batches");
        let url = url.map_err(|error| ClientError::Unreachable(error.to_string()))?;
        let gone =
            |error: reqwest::Error| ClientError::Unreachable(error.without_url().to_string());
        let answer = self
            .http
            .post(url)
            .json(submission)
            .send()
            .await
            .map_err(gone)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text: String = answer
            .text()
            .await
            .map_err(gone)?
            .chars()
            .take(SHOWN)
            .collect();
        let text = format!("{status}: {}", text.escape_debug());
        Err(match status {
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
                ClientError::Refused(text)
            }
            _ => ClientError::Unreachable(text),
        })
    }
}
