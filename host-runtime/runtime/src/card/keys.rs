//! Proving keys that stay in card memory between proofs.
//!
//! A key is known by its address: the entry holds the `Arc`, so the address is not reused. Which
//! keys are evicted for others is decided in `admission`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_driver::command::{Group, MsmMode};
use carillon_driver::{Card, CardInfo, CardRegion};

use super::fault::{CardResult, Fault};
use super::transfer::Writes;
use crate::cpu::blocking;
use crate::engine::Bases;
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

/// A key, and where it lies.
type Entry = (Arc<ProvingKey>, Arc<CardKey>);

/// The keys in one card's memory, the one used last at the end.
#[derive(Debug, Default)]
pub struct ResidentKeys {
    keys: Mutex<Vec<Entry>>,
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
        load.writes.finish(&mut stats).await?;
        let resident = Arc::new(CardKey { a, b1, l, h, b2 });
        self.lock().push((Arc::clone(key), Arc::clone(&resident)));
        Ok((resident, stats))
    }

    /// Forgets the key that was used least recently of those that no job uses; false if there is
    /// none.
    pub fn evict_idle(&self) -> bool {
        let mut keys = self.lock();
        let idle = keys
            .iter()
            .position(|(_, resident)| Arc::strong_count(resident) == 1);
        idle.map(|at| keys.remove(at)).is_some()
    }

    /// Bytes of card memory that all keys take.
    pub fn bytes(&self) -> u64 {
        let keys = self.lock();
        let regions = keys
            .iter()
            .flat_map(|(_, key)| [&key.a, &key.b1, &key.l, &key.h].into_iter().chain(&key.b2));
        regions.map(|query| query.region.len()).sum()
    }

    /// Forgets one key.
    pub fn forget(&self, key: &Arc<ProvingKey>) {
        self.lock().retain(|(known, _)| !Arc::ptr_eq(known, key));
    }

    /// Forgets all keys.
    pub fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key that is being written: its regions in the order of [`ResidentKeys::sizes`].
struct Load<'a> {
    card: &'a Card,
    regions: std::vec::IntoIter<CardRegion>,
    writes: Writes,
}

impl Load<'_> {
    /// Queues the next query for the next region.
    async fn query<P: PointImage>(&mut self, bases: Bases<'_, P>) -> CardResult<Query> {
        let region = self.regions.next();
        let region = region.ok_or_else(|| Fault::implausible("a region is missing"))?;
        self.writes.send(self.card, bases.points(), &region).await?;
        Ok(Query {
            group: P::GROUP,
            region,
            mode: bases.mode(),
        })
    }
}
