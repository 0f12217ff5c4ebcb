//! Admission of jobs to card memory: they get it one after the other, and wait where it is short.
//!
//! A job asks for all that it needs at once. While it waits, it keeps its turn, so that no two jobs
//! hold a part each and wait for the other's; those that have their memory run and end. Where
//! memory is short, keys that no job uses are evicted, the one used least recently first, and no more
//! of them than it takes; then running jobs are waited for. Memory of a key is overwritten before somebody
//! else gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carillon_driver::{Card, CardError, CardRegion, IoQueue};
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::fault::{CardResult, Fault};
use super::keys::{CardKey, ResidentKeys};
use super::lanes::{Lane, quiet};
use super::residue::{Residue, Worked};
use crate::engine::ResidentKey;
use crate::groth16::ProvingKey;
use crate::stats::CardStats;

/// How long memory may be held by commands of jobs that were given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// Who may use the memory of one card.
#[derive(Debug, Default)]
pub struct Admission {
    /// Held by the job that is being given memory; others queue for it.
    turn: Mutex<()>,
    running: Arc<Running>,
    keys: ResidentKeys,
    residue: Residue,
}

/// The jobs that have their memory.
#[derive(Debug, Default)]
struct Running {
    jobs: AtomicUsize,
    ended: Notify,
}

/// A region that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Its size.
    pub bytes: u64,
    /// Everybody may know what it holds, so it is not overwritten afterwards.
    public: bool,
}

impl Wanted {
    /// Memory for secrets.
    pub fn secret(bytes: u64) -> Self {
        Self {
            bytes,
            public: false,
        }
    }

    /// Memory for what everybody may know.
    pub fn public(bytes: u64) -> Self {
        Self {
            bytes,
            public: true,
        }
    }
}

