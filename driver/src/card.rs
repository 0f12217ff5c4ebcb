//! An open card: identity, memory, queues, reset.
//!
//! [`Card::open`] takes a [`Transport`] and gives the handle that the runtime
//! builds its engine on. Dropping the handle (or the runtime it was opened on)
//! stops the card and ends every command. One handle per card at a time: before
//! opening it again, wait for [`Card::close`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::audit::Audit;
use crate::bar::{Bar, Counters, Gone};
use crate::claim::{Claim, Leftovers};
use crate::command::{Command, Group};
use crate::control::{clear_leftovers, take_over};
use crate::deadline::Deadlines;
use crate::dma::{DmaPool, HostBuf, MemoryUse};
use crate::error::CardError;
use crate::identity::{IDENTITY_BYTES, IdentityPage, SIGNATURE};
use crate::io::IoQueue;
use crate::quarantine::Quarantine;
use crate::queue_pair::{Place, QueuePair};
use crate::region::{CardRegion, CardSpace};
use crate::registers as reg;
use crate::request::{Request, ResetLevel};
use crate::ring::LOG2_DEPTHS;
use crate::shared::{AtomicCounters, DriverCounters, Health, Shared};
use crate::transport::{Direction, Transport};
use crate::windows::{ImpossibleWindows, WindowChoice};
use crate::worker::Worker;

/// Version of the contract that this driver speaks.
pub const CONTRACT_VERSION: u32 = 1;

/// How to run a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardConfig {
    /// log2 of the entries of each I/O queue; the card's maximum if that is
    /// smaller.
    pub log2_depth: u8,
    /// DMA memory per direction, in bytes.
    pub host_memory_limit: u64,
    /// Limits on every wait.
    pub deadlines: Deadlines,
}

impl Default for CardConfig {
    fn default() -> Self {
        Self {
            log2_depth: 6,
            host_memory_limit: 4 << 30,
            deadlines: Deadlines::default(),
        }
    }
}

/// What a card is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardInfo {
    /// Where it is.
    pub transport: String,
    /// Contract version.
    pub version: u32,
    /// Register map identity.
    pub rdl_hash: u64,
    /// The configuration's number
    /// ([`configuration_name`](crate::identity::configuration_name)).
    pub configuration: u32,
    /// Card memory in bytes.
    pub memory_bytes: u64,
    /// I/O queues.
    pub io_queues: u8,
    /// Largest log2 of a queue's depth.
    pub max_log2_depth: u8,
    /// Largest signed MSM window in bits.
    pub msm_max_window_bits: u8,
    /// MSM windows in flight together.
    pub msm_windows: u8,
    /// Point adders.
    pub msm_adders: u8,
    /// Whether it has `MSM_G2`.
    pub msm_g2: bool,
    /// Whether it has `FILL`.
    pub fill: bool,
    /// Whether it has the flag `LINK`.
    pub link: bool,
    /// Window sizes that `MSM_G1` chooses itself; `None` if the card does not say.
    pub msm_choice: Option<WindowChoice>,
    /// The same of `MSM_G2`.
    pub msm_g2_choice: Option<WindowChoice>,
    /// Largest log2 of a transform's length.
    pub ntt_max_log2n: u8,
    /// Butterflies a cycle.
    pub ntt_butterflies: u8,
}

impl CardInfo {
    /// Whether it has the command that sums in this group.
    pub fn has_msm(&self, group: Group) -> bool {
        match group {
            Group::G1 => true,
            Group::G2 => self.msm_g2,
        }
    }

    /// Takes over what only the identity page says.
    fn complete(&mut self, page: &IdentityPage) -> Result<(), ImpossibleWindows> {
        let choice = |group| WindowChoice::from_page(page, group, self.msm_max_window_bits);
        let (g1, g2) = (choice(Group::G1)?, choice(Group::G2)?);
        (self.msm_choice, self.msm_g2_choice) = (g1, g2);
        self.msm_g2 = page.has_msm_g2();
        (self.fill, self.link) = (page.has_fill(), page.has_link());
        Ok(())
    }
}

/// An open card.
pub struct Card {
    shared: Arc<Shared>,
    info: CardInfo,
    io: Vec<IoQueue>,
    worker: mpsc::UnboundedSender<Request>,
    service: Option<JoinHandle<()>>,
}

