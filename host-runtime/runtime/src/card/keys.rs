//! Proving keys that stay in card memory between proofs.
//!
//! A key is known by its address: the entry holds the `Arc`, so the address is not reused. Which
//! keys are evicted for others is decided in `admission`.
//!
//! Whoever gets a key's memory after it finds nothing there: a key that is given up keeps its regions until
//! they are overwritten, which happens when the last job that uses it has ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_driver::command::{Group, MsmMode};
use carillon_driver::{Card, CardInfo, CardRegion, IoQueue};

use super::fault::{CardResult, Fault};
use super::lanes::quiet;
use super::residue::clear_each;
use super::transfer::Writes;
use crate::cpu::blocking;
use crate::engine::{Bases, ResidentKey};
use crate::groth16::ProvingKey;
use crate::image::{self, Image, PointImage};
use crate::keys::Points;
use crate::stats::CardStats;

/// A query in card memory, and how sums over it take their scalars.
#[derive(Debug)]
pub struct Query {
    pub group: Group,
    pub region: CardRegion,
    pub mode: MsmMode,
}

/// The queries of a key in card memory.
#[derive(Debug)]
pub struct CardKey {
    pub a: Query,
    pub b1: Query,
    pub l: Query,
    pub h: Query,
    /// On cards that have `MSM_G2`.
    pub b2: Option<Query>,
}

impl CardKey {
    fn regions(&self) -> impl Iterator<Item = &CardRegion> {
        let in_g1 = [&self.a, &self.b1, &self.l, &self.h];
        in_g1.into_iter().chain(&self.b2).map(|query| &query.region)
    }

    fn bytes(&self) -> u64 {
        self.regions().map(CardRegion::len).sum()
    }
}

/// A key, and where it lies.
type Entry = (Arc<ProvingKey>, Arc<CardKey>);

/// The keys in one card's memory, the one used last at the end.
#[derive(Debug, Default)]
pub struct ResidentKeys {
    keys: Mutex<Vec<Entry>>,
    /// Keys that nobody will find again and whose memory is not overwritten yet.
    given_up: Mutex<Vec<Arc<CardKey>>>,
    /// Held while they are overwritten.
    overwriting: tokio::sync::Mutex<()>,
}

impl ResidentKeys {
    /// Bytes of the regions that [`ResidentKeys::write`] takes on this card.
    pub fn sizes(key: &ProvingKey, info: &CardInfo) -> Vec<u64> {
        fn size<P: Image>(points: &Points<P>) -> u64 {
            image::bytes(points).len() as u64
        }
        let mut sizes = [&key.a, &key.b1, &key.l, &key.h].map(size).to_vec();
        sizes.extend(info.msm_g2.then(|| size(&key.b2)));
        sizes
    }

    /// The key, if it is there.
    pub fn find(&self, key: &Arc<ProvingKey>) -> Option<Arc<CardKey>> {
        let mut keys = self.lock();
        let at = keys.iter().position(|(known, _)| Arc::ptr_eq(known, key))?;
        let entry = keys.remove(at);
        let resident = Arc::clone(&entry.1);
        keys.push(entry);
        Some(resident)
    }

    /// Writes a key to these regions and keeps it.
    pub async fn write(
        &self,
        card: &Card,
        queue: &IoQueue,
        key: &Arc<ProvingKey>,
        regions: Vec<CardRegion>,
    ) -> CardResult<(Arc<CardKey>, CardStats)> {
        let mut stats = CardStats::default();
        // Where the key does not know its points, this looks at each of them, once per key.
        let in_g2 = card.info().msm_g2.then_some(&key.b2);
        let (in_g1, in_g2) = blocking(|| {
            let in_g1 = [&key.a, &key.b1, &key.l, &key.h].map(|points| points.bases());
            (in_g1, in_g2.map(|points| points.bases()))
        });
        let mut load = Load {
            card,
            queue,
            regions: regions.into_iter(),
            writes: Writes::default(),
        };
        let [a, b1, l, h] = in_g1;
        let (a, b1) = (load.query(a).await?, load.query(b1).await?);
        let (l, h) = (load.query(l).await?, load.query(h).await?);
        let b2 = match in_g2 {
            Some(bases) => Some(load.query(bases).await?),
            None => None,
        };
        load.writes.finish(None, &mut stats).await?;
        let resident = Arc::new(CardKey { a, b1, l, h, b2 });
        self.lock().push((Arc::clone(key), Arc::clone(&resident)));
        Ok((resident, stats))
    }

