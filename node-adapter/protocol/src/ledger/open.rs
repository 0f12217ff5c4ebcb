//! The state after the last sealed batch, and the batch being filled on top of it.
//!
//! Operations change accounts at once; the tree is hashed when the batch is closed. Pure:
//! `carillon-node` keeps what was accepted on disk and replays it through here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use blstrs::Scalar;

use super::account::Account;
use super::rules::{self, RuleError, Signed};
use super::state::State;
use crate::{Domain, Header, Kind, Operation, Record, blob_elements, owner_word};

/// The capacity of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Operations.
    pub slots: usize,
    /// Distinct balances.
    pub cells: usize,
    /// Records.
    pub records: usize,
}

/// A closed batch: its operations and its public data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its operations in order.
    pub operations: Vec<Operation>,
    /// H.
    pub header: Header,
    /// B.
    pub blob: Vec<Scalar>,
}

/// The state, and the operations on top of it.
#[derive(Clone, Debug)]
pub struct Ledger {
    domain: Domain,
    operator: u32,
    /// The bridge on L1; zeros for none.
    bridge: [u8; 20],
    /// After the last sealed batch.
    state: State,
    /// Number of the batch being filled.
    number: u64,
    operations: Vec<Operation>,
    /// Accounts that those have changed.
    touched: BTreeMap<u32, Account>,
    /// Balances that those touch.
    cells: BTreeSet<(u32, u8)>,
    records: usize,
    /// Account of each owner.
    owners: HashMap<[u8; 20], u32>,
    /// Accounts that were some owners' on a state that counts no more: nobody else's.
    reserved: HashMap<[u8; 20], u32>,
    /// Lowest index that may be unused.
    next_unused: u32,
}

impl Ledger {
    /// A ledger at genesis. Account `operator` takes the fees and belongs to `operator_owner`, whose
    /// deposits open it; other owners get the lowest unused index.
    pub fn new(domain: Domain, depth: usize, operator: u32, operator_owner: [u8; 20]) -> Self {
        Self {
            domain,
            operator,
            bridge: [0; 20],
            state: State::genesis(depth),
            number: 1,
            operations: Vec::new(),
            touched: BTreeMap::new(),
            cells: BTreeSet::new(),
            records: 0,
            owners: HashMap::from([(operator_owner, operator)]),
            reserved: HashMap::new(),
            next_unused: 0,
        }
    }

    /// A ledger on a state that was sealed before, as on restart; `number` is that of the next batch.
    pub fn resume(
        domain: Domain,
        operator: u32,
        operator_owner: [u8; 20],
        state: State,
        number: u64,
    ) -> Self {
        let mut ledger = Self::new(domain, state.depth(), operator, operator_owner);
        // After a change of operators the account may be another owner's, and stays it.
        let mut owner = state.account(operator).map(|account| account.owner);
        owner = owner.filter(|owner| *owner != [0; 20] && *owner != operator_owner);
        if owner.is_some() {
            ledger.owners.remove(&operator_owner);
        }
        for (index, account) in state.accounts() {
            if account.owner != [0; 20] {
                ledger.owners.entry(account.owner).or_insert(index);
            }
        }
        (ledger.state, ledger.number) = (state, number);
        ledger
    }

    /// The same, with accounts that were these owners' before the state was taken back. Transfers name an account by its
    /// index alone: one that was signed then must never pay another owner.
    #[must_use]
    pub fn with_reserved(mut self, accounts: impl IntoIterator<Item = ([u8; 20], u32)>) -> Self {
        for (owner, index) in accounts {
            self.reserved.insert(owner, index);
            self.next_unused = self.next_unused.max(index.saturating_add(1));
        }
        self
    }

    /// The account of each owner, of those, too, for whom one is reserved.
    pub fn owners(&self) -> impl Iterator<Item = ([u8; 20], u32)> {
        let reserved = self.reserved.iter();
        let reserved = reserved.filter(|(owner, _)| !self.owners.contains_key(*owner));
        let all = self.owners.iter().chain(reserved);
        all.map(|(owner, index)| (*owner, *index))
    }

