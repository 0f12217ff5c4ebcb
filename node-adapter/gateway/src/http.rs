//! The routes of a gateway, on axum.
//!
//! | route | answers |
//! |---|---|
//! | `POST /gateway/v1/batches` | 200 the batch's place, 400 wrong, 404 no such chain, 409 L1 says otherwise, 503 Ethereum does not answer |
//! | `GET /gateway/v1/batches/{chain}/{number}` | 200 the batch's place and why it waits, 404 |
//! | `GET /gateway/v1/sets` | 200 what is here and what is on its way |
//! | `/health`, `/ready`, `/metrics` | as of every server of Carillon |
//!
//! No token: a batch is taken for its operator's signature, or because L1 holds it as committed. Bodies, deadlines and
//! connections are limited by `carillon-serving`. Called by `carillon-node`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use carillon_serving::{Answer, Application, Connections, Limits, Probe, probed};
use carillon_settlement::SettlementError;
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::metrics::Watched;
use super::service::{Service, ServiceError};
use super::submission::Submission;

/// The routes of a service.
#[derive(Clone)]
pub struct Routes {
    router: Router,
    probe: Arc<dyn Probe>,
    connections: Arc<Connections>,
}

impl Application for Routes {
    async fn answer(&self, request: axum::http::Request<Full<Bytes>>) -> Answer {
        let (head, body) = request.into_parts();
        if let Some(answer) = probed(&*self.probe, &head) {
            return answer;
        }
        let request = Request::from_parts(head, Body::new(body));
        let Ok(answer) = self.router.clone().oneshot(request).await;
        answer.map(|body| body.map_err(Into::into).boxed_unsync())
    }
}

/// The routes over a service.
pub fn router(service: Service, limits: Limits) -> Routes {
    let router = Router::new()
        .route("/gateway/v1/batches", post(submit))
        .route("/gateway/v1/batches/{chain}/{number}", get(batch))
        .route("/gateway/v1/sets", get(sets))
        .fallback(|| async {
            refuse(
                StatusCode::NOT_FOUND,
                "there is no such route; this gateway has /gateway/v1/batches and /gateway/v1/sets",
            )
        })
        .method_not_allowed_fallback(|| async {
            refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "this route does not take this method: POST for a new batch, else GET",
            )
        })
        .with_state(service.clone());
    Routes {
        router,
        probe: Arc::new(Watched(service)),
        connections: Connections::new(limits),
    }
}

/// Serves until `stop` is cancelled; requests under way are answered.
pub async fn serve(listener: TcpListener, routes: Routes, stop: CancellationToken) {
    let connections = Arc::clone(&routes.connections);
    carillon_serving::serve(listener, connections, routes, stop).await;
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

fn refused(error: &ServiceError) -> Response {
    let status = match error {
        ServiceError::Form(_) => StatusCode::BAD_REQUEST,
        ServiceError::UnknownChain(_) => StatusCode::NOT_FOUND,
        ServiceError::Refused { .. } | ServiceError::L1(SettlementError::Refused { .. }) => {
            StatusCode::CONFLICT
        }
        ServiceError::Store(_) | ServiceError::L1(_) | ServiceError::Sender(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    refuse(status, &error.to_string())
}

async fn submit(State(service): State<Service>, bytes: Bytes) -> Response {
    let submission: Submission = match serde_json::from_slice(&bytes) {
        Ok(submission) => submission,
        Err(error) => {
            let reason = format!("the body is no proved batch: {error}");
            return refuse(StatusCode::BAD_REQUEST, &reason);
        }
    };
    match service.submit(submission).await {
        Ok(view) => Json(view).into_response(),
        Err(error) => refused(&error),
    }
}

async fn batch(
    State(service): State<Service>,
    Path((chain, number)): Path<(u64, u64)>,
) -> Response {
    match service.batch(chain, number).await {
        Ok(Some(view)) => Json(view).into_response(),
        Ok(None) => refuse(
            StatusCode::NOT_FOUND,
            "the batch is not here and not executed; its node must bring it",
        ),
        Err(error) => refused(&error),
    }
}

async fn sets(State(service): State<Service>) -> Response {
    Json(service.sets()).into_response()
}
