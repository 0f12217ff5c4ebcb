//! Commands on an I/O queue, in terms of buffers and regions.
//!
//! Each operation comes twice: `submit_x(..).await` returns a [`Ticket`] as
//! soon as the command is in the ring, so that a chain can be sent without
//! waiting in between (one queue runs in order); `x(..).await` waits for its
//! end. Sizes and directions are checked here, because the card cannot know
//! them; all else is left to the card, whose answer is the truth.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::{
    BEAT, Command, FR_BYTES, Group, MsmMode, NttKind, RawCommand, SGL_ENTRY_BYTES, SglEntry,
};
use crate::completion::Completion;
use crate::dma::{DmaError, HostBuf};
use crate::error::JobError;
use crate::link::Link;
use crate::queue_pair::Place;
use crate::region::CardRegion;
use crate::shared::Shared;
use crate::ticket::{Finished, JobMemory, Ticket};
use crate::wipe::Zeros;

mod chain;

pub use chain::Chain;

use chain::Open;

/// One I/O queue of an open card. Cheap to clone; outlives the card's handle,
/// answering [`JobError::Closed`].
#[derive(Clone)]
pub struct IoQueue {
    shared: Arc<Shared>,
    index: usize,
    /// The chain that commands go to, if this is one.
    chain: Option<Arc<Open>>,
}

/// The operands of [`IoQueue::msm`].
#[derive(Clone, Debug)]
pub struct Msm {
    /// The group of bases and sum; a card without `MSM_G2` answers G2 with `INVALID_OPCODE`.
    pub group: Group,
    /// n affine points of [`Group::point_bytes`].
    pub bases: CardRegion,
    /// n scalars of 32 bytes, Montgomery form.
    pub scalars: CardRegion,
    /// Terms.
    pub n: u64,
    /// [`Group::result_bytes`] for the projective result.
    pub result: CardRegion,
    /// Window size in bits; 0 lets the card choose.
    pub window_bits: u8,
    /// Whether scalars are split; the default needs bases of the subgroup.
    pub mode: MsmMode,
}

/// The operands of [`IoQueue::ntt`]; three disjoint regions of 2^log2n elements.
#[derive(Clone, Debug)]
pub struct Ntt {
    /// Input, preserved.
    pub source: CardRegion,
    /// Output.
    pub destination: CardRegion,
    /// Working memory.
    pub scratch: CardRegion,
    /// log2 of the length.
    pub log2n: u8,
    /// Which transform.
    pub kind: NttKind,
}

/// The operands of [`IoQueue::quotient`].
#[derive(Clone, Debug)]
pub struct Quotient {
    /// First factor.
    pub a: CardRegion,
    /// Second factor.
    pub b: CardRegion,
    /// What is subtracted.
    pub c: CardRegion,
    /// Result; may be `a`, `b` or `c`.
    pub destination: CardRegion,
    /// Elements.
    pub n: u64,
    /// One element.
    pub z: CardRegion,
}

/// The operands of [`IoQueue::submit_product`].
#[derive(Clone, Debug)]
pub struct Product {
    /// First factor.
    pub a: CardRegion,
    /// Second factor.
    pub b: CardRegion,
    /// Result; may be `a` or `b`.
    pub destination: CardRegion,
    /// Elements.
    pub n: u64,
}

fn fits(what: &'static str, needed: Option<u64>, given: u64) -> Result<(), JobError> {
    match needed {
        Some(n) if n <= given => Ok(()),
        needed => Err(JobError::Size {
            what,
            needed: needed.unwrap_or(u64::MAX),
            given,
        }),
    }
}

fn no_memory(error: &DmaError) -> JobError {
    JobError::HostMemory {
        cause: error.to_string(),
    }
}

/// Bytes of `n` elements, rounded up to beats as the card writes them.
fn elements(n: u64, each: u64) -> Option<u64> {
    n.checked_mul(each)?.checked_next_multiple_of(BEAT)
}

impl IoQueue {
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Self {
        Self {
            shared,
            index,
            chain: None,
        }
    }

