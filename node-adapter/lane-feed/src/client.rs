//! Follows a feed: reads page after page from a WebSocket, and comes again at the caller's place after
//! a failure, ever later. Believes nothing: that is `cursor`'s.

use std::time::Duration;

use carillon_settlement::Backoff;
use futures::StreamExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::page::{MOST_BYTES, Page};
use super::source::Place;

/// The first pause after a failure.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A feed that says nothing for so long is gone: it sends an empty page three times as often.
const SILENT: Duration = Duration::from_secs(45);

/// Why a feed says nothing now. It is asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is none.
    #[error(
        "`{0}` is not the URL of a feed: http:// and host, and a port if need be, are expected"
    )]
    Url(String),
    /// No connection, or it broke.
    #[error("the feed at {url} does not answer ({reason}); it is asked again")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// What came is no page.
    #[error("the feed at {url} sends what is no page ({reason}); check what serves there")]
    NoPage {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A reader of one lane's feed.
#[derive(Debug)]
pub struct Client {
    url: String,
    from: u64,
    to: u64,
    socket: Option<(Socket, Place)>,
    backoff: Backoff,
    next: Instant,
}

impl Client {
    /// A reader that does not connect yet.
    ///
    /// # Errors
    /// [`ClientError::Url`].
    pub fn new(url: &str, from: u64, to: u64) -> Result<Self, ClientError> {
        let host = url
            .strip_prefix("http://")
            .map(|host| host.trim_end_matches('/'));
        let host = host.filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| ClientError::Url(carillon_redact::url(url)))?;
        Ok(Self {
            url: format!("ws://{host}"),
            from,
            to,
            socket: None,
            backoff: Backoff::new(PAUSE),
            next: Instant::now(),
        })
    }

    /// The next page behind a place, however long it takes to come.
    ///
    /// # Errors
    /// [`ClientError`]; the next call connects again, after a pause.
    pub async fn next(&mut self, place: Place) -> Result<Page, ClientError> {
        // A reader that is somewhere else than the stream begins anew there.
        if self.socket.as_ref().is_some_and(|(_, at)| *at != place) {
            self.socket = None;
        }
        if self.socket.is_none() {
            tokio::time::sleep_until(self.next).await;
            let socket = self.connect(place).await;
            self.socket = Some((self.count(socket)?, place));
        }
        let read = match &mut self.socket {
            Some((socket, _)) => tokio::time::timeout(SILENT, read(socket)).await,
            None => return Err(self.unreachable("it is closed")),
        };
        let page = match read {
            Ok(Ok(text)) => Page::parse(text.as_bytes()).map_err(|reason| ClientError::NoPage {
                url: carillon_redact::url(&self.url),
                reason,
            }),
            Ok(Err(reason)) => Err(self.unreachable(reason)),
            Err(_) => Err(self.unreachable("it says nothing")),
        };
        let page = self.count(page)?;
        if let Some((_, at)) = &mut self.socket {
            *at = at.behind(&page);
        }
        Ok(page)
    }

    /// Goes on, or ends the connection and waits for the next one.
    fn count<T>(&mut self, result: Result<T, ClientError>) -> Result<T, ClientError> {
        match &result {
            Ok(_) => self.backoff.reset(),
            Err(_) => {
                self.socket = None;
                self.next = Instant::now() + self.backoff.next(None);
            }
        }
        result
    }

    /// What was read cannot be believed: the next call connects again, after a pause.
    pub fn distrust(&mut self) {
        self.socket = None;
        self.next = Instant::now() + self.backoff.next(None);
    }

    async fn connect(&self, place: Place) -> Result<Socket, ClientError> {
        let Place { after, epoch } = place;
        let (url, from, to) = (&self.url, self.from, self.to);
        let url = format!("{url}/gateway/v1/lanes/{from}/{to}/stream?after={after}&epoch={epoch}");
        let config = WebSocketConfig::default()
            .max_message_size(Some(MOST_BYTES))
            .max_frame_size(Some(MOST_BYTES));
        let connected = connect_async_with_config(url, Some(config), true);
        match tokio::time::timeout(CONNECT, connected).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(self.unreachable(error)),
            Err(_) => Err(self.unreachable("no connection")),
        }
    }

    fn unreachable(&self, reason: impl std::fmt::Display) -> ClientError {
        ClientError::Unreachable {
            url: carillon_redact::url(&self.url),
            reason: reason.to_string(),
        }
    }
}

/// The text of the next page.
async fn read(socket: &mut Socket) -> Result<String, String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(Message::Close(frame))) => {
                return Err(frame.map_or("closed".to_owned(), |frame| frame.reason.to_string()));
            }
            Some(Ok(Message::Binary(_))) => return Err("it sends bytes".to_owned()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("closed".to_owned()),
        }
    }
}
