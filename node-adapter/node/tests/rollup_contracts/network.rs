//! Several chains under one hub and bridge, with their lanes as plain lists beside them.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::SolCall;
use carillon_settlement::Refusal;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::deploy::DeployOptions;
use carillon_settlement::lanes::{LaneEvent, Tail};

use super::common::batch::{Batch, Record, scalar};
use super::common::lane::{Lane, send};
use super::common::world::{CHAIN_ID, PROBE, World};
use super::test_contracts::{HostileChain, PlainToken};

/// A chain: where it is, and how far. Roots count up from its first.
#[derive(Clone)]
pub struct Side {
    pub id: u64,
    pub contract: Address,
    pub number: u64,
    pub root: u64,
    /// Where it has the token: another slot on each chain.
    pub slot: u8,
    pub validium: bool,
}

pub struct Network {
    pub world: World,
    pub token: Address,
    pub sides: Vec<Side>,
    /// By sending and receiving side.
    pub lanes: BTreeMap<(usize, usize), Lane>,
}

impl Network {
    /// Chains with all lanes open, one token, and `funds` of it and of ETH of user 1 in each.
    pub async fn new(seed: u64, chains: usize, funds: u128) -> Self {
        let net = Self::with(seed, chains, funds, |_| {}).await;
        for from in 0..chains {
            for to in (0..chains).filter(|to| *to != from) {
                net.set_lane(from, to, true).await;
            }
        }
        net
    }

    /// Chains with these options and all lanes closed.
    pub async fn with(
        seed: u64,
        chains: usize,
        funds: u128,
        change: impl Fn(&mut DeployOptions),
    ) -> Self {
        let first = |options: &mut DeployOptions| {
            options.hand_over = false;
            change(options);
        };
        let world = World::with(seed, U256::from(10), first).await;
        let token = world.create(&PlainToken::BYTECODE).await;
        let mut network = Self {
            world,
            token,
            sides: Vec::new(),
            lanes: BTreeMap::new(),
        };
        for at in 0..chains {
            network.add(&change).await;
            if funds != 0 {
                for slot in [0, network.sides[at].slot] {
                    network.deposit(at, slot, funds).await.unwrap();
                }
            }
        }
        network
    }

    /// The next chain; the first is the world's own. Lists the token.
    pub async fn add(&mut self, change: impl FnOnce(&mut DeployOptions)) -> usize {
        let at = self.sides.len();
        let id = CHAIN_ID + at as u64;
        let contract = match at {
            0 => self.world.l1.chain,
            _ => {
                let key = self.world.key.key();
                let mut options = DeployOptions::new(id, &scalar(U256::from(10))).verifier(1, key);
                options.least_deposits.clear();
                change(&mut options);
                let client = &self.world.client;
                self.world
                    .l1
                    .add_chain(client, &options)
                    .await
                    .unwrap()
                    .chain
            }
        };
        let slot = 1 + at as u8;
        let validium = RollupChain::validiumCall {};
        let validium = self.world.view(contract, &validium).await.unwrap();
        let side = Side {
            id,
            contract,
            number: 0,
            root: 10,
            slot,
            validium,
        };
        self.sides.push(side);
        let governor = self.world.user(0);
        self.mint(governor, PROBE).await;
        let set = SharedBridge::setTokenCall {
            chainId: id,
            slot: U256::from(slot),
            token: self.token,
            least: U256::ZERO,
        };
        self.send(governor, &set).await.unwrap();
        at
    }

    /// Units of the token for somebody, who approves the bridge.
    pub async fn mint(&self, to: Address, amount: u128) {
        let governor = self.world.user(0);
        let mint = PlainToken::mintCall {
            to,
            amount: U256::from(amount),
        };
        self.world.send(governor, self.token, &mint).await.unwrap();
        let approve = PlainToken::approveCall {
            spender: self.world.l1.bridge,
            value: U256::MAX,
        };
        self.world.send(to, self.token, &approve).await.unwrap();
    }

    /// A call of the bridge.
    pub async fn send<C: SolCall>(
        &self,
        from: Address,
        call: &C,
    ) -> Result<TransactionReceipt, Refusal> {
        self.world.send(from, self.world.l1.bridge, call).await
    }

