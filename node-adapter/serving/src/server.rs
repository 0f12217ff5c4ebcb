//! Accept loop and HTTP/1.1: reads a request as a whole within its deadlines, and only then hands it
//! to the application.
//!
//! Called by the listeners of `carillon-node` and `carillon-prover-api`.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::guarded::Guarded;
use super::limits::{Admission, Connections, Slot};
use super::line::Line;

/// Bytes of a request's line and headers, and of what is read of a body at once.
const BUFFER: usize = 16 << 10;
/// What a client is told for which no slot is free.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
    Content-Length: 0\r\n\r\n";
/// Connections that the kernel holds until they are accepted. Of more it drops the first packet, and
/// an honest client comes again only after a second, and then two.
const BACKLOG: u32 = 4096;
/// After so long a client is gone whose machine acknowledges nothing that was sent (pings of WebSockets,
/// too).
const GONE: Duration = Duration::from_secs(30);
/// Until the requests of those who have just come are read.
const MOMENT: Duration = Duration::from_millis(2);
/// Pause after an accept that failed: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(20);
/// Of a body that is too long so many bytes more are read, for so long.
const SKIPPED: usize = 1 << 20;
const SKIPPING: Duration = Duration::from_secs(1);
/// How long answers under way may take when the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;
/// An answer.
pub type Answer = Response<AnswerBody>;

/// What answers requests.
pub trait Application: Clone + Send + Sync + 'static {
    /// Refuses a request by its headers alone, before any of its body is read.
    fn refuse(&self, _head: &Parts) -> Option<Answer> {
        None
    }

    /// Answers a complete request.
    fn answer(&self, request: Request<Full<Bytes>>) -> impl Future<Output = Answer> + Send;

    /// Told when the server ends, for what the application has running of its own.
    fn end(&self) {}
}