    /// The same, refusing withdrawals to the bridge: they could not be claimed.
    #[must_use]
    pub fn with_bridge(mut self, bridge: [u8; 20]) -> Self {
        self.bridge = bridge;
        self
    }

    /// Chain and deployment.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Account that takes the fees.
    pub fn operator(&self) -> u32 {
        self.operator
    }

    /// Number of the batch being filled.
    pub fn batch_number(&self) -> u64 {
        self.number
    }

    /// The state after the last sealed batch.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Operations of the batch being filled.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Accounts that they have changed, as they are now.
    pub fn touched(&self) -> &BTreeMap<u32, Account> {
        &self.touched
    }

    /// An account now.
    pub fn account(&self, index: u32) -> Account {
        let sealed = || self.state.account(index);
        let account = self.touched.get(&index).or_else(sealed);
        account.cloned().unwrap_or_default()
    }

    /// The account of an owner: its first one, or where a deposit would open one.
    pub fn account_for(&self, owner: &[u8; 20]) -> u32 {
        let known = self.owners.get(owner).or_else(|| self.reserved.get(owner));
        if let Some(index) = known {
            return *index;
        }
        let unused =
            |index: &u32| *index != self.operator && self.account(*index) == Account::default();
        (self.next_unused..).find(unused).unwrap_or(u32::MAX)
    }

    /// Whether an operation fits into the batch.
    pub fn fits(&self, operation: &Operation, budget: &Budget) -> bool {
        let new = self.cells_of(operation);
        let new = new.iter().filter(|cell| !self.cells.contains(cell)).count();
        self.operations.len() < budget.slots
            && self.cells.len() + new <= budget.cells
            && self.records + usize::from(operation.kind.has_record()) <= budget.records
    }