    pub async fn view<C: SolCall>(&self, call: &C) -> C::Return {
        self.world.view(self.world.l1.bridge, call).await.unwrap()
    }

    /// A deposit of user 1, for himself.
    pub async fn deposit(
        &self,
        at: usize,
        slot: u8,
        amount: u128,
    ) -> Result<TransactionReceipt, Refusal> {
        let owner = self.world.user(1);
        let call = SharedBridge::depositCall {
            chainId: self.sides[at].id,
            token: U256::from(slot),
            amount: U256::from(amount),
            owner,
            keyProof: vec![],
        };
        let value = match slot {
            0 => U256::from(amount),
            _ => {
                self.mint(owner, amount).await;
                U256::ZERO
            }
        };
        let bridge = self.world.l1.bridge;
        self.world.send_value(owner, bridge, &call, value).await
    }

    pub async fn set_lane(&self, side: usize, other: usize, open: bool) {
        let call = SharedBridge::setLaneCall {
            chainId: self.sides[side].id,
            other: self.sides[other].id,
            open,
        };
        self.send(self.world.user(0), &call).await.unwrap();
    }

    /// From user 1 to user 2: `slot` is 0 for ETH, otherwise the token's.
    pub fn entry(&self, token: bool, amount: u128, memo: u64) -> LaneEntry {
        LaneEntry {
            token: if token { self.token } else { Address::ZERO },
            amount: U256::from(amount),
            sender: self.world.user(1),
            recipient: self.world.user(2),
            memo: U256::from(memo),
        }
    }

    /// The slot of an entry's token.
    pub fn slot(&self, at: usize, entry: &LaneEntry) -> u8 {
        match entry.token {
            Address::ZERO => 0,
            _ => self.sides[at].slot,
        }
    }

    /// The record of a send.
    pub fn sends(&self, from: usize, to: usize, entry: &LaneEntry) -> Record {
        let amount = entry.amount.to::<u128>();
        send(5, self.slot(from, entry), amount, self.sides[to].id, entry)
    }

    /// The record of a take.
    pub fn takes(&self, from: usize, to: usize, entry: &LaneEntry) -> Record {
        super::common::lane::take(6, self.slot(to, entry), self.sides[from].id, entry)
    }

    /// The next batch of a chain.
    pub fn batch(&self, at: usize, records: Vec<Record>) -> Batch {
        let side = &self.sides[at];
        let roots = [side.root, side.root + 1].map(U256::from);
        let batch = Batch::new(self.world.l1.hub, side.id, side.number + 1, roots, records);
        Batch {
            validium: side.validium,
            ..batch
        }
    }

    fn call(&mut self, batch: &Batch, tails: Vec<Tail>) -> RollupChain::settleCall {
        let call = self.world.settle_call(batch);
        RollupChain::settleCall { tails, ..call }
    }

    /// Whether the next batch of a chain could be settled.
    pub async fn try_settle(
        &mut self,
        at: usize,
        records: Vec<Record>,
        tails: Vec<Tail>,
    ) -> Result<u64, Refusal> {
        let batch = self.batch(at, records);
        let call = self.call(&batch, tails);
        let (operator, contract) = (self.world.user(0), self.sides[at].contract);
        self.world
            .try_blob(operator, contract, &call, &batch.blob)
            .await
    }

    /// Settles the next batch of a chain.
    pub async fn settle(
        &mut self,
        at: usize,
        records: Vec<Record>,
        tails: Vec<Tail>,
    ) -> Result<TransactionReceipt, Refusal> {
        let batch = self.batch(at, records);
        let call = self.call(&batch, tails);
        let contract = self.sides[at].contract;
        let receipt = self
            .world
            .send_blob(0, contract, &call, &batch.blob)
            .await?;
        self.settled(at, &receipt).await;
        Ok(receipt)
    }

