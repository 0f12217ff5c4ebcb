//! What Ethereum says of lanes: this chain's own as they are executed, those to it as they were read, and
//! other chains' keys. Uses `carillon_settlement`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::super::outbox::{LanesOut, Wanted};
use super::super::ports::{LaneAuthority, PortError};
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_settlement::watch::{Arrivals, NodeSource};
use carillon_settlement::{Backoff, SentLanes, SettlementError, receipt_key};

/// See above.
pub(super) struct EthereumLanes {
    source: NodeSource,
    hub: Address,
    bridge: Address,
    chain: u64,
    confirmations: u64,
    arrivals: Arrivals,
    poll: Duration,
    asked: Mutex<Asked>,
}

struct Asked {
    next: Instant,
    backoff: Backoff,
    wanted: Wanted,
    /// Keys, and when they were asked for.
    keys: HashMap<u64, (Instant, Option<PublicKey>)>,
    slots: HashMap<[u8; 20], u8>,
}

impl EthereumLanes {
    /// Asks `source`, whose lanes are those to this chain, at most as often as `poll` says.
    pub(super) fn new(
        source: NodeSource,
        (hub, bridge): (Address, Address),
        chain: u64,
        confirmations: u64,
        arrivals: Arrivals,
        poll: Duration,
    ) -> Self {
        Self {
            source,
            hub,
            bridge,
            chain,
            confirmations,
            arrivals,
            poll,
            asked: Mutex::new(Asked {
                next: Instant::now(),
                backoff: Backoff::new(poll * 3),
                wanted: Wanted::default(),
                keys: HashMap::new(),
                slots: HashMap::new(),
            }),
        }
    }
}

fn unreachable(error: SettlementError) -> PortError {
    PortError::Unreachable(error.to_string())
}

#[async_trait]
impl LaneAuthority for EthereumLanes {
    async fn sent(&self, wanted: &Wanted) -> Result<LanesOut, PortError> {
        let mut asked = self.asked.lock().await;
        // A lane that is new is asked for at once.
        if Instant::now() < asked.next && asked.wanted == *wanted {
            return Err(PortError::Later);
        }
        asked.wanted = wanted.clone();
        let at = (self.bridge, self.chain);
        let Wanted { lanes, slots } = wanted;
        match SentLanes::read(&self.source, at, self.confirmations, lanes, slots).await {
            Ok(sent) => {
                asked.backoff.reset();
                asked.next = Instant::now() + self.poll;
                Ok(LanesOut {
                    executed: sent.executed,
                    lanes: sent.lanes,
                    tokens: sent.tokens,
                })
            }
            Err(error) => {
                let pause = asked.backoff.next(error.retry_after());
                asked.next = Instant::now() + pause;
                Err(unreachable(error))
            }
        }
    }

    fn count(&self, chain: u64) -> Result<u64, PortError> {
        let count = self.arrivals.count(chain);
        count.map_err(|error| PortError::Unreachable(error.to_string()))
    }

    fn hash(&self, chain: u64, count: u64) -> Result<Option<[u8; 32]>, PortError> {
        let hash = self.arrivals.hash(chain, count);
        let hash = hash.map_err(|error| PortError::Unreachable(error.to_string()))?;
        Ok(hash.map(|hash| hash.0))
    }

    async fn key(&self, chain: u64) -> Result<Option<PublicKey>, PortError> {
        let mut asked = self.asked.lock().await;
        if let Some((at, key)) = asked.keys.get(&chain)
            && at.elapsed() < self.poll
        {
            return Ok(*key);
        }
        let key = receipt_key(&self.source, self.hub, chain).await;
        let key = key.map_err(unreachable)?;
        asked.keys.insert(chain, (Instant::now(), key));
        Ok(key)
    }

    async fn slot(&self, token: [u8; 20]) -> Result<Option<u8>, PortError> {
        let mut asked = self.asked.lock().await;
        if let Some(slot) = asked.slots.get(&token) {
            return Ok(Some(*slot));
        }
        let slot = self.source.token_slot(token.into()).await;
        let slot = slot.map_err(unreachable)?;
        if let Some(slot) = slot {
            asked.slots.insert(token, slot);
        }
        Ok(slot)
    }
}
