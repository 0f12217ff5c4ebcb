//! The calls of one connection take turns: a WebSocket that asks without measure does not have the
//! node for itself, nor fills its memory with answers that it does not read.
//!
//! The server makes a task of each message, so that without this whoever sends most has most of the
//! machine. A batch is one call; how long it may be is the server's own limit. What waits is counted
//! in `carillon_serving::Backlog`, which pauses the reader.

use std::sync::Arc;

use jsonrpsee::MethodResponse;
use jsonrpsee::core::middleware::{Batch, Notification, RpcServiceT};
use jsonrpsee::types::Request;
use tokio::sync::Semaphore;
use tower::Layer;

use carillon_serving::Backlog;

/// Calls of one connection that are answered at the same time.
const AT_ONCE: usize = 8;

/// Gives each connection its [`Turns`].
#[derive(Clone, Copy, Debug)]
pub(super) struct TakeTurns;

impl<S> Layer<S> for TakeTurns {
    type Service = Turns<S>;

    /// Called by the server for each connection.
    fn layer(&self, service: S) -> Turns<S> {
        Turns {
            service,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// A connection's calls, at most [`AT_ONCE`] at the same time.
#[derive(Clone)]
pub(super) struct Turns<S> {
    service: S,
    turns: Arc<Semaphore>,
}

impl<S> Turns<S> {
    /// Answers when it is the call's turn and the answers before it are being read.
    async fn take(
        &self,
        backlog: Option<Arc<Backlog>>,
        answer: impl Future<Output = MethodResponse>,
    ) -> MethodResponse {
        let call = backlog.as_ref().map(Backlog::call);
        let _turn = self.turns.acquire().await;
        if let Some(backlog) = &backlog {
            backlog.writable().await;
        }
        let answer = match &backlog {
            Some(backlog) => backlog.begin_call(answer).await,
            None => answer.await,
        };
        if let Some(call) = call {
            // What notifications give is not sent.
            let sent = answer.is_method_call() || answer.is_batch();
            call.answered(if sent {
                answer.as_json().get().len()
            } else {
                0
            });
        }
        answer
    }
}

impl<S> RpcServiceT for Turns<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        let backlog = request.extensions().get().cloned();
        async move { this.take(backlog, this.service.call(request)).await }
    }

    fn batch<'a>(
        &self,
        mut requests: Batch<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        let backlog = requests.extensions().get().cloned();
        async move { this.take(backlog, this.service.batch(requests)).await }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        let backlog = notification.extensions().get().cloned();
        async move {
            let answer = this.service.notification(notification);
            this.take(backlog, answer).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use jsonrpsee::types::Id;

    use super::*;

    /// Counts the calls under way, and the most that there were.
    #[derive(Clone, Default)]
    struct Counted(Arc<(AtomicUsize, AtomicUsize)>);

    impl Counted {
        async fn work(self) -> MethodResponse {
            let (now, most) = &*self.0;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            MethodResponse::notification()
        }
    }

    impl RpcServiceT for Counted {
        type MethodResponse = MethodResponse;
        type NotificationResponse = MethodResponse;
        type BatchResponse = MethodResponse;

        fn call<'a>(&self, _: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
            self.clone().work()
        }

        fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
            self.clone().work()
        }

        fn notification<'a>(
            &self,
            _: Notification<'a>,
        ) -> impl Future<Output = MethodResponse> + Send + 'a {
            self.clone().work()
        }
    }

    #[tokio::test]
    async fn a_connection_s_calls_wait_and_another_s_do_not() {
        let counted = Counted::default();
        let (one, other) = (
            TakeTurns.layer(counted.clone()),
            TakeTurns.layer(counted.clone()),
        );
        let call = |turns: &Turns<Counted>, id: u64| {
            let turns = turns.clone();
            let request = Request::owned("carillon_chain".into(), None, Id::Number(id));
            async move { turns.call(request).await }
        };
        join_all((0..100).map(|id| call(&one, id))).await;
        assert_eq!(counted.0.1.load(Ordering::SeqCst), AT_ONCE);
        // Batches take turns with calls.
        let batches = (0..50).map(|_| one.batch(Batch::new()));
        let calls = (0..50).map(|id| call(&one, id));
        futures::join!(join_all(batches), join_all(calls));
        assert_eq!(counted.0.1.load(Ordering::SeqCst), AT_ONCE);
        let both = (0..100).map(|id| call(if id % 2 == 0 { &one } else { &other }, id));
        join_all(both).await;
        assert_eq!(counted.0.1.load(Ordering::SeqCst), 2 * AT_ONCE);
    }
}
