//! A deployed world with a vault and a handler, and the bundles of one owner in it.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use alloy::primitives::{Address, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::{SolCall, SolConstructor, SolEvent};
use carillon_settlement::abi::ISharedBridge::Message;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::interop::{Bundle, Call, InteropContract, Outcome, Place, alias_address};
use carillon_settlement::{GasLimit, L1Client, Mined, Refusal, SettlementError};

use super::common::batch::{Batch, Record, address_word};
use super::common::world::World as Base;
use carillon_testing::contracts::{PlainToken, ShareVault};

pub use super::common::world::CHAIN_ID as CHAIN;

/// Token slots of the chain.
pub const ETH: u8 = 0;
pub const PLAIN: u8 = 1;
pub const SHARE: u8 = 2;
/// The chain's queue delay: a week.
const QUEUE_DELAY: u64 = 7 * 24 * 3_600;

pub struct World {
    base: Base,
    pub handler: InteropContract,
    pub token: Address,
    pub vault: Address,
    root: U256,
    batch: u64,
}

impl Deref for World {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl World {
    /// A chain with a genesis root, and nothing in it.
    pub async fn start(root: U256) -> Self {
        let base = Base::with(55, root, |options| options.hand_over = false).await;
        let token = base.create(&PlainToken::BYTECODE).await;
        let arguments = ShareVault::constructorCall { asset_: token }.abi_encode();
        let code = [ShareVault::BYTECODE.as_ref(), &arguments].concat();
        let vault = base.create(&code.into()).await;
        base.list(PLAIN.into(), token).await.unwrap();
        base.list(SHARE.into(), vault).await.unwrap();
        Self {
            handler: InteropContract::at(base.client.clone(), base.l1.handler),
            base,
            token,
            vault,
            root,
            batch: 0,
        }
    }

    /// A chain that holds 1,000,000 wei and as many tokens, deposited by the operator for itself
    /// and executed in batch 1.
    pub async fn new() -> Self {
        let mut world = Self::start(U256::from(1)).await;
        let (me, token) = (world.user(0), world.token);
        let base = &world.base;
        let amount = 1_000_000;
        let mint = PlainToken::mintCall {
            to: me,
            amount: U256::from(amount),
        };
        base.send(me, token, &mint).await.unwrap();
        let approve = PlainToken::approveCall {
            spender: base.l1.bridge,
            value: U256::from(amount),
        };
        base.send(me, token, &approve).await.unwrap();
        base.deposit_eth(me, amount).await.unwrap();
        base.deposit_token(me, PLAIN, amount).await.unwrap();
        let records = world.queue(0).await;
        assert_eq!(records.len(), 2);
        world.settle(&records).await;
        world
    }

    /// Settles the next batch with these records; returns the messages that it sent, by record.
    pub async fn settle(&mut self, records: &[Record]) -> HashMap<usize, Message> {
        let root = self.root + U256::from(1);
        self.settle_to(records, root).await
    }

    /// The same with a given new root.
    pub async fn settle_to(&mut self, records: &[Record], root: U256) -> HashMap<usize, Message> {
        self.batch += 1;
        let batch = Batch::new(
            self.l1.hub,
            CHAIN,
            self.batch,
            [self.root, root],
            records.to_vec(),
        );
        self.settle_batch(&batch).await;
        self.root = root;
        batch
            .messages()
            .into_iter()
            .map(|k| (k, batch.message(k)))
            .collect()
    }

    /// Settles a batch.
    pub async fn settle_batch(&mut self, batch: &Batch) {
        self.base.settle(batch).await.unwrap();
    }

    /// The chain's root on L1.
    pub async fn state_root(&self) -> U256 {
        self.base.root().await
    }

    /// The entries of the chain's queue from `start` on.
    pub async fn queue(&self, start: u64) -> Vec<Record> {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.l1.chain)
            .event_signature(RollupChain::QueueEntry::SIGNATURE_HASH)
            .from_block(0);
        let logs = self.provider.get_logs(&filter).await.unwrap();
        logs.iter()
            .map(|log| RollupChain::QueueEntry::decode_log(&log.inner).unwrap())
            .filter(|entry| entry.index >= start)
            .map(|entry| entry.words)
            .collect()
    }

