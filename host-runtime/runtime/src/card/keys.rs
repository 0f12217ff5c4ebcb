//! Proving keys that stay in card memory between proofs.
//!
//! A key is known by its address: the entry holds the `Arc`, so the address is not reused. Which
//! keys are evicted for others is decided in `admission`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_driver::command::MsmMode;
use carillon_driver::{Card, CardRegion};

use super::fault::CardResult;
use super::transfer::Writes;
use crate::cpu::blocking;
use crate::engine::Bases;
use crate::groth16::ProvingKey;
use crate::image;
use crate::stats::CardStats;

/// A G1 query in card memory, and how sums over it take their scalars.
#[derive(Debug)]
pub struct Query {
    pub region: CardRegion,
    pub mode: MsmMode,
}

/// The G1 queries of a key in card memory.
#[derive(Debug)]
pub struct CardKey {
    pub a: Query,
    pub b1: Query,
    pub l: Query,
    pub h: Query,
}

/// A key, and where it lies.
type Entry = (Arc<ProvingKey>, Arc<CardKey>);

/// The keys in one card's memory, the one used last at the end.
#[derive(Debug, Default)]
pub struct ResidentKeys {
    keys: Mutex<Vec<Entry>>,
}

impl ResidentKeys {
    /// Bytes of the regions that [`ResidentKeys::write`] takes.
    pub fn sizes(key: &ProvingKey) -> [u64; 4] {
        [&key.a, &key.b1, &key.l, &key.h].map(|points| image::bytes(points).len() as u64)
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
        regions: [CardRegion; 4],
    ) -> CardResult<(Arc<CardKey>, CardStats)> {
        let mut stats = CardStats::default();
        // Where the key does not know its points, this looks at each of them, once per key.
        let queries = [&key.a, &key.b1, &key.l, &key.h];
        let queries = blocking(|| queries.map(|points| points.bases()));
        let mut writes = Writes::default();
        for (bases, region) in queries.iter().zip(&regions) {
            writes.send(card, bases.points(), region).await?;
        }
        writes.finish(&mut stats).await?;
        let [a, b1, l, h] = regions;
        let query = |region, bases: Bases<'_>| Query {
            region,
            mode: bases.mode(),
        };
        let [of_a, of_b1, of_l, of_h] = queries;
        let (a, b1) = (query(a, of_a), query(b1, of_b1));
        let (l, h) = (query(l, of_l), query(h, of_h));
        let resident = Arc::new(CardKey { a, b1, l, h });
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
            .flat_map(|(_, key)| [&key.a, &key.b1, &key.l, &key.h]);
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