/// A job that has its memory; to be dropped after it.
#[derive(Debug)]
pub struct Permit(Arc<Running>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

/// What a proof works on. The permit is to be dropped last.
pub struct ForProof<const N: usize> {
    /// Memory of its own.
    pub regions: [CardRegion; N],
    /// The key.
    pub key: Arc<CardKey>,
    /// What it cost to write it.
    pub cost: CardStats,
    /// Ends with the job.
    pub permit: Permit,
}

impl Admission {
    /// Memory for a job without a key. Drop the regions before the permit.
    pub async fn for_job<const N: usize>(
        &self,
        card: &Card,
        wanted: [Wanted; N],
    ) -> CardResult<(Permit, [CardRegion; N])> {
        let turn = self.turn.lock().await;
        let (regions, _) = self.allocate(card, &turn, &wanted).await?;
        Ok((self.permit(), all(regions)?))
    }

    /// A key and memory for a proof with it. The key is written first if it is not there.
    pub async fn for_proof<const N: usize>(
        &self,
        card: &Card,
        queue: &IoQueue,
        key: &Arc<ProvingKey>,
        wanted: [Wanted; N],
    ) -> CardResult<ForProof<N>> {
        let turn = self.turn.lock().await;
        let (resident, mut cost) = self.resident(card, queue, &turn, key).await?;
        let taken = self.allocate(card, &turn, &wanted).await;
        let (key, (regions, waited)) = match taken {
            Err(Fault::Card(CardError::CardMemory { .. })) => {
                // Enough is free, but in pieces: all is laid out anew.
                drop(resident);
                self.keys.give_up_all();
                self.overwrite(card).await;
                let (resident, again) = self.resident(card, queue, &turn, key).await?;
                cost += &again;
                (resident, self.allocate(card, &turn, &wanted).await?)
            }
            taken => (resident, taken?),
        };
        cost.overlap.memory_waits += u64::from(waited);
        Ok(ForProof {
            regions: all(regions)?,
            key,
            cost,
            permit: self.permit(),
        })
    }

    /// Writes a key if it is not there.
    pub async fn load(&self, card: &Card, key: &Arc<ProvingKey>) -> CardResult<CardStats> {
        let turn = self.turn.lock().await;
        Ok(self.resident(card, quiet(card), &turn, key).await?.1)
    }

    /// Gives up one key. Jobs that use it keep it until they end.
    pub async fn give_up(&self, card: &Card, key: &Arc<ProvingKey>) {
        self.keys.give_up(key);
        self.tidy(card).await;
    }

    /// A proof's memory, which is overwritten before others get it even if the proof is given up.
    pub fn residue(&self, lane: &Lane, regions: Vec<CardRegion>) -> Worked<'_> {
        self.residue.of(lane, regions)
    }

    /// Overwrites and frees the memory of keys and of proofs that were given up. Whether there was any.
    async fn overwrite(&self, card: &Card) -> bool {
        // The proofs' first: theirs are the secrets.
        let proofs = self.residue.overwrite(card).await;
        self.keys.overwrite(card).await || proofs
    }

    /// The same; called when a job has let its key go.
    pub async fn tidy(&self, card: &Card) {
        if self.overwrite(card).await {
            // There is more memory for those that wait.
            self.running.ended.notify_waiters();
        }
    }

    /// The keys that lie in card memory.
    pub fn resident_keys(&self) -> Vec<ResidentKey> {
        self.keys.list()
    }

    /// Forgets what lay in memory that was lost; what another job has written since stays known.
    pub fn forget_lost(&self, card: &Card) {
        self.keys.forget_lost(card);
        self.residue.forget_lost(card);
    }

    async fn resident(
        &self,
        card: &Card,
        queue: &IoQueue,
        turn: &MutexGuard<'_, ()>,
        key: &Arc<ProvingKey>,
    ) -> CardResult<(Arc<CardKey>, CardStats)> {
        if let Some(resident) = self.keys.find(key) {
            return Ok((resident, CardStats::default()));
        }
        let sizes = ResidentKeys::sizes(key, card.info());
        // Everybody may know the points, but not who proves what.
        let wanted: Vec<_> = sizes.into_iter().map(Wanted::secret).collect();
        let (regions, waited) = self.allocate(card, turn, &wanted).await?;
        // If that fails or is given up, what was written is overwritten like a proof's.
        let written = self.residue.on(None, regions.clone());
        let (resident, mut cost) = self.keys.write(card, queue, key, regions).await?;
        written.settled();
        cost.overlap.memory_waits += u64::from(waited);
        Ok((resident, cost))
    }

    /// All regions wanted, and whether another job had to end first; whoever asks has the turn.
    async fn allocate(
        &self,
        card: &Card,
        _turn: &MutexGuard<'_, ()>,
        wanted: &[Wanted],
    ) -> CardResult<(Vec<CardRegion>, bool)> {
        let (mut started, mut waited) = (Instant::now(), false);
        loop {
            let ended = self.running.ended.notified();
            tokio::pin!(ended);
            // From here on no end is missed.
            ended.as_mut().enable();
            match take(card, wanted) {
                Err(Fault::Card(CardError::CardMemory { .. })) => {}
                taken => return Ok((taken?, waited)),
            }
            if self.overwrite(card).await {
                continue;
            }
            if self.keys.evict_idle() {
                tracing::info!("card memory is short: the key used least recently is evicted");
                continue;
            }
            if self.running.jobs.load(Ordering::Acquire) > 0 {
                if !std::mem::replace(&mut waited, true) {
                    tracing::info!(
                        "card memory is short: the job runs after another, not beside it"
                    );
                }
                ended.await;
                // What it used comes back in a moment: the patience begins now.
                started = Instant::now();
                continue;
            }
            let (free, largest) = card.free_memory();
            let kept = self.keys.bytes() + self.residue.bytes();
            let lent = card.info().memory_bytes.saturating_sub(free + kept);
            if lent > 0 && started.elapsed() < PATIENCE {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let bytes = wanted
                .iter()
                .fold(0, |sum: u64, region| sum.saturating_add(region.bytes));
            return Err(CardError::CardMemory {
                bytes,
                free,
                largest,
            }
            .into());
        }
    }

    fn permit(&self) -> Permit {
        self.running.jobs.fetch_add(1, Ordering::AcqRel);
        Permit(Arc::clone(&self.running))
    }
}

/// All regions or none, as many as wanted.
fn take(card: &Card, wanted: &[Wanted]) -> CardResult<Vec<CardRegion>> {
    let one = |wanted: &Wanted| {
        Ok(match wanted.public {
            true => card.allocate_public(wanted.bytes)?,
            false => card.allocate(wanted.bytes)?,
        })
    };
    wanted.iter().map(one).collect()
}

/// The regions by name.
fn all<const N: usize>(regions: Vec<CardRegion>) -> CardResult<[CardRegion; N]> {
    regions
        .try_into()
        .map_err(|_| Fault::implausible("a region is missing"))
}
