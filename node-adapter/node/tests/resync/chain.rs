//! A chain on anvil whose batches come from the real ledger; proofs come from a known trapdoor.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolEvent;
use blstrs::Scalar;
use carillon_protocol::crypto::jubjub::Point;
use carillon_protocol::crypto::poseidon::commit;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::{Ledger, MAX_DEPTH, Opened, State};
use carillon_protocol::{Kind, Operation, Record};
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::archive::{Batch as Archived, ChainId, Shape};
use ff::Field as _;
use group::Curve;
use jubjub::{AffinePoint, ExtendedPoint, Fr};

use crate::common::batch::{Batch, scalar, word};
use crate::common::blob::Blob;
use crate::common::world::{CHAIN_ID, World};

const SHAPE: Shape = Shape {
    number: 1,
    slots: 8,
    records: 5,
};

pub struct Chain {
    pub world: World,
    pub ledger: Ledger,
    validium: bool,
    /// Account of each user.
    accounts: HashMap<usize, u32>,
}

impl Chain {
    pub async fn new(seed: u64) -> Self {
        let genesis = word(&State::genesis(MAX_DEPTH).root());
        Self::of(World::new(seed, genesis).await, false)
    }

    /// A chain whose batches have no blob.
    pub async fn validium(seed: u64) -> Self {
        let genesis = word(&State::genesis(MAX_DEPTH).root());
        let world = World::with(seed, genesis, |options| options.validium = true).await;
        Self::of(world, true)
    }

    fn of(world: World, validium: bool) -> Self {
        let operator = world.user(0).into_array();
        Self {
            ledger: Ledger::new(world.domain(), MAX_DEPTH, 0, operator),
            world,
            validium,
            accounts: HashMap::new(),
        }
    }

    pub fn id(&self) -> ChainId {
        ChainId {
            l1: 31337,
            contract: self.world.l1.chain,
            chain: CHAIN_ID,
        }
    }

    fn key(user: usize) -> SecretKey {
        SecretKey::from_seed(&[user as u8 + 1; 32])
    }

    /// P, 2P, 4P, 8P with 8P the user's key.
    fn key_proof(user: usize) -> Vec<U256> {
        let key = AffinePoint::from_bytes(Self::key(user).public().to_bytes()).unwrap();
        let mut point = ExtendedPoint::from(key) * Fr::from(8).invert().unwrap();
        let mut words = Vec::new();
        for _ in 0..4 {
            let affine = Point::from_affine(&point.to_affine());
            words.extend([word(&affine.x), word(&affine.y)]);
            point = point.double();
        }
        words
    }

    /// A deposit on L1, executed on L2 as the contract announced it.
    pub async fn deposit(&mut self, user: usize, amount: u128) {
        let owner = self.world.user(user);
        let call = SharedBridge::depositCall {
            chainId: CHAIN_ID,
            token: U256::ZERO,
            amount: U256::from(amount),
            owner,
            keyProof: Self::key_proof(user),
        };
        let bridge = self.world.l1.bridge;
        let value = U256::from(amount);
        let receipt = self.world.send_value(owner, bridge, &call, value).await;
        self.enter(&receipt.unwrap(), Some(user));
    }

    /// An exit asked for on L1, executed on L2.
    pub async fn exit(&mut self, user: usize) {
        let (owner, account) = (self.world.user(user), self.accounts[&user].into());
        let receipt = self.world.request_exit(owner, account, 0).await;
        self.enter(&receipt.unwrap(), None);
    }

    fn enter(&mut self, receipt: &alloy::rpc::types::TransactionReceipt, user: Option<usize>) {
        let logs = receipt.inner.logs().iter();
        let entry = logs
            .filter_map(|log| RollupChain::QueueEntry::decode_log(&log.inner).ok())
            .next()
            .unwrap();
        let record = Record::from_words(&entry.words.map(scalar), 0).unwrap();
        let operation = self.ledger.from_queue(entry.index, &record).unwrap();
        self.ledger.execute(&operation).unwrap();
        if let Some(user) = user {
            self.accounts.insert(user, operation.from);
        }
    }

