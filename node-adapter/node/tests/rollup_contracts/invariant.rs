//! Random histories against a plain model: what the bridge holds of each token is what the accounts
//! hold, plus what waits in the queue, plus what is not yet claimed; nobody is paid twice; and at
//! the end, after a halt, everybody gets all of it.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use carillon_settlement::SettlementError;
use carillon_settlement::abi::ISharedBridge::Message;
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::interop::{Bundle, InteropContract, Place, Ran, alias_address};
use rand::Rng;

use super::bridge::claim;
use super::common::batch::{Batch, Record, address_word, masked, record};
use super::common::state::{Account, State};
use super::common::world::{CHAIN_ID, World, name};
use super::test_contracts::PlainToken;

const USERS: usize = 4;
const TOKENS: [u8; 2] = [0, 1];

/// What should be.
struct Model {
    world: World,
    token: Address,
    state: State,
    number: u64,
    queue: Vec<Record>,
    executed: usize,
    open: Vec<Message>,
    used: Vec<Message>,
    /// By their hashes.
    bundles: BTreeMap<U256, Bundle>,
    handler: InteropContract,
    halted: bool,
}

fn account_of(user: usize) -> u32 {
    (user as u32 - 1) * (1 << 22) + 3
}

fn amount_of(record: &Record) -> u128 {
    record[1].to::<u128>()
}

fn token_of(record: &Record) -> u8 {
    (record[0].to::<u64>() >> 28) as u8
}

fn kind_of(record: &Record) -> u8 {
    (record[0].to::<u64>() & 15) as u8
}

impl Model {
    async fn new(seed: u64) -> Self {
        let state = State::default();
        let world = World::with(seed, state.root(), |options| options.hand_over = false).await;
        let token = world.create(&PlainToken::BYTECODE).await;
        let governor = world.user(0);
        world.list(1, token).await.unwrap();
        for user in 1..=USERS {
            let mint = PlainToken::mintCall {
                to: world.user(user),
                amount: U256::from(1_000_000),
            };
            world.send(governor, token, &mint).await.unwrap();
            let approve = PlainToken::approveCall {
                spender: world.l1.bridge,
                value: U256::MAX,
            };
            let from = world.user(user);
            world.send(from, token, &approve).await.unwrap();
        }
        Self {
            handler: InteropContract::at(world.client.clone(), world.l1.handler),
            bundles: BTreeMap::new(),
            halted: false,
            world,
            token,
            state,
            number: 0,
            queue: Vec::new(),
            executed: 0,
            open: Vec::new(),
            used: Vec::new(),
        }
    }

    fn random(&mut self, below: usize) -> usize {
        self.world.rng.gen_range(0..below)
    }

    fn user(&mut self) -> usize {
        1 + self.random(USERS)
    }

    /// The invariant.
    async fn check(&self, step: &str) {
        for token in TOKENS {
            let held: u128 = self
                .state
                .0
                .values()
                .map(|account| account.balances.get(&token).copied().unwrap_or(0))
                .sum();
            let waiting: u128 = self.queue[self.executed..]
                .iter()
                .filter(|entry| token_of(entry) == token)
                .map(amount_of)
                .sum();
            let unclaimed: u128 = self
                .open
                .iter()
                .filter(|message| token_of(&message.words) == token)
                .map(|message| amount_of(&message.words))
                .sum();
            let expected = U256::from(held + waiting + unclaimed);
            assert_eq!(
                self.world.escrow(token).await,
                expected,
                "escrow of token {token} after {step}"
            );
            let owned = self.owned(self.world.l1.bridge, token).await;
            assert_eq!(owned, expected, "the bridge's token {token} after {step}");
        }
    }

    async fn owned(&self, of: Address, token: u8) -> U256 {
        if token == 0 {
            return self.world.balance(of).await;
        }
        let call = PlainToken::balanceOfCall { account: of };
        self.world.view(self.token, &call).await.unwrap()
    }

    async fn deposit(&mut self) {
        let (user, token) = (self.user(), self.random(2) as u8);
        let amount = 1 + self.random(1000) as u128;
        let from = self.world.user(user);
        if token == 0 {
            self.world.deposit_eth(from, amount).await.unwrap();
        } else {
            self.world.deposit_token(from, 1, amount).await.unwrap();
        }
        self.queue
            .push(record(2, 0, token, amount, address_word(from)));
    }