    /// Ends the chain: an entry of the queue waits for too long.
    pub async fn halt(&self) {
        let me = self.user(0);
        self.deposit_eth(me, 1).await.unwrap();
        self.warp(QUEUE_DELAY + 2).await;
        let halt = RollupChain::haltCall {};
        self.base.send(me, self.l1.chain, &halt).await.unwrap();
    }

    /// Sends a call as the operator.
    pub async fn send(&self, to: Address, call: &impl SolCall) -> Result<Mined, SettlementError> {
        let input = call.abi_encode().into();
        self.client
            .transact("test", Some(to), input, GasLimit::Estimate)
            .await
    }

    /// The same as another of anvil's accounts.
    pub async fn send_as(&self, from: Address, to: Address, call: &impl SolCall) {
        self.base.send(from, to, call).await.unwrap();
    }

    /// Sends wei without a call.
    pub async fn donate(&self, signer: usize, to: Address, wei: u64) {
        let request = TransactionRequest {
            from: Some(self.user(signer)),
            to: Some(to.into()),
            value: Some(U256::from(wei)),
            ..Default::default()
        };
        let before = self.base.balance(to).await;
        let sent = self.provider.send_transaction(request).await.unwrap();
        drop(sent);
        while self.base.balance(to).await == before {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Reads.
    pub async fn read<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        self.view(to, &call).await.unwrap()
    }

    /// The balance of a token; the zero address is ETH.
    pub async fn balance(&self, token: Address, of: Address) -> U256 {
        if token.is_zero() {
            return self.base.balance(of).await;
        }
        self.read(token, PlainToken::balanceOfCall { account: of })
            .await
    }

    /// Where bundles of this world may run.
    pub fn place(&self) -> Place {
        Place {
            chain_id: CHAIN,
            l1_chain_id: 31337,
            handler: self.handler.address(),
        }
    }

    /// The owner of the L2 account in these tests.
    pub fn owner(&self) -> Address {
        self.user(3)
    }

    /// The alias account of [`World::owner`].
    pub fn account(&self) -> Address {
        alias_address(self.handler.address(), CHAIN, self.owner())
    }

    /// Calls of the owner, good for an hour.
    pub async fn bundle(&self, calls: Vec<Call>) -> Bundle {
        let deadline = self.now().await + 3_600;
        Bundle::new(self.place(), self.owner(), deadline, 500_000, calls)
    }

    /// Settles a batch with the bundle's record in it, between two withdrawals.
    pub async fn message(&mut self, bundle: &Bundle, token: u8, amount: u128) -> Message {
        let record = bundle.record(9, token, amount).unwrap();
        self.message_of(record).await
    }

    /// The same with any record.
    pub async fn message_of(&mut self, record: Record) -> Message {
        let to = address_word(self.owner());
        let withdrawal = [U256::from(3), U256::from(1), to, U256::ZERO, U256::ZERO];
        let mut sent = self.settle(&[withdrawal, record, withdrawal]).await;
        sent.remove(&1).unwrap()
    }

    /// What the handler recorded.
    pub async fn outcome(&self, message: &Message) -> Outcome {
        let k = message.k.to::<u64>();
        self.handler
            .outcome(message.chainId, message.batch, k)
            .await
            .unwrap()
    }

    /// The handler, called by another account.
    pub fn handler_as(&self, signer: usize) -> InteropContract {
        InteropContract::at(self.client_as(signer), self.handler.address())
    }

    /// A client with another account's key.
    pub fn client_as(&self, signer: usize) -> L1Client {
        self.client
            .with_signer(self.anvil.signers()[signer].clone())
    }

    /// The import entry that returns an amount to the owner.
    pub fn import(&self, token: u8, amount: u128) -> Record {
        let w0 = U256::from(5 + (u64::from(token) << 28));
        let owner = address_word(self.owner());
        [w0, U256::from(amount), owner, U256::ZERO, U256::ZERO]
    }

    /// Deploys a contract without arguments.
    pub async fn create(&self, code: &Bytes) -> Address {
        self.base.create(code).await
    }
}

/// Why a call was refused: the name of the Solidity error with its arguments.
pub fn reason<T: std::fmt::Debug>(result: Result<T, SettlementError>) -> String {
    match result.expect_err("must be refused") {
        SettlementError::Refused { reason, .. } => reason.to_string(),
        other => panic!("not a refusal: {other}"),
    }
}

/// Revert data by name; errors of `BundleAttacker` stay bytes.
pub fn error_of(data: &Bytes) -> String {
    Refusal::decode(data).to_string()
}
