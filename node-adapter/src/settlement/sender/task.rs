//! The sender as a task: looks at L1 when it is time, takes intents in between.
//!
//! Called by the service. A node that is down is no reason to stop: it is asked again.

use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::event::{Enqueued, Event, Status};
use super::{Faults, Intent, Outcome, Port, Sender, SenderError};

/// Events that a slow listener may fall behind.
const EVENTS: usize = 1024;
/// Commands that may wait.
const COMMANDS: usize = 64;

enum Command {
    Enqueue(Intent, oneshot::Sender<Result<Enqueued, SenderError>>),
    Withdraw(String, oneshot::Sender<Result<(), SenderError>>),
    Status(String, oneshot::Sender<Result<Option<Status>, SenderError>>),
}

/// Speaks to a running sender.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Event>,
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

    /// [`Sender::status`].
    pub async fn status(&self, id: &str) -> Result<Option<Status>, SenderError> {
        self.ask(|answer| Command::Status(id.into(), answer)).await
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
        let mut handles = true;
        loop {
            let now = start.elapsed();
            let wake = match self.tick(now).await {
                Ok(wake) => wake,
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "L1 sender: tried again later");
                    now + self.policy().retry_after
                }
                Err(error) => return Err(error),
            };
            for event in self.take_events() {
                // An error means that nobody listens.
                let _ = events.send(event);
            }
            if !handles && self.open_intents().next().is_none() {
                return Ok(());
            }
            let pause = wake.saturating_sub(start.elapsed());
            let pause = pause.max(Duration::from_millis(1));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
                command = inbox.recv(), if handles => match command {
                    Some(command) => self.obey(command)?,
                    None => handles = false,
                },
            }
        }
    }

    /// Answers a command. An error of the journal ends the sender, the caller is told first.
    fn obey(&mut self, command: Command) -> Result<(), SenderError> {
        match command {
            Command::Enqueue(intent, answer) => reply(answer, self.enqueue(intent)),
            Command::Withdraw(id, answer) => reply(answer, self.withdraw(&id)),
            Command::Status(id, answer) => reply(answer, self.status(&id)),
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