    /// Gives up the key that was used least recently of those that no job uses; false if there is
    /// none.
    pub fn evict_idle(&self) -> bool {
        let mut keys = self.lock();
        let idle = keys
            .iter()
            .position(|(_, resident)| Arc::strong_count(resident) == 1);
        let evicted = idle.map(|at| keys.remove(at).1);
        let found = evicted.is_some();
        self.given_up().extend(evicted);
        found
    }

    /// Bytes of card memory that all keys take, those given up included.
    pub fn bytes(&self) -> u64 {
        let kept: u64 = self.lock().iter().map(|(_, key)| key.bytes()).sum();
        kept + self.given_up().iter().map(|key| key.bytes()).sum::<u64>()
    }

    /// What lies in card memory, the key used last at the end.
    pub fn list(&self) -> Vec<ResidentKey> {
        let keys = self.lock();
        let listed = keys.iter().map(|(key, resident)| ResidentKey {
            circuit: key.circuit.to_string(),
            bytes: resident.bytes(),
            in_use: Arc::strong_count(resident) > 1,
        });
        listed.collect()
    }

    /// Gives up one key.
    pub fn give_up(&self, key: &Arc<ProvingKey>) {
        let mut keys = self.lock();
        if let Some(at) = keys.iter().position(|(known, _)| Arc::ptr_eq(known, key)) {
            let entry = keys.remove(at);
            self.given_up().push(entry.1);
        }
    }

    /// Gives up all keys.
    pub fn give_up_all(&self) {
        let entries = std::mem::take(&mut *self.lock());
        let keys = entries.into_iter().map(|(_, resident)| resident);
        self.given_up().extend(keys);
    }

    /// Forgets the keys whose memory was lost: there is nothing to overwrite.
    pub fn forget_lost(&self, card: &Card) {
        let current = |key: &CardKey| key.regions().all(|region| card.is_current(region));
        self.lock().retain(|(_, key)| current(key));
        self.given_up().retain(|key| current(key));
    }

    /// Overwrites what was given up and is in use no more, and frees it. Whether there was any.
    pub async fn overwrite(&self, card: &Card) -> bool {
        let _one = self.overwriting.lock().await;
        let mut found = false;
        for key in self.unused() {
            let regions: Vec<_> = key.regions().cloned().collect();
            // Only when all of it is overwritten: who is cancelled before leaves it to the next.
            if clear_each(card, quiet(card), &regions).await.is_empty() {
                self.given_up().retain(|other| !Arc::ptr_eq(other, &key));
                found = true;
            }
        }
        found
    }

    fn unused(&self) -> Vec<Arc<CardKey>> {
        let given_up = self.given_up();
        let unused = given_up.iter().filter(|key| Arc::strong_count(key) == 1);
        unused.map(Arc::clone).collect()
    }

    fn given_up(&self) -> MutexGuard<'_, Vec<Arc<CardKey>>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key that is being written: its regions in the order of [`ResidentKeys::sizes`].
struct Load<'a> {
    card: &'a Card,
    queue: &'a IoQueue,
    regions: std::vec::IntoIter<CardRegion>,
    writes: Writes,
}

impl Load<'_> {
    /// Queues the next query for the next region.
    async fn query<P: PointImage>(&mut self, bases: Bases<'_, P>) -> CardResult<Query> {
        let region = self.regions.next();
        let region = region.ok_or_else(|| Fault::implausible("a region is missing"))?;
        self.writes
            .send(self.card, self.queue, bases.points(), &region)
            .await?;
        Ok(Query {
            group: P::GROUP,
            region,
            mode: bases.mode(),
        })
    }
}