    /// Checks an operation's signature against the present state, without executing it.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn check(&self, operation: &Operation) -> Result<(), RuleError> {
        self.apply(operation, self.signed(operation)).map(|_| ())
    }

    /// Checks an operation and executes it.
    ///
    /// # Errors
    /// [`RuleError`]; nothing has changed then.
    pub fn execute(&mut self, operation: &Operation) -> Result<(), RuleError> {
        self.execute_as(operation, self.signed(operation))
    }

    /// Checks all but the signature, which was checked before against the account's present key and
    /// owner, and executes the operation.
    ///
    /// # Errors
    /// [`RuleError`]; nothing has changed then.
    pub fn execute_verified(&mut self, operation: &Operation) -> Result<(), RuleError> {
        self.execute_as(operation, Signed::Verified)
    }

    /// Executes an operation that was accepted before, as on restart: the signature is not looked at,
    /// and neither are the rules of admission, which may have become stricter.
    ///
    /// # Errors
    /// [`RuleError`] if it does not follow from the state, or could not be proved or settled; nothing
    /// has changed then.
    pub fn execute_accepted(&mut self, operation: &Operation) -> Result<(), RuleError> {
        self.execute_as(operation, Signed::Accepted)
    }

    /// The operation that executes an entry of the L1 queue on the present state, or that takes in
    /// what was sent on another chain or comes back. `index` is its place there: what names the
    /// operation beside its fields.
    ///
    /// # Errors
    /// [`RuleError::Word`] for an entry that neither contract nor another chain makes.
    pub fn from_queue(&self, index: u64, entry: &Record) -> Result<Operation, RuleError> {
        let [w2, ..] = entry.words;
        let mut operation = Operation {
            words: entry.words,
            ..Operation::new(
                entry.kind,
                entry.account,
                entry.token,
                entry.amount,
                0,
                index,
            )
        };
        match entry.kind {
            Kind::Deposit | Kind::Import | Kind::Take | Kind::Return => {
                let owner = rules::address(&w2).ok_or(RuleError::Word { word: 2 })?;
                operation.from = self.account_for(&owner);
                if entry.kind.is_between_chains() {
                    // What L1 would refuse must not come into a batch.
                    operation.check_form()?;
                }
            }
            Kind::Exit => {
                operation.amount =
                    rules::exit_amount(&self.account(entry.account), entry.token, &w2);
            }
            _ => return Err(RuleError::Word { word: 0 }),
        }
        Ok(operation)
    }

    /// Closes the batch: hashes the tree, starts the next one. The state before, for the witness,
    /// is what [`Ledger::state`] was; clone the ledger or build the witness first.
    pub fn close(&mut self) -> Opened {
        let old_root = self.state.root();
        self.state.update(std::mem::take(&mut self.touched));
        let operations = std::mem::take(&mut self.operations);
        let header = Header {
            domain: self.domain,
            batch_number: self.number,
            operator: self.operator,
            old_root,
            new_root: self.state.root(),
            records: operations.iter().filter_map(Operation::record).collect(),
        };
        // Executed operations have slots: their form was checked.
        let slots: Vec<u128> = operations.iter().filter_map(|op| op.slot().ok()).collect();
        self.number += 1;
        self.cells.clear();
        self.records = 0;
        Opened {
            operations,
            header,
            blob: blob_elements(&slots),
        }
    }

    fn signed(&self, operation: &Operation) -> Signed {
        if operation.kind.is_signed() {
            Signed::Check {
                domain: self.domain,
            }
        } else {
            Signed::Trusted
        }
    }

    fn apply(&self, operation: &Operation, signed: Signed) -> Result<rules::Outcome, RuleError> {
        // Neither circuit nor L1 refuse it, so what was accepted before must be taken.
        let [w2, ..] = operation.words;
        let recipient = match operation.kind {
            Kind::Withdraw => Some(w2),
            Kind::Send => operation.other_end().ok().map(|end| owner_word(&end.owner)),
            _ => None,
        };
        let to_bridge = self.bridge != [0; 20] && recipient == Some(owner_word(&self.bridge));
        if to_bridge && signed.is_new() {
            return Err(RuleError::ToBridge);
        }
        let account = |index| self.account(index);
        rules::apply(
            operation,
            self.operator,
            self.state.capacity(),
            signed,
            account,
        )
    }

    fn execute_as(&mut self, operation: &Operation, signed: Signed) -> Result<(), RuleError> {
        let outcome = self.apply(operation, signed)?;
        for (index, account) in outcome {
            if account.owner != [0; 20] {
                self.owners.entry(account.owner).or_insert(index);
            }
            self.touched.insert(index, account);
        }
        while self.account(self.next_unused) != Account::default() {
            self.next_unused += 1;
        }
        self.cells.extend(self.cells_of(operation));
        self.records += usize::from(operation.kind.has_record());
        self.operations.push(operation.clone());
        Ok(())
    }

    /// The balances that an operation touches.
    fn cells_of(&self, operation: &Operation) -> Vec<(u32, u8)> {
        let mut cells = vec![(operation.from, operation.token)];
        if operation.kind == Kind::Transfer {
            cells.push((operation.to, operation.token));
        }
        if operation.kind.is_signed() {
            cells.push((self.operator, operation.token));
        }
        cells.sort_unstable();
        cells.dedup();
        cells
    }
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::schnorr::SecretKey;
    use crate::ledger::{ReplayError, replay};
    use crate::{Home, OperationError, Party};

    const CHAIN: Domain = Domain::from_number(270 << 100);

    fn owner(user: u8) -> [u8; 20] {
        [user + 1; 20]
    }

    fn key(user: u8) -> SecretKey {
        SecretKey::from_seed(&[user; 32])
    }

    /// An entry of the queue as the contract makes it, with the owner's key.
    fn deposit(user: u8, token: u8, amount: u128) -> Record {
        let point = key(user).public().coordinates();
        Record {
            kind: Kind::Deposit,
            account: 0,
            token,
            amount,
            words: [owner_word(&owner(user)), point.x, point.y],
        }
    }

    fn enter(ledger: &mut Ledger, entry: &Record) -> Result<u32, RuleError> {
        let operation = ledger.from_queue(0, entry)?;
        ledger.execute(&operation).map(|()| operation.from)
    }

    /// A ledger whose accounts 0, 1 and 2 belong to users 0, 1 and 2, user 0 being the operator.
    fn funded() -> Ledger {
        let mut ledger = Ledger::new(CHAIN, 4, 0, owner(0));
        for user in 0..3 {
            assert_eq!(
                enter(&mut ledger, &deposit(user, 0, 1000)),
                Ok(u32::from(user))
            );
        }
        ledger
    }

    fn signed(ledger: &Ledger, operation: Operation) -> Operation {
        let user = operation.from as u8;
        let nonce = ledger.account(operation.from).nonce.into();
        let operation = Operation { nonce, ..operation };
        operation.sign(&key(user), CHAIN, &owner(user)).unwrap()
    }

    #[test]
    fn every_kind_moves_what_it_says_and_replays() {
        let mut ledger = funded();
        let mut checker = State::genesis(4);
        let root_word = |user| key(user).public().coordinates();
        let withdraw = Operation {
            words: [Scalar::from(7), Scalar::ZERO, Scalar::ZERO],
            ..Operation::new(Kind::Withdraw, 1, 0, 100, 2, 0)
        };
        let bundle = Operation {
            words: [Scalar::from(9), owner_word(&owner(2)), Scalar::ZERO],
            ..Operation::new(Kind::Bundle, 2, 0, 50, 1, 0)
        };
        let set_key = Operation {
            words: [Scalar::ZERO, root_word(9).x, root_word(9).y],
            ..Operation::new(Kind::SetKey, 1, 0, 0, 3, 0)
        };
        for operation in [
            Operation::transfer(1, 2, 0, 300, 5, 0),
            withdraw,
            bundle,
            set_key,
        ] {
            let operation = signed(&ledger, operation);
            ledger.execute(&operation).unwrap();
        }
        assert_eq!(ledger.account(1).balance(0), 1000 - 305 - 102 - 3);
        assert_eq!(ledger.account(2).balance(0), 1000 + 300 - 51);
        assert_eq!(ledger.account(0).balance(0), 1000 + 5 + 2 + 1 + 3);
        // The new key signs from now on.
        let again = signed(&ledger, Operation::transfer(1, 2, 0, 1, 0, 0));
        assert_eq!(
            ledger.execute(&again),
            Err(RuleError::BadSignature { account: 1 })
        );
        let again = again.sign(&key(9), CHAIN, &owner(1)).unwrap();
        ledger.execute(&again).unwrap();
        // An exit pays all to the owner and nothing to anybody else.
        for (who, paid) in [(owner(0), 0), (owner(2), 1000 + 300 - 51 + 1)] {
            let entry = Record {
                kind: Kind::Exit,
                account: 2,
                token: 0,
                amount: 0,
                words: [owner_word(&who), Scalar::ZERO, Scalar::ZERO],
            };
            let operation = ledger.from_queue(0, &entry).unwrap();
            assert_eq!(operation.amount, paid);
            ledger.execute(&operation).unwrap();
        }
        let closed = ledger.close();
        let operations = replay(&mut checker, &closed.header, &closed.blob).unwrap();
        assert_eq!(operations.len(), closed.operations.len());
        assert_eq!(checker.root(), ledger.state().root());
    }

    /// What was sent from one chain is taken on another, by an owner who may be new there, or comes back.
    #[test]
    fn sends_are_taken_elsewhere_and_come_back() {
        let [here, there] = [270, 271];
        let mut ledger = funded();
        let memo = Scalar::from(77);
        let party = |owner, chain| Party::new(owner, chain).to_word();
        let send = |to: Scalar, memo| Operation {
            words: [to, owner_word(&owner(1)), memo],
            ..Operation::new(Kind::Send, 1, 0, 100, 2, 0)
        };
        let to = Party::new(owner(9), there);
        let good = signed(&ledger, send(to.to_word(), memo));
        assert_eq!(good.other_end(), Ok(to));
        ledger.execute(&good).unwrap();
        assert_eq!(ledger.account(1).balance(0), 1000 - 102);
        assert_eq!(ledger.account(0).balance(0), 1000 + 2);

        let form = RuleError::Form;
        let kind = Kind::Send;
        let power = |bit: u64| Scalar::from(2).pow_vartime([bit]);
        let no_party = form(OperationError::Party { kind, word: 2 });
        for (operation, reason) in [
            (send(owner_word(&owner(9)), memo), no_party.clone()),
            (send(to.to_word() + power(224), memo), no_party),
            (
                send(to.to_word(), power(248)),
                form(OperationError::Memo { kind }),
            ),
            (
                Operation {
                    words: [to.to_word(), owner_word(&owner(2)), memo],
                    ..send(to.to_word(), memo)
                },
                RuleError::Word { word: 3 },
            ),
            (
                Operation {
                    words: [to.to_word(), Scalar::ZERO, memo],
                    ..send(to.to_word(), memo)
                },
                form(OperationError::Owner { kind, word: 3 }),
            ),
            (
                Operation {
                    amount: 0,
                    ..send(to.to_word(), memo)
                },
                RuleError::ZeroAmount,
            ),
        ] {
            let operation = signed(&ledger, operation);
            assert_eq!(ledger.execute(&operation), Err(reason));
        }

        // On the other chain nobody has an account yet.
        let mut other = Ledger::new(Domain::from_number(271 << 100), 4, 0, owner(0));
        let taken = |kind, words| Record {
            kind,
            account: 0,
            token: 0,
            amount: 100,
            words,
        };
        let from = Party::new(owner(1), here).to_word();
        let take = taken(Kind::Take, [owner_word(&owner(9)), from, memo]);
        let account = enter(&mut other, &take).unwrap();
        let got = other.account(account);
        assert_eq!((got.owner, got.key, got.balance(0)), (owner(9), None, 100));
        assert_eq!(enter(&mut other, &take), Ok(account));
        assert_eq!(other.account(account).balance(0), 200);
        let mut stranger = other.from_queue(0, &take).unwrap();
        stranger.words[0] = owner_word(&owner(8));
        let wrong = RuleError::WrongOwner { account };
        assert_eq!(other.execute(&stranger), Err(wrong));

        // A leg of a flow comes back to who sent it.
        let leg = Party { leg: Some(1), ..to };
        let back = |party: Scalar| taken(Kind::Return, [owner_word(&owner(1)), party, memo]);
        assert_eq!(
            enter(&mut ledger, &back(to.to_word())),
            Err(form(OperationError::NoFlow))
        );
        let kind = Kind::Return;
        assert_eq!(
            enter(&mut ledger, &back(party([0; 20], there))),
            Err(form(OperationError::Party { kind, word: 3 }))
        );
        assert_eq!(enter(&mut ledger, &back(leg.to_word())), Ok(1));
        assert_eq!(ledger.account(1).balance(0), 1000 - 2);
        assert!(ledger.account(1).key.is_some());
        for mut ledger in [ledger, other] {
            let closed = ledger.close();
            let mut checker = State::genesis(4);
            replay(&mut checker, &closed.header, &closed.blob).unwrap();
            assert_eq!(checker.root(), ledger.state().root());
        }
    }

    #[test]
    fn a_new_operator_s_deposits_do_not_meet_the_old_one_s_account() {
        let mut ledger = funded();
        ledger.close();
        // The same account takes the fees, of another owner; who has no account, or account 2.
        for (user, expected) in [(7, 3), (2, 2)] {
            let state = ledger.state().clone();
            let mut ledger = Ledger::resume(CHAIN, 0, owner(user), state, 2);
            assert_eq!(enter(&mut ledger, &deposit(user, 0, 5)), Ok(expected));
            assert_eq!(enter(&mut ledger, &deposit(user, 0, 5)), Ok(expected));
            assert_eq!(enter(&mut ledger, &deposit(0, 0, 5)), Ok(0));
        }
    }

    #[test]
    fn refusals_change_nothing() {
        let mut ledger = funded();
        let good = signed(&ledger, Operation::transfer(1, 2, 0, 300, 5, 0));
        let change = |f: &dyn Fn(&mut Operation)| {
            let mut operation = good.clone();
            f(&mut operation);
            operation
        };
        let before = format!("{:?}", ledger.touched());
        let bad_signature = RuleError::BadSignature { account: 1 };
        for (operation, reason) in [
            (change(&|op| op.amount += 1), bad_signature.clone()),
            (change(&|op| op.fee += 1), bad_signature.clone()),
            (change(&|op| op.to = 0), bad_signature.clone()),
            (change(&|op| op.token = 1), bad_signature.clone()),
            (
                change(&|op| op.nonce = 1),
                RuleError::Nonce {
                    expected: 0,
                    got: 1,
                },
            ),
            (change(&|op| op.from = 3), RuleError::NoKey { account: 3 }),
            (
                change(&|op| op.from = 256),
                RuleError::NoSuchIndex { account: 256 },
            ),
            (
                signed(&ledger, Operation::transfer(1, 2, 0, 1000, 1, 0)),
                RuleError::Overspend {
                    account: 1,
                    token: 0,
                    balance: 1000,
                    needed: 1001,
                },
            ),
            (
                signed(&ledger, Operation::transfer(1, 5, 0, 1, 1, 0)),
                RuleError::Unused { account: 5 },
            ),
            (
                signed(&ledger, Operation::transfer(1, 2, 0, 0, 1, 0)),
                RuleError::ZeroAmount,
            ),
        ] {
            assert_eq!(ledger.execute(&operation), Err(reason));
        }
        let other_chain = Domain::from_number(271 << 100);
        let other_chain = good.clone().sign(&key(1), other_chain, &owner(1)).unwrap();
        assert_eq!(ledger.execute(&other_chain), Err(bad_signature));
        assert_eq!(format!("{:?}", ledger.touched()), before);
        ledger.execute(&good).unwrap();
        assert_eq!(
            ledger.execute(&good),
            Err(RuleError::Nonce {
                expected: 1,
                got: 0
            })
        );
    }

    /// One chain id, two deployments: an operation signed for one is nothing to the other.
    #[test]
    fn deployments_with_the_same_id_do_not_take_each_others_operations() {
        let home = |hub| Home {
            l1_chain_id: 1,
            hub: [hub; 20],
            bridge: [9; 20],
        };
        let domains = [home(1), home(2)].map(|home| Domain::new(&home, 270));
        let [mut ours, mut theirs] = domains.map(|domain| {
            let mut ledger = Ledger::new(domain, 4, 0, owner(0));
            for user in 0..3 {
                enter(&mut ledger, &deposit(user, 0, 1000)).unwrap();
            }
            ledger
        });
        let order = Operation::transfer(1, 2, 0, 300, 5, 0);
        let order = order.sign(&key(1), domains[0], &owner(1)).unwrap();
        let refused = Err(RuleError::BadSignature { account: 1 });
        assert_eq!(theirs.execute(&order), refused);
        assert_eq!(ours.execute(&order), Ok(()));
        assert_ne!(order.id(domains[0]), order.id(domains[1]));
        assert_ne!(
            ours.close().header.to_words()[0],
            theirs.close().header.to_words()[0]
        );
    }

    #[test]
    fn what_could_never_be_claimed_is_refused() {
        let bridge = [0xbb; 20];
        let mut ledger = funded().with_bridge(bridge);
        let with = |kind, words| {
            let operation = Operation::new(kind, 1, 0, 100, 2, 0);
            signed(&funded(), Operation { words, ..operation })
        };
        let [zero, one] = [Scalar::ZERO, Scalar::ONE];
        let (alice, beyond) = (owner_word(&owner(1)), Scalar::from(2).pow_vartime([160]));
        let hash = |bits| Scalar::from(2).pow_vartime([bits]);
        let form = RuleError::Form;
        for (operation, reason) in [
            (
                with(Kind::Withdraw, [zero; 3]),
                form(OperationError::Recipient),
            ),
            (
                with(Kind::Withdraw, [beyond, zero, zero]),
                form(OperationError::Recipient),
            ),
            (
                with(Kind::Withdraw, [alice, one, zero]),
                RuleError::Word { word: 3 },
            ),
            (
                with(Kind::Withdraw, [alice, zero, one]),
                RuleError::Word { word: 4 },
            ),
            (
                with(Kind::Withdraw, [owner_word(&bridge), zero, zero]),
                RuleError::ToBridge,
            ),
            (
                with(Kind::Send, [Party::new(bridge, 271).to_word(), alice, zero]),
                RuleError::ToBridge,
            ),
            (
                with(Kind::Bundle, [hash(248), alice, zero]),
                form(OperationError::BundleHash),
            ),
        ] {
            assert_eq!(ledger.execute(&operation), Err(reason));
        }
        // The greatest of each is taken.
        let mut next = |kind, words| {
            let operation = Operation::new(kind, 1, 0, 100, 2, 0);
            let operation = signed(&ledger, Operation { words, ..operation });
            ledger.execute(&operation)
        };
        assert_eq!(next(Kind::Withdraw, [beyond - one, zero, zero]), Ok(()));
        assert_eq!(next(Kind::Bundle, [hash(248) - one, alice, zero]), Ok(()));
    }

    /// Rules of admission do not end a restart; what circuit and L1 ask for does.
    #[test]
    fn what_was_accepted_before_is_executed_though_it_is_refused_now() {
        let bridge = [0xbb; 20];
        let mut ledger = funded().with_bridge(bridge);
        let [zero, one] = [Scalar::ZERO, Scalar::ONE];
        let withdrawal = |amount, words| Operation {
            words,
            ..Operation::new(Kind::Withdraw, 1, 0, amount, 2, 0)
        };
        let [w2, beyond] = [bridge, owner(1)].map(|owner| owner_word(&owner));
        let beyond = beyond + Scalar::from(2).pow_vartime([160]);
        let unused = RuleError::Unused { account: 5 };
        for (operation, refused) in [
            (withdrawal(100, [w2, zero, zero]), RuleError::ToBridge),
            (withdrawal(0, [one, zero, zero]), RuleError::ZeroAmount),
            (Operation::transfer(1, 2, 0, 0, 1, 0), RuleError::ZeroAmount),
            (Operation::transfer(1, 5, 0, 7, 1, 0), unused),
        ] {
            let operation = signed(&ledger, operation);
            assert_eq!(ledger.execute(&operation), Err(refused.clone()));
            assert_eq!(ledger.execute_verified(&operation), Err(refused));
            assert_eq!(ledger.execute_accepted(&operation), Ok(()));
        }
        assert_eq!(ledger.account(1).nonce, 4);
        assert_eq!(ledger.account(1).balance(0), 1000 - 102 - 2 - 1 - 8);
        assert_eq!(ledger.account(5).balance(0), 7);

        let good = signed(&ledger, Operation::transfer(1, 2, 0, 1, 1, 0));
        let change = |change: &dyn Fn(&mut Operation)| {
            let mut changed = good.clone();
            change(&mut changed);
            changed
        };
        for (operation, refused) in [
            (
                change(&|op| op.nonce = 3),
                RuleError::Nonce {
                    expected: 4,
                    got: 3,
                },
            ),
            (change(&|op| op.from = 3), RuleError::NoKey { account: 3 }),
            (
                change(&|op| op.amount = 10_000),
                RuleError::Overspend {
                    account: 1,
                    token: 0,
                    balance: 887,
                    needed: 10_001,
                },
            ),
            (
                Operation {
                    nonce: 4,
                    ..withdrawal(1, [w2, one, zero])
                },
                RuleError::Word { word: 3 },
            ),
            (
                Operation {
                    nonce: 4,
                    ..withdrawal(1, [beyond, zero, zero])
                },
                RuleError::Form(OperationError::Recipient),
            ),
        ] {
            assert_eq!(ledger.execute_accepted(&operation), Err(refused));
        }
        let closed = ledger.close();
        let mut checker = State::genesis(4);
        replay(&mut checker, &closed.header, &closed.blob).unwrap();
        assert_eq!(checker.root(), ledger.state().root());
    }

    #[test]
    fn changed_public_data_are_refused() {
        let mut ledger = funded();
        let order = signed(&ledger, Operation::transfer(1, 2, 0, 300, 5, 0));
        ledger.execute(&order).unwrap();
        let closed = ledger.close();
        let genesis = State::genesis(4);
        let try_with =
            |header: &Header, blob: &[Scalar]| replay(&mut genesis.clone(), header, blob);
        try_with(&closed.header, &closed.blob).unwrap();
        let mut header = closed.header.clone();
        header.new_root += Scalar::ONE;
        assert!(matches!(
            try_with(&header, &closed.blob),
            Err(ReplayError::NewRoot { .. })
        ));
        let mut header = closed.header.clone();
        header.records[1].amount += 1;
        assert!(matches!(
            try_with(&header, &closed.blob),
            Err(ReplayError::NewRoot { .. })
        ));
        header.records[1].account += 1;
        assert!(matches!(
            try_with(&header, &closed.blob),
            Err(ReplayError::Record { slot: 1 })
        ));
        header.records.pop();
        assert!(try_with(&header, &closed.blob).is_err());
        let mut header = closed.header.clone();
        header.records.push(closed.header.records[0]);
        assert_eq!(
            try_with(&header, &closed.blob),
            Err(ReplayError::RecordsLeft { left: 1 })
        );
        let mut blob = closed.blob.clone();
        blob[0] += Scalar::from(1 << crate::layout::slot::FROM);
        assert!(try_with(&closed.header, &blob).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn random_histories_conserve_funds_and_replay(
            moves in prop::collection::vec((0u8..3, 0u32..3, 1u128..400, 0u128..5), 1..20)
        ) {
            let mut ledger = funded();
            let mut checker = State::genesis(4);
            let mut accepted = 0;
            for (i, (from, to, amount, fee)) in moves.into_iter().enumerate() {
                let order = Operation::transfer(from.into(), to, 0, amount, fee, 0);
                let order = signed(&ledger, order);
                let rich = ledger.account(from.into()).balance(0) >= amount + fee;
                prop_assert_eq!(ledger.execute(&order).is_ok(), rich);
                accepted += usize::from(rich);
                if i % 7 == 6 {
                    let closed = ledger.close();
                    replay(&mut checker, &closed.header, &closed.blob).unwrap();
                }
            }
            let total: u128 = (0..3).map(|user| ledger.account(user).balance(0)).sum();
            prop_assert_eq!(total, 3000);
            let signed: u32 = (0..3).map(|user| ledger.account(user).nonce).sum();
            prop_assert_eq!(signed as usize, accepted);
            let closed = ledger.close();
            replay(&mut checker, &closed.header, &closed.blob).unwrap();
            prop_assert_eq!(checker.root(), ledger.state().root());
        }
    }
}
