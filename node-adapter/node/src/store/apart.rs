//! The way back: batches that took what another chain did not settle are taken apart, and what is to
//! be executed again is kept until it was.
//!
//! One transaction moves accounts, batches, log and sealed point back; a crash at any moment finds
//! either the batches or the operations that they held. Used by `writer`.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::receipt::Condition;

use super::{
    ACCOUNTS, AGAIN, BATCHES, BatchRow, FALLEN, Group, IDS, LANES_OUT, LOG, LaneMark, META, NAMES,
    Names, PARTS, RESERVED, SOFT, SealedPoint, Store, StoreError, UNDO, access, copy_table, decode,
    encode, read_json,
};

/// Chains from which entries below an index are taken from Ethereum alone.
const BARRED: &str = "barred";
/// Numbers of the log below this one were given.
const FLOOR: &str = "floor";
/// The first batch whose job may still be offered as it was before.
const OFFERED: &str = "offered";

/// An entry that was taken before its send was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftRow {
    /// The operation that took it.
    pub sequence: u64,
    /// The lane's hash with it.
    pub hash: [u8; 32],
    /// The epoch in which it was promised.
    pub epoch: u64,
    /// What it is worth, in wei.
    pub wei: u128,
    /// When it was taken, in milliseconds since the Unix epoch.
    pub time: u64,
}

/// A receipt that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallen {
    /// The place that it was for.
    pub sequence: u64,
    /// The notice's signature, in hex.
    pub signature: String,
    /// Why the operation was not accepted again; none if it was, under another number.
    pub reason: Option<String>,
}

/// What is taken apart.
#[derive(Clone, Debug)]
pub struct Apart<'a> {
    /// The first batch; the one behind the last one if only operations of the open batch fall.
    pub first: u64,
    /// The first operation that is executed again; those before it keep their numbers.
    pub from: u64,
    /// Entries from this index on of the lane from this chain fall.
    pub lane: (u64, u64),
    /// Names of accounts.
    pub names: Names,
    /// What will be signed of lanes to other chains.
    pub marks: BTreeMap<u64, LaneMark>,
    /// Notices for the receipts, by id.
    pub fallen: &'a [([u8; 32], Fallen)],
    /// The account of each owner, before.
    pub owners: &'a [([u8; 20], u32)],
}

impl Group<'_> {
    /// Writes what changes with a group.
    pub(super) fn write(&self, write: &WriteTransaction) -> Result<(), StoreError> {
        write_marks(write, &self.marks)?;
        if !self.soft.is_empty() {
            let mut soft = write.open_table(SOFT).map_err(access)?;
            for (place, row) in &self.soft {
                let row = encode(row)?;
                soft.insert(*place, row.as_slice()).map_err(access)?;
            }
        }
        if let Some(up_to) = self.again {
            let mut again = write.open_table(AGAIN).map_err(access)?;
            again.retain_in(..=up_to, |_, _| false).map_err(access)?;
        }
        Ok(())
    }
}

fn write_marks(
    write: &WriteTransaction,
    marks: &BTreeMap<u64, LaneMark>,
) -> Result<(), StoreError> {
    if marks.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(LANES_OUT).map_err(access)?;
    for (to, mark) in marks {
        let mark = encode(mark)?;
        table.insert(*to, mark.as_slice()).map_err(access)?;
    }
    Ok(())
}

