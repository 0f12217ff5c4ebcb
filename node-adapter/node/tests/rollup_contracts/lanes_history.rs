//! Random histories of three chains with all lanes between them, against a plain model: after each step
//! every escrow, what is in transit, what is reserved and what bounced are what the model says, and
//! together they are what the bridge holds; nothing is taken, claimed or collected twice.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use carillon_settlement::abi::ISharedBridge::{LaneEntry, Message};
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::lanes::{LaneEvent, Tail};
use rand::Rng;

use super::bridge::claim;
use super::common::batch::{Record, address_word, record};
use super::common::world::name;
use super::network::{Network, lane_events};
use super::test_contracts::PlainToken;

const CHAINS: usize = 3;
const DAY: u64 = 24 * 3600;

/// What should be: by chain and whether it is the token.
struct Model {
    net: Network,
    /// What the accounts of a chain hold, with what waits in its queue.
    held: BTreeMap<(usize, bool), u128>,
    /// Withdrawals that were not claimed.
    open: Vec<(usize, Message)>,
    /// By owner and whether it is the token.
    bounced: BTreeMap<(Address, bool), u128>,
    /// Entries that bounced, by the chain that they were for.
    went_back: BTreeMap<usize, u64>,
    halted: [bool; CHAINS],
    /// Steps that did something, by their names.
    done: BTreeMap<&'static str, usize>,
}

impl Model {
    async fn new(seed: u64) -> Self {
        let net = Network::new(seed, CHAINS, 10_000).await;
        let chains = (0..CHAINS).flat_map(|at| [((at, false), 10_000), ((at, true), 10_000)]);
        Self {
            held: chains.collect(),
            net,
            open: Vec::new(),
            bounced: BTreeMap::new(),
            went_back: BTreeMap::new(),
            halted: [false; CHAINS],
            done: BTreeMap::new(),
        }
    }

    fn random(&mut self, below: usize) -> usize {
        self.net.world.rng.gen_range(0..below)
    }

    fn is_token(&self, token: Address) -> bool {
        token == self.net.token
    }