impl Card {
    /// Identifies the card, refuses one whose contract or register map it does
    /// not know, starts its queues, and checks its identity page.
    ///
    /// Must be called on a tokio runtime with time enabled; the card is served
    /// by a task there.
    ///
    /// # Errors
    /// [`CardError`]; the card is then stopped. [`CardError::Transport`] with
    /// [`TransportError::Busy`](crate::transport::TransportError::Busy) when
    /// somebody has it open already; that one is left alone.
    pub async fn open(
        transport: Arc<dyn Transport>,
        config: CardConfig,
    ) -> Result<Self, CardError> {
        let claim = transport.claim()?;
        let bar = Bar::new(Arc::clone(&transport));
        let info = read_info(&bar)?;
        let log2_depth = queue_depth(&config, &info)?;
        let leftovers = stop_predecessor(&bar, &claim, &config).await?;
        let pool = |direction| {
            let limit = config.host_memory_limit;
            let transport = Arc::clone(&transport);
            DmaPool::with_leftovers(transport, direction, limit, leftovers.clone())
        };
        let (to_card, from_card) = (pool(Direction::ToDevice), pool(Direction::FromDevice));
        let (worker, requests) = mpsc::unbounded_channel();
        let wake = Arc::new(Notify::new());
        let memory = CardSpace::new(info.memory_bytes);
        let queues = (0..=u16::from(info.io_queues))
            .map(|number| {
                let pools = (&to_card, &from_card);
                QueuePair::new(
                    number,
                    log2_depth,
                    bar.clone(),
                    pools,
                    memory.clone(),
                    worker.clone(),
                    Arc::clone(&wake),
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let shared = Arc::new(Shared {
            bar,
            queues,
            to_card,
            from_card,
            memory,
            quarantine: Quarantine::default(),
            deadlines: config.deadlines,
            counters: AtomicCounters::default(),
            health: watch::Sender::new(Health::Ready),
            claim: Mutex::new(Some(claim)),
            wiped: Mutex::new(false),
            fill: AtomicBool::new(false),
            wake,
        });
        // From here on the worker's drop stops the card.
        let service = Worker::new(Arc::clone(&shared), requests)?;
        shared.enable().await?;
        let card = Self::serve(shared, info, worker, service);
        card.identified().await
    }

    /// The handle of a card whose queues run, and the task that serves it.
    fn serve(
        shared: Arc<Shared>,
        info: CardInfo,
        worker: mpsc::UnboundedSender<Request>,
        service: Worker,
    ) -> Self {
        let service = Some(tokio::spawn(service.run()));
        let io = (1..shared.queues.len())
            .map(|index| IoQueue::new(Arc::clone(&shared), index))
            .collect();
        Self {
            shared,
            info,
            io,
            worker,
            service,
        }
    }

    /// The card with what its identity page says, or closed if that differs from
    /// its registers.
    async fn identified(mut self) -> Result<Self, CardError> {
        match self.check_identity().await {
            Ok(info) => {
                // The worker, which clears memory at the close, has no `CardInfo`.
                self.shared.fill.store(info.fill, Ordering::Release);
                self.info = info;
            }
            Err(error) => {
                // Stopped before anybody opens it again.
                self.close().await;
                return Err(error);
            }
        }
        tracing::info!(card = %self.info.transport, memory = self.info.memory_bytes, "card open");
        Ok(self)
    }

    /// `IDENTIFY`, and comparison with the registers: the first proof that
    /// commands, DMA in both directions and completions work. Returns what the
    /// card is with what only the page says.
    async fn check_identity(&self) -> Result<CardInfo, CardError> {
        let epoch = self.shared.memory.epoch();
        let page = self.shared.from_card.allocate(IDENTITY_BYTES)?;
        let command = Command::Identify { page: page.iova() };
        let ticket = self.shared.queues[0]
            .submit(Place::Alone, epoch, &command, page, None, Vec::new())
            .await;
        let (_, page) = ticket.await.ok()?;
        // A copy: what is checked is what is used, whatever the card still writes.
        let page = page.snapshot();
        let differs = |what| CardError::Identity { what };
        let page = IdentityPage::from_bytes(&page).ok_or(differs("size"))?;
        if page.signature != SIGNATURE {
            return Err(differs("signature"));
        }
        if let Some(what) = difference(&page, &self.info) {
            return Err(differs(what));
        }
        let mut info = self.info.clone();
        match info.complete(&page) {
            Ok(()) => Ok(info),
            Err(ImpossibleWindows) => Err(differs("MSM windows chosen")),
        }
    }

    /// What it is and can do.
    pub fn info(&self) -> &CardInfo {
        &self.info
    }

    /// The I/O queues. Commands of one queue run in order; queues overlap.
    pub fn queues(&self) -> &[IoQueue] {
        &self.io
    }

    /// I/O queue `index`, counted from 0 and modulo their number, so that
    /// callers can spread their work without asking how many there are.
    pub fn queue(&self, index: usize) -> &IoQueue {
        // A card without I/O queues is refused on open.
        &self.io[index % self.io.len()]
    }

    /// A zeroed buffer that travels to the card (operands).
    ///
    /// # Errors
    /// [`CardError::Dma`].
    pub fn buffer_to_card(&self, bytes: usize) -> Result<HostBuf, CardError> {
        Ok(self.shared.to_card.allocate(bytes)?)
    }

    /// A buffer that travels to the card and holds `data`: cheaper than filling a
    /// zeroed one.
    ///
    /// # Errors
    /// [`CardError::Dma`].
    pub fn buffer_with(&self, data: &[u8]) -> Result<HostBuf, CardError> {
        Ok(self.shared.to_card.allocate_filled(data)?)
    }

    /// A zeroed buffer that the card fills (results).
    ///
    /// # Errors
    /// [`CardError::Dma`].
    pub fn buffer_from_card(&self, bytes: usize) -> Result<HostBuf, CardError> {
        Ok(self.shared.from_card.allocate(bytes)?)
    }

    /// [`Card::buffer_with`] that waits while the pool is exhausted, and maps off
    /// this thread. Whoever waits should hold no other buffer of the card.
    ///
    /// # Errors
    /// [`CardError::Dma`]; at once for more than a quarter of the pool's limit.
    pub async fn buffer_with_in_turn(&self, data: &[u8]) -> Result<HostBuf, CardError> {
        let mut buffer = self.shared.to_card.allocate_in_turn(data.len()).await?;
        buffer.copy_from_slice(data);
        Ok(buffer)
    }

    /// [`Card::buffer_to_card`] that waits as [`Card::buffer_with_in_turn`].
    ///
    /// # Errors
    /// As there.
    pub async fn buffer_to_card_in_turn(&self, bytes: usize) -> Result<HostBuf, CardError> {
        Ok(self.shared.to_card.allocate_in_turn(bytes).await?)
    }

    /// [`Card::buffer_from_card`] that waits as [`Card::buffer_with_in_turn`].
    ///
    /// # Errors
    /// As there.
    pub async fn buffer_from_card_in_turn(&self, bytes: usize) -> Result<HostBuf, CardError> {
        Ok(self.shared.from_card.allocate_in_turn(bytes).await?)
    }

    /// DMA memory per direction, in bytes: [`CardConfig::host_memory_limit`].
    pub fn host_memory_limit(&self) -> u64 {
        self.shared.to_card.limit()
    }

    /// Card memory of at least `bytes` bytes, rounded up to 64. What commands
    /// leave there is overwritten when the card is closed, if not before
    /// ([`IoQueue::clear`]).
    ///
    /// # Errors
    /// [`CardError::CardMemory`] when there is no such hole.
    pub fn allocate(&self, bytes: u64) -> Result<CardRegion, CardError> {
        self.shared.memory.allocate(bytes, false)
    }

    /// The same for what everybody may know (points of a proving key): it is not
    /// overwritten when the card is closed.
    ///
    /// # Errors
    /// As [`Card::allocate`].
    pub fn allocate_public(&self, bytes: u64) -> Result<CardRegion, CardError> {
        self.shared.memory.allocate(bytes, true)
    }

    /// Bytes of card memory that commands have touched and nobody has
    /// overwritten since, without public ones.
    pub fn touched_memory(&self) -> u64 {
        self.shared.memory.touched().bytes()
    }

    /// Whether a region still holds what was written to it: its memory is this card's and was not lost since
    /// it was given out.
    pub fn is_current(&self, region: &CardRegion) -> bool {
        self.shared.memory.is_current(region)
    }

    /// Free card memory: bytes in all, and of the largest hole.
    pub fn free_memory(&self) -> (u64, u64) {
        self.shared.memory.free()
    }

    /// The card's counters.
    ///
    /// # Errors
    /// [`CardError::Gone`].
    pub fn counters(&self) -> Result<Counters, CardError> {
        self.shared
            .bar
            .counters()
            .map_err(|Gone| self.shared.bar.gone())
    }

    /// What the driver has met.
    pub fn driver_counters(&self) -> DriverCounters {
        self.shared.counters.snapshot()
    }

    /// Host memory, in bytes, given up because the card may still reach it.
    /// Back to 0 after the next function-level reset or unmap that succeeds.
    pub fn quarantined(&self) -> u64 {
        self.memory_use().quarantined
    }

    /// Host memory lent to the card, quarantined and mapped, in bytes.
    pub fn memory_use(&self) -> MemoryUse {
        self.audit().memory_use()
    }

    /// A view of the ledger of ownership; for audits of what a card really
    /// does.
    pub fn audit(&self) -> Audit {
        Audit::new(&self.shared.to_card, &self.shared.from_card)
    }

    /// Whether it is in service; changes can be awaited.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    /// Resets the card and puts it in service again; commands under way end
    /// with [`JobError::Restarted`](crate::error::JobError::Restarted).
    ///
    /// A card that is out of service comes back by [`ResetLevel::Function`],
    /// if it answers: its memory is mapped anew, buffers that the program still
    /// holds may be used again, regions of card memory are stale.
    ///
    /// # Errors
    /// [`CardError`]; the card is then out of service.
    /// [`CardError::Offline`] when it was before and the reset did not help,
    /// [`TransportError::Busy`](crate::transport::TransportError::Busy) when
    /// somebody else has opened it since.
    pub async fn reset(&self, level: ResetLevel) -> Result<(), CardError> {
        let (done, answer) = oneshot::channel();
        self.worker
            .send(Request::Reset { level, done })
            .map_err(|_| self.ended())?;
        answer.await.map_err(|_| self.ended())?
    }

    /// Overwrites what commands have left in card memory, stops the card, and
    /// waits until it has; commands under way end with
    /// [`JobError::Closed`](crate::error::JobError::Closed).
    pub async fn close(mut self) {
        let service = self.service.take();
        drop(self);
        // An error means that the runtime has ended it, and with it the card.
        if let Some(service) = service {
            let _ = service.await;
        }
    }

    /// Whether the card takes commands, or will again by itself when its repair has ended.
    ///
    /// # Errors
    /// [`CardError::Offline`] or [`CardError::Closed`]: it has to be reset or opened again.
    pub fn in_service(&self) -> Result<(), CardError> {
        match &*self.shared.health.borrow() {
            Health::Ready | Health::Repairing => Ok(()),
            Health::Offline(why) => Err(CardError::Offline {
                why: why.clone(),
                gone: self.shared.bar.has_left(),
            }),
            Health::Closed => Err(CardError::Closed),
        }
    }

    fn ended(&self) -> CardError {
        self.in_service().err().unwrap_or(CardError::Closed)
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // Fails only when the worker has ended already.
        let _ = self.worker.send(Request::Close);
    }
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Card")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// log2 of the entries of each queue.
fn queue_depth(config: &CardConfig, info: &CardInfo) -> Result<u8, CardError> {
    let log2_depth = config
        .log2_depth
        .min(info.max_log2_depth)
        .min(*LOG2_DEPTHS.end());
    if !LOG2_DEPTHS.contains(&log2_depth) {
        return Err(CardError::Config {
            what: format!(
                "log2_depth is {}, this card takes 1 to {}",
                config.log2_depth, info.max_log2_depth
            ),
        });
    }
    Ok(log2_depth)
}

/// Whoever used the card before may have left it running. It is stopped before the
/// first mapping, which may get an address that it knows.
async fn stop_predecessor(
    bar: &Bar,
    claim: &Claim,
    config: &CardConfig,
) -> Result<Leftovers, CardError> {
    take_over(bar, config.deadlines.control).await?;
    let leftovers = claim.leftovers();
    clear_leftovers(&**bar.transport(), &leftovers);
    Ok(leftovers)
}

/// The first item in which the identity page and the registers differ.
fn difference(page: &IdentityPage, info: &CardInfo) -> Option<&'static str> {
    let byte = |page: u8, register: u8| (u64::from(page), u64::from(register));
    let items: [(&'static str, (u64, u64)); 11] = [
        (
            "contract version",
            (page.version.into(), info.version.into()),
        ),
        (
            "configuration",
            (page.configuration.into(), info.configuration.into()),
        ),
        ("register map", (page.rdl_hash, info.rdl_hash)),
        ("card memory", (page.memory_bytes, info.memory_bytes)),
        ("I/O queues", byte(page.io_queues, info.io_queues)),
        (
            "queue depth",
            byte(page.max_log2_depth, info.max_log2_depth),
        ),
        (
            "MSM window",
            byte(page.msm_max_window_bits, info.msm_max_window_bits),
        ),
        ("MSM windows", byte(page.msm_windows, info.msm_windows)),
        ("MSM adders", byte(page.msm_adders, info.msm_adders)),
        ("NTT length", byte(page.ntt_max_log2n, info.ntt_max_log2n)),
        (
            "NTT butterflies",
            byte(page.ntt_butterflies, info.ntt_butterflies),
        ),
    ];
    items
        .into_iter()
        .find(|(_, (page, register))| page != register)
        .map(|(what, _)| what)
}

fn read_info(bar: &Bar) -> Result<CardInfo, CardError> {
    let transport = bar.transport().describe();
    // Not through `Bar::read`: there is nothing yet to confirm all ones by.
    let magic = bar.transport().read32(reg::magic::OFFSET);
    if magic == u32::MAX {
        return Err(CardError::Gone { transport });
    }
    if magic != reg::magic::RESET {
        return Err(CardError::NotACard { transport, magic });
    }
    let read = |offset| bar.read(offset).map_err(|Gone| bar.gone());
    let pair = |lo, hi| Ok::<_, CardError>(u64::from(read(hi)?) << 32 | u64::from(read(lo)?));
    let version = read(reg::version::OFFSET)?;
    let rdl_hash = pair(reg::rdl_hash_lo::OFFSET, reg::rdl_hash_hi::OFFSET)?;
    if version != CONTRACT_VERSION || rdl_hash != reg::RDL_HASH {
        return Err(CardError::UnknownContract {
            transport,
            version,
            hash: rdl_hash,
            expected_version: CONTRACT_VERSION,
            expected_hash: reg::RDL_HASH,
        });
    }
    let queues = read(reg::cap_queues::OFFSET)?;
    let msm = read(reg::cap_msm::OFFSET)?;
    let ntt = read(reg::cap_ntt::OFFSET)?;
    let info = CardInfo {
        transport,
        version,
        rdl_hash,
        configuration: read(reg::config::OFFSET)?,
        memory_bytes: pair(reg::cap_mem_lo::OFFSET, reg::cap_mem_hi::OFFSET)?,
        io_queues: reg::cap_queues::IO_QUEUES.get(queues) as u8,
        max_log2_depth: reg::cap_queues::MAX_LOG2_DEPTH.get(queues) as u8,
        msm_max_window_bits: reg::cap_msm::MAX_WINDOW_BITS.get(msm) as u8,
        msm_windows: reg::cap_msm::WINDOWS.get(msm) as u8,
        msm_adders: reg::cap_msm::ADDERS.get(msm) as u8,
        msm_g2: false,
        fill: false,
        link: false,
        msm_choice: None,
        msm_g2_choice: None,
        ntt_max_log2n: reg::cap_ntt::MAX_LOG2N.get(ntt) as u8,
        ntt_butterflies: reg::cap_ntt::BUTTERFLIES.get(ntt) as u8,
    };
    if info.io_queues == 0 {
        return Err(CardError::Config {
            what: "the card reports no I/O queue".into(),
        });
    }
    Ok(info)
}
