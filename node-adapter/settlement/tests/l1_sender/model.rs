//! A chain in memory: blocks, a pool, reorganisations, a second sender, a contract that counts
//! batches. Implements the sender's port, so that the whole sender runs on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, TxHash, U256, keccak256};
use async_trait::async_trait;
use carillon_settlement::sender::{
    BlockRef, CrashPoint, Faults, Fees, Intent, Market, Outcome, Port, PortError, Receipt,
    SendAnswer,
};
use carillon_settlement::{Refusal, SettlementError};

/// The contract.
pub const TARGET: Address = Address::repeat_byte(0xc0);

/// A call of the contract for batch `number`.
pub fn batch(number: u64) -> Intent {
    Intent {
        id: format!("batch/{number}"),
        to: TARGET,
        value: U256::ZERO,
        input: Bytes::copy_from_slice(&number.to_be_bytes()),
        blobs: Vec::new(),
        check: Bytes::copy_from_slice(&number.to_be_bytes()),
    }
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

#[derive(Clone, Debug)]
struct Pooled {
    hash: TxHash,
    nonce: u64,
    max: u128,
    tip: u128,
    /// The batch that it settles; `None` for a transfer.
    batch: Option<u64>,
}

#[derive(Clone, Debug)]
struct Block {
    hash: B256,
    mined: Vec<(Pooled, bool)>,
}

/// The chain and what can happen to it.
#[derive(Debug)]
pub struct Chain {
    blocks: Vec<Block>,
    pool: BTreeMap<u64, Pooled>,
    pub base: u128,
    pub down: bool,
    /// Whether the contract refuses a batch that is not the next one. Without it, every transaction
    /// has an effect, and only the sender's care keeps effects single.
    guarded: bool,
    fresh: u64,
}

impl Chain {
    pub fn new(guarded: bool) -> Self {
        let genesis = Block {
            hash: keccak256(b"genesis"),
            mined: Vec::new(),
        };
        Self {
            blocks: vec![genesis],
            pool: BTreeMap::new(),
            base: 10,
            down: false,
            guarded,
            fresh: 0,
        }
    }

    fn nonce(&self) -> u64 {
        self.blocks.iter().map(|b| b.mined.len() as u64).sum()
    }

    /// Batches with effect, in the order of the chain.
    pub fn effects(&self) -> Vec<u64> {
        let mined = self.blocks.iter().flat_map(|block| &block.mined);
        mined
            .filter(|(_, success)| *success)
            .filter_map(|(transaction, _)| transaction.batch)
            .collect()
    }

    fn fresh_hash(&mut self) -> B256 {
        self.fresh += 1;
        keccak256(self.fresh.to_be_bytes())
    }

    /// Mines what the pool holds and the base fee allows.
    pub fn mine(&mut self) {
        let block = Block {
            hash: self.fresh_hash(),
            mined: Vec::new(),
        };
        self.blocks.push(block);
        loop {
            let nonce = self.nonce();
            let Some(next) = self
                .pool
                .get(&nonce)
                .filter(|t| t.max >= self.base)
                .cloned()
            else {
                return;
            };
            self.pool.remove(&nonce);
            self.include(next);
        }
    }

    fn include(&mut self, transaction: Pooled) {
        let expected = self.effects().len() as u64 + 1;
        let success = !self.guarded || transaction.batch.is_none_or(|n| n == expected);
        let block = self.blocks.last_mut().unwrap();
        block.mined.push((transaction, success));
    }

    /// Replaces the last `depth` blocks by empty ones; their transactions return to the pool or are
    /// forgotten.
    pub fn reorg(&mut self, depth: usize, forget: bool) {
        let depth = depth.min(self.blocks.len() - 1);
        let dropped = self.blocks.split_off(self.blocks.len() - depth);
        for (transaction, _) in dropped.into_iter().flat_map(|block| block.mined) {
            if !forget {
                self.pool.entry(transaction.nonce).or_insert(transaction);
            }
        }
        for _ in 0..=depth {
            let hash = self.fresh_hash();
            let mined = Vec::new();
            self.blocks.push(Block { hash, mined });
        }
    }

    /// The pool forgets everything.
    pub fn drop_all(&mut self) {
        self.pool.clear();
    }

    /// Somebody else signs with the key: a transfer, or the next batch.
    pub fn foreign(&mut self, settles: bool) {
        let next = self.effects().len() as u64 + 1;
        let transaction = Pooled {
            hash: self.fresh_hash(),
            nonce: self.nonce(),
            max: 1 << 100,
            tip: 0,
            batch: settles.then_some(next),
        };
        let hash = self.fresh_hash();
        let mined = Vec::new();
        self.blocks.push(Block { hash, mined });
        self.include(transaction);
    }
}

/// A node of the chain, and the contract's counters.
#[derive(Clone, Debug)]
pub struct Node(pub Arc<Mutex<Chain>>);

impl Node {
    fn up(&self) -> Result<std::sync::MutexGuard<'_, Chain>, SettlementError> {
        let chain = self.0.lock().unwrap();
        if chain.down {
            return Err(SettlementError::Rpc {
                request: "anything",
                reason: "the node is down".into(),
            });
        }
        Ok(chain)
    }
}

