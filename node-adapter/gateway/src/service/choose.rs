//! The next call: what goes together, what it needs of the lanes, and a simulation before it is handed on.
//!
//! Part of `service`.

use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use carillon_protocol::Party;
use carillon_settlement::gateway::settle_many;
use carillon_settlement::lanes::Fold;
use carillon_settlement::sender::Intent;
use carillon_settlement::{MAX_TRANSACTION_GAS, Meaning, SettlementError};

use super::board::{Held, Waiting, now};
use super::{Service, ServiceError, of_chain};
use crate::l1::LaneFacts;
use crate::plan::{Lane, Pending, Room, alone, plan};
use crate::store::Call;
use crate::submission::{Batch, word};
use crate::tails::{Entry, Taken, tails};

/// The batches of the next call, and the chain and number of each.
pub(super) type Chosen = (Vec<Arc<Batch>>, Vec<(u64, u64)>);

impl Service {
    pub(super) async fn lanes(
        &self,
        waiting: &Waiting,
    ) -> Result<BTreeMap<(u64, u64), LaneFacts>, ServiceError> {
        let mut lanes = BTreeMap::new();
        for (to, list) in waiting {
            for from in list.iter().flat_map(|held| held.batch.takes().into_keys()) {
                if let btree_map::Entry::Vacant(place) = lanes.entry((from, *to)) {
                    place.insert(self.inner.chains.lane(from, *to).await?);
                }
            }
        }
        Ok(lanes)
    }

    /// The next call's set, if it is time for one; says of the others why they wait.
    pub(super) fn choose(
        &self,
        waiting: &Waiting,
        lanes: &BTreeMap<(u64, u64), LaneFacts>,
    ) -> Option<Chosen> {
        let pending: BTreeMap<u64, Vec<Pending>> = waiting
            .iter()
            .map(|(chain, list)| (*chain, list.iter().map(Held::pending).collect()))
            .collect();
        let short = |(ends, facts): (&(u64, u64), &LaneFacts)| {
            let LaneFacts { sent, taken, .. } = *facts;
            (*ends, Lane { sent, taken })
        };
        let short: BTreeMap<(u64, u64), Lane> = lanes.iter().map(short).collect();
        let room = Room {
            gas: MAX_TRANSACTION_GAS,
            batches: self.inner.options.batches,
        };
        let mut planned = plan(&pending, &short, room);
        let mut board = self.board();
        // The smallest set first: the one that is refused was then tried with nothing but what it needs.
        let suspects = waiting.iter().flat_map(|(chain, list)| {
            let name = |(at, held): (usize, &Held)| ((*chain, at), (*chain, held.batch.number()));
            list.iter().enumerate().map(name).collect::<Vec<_>>()
        });
        let suspect = suspects
            .filter(|(_, name)| board.suspects.contains(name))
            .filter_map(|(place, name)| Some((alone(&pending, &short, place).ok()?, name)))
            .min_by_key(|(set, _)| set.values().sum::<usize>());
        board.trying = suspect.as_ref().map(|(_, name)| *name);
        let lingered = suspect.is_some() || {
            let chosen = planned.take.iter();
            let chosen = chosen
                .flat_map(|(chain, count)| waiting.get(chain).into_iter().flatten().take(*count));
            let oldest = chosen.map(|held| held.since).min().unwrap_or(u64::MAX);
            oldest.saturating_add(self.inner.options.linger.as_secs()) <= now()
                || planned.take.values().sum::<usize>() >= room.batches
        };
        if let Some((set, _)) = suspect {
            planned.take = set;
        }
        for ((chain, at), blocked) in &planned.blocked {
            board.explain(waiting, *chain, *at, &blocked.to_string());
        }
        if planned.take.is_empty() {
            return None;
        }
        let mut set = Vec::new();
        for (chain, count) in &planned.take {
            for (at, held) in waiting
                .get(chain)
                .into_iter()
                .flatten()
                .take(*count)
                .enumerate()
            {
                if !lingered {
                    board.explain(
                        waiting,
                        *chain,
                        at,
                        "it goes soon: others may come that make it cheaper",
                    );
                }
                set.push(Arc::clone(&held.batch));
            }
        }
        let members = set
            .iter()
            .map(|batch| (batch.published.chain_id, batch.number()))
            .collect();
        lingered.then_some((set, members))
    }

