//! The machine that the writer drives, on the ledger: signatures, execution, sealing, restart.
//!
//! Called by `writer`, `rpc` and `service`; everything about the rules is in `carillon_protocol::ledger`.

use blstrs::Scalar;

use std::collections::BTreeMap;

use super::account_forms::{account_from_bytes, account_to_bytes, key_name, owner_name};
use super::machine::{Machine, Refusal, Sealed};
use super::operation;
use super::outbox::Outgoing;
use super::ports::{Line, QueueEntry};
use super::proving;
use super::publish;
use super::rollup_options::RollupOptions;
use super::store::{Part, Store, StoreError};
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::ledger::{Account, Budget, Ledger, RuleError, State, exit_amount};
use carillon_protocol::{Domain, Home, Kind, Operation, Party, Record, blob_bytes};
use carillon_settlement::DataMode;
use carillon_settlement::limits::batch_fits;

/// What `carillon_chain` says of a node, beside its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainFacts {
    /// The chain.
    pub chain_id: u64,
    /// Where its contracts are; the default without Ethereum.
    pub home: Home,
    /// What its operations are signed for.
    pub domain: Domain,
    /// Where its batches' data are.
    pub mode: DataMode,
    /// Slots, cells, records and depth in one word.
    pub shape: String,
    /// Operations of a batch.
    pub slots: usize,
    /// The account that fees go to.
    pub operator: u32,
    /// The key that signs soft confirmations, in hex.
    pub sequencer: String,
    /// What is connected of Ethereum.
    pub l1: &'static str,
}

impl ChainFacts {
    /// The facts of a node without Ethereum.
    pub fn new(options: &RollupOptions, sequencer: &PublicKey) -> Self {
        let Budget {
            slots,
            cells,
            records,
        } = options.budget;
        Self {
            chain_id: options.chain_id,
            home: options.home,
            domain: options.domain(),
            mode: options.mode,
            shape: format!("n{slots}-a{cells}-d{records}-h{}", options.depth),
            slots,
            operator: options.operator,
            sequencer: format!("0x{}", hex::encode(sequencer.to_bytes())),
            l1: "none",
        }
    }
}

/// The rollup as the writer drives it.
#[derive(Clone, Debug)]
pub struct Rollup {
    options: RollupOptions,
    ledger: Ledger,
    /// Entries of the L1 queue executed.
    queue: u64,
    /// Entries taken of the lane from each chain.
    lanes: BTreeMap<u64, u64>,
}

impl Rollup {
    /// The empty state.
    pub fn new(options: &RollupOptions) -> Self {
        let RollupOptions {
            operator,
            operator_owner,
            depth,
            ..
        } = *options;
        Self {
            options: *options,
            ledger: Ledger::new(options.domain(), depth, operator, operator_owner)
                .with_bridge(options.home.bridge),
            queue: 0,
            lanes: BTreeMap::new(),
        }
    }

    /// The state as of the store's sealed point, with its root checked.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Damaged`] if accounts and root do not belong together.
    pub fn restore(options: &RollupOptions, store: &Store) -> Result<Self, StoreError> {
        let Some(point) = store.sealed()? else {
            return Ok(Self::new(options));
        };
        let accounts = store.accounts()?.into_iter().map(|(index, bytes)| {
            let account = account_from_bytes(&bytes).ok_or_else(|| StoreError::Damaged {
                what: format!("account {index}"),
            })?;
            Ok((index, account))
        });
        let accounts = accounts.collect::<Result<Vec<_>, StoreError>>()?;
        let mut state = State::genesis(options.depth);
        state.update(accounts);
        let root = word(&state.root());
        if root != point.root {
            return Err(StoreError::Damaged {
                what: format!(
                    "the accounts have root {root}, batch {} has {}",
                    point.batch, point.root
                ),
            });
        }
        Ok(Self {
            options: *options,
            ledger: Ledger::resume(
                options.domain(),
                options.operator,
                options.operator_owner,
                state,
                point.batch + 1,
            )
            .with_bridge(options.home.bridge)
            .with_reserved(store.reserved()?),
            queue: point.queue,
            lanes: point.lanes,
        })
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether the signature is that of this key, for this owner.
    fn verify(
        &self,
        operation: &Operation,
        key: &PublicKey,
        owner: &[u8; 20],
    ) -> Result<(), Refusal> {
        let account = operation.from;
        let message = operation.message(self.ledger.domain(), owner);
        let message = message.map_err(|error| refusal(&error.into()))?;
        let valid = operation
            .decoded_signature()
            .is_some_and(|signature| key.verify(&message, &signature));
        if valid {
            Ok(())
        } else {
            Err(refusal(&RuleError::BadSignature { account }))
        }
    }
}

/// What a signature was checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    key: PublicKey,
    owner: [u8; 20],
}