    /// Begins a chain: commands submitted to it run only while those before them
    /// succeed, the others end with [`JobError::LinkBroken`]. Waits while others
    /// have a chain on this queue; they wait for this one's end. A card without the
    /// flag (`CardInfo::link`) refuses all but the last with `INVALID_FIELD`. On a ring of two places
    /// commands go one by one and without the flag: what follows a failure runs.
    ///
    /// Host memory in transfers of a chain is best taken by
    /// [`IoQueue::submit_bytes`]: who holds a buffer while waiting for the chain's
    /// end may hold what the chain waits for.
    pub async fn chain(&self) -> Chain {
        self.chained(true).await
    }

    /// The queue without others' commands between one's own, for cards without `LINK`:
    /// as [`IoQueue::chain`], but what follows a failure runs. Whoever fills buffers
    /// ahead of their commands needs one of the two, since others that wait for the
    /// queue's turn wait for no memory then.
    pub async fn series(&self) -> Chain {
        self.chained(false).await
    }

    async fn chained(&self, flagged: bool) -> Chain {
        let link = self.shared.queues[self.index].link(flagged).await;
        let open = Open::new(link, Arc::clone(&self.shared), self.index);
        Chain::new(Self {
            chain: Some(Arc::new(open)),
            ..self.clone()
        })
    }