impl Store {
    /// Takes batches apart: accounts, batches and the sealed point are as before the first of them, and
    /// the operations from `from` on are to be executed again. Numbers in the log are not used twice:
    /// it goes on with `next`.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub fn take_apart(&self, apart: &Apart<'_>, next: u64) -> Result<(), StoreError> {
        let missing = |number: u64| StoreError::Damaged {
            what: format!("batch {number} is missing"),
        };
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut meta = write.open_table(META).map_err(access)?;
            let mut point: SealedPoint = read_json(&meta, "sealed")?.unwrap_or_default();
            let mut batches = write.open_table(BATCHES).map_err(access)?;
            let mut parts = write.open_table(PARTS).map_err(access)?;
            let mut undo = write.open_table(UNDO).map_err(access)?;
            let mut accounts = write.open_table(ACCOUNTS).map_err(access)?;
            let mut names = write.open_multimap_table(NAMES).map_err(access)?;
            let begin = match batches.get(apart.first).map_err(access)? {
                None => point.next,
                Some(row) => decode::<BatchRow>(row.value(), || "a batch".into())?.first,
            };
            let last = point.batch;
            for number in (apart.first..=last).rev() {
                let row = batches.remove(number).map_err(access)?;
                let row: BatchRow = match &row {
                    Some(row) => decode(row.value(), || format!("batch {number}"))?,
                    None => return Err(missing(number)),
                };
                for part in 0..4 {
                    parts.remove((number, part)).map_err(access)?;
                }
                let range = (number, 0)..=(number, u32::MAX);
                for item in undo.extract_from_if(range, |_, _| true).map_err(access)? {
                    let (place, before) = item.map_err(access)?;
                    let ((_, index), before) = (place.value(), before.value());
                    let kept = (!before.is_empty()).then(|| (apart.names)(before));
                    let now = match before.is_empty() {
                        true => accounts.remove(index).map_err(access)?,
                        false => accounts.insert(index, before).map_err(access)?,
                    };
                    let now = now.map(|bytes| (apart.names)(bytes.value()));
                    for name in now.iter().flatten() {
                        names.remove(name.as_slice(), index).map_err(access)?;
                    }
                    for name in kept.iter().flatten() {
                        names.insert(name.as_slice(), index).map_err(access)?;
                    }
                }
                point.root = row.old_root;
            }
            if apart.first <= last {
                point.batch = apart.first - 1;
                let row = batches.get(point.batch).map_err(access)?;
                let row: Option<BatchRow> = row
                    .map(|row| decode(row.value(), || "a batch".into()))
                    .transpose()?;
                (point.queue, point.lanes) =
                    row.map(|row| (row.queue, row.lanes)).unwrap_or_default();
                let offered: Option<u64> = read_json(&meta, OFFERED)?;
                let offered = encode(&offered.unwrap_or(u64::MAX).min(apart.first))?;
                meta.insert(OFFERED, offered.as_slice()).map_err(access)?;
            }
            let mut reserved = write.open_table(RESERVED).map_err(access)?;
            for (owner, index) in apart.owners {
                if accounts.get(index).map_err(access)?.is_none() {
                    reserved.insert(&owner[..], index).map_err(access)?;
                }
            }
            // What stays of the log is executed from there; new numbers begin behind the last one.
            point.next = begin;
            let floor = encode(&next)?;
            meta.insert(FLOOR, floor.as_slice()).map_err(access)?;
            let point = encode(&point)?;
            meta.insert("sealed", point.as_slice()).map_err(access)?;