    fn did(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    /// What is in lanes, by sending and receiving side.
    fn transit(&self, from: usize, to: usize, token: bool) -> u128 {
        let lane = self.net.lanes.get(&(from, to));
        let waiting = lane.map_or(&[][..], |lane| &lane.entries[lane.taken..]);
        let of = waiting
            .iter()
            .filter(|entry| self.is_token(entry.token) == token);
        of.map(|entry| entry.amount.to::<u128>()).sum()
    }

    /// The invariant.
    async fn check(&self, step: &str) {
        for token in [false, true] {
            let address = if token { self.net.token } else { Address::ZERO };
            let mut all = 0;
            for at in 0..CHAINS {
                let slot = if token { self.net.sides[at].slot } else { 0 };
                let unclaimed: u128 = self
                    .open
                    .iter()
                    .filter(|(of, message)| {
                        *of == at && (message.words[0].to::<u64>() >> 28 != 0) == token
                    })
                    .map(|(_, message)| message.words[1].to::<u128>())
                    .sum();
                let expected = self.held[&(at, token)] + unclaimed;
                assert_eq!(
                    self.net.escrow(at, slot).await,
                    expected,
                    "escrow of {at} after {step}"
                );
                all += expected;
                let mut coming = 0;
                for from in 0..CHAINS {
                    let transit = self.transit(from, at, token);
                    let said = self.net.transit(from, at, address).await;
                    assert_eq!(said, transit, "from {from} to {at} after {step}");
                    coming += transit;
                }
                assert_eq!(
                    self.net.reserved(at, slot).await,
                    coming,
                    "to {at} after {step}"
                );
                let lanes = self.net.lanes.iter().filter(|((_, to), _)| *to == at);
                let sent: usize = lanes.map(|(_, lane)| lane.entries.len()).sum();
                let went_back = self.went_back.get(&at).copied().unwrap_or_default();
                assert_eq!(
                    self.net.arrivals(at).await,
                    (sent as u64, went_back),
                    "arrivals of {at} after {step}"
                );
                all += coming;
            }
            for ((owner, _), amount) in self.bounced.iter().filter(|((_, of), _)| *of == token) {
                assert_eq!(
                    self.net.bounced(*owner, address).await,
                    *amount,
                    "after {step}"
                );
                all += amount;
            }
            let bridge = self.net.world.l1.bridge;
            assert_eq!(
                self.owned(bridge, token).await,
                U256::from(all),
                "the bridge after {step}"
            );
            let owed = SharedBridge::owedCall { token: address };
            let owed = self.net.view(&owed).await;
            assert!(!token || owed == U256::from(all), "owed after {step}");
        }
    }

    async fn owned(&self, of: Address, token: bool) -> U256 {
        if !token {
            return self.net.world.balance(of).await;
        }
        let call = PlainToken::balanceOfCall { account: of };
        self.net.world.view(self.net.token, &call).await.unwrap()
    }

    async fn deposit(&mut self) {
        let (at, token) = (self.random(CHAINS), self.random(2) == 1);
        let amount = 1 + self.random(500) as u128;
        let slot = if token { self.net.sides[at].slot } else { 0 };
        let done = self.net.deposit(at, slot, amount).await;
        if self.halted[at] {
            return assert_eq!(name(done), "ChainHalted");
        }
        done.unwrap();
        *self.held.entry((at, token)).or_default() += amount;
        self.did("deposit");
    }

    fn an_entry(&mut self, at: usize) -> LaneEntry {
        let token = self.random(2) == 1;
        let most = self.held[&(at, token)].min(300);
        let amount = self.net.world.rng.gen_range(0..=most);
        let memo = self.net.world.rng.r#gen::<u64>();
        let mut entry = self.net.entry(token, amount, memo);
        let (sender, recipient) = (1 + self.random(3), 1 + self.random(5));
        entry.sender = self.net.world.user(sender);
        entry.recipient = self.net.world.user(recipient);
        entry
    }

    /// A batch of sends, takes and withdrawals, in any order.
    async fn settle(&mut self) {
        let at = self.random(CHAINS);
        if self.halted[at] {
            return;
        }
        let mut records: Vec<Record> = Vec::new();
        let mut taken = [0; CHAINS];
        for _ in 0..self.random(6) {
            let other = self.random(CHAINS);
            match self.random(4) {
                0 | 1 => {
                    let entry = self.an_entry(at);
                    let token = self.is_token(entry.token);
                    let amount = entry.amount.to::<u128>();
                    *self.held.entry((at, token)).or_default() -= amount;
                    records.push(self.net.sends(at, other, &entry));
                }
                2 => {
                    let lane = self.net.lanes.get(&(other, at));
                    let next = lane.and_then(|lane| lane.entries.get(lane.taken + taken[other]));
                    let Some(entry) = next.cloned() else { continue };
                    records.push(self.net.takes(other, at, &entry));
                    taken[other] += 1;
                }
                _ => {
                    let token = self.random(2) == 1;
                    let slot = if token { self.net.sides[at].slot } else { 0 };
                    let held = self.held.entry((at, token)).or_default();
                    let amount = self.net.world.rng.gen_range(0..=(*held).min(300));
                    *held -= amount;
                    let to = 1 + self.random(4);
                    let to = self.net.world.user(to);
                    records.push(record(3, 5, slot, amount, address_word(to)));
                }
            }
        }
        let mut tails = Vec::new();
        for (from, count) in taken
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            if let Some(lane) = self.net.lanes.get_mut(&(from, at)) {
                lane.taken += count;
                // Of a lane to itself a batch may extend what the tail ends at.
                tails.push(lane.tail_from(lane.taken));
            }
        }
        let batch = self.net.batch(at, records.clone());
        let receipt = self.net.settle(at, records, tails).await.unwrap();
        for event in lane_events(&receipt) {
            if let LaneEvent::Returned { .. } = event {
                self.did("return");
            } else {
                self.did("send");
            }
        }
        self.credit_returns(at, &receipt);
        for (from, count) in taken.into_iter().enumerate() {
            let Some(lane) = self.net.lanes.get(&(from, at)) else {
                continue;
            };
            let entries = lane.entries[lane.taken - count..lane.taken].to_vec();
            for entry in entries {
                let key = (at, self.is_token(entry.token));
                *self.held.entry(key).or_default() += entry.amount.to::<u128>();
                self.did("take");
            }
        }
        let messages = batch.messages().into_iter().map(|k| (at, batch.message(k)));
        self.open.extend(messages);
        self.did("settlement");
    }

    /// Imports of sends that came back are in the queue again.
    fn credit_returns(&mut self, at: usize, receipt: &alloy::rpc::types::TransactionReceipt) {
        use alloy::sol_types::SolEvent;
        for log in receipt.inner.logs() {
            if let Ok(entry) = RollupChain::QueueEntry::decode_log(&log.inner) {
                let token = entry.words[0].to::<u64>() >> 28 != 0;
                *self.held.entry((at, token)).or_default() += entry.words[1].to::<u128>();
            }
        }
    }

    /// What was taken before, once more: refused.
    async fn take_again(&mut self) {
        let (from, at) = (self.random(CHAINS), self.random(CHAINS));
        let Some(lane) = self
            .net
            .lanes
            .get(&(from, at))
            .filter(|lane| lane.taken > 0)
        else {
            return;
        };
        if self.halted[at] {
            return;
        }
        let entry = lane.entries[lane.taken - 1].clone();
        let tail = (lane.taken < lane.entries.len()).then(|| lane.tail_from(lane.taken + 1));
        let records = vec![self.net.takes(from, at, &entry)];
        let refused = self
            .net
            .try_settle(at, records, tail.into_iter().collect())
            .await;
        let reason = name(refused);
        assert!(
            ["LaneMismatch", "TakeWithoutSend"].contains(&reason),
            "{reason}"
        );
        self.did("second take");
    }