#[async_trait]
impl Port for Node {
    async fn chain_id(&self) -> Result<u64, PortError> {
        Ok(31337)
    }

    async fn head(&self) -> Result<BlockRef, PortError> {
        let chain = self.up()?;
        Ok(BlockRef {
            number: chain.blocks.len() as u64 - 1,
            hash: chain.blocks.last().unwrap().hash,
        })
    }

    async fn market(&self) -> Result<Market, PortError> {
        let base = self.up()?.base;
        Ok(Market {
            base,
            tip: 1,
            blob: 1,
        })
    }

    async fn balance(&self, _: Address) -> Result<U256, PortError> {
        drop(self.up()?);
        Ok(U256::MAX)
    }

    async fn nonce(&self, _: Address) -> Result<u64, PortError> {
        Ok(self.up()?.nonce())
    }

    async fn block_hash(&self, number: u64) -> Result<Option<B256>, PortError> {
        let chain = self.up()?;
        Ok(chain.blocks.get(number as usize).map(|block| block.hash))
    }

    async fn receipt(&self, transaction: TxHash) -> Result<Option<Receipt>, PortError> {
        let chain = self.up()?;
        let blocks = chain.blocks.iter().enumerate();
        let mut mined =
            blocks.flat_map(|(n, block)| block.mined.iter().map(move |m| (n, block, m)));
        let found = mined.find(|(_, _, (t, _))| t.hash == transaction);
        Ok(found.map(|(number, block, (_, success))| Receipt {
            hash: transaction,
            block: BlockRef {
                number: number as u64,
                hash: block.hash,
            },
            success: *success,
        }))
    }

    async fn simulate(
        &self,
        _: Address,
        intent: &Intent,
        _: &[B256],
        _: Option<Fees>,
    ) -> Result<u64, PortError> {
        let chain = self.up()?;
        let expected = chain.effects().len() as u64 + 1;
        if chain.guarded && number_of(&intent.input) != Some(expected) {
            return Err(PortError::Refused(Refusal::Silent));
        }
        Ok(50_000)
    }

    async fn send(&self, raw: &[u8]) -> Result<SendAnswer, PortError> {
        let mut chain = self.up()?;
        let transaction = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
        let new = Pooled {
            hash: *transaction.tx_hash(),
            nonce: transaction.nonce(),
            max: transaction.max_fee_per_gas(),
            tip: transaction.max_priority_fee_per_gas().unwrap_or(0),
            batch: (transaction.to() == Some(TARGET))
                .then(|| number_of(transaction.input()))
                .flatten(),
        };
        if new.nonce < chain.nonce() {
            return Ok(SendAnswer::NonceUsed);
        }
        if let Some(old) = chain.pool.get(&new.nonce) {
            if old.hash == new.hash {
                return Ok(SendAnswer::Taken);
            }
            let enough = |new: u128, old: u128| new * 100 >= old * 110;
            if !enough(new.max, old.max) || !enough(new.tip, old.tip) {
                return Ok(SendAnswer::Underpriced);
            }
        }
        chain.pool.insert(new.nonce, new);
        Ok(SendAnswer::Taken)
    }
}

#[async_trait]
impl Outcome for Node {
    async fn taken(&self, intent: &Intent) -> Result<bool, SettlementError> {
        let chain = self.up()?;
        let number = number_of(&intent.check).unwrap();
        Ok(chain.effects().contains(&number))
    }
}

/// Dies when a point is passed for the nth time from now.
#[derive(Clone, Debug, Default)]
pub struct Fuse(Arc<Mutex<Option<(CrashPoint, usize)>>>);

impl Fuse {
    pub fn set(&self, point: CrashPoint, passes: usize) {
        *self.0.lock().unwrap() = Some((point, passes));
    }

    pub fn clear(&self) {
        *self.0.lock().unwrap() = None;
    }

    pub fn is_set(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

impl Faults for Fuse {
    fn dies(&self, point: CrashPoint) -> bool {
        let mut fuse = self.0.lock().unwrap();
        match &mut *fuse {
            Some((at, 0)) if *at == point => {
                *fuse = None;
                true
            }
            Some((at, left)) if *at == point => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }
}