    /// Sometimes of an account that is another's.
    async fn request_exit(&mut self) {
        let (asker, user, token) = (self.user(), self.user(), self.random(2) as u8);
        let from = self.world.user(asker);
        let entry = record(7, account_of(user), token, 0, address_word(from));
        let account = u64::from(account_of(user));
        let asked = self.world.request_exit(from, account, token.into()).await;
        if self.queue[self.executed..].contains(&entry) {
            assert_eq!(name(asked), "ExitAlreadyOpen");
        } else {
            asked.unwrap();
            self.queue.push(entry);
        }
    }

    /// Executes some of the queue and some operations; returns the batch and the state after it.
    fn next_batch(&mut self) -> (Batch, State) {
        let mut state = self.state.clone();
        let mut records = Vec::new();
        let pending = self.queue.len() - self.executed;
        let take = if pending == 0 {
            0
        } else {
            self.random(pending + 1)
        };
        for at in self.executed..self.executed + take {
            let entry = self.queue[at];
            let owner = Address::from_word(entry[2].to_be_bytes().into());
            let token = token_of(&entry);
            let mut done = entry;
            if kind_of(&entry) == 7 {
                let index = (entry[0].to::<u64>() >> 4) as u32 & 0xff_ffff;
                let account = state.0.entry(index).or_default();
                if account.owner == owner {
                    let all = account.balances.remove(&token).unwrap_or(0);
                    done[1] = U256::from(all);
                }
            } else {
                let user = (1..=USERS)
                    .find(|user| self.world.user(*user) == owner)
                    .unwrap();
                let account = state.0.entry(account_of(user)).or_default();
                account.owner = owner;
                *account.balances.entry(token).or_default() += amount_of(&entry);
                done[0] += U256::from(account_of(user)) << 4;
            }
            records.push(done);
        }
        for _ in 0..self.random(4) {
            let (user, to, token) = (self.user(), self.user(), self.random(2) as u8);
            // Nobody signs for an account without an owner.
            let Some(account) = state
                .0
                .get_mut(&account_of(user))
                .filter(|account| account.owner != Address::ZERO)
            else {
                continue;
            };
            account.nonce += 1;
            let balance = account.balances.entry(token).or_default();
            let amount = self.world.rng.gen_range(0..=*balance);
            *balance -= amount;
            let owner = account.owner;
            match self.world.rng.gen_range(0..3) {
                0 => {
                    let receiver: &mut Account = state.0.entry(account_of(to)).or_default();
                    *receiver.balances.entry(token).or_default() += amount;
                }
                1 => {
                    let recipient = address_word(self.world.user(to));
                    records.push(record(3, account_of(user), token, amount, recipient));
                }
                _ => {
                    let signed = self.bundle(owner, token);
                    let mut bundle = record(4, account_of(user), token, amount, signed.hash());
                    bundle[3] = address_word(owner);
                    self.bundles.insert(signed.hash(), signed);
                    records.push(bundle);
                }
            }
        }
        let mut batch = self.world.batch(self.number + 1, [0, 0], records);
        (batch.old_root, batch.new_root) = (self.state.root(), state.root());
        (batch, state)
    }

    fn executed(&mut self, batch: &Batch, state: State) {
        self.number += 1;
        self.state = state;
        self.executed += batch.queue_entries() as usize;
        self.open
            .extend(batch.messages().into_iter().map(|k| batch.message(k)));
    }

    async fn settle(&mut self) {
        let (batch, state) = self.next_batch();
        // A forged new root first: refused, and nothing has changed.
        let mut forged = self.world.settle_call(&batch);
        forged.batch.h[2] = U256::from(5);
        let refused = self
            .world
            .try_blob(
                self.world.user(0),
                self.world.l1.chain,
                &forged,
                &batch.blob,
            )
            .await;
        assert_eq!(name(refused), "ProofInvalid");
        self.world.settle(&batch).await.unwrap();
        self.executed(&batch, state);
    }

    /// Commits, and then executes or takes back.
    async fn in_steps(&mut self) {
        let (batch, state) = self.next_batch();
        let stored = self.world.commit(&batch).await.unwrap();
        self.check("a commit").await;
        let proved = self.random(2) == 0;
        if proved {
            self.world.prove(&batch, &stored).await.unwrap();
        }
        if proved && self.random(2) == 0 {
            self.world.execute(&stored).await.unwrap();
            self.executed(&batch, state);
        } else {
            let revert = RollupChain::revertBatchesCall { first: stored };
            let operator = self.world.user(0);
            self.world
                .send(operator, self.world.l1.chain, &revert)
                .await
                .unwrap();
        }
    }