    /// Notes an executed batch, and what it sent.
    pub async fn settled(&mut self, at: usize, receipt: &TransactionReceipt) -> Vec<LaneEvent> {
        self.sides[at].number += 1;
        self.sides[at].root += 1;
        let id = self.sides[at].id;
        let events = lane_events(receipt);
        let time = self.world.time_of(receipt).await;
        let mut touched = Vec::new();
        for event in &events {
            if let LaneEvent::Sent {
                to, index, entry, ..
            } = event
            {
                let to = (to - CHAIN_ID) as usize;
                let there = self.sides[to].id;
                let lane = self.lanes.entry((at, to));
                let lane = lane.or_insert_with(|| Lane::new(id, there));
                assert_eq!(*index, lane.entries.len() as u64);
                lane.entries.push(entry.clone());
                touched.push(to);
            }
        }
        touched.dedup();
        for to in touched {
            if let Some(lane) = self.lanes.get_mut(&(at, to)) {
                lane.mark(time);
            }
        }
        events
    }

    pub async fn escrow(&self, at: usize, slot: u8) -> u128 {
        let call = SharedBridge::escrowCall {
            chainId: self.sides[at].id,
            token: U256::from(slot),
        };
        self.view(&call).await.to::<u128>()
    }

    pub async fn reserved(&self, at: usize, slot: u8) -> u128 {
        let call = SharedBridge::reservedCall {
            chainId: self.sides[at].id,
            slot: U256::from(slot),
        };
        self.view(&call).await.to::<u128>()
    }

    pub async fn transit(&self, from: usize, to: usize, token: Address) -> u128 {
        let call = SharedBridge::transitCall {
            from: self.sides[from].id,
            to: self.sides[to].id,
            token,
        };
        self.view(&call).await.to::<u128>()
    }

    /// How many entries went into all lanes to a chain, and how many bounced.
    pub async fn arrivals(&self, to: usize) -> (u64, u64) {
        let to = self.sides[to].id;
        let found = self.view(&SharedBridge::arrivalsCall { to }).await;
        (found.sent, found.bounced)
    }

    pub async fn bounced(&self, owner: Address, token: Address) -> u128 {
        let call = SharedBridge::bouncedCall { owner, token };
        self.view(&call).await.to::<u128>()
    }

    /// Gives entries of a lane back.
    pub async fn bounce(
        &self,
        from: usize,
        to: usize,
        entries: &[LaneEntry],
        tail: Tail,
    ) -> Result<TransactionReceipt, Refusal> {
        let call = SharedBridge::bounceCall {
            from: self.sides[from].id,
            to: self.sides[to].id,
            entries: entries.to_vec(),
            tail: tail.into(),
        };
        self.send(self.world.user(8), &call).await
    }

    /// Ends a chain, of which an entry of the queue waits.
    pub async fn halt(&self, at: usize) {
        self.world.warp(8 * 24 * 3600).await;
        let contract = self.sides[at].contract;
        let halt = RollupChain::haltCall {};
        self.world
            .send(self.world.user(8), contract, &halt)
            .await
            .unwrap();
    }

    /// Lets a contract send transactions.
    pub async fn impersonate(&self, contract: Address) {
        for (method, params) in [
            ("anvil_impersonateAccount", serde_json::json!([contract])),
            (
                "anvil_setBalance",
                serde_json::json!([contract, "0xde0b6b3a7640000"]),
            ),
        ] {
            let provider = &self.world.provider;
            let done = provider.raw_request(method.into(), params);
            let _: serde_json::Value = done.await.unwrap();
        }
    }

    /// A contract on this side that does whatever its governor likes.
    pub async fn make_hostile(&self, at: usize) {
        let code = HostileChain::DEPLOYED_BYTECODE.to_string();
        self.set_code(self.sides[at].contract, &code).await;
    }

    /// Puts another code in a contract's place.
    pub async fn set_code(&self, of: Address, code: &str) {
        let request = serde_json::json!([of, code]);
        let set = self
            .world
            .provider
            .raw_request("anvil_setCode".into(), request);
        let _: serde_json::Value = set.await.unwrap();
    }
}

/// What the bridge announced of lanes.
pub fn lane_events(receipt: &TransactionReceipt) -> Vec<LaneEvent> {
    let logs = receipt.inner.logs().iter();
    logs.filter_map(|log| LaneEvent::decode(&log.inner).unwrap())
        .collect()
}
