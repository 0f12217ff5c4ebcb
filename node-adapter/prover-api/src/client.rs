//! The prover API from the prover's side, over plain HTTP.
//!
//! There is no TLS in this build: across networks, put a tunnel or a TLS proxy between prover and
//! node, since the bearer token travels with every request. Called by `carillon-node prover`.

use std::time::Duration;

use async_trait::async_trait;
use carillon_runtime::groth16::Proof;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Serialize;

use super::job::{FailBody, HeartbeatAnswer, HeartbeatBody, PickAnswer, Refusal, SubmitBody};
use super::{JobSource, KeyHash, LANE, LeasedJob, SourceError};

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the largest answer that is read: a job with its input in hex.
const LARGEST: usize = 256 << 20;

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Not an address that this build can talk to.
    #[error("`{}` is not a URL of a node: {reason}", carillon_redact::url(.given))]
    Url {
        /// What was given; shown without what may be secret.
        given: String,
        /// What is wrong.
        reason: String,
    },
    /// The HTTP client could not be set up.
    #[error("no HTTP client: {0}")]
    Setup(#[from] reqwest::Error),
}

/// Jobs of a node across the network.
#[derive(Clone)]
pub struct ProverClient {
    http: Client,
    base: Url,
    token: String,
    id: String,
}

impl std::fmt::Debug for ProverClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProverClient")
            .field("base", &self.base.as_str())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl ProverClient {
    /// A client of the node at `url` (for example `http://127.0.0.1:3070`) for the prover `id`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(url: &str, token: &str, id: &str) -> Result<Self, ClientError> {
        let refuse = |reason: String| ClientError::Url {
            given: url.to_owned(),
            reason,
        };
        let mut base = Url::parse(url).map_err(|error| refuse(error.to_string()))?;
        if base.scheme() != "http" {
            return Err(refuse(
                "this build speaks plain http only; put a TLS proxy or a tunnel between".into(),
            ));
        }
        base.set_path(&format!("/prover-jobs/v1/{LANE}/"));
        Ok(Self {
            http: Client::builder().timeout(TIMEOUT).build()?,
            base,
            token: token.to_owned(),
            id: id.to_owned(),
        })
    }

    async fn post(
        &self,
        route: &str,
        keys: Option<&[KeyHash]>,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response, SourceError> {
        let unreachable = |error: &dyn std::fmt::Display| {
            SourceError::Unreachable(carillon_redact::text(&error.to_string()))
        };
        let mut url = self.base.join(route).map_err(|error| unreachable(&error))?;
        url.query_pairs_mut().append_pair("id", &self.id);
        if let Some(keys) = keys {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            url.query_pairs_mut()
                .append_pair("supported_vk_hashes", &keys.join(","));
        }
        let mut request = self.http.post(url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let bytes = read(answer).await?;
        let reason = serde_json::from_slice::<Refusal>(&bytes)
            .map_or_else(|_| status.to_string(), |refusal| refusal.error);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SourceError::Unauthorised(reason),
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => SourceError::Stale(reason),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                SourceError::Unreachable(reason)
            }
            status if status.is_server_error() => SourceError::Unreachable(reason),
            _ => SourceError::Refused(reason),
        })
    }
}

/// Reads an answer's body, up to a limit.
async fn read(mut answer: Response) -> Result<Vec<u8>, SourceError> {
    let fault =
        |error: reqwest::Error| SourceError::Unreachable(carillon_redact::text(&error.to_string()));
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(fault)? {
        if bytes.len() + chunk.len() > LARGEST {
            let reason = format!("the node's answer is longer than {LARGEST} bytes");
            return Err(SourceError::Refused(reason));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, SourceError> {
    serde_json::from_slice(bytes).map_err(|error| {
        SourceError::Refused(format!("the node's answer was not understood: {error}"))
    })
}

#[async_trait]
impl JobSource for ProverClient {
    async fn pick(&self, keys: &[KeyHash]) -> Result<Option<LeasedJob>, SourceError> {
        let answer = self.post("pick", Some(keys), None::<&()>).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let picked: PickAnswer = decode(&read(answer).await?)?;
        Ok(Some(picked.into()))
    }

    async fn heartbeat(&self, job: u64, generation: u64) -> Result<Duration, SourceError> {
        let body = HeartbeatBody { job, generation };
        let answer = self.post("heartbeat", None, Some(&body)).await?;
        let answer: HeartbeatAnswer = decode(&read(answer).await?)?;
        Ok(Duration::from_millis(answer.lease_ms))
    }

    async fn submit(&self, leased: &LeasedJob, proof: &Proof) -> Result<(), SourceError> {
        let body = SubmitBody {
            job: leased.job.number,
            generation: leased.generation,
            vk_hash: leased.job.key,
            proof: proof.to_bytes().to_vec(),
        };
        self.post("submit", None, Some(&body)).await.map(|_| ())
    }

    async fn fail(&self, job: u64, generation: u64, reason: &str) -> Result<(), SourceError> {
        let body = FailBody {
            job,
            generation,
            // A long reason must not be refused for its length.
            reason: reason.chars().take(1000).collect(),
        };
        self.post("fail", None, Some(&body)).await.map(|_| ())
    }
}