    /// Uses an open message: a claim, or a bundle that is run or given back.
    async fn use_message(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let index = self.random(self.open.len());
        let message = self.open.remove(index);
        let bridge = self.world.l1.bridge;
        let amount = message.words[1];
        let token = token_of(&message.words);
        if kind_of(&message.words) != 4 {
            let to = Address::from_word(message.words[2].to_be_bytes().into());
            let before = self.owned(to, token).await;
            let stranger = self.world.user(8);
            self.world
                .send(stranger, bridge, &claim(&message, to))
                .await
                .unwrap();
            assert_eq!(self.owned(to, token).await - before, amount);
        } else {
            self.use_bundle(&message).await;
        }
        self.used.push(message);
    }

    /// One of four bundles, never the same twice: leaves its amount in the alias account, fails,
    /// sends all that the alias account has back, or was late when it was signed.
    fn bundle(&mut self, owner: Address, token: u8) -> Bundle {
        let place = Place {
            chain_id: CHAIN_ID,
            l1_chain_id: 31337,
            handler: self.world.l1.handler,
        };
        let gas = 1_000_000 + self.bundles.len() as u64;
        let what = self.random(4);
        let deadline = if what == 3 { 0 } else { u64::MAX };
        let bundle = Bundle::new(place, owner, deadline, gas, vec![]);
        match what {
            1 => bundle.returning(9, 0),
            2 => bundle.returning(token, 0),
            _ => bundle,
        }
    }

    /// Runs a bundle, or cancels it if it is late, and notes what came of it.
    async fn use_bundle(&mut self, message: &Message) {
        let bundle = self.bundles[&message.words[2]].clone();
        let (token, amount) = (token_of(&message.words), message.words[1]);
        let account = alias_address(self.world.l1.handler, CHAIN_ID, bundle.owner);
        let before = self.owned(account, token).await;
        let ran = if bundle.deadline == 0 {
            let late = self.handler.execute(message, &bundle).await;
            assert_eq!(refused(late), "DeadlinePassed");
            self.handler.cancel(message, &bundle).await.unwrap();
            None
        } else {
            let early = self.handler.cancel(message, &bundle).await;
            assert_eq!(refused(early), "DeadlineNotPassed");
            Some(self.handler.execute(message, &bundle).await.unwrap())
        };
        let owner = address_word(bundle.owner);
        let mut expected = before;
        if let Some(Ran::Executed { sent_back, .. }) = ran {
            assert!(!bundle.hasReturn || bundle.ret.token == token);
            expected += amount;
            if bundle.hasReturn {
                assert_eq!(sent_back, expected);
                expected = U256::ZERO;
            }
            if !sent_back.is_zero() {
                let sent_back = sent_back.to::<u128>();
                self.queue.push(record(2, 0, token, sent_back, owner));
            }
        } else {
            // A bundle whose alias account had nothing to send back succeeds on a halted chain, too.
            let fails = bundle.ret.token == 9 || self.halted && bundle.hasReturn;
            assert!(bundle.deadline == 0 || fails, "{ran:?}");
            if self.halted {
                expected += amount;
            } else if !amount.is_zero() {
                let amount = amount.to::<u128>();
                self.queue.push(record(5, 0, token, amount, owner));
            }
        }
        assert_eq!(self.owned(account, token).await, expected);
    }

    /// A message that was used, in each way there is.
    async fn use_again(&mut self) {
        if self.used.is_empty() {
            return;
        }
        let index = self.random(self.used.len());
        let message = self.used[index].clone();
        let bridge = self.world.l1.bridge;
        if kind_of(&message.words) == 4 {
            let bundle = self.bundles[&message.words[2]].clone();
            let again = self.handler.execute(&message, &bundle).await;
            assert_eq!(refused(again), "AlreadyHandled");
            let again = self.handler.cancel(&message, &bundle).await;
            assert_eq!(refused(again), "AlreadyHandled");
        } else {
            let to = Address::from_word(message.words[2].to_be_bytes().into());
            let call = claim(&message, to);
            assert_eq!(
                name(self.world.send(to, bridge, &call).await),
                "MessageUsed"
            );
        }
    }

