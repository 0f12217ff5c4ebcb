//! The sender as a task: looks at L1 when it is time, takes intents in between.
//!
//! Called by the service. A node that is down is no reason to stop: it is asked again.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::event::{Enqueued, Event, Status};
use super::journal::JournalReader;
use super::state::Board;
use super::{Faults, Intent, Outcome, Port, Sender, SenderError};
use crate::{Backoff, L1Part};

/// Events that a slow listener may fall behind.
const EVENTS: usize = 1024;
/// Between two looks, whatever the timers say.
const LEAST_PAUSE: Duration = Duration::from_millis(1);
/// Commands that may wait.
const COMMANDS: usize = 64;

enum Command {
    Enqueue(Intent, oneshot::Sender<Result<Enqueued, SenderError>>),
    Withdraw(String, oneshot::Sender<Result<(), SenderError>>),
}

/// Speaks to a running sender.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Event>,
    board: Board,
    closed: JournalReader,
}

impl Handle {
    /// [`Sender::enqueue`].
    pub async fn enqueue(&self, intent: Intent) -> Result<Enqueued, SenderError> {
        self.ask(|answer| Command::Enqueue(intent, answer)).await
    }

    /// [`Sender::withdraw`].
    pub async fn withdraw(&self, id: &str) -> Result<(), SenderError> {
        self.ask(|answer| Command::Withdraw(id.into(), answer))
            .await
    }

    /// [`Sender::status`], from memory and the journal: nothing is asked of L1, and no look is waited
    /// for.
    pub fn status(&self, id: &str) -> Result<Option<Status>, SenderError> {
        if self.commands.is_closed() {
            return Err(SenderError::Stopped);
        }
        // An intent is in the journal as closed before it leaves the board.
        let board = self.board.read().unwrap_or_else(PoisonError::into_inner);
        let open = board.get(id).cloned();
        drop(board);
        match open {
            Some(status) => Ok(Some(status)),
            None => match self.closed.done(id) {
                Some(done) => Ok(done?.map(Status::Closed)),
                None => Err(SenderError::Stopped),
            },
        }
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SenderError>>) -> Command,
    ) -> Result<T, SenderError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(command(answer)).await;
        sent.map_err(|_| SenderError::Stopped)?;
        answered.await.map_err(|_| SenderError::Stopped)?
    }
}

impl<P: Port, O: Outcome, F: Faults> Sender<P, O, F> {
    /// A handle, and the future that does the work until `stop`, every handle is dropped and nothing is
    /// open, or an error that waiting cannot heal.
    pub fn start(
        self,
        stop: CancellationToken,
    ) -> (Handle, impl Future<Output = Result<(), SenderError>>) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (events, _) = broadcast::channel(EVENTS);
        let handle = Handle {
            commands,
            events: events.clone(),
            board: Arc::clone(&self.board),
            closed: self.journal.reader(),
        };
        (handle, self.work(inbox, events, stop))
    }

    async fn work(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        events: broadcast::Sender<Event>,
        stop: CancellationToken,
    ) -> Result<(), SenderError> {
        let start = Instant::now();
        let mut backoff = Backoff::new(self.policy().retry_after);
        let mut handles = true;
        // One look a timer: commands are answered in between, and only a new one brings the next look
        // forward, never while the node wants to be left alone.
        let mut wake = Duration::ZERO;
        let mut failing = false;
        loop {
            let pause = wake.saturating_sub(start.elapsed());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {
                    let now = start.elapsed();
                    let result = self.tick(now).await;
                    for event in self.take_events() {
                        // An error only means that the receiver is gone.
                        let _ = events.send(event);
                    }
                    match result {
                        Ok(next) => {
                            if failing {
                                self.reporter.worked(L1Part::Settlement);
                            }
                            failing = false;
                            backoff.reset();
                            wake = next.max(start.elapsed() + LEAST_PAUSE);
                        }
                        Err(error) if error.is_transient() => {
                            failing = true;
                            let pause = backoff.next(error.retry_after());
                            wake = start.elapsed() + pause;
                            self.reporter.failed(L1Part::Settlement, error.trouble(), pause);
                        }
                        Err(error) => return Err(error),
                    }
                    if !handles && self.open_intents().next().is_none() {
                        return Ok(());
                    }
                }
                command = inbox.recv(), if handles => match command {
                    Some(command) => {
                        self.obey(command)?;
                        if !failing {
                            wake = wake.min(start.elapsed());
                        }
                    }
                    None => {
                        handles = false;
                        if self.open_intents().next().is_none() {
                            return Ok(());
                        }
                    }
                },
            }
        }
    }

    /// Answers a command. An error of the journal ends the sender, the caller is told first.
    fn obey(&mut self, command: Command) -> Result<(), SenderError> {
        match command {
            Command::Enqueue(intent, answer) => reply(answer, self.enqueue(intent)),
            Command::Withdraw(id, answer) => reply(answer, self.withdraw(&id)),
        }
    }
}

fn reply<T>(
    answer: oneshot::Sender<Result<T, SenderError>>,
    result: Result<T, SenderError>,
) -> Result<(), SenderError> {
    let fatal = matches!(result, Err(SenderError::Journal(_) | SenderError::Killed));
    // A caller that does not wait for its answer is no error.
    let _ = answer.send(result);
    if fatal {
        Err(SenderError::Stopped)
    } else {
        Ok(())
    }
}
