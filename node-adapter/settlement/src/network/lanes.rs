//! The lanes between the chains of a hub, as the bridge announced and counts them.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent;

use super::register::undecoded;
use super::{ChainFacts, Network};
use crate::SettlementError;
use crate::abi::ISharedBridge::{Lane, LaneEntry};
use crate::abi::SharedBridge;
use crate::lanes::{Fold, LaneEvent};

/// An entry that was sent and neither taken nor given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnItsWay {
    /// Which entry of its lane it is, from 0.
    pub index: u64,
    /// The block that executed the batch with it.
    pub block: u64,
    /// The time of that block, in Unix time.
    pub time: u64,
    /// What was sent.
    pub entry: LaneEntry,
}

/// A lane.
#[derive(Clone, Debug)]
pub struct LaneOnL1 {
    /// The chain that sends.
    pub from: u64,
    /// The chain that takes.
    pub to: u64,
    /// Whether the sending chain's side is open.
    pub from_open: bool,
    /// Whether the taking chain's side is open.
    pub to_open: bool,
    /// Counts and hashes.
    pub lane: Lane,
    /// Units on their way, by token; zero is ETH.
    pub in_transit: Vec<(Address, U256)>,
    /// What is on its way, from the oldest on.
    pub waiting: Vec<OnItsWay>,
}

impl LaneOnL1 {
    /// The lane as far as it is taken.
    pub fn taken(&self) -> Fold {
        Fold {
            count: self.lane.taken,
            hash: self.lane.takenHash,
        }
    }

    /// Whether the events tell of everything that is on its way: a node may be behind with them.
    pub fn is_whole(&self) -> bool {
        self.waiting.len() as u64 == self.lane.sent.saturating_sub(self.lane.taken)
    }
}

impl Network {
    /// Every lane that a chain has opened or sent into, by sending chain; with `chain`, those from and to
    /// that one.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn lanes(&self, chain: Option<u64>) -> Result<Vec<LaneOnL1>, SettlementError> {
        let wanted = |from: u64, to: u64| chain.is_none_or(|id| id == from || id == to);
        let mut open = BTreeMap::new();
        let filter = Filter::new()
            .address(self.bridge)
            .event_signature(SharedBridge::LaneSet::SIGNATURE_HASH);
        for (_, log) in self.logs(filter).await? {
            let event = SharedBridge::LaneSet::decode_log(&log).map_err(undecoded)?;
            open.insert((event.chainId, event.other), event.open);
        }
        let mut sent: BTreeMap<(u64, u64), Vec<OnItsWay>> = BTreeMap::new();
        let mut times: BTreeMap<B256, u64> = BTreeMap::new();
        let filter = Filter::new()
            .address(self.bridge)
            .event_signature(SharedBridge::Sent::SIGNATURE_HASH);
        for (place, log) in self.logs(filter).await? {
            let decoded = LaneEvent::decode(&log).map_err(|reason| SettlementError::Rpc {
                request: "eth_getLogs",
                reason,
            })?;
            let Some(LaneEvent::Sent {
                from,
                to,
                index,
                entry,
                ..
            }) = decoded.filter(|event| wanted(sender(event), event.to()))
            else {
                continue;
            };
            let time = match (place.time, times.get(&place.block.hash)) {
                (Some(time), _) => time,
                (None, Some(time)) => *time,
                // Not every node says it with the log.
                (None, None) => self.source.block_time(place.block).await?,
            };
            times.insert(place.block.hash, time);
            let lane = sent.entry((from, to)).or_default();
            lane.push(OnItsWay {
                index,
                block: place.block.number,
                time,
                entry,
            });
        }
        let both = open
            .keys()
            .flat_map(|(id, other)| [(*id, *other), (*other, *id)]);
        let pairs: BTreeSet<(u64, u64)> = both
            .chain(sent.keys().copied())
            .filter(|(from, to)| wanted(*from, *to))
            .collect();
        let mut lanes = Vec::new();
        for (from, to) in pairs {
            let side = |id, other| id == other || open.get(&(id, other)) == Some(&true);
            let call = SharedBridge::laneCall { from, to };
            let lane: Lane = self.source.read(self.bridge, call).await?;
            let entries = sent.remove(&(from, to)).unwrap_or_default();
            let tokens: BTreeSet<Address> = entries.iter().map(|sent| sent.entry.token).collect();
            let mut in_transit = Vec::new();
            for token in tokens {
                let call = SharedBridge::transitCall { from, to, token };
                let amount: U256 = self.source.read(self.bridge, call).await?;
                if !amount.is_zero() {
                    in_transit.push((token, amount));
                }
            }
            let waiting = entries.into_iter();
            let waiting = waiting.filter(|entry| entry.index >= lane.taken);
            lanes.push(LaneOnL1 {
                from,
                to,
                from_open: side(from, to),
                to_open: side(to, from),
                waiting: waiting.collect(),
                lane,
                in_transit,
            });
        }
        Ok(lanes)
    }
}

fn sender(event: &LaneEvent) -> u64 {
    match event {
        LaneEvent::Sent { from, .. }
        | LaneEvent::Returned { from, .. }
        | LaneEvent::Bounced { from, .. } => *from,
    }
}

impl ChainFacts {
    /// What still belongs to the chain's users, in words; empty if nothing does.
    pub fn rest(&self, lanes: &[LaneOnL1]) -> Vec<String> {
        let id = self.chain.chain_id;
        let mut rest = Vec::new();
        let progress = &self.progress;
        for held in self.tokens.iter().filter(|held| !held.escrow.is_zero()) {
            rest.push(format!(
                "{} units of {} in escrow: their owners withdraw, send or ask for exits",
                held.escrow,
                token_words(held.token)
            ));
        }
        let open = progress.queueLength.saturating_sub(progress.queueExecuted);
        if open != 0 && !progress.halted {
            rest.push(format!(
                "{open} entries of the queue wait: run the node until they are executed"
            ));
        }
        if progress.committed != progress.executed && !progress.halted {
            rest.push(format!(
                "batches {} to {} are committed and not executed: have them executed, or taken back with `revert`",
                progress.executed.saturating_add(1),
                progress.committed
            ));
        }
        for lane in lanes.iter().filter(|lane| !lane.waiting.is_empty()) {
            let (from, to, count) = (lane.from, lane.to, lane.waiting.len());
            let who = if to == id {
                "this chain takes them".to_owned()
            } else {
                format!("chain {to} takes them")
            };
            rest.push(format!(
                "{count} sends from chain {from} to chain {to} are on their way: {who}, or `chain bounce --from {from} --to {to}` gives them back after a week"
            ));
        }
        rest
    }
}

/// A token as it is shown.
fn token_words(token: Address) -> String {
    match token.is_zero() {
        true => "ETH (wei)".to_owned(),
        false => token.to_string(),
    }
}
