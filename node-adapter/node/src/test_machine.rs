//! What tests of the writer and of what drives it stand on: a machine that adds numbers, and a disk in
//! memory that crashes and fills up. Nothing of the ledger's weight. Used by `writer/tests` and
//! `driver/tests`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_runtime::groth16::{self, Assignment};
use carillon_workload::SquareChain;
use redb::{Database, StorageBackend};
use sha2::{Digest, Sha256};

use super::machine::{Machine, Refusal, Sealed, SubmitError};
use super::ports::{Line, QueueEntry};
use super::receipt::Receipt;
use super::store::{ChainMark, Part, Store, StoreError};
use super::writer::{Writer, WriterOptions};
use carillon_protocol::Domain;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_prover_api::{PluginError, Prepare};

/// The chain that the disks are made for.
pub const MARK: ChainMark = ChainMark {
    chain_id: 270,
    l1_chain_id: 0,
    hub: String::new(),
    depth: 4,
    operator: 1,
};

/// A disk in memory. What is written counts only once it is synced; writes beyond the budget fail as
/// those on a full disk do.
#[derive(Clone, Debug)]
pub struct Disk {
    live: Arc<Mutex<Vec<u8>>>,
    synced: Arc<Mutex<Vec<u8>>>,
    /// Bytes that may still be written.
    pub budget: Arc<AtomicI64>,
}