    /// The operator falls silent: everyone leaves, and nothing stays.
    async fn end(&mut self) {
        let chain = self.world.l1.chain;
        if self.executed == self.queue.len() {
            self.deposit().await;
        }
        self.world.warp(8 * 24 * 3600).await;
        let stranger = self.world.user(8);
        let halt = RollupChain::haltCall {};
        self.world.send(stranger, chain, &halt).await.unwrap();
        let bridge = self.world.l1.bridge;
        self.halted = true;
        // What bundles would send back stays in the alias accounts.
        while !self.open.is_empty() {
            let length = self.queue.len();
            self.use_message().await;
            self.queue.truncate(length);
        }
        for (index, account) in self.state.0.clone() {
            for (token, balance) in &account.balances {
                if *balance == 0 || account.owner == Address::ZERO {
                    continue;
                }
                let call = SharedBridge::exitCall {
                    chainId: CHAIN_ID,
                    proof: self.state.proof(index, *token),
                    to: account.owner,
                };
                let before = self.owned(account.owner, *token).await;
                self.world.send(stranger, bridge, &call).await.unwrap();
                let paid = self.owned(account.owner, *token).await - before;
                assert_eq!(paid, U256::from(*balance));
                let again = self.world.send(stranger, bridge, &call).await;
                assert_eq!(name(again), "AlreadyExited");
            }
        }
        for index in self.executed..self.queue.len() {
            let words = masked(&self.queue[index]);
            let owner = Address::from_word(words[2].to_be_bytes().into());
            let call = SharedBridge::recoverCall {
                chainId: CHAIN_ID,
                index: index as u64,
                words,
                to: owner,
            };
            let done = self.world.send(stranger, bridge, &call).await;
            if words[1] == U256::ZERO {
                assert_eq!(name(done), "NothingToPay");
                continue;
            }
            done.unwrap();
            let again = self.world.send(stranger, bridge, &call).await;
            assert_eq!(name(again), "AlreadyRecovered");
        }
        // Accounts without an owner got transfers before any deposit: nobody can ask for these.
        let mut stranded: BTreeMap<u8, u128> = BTreeMap::new();
        for account in self.state.0.values().filter(|a| a.owner == Address::ZERO) {
            for (token, balance) in &account.balances {
                *stranded.entry(*token).or_default() += balance;
            }
        }
        for token in TOKENS {
            let left = U256::from(stranded.get(&token).copied().unwrap_or(0));
            assert_eq!(self.world.escrow(token).await, left);
            assert_eq!(self.owned(bridge, token).await, left);
        }
    }
}

/// The name of the handler's refusal.
fn refused<T: std::fmt::Debug>(result: Result<T, SettlementError>) -> &'static str {
    match result {
        Err(SettlementError::Refused { reason, .. }) => reason.name(),
        other => panic!("must be refused: {other:?}"),
    }
}

async fn history(seed: u64, steps: usize) {
    let mut model = Model::new(seed).await;
    let (mut batches, mut messages) = (0, 0);
    for step in 0..3 * steps {
        // A dull history goes on for a while.
        if step >= steps && batches > 3 && messages > 2 {
            break;
        }
        let what = match model.random(12) {
            0..=3 => {
                model.deposit().await;
                "a deposit"
            }
            4 => {
                model.request_exit().await;
                "a request"
            }
            5 | 6 => {
                model.settle().await;
                batches += 1;
                "a settlement"
            }
            7 | 8 => {
                model.in_steps().await;
                batches += 1;
                "a batch in steps"
            }
            9 | 10 => {
                model.use_message().await;
                messages += 1;
                "a claim"
            }
            _ => {
                model.use_again().await;
                "a second claim"
            }
        };
        model.check(&format!("step {step}, {what}")).await;
    }
    assert!(batches > 3 && messages > 2, "the history is too dull");
    assert_eq!(model.world.root().await, model.state.root());
    model.end().await;
}

#[tokio::test]
async fn escrow_is_what_is_owed_in_random_histories_1() {
    history(63, 40).await;
}

#[tokio::test]
async fn escrow_is_what_is_owed_in_random_histories_2() {
    history(61, 40).await;
}

#[tokio::test]
async fn escrow_is_what_is_owed_in_random_histories_3() {
    history(62, 40).await;
}
