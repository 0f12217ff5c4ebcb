//! The host's side of a submitted command: a future of its end.
//!
//! A [`Ticket`] resolves to [`Finished`]: how the command ended, and the memory
//! that was lent to the card. Dropping it first orphans the command: the driver
//! asks the card to abort it, and the memory stays in the queue's slot until
//! the card is proven to be done with it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use crate::completion::Completion;
use crate::dma::HostBuf;
use crate::error::JobError;
use crate::ledger::Owner;
use crate::quarantine::Borrowed;
use crate::region::CardRegion;
use crate::request::Request;

/// Host memory that can be lent to a command.
pub trait JobMemory: Send + 'static {
    /// The buffers in it.
    #[doc(hidden)]
    fn buffers(&self) -> &[HostBuf];
    /// The buffers alone.
    #[doc(hidden)]
    fn into_buffers(self) -> Vec<HostBuf>;
}

impl JobMemory for () {
    fn buffers(&self) -> &[HostBuf] {
        &[]
    }
    fn into_buffers(self) -> Vec<HostBuf> {
        Vec::new()
    }
}

impl JobMemory for HostBuf {
    fn buffers(&self) -> &[HostBuf] {
        std::slice::from_ref(self)
    }
    fn into_buffers(self) -> Vec<HostBuf> {
        vec![self]
    }
}

impl JobMemory for Vec<HostBuf> {
    fn buffers(&self) -> &[HostBuf] {
        self
    }
    fn into_buffers(self) -> Vec<HostBuf> {
        self
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished<M> {
    /// The completion of a success, or the error.
    pub result: Result<Completion, JobError>,
    /// The memory that was lent. `None` only when the card could not be proven
    /// to be done with it (it is then quarantined until it can), or the driver
    /// was torn down.
    pub memory: Option<M>,
}

impl<M> Finished<M> {
    /// Completion and memory of a success.
    ///
    /// # Errors
    /// The job's error; the memory is dropped.
    pub fn ok(self) -> Result<(Completion, M), JobError> {
        let completion = self.result?;
        // A success always brings its memory back.
        self.memory.map(|m| (completion, m)).ok_or(JobError::Closed)
    }
}

/// A command under way. Awaiting it is cancel-safe; dropping it asks for its
/// end.
pub struct Ticket<M> {
    reply: oneshot::Receiver<Finished<M>>,
    /// Queue and command id, while it may be outstanding.
    placed: Option<(u16, u16)>,
    worker: Option<mpsc::UnboundedSender<Request>>,
}

impl<M> Ticket<M> {
    pub(crate) fn new(
        reply: oneshot::Receiver<Finished<M>>,
        queue: u16,
        cid: u16,
        worker: mpsc::UnboundedSender<Request>,
    ) -> Self {
        Self {
            reply,
            placed: Some((queue, cid)),
            worker: Some(worker),
        }
    }

    /// A command that never reached the card.
    pub(crate) fn failed(error: JobError, memory: M) -> Self {
        let (sender, reply) = oneshot::channel();
        // The receiver is right here.
        let _ = sender.send(Finished {
            result: Err(error),
            memory: Some(memory),
        });
        Self {
            reply,
            placed: None,
            worker: None,
        }
    }

    /// The command's id on the card while it is under way; `None` once it has ended,
    /// or if it never reached the card. What [`JobError::LinkBroken`] names.
    pub fn command_id(&self) -> Option<u16> {
        self.placed.map(|(_, cid)| cid)
    }

    /// Asks the card to end the command; the ticket still resolves, with
    /// `ABORTED` if the card got to it in time.
    pub fn abort(&self) {
        if let (Some((queue, cid)), Some(worker)) = (self.placed, &self.worker) {
            // Fails only when the driver is gone, and with it the command.
            let _ = worker.send(Request::Abort { queue, cid });
        }
    }
}

impl<M> Future for Ticket<M> {
    type Output = Finished<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.reply).poll(cx).map(|finished| {
            self.placed = None;
            finished.unwrap_or(Finished {
                result: Err(JobError::Closed),
                memory: None,
            })
        })
    }
}

impl<M> Drop for Ticket<M> {
    fn drop(&mut self) {
        // Close first, so that a job which ends now frees its memory itself.
        self.reply.close();
        self.abort();
    }
}

impl<M> fmt::Debug for Ticket<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("placed", &self.placed)
            .finish_non_exhaustive()
    }
}

/// The queue's side: everything a command keeps until its end.
pub(crate) struct Pending<M> {
    pub memory: M,
    /// The scatter/gather list, if it has one.
    pub list: Option<HostBuf>,
    /// Operands in card memory.
    pub regions: Vec<CardRegion>,
    pub reply: oneshot::Sender<Finished<M>>,
}

/// [`Pending`] of any memory.
pub(crate) trait Job: Send {
    /// Notes in the ledger that its host memory is `owner`'s.
    fn set_owner(&self, owner: Owner);
    /// Whether a mapping reaches some of its host memory.
    fn is_mapped(&self) -> bool;
    /// The card is done with it: reports, and gives the memory back.
    fn finish(self: Box<Self>, result: Result<Completion, JobError>);
    /// The card may not be done with it: reports, and returns all memory for
    /// the quarantine.
    fn give_up(self: Box<Self>, error: JobError) -> Borrowed;
}

impl<M: JobMemory> Pending<M> {
    fn buffers(&self) -> impl Iterator<Item = &HostBuf> {
        self.memory.buffers().iter().chain(&self.list)
    }
}

impl<M: JobMemory> Job for Pending<M> {
    fn set_owner(&self, owner: Owner) {
        self.buffers().for_each(|buffer| buffer.set_owner(owner));
    }

    fn is_mapped(&self) -> bool {
        self.buffers().any(HostBuf::is_mapped)
    }

    fn finish(self: Box<Self>, result: Result<Completion, JobError>) {
        self.set_owner(Owner::Cpu);
        let Self {
            memory,
            list,
            regions,
            reply,
        } = *self;
        drop((list, regions));
        // A dropped ticket returns the memory here, where it is freed.
        let _ = reply.send(Finished {
            result,
            memory: Some(memory),
        });
    }

    fn give_up(self: Box<Self>, error: JobError) -> Borrowed {
        let Self {
            memory,
            list,
            regions,
            reply,
        } = *self;
        let mut buffers = memory.into_buffers();
        buffers.extend(list);
        // An error only means that the receiver is gone.
        let _ = reply.send(Finished {
            result: Err(error),
            memory: None,
        });
        Borrowed {
            buffers,
            _regions: regions,
        }
    }
}
