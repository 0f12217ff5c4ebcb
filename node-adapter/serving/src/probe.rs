//! `/health`, `/ready` and `/metrics`, for those who watch over a server.
//!
//! | path | answers |
//! |---|---|
//! | `/health` | 200 while the process does its work, 503 with the reason when only a restart helps |
//! | `/ready` | 200 when it takes requests and can make progress, 503 with every reason otherwise |
//! | `/metrics` | Prometheus' text format |
//!
//! Called by the applications of `server`.

use axum::http::{Method, StatusCode, request::Parts};
use serde::Serialize;
use serde_json::json;

use super::server::{Answer, fixed};

/// Why a server is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unready {
    /// A short stable name, for programs.
    pub code: &'static str,
    /// What is the case and what to do.
    pub reason: String,
}

/// Knows how a server is. Its methods do not block.
pub trait Probe: Send + Sync + 'static {
    /// Why only a restart helps, if so.
    fn failure(&self) -> Option<String>;
    /// All that keeps it from its work.
    fn unready(&self) -> Vec<Unready>;
    /// Its figures, in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// The answer to a request for one of the paths; `None` for other requests.
pub fn probed(probe: &dyn Probe, head: &Parts) -> Option<Answer> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return None;
    }
    let told = |good: bool, fields: serde_json::Value| {
        let status = if good {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        fixed(status, "application/json", fields.to_string())
    };
    match head.uri.path() {
        "/health" => Some(match probe.failure() {
            None => told(true, json!({ "status": "ok" })),
            Some(reason) => told(false, json!({ "status": "failed", "reason": reason })),
        }),
        "/ready" => {
            let reasons = probe.unready();
            let status = if reasons.is_empty() {
                "ready"
            } else {
                "not ready"
            };
            Some(told(
                reasons.is_empty(),
                json!({ "status": status, "reasons": reasons }),
            ))
        }
        "/metrics" => Some(fixed(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            probe.metrics(),
        )),
        _ => None,
    }
}
