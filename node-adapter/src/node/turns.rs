//! The calls of one connection take turns: a WebSocket that asks without measure does not have the
//! node for itself.
//!
//! The server makes a task of each message, so that without this whoever sends most has most of the
//! machine. A batch is one call; how long it may be is the server's own limit.

use std::sync::Arc;

use jsonrpsee::core::middleware::{Batch, Notification, RpcServiceT};
use jsonrpsee::types::Request;
use tokio::sync::Semaphore;
use tower::Layer;

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

impl<S> RpcServiceT for Turns<S>
where
    S: RpcServiceT + Clone + Send + Sync + 'static,
{
    type MethodResponse = S::MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(
        &self,
        request: Request<'a>,
    ) -> impl Future<Output = Self::MethodResponse> + Send + 'a {
        let Self { service, turns } = self.clone();
        async move {
            let _turn = turns.acquire().await;
            service.call(request).await
        }
    }

    fn batch<'a>(
        &self,
        requests: Batch<'a>,
    ) -> impl Future<Output = Self::BatchResponse> + Send + 'a {
        let Self { service, turns } = self.clone();
        async move {
            let _turn = turns.acquire().await;
            service.batch(requests).await
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        let Self { service, turns } = self.clone();
        async move {
            let _turn = turns.acquire().await;
            service.notification(notification).await
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
        async fn work(self) {
            let (now, most) = &*self.0;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl RpcServiceT for Counted {
        type MethodResponse = ();
        type NotificationResponse = ();
        type BatchResponse = ();

        fn call<'a>(&self, _: Request<'a>) -> impl Future<Output = ()> + Send + 'a {
            self.clone().work()
        }

        fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = ()> + Send + 'a {
            self.clone().work()
        }

        fn notification<'a>(&self, _: Notification<'a>) -> impl Future<Output = ()> + Send + 'a {
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