    pub(super) async fn send(
        &self,
        set: &[Arc<Batch>],
        members: Vec<(u64, u64)>,
        lanes: &BTreeMap<(u64, u64), LaneFacts>,
    ) -> Result<(), ServiceError> {
        let inner = &self.inner;
        let mut parts = Vec::new();
        let mut check = Vec::new();
        for batch in set {
            let chain = batch.published.chain_id;
            let contract = inner.chains.contract(chain).await?;
            let contract = contract.ok_or(ServiceError::UnknownChain(chain))?;
            let verifier = inner
                .chains
                .verifier(contract, batch.submission.shape)
                .await;
            let verifier = match verifier {
                Ok(verifier) => verifier,
                Err(error) if of_chain(&error) => {
                    self.board().lose(chain, &error.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            parts.push(batch.member(verifier));
            check.push((contract, batch.number()));
        }
        let tails = tails(&self.taken(set, lanes).await?);
        let input: Bytes = settle_many(&parts, tails).abi_encode().into();
        let simulated =
            inner
                .client
                .estimate("settleMany", Some(inner.chains.gateway), input.clone());
        match simulated.await {
            Ok(gas) if gas <= MAX_TRANSACTION_GAS => {}
            Ok(_) | Err(SettlementError::TooMuchGas { .. }) => {
                self.suspect(
                    &members,
                    "together with others it needs more gas than a transaction may have",
                );
                return Ok(());
            }
            Err(SettlementError::Refused { reason, .. }) => {
                self.put_aside(&reason, &members);
                return Ok(());
            }
            Err(error) if error.meaning() == Some(Meaning::GasAllowance) => {
                self.suspect(&members, "its simulation takes all the gas there is");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let id = format!("gateway/{}/{}", now(), inner.store.next_call()?);
        let check = serde_json::to_vec(&check).unwrap_or_default();
        let intent = Intent {
            id: id.clone(),
            to: inner.chains.gateway,
            value: U256::ZERO,
            input,
            blobs: Vec::new(),
            check: check.into(),
        };
        // Kept before it is handed on: what is not known can never be withdrawn.
        let call = Call {
            id: id.clone(),
            members: members.clone(),
            withdrawn: false,
        };
        inner.store.remember(&call)?;
        self.board().calls.push(call);
        inner.sender.enqueue(intent).await?;
        tracing::info!(call = id, batches = members.len(), "handed to the sender");
        let mut board = self.board();
        board.counts.calls += 1;
        for (chain, number) in &members {
            if let Some(held) = board.held(*chain, *number) {
                held.reason = None;
            }
        }

        Ok(())
    }

    /// What a set does to the lanes that it takes from.
    pub(super) async fn taken(
        &self,
        set: &[Arc<Batch>],
        lanes: &BTreeMap<(u64, u64), LaneFacts>,
    ) -> Result<BTreeMap<(u64, u64), Taken>, ServiceError> {
        let mut moved: BTreeMap<(u64, u64), Taken> = BTreeMap::new();
        for batch in set {
            let to = batch.published.chain_id;
            for (from, count) in batch.takes() {
                let facts = lanes.get(&(from, to)).copied().unwrap_or_default();
                let lane = moved.entry((from, to)).or_insert_with(|| Taken {
                    sent: Fold {
                        count: facts.sent,
                        hash: facts.sent_hash,
                    },
                    taken: facts.taken,
                    ..Taken::default()
                });
                lane.taken += count;
                let known = batch.submission.tails.iter().find(|tail| tail.from == from);
                lane.known = known.cloned();
            }
        }
        for batch in set {
            let from = batch.published.chain_id;
            for to in batch.sends().into_keys() {
                let Some(lane) = moved.get_mut(&(from, to)) else {
                    continue;
                };
                for record in batch.sends_to(to) {
                    let owner =
                        |word| Party::from_word(word).map(|party| Address::from(party.owner));
                    let [recipient, sender, memo] = &record.words;
                    lane.sends.push(Entry {
                        token: self.inner.chains.token(from, record.token).await?,
                        amount: U256::from(record.amount),
                        sender: Address::from_word(B256::from(word(sender))),
                        recipient: owner(recipient).unwrap_or_default(),
                        memo: word(memo),
                    });
                }
            }
        }
        Ok(moved)
    }
}
