//! The routes of the prover API, on axum.
//!
//! | route | answers |
//! |---|---|
//! | `POST /prover-jobs/v1/G16/pick?id=&supported_vk_hashes=` | 200 job, 204 no job |
//! | `POST /prover-jobs/v1/G16/submit?id=` | 204 taken, 400 wrong, 404 no such job, 409 stale lease |
//! | `POST /prover-jobs/v1/G16/heartbeat?id=` | 200 renewed, 404, 409 |
//! | `POST /prover-jobs/v1/G16/fail?id=` | 204 given back, 404, 409 |
//! | `GET /prover-jobs/v1/G16/peek?id=&supported_vk_hashes=` | 200 number and key, 204 |
//! | `GET /prover-jobs/v1/G16/status` | 200 all jobs |
//!
//! Every request needs `Authorization: Bearer TOKEN` (401 without). A lease belongs to the token's
//! name and the `id` together, so that one token serves a rack of provers. Bodies are limited (413),
//! requests have a deadline (408) and a number at a time (503). Called by `crate::node`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::job::{
    FailBody, HeartbeatAnswer, HeartbeatBody, PickAnswer, Refusal, SubmitBody, millis,
};
use super::{BoardError, JobBoard, KeyHash, LANE, LeaseError, Tokens};

/// Limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiOptions {
    /// Bytes of a request's body.
    pub body: usize,
    /// From a request's headers to its answer.
    pub timeout: Duration,
    /// Requests at the same time.
    pub concurrent: usize,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            body: 16 << 10,
            timeout: Duration::from_secs(10),
            concurrent: 64,
        }
    }
}

#[derive(Clone)]
struct Api {
    board: Arc<JobBoard>,
    tokens: Arc<Tokens>,
    places: Arc<Semaphore>,
    timeout: Duration,
}

/// The name that the request's token belongs to.
#[derive(Clone)]
struct Name(String);

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    id: String,
    #[serde(default)]
    supported_vk_hashes: String,
}

/// The routes over a board.
pub fn router(board: Arc<JobBoard>, tokens: Tokens, options: ApiOptions) -> Router {
    let api = Api {
        board,
        tokens: Arc::new(tokens),
        places: Arc::new(Semaphore::new(options.concurrent)),
        timeout: options.timeout,
    };
    Router::new()
        .route("/prover-jobs/v1/{lane}/pick", post(pick))
        .route("/prover-jobs/v1/{lane}/submit", post(submit))
        .route("/prover-jobs/v1/{lane}/heartbeat", post(heartbeat))
        .route("/prover-jobs/v1/{lane}/fail", post(fail))
        .route("/prover-jobs/v1/{lane}/peek", get(peek))
        .route("/prover-jobs/v1/{lane}/status", get(status))
        .layer(DefaultBodyLimit::max(options.body))
        .layer(middleware::from_fn_with_state(api.clone(), guard))
        .with_state(api)
}

/// Serves the routes until `stop` is cancelled; answers that are under way are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Before every route: deadline, number at a time, token, lane.
async fn guard(
    State(api): State<Api>,
    Path(lane): Path<String>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(name) = bearer(request.headers()).and_then(|token| api.tokens.name(token)) else {
        let reason = "a known token is needed: send `Authorization: Bearer TOKEN`";
        let refusal = refuse(StatusCode::UNAUTHORIZED, reason);
        return ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response();
    };
    if lane != LANE {
        let reason = format!("there is no lane {lane}; this node has {LANE}");
        return refuse(StatusCode::NOT_FOUND, &reason);
    }
    let Ok(_place) = api.places.try_acquire() else {
        let reason = "too many requests at the same time; come back in a moment";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, reason);
    };
    request.extensions_mut().insert(Name(name.to_owned()));
    match tokio::time::timeout(api.timeout, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    let error = reason.to_owned();
    (status, Json(Refusal { error })).into_response()
}

/// A board's refusal as an answer.
fn refused(error: &BoardError) -> Response {
    let status = match error {
        BoardError::Lease(LeaseError::Unknown { .. }) => StatusCode::NOT_FOUND,
        BoardError::Lease(LeaseError::Stale { .. }) => StatusCode::CONFLICT,
        BoardError::Proof { .. } => StatusCode::BAD_REQUEST,
        BoardError::UnknownKey { .. } | BoardError::Differs { .. } | BoardError::Store(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    refuse(status, &error.to_string())
}

/// Runs a question to the board, which blocks, off the server's threads.
async fn ask<T: Send + 'static>(
    api: &Api,
    question: impl FnOnce(&JobBoard) -> Result<T, BoardError> + Send + 'static,
) -> Result<T, Response> {
    let board = Arc::clone(&api.board);
    match tokio::task::spawn_blocking(move || question(&board)).await {
        Ok(answer) => answer.map_err(|error| refused(&error)),
        Err(error) => Err(refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            &error.to_string(),
        )),
    }
}

