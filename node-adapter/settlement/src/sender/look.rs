//! One look at L1: the facts that [`super::decide()`] needs, with as few requests as they take.
//!
//! A look costs one request when nothing has happened, and few more when a block has come: what is
//! asked for does not grow with the number of open intents, apart from one request for each that
//! becomes final and the receipts of what was mined. Used by `run`.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::state::{Sender, Tracked};
use super::{BlockRef, Entry, Facts, Faults, FreeNonces, Outcome, Place, Port, SenderError};

/// What one look has read.
#[derive(Debug)]
pub(super) struct Look {
    /// The newest block.
    pub head: BlockRef,
    /// Transactions mined from our address.
    nonce: u64,
    /// Whether the newest block is that of the last look: no block has left the chain since.
    same: bool,
    /// The highest block in which an intent took effect, and whether it is part of the chain.
    top: Option<(BlockRef, bool)>,
    /// Hashes read in this look.
    hashes: BTreeMap<u64, Option<B256>>,
}

/// The block in which an entry took effect.
fn effect(entry: &Entry) -> Option<BlockRef> {
    match entry.place() {
        Place::Mined { block, .. } | Place::Taken(block) => Some(block),
        _ => None,
    }
}

impl<P: Port, O: Outcome, F: Faults> Sender<P, O, F> {
    /// Reads the newest block, and what all entries have in common.
    pub(super) async fn look(&mut self) -> Result<Look, SenderError> {
        let head = self.port.head().await?;
        let waits = |tracked: &Tracked| matches!(tracked.entry.place(), Place::Sent { .. });
        let same = self.seen == Some(head);
        let nonce = match self.nonce {
            Some(nonce) if same && !self.entries.values().any(waits) => nonce,
            _ => self.port.nonce(self.address()).await?,
        };
        self.nonce = Some(nonce);
        let mut look = Look {
            head,
            nonce,
            same,
            top: None,
            hashes: BTreeMap::new(),
        };
        let blocks = self.entries.values().filter_map(|t| effect(&t.entry));
        if let Some(top) = blocks.max_by_key(|block| block.number) {
            let stands = self.stands(&mut look, top).await?;
            look.top = Some((top, stands));
        }
        Ok(look)
    }

    /// Whether a block is part of the chain. A node whose newest block is below it is behind, which
    /// says nothing: the block counts as before.
    async fn stands(&self, look: &mut Look, block: BlockRef) -> Result<bool, SenderError> {
        if look.same || look.head == block || look.head.number < block.number {
            return Ok(true);
        }
        if let Some(hash) = look.hashes.get(&block.number) {
            return Ok(*hash == Some(block.hash));
        }
        let hash = self.port.block_hash(block.number).await?;
        look.hashes.insert(block.number, hash);
        Ok(hash == Some(block.hash))
    }

    /// Whether an effect's block still counts. Blocks below one that stands, on a chain of which all
    /// were part, stand with it; but what becomes final is looked up itself.
    async fn canonical(&self, look: &mut Look, block: BlockRef) -> Result<bool, SenderError> {
        let deep = block.number.saturating_add(self.policy.confirmations);
        match look.top {
            Some((_, true)) if look.head.number < deep => Ok(true),
            _ => self.look_up(look, block).await,
        }
    }

    /// [`Sender::stands`], but asks even if the newest block is the same as before.
    async fn look_up(&self, look: &mut Look, block: BlockRef) -> Result<bool, SenderError> {
        let same = std::mem::take(&mut look.same);
        let stands = self.stands(look, block).await;
        look.same = same;
        stands
    }

    /// What L1 says of an entry; receipts are asked for only where there can be one.
    pub(super) async fn facts(
        &self,
        number: u64,
        look: &mut Look,
    ) -> Result<Option<Facts>, SenderError> {
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(None);
        };
        let canonical = match effect(entry) {
            Some(block) => self.canonical(look, block).await?,
            None => false,
        };
        let mut receipts = Vec::new();
        let used = entry.attempts().iter().filter(|a| a.nonce < look.nonce);
        for variant in used.flat_map(|attempt| &attempt.variants) {
            if canonical {
                break;
            }
            receipts.extend(self.port.receipt(variant.hash).await?);
        }
        let nonces = FreeNonces::new(look.nonce, self.open_intents());
        Ok(Some(Facts {
            head: look.head.number,
            nonce: look.nonce,
            receipts,
            canonical,
            first: self.entries.range(..number).all(|(_, t)| t.entry.settled()),
            gap: entry.current().is_some_and(|a| nonces.gap(a.nonce)),
        }))
    }
}