    pub fn transfer(&mut self, from: usize, to: usize, amount: u128) {
        let (sender, receiver) = (self.accounts[&from], self.accounts[&to]);
        let nonce = self.ledger.account(sender).nonce.into();
        let operation = Operation::transfer(sender, receiver, 0, amount, 1, nonce);
        self.execute(from, operation);
    }

    pub fn withdraw(&mut self, user: usize, amount: u128) {
        self.withdraw_to(user, self.world.user(user), amount);
    }

    pub fn withdraw_to(&mut self, user: usize, to: Address, amount: u128) {
        let account = self.accounts[&user];
        let nonce = self.ledger.account(account).nonce.into();
        let mut operation = Operation::new(Kind::Withdraw, account, 0, amount, 1, nonce);
        operation.words[0] = scalar(U256::from_be_bytes(to.into_word().0));
        self.execute(user, operation);
    }

    fn execute(&mut self, user: usize, operation: Operation) {
        let owner = self.world.user(user).into_array();
        let signed = operation
            .sign(&Self::key(user), self.ledger.domain(), &owner)
            .unwrap();
        self.ledger.execute(&signed).unwrap();
    }

    /// Closes the batch and settles it in one transaction.
    pub async fn settle(&mut self) -> Archived {
        let opened = self.ledger.close();
        self.settle_opened(opened).await
    }

    /// Closes the batch and proves it; L1 does not hear of it.
    pub fn seal(&mut self) -> Archived {
        let opened = self.ledger.close();
        let (batch, mut archived) = self.batch(&opened);
        archived.proof = self.world.settle_call(&batch).proof.proof.to_vec();
        archived
    }

    pub async fn settle_opened(&mut self, opened: Opened) -> Archived {
        let (batch, archived) = self.batch(&opened);
        self.world.settle(&batch).await.unwrap();
        archived
    }

    /// The batch as the contract's calls take it, and as the archive keeps it.
    pub fn batch(&self, opened: &Opened) -> (Batch, Archived) {
        let header = &opened.header;
        let pad = |words: &[Scalar], length: usize| {
            let mut words = words.to_vec();
            words.resize(length, Scalar::ZERO);
            word(&commit(&words))
        };
        let records = header
            .records
            .iter()
            .map(|r| r.to_words().map(|w| word(&w)));
        let roots = [word(&header.old_root), word(&header.new_root)];
        let mut batch = Batch::new(
            self.world.l1.hub,
            CHAIN_ID,
            header.batch_number,
            roots,
            records.collect(),
        );
        let elements: Vec<U256> = opened.blob.iter().map(word).collect();
        batch.blob = Blob::new(&elements);
        batch.validium = self.validium;
        let words = header.to_words();
        batch.c_h = pad(&words, 3 + 5 * SHAPE.records as usize);
        batch.c_b = pad(&opened.blob, SHAPE.slots as usize / 2);
        let archived = Archived {
            chain: self.id(),
            number: header.batch_number,
            shape: SHAPE,
            header: words,
            blob: opened.blob.clone(),
            operations: b"signed operations".to_vec(),
            proof: vec![1; 512],
        };
        (batch, archived)
    }

    /// Three batches: deposits; transfers and a withdrawal; an exit and one more deposit, committed,
    /// taken back, committed again, proved and executed one by one.
    pub async fn story(&mut self) -> Vec<Archived> {
        self.deposit(1, 1_000_000).await;
        self.deposit(2, 500_000).await;
        let first = self.settle().await;
        self.transfer(1, 2, 1_000);
        self.transfer(2, 1, 77);
        self.transfer(1, 2, 5);
        self.withdraw(1, 40_000);
        let second = self.settle().await;
        self.exit(2).await;
        self.deposit(1, 12).await;
        let opened = self.ledger.close();
        let (batch, third) = self.batch(&opened);
        let mut wrong = batch.clone();
        wrong.c_b += U256::ONE;
        let stored = self.world.commit(&wrong).await.unwrap();
        let call = RollupChain::revertBatchesCall { first: stored };
        let (operator, chain) = (self.world.user(0), self.world.l1.chain);
        self.world.send(operator, chain, &call).await.unwrap();
        let stored = self.world.commit(&batch).await.unwrap();
        self.world.prove(&batch, &stored).await.unwrap();
        self.world.execute(&stored).await.unwrap();
        vec![first, second, third]
    }
}
