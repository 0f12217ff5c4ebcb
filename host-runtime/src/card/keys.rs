//! Proving keys that stay in card memory between proofs.
//!
//! A key is known by its address: the entry holds the `Arc`, so the address is not reused. When
//! memory is short, keys that are not wanted now make room.

use std::sync::Arc;

use carillon_driver::command::MsmMode;
use carillon_driver::{Card, CardError, CardRegion};
use tokio::sync::Mutex;

use super::jobs::allocate_public;
use super::transfer::Writes;
use super::{CardResult, Fault};
use crate::cpu::blocking;
use crate::engine::Bases;
use crate::groth16::ProvingKey;
use crate::image;
use crate::stats::CardStats;

/// A G1 query in card memory, and how sums over it take their scalars.
#[derive(Clone, Debug)]
pub struct Query {
    pub region: CardRegion,
    pub mode: MsmMode,
}

/// The G1 queries of a key in card memory.
#[derive(Clone, Debug)]
pub struct CardKey {
    pub a: Query,
    pub b1: Query,
    pub l: Query,
    pub h: Query,
}

/// The keys in one card's memory.
#[derive(Debug, Default)]
pub struct ResidentKeys {
    keys: Mutex<Vec<(Arc<ProvingKey>, CardKey)>>,
}

impl ResidentKeys {
    /// The key's regions, written first if it is not there. The cost is zero if it is.
    pub async fn load(
        &self,
        card: &Card,
        key: &Arc<ProvingKey>,
    ) -> CardResult<(CardKey, CardStats)> {
        let mut keys = self.keys.lock().await;
        let mut stats = CardStats::default();
        if let Some((_, resident)) = keys.iter().find(|(known, _)| Arc::ptr_eq(known, key)) {
            return Ok((resident.clone(), stats));
        }
        // Where the key does not know its points, this looks at each of them, once per key.
        let queries = [&key.a, &key.b1, &key.l, &key.h];
        let queries = blocking(|| queries.map(|points| points.bases()));
        let sizes = queries.map(|bases| image::bytes(bases.points()).len() as u64);
        let regions = match allocate_public(card, sizes) {
            Err(Fault::Card(CardError::CardMemory { .. })) if !keys.is_empty() => {
                tracing::info!(
                    keys = keys.len(),
                    "card memory is short: other keys make room"
                );
                keys.clear();
                allocate_public(card, sizes)?
            }
            other => other?,
        };
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
        let resident = CardKey { a, b1, l, h };
        keys.push((Arc::clone(key), resident.clone()));
        Ok((resident, stats))
    }

    /// Forgets one key.
    pub async fn forget(&self, key: &Arc<ProvingKey>) {
        self.keys
            .lock()
            .await
            .retain(|(known, _)| !Arc::ptr_eq(known, key));
    }

    /// Makes room for a job of this key.
    pub async fn forget_all_but(&self, key: &Arc<ProvingKey>) {
        self.keys
            .lock()
            .await
            .retain(|(known, _)| Arc::ptr_eq(known, key));
    }

    /// Forgets all keys, after card memory was lost.
    pub async fn forget_all(&self) {
        self.keys.lock().await.clear();
    }
}
