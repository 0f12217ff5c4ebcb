//! A feed over HTTP and WebSocket, within the limits of `carillon-serving`.
//!
//! | route | answers |
//! |---|---|
//! | `GET /gateway/v1/lanes/{from}/{to}?after=&epoch=` | a page |
//! | `GET /gateway/v1/lanes/{from}/{to}/stream?after=&epoch=` | a WebSocket: pages as they come, an empty one when nothing has come for 15 s |
//!
//! Nothing is kept for a reader: it is told what follows from where it is, when it has read what was sent.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use carillon_serving::{self, Answer, Application, Backlog, Connections, Limits};
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::page::Page;
use super::source::{Place, Source, SourceError};

/// Silence after which an empty page is sent: the reader knows that the feed is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader may leave a page unread.
const UNREAD: Duration = Duration::from_secs(5);
/// WebSocket's code for who breaks a rule (RFC 6455, 7.4.1).
const POLICY: u16 = 1008;
/// The same for a server that goes.
const AWAY: u16 = 1001;

/// The routes over a source.
#[derive(Clone)]
pub struct Feed {
    router: Router,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Served {
    source: Arc<dyn Source>,
    stop: CancellationToken,
}

/// Limits of a feed's listener: its readers are other chains' nodes and relays.
pub fn limits() -> Limits {
    Limits {
        connections: 64,
        per_address: 16,
        body_bytes: 1 << 10,
        ..Limits::default()
    }
}

impl Feed {
    /// The routes.
    pub fn new(source: Arc<dyn Source>, stop: CancellationToken) -> Self {
        let served = Served {
            source,
            stop: stop.clone(),
        };
        let router = Router::new()
            .route("/gateway/v1/lanes/{from}/{to}", get(page))
            .route("/gateway/v1/lanes/{from}/{to}/stream", get(stream))
            .fallback(|| async {
                refuse(
                    StatusCode::NOT_FOUND,
                    "there is no such route; a feed has /gateway/v1/lanes/{from}/{to}",
                )
            })
            .with_state(served);
        Self { router, stop }
    }
}

impl Application for Feed {
    async fn answer(&self, request: axum::http::Request<Full<Bytes>>) -> Answer {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, Body::new(body));
        let Ok(answer) = self.router.clone().oneshot(request).await;
        answer.map(|body| body.map_err(Into::into).boxed_unsync())
    }

    fn end(&self) {
        self.stop.cancel();
    }
}

/// Serves a feed until its token is cancelled.
pub async fn serve(listener: TcpListener, connections: Arc<Connections>, feed: Feed) {
    let stop = feed.stop.clone();
    carillon_serving::serve(listener, connections, feed, stop).await;
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

fn refused(error: &SourceError) -> Response {
    let status = match error {
        SourceError::OtherChain { .. } => StatusCode::NOT_FOUND,
        SourceError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refuse(status, &error.to_string())
}

async fn page(
    State(served): State<Served>,
    Path((from, to)): Path<(u64, u64)>,
    Query(place): Query<Place>,
) -> Response {
    match served.source.page(from, to, place) {
        Ok(page) => Json(page).into_response(),
        Err(error) => refused(&error),
    }
}

async fn stream(
    State(served): State<Served>,
    Path((from, to)): Path<(u64, u64)>,
    Query(place): Query<Place>,
    Extension(backlog): Extension<Arc<Backlog>>,
    socket: WebSocketUpgrade,
) -> Response {
    if let Err(error) = served.source.page(from, to, place) {
        return refused(&error);
    }
    let socket = socket.max_message_size(1 << 10).max_frame_size(1 << 10);
    socket.on_upgrade(move |socket| async move {
        let reader = Reader {
            served,
            lane: (from, to),
            place,
            backlog,
        };
        reader.follow(socket).await;
    })
}

/// One reader of a stream.
struct Reader {
    served: Served,
    lane: (u64, u64),
    place: Place,
    backlog: Arc<Backlog>,
}

impl Reader {
    async fn follow(mut self, socket: WebSocket) {
        let (mut sender, mut receiver) = socket.split();
        let mut changes = self.served.source.changes();
        let (code, reason) = loop {
            changes.borrow_and_update();
            let page = match self
                .served
                .source
                .page(self.lane.0, self.lane.1, self.place)
            {
                Ok(page) => page,
                Err(error) => break (AWAY, error.to_string()),
            };
            if page.is_news() {
                match self.send(&mut sender, &page).await {
                    Ok(()) => self.place = self.place.behind(&page),
                    Err(reason) => break (POLICY, reason),
                }
                continue;
            }
            tokio::select! {
                () = self.served.stop.cancelled() => break (AWAY, "the feed ends".to_owned()),
                changed = changes.changed() => {
                    if changed.is_err() {
                        break (AWAY, "the feed ends".to_owned());
                    }
                }
                () = tokio::time::sleep(HEARTBEAT) => {
                    let page = Page::empty(self.lane.0, self.lane.1, page.start);
                    if let Err(reason) = self.send(&mut sender, &page).await {
                        break (POLICY, reason);
                    }
                }
                message = receiver.next() => match message {
                    // Readers have nothing to say; pings are answered by the socket.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => break (POLICY, "a feed takes no messages".to_owned()),
                },
            }
        };
        tracing::info!(
            from = self.lane.0,
            to = self.lane.1,
            reason,
            "a reader of a lane is dropped"
        );
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // Whether it reads that or not, it is gone after this.
        let _ = tokio::time::timeout(UNREAD, sender.send(Message::Close(Some(frame)))).await;
    }

    /// Sends a page when the reader has read those before it.
    async fn send(
        &self,
        sender: &mut (impl SinkExt<Message, Error = axum::Error> + Unpin),
        page: &Page,
    ) -> Result<(), String> {
        let text = serde_json::to_string(page).map_err(|error| error.to_string())?;
        let sent = async {
            self.backlog.writable().await;
            self.backlog.call().answered(text.len());
            sender.send(Message::Text(text.into())).await
        };
        match tokio::time::timeout(UNREAD, sent).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err(format!("nothing was read for {} s", UNREAD.as_secs())),
        }
    }
}