impl Disk {
    /// A disk that holds `content`, with space for all that may come.
    pub fn new(content: Vec<u8>) -> Self {
        Self {
            live: Arc::new(Mutex::new(content.clone())),
            synced: Arc::new(Mutex::new(content)),
            budget: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }

    /// What a crash would leave.
    pub fn after_crash(&self) -> Self {
        Self::new(self.synced.lock().unwrap().clone())
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let bytes = i64::try_from(bytes).unwrap();
        if self.budget.fetch_sub(bytes, Ordering::SeqCst) < bytes {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.live.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let live = self.live.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&live[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut live = self.live.lock().unwrap();
        let len = usize::try_from(len).unwrap();
        self.spend(len.saturating_sub(live.len()))?;
        live.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let live = self.live.lock().unwrap().clone();
        *self.synced.lock().unwrap() = live;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.spend(data.len())?;
        let offset = usize::try_from(offset).unwrap();
        self.live.lock().unwrap()[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// Accounts that count: nonce and sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestMachine {
    pub accounts: BTreeMap<u32, (u64, u64)>,
    capacity: u64,
    batch: u64,
    open: u64,
    queue: u64,
    lanes: BTreeMap<u64, u64>,
    root: String,
}

/// Account, nonce, amount; the amount 13 stands for a wrong signature.
pub type Op = (u32, u64, u64);
/// Operations of the accounts from this one on come from lanes: one for each chain.
const LANES: u32 = u32::MAX - 16;
/// Operations of this account come from L1.
const FROM_L1: u32 = u32::MAX;

impl TestMachine {
    /// The machine as of the last seal, as a restart finds it.
    pub fn restore(store: &Store, capacity: u64) -> Self {
        let point = store.sealed().unwrap().unwrap_or_default();
        let accounts = store.accounts().unwrap().into_iter().map(|(index, bytes)| {
            let (nonce, sum) = bytes.split_at(8);
            let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
            (index, (number(nonce), number(sum)))
        });
        let machine = Self {
            accounts: accounts.collect(),
            capacity,
            batch: point.batch,
            open: 0,
            queue: point.queue,
            lanes: point.lanes,
            root: point.root.clone(),
        };
        if point.batch > 0 {
            assert_eq!(machine.hash(), point.root);
        }
        machine
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(format!("{:?}", self.accounts)))
    }
}

impl Machine for TestMachine {
    type Operation = Op;
    type Ticket = ();

    fn encode(&self, (account, nonce, amount): &Op) -> Vec<u8> {
        [
            &account.to_be_bytes()[..],
            &nonce.to_be_bytes(),
            &amount.to_be_bytes(),
        ]
        .concat()
    }

    fn decode(&self, bytes: &[u8]) -> Result<Op, Refusal> {
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().fold(0, |n, b| n << 8 | u64::from(*b))
        };
        Ok((
            u32::try_from(number(0..4)).unwrap(),
            number(4..12),
            number(12..20),
        ))
    }

    fn id(&self, operation: &Op) -> [u8; 32] {
        Sha256::digest(self.encode(operation)).into()
    }

    fn check(&self, operation: &Op) -> Result<(), Refusal> {
        if operation.2 == 13 {
            return Err(Refusal::new("signature", "wrong signature"));
        }
        Ok(())
    }

    fn touches(&self, (account, _, _): &Op) -> Vec<u32> {
        vec![*account]
    }

    fn account(&self, index: u32) -> Vec<u8> {
        let (nonce, sum) = self.accounts.get(&index).copied().unwrap_or_default();
        [nonce.to_be_bytes(), sum.to_be_bytes()].concat()
    }

    /// An account is found by its sum.
    fn names(account: &[u8]) -> Vec<Vec<u8>> {
        vec![account[8..].to_vec()]
    }

    fn fits(&self, _: &Op) -> bool {
        self.open < self.capacity
    }

    fn execute(&mut self, (account, nonce, amount): &Op, _: Option<()>) -> Result<(), Refusal> {
        assert!(self.open < self.capacity, "executed into a full batch");
        if let Some(chain) = account.checked_sub(LANES).filter(|_| *account != FROM_L1) {
            self.lanes.insert(chain.into(), nonce + 1);
            self.open += 1;
            return Ok(());
        }
        let (next, sum) = self.accounts.entry(*account).or_default();
        if *nonce != *next {
            let reason = format!("nonce {nonce}, expected {next}");
            return Err(Refusal::new("nonce", reason));
        }
        (*next, *sum) = (*next + 1, *sum + amount);
        self.queue += u64::from(*account == FROM_L1);
        self.open += 1;
        Ok(())
    }

    fn from_queue(&self, entry: &QueueEntry) -> Result<Op, Refusal> {
        if entry.words[0][0] == 0xff {
            return Err(Refusal::new("queue", "no state can take this"));
        }
        if let Line::Lane(chain) = entry.line() {
            return Ok((LANES + chain as u32, entry.index, 0));
        }
        Ok((FROM_L1, entry.index, u64::from(entry.words[1][31])))
    }

    fn domain(&self) -> Domain {
        Domain::local(270)
    }

    fn place(&self, (account, nonce, _): &Op) -> Option<(Line, u64)> {
        match account.checked_sub(LANES) {
            _ if *account == FROM_L1 => Some((Line::Queue, *nonce)),
            Some(chain) => Some((Line::Lane(chain.into()), *nonce)),
            None => None,
        }
    }

    fn rewound(&self, store: &Store) -> Result<Self, StoreError> {
        Ok(Self::restore(store, self.capacity))
    }

    fn queue(&self) -> u64 {
        self.queue
    }

    fn lanes(&self) -> &BTreeMap<u64, u64> {
        &self.lanes
    }

    fn open(&self) -> u64 {
        self.open
    }

    fn root(&self) -> String {
        self.root.clone()
    }

    fn seal(&mut self) -> Result<Sealed, Refusal> {
        self.batch += 1;
        let (operations, old_root) = (self.open, self.root.clone());
        (self.open, self.root) = (0, self.hash());
        let accounts = self.accounts.iter().map(|(index, (nonce, sum))| {
            (*index, [nonce.to_be_bytes(), sum.to_be_bytes()].concat())
        });
        Ok(Sealed {
            number: self.batch,
            operations,
            records: 0,
            old_root,
            new_root: self.root.clone(),
            public_inputs: vec![hex::encode(chain(self.batch).end().unwrap().to_bytes_be())],
            parts: vec![
                (Part::Input, self.batch.to_be_bytes().to_vec()),
                (Part::Header, vec![7; 64]),
                (Part::Blob, vec![8; 32]),
            ],
            accounts: accounts.collect(),
        })
    }
}

/// A batch's circuit: a square chain of its own.
pub fn chain(batch: u64) -> SquareChain {
    SquareChain::with_witness(4, batch)
}

/// Makes assignments from the machine's inputs.
pub struct Chains;

impl Prepare for Chains {
    fn assignment(&self, input: &[u8]) -> Result<Assignment, PluginError> {
        let batch = u64::from_be_bytes(input.try_into().unwrap());
        Ok(groth16::synthesize(chain(batch)).unwrap())
    }
}

/// The store on a disk, opened as that of [`MARK`]'s chain.
pub fn store_on(disk: &Disk) -> Result<Store, StoreError> {
    store_of(disk, &MARK)
}

/// The store on a disk, opened as that of any chain.
pub fn store_of(disk: &Disk, mark: &ChainMark) -> Result<Store, StoreError> {
    let db = Database::builder()
        .create_with_backend(disk.clone())
        .unwrap();
    Store::on(db, Path::new("disk"), mark)
}

/// Seals only when it is asked to, or when a batch is full.
pub fn options() -> WriterOptions {
    WriterOptions {
        seal_after: Duration::from_secs(3600),
        ..WriterOptions::new(270)
    }
}

/// The key that signs receipts.
pub fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// A writer on a disk, whose batches take so many operations.
pub fn start(
    disk: &Disk,
    capacity: u64,
    options: WriterOptions,
) -> (Writer<TestMachine>, Arc<Store>) {
    let store = Arc::new(store_on(disk).unwrap());
    let machine = TestMachine::restore(&store, capacity);
    let (writer, _) = Writer::start(machine, Arc::clone(&store), key(), options).unwrap();
    (writer, store)
}

/// What a user does.
pub async fn submit(writer: &Writer<TestMachine>, op: Op) -> Result<Receipt, SubmitError> {
    writer.submit(op).await
}
