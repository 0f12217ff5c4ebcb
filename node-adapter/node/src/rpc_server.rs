//! The users' server: JSON-RPC over HTTP and WebSocket on one port, its probes, and browsers' right to
//! ask from other origins (CORS).
//!
//! Methods are those of `rpc`; connections are `carillon-serving`'s. Called by `service`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, Methods, PingConfig, Server, ServerConfig, ServerHandle,
    StopHandle, TowerServiceBuilder, stop_channel,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::layer::util::{Identity, Stack};
use tower::{Layer, Service, ServiceExt};
use tower_http::cors::{Any, CorsLayer};

use super::turns::TakeTurns;
use carillon_serving::{self, Answer, Application, Connections, Limits, Probe, fixed, probed};

/// Between two pings on a WebSocket.
const PING: Duration = Duration::from_secs(20);
/// Answers that wait to be written on a WebSocket.
const WAITING: u32 = 16;

/// Limits of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcOptions {
    /// Bytes of a request, also of a batch of requests.
    pub request: u32,
    /// Bytes of an answer.
    pub response: u32,
    /// Requests of a batch.
    pub batch: u32,
    /// Origins whose pages may ask; `*` for all, nothing for none.
    pub origins: Vec<String>,
    /// Connections; what this says of a body's length is not used.
    pub limits: Limits,
}

impl Default for RpcOptions {
    /// Pages of every origin may ask: nobody is known by a cookie here, and operations are signed.
    fn default() -> Self {
        Self {
            request: 256 << 10,
            response: 1 << 20,
            batch: 256,
            origins: vec!["*".to_owned()],
            limits: Limits::default(),
        }
    }
}

/// An origin that no page has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin: `*`, or scheme and host as in https://wallet.example, are expected"
)]
pub struct OriginError(String);

impl RpcOptions {
    /// Who may ask from a page, as a layer; nothing for nobody.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn cors(&self) -> Result<Option<CorsLayer>, OriginError> {
        if self.origins.is_empty() {
            return Ok(None);
        }
        let layer = CorsLayer::new()
            .allow_methods([Method::POST, Method::GET])
            .allow_headers([header::CONTENT_TYPE])
            .max_age(Duration::from_secs(600));
        if self.origins.iter().any(|origin| origin == "*") {
            return Ok(Some(layer.allow_origin(Any)));
        }
        let origins = self.origins.iter().map(|origin| {
            let known = origin
                .split_once("://")
                .filter(|(_, host)| !host.is_empty() && !host.contains('/') && host.is_ascii());
            let value = known.and_then(|_| HeaderValue::from_str(origin).ok());
            value.ok_or_else(|| OriginError(origin.clone()))
        });
        let origins = origins.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(layer.allow_origin(origins)))
    }

    /// The connections of a server with these limits.
    pub fn connections(&self) -> Arc<Connections> {
        Connections::new(Limits {
            body_bytes: self.request as usize,
            ..self.limits.clone()
        })
    }
}

/// JSON-RPC as an application of `carillon-serving`.
#[derive(Clone)]
struct Rpc {
    methods: Methods,
    builder: TowerServiceBuilder<Stack<TakeTurns, Identity>, Identity>,
    stop: StopHandle,
    server: ServerHandle,
    cors: Option<CorsLayer>,
    probe: Arc<dyn Probe>,
}

impl Application for Rpc {
    async fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = request.into_parts();
        if let Some(answer) = probed(&*self.probe, &head) {
            return answer;
        }
        let mut service = self
            .builder
            .clone()
            .build(self.methods.clone(), self.stop.clone());
        let service = tower::service_fn(move |request: Request<Full<Bytes>>| {
            let answer = service.call(request);
            async move {
                let answer: axum::http::Response<HttpBody> = answer.await?;
                Ok::<Answer, Box<dyn std::error::Error + Send + Sync>>(
                    answer.map(BodyExt::boxed_unsync),
                )
            }
        });
        let request = Request::from_parts(head, body);
        let answer = match &self.cors {
            Some(cors) => cors.layer(service).oneshot(request).await,
            None => service.oneshot(request).await,
        };
        answer.unwrap_or_else(|error| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            fixed(status, "text/plain", error.to_string())
        })
    }

    /// Sockets are told; what they have under way is answered.
    fn end(&self) {
        let _ = self.server.stop();
    }
}

/// Serves the methods until `stop` is cancelled.
pub async fn serve(
    listener: TcpListener,
    connections: Arc<Connections>,
    options: RpcOptions,
    cors: Option<CorsLayer>,
    methods: Methods,
    probe: Arc<dyn Probe>,
    stop: CancellationToken,
) {
    let config = ServerConfig::builder()
        .max_request_body_size(options.request)
        .max_response_body_size(options.response)
        // `carillon-serving` counts connections; here it only must not be fewer.
        .max_connections(u32::MAX >> 1)
        .max_subscriptions_per_connection(0)
        .set_message_buffer_capacity(WAITING)
        .enable_ws_ping(
            PingConfig::new()
                .ping_interval(PING)
                // Whether the client is still there is the kernel's word (`carillon-serving`). Its
                // pongs wait like all else while it reads slowly, and a close that waits for a lock
                // which a pong holds would wait for ever.
                .inactive_limit(Duration::MAX)
                .max_failures(usize::MAX),
        )
        .set_batch_request_config(BatchRequestConfig::Limit(options.batch))
        .build();
    let (stopped, server) = stop_channel();
    let rpc = Rpc {
        methods,
        builder: Server::builder()
            .set_config(config)
            .to_service_builder()
            .set_rpc_middleware(RpcServiceBuilder::new().layer(TakeTurns)),
        stop: stopped,
        server,
        cors,
        probe,
    };
    carillon_serving::serve(listener, connections, rpc, stop).await;
}