impl Machine for Rollup {
    type Operation = Operation;
    type Ticket = Ticket;

    fn encode(&self, operation: &Operation) -> Vec<u8> {
        operation::encode(operation)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Operation, Refusal> {
        operation::decode(bytes)
    }

    fn id(&self, operation: &Operation) -> [u8; 32] {
        operation.id(self.ledger.domain())
    }

    fn check(&self, operation: &Operation) -> Result<Ticket, Refusal> {
        if !operation.kind.is_signed() {
            let reason = "operations of this kind come from Ethereum or from other chains alone";
            return Err(Refusal::new("kind", reason));
        }
        operation
            .check_form()
            .map_err(|error| refusal(&error.into()))?;
        if operation.kind == Kind::Send && operation.other_end().is_ok_and(|end| end.leg.is_some())
        {
            let reason = "legs of flows are not served yet: on Ethereum it would come back at once; leave `leg` out";
            return Err(Refusal::new("flow", reason));
        }
        let Account { key, owner, .. } = self.ledger.account(operation.from);
        let account = operation.from;
        let key = key.ok_or_else(|| refusal(&RuleError::NoKey { account }))?;
        self.verify(operation, &key, &owner)?;
        Ok(Ticket { key, owner })
    }

    fn touches(&self, operation: &Operation) -> Vec<u32> {
        let mut accounts = vec![operation.from];
        if operation.kind == Kind::Transfer {
            accounts.push(operation.to);
        }
        if operation.kind.is_signed() {
            accounts.push(self.options.operator);
        }
        accounts
    }

    fn account(&self, index: u32) -> Vec<u8> {
        account_to_bytes(&self.ledger.account(index))
    }

    fn names(account: &[u8]) -> Vec<Vec<u8>> {
        let Some(account) = account_from_bytes(account) else {
            return Vec::new();
        };
        let key = account.key.map(|key| key_name(&key.to_bytes()));
        let owner = (account.owner != [0; 20]).then(|| owner_name(&account.owner));
        key.into_iter().chain(owner).collect()
    }

    fn fits(&self, operation: &Operation) -> bool {
        let fits = self.ledger.fits(operation, &self.options.budget);
        if !fits || !operation.kind.has_record() {
            return fits;
        }
        // Sends and takes cost L1 far more than other records, and a batch that no transaction can settle
        // would be the chain's last.
        let open = self.ledger.operations().iter().chain([operation]);
        let count =
            |wanted: fn(Kind) -> bool| open.clone().filter(|open| wanted(open.kind)).count();
        let sends = count(|kind| kind == Kind::Send);
        let takes = count(|kind| kind == Kind::Take);
        sends + takes == 0 || batch_fits(count(Kind::has_record), sends, takes)
    }

    fn execute(&mut self, operation: &Operation, ticket: Option<Ticket>) -> Result<(), Refusal> {
        let executed = if let Some(ticket) = ticket {
            let Account { key, owner, .. } = self.ledger.account(operation.from);
            // An operation before it in the group may have changed the key.
            if key != Some(ticket.key) || owner != ticket.owner {
                let key = key.unwrap_or(ticket.key);
                self.verify(operation, &key, &owner)?;
            }
            self.ledger.execute_verified(operation)
        } else {
            self.ledger.execute_accepted(operation)
        };
        executed.map_err(|error| refusal(&error))?;
        if operation.kind.is_queued() {
            self.queue = operation.nonce + 1;
        }
        if operation.kind == Kind::Take
            && let Ok(Party { chain, .. }) = operation.other_end()
        {
            self.lanes.insert(chain, operation.nonce + 1);
        }
        Ok(())
    }

    fn from_queue(&self, entry: &QueueEntry) -> Result<Operation, Refusal> {
        let scalar = |bytes: &[u8; 32]| Option::<Scalar>::from(Scalar::from_bytes_be(bytes));
        let words: Option<Vec<Scalar>> = entry.words.iter().map(scalar).collect();
        let words = words.and_then(|words| <[Scalar; 5]>::try_from(words).ok());
        let words =
            words.ok_or_else(|| Refusal::new("queue", "a word is not below the field's order"))?;
        let record = Record::from_words(&words, 0);
        let record = record.map_err(|error| Refusal::new("queue", error.to_string()))?;
        self.ledger
            .from_queue(entry.index, &record)
            .map_err(|error| refusal(&error))
    }

    fn outgoing(&self, operation: &Operation) -> Option<Outgoing> {
        let to = operation.other_end().ok()?;
        if operation.kind != Kind::Send || to.leg.is_some() {
            return None;
        }
        let [_, owner, memo] = &operation.words;
        Some(Outgoing {
            to: to.chain,
            token: operation.token,
            amount: operation.amount,
            sender: *owner.to_bytes_be().last_chunk()?,
            recipient: to.owner,
            memo: memo.to_bytes_be(),
        })
    }

    fn domain(&self) -> Domain {
        self.ledger.domain()
    }

    fn place(&self, operation: &Operation) -> Option<(Line, u64)> {
        let line = match operation.kind {
            Kind::Take => Line::Lane(operation.other_end().ok()?.chain),
            kind if kind.is_queued() => Line::Queue,
            _ => return None,
        };
        Some((line, operation.nonce))
    }

    fn rewound(&self, store: &Store) -> Result<Self, StoreError> {
        Self::restore(&self.options, store)
    }

    fn owners(&self) -> Vec<([u8; 20], u32)> {
        self.ledger.owners().collect()
    }

    fn again(&self, mut operation: Operation) -> Operation {
        if operation.kind == Kind::Exit {
            let account = self.ledger.account(operation.from);
            let [owner, ..] = operation.words;
            operation.amount = exit_amount(&account, operation.token, &owner);
        }
        operation
    }

    fn queue(&self) -> u64 {
        self.queue
    }

    fn lanes(&self) -> &BTreeMap<u64, u64> {
        &self.lanes
    }

    fn open(&self) -> u64 {
        self.ledger.operations().len() as u64
    }

    fn root(&self) -> String {
        word(&self.ledger.state().root())
    }

    fn seal(&mut self) -> Result<Sealed, Refusal> {
        let Budget { slots, records, .. } = self.options.budget;
        let touched = self.ledger.touched().iter();
        let accounts = touched.map(|(index, account)| (*index, account_to_bytes(account)));
        let accounts = accounts.collect();
        let view = proving::StatePart::of(&self.ledger, &self.options)?;
        let number = self.ledger.batch_number();
        let closed = self.ledger.close();
        let words = closed.header.to_words();
        let inputs =
            publish::public_inputs(&words, &closed.blob, slots, records, self.options.mode)?;
        let input = proving::BatchInput {
            domain: self.ledger.domain(),
            number,
            operator: self.options.operator,
            budget: self.options.budget,
            z: inputs[2],
            state: view,
            operations: closed.operations,
        };
        Ok(Sealed {
            number,
            operations: input.operations.len() as u64,
            records: closed.header.records.len() as u64,
            old_root: word(&closed.header.old_root),
            new_root: word(&closed.header.new_root),
            public_inputs: inputs.iter().map(word).collect(),
            parts: vec![
                (Part::Header, blob_bytes(&words)),
                (Part::Blob, blob_bytes(&closed.blob)),
                (Part::Input, input.to_bytes()),
            ],
            accounts,
        })
    }
}

/// A field element in hex.
fn word(value: &Scalar) -> String {
    format!("0x{}", hex::encode(value.to_bytes_be()))
}

/// A rule's refusal with its short name.
fn refusal(error: &RuleError) -> Refusal {
    let code = match error {
        RuleError::Form(_) => "form",
        RuleError::NoSuchIndex { .. } | RuleError::Unused { .. } => "account",
        RuleError::NoKey { .. } | RuleError::Key(_) => "key",
        RuleError::BadSignature { .. } => "signature",
        RuleError::Nonce { .. } | RuleError::NonceExhausted { .. } => "nonce",
        RuleError::ZeroAmount | RuleError::Overspend { .. } | RuleError::Overflow { .. } => "funds",
        RuleError::WrongOwner { .. } => "owner",
        RuleError::Word { .. } | RuleError::ExitAmount { .. } | RuleError::ToBridge => "record",
    };
    Refusal::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use carillon_protocol::crypto::schnorr::SecretKey;
    use carillon_protocol::owner_word;
    use carillon_settlement::limits::MOST_SENDS;

    use super::*;

    const OWNER: [u8; 20] = [1; 20];

    fn send(nonce: u64, leg: Option<u8>) -> Operation {
        let to = Party {
            leg,
            ..Party::new([9; 20], 271)
        };
        Operation {
            words: [to.to_word(), owner_word(&OWNER), Scalar::from(77)],
            ..Operation::new(Kind::Send, 1, 0, 1, 0, nonce)
        }
    }

    /// Account 1 has a key and funds; batches have room for 500 records.
    fn funded() -> (Rollup, SecretKey) {
        let mut rollup = Rollup::new(&RollupOptions::new(270, 0, 500, 3, 500, 12).unwrap());
        let key = SecretKey::from_seed(&[1; 32]);
        let point = key.public().coordinates();
        let deposit = Record {
            kind: Kind::Deposit,
            account: 0,
            token: 0,
            amount: 1_000,
            words: [owner_word(&OWNER), point.x, point.y],
        };
        let entry = QueueEntry {
            index: 0,
            words: deposit.to_words().map(|word| word.to_bytes_be()),
        };
        let deposit = rollup.from_queue(&entry).unwrap();
        rollup.execute(&deposit, None).unwrap();
        (rollup, key)
    }

    #[test]
    fn a_batch_has_no_more_sends_than_a_transaction_can_settle() {
        let (mut rollup, _) = funded();
        let mut sends = 0;
        while rollup.fits(&send(sends, None)) {
            rollup.execute(&send(sends, None), None).unwrap();
            sends += 1;
        }
        // The deposit's record stands beside them.
        assert!(
            (MOST_SENDS as u64 - 1..=MOST_SENDS as u64).contains(&sends),
            "{sends}"
        );
        // What costs no record, or little, has room.
        assert!(rollup.fits(&Operation::transfer(1, 0, 0, 1, 0, sends)));
    }

    #[test]
    fn a_leg_of_a_flow_is_refused_and_a_plain_send_is_not() {
        let (rollup, key) = funded();
        let check = |leg| {
            let domain = rollup.ledger().domain();
            rollup.check(&send(0, leg).sign(&key, domain, &OWNER).unwrap())
        };
        assert!(check(None).is_ok());
        assert_eq!(check(Some(0)).unwrap_err().code, "flow");
    }
}