    fn place(&self) -> Place<'_> {
        match &self.chain {
            None => Place::Alone,
            Some(open) => Place::Linked(&open.link),
        }
    }

    /// The card's number of this queue.
    pub fn number(&self) -> u16 {
        self.shared.queues[self.index].number()
    }

    /// Whether somebody has its turn: a chain, a series, or a command that is being
    /// submitted. Others that submit wait for that.
    pub fn is_taken(&self) -> bool {
        self.shared.queues[self.index].is_taken()
    }

    /// Commands that have not ended.
    pub fn outstanding(&self) -> usize {
        self.shared.queues[self.index].outstanding()
    }

    fn current(&self, regions: &[&CardRegion]) -> Result<(), JobError> {
        let all = regions.iter().all(|r| self.shared.memory.is_current(r));
        all.then_some(()).ok_or(JobError::StaleRegion)
    }

    /// The current epoch of the card's memory. Taken before any address of a
    /// command is, so that one made before a reset is not sent after it.
    fn epoch(&self) -> u64 {
        self.shared.memory.epoch()
    }

    async fn send<M: JobMemory>(
        &self,
        epoch: u64,
        command: Result<Command, JobError>,
        memory: M,
        list: Option<HostBuf>,
        regions: Vec<CardRegion>,
    ) -> Ticket<M> {
        self.send_at(self.place(), epoch, command, memory, list, regions)
            .await
    }

    async fn send_at<M: JobMemory>(
        &self,
        at: Place<'_>,
        epoch: u64,
        command: Result<Command, JobError>,
        memory: M,
        list: Option<HostBuf>,
        regions: Vec<CardRegion>,
    ) -> Ticket<M> {
        let link = self.chain.as_ref().map(|open| &open.link);
        let broken = link.and_then(Link::broken);
        match broken.map_or(command, Err) {
            Ok(command) => {
                self.shared.queues[self.index]
                    .submit(at, epoch, &command, memory, list, regions)
                    .await
            }
            Err(error) => {
                if let Some(link) = link {
                    link.break_off(&error);
                }
                Ticket::failed(error, memory)
            }
        }
    }

    fn transfer(
        &self,
        buffers: &[HostBuf],
        region: &CardRegion,
        write: bool,
    ) -> Result<u64, JobError> {
        self.current(&[region])?;
        let bytes = buffers.iter().map(|b| b.padded_len() as u64).sum();
        fits("the transfer", Some(bytes), region.len())?;
        let (pool, needed) = if write {
            (
                &self.shared.to_card,
                "reading by the card (`buffer_to_card`)",
            )
        } else {
            (
                &self.shared.from_card,
                "writing by the card (`buffer_from_card`)",
            )
        };
        for buffer in buffers {
            if buffer.direction() != pool.direction() {
                return Err(JobError::Direction { needed });
            }
            if !buffer.belongs_to(pool) {
                return Err(JobError::ForeignBuffer);
            }
        }
        Ok(bytes)
    }

    /// Sends all of `from` (padded with zeros to 64 bytes) to the start of `to`.
    pub async fn submit_write(&self, from: HostBuf, to: &CardRegion) -> Ticket<HostBuf> {
        let epoch = self.epoch();
        let checked = self.transfer(std::slice::from_ref(&from), to, true);
        let (host, card) = (from.iova(), to.address());
        let command = checked.map(|bytes| Command::Write {
            host,
            card,
            bytes,
            list: false,
        });
        self.send(epoch, command, from, None, vec![to.clone()])
            .await
    }

    /// The same for a buffer that is not wanted back: it returns to its pool when
    /// the command has ended, not only when somebody takes the ticket's answer. So
    /// a transfer of many pieces needs no more memory than those under way.
    pub async fn submit_write_away(&self, from: HostBuf, to: &CardRegion) -> Ticket<()> {
        let epoch = self.epoch();
        let checked = self.transfer(std::slice::from_ref(&from), to, true);
        let (host, card) = (from.iova(), to.address());
        let command = checked.map(|bytes| Command::Write {
            host,
            card,
            bytes,
            list: false,
        });
        self.send(epoch, command, (), Some(from), vec![to.clone()])
            .await
    }

    /// Sends a copy of `data` (padded with zeros to 64 bytes) to the start of `to`.
    /// Waits first for the queue's turn and then for host memory, as
    /// [`Card::buffer_with_in_turn`](crate::Card::buffer_with_in_turn) does: whoever
    /// waits holds none. The buffer returns to its pool as that of
    /// [`IoQueue::submit_write_away`].
    pub async fn submit_bytes(&self, data: &[u8], to: &CardRegion) -> Ticket<()> {
        let at = match self.place() {
            Place::Alone => Place::WithTurn(self.shared.queues[self.index].turn().await),
            at => at,
        };
        let epoch = self.epoch();
        let mut host = None;
        let command = match self.shared.to_card.allocate_in_turn(data.len()).await {
            Ok(mut buffer) => {
                buffer.copy_from_slice(data);
                let checked = self.transfer(std::slice::from_ref(&buffer), to, true);
                let (iova, card) = (buffer.iova(), to.address());
                host = Some(buffer);
                checked.map(|bytes| Command::Write {
                    host: iova,
                    card,
                    bytes,
                    list: false,
                })
            }
            Err(error) => Err(no_memory(&error)),
        };
        self.send_at(at, epoch, command, (), host, vec![to.clone()])
            .await
    }

    /// Writes a 64-bit word over and over into a region, without any transfer; a card
    /// without `FILL` answers `INVALID_OPCODE`.
    pub async fn submit_fill(&self, word: u64, region: &CardRegion) -> Ticket<()> {
        let epoch = self.epoch();
        let command = self.current(&[region]).map(|()| Command::Fill {
            word,
            card: region.address(),
            bytes: region.len(),
        });
        self.send(epoch, command, (), None, vec![region.clone()])
            .await
    }

    /// [`IoQueue::submit_fill`] and its end.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn fill(&self, word: u64, region: &CardRegion) -> Result<Completion, JobError> {
        self.submit_fill(word, region).await.await.result
    }

    /// Overwrites a region with zeros: what was there is not found by whoever
    /// uses the card next. Nothing else may use the region meanwhile. By `FILL` where
    /// the card has it; else zeros are sent, and host memory is waited for as by
    /// [`Card::buffer_with_in_turn`](crate::Card::buffer_with_in_turn). Not for chains.
    ///
    /// # Errors
    /// [`JobError`]; the region counts as touched then.
    pub async fn clear(&self, region: &CardRegion) -> Result<Completion, JobError> {
        let epoch = self.epoch();
        self.current(&[region])?;
        let pool = &self.shared.to_card;
        let range = region.address()..region.address() + region.len();
        if self.shared.fill.load(Ordering::Acquire) {
            let completion = self.fill(0, region).await?;
            self.shared.memory.cleared(range);
            return Ok(completion);
        }
        let plan = Zeros::of(range.clone(), pool.limit());
        let turn = Place::WithTurn(self.shared.queues[self.index].turn().await);
        // Zeros and list in one buffer, so that nobody waits who holds one.
        let buffer = pool.allocate_in_turn(plan.bytes()).await;
        let (command, buffer) = plan.command(buffer.map_err(|e| no_memory(&e))?);
        let regions = vec![region.clone()];
        let ticket = self
            .send_at(turn, epoch, Ok(command), (), Some(buffer), regions)
            .await;
        let completion = ticket.await.result?;
        self.shared.memory.cleared(range);
        Ok(completion)
    }

    /// [`IoQueue::submit_write`] and its end.
    pub async fn write(&self, from: HostBuf, to: &CardRegion) -> Finished<HostBuf> {
        self.submit_write(from, to).await.await
    }

    /// Fills `into` (padded to 64 bytes) from the start of `from`.
    pub async fn submit_read(&self, from: &CardRegion, into: HostBuf) -> Ticket<HostBuf> {
        let epoch = self.epoch();
        let checked = self.transfer(std::slice::from_ref(&into), from, false);
        let (host, card) = (into.iova(), from.address());
        let command = checked.map(|bytes| Command::Read {
            host,
            card,
            bytes,
            list: false,
        });
        self.send(epoch, command, into, None, vec![from.clone()])
            .await
    }

    /// [`IoQueue::submit_read`] and its end.
    pub async fn read(&self, from: &CardRegion, into: HostBuf) -> Finished<HostBuf> {
        self.submit_read(from, into).await.await
    }

    /// The list of the buffers' addresses and sizes, in memory that the card
    /// can read.
    fn list(&self, buffers: &[HostBuf]) -> Result<HostBuf, JobError> {
        if buffers.is_empty() {
            return Err(JobError::EmptyList);
        }
        let mut list = self
            .shared
            .to_card
            .allocate(buffers.len() * SGL_ENTRY_BYTES)
            .map_err(|e| no_memory(&e))?;
        for (entry, b) in list.chunks_exact_mut(SGL_ENTRY_BYTES).zip(buffers) {
            entry.copy_from_slice(bytemuck::bytes_of(&SglEntry {
                address: b.iova(),
                bytes: b.padded_len() as u64,
            }));
        }
        Ok(list)
    }

    async fn submit_list(
        &self,
        buffers: Vec<HostBuf>,
        region: &CardRegion,
        write: bool,
    ) -> Ticket<Vec<HostBuf>> {
        let epoch = self.epoch();
        let built = self
            .transfer(&buffers, region, write)
            .and_then(|bytes| Ok((bytes, self.list(&buffers)?)));
        let (bytes, list) = match built {
            Ok(built) => built,
            Err(error) => return Ticket::failed(error, buffers),
        };
        let (host, card, list_flag) = (list.iova(), region.address(), true);
        let command = if write {
            Command::Write {
                host,
                card,
                bytes,
                list: list_flag,
            }
        } else {
            Command::Read {
                host,
                card,
                bytes,
                list: list_flag,
            }
        };
        self.send(
            epoch,
            Ok(command),
            buffers,
            Some(list),
            vec![region.clone()],
        )
        .await
    }

    /// Sends the buffers one after the other to the start of `to`, each padded
    /// to 64 bytes, as one command with a scatter/gather list.
    pub async fn submit_write_list(
        &self,
        from: Vec<HostBuf>,
        to: &CardRegion,
    ) -> Ticket<Vec<HostBuf>> {
        self.submit_list(from, to, true).await
    }

    /// Fills the buffers one after the other from the start of `from`.
    pub async fn submit_read_list(
        &self,
        from: &CardRegion,
        into: Vec<HostBuf>,
    ) -> Ticket<Vec<HostBuf>> {
        self.submit_list(into, from, false).await
    }

    /// Sum of scalar_i * base_i into `msm.result`.
    pub async fn submit_msm(&self, msm: &Msm) -> Ticket<()> {
        let epoch = self.epoch();
        let Msm {
            group,
            bases,
            scalars,
            n,
            result,
            window_bits,
            mode,
        } = msm;
        let command = self
            .current(&[bases, scalars, result])
            .and_then(|()| fits("the bases", n.checked_mul(group.point_bytes()), bases.len()))
            .and_then(|()| fits("the scalars", n.checked_mul(FR_BYTES), scalars.len()))
            .and_then(|()| fits("the result", Some(group.result_bytes()), result.len()))
            .map(|()| Command::Msm {
                group: *group,
                bases: bases.address(),
                scalars: scalars.address(),
                n: *n,
                result: result.address(),
                window_bits: *window_bits,
                mode: *mode,
            });
        let regions = vec![bases.clone(), scalars.clone(), result.clone()];
        self.send(epoch, command, (), None, regions).await
    }

    /// [`IoQueue::submit_msm`] and its end.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn msm(&self, msm: &Msm) -> Result<Completion, JobError> {
        self.submit_msm(msm).await.await.result
    }

    /// Transform of `ntt.source` into `ntt.destination`.
    pub async fn submit_ntt(&self, ntt: &Ntt) -> Ticket<()> {
        let epoch = self.epoch();
        let Ntt {
            source,
            destination,
            scratch,
            log2n,
            kind,
        } = ntt;
        let bytes = 1u64
            .checked_shl(u32::from(*log2n))
            .and_then(|n| elements(n, FR_BYTES));
        let command = self
            .current(&[source, destination, scratch])
            .and_then(|()| fits("the source", bytes, source.len()))
            .and_then(|()| fits("the destination", bytes, destination.len()))
            .and_then(|()| fits("the scratch", bytes, scratch.len()))
            .map(|()| Command::Ntt {
                source: source.address(),
                destination: destination.address(),
                scratch: scratch.address(),
                log2n: *log2n,
                kind: *kind,
            });
        let regions = vec![source.clone(), destination.clone(), scratch.clone()];
        self.send(epoch, command, (), None, regions).await
    }

    /// [`IoQueue::submit_ntt`] and its end.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn ntt(&self, ntt: &Ntt) -> Result<Completion, JobError> {
        self.submit_ntt(ntt).await.await.result
    }

    /// (a_i * b_i - c_i) * z into `quotient.destination`.
    pub async fn submit_quotient(&self, quotient: &Quotient) -> Ticket<()> {
        let epoch = self.epoch();
        let Quotient {
            a,
            b,
            c,
            destination,
            n,
            z,
        } = quotient;
        let bytes = elements(*n, FR_BYTES);
        let command = self
            .current(&[a, b, c, destination, z])
            .and_then(|()| fits("a", bytes, a.len()))
            .and_then(|()| fits("b", bytes, b.len()))
            .and_then(|()| fits("c", bytes, c.len()))
            .and_then(|()| fits("the destination", bytes, destination.len()))
            .and_then(|()| fits("z", Some(FR_BYTES), z.len()))
            .map(|()| Command::Quotient {
                a: a.address(),
                b: b.address(),
                c: c.address(),
                destination: destination.address(),
                n: *n,
                z: z.address(),
            });
        let regions = [a, b, c, destination, z].into_iter().cloned().collect();
        self.send(epoch, command, (), None, regions).await
    }

    /// [`IoQueue::submit_quotient`] and its end.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn quotient(&self, quotient: &Quotient) -> Result<Completion, JobError> {
        self.submit_quotient(quotient).await.await.result
    }

    /// a_i * b_i into `product.destination`.
    pub async fn submit_product(&self, product: &Product) -> Ticket<()> {
        let epoch = self.epoch();
        let Product {
            a,
            b,
            destination,
            n,
        } = product;
        let bytes = elements(*n, FR_BYTES);
        let command = self
            .current(&[a, b, destination])
            .and_then(|()| fits("a", bytes, a.len()))
            .and_then(|()| fits("b", bytes, b.len()))
            .and_then(|()| fits("the destination", bytes, destination.len()))
            .map(|()| Command::Product {
                a: a.address(),
                b: b.address(),
                destination: destination.address(),
                n: *n,
            });
        let regions = [a, b, destination].into_iter().cloned().collect();
        self.send(epoch, command, (), None, regions).await
    }

    /// [`IoQueue::submit_product`] and its end.
    ///
    /// # Errors
    /// [`JobError`].
    pub async fn product(&self, product: &Product) -> Result<Completion, JobError> {
        self.submit_product(product).await.await.result
    }

    /// Sends any 64 bytes, for diagnosis and tests; the command id is filled in.
    /// `memory` and `regions` are kept until the command ends; `cost` is its
    /// estimated cycles.
    ///
    /// # Safety
    /// The card reads and writes host memory as the command says. Every host
    /// address in it, and in a list that it names, must lie in `memory`, or
    /// outside all memory that is mapped for this card.
    #[allow(unsafe_code)]
    pub async unsafe fn submit_raw(
        &self,
        raw: RawCommand,
        cost: u64,
        memory: Vec<HostBuf>,
        regions: Vec<CardRegion>,
    ) -> Ticket<Vec<HostBuf>> {
        self.shared.queues[self.index]
            .submit_raw(
                self.place(),
                self.epoch(),
                (raw, cost),
                memory,
                None,
                regions,
            )
            .await
    }
}

impl std::fmt::Debug for IoQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IoQueue")
            .field("number", &self.number())
            .finish_non_exhaustive()
    }
}