    async fn claim(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let index = self.random(self.open.len());
        let (_, message) = self.open.remove(index);
        let to = Address::from_word(message.words[2].to_be_bytes().into());
        let call = claim(&message, to);
        let stranger = self.net.world.user(8);
        self.net.send(stranger, &call).await.unwrap();
        assert_eq!(name(self.net.send(stranger, &call).await), "MessageUsed");
        self.did("claim");
    }

    /// Some of what a lane holds goes back, if it may.
    async fn bounce(&mut self) {
        let (from, to) = (self.random(CHAINS), self.random(CHAINS));
        let Some(lane) = self.net.lanes.get(&(from, to)).cloned() else {
            return;
        };
        let waiting = lane.entries.len() - lane.taken;
        if waiting == 0 {
            return;
        }
        let count = 1 + self.random(waiting.min(3));
        let entries = &lane.entries[lane.taken..lane.taken + count];
        let tail: Tail = lane.tail_from(lane.taken + count);
        let may = self.halted[to] || self.net.world.now().await >= tail.time + 7 * DAY;
        let done = self.net.bounce(from, to, entries, tail.clone()).await;
        if !may {
            return assert_eq!(name(done), "BounceTooEarly");
        }
        let receipt = done.unwrap();
        let again = name(self.net.bounce(from, to, entries, tail).await);
        assert_eq!(again, "LaneMismatch");
        if let Some(lane) = self.net.lanes.get_mut(&(from, to)) {
            lane.taken += count;
        }
        *self.went_back.entry(to).or_default() += count as u64;
        for event in lane_events(&receipt) {
            let LaneEvent::Bounced {
                token,
                amount,
                sender,
                home,
                ..
            } = event
            else {
                panic!("{event:?}")
            };
            assert_eq!(home, !self.halted[from] && !amount.is_zero());
            let (token, amount) = (self.is_token(token), amount.to::<u128>());
            match home {
                true => *self.held.entry((from, token)).or_default() += amount,
                false => *self.bounced.entry((sender, token)).or_default() += amount,
            }
            self.did(if home {
                "bounce home"
            } else {
                "bounce to collect"
            });
        }
    }

    async fn collect(&mut self) {
        let all: Vec<_> = self
            .bounced
            .iter()
            .map(|(key, amount)| (*key, *amount))
            .collect();
        if all.is_empty() {
            return;
        }
        let ((owner, token), amount) = all[self.random(all.len())];
        let to = Address::repeat_byte(0x70);
        let before = self.owned(to, token).await;
        let call = SharedBridge::collectBouncedCall {
            owner,
            token: if token { self.net.token } else { Address::ZERO },
            to,
        };
        let done = self.net.send(owner, &call).await;
        if amount == 0 {
            return assert_eq!(name(done), "NothingToPay");
        }
        done.unwrap();
        assert_eq!(self.owned(to, token).await - before, U256::from(amount));
        self.bounced.insert((owner, token), 0);
        self.did("collection");
    }

    /// A lane closes or opens on one side.
    async fn change_lane(&mut self) {
        let (from, to) = (self.random(CHAINS), self.random(CHAINS));
        let open = self.random(3) > 0;
        if from != to {
            self.net.set_lane(from, to, open).await;
        }
    }

    async fn step(&mut self) -> &'static str {
        match self.random(20) {
            0 | 1 => {
                self.deposit().await;
                "a deposit"
            }
            2..=9 => {
                self.settle().await;
                "a settlement"
            }
            10..=13 => {
                self.bounce().await;
                "a bounce"
            }
            14 | 15 => {
                self.claim().await;
                "a claim"
            }
            16 => {
                self.take_again().await;
                "a second take"
            }
            17 => {
                self.collect().await;
                "a collection"
            }
            18 => {
                self.change_lane().await;
                "a lane"
            }
            _ => {
                self.net.world.warp(DAY / 2).await;
                "half a day"
            }
        }
    }
}

async fn history(seed: u64, steps: usize) {
    let mut model = Model::new(seed).await;
    for step in 0..steps {
        let what = model.step().await;
        model.check(&format!("step {step}, {what}")).await;
        // Two chains end, one after the other.
        let ends = [(steps * 6 / 10, 1), (steps * 8 / 10, 2)];
        if let Some((_, at)) = ends.into_iter().find(|(when, _)| *when == step) {
            model.net.halt(at).await;
            model.halted[at] = true;
            model.check("a halt").await;
        }
    }
    println!("{:?}", model.done);
    let needed = [
        "deposit",
        "send",
        "take",
        "return",
        "second take",
        "claim",
        "bounce home",
        "bounce to collect",
        "collection",
    ];
    for what in needed {
        assert!(
            model.done.contains_key(what),
            "no {what}: the history is too dull"
        );
    }
}

#[tokio::test]
async fn escrow_transit_and_bounced_are_what_the_bridge_holds_1() {
    history(241, 400).await;
}

#[tokio::test]
async fn escrow_transit_and_bounced_are_what_the_bridge_holds_2() {
    history(242, 400).await;
}
