//! The routes of the prover API, on axum.
//!
//! | route | answers |
//! |---|---|
//! | `POST /prover-jobs/v1/G16/pick?id=&supported_vk_hashes=` | 200 job, 204 no job, 429 the token holds enough |
//! | `POST /prover-jobs/v1/G16/submit?id=` | 204 taken, 400 wrong, 404 no such job, 409 stale lease |
//! | `POST /prover-jobs/v1/G16/heartbeat?id=` | 200 renewed, 404, 409 |
//! | `POST /prover-jobs/v1/G16/fail?id=` | 204 given back, 404, 409 |
//! | `GET /prover-jobs/v1/G16/peek?id=&supported_vk_hashes=` | 200 number and key, 204 |
//! | `GET /prover-jobs/v1/G16/status` | 200 all jobs |
//!
//! Every request needs `Authorization: Bearer TOKEN`: 401 without, whatever the path, and before any of
//! the body is read. `/health` and `/ready` need none. A lease belongs to the token's
//! name and the `id` together, so that one token serves a rack of provers. Bodies are limited (413),
//! requests have a deadline (408) and a number at a time (503). Called by `carillon-node`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::job::{
    FailBody, HeartbeatAnswer, HeartbeatBody, PickAnswer, Refusal, SubmitBody, millis,
};
use super::{BoardError, JobBoard, KeyHash, LANE, LeaseError, Tokens};
use carillon_serving::{self, Answer, Application, Connections, Limits, Probe, fixed, probed};

/// Limits of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiOptions {
    /// Bytes of a request's body.
    pub body: usize,
    /// From a request's headers to the end of its body, and from there to its answer.
    pub timeout: Duration,
    /// Requests at the same time.
    pub concurrent: usize,
    /// Connections; what this says of bodies and answers is not used.
    pub limits: Limits,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            body: 16 << 10,
            timeout: Duration::from_secs(10),
            concurrent: 64,
            limits: Limits {
                connections: 128,
                per_address: 32,
                ..Limits::default()
            },
        }
    }
}

#[derive(Clone)]
struct Api {
    board: Arc<JobBoard>,
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

/// The routes over a board, with who may use them.
#[derive(Clone)]
pub struct Routes {
    router: Router,
    tokens: Arc<Tokens>,
    probe: Option<Arc<dyn Probe>>,
    connections: Arc<Connections>,
}

impl Routes {
    /// Tells how the server is at `/health`, `/ready` and, to those with a token, `/metrics`.
    #[must_use]
    pub fn with_probe(self, probe: Arc<dyn Probe>) -> Self {
        Self {
            probe: Some(probe),
            ..self
        }
    }

    /// The listener's connections.
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }
}

impl Application for Routes {
    fn refuse(&self, head: &Parts) -> Option<Answer> {
        // Load balancers have no tokens, and learn no more than whether the node is well.
        let open = self.probe.is_some() && matches!(head.uri.path(), "/health" | "/ready");
        if open
            || bearer(&head.headers)
                .and_then(|token| self.tokens.name(token))
                .is_some()
        {
            return None;
        }
        let reason =
            json!({ "error": "a known token is needed: send `Authorization: Bearer TOKEN`" });
        let mut answer = fixed(
            StatusCode::UNAUTHORIZED,
            "application/json",
            reason.to_string(),
        );
        let bearer = HeaderValue::from_static("Bearer");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, bearer);
        Some(answer)
    }

    async fn answer(&self, request: axum::http::Request<Full<Bytes>>) -> Answer {
        let (mut head, body) = request.into_parts();
        if let Some(answer) = self
            .probe
            .as_ref()
            .and_then(|probe| probed(&**probe, &head))
        {
            return answer;
        }
        let name = bearer(&head.headers).and_then(|token| self.tokens.name(token));
        let name = Name(name.unwrap_or_default().to_owned());
        head.extensions.insert(name);
        let request = Request::from_parts(head, Body::new(body));
        let Ok(answer) = self.router.clone().oneshot(request).await;
        answer.map(|body| body.map_err(Into::into).boxed_unsync())
    }
}

/// The routes over a board.
pub fn router(board: Arc<JobBoard>, tokens: Tokens, options: ApiOptions) -> Routes {
    let api = Api {
        board,
        places: Arc::new(Semaphore::new(options.concurrent)),
        timeout: options.timeout,
    };
    let router = Router::new()
        .route("/prover-jobs/v1/{lane}/pick", post(pick))
        .route("/prover-jobs/v1/{lane}/submit", post(submit))
        .route("/prover-jobs/v1/{lane}/heartbeat", post(heartbeat))
        .route("/prover-jobs/v1/{lane}/fail", post(fail))
        .route("/prover-jobs/v1/{lane}/peek", get(peek))
        .route("/prover-jobs/v1/{lane}/status", get(status))
        .route_layer(middleware::from_fn_with_state(api.clone(), guard))
        .fallback(|| async {
            let reason =
                format!("there is no such route; this node has /prover-jobs/v1/{LANE}/...");
            refuse(StatusCode::NOT_FOUND, &reason)
        })
        .method_not_allowed_fallback(|| async {
            let reason = "this route does not take this method: GET for peek and status, else POST";
            refuse(StatusCode::METHOD_NOT_ALLOWED, reason)
        })
        .with_state(api);
    let limits = Limits {
        body: options.timeout,
        body_bytes: options.body,
        // The routes have a deadline of their own, with an answer that says so.
        answer: options.timeout * 2,
        ..options.limits
    };
    Routes {
        router,
        tokens: Arc::new(tokens),
        probe: None,
        connections: Connections::new(limits),
    }
}

/// Serves the routes until `stop` is cancelled; requests that are under way are answered.
pub async fn serve(listener: TcpListener, routes: Routes, stop: CancellationToken) {
    let connections = Arc::clone(&routes.connections);
    carillon_serving::serve(listener, connections, routes, stop).await;
}

/// Before every route: lane, number at a time, deadline.
async fn guard(
    State(api): State<Api>,
    Path(lane): Path<String>,
    request: Request,
    next: Next,
) -> Response {
    if lane != LANE {
        let reason = format!("there is no lane {lane}; this node has {LANE}");
        return refuse(StatusCode::NOT_FOUND, &reason);
    }
    let Ok(_place) = api.places.try_acquire() else {
        let reason = "too many requests at the same time; come back in a moment";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, reason);
    };
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
        BoardError::Lease(LeaseError::Share { .. }) => StatusCode::TOO_MANY_REQUESTS,
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
    let picked = ask(&api, move |board| board.pick(&holder, &keys)).await?;
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

async fn peek(
    State(api): State<Api>,
    Extension(name): Extension<Name>,
    Query(asked): Query<Asked>,
) -> Result<Response, Response> {
    let (holder, keys) = (holder(&name, &asked)?, key_hashes(&asked)?);
    let next = ask(&api, move |board| Ok(board.peek(&holder, &keys))).await?;
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