/// Who holds a lease: the token's name and the prover's own id.
#[allow(clippy::result_large_err)] // The error is the answer.
fn holder(name: &Name, asked: &Asked) -> Result<String, Response> {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if asked.id.is_empty() || asked.id.len() > 64 || !asked.id.chars().all(known) {
        let reason = "`id` names the prover: 1 to 64 letters, digits, `-`, `_`, `.` or `:`";
        return Err(refuse(StatusCode::BAD_REQUEST, reason));
    }
    Ok(format!("{}/{}", name.0, asked.id))
}

/// The hashes after `supported_vk_hashes`, separated by commas.
#[allow(clippy::result_large_err)] // The error is the answer.
fn key_hashes(asked: &Asked) -> Result<Vec<KeyHash>, Response> {
    let parsed: Result<Vec<KeyHash>, _> = asked
        .supported_vk_hashes
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::parse)
        .collect();
    match parsed {
        Ok(hashes) if hashes.is_empty() => {
            let reason = "`supported_vk_hashes` is empty: name the SHA-256 of a verifying key";
            Err(refuse(StatusCode::BAD_REQUEST, reason))
        }
        Ok(hashes) => Ok(hashes),
        Err(error) => Err(refuse(StatusCode::BAD_REQUEST, &error.to_string())),
    }
}

#[allow(clippy::result_large_err)] // The error is the answer.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Response> {
    serde_json::from_slice(bytes).map_err(|error| {
        let reason = format!("the body is not what this route takes: {error}");
        refuse(StatusCode::BAD_REQUEST, &reason)
    })
}

async fn pick(
    State(api): State<Api>,
    Extension(name): Extension<Name>,
    Query(asked): Query<Asked>,
) -> Result<Response, Response> {
    let (holder, keys) = (holder(&name, &asked)?, key_hashes(&asked)?);
    let picked = ask(&api, move |board| Ok(board.pick(&holder, &keys)?)).await?;
    Ok(match picked {
        Some(leased) => Json(PickAnswer::from(leased)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn submit(
    State(api): State<Api>,
    Extension(name): Extension<Name>,
    Query(asked): Query<Asked>,
    bytes: Bytes,
) -> Result<Response, Response> {
    let holder = holder(&name, &asked)?;
    let SubmitBody {
        job,
        generation,
        vk_hash,
        proof,
    } = body(&bytes)?;
    ask(&api, move |board| {
        board.submit(&holder, job, generation, vk_hash, &proof)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn heartbeat(
    State(api): State<Api>,
    Extension(name): Extension<Name>,
    Query(asked): Query<Asked>,
    bytes: Bytes,
) -> Result<Response, Response> {
    let holder = holder(&name, &asked)?;
    let HeartbeatBody { job, generation } = body(&bytes)?;
    let valid = ask(&api, move |board| board.heartbeat(&holder, job, generation)).await?;
    let lease_ms = millis(valid);
    Ok(Json(HeartbeatAnswer { lease_ms }).into_response())
}

async fn fail(
    State(api): State<Api>,
    Extension(name): Extension<Name>,
    Query(asked): Query<Asked>,
    bytes: Bytes,
) -> Result<Response, Response> {
    let holder = holder(&name, &asked)?;
    let FailBody {
        job,
        generation,
        reason,
    } = body(&bytes)?;
    ask(&api, move |board| {
        board.fail(&holder, job, generation, &reason)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn peek(State(api): State<Api>, Query(asked): Query<Asked>) -> Result<Response, Response> {
    let keys = key_hashes(&asked)?;
    let next = ask(&api, move |board| Ok(board.peek(&keys))).await?;
    Ok(match next {
        Some((job, vk_hash)) => {
            Json(json!({ "job": job, "lane": LANE, "vk_hash": vk_hash })).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn status(State(api): State<Api>) -> Result<Response, Response> {
    let jobs = ask(&api, |board| Ok(board.status())).await?;
    let count = |state: &str| jobs.iter().filter(|job| job.state == state).count();
    Ok(Json(json!({
        "lane": LANE,
        "open": count("open"),
        "leased": count("leased"),
        "proved": count("proved"),
        "jobs": jobs,
    }))
    .into_response())
}