            let mut log = write.open_table(LOG).map_err(access)?;
            let mut again = write.open_table(AGAIN).map_err(access)?;
            for item in log
                .extract_from_if(apart.from.., |_, _| true)
                .map_err(access)?
            {
                let (sequence, bytes) = item.map_err(access)?;
                again
                    .insert(sequence.value(), bytes.value())
                    .map_err(access)?;
            }
            let mut ids = write.open_table(IDS).map_err(access)?;
            let mut fallen = write.open_table(FALLEN).map_err(access)?;
            for (id, notice) in apart.fallen {
                ids.remove(&id[..]).map_err(access)?;
                let notice = encode(notice)?;
                fallen.insert(&id[..], notice.as_slice()).map_err(access)?;
            }
            let (chain, from) = apart.lane;
            let mut soft = write.open_table(SOFT).map_err(access)?;
            let mut end = from;
            let range = (chain, from)..=(chain, u64::MAX);
            for item in soft.extract_from_if(range, |_, _| true).map_err(access)? {
                let (place, _) = item.map_err(access)?;
                end = place.value().1 + 1;
            }
            let mut barred: BTreeMap<u64, u64> = read_json(&meta, BARRED)?.unwrap_or_default();
            let bar = barred.entry(chain).or_default();
            *bar = end.max(*bar);
            let barred = encode(&barred)?;
            meta.insert(BARRED, barred.as_slice()).map_err(access)?;
        }
        write_marks(&write, &apart.marks)?;
        write.commit().map_err(access)
    }

    /// Accounts that were some owners' on a state that was taken back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reserved(&self) -> Result<Vec<([u8; 20], u32)>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(RESERVED).map_err(access)?;
        let mut reserved = Vec::new();
        for item in table.iter().map_err(access)? {
            let (owner, index) = item.map_err(access)?;
            let owner = owner.value().try_into().map_err(|_| StoreError::Damaged {
                what: "an owner of a reserved account".into(),
            })?;
            reserved.push((owner, index.value()));
        }
        Ok(reserved)
    }

    /// Keeps what will be signed of lanes to other chains.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn mark_lanes(
        &self,
        marks: &BTreeMap<u64, LaneMark>,
    ) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        write_marks(&write, marks)?;
        write.commit().map_err(access)
    }

    /// What was signed last of the lane to each chain.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn lane_marks(&self) -> Result<BTreeMap<u64, LaneMark>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(LANES_OUT).map_err(access)?;
        let rows = table.iter().map_err(access)?.map(|row| {
            let (to, mark) = row.map_err(access)?;
            let to = to.value();
            Ok((
                to,
                decode(mark.value(), || format!("the lane to chain {to}"))?,
            ))
        });
        rows.collect()
    }

    /// Entries that were taken before their sends were settled, by chain and index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn soft(&self) -> Result<BTreeMap<(u64, u64), SoftRow>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(SOFT).map_err(access)?;
        let rows = table.iter().map_err(access)?.map(|row| {
            let (place, row) = row.map_err(access)?;
            let (chain, index) = place.value();
            let what = || format!("entry {index} of the lane from chain {chain}");
            Ok(((chain, index), decode(row.value(), what)?))
        });
        rows.collect()
    }

    /// Those of one lane, by index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn soft_of(
        &self,
        chain: u64,
    ) -> Result<BTreeMap<u64, SoftRow>, StoreError> {
        let soft = self.soft()?.into_iter();
        let of = soft.filter(|((from, _), _)| *from == chain);
        Ok(of.map(|((_, index), row)| (index, row)).collect())
    }

    /// What other chains must settle before the operations below a sequence number can be.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn unsettled_below(
        &self,
        sequence: u64,
    ) -> Result<Vec<Condition>, StoreError> {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for ((chain, index), row) in self.soft()? {
            if row.sequence < sequence {
                counts.insert(chain, index + 1);
            }
        }
        let condition = |(chain, count)| Condition { chain, count };
        Ok(counts.into_iter().map(condition).collect())
    }

    /// Forgets entries of lanes below an index: they are settled.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn settle_soft(
        &self,
        covered: &BTreeMap<u64, u64>,
    ) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut soft = write.open_table(SOFT).map_err(access)?;
            for (chain, end) in covered {
                soft.retain_in((*chain, 0)..(*chain, *end), |_, _| false)
                    .map_err(access)?;
            }
        }
        write.commit().map_err(access)
    }

    /// Chains from which entries below an index are taken from Ethereum alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn barred(&self) -> Result<BTreeMap<u64, u64>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let meta = read.open_table(META).map_err(access)?;
        Ok(read_json(&meta, BARRED)?.unwrap_or_default())
    }

    /// The number that the log goes on with, at least.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn floor(&self) -> Result<u64, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let meta = read.open_table(META).map_err(access)?;
        Ok(read_json(&meta, FLOOR)?.unwrap_or_default())
    }

    /// The first batch that may be offered to provers as it was before it was taken apart; it is
    /// forgotten with `done`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn offered(&self, done: bool) -> Result<Option<u64>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let meta = read.open_table(META).map_err(access)?;
        let offered = read_json(&meta, OFFERED)?;
        if done && offered.is_some() {
            let write = self.db.begin_write().map_err(access)?;
            {
                let mut meta = write.open_table(META).map_err(access)?;
                meta.remove(OFFERED).map_err(access)?;
            }
            write.commit().map_err(access)?;
        }
        Ok(offered)
    }

    /// Operations that are to be executed again, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn again(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(AGAIN).map_err(access)?;
        let rows = table.iter().map_err(access)?.map(|row| {
            let (sequence, bytes) = row.map_err(access)?;
            Ok((sequence.value(), bytes.value().to_vec()))
        });
        rows.collect()
    }

    /// Says why an operation was not accepted again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) fn refuse_again(
        &self,
        id: &[u8; 32],
        reason: String,
    ) -> Result<(), StoreError> {
        let Some(mut fallen) = self.fallen(id)? else {
            return Ok(());
        };
        fallen.reason = Some(reason);
        let fallen = encode(&fallen)?;
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut table = write.open_table(FALLEN).map_err(access)?;
            table.insert(&id[..], fallen.as_slice()).map_err(access)?;
        }
        write.commit().map_err(access)
    }

    /// The notice for an operation whose receipt was taken back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fallen(&self, id: &[u8; 32]) -> Result<Option<Fallen>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(FALLEN).map_err(access)?;
        let row = table.get(&id[..]).map_err(access)?;
        row.map(|row| decode(row.value(), || "a notice".into()))
            .transpose()
    }
}

/// Copies the tables of this module.
pub(super) fn copy(read: &ReadTransaction, write: &WriteTransaction) -> Result<(), StoreError> {
    macro_rules! copy {
        ($($table:ident),*) => {$(
            // Folders of earlier versions do not have them.
            if let Ok(from) = read.open_table($table) {
                copy_table(&from, &mut write.open_table($table).map_err(access)?)?;
            }
        )*};
    }
    copy!(UNDO, LANES_OUT, SOFT, FALLEN, AGAIN);
    Ok(())
}