/// An answer of known length.
pub fn fixed(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Answer {
    let body = Full::new(text.into()).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A refusal after which the connection is closed.
fn refusal(status: StatusCode, reason: &str) -> Answer {
    let text = serde_json::json!({ "error": reason }).to_string();
    let mut answer = fixed(status, "application/json", text);
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}

/// Listens at an address, with a backlog for many who come at once.
///
/// # Errors
/// The address is taken, or not this machine's.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A port that only closed connections still have is free.
    socket.set_reuseaddr(true)?;
    // Connections inherit what is set here.
    SockRef::from(&socket).set_tcp_user_timeout(Some(GONE))?;
    // Small answers go out at once.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` is cancelled. Then requests under way are answered, within seconds; whoever
/// only holds a connection is cut off at once.
pub async fn serve<A: Application>(
    listener: TcpListener,
    connections: Arc<Connections>,
    application: A,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let line = Line::new(stream);
                match slot(&connections, peer.ip(), &line).await {
                    Some(slot) => {
                        let backlog = Backlog::new(line, Arc::new(slot));
                        tokio::spawn(hold(backlog, application.clone(), stop.clone()));
                    }
                    None => line.refuse(FULL),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    application.end();
    connections.end(false);
    let ended = tokio::time::timeout(LAST_ANSWERS, connections.none_left());
    if ended.await.is_err() {
        connections.end(true);
    }
}

/// A slot for a connection, as soon as there may be one.
async fn slot(connections: &Arc<Connections>, peer: IpAddr, line: &Arc<Line>) -> Option<Slot> {
    loop {
        match connections.admit(peer, line) {
            Admission::Slot(slot) => return Some(slot),
            Admission::Full => return None,
            Admission::Later => tokio::time::sleep(MOMENT).await,
        }
    }
}

/// One connection from its first to its last byte.
async fn hold<A: Application>(backlog: Arc<Backlog>, application: A, stop: CancellationToken) {
    let headers = backlog.slot().connections().limits().headers;
    let io = Guarded::new(Arc::clone(&backlog));
    let service = service_fn(move |request| {
        let (application, backlog) = (application.clone(), Arc::clone(&backlog));
        async move { Ok::<_, Infallible>(respond(&application, &backlog, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        // A client may close its direction and wait for the answer.
        .half_close(true)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // Clients that break off or send nonsense are no news.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Reads a request and has it answered, each within its deadline.
async fn respond<A: Application>(
    application: &A,
    backlog: &Arc<Backlog>,
    request: Request<Incoming>,
) -> Answer {
    let slot = backlog.slot();
    let connections = slot.connections();
    let limits = connections.limits();
    connections.asked();
    let (head, mut body) = request.into_parts();
    if let Some(mut answer) = application.refuse(&head) {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        return answer;
    }
    let too_long = || {
        let most = limits.body_bytes;
        refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body is too long; send at most {most} bytes"),
        )
    };
    if body.size_hint().lower() > limits.body_bytes as u64 {
        skip(&mut body).await;
        return too_long();
    }
    let whole = Limited::new(&mut body, limits.body_bytes).collect();
    let body = match tokio::time::timeout(limits.body, whole).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            skip(&mut body).await;
            return too_long();
        }
        Ok(Err(_)) => return refusal(StatusCode::BAD_REQUEST, "the body cannot be read"),
        Err(_) => {
            connections.too_late();
            return refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long");
        }
    };
    let _working = slot.work();
    let mut request = Request::from_parts(head, Full::new(body));
    request.extensions_mut().insert(Arc::clone(backlog));
    let answer = backlog.begin(application.answer(request));
    match tokio::time::timeout(limits.answer, answer).await {
        Ok(answer) => {
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                backlog.socket();
            }
            answer
        }
        Err(_) => {
            connections.too_late();
            refusal(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long")
        }
    }
}

/// Reads on for a moment: a client that is still sending when its connection is closed does not see the
/// answer.
async fn skip(body: &mut Incoming) {
    let skipped = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > SKIPPED {
                return;
            }
        }
    };
    // Whether it came to its end or not, the answer is the same.
    let _ = tokio::time::timeout(SKIPPING, skipped).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    use super::super::limits::Limits;
    use super::*;

    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 2\r\n\r\n{}";

    /// Answers when it may.
    #[derive(Clone)]
    struct Slow(Arc<Semaphore>);

    impl Application for Slow {
        async fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
            let backlog: &Arc<Backlog> = request.extensions().get().unwrap();
            // As the node's calls do.
            let call = backlog.begin_call(async {
                let _turn = self.0.acquire().await;
                fixed(StatusCode::OK, "text/plain", "answered")
            });
            call.await
        }
    }

    struct Server {
        address: SocketAddr,
        connections: Arc<Connections>,
        /// A permit lets it answer.
        may: Arc<Semaphore>,
        stop: CancellationToken,
        task: JoinHandle<()>,
    }

    fn server(limits: Limits) -> Server {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Connections::new(limits);
        let may = Arc::new(Semaphore::new(0));
        let stop = CancellationToken::new();
        let served = serve(
            listener,
            Arc::clone(&connections),
            Slow(Arc::clone(&may)),
            stop.clone(),
        );
        Server {
            address,
            connections,
            may,
            stop,
            task: tokio::spawn(served),
        }
    }

    impl Server {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn until(&self, requests: u64) {
            while self.connections.counts().requests < requests {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn who_finds_no_slot_is_told_when_to_come_again() {
        let server = server(Limits {
            connections: 1,
            ..Limits::default()
        });
        let mut first = server.connect().await;
        first.write_all(REQUEST).await.unwrap();
        server.until(1).await;
        let told = rest(&mut server.connect().await).await;
        assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
        assert!(told.contains("Retry-After: 1\r\n"), "{told}");
        assert_eq!(server.connections.counts().refused, 1);
        // The server ends, and who was first has the answer all the same.
        server.may.add_permits(1);
        server.stop.cancel();
        let answer = rest(&mut first).await;
        assert!(answer.ends_with("answered"), "{answer}");
        server.task.await.unwrap();
    }

    #[tokio::test]
    async fn who_has_closed_its_direction_has_its_answer() {
        let server = server(Limits::default());
        let mut client = server.connect().await;
        client.write_all(REQUEST).await.unwrap();
        client.shutdown().await.unwrap();
        server.until(1).await;
        // The server sees the end before it has the answer.
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.may.add_permits(1);
        let answer = rest(&mut client).await;
        assert!(answer.ends_with("answered"), "{answer}");
    }

    #[tokio::test]
    async fn who_has_just_come_does_not_wait_for_those_who_ask_and_ask() {
        const CLIENTS: u64 = 100;
        let server = server(Limits {
            beginning: 8,
            ..Limits::default()
        });
        server.may.add_permits(1);
        let mut busy = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = server.connect().await;
            client.write_all(REQUEST).await.unwrap();
            busy.push(client);
        }
        server.until(CLIENTS).await;
        // The server is a task of this thread: nothing is answered while all of this is written.
        let many = REQUEST.repeat(10);
        for client in &busy {
            assert_eq!(client.try_write(&many).unwrap(), many.len());
        }
        let mut new = std::net::TcpStream::connect(server.address).unwrap();
        io::Write::write_all(&mut new, REQUEST).unwrap();
        new.set_nonblocking(true).unwrap();
        let mut new = TcpStream::from_std(new).unwrap();
        new.read_u8().await.unwrap();
        // Of each of the others one request more has been read, and few of those were answered.
        let read = server.connections.counts().requests;
        assert!(read < 5 * CLIENTS, "{read} requests before a newcomer's");
    }

    #[tokio::test]
    async fn a_connection_s_first_request_waits_for_no_turn_and_its_second_does() {
        let server = server(Limits {
            beginning: 0,
            ..Limits::default()
        });
        server.may.add_permits(1);
        let mut client = server.connect().await;
        client.write_all(&REQUEST.repeat(2)).await.unwrap();
        server.until(2).await;
        let mut answers = [0; 4096];
        let read = client.read(&mut answers).await.unwrap();
        assert!(answers[..read].ends_with(b"answered"));
        let second = client.read(&mut answers);
        let second = tokio::time::timeout(Duration::from_millis(100), second).await;
        assert!(second.is_err(), "no request may begin");
    }

    #[tokio::test]
    async fn connections_have_the_options_of_their_listener() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = listen(address.parse().unwrap()).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap());
            let _client = client.await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let timeout = SockRef::from(&accepted).tcp_user_timeout().unwrap();
            assert_eq!((timeout, accepted.nodelay().unwrap()), (Some(GONE), true));
        }
    }
}
