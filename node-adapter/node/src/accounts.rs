//! Accounts as readers see them: as of the last group commit, without asking the writer.
//!
//! What the open batch has changed is kept here in memory; everything else is in the store as of the
//! last sealed batch. A group is published after it is durable and before it is acknowledged, so that
//! a user who has a receipt finds the account as it is behind it, and nobody sees what a crash could
//! take back. The writer holds the lock only for as long as it takes to copy what a group has changed.
//! Knows nothing of what the bytes mean. Filled by `writer`, read by `rpc`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::store::{Names, Store, StoreError};

/// Accounts that the open batch has changed.
#[derive(Debug, Default)]
struct Open {
    accounts: BTreeMap<u32, Vec<u8>>,
    /// Their names, each with the account's index.
    names: BTreeSet<(Vec<u8>, u32)>,
}

/// The accounts of a chain, for readers.
#[derive(Debug)]
pub struct Accounts {
    store: Arc<Store>,
    names: Names,
    open: RwLock<Open>,
}

impl Accounts {
    /// The accounts of the store's sealed point; `names` are those of an account by its bytes.
    pub(super) fn new(store: Arc<Store>, names: Names) -> Self {
        Self {
            store,
            names,
            open: RwLock::default(),
        }
    }

    /// A poisoned lock guards nothing half done: bytes and names are only added.
    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what a group has changed, after it is durable.
    pub(super) fn publish(&self, accounts: Vec<(u32, Vec<u8>)>) {
        let names: Vec<(Vec<u8>, u32)> = accounts
            .iter()
            .flat_map(|(index, bytes)| (self.names)(bytes).into_iter().map(|name| (name, *index)))
            .collect();
        let mut open = self.write();
        open.names.extend(names);
        open.accounts.extend(accounts);
    }

    /// Forgets what the store holds by now: the batch is sealed.
    pub(super) fn sealed(&self) {
        let open = std::mem::take(&mut *self.write());
        drop(open);
    }

    /// The bytes of an account; `None` if it was never used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, index: u32) -> Result<Option<Vec<u8>>, StoreError> {
        // If the batch is sealed between the two looks, the store has the account by then.
        if let Some(bytes) = self.read().accounts.get(&index) {
            return Ok(Some(bytes.clone()));
        }
        self.store.account(index)
    }

    /// Accounts that bear a name, by index from `from` on, `most` at a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(
        &self,
        name: &[u8],
        from: u32,
        most: usize,
    ) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
        let mut found: BTreeSet<u32> = {
            let open = self.read();
            let range = (name.to_vec(), from)..=(name.to_vec(), u32::MAX);
            open.names.range(range).map(|(_, index)| *index).collect()
        };
        found.extend(self.store.named(name, from, most)?);
        let mut accounts = Vec::new();
        for index in found {
            if accounts.len() == most {
                break;
            }
            // A name of the open batch may be one that the account had before.
            if let Some(bytes) = self.get(index)?
                && (self.names)(&bytes).iter().any(|other| other == name)
            {
                accounts.push((index, bytes));
            }
        }
        Ok(accounts)
    }
}
