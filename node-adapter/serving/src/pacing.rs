//! When requests begin: whoever has just come does not wait for those who ask and ask.
//!
//! The runtime's queue is first come, first served, and an honest request passes it a handful of times
//! (accepted, read, begun, woken by the sequencer). With hundreds of connections that have a request
//! ready at all times, each pass is a round of all of them. Therefore only the first request of a
//! connection begins at once. The others wait here, a few of them beginning at a time, so that the
//! runtime's queue stays short. Called by `server`, and for the calls of WebSockets through `backlog`.

use std::pin::pin;

use futures::future::poll_immediate;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// See above.
#[derive(Debug)]
pub(super) struct Pacing(Semaphore);

impl Pacing {
    /// For so many requests that are beginning at the same time.
    pub fn new(beginning: usize) -> Self {
        Self(Semaphore::new(beginning))
    }

    /// Answers a request when it may begin. It has begun when it is done or waits for something: then
    /// the next one may.
    pub async fn begin<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        let turn = match self.0.try_acquire() {
            // Through the runtime's queue in any case: a connection whose requests came one behind the
            // other does not have all its answers in one go.
            Ok(turn) => {
                yield_now().await;
                Ok(turn)
            }
            // It is never closed.
            Err(_) => self.0.acquire().await,
        };
        let begun = poll_immediate(answer.as_mut()).await;
        drop(turn);
        match begun {
            Some(answer) => answer,
            None => answer.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use futures::future::join_all;
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn few_requests_begin_at_a_time_and_those_that_wait_for_something_hold_nobody_up() {
        let most = 8;
        let pacing = Pacing::new(most);
        let begun = Cell::new(0);
        let answers = (0..10 * most).map(|_| {
            Box::pin(pacing.begin(async {
                begun.set(begun.get() + 1);
                pending::<()>().await;
            }))
        });
        let mut answers: Vec<_> = answers.collect();
        for answer in &mut answers {
            assert!(poll!(answer).is_pending());
        }
        // A few have a turn, and let the runtime's queue pass. The others have none.
        for answer in &mut answers[most..] {
            assert!(poll!(answer).is_pending());
        }
        assert_eq!(begun.get(), 0);
        for answer in &mut answers[..most] {
            assert!(poll!(answer).is_pending());
        }
        assert_eq!(begun.get(), most);
        // None of these ever ends, and the others begin all the same.
        for answer in &mut answers {
            assert!(poll!(answer).is_pending());
        }
        assert_eq!(begun.get(), 10 * most);
    }

    #[tokio::test]
    async fn an_answer_is_given_however_often_it_waits() {
        let pacing = Pacing::new(8);
        let answers = (0..100).map(|number| {
            pacing.begin(async move {
                for _ in 0..number % 3 {
                    yield_now().await;
                }
                number
            })
        });
        assert_eq!(join_all(answers).await, (0..100).collect::<Vec<_>>());
    }
}
