//! What this chain sends, as Ethereum will hold it: the lanes to other chains, predicted from what L1
//! has and what was accepted since, with the heads that the sequencer signs.
//!
//! Told by `writer` of each group, before it is durable (so that what is signed is on disk first) and
//! after; told by `driver` what Ethereum has. Served as a `carillon_lane_feed::Source`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alloy::primitives::{Address, B256, U256};
use carillon_lane_feed::{
    EntryJson, Head, MOST_ENTRIES, MOST_REVOCATIONS, Page, Place, Revocation, Source, SourceError,
};
use carillon_protocol::Domain;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::lanes::Fold;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Lanes that a chain tells of before they are settled.
const MOST_LANES: usize = 64;

/// Entries of a page, where heads allow it.
const PAGE: u64 = 512;

/// A send that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The chain that it is for.
    pub to: u64,
    /// Slot of its token on this chain.
    pub token: u8,
    /// Units of it.
    pub amount: u128,
    /// The owner of the account that sends.
    pub sender: [u8; 20],
    /// The owner of the account that it is for.
    pub recipient: [u8; 20],
    /// Word 4 of its record.
    pub memo: [u8; 32],
}

/// What was signed of a lane last, on disk before it is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneMark {
    /// The epoch.
    pub epoch: u64,
    /// Entries.
    pub count: u64,
    /// The lane's hash with them.
    pub hash: B256,
    /// The first void entry of each epoch that has ended, in order.
    #[serde(default)]
    pub revoked: Vec<u64>,
}

/// What Ethereum has of this chain's lanes, as of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanesOut {
    /// Batches executed by then.
    pub executed: u64,
    /// The lane to each chain that was asked about.
    pub lanes: BTreeMap<u64, Fold>,
    /// Tokens in the slots that were asked about.
    pub tokens: BTreeMap<u8, Address>,
}

/// What must be asked of Ethereum for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Chains to which something was sent.
    pub lanes: BTreeSet<u64>,
    /// Slots whose tokens are not known.
    pub slots: BTreeSet<u8>,
}

#[derive(Debug)]
struct Sent {
    sequence: u64,
    entry: LaneEntry,
    /// The lane with it.
    fold: Fold,
}

#[derive(Debug, Default)]
struct LaneOut {
    /// The lane as L1 has it; none until that was asked.
    base: Option<Fold>,
    /// What follows.
    entries: VecDeque<Sent>,
    /// Sends that wait for the base, or for their token's address.
    waiting: VecDeque<(u64, Outgoing)>,
    heads: VecDeque<Head>,
    mark: LaneMark,
    /// Whether the mark was compared with what L1 and the log give.
    compared: bool,
}

impl LaneOut {
    fn fold(&self) -> Option<Fold> {
        self.entries.back().map(|sent| sent.fold).or(self.base)
    }

    /// Moves what waits into the lane, as far as it is known.
    fn admit(&mut self, tokens: &BTreeMap<u8, Address>) {
        let Some(mut fold) = self.fold() else { return };
        while let Some((_, send)) = self.waiting.front()
            && let Some(token) = tokens.get(&send.token)
        {
            let entry = LaneEntry {
                token: *token,
                amount: U256::from(send.amount),
                sender: send.sender.into(),
                recipient: send.recipient.into(),
                memo: U256::from_be_bytes(send.memo),
            };
            fold.push(&entry);
            let Some((sequence, _)) = self.waiting.pop_front() else {
                return;
            };
            self.entries.push_back(Sent {
                sequence,
                entry,
                fold,
            });
        }
    }

    /// Ends the epoch: entries from a place on are not what was signed.
    fn end_epoch(&mut self, from: u64) {
        self.mark.revoked.push(from);
        self.mark.epoch = self.mark.revoked.len() as u64;
        self.heads.clear();
    }

    /// What is signed last, if it is not what was: for the disk.
    fn marked(&mut self) -> bool {
        let Some(fold) = self.fold() else {
            return false;
        };
        if !self.compared {
            self.compared = true;
            let signed = Fold {
                count: self.mark.count,
                hash: self.mark.hash,
            };
            let base = self.base.unwrap_or_default();
            let known = signed.count < base.count
                || signed == base
                || self.entries.iter().any(|sent| sent.fold == signed);
            if !known {
                self.end_epoch(base.count);
            }
        }
        let changed = (self.mark.count, self.mark.hash) != (fold.count, fold.hash);
        (self.mark.count, self.mark.hash) = (fold.count, fold.hash);
        changed
    }

    /// Signs what is not signed: one head, and more where a page would be too long.
    fn sign(&mut self, key: &SecretKey, domain: Domain, to: u64) {
        let base = self.base.unwrap_or_default().count;
        let mut signed = self.heads.back().map_or(base, |head| head.count);
        while let Some(last) = self.entries.back()
            && signed < last.fold.count
        {
            let at = (last.fold.count - signed).min(MOST_ENTRIES as u64) + signed - base;
            let Some(sent) = self.entries.get((at - 1) as usize) else {
                return;
            };
            let Fold { count, hash } = sent.fold;
            let epoch = self.mark.epoch;
            (self.heads).push_back(Head::sign(key, domain, to, epoch, count, hash));
            signed = count;
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    lanes: BTreeMap<u64, LaneOut>,
    tokens: BTreeMap<u8, Address>,
    revocations: BTreeMap<u64, Vec<Revocation>>,
    /// Batches executed on L1, as far as was heard.
    executed: u64,
}

/// See above.
#[derive(Debug)]
pub struct Outbox {
    chain: u64,
    domain: Domain,
    inner: RwLock<Inner>,
    changes: watch::Sender<u64>,
}

impl Outbox {
    /// The lanes of a chain, as they were marked, and the sends that L1 may not have executed.
    pub(super) fn new(
        chain: u64,
        domain: Domain,
        marks: BTreeMap<u64, LaneMark>,
        sends: impl IntoIterator<Item = (u64, Outgoing)>,
    ) -> Self {
        let mut inner = Inner::default();
        inner.tokens.insert(0, Address::ZERO);
        for (to, mark) in marks {
            inner.lanes.entry(to).or_default().mark = mark;
        }
        for (sequence, send) in sends {
            let lane = inner.lanes.entry(send.to).or_default();
            lane.waiting.push_back((sequence, send));
        }
        Self {
            chain,
            domain,
            inner: RwLock::new(inner),
            changes: watch::Sender::new(0),
        }
    }

    /// A poisoned lock guards what is made anew from the disk at the next start.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up the sends of a group that is about to be durable. What is returned must be on disk
    /// before [`Outbox::sign`].
    pub(super) fn admit(&self, sends: Vec<(u64, Outgoing)>) -> BTreeMap<u64, LaneMark> {
        let mut inner = self.write();
        let Inner { lanes, tokens, .. } = &mut *inner;
        let mut touched = BTreeSet::new();
        for (sequence, send) in sends {
            // Anybody may name any chain: so many are told of at once, others hear from Ethereum.
            if lanes.len() >= MOST_LANES && !lanes.contains_key(&send.to) {
                continue;
            }
            touched.insert(send.to);
            let lane = lanes.entry(send.to).or_default();
            lane.waiting.push_back((sequence, send));
        }
        let mut marks = BTreeMap::new();
        for to in touched {
            if let Some(lane) = lanes.get_mut(&to) {
                lane.admit(tokens);
                if lane.marked() {
                    marks.insert(to, lane.mark.clone());
                }
            }
        }
        marks
    }

    /// Signs what is durable, and tells those who follow.
    pub(super) fn sign(&self, key: &SecretKey) {
        let mut inner = self.write();
        let Inner {
            lanes, revocations, ..
        } = &mut *inner;
        for (to, lane) in lanes {
            let signed = revocations.entry(*to).or_default();
            for (epoch, from) in (0..).zip(&lane.mark.revoked).skip(signed.len()) {
                signed.push(Revocation::sign(key, self.domain, *to, epoch, *from));
            }
            lane.sign(key, self.domain, *to);
        }
        drop(inner);
        self.changes.send_modify(|change| *change += 1);
    }

    /// What must be asked of Ethereum.
    pub(super) fn wanted(&self) -> Wanted {
        let inner = self.read();
        let waiting = inner.lanes.values().filter_map(|lane| lane.waiting.front());
        let slots = waiting.map(|(_, send)| send.token);
        Wanted {
            slots: slots
                .filter(|slot| !inner.tokens.contains_key(slot))
                .collect(),
            lanes: inner.lanes.keys().copied().collect(),
        }
    }

    /// Compares with what Ethereum has; `end` is the sequence number behind the last executed batch.
    /// What is returned must be on disk before [`Outbox::sign`].
    pub(super) fn compare(&self, on_l1: &LanesOut, end: u64) -> BTreeMap<u64, LaneMark> {
        let mut inner = self.write();
        let mut marks = BTreeMap::new();
        // An answer from before a reorganisation, or of another node that is behind.
        if on_l1.executed < inner.executed {
            return marks;
        }
        inner.executed = on_l1.executed;
        let Inner { lanes, tokens, .. } = &mut *inner;
        tokens.extend(&on_l1.tokens);
        for (to, now) in &on_l1.lanes {
            let lane = lanes.entry(*to).or_default();
            let before = lane.base;
            let mut predicted = before;
            while lane.entries.front().is_some_and(|sent| sent.sequence < end)
                && let Some(sent) = lane.entries.pop_front()
            {
                predicted = Some(sent.fold);
            }
            lane.waiting.retain(|(sequence, _)| *sequence >= end);
            lane.base = Some(*now);
            if let Some(from) = before.filter(|_| predicted != Some(*now)) {
                tracing::warn!(
                    to,
                    "a send came back at once on Ethereum, or the lane is another one there: what was signed of the lane is revoked"
                );
                let mut fold = *now;
                for sent in &mut lane.entries {
                    fold.push(&sent.entry);
                    sent.fold = fold;
                }
                lane.end_epoch(from.count);
                lane.compared = true;
            }
            lane.heads.retain(|head| head.count > now.count);
            let epoch = lane.mark.epoch;
            lane.admit(tokens);
            if lane.marked() || lane.mark.epoch != epoch || before != lane.base {
                marks.insert(*to, lane.mark.clone());
            }
        }
        marks
    }

    /// Drops the sends from a sequence number on: batches of this chain were taken apart. What is returned
    /// must be on disk before [`Outbox::sign`].
    pub(super) fn truncate(&self, from: u64) -> BTreeMap<u64, LaneMark> {
        let mut marks = BTreeMap::new();
        for (to, lane) in &mut self.write().lanes {
            lane.waiting.retain(|(sequence, _)| *sequence < from);
            let kept = (lane.entries.iter()).take_while(|sent| sent.sequence < from);
            let kept = kept.count();
            if kept == lane.entries.len() {
                continue;
            }
            lane.entries.truncate(kept);
            let fold = lane.fold().unwrap_or_default();
            lane.end_epoch(fold.count);
            (lane.mark.count, lane.mark.hash) = (fold.count, fold.hash);
            marks.insert(*to, lane.mark.clone());
        }
        marks
    }

    /// The lanes to other chains: entries that L1 does not have, and the epoch.
    pub fn state(&self) -> BTreeMap<u64, (u64, u64)> {
        let lanes = &self.read().lanes;
        let state = |lane: &LaneOut| (lane.entries.len() as u64, lane.mark.epoch);
        lanes.iter().map(|(to, lane)| (*to, state(lane))).collect()
    }
}

impl Source for Outbox {
    fn page(&self, from: u64, to: u64, place: Place) -> Result<Page, SourceError> {
        if from != self.chain {
            return Err(SourceError::OtherChain { from });
        }
        let inner = self.read();
        let Some((lane, base)) = (inner.lanes.get(&to)).and_then(|lane| Some((lane, lane.base?)))
        else {
            return Ok(Page::empty(from, to, place.after));
        };
        let ended = inner.revocations.get(&to).map(Vec::as_slice);
        let ended = ended.unwrap_or_default();
        let skipped = usize::try_from(place.epoch).unwrap_or(usize::MAX);
        let revocations: Vec<Revocation> = (ended.iter())
            .skip(skipped)
            .take(MOST_REVOCATIONS)
            .copied()
            .collect();
        let mut start = revocations
            .iter()
            .fold(place.after, |start, of| start.min(of.from));
        // More revocations than a page holds: entries follow when all are told.
        let told = skipped.saturating_add(revocations.len()) >= ended.len();
        let mut page = Page {
            revocations,
            ..Page::empty(from, to, start)
        };
        if start < base.count {
            // Earlier entries are on Ethereum.
            start = base.count;
            page.start = start;
            return Ok(page);
        }
        if !told || place.after > start {
            // Whoever had entries that are void says anew where it is.
            return Ok(page);
        }
        let behind = lane.heads.iter().filter(|head| head.count > start);
        let mut chosen = None;
        for head in behind {
            if chosen.is_none() || head.count - start <= PAGE {
                chosen = Some(head);
            } else {
                break;
            }
        }
        let Some(head) = chosen else { return Ok(page) };
        let entries = lane.entries.iter().skip((start - base.count) as usize);
        let entries = entries.take((head.count - start) as usize);
        page.entries = entries
            .filter_map(|sent| EntryJson::new(&sent.entry))
            .collect();
        page.head = Some(*head);
        Ok(page)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use carillon_lane_feed::{Cursor, Lane, Told};

    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn send(amount: u128) -> Outgoing {
        Outgoing {
            to: 271,
            token: 0,
            amount,
            sender: [1; 20],
            recipient: [2; 20],
            memo: [0; 32],
        }
    }

    fn lane() -> Lane {
        Lane {
            from: 270,
            to: 271,
            domain: Domain::local(270),
            key: *key().public(),
        }
    }

    fn fold(amounts: &[u128]) -> Fold {
        let mut fold = Fold::default();
        for amount in amounts {
            fold.push(&LaneEntry {
                token: Address::ZERO,
                amount: U256::from(*amount),
                sender: [1; 20].into(),
                recipient: [2; 20].into(),
                memo: U256::ZERO,
            });
        }
        fold
    }

    fn outbox(marks: BTreeMap<u64, LaneMark>, sends: &[(u64, u128)]) -> Outbox {
        let sends = sends
            .iter()
            .map(|(sequence, amount)| (*sequence, send(*amount)));
        Outbox::new(270, Domain::local(270), marks, sends)
    }

    fn on_l1(executed: u64, amounts: &[u128]) -> LanesOut {
        LanesOut {
            executed,
            lanes: [(271, fold(amounts))].into(),
            tokens: BTreeMap::new(),
        }
    }

    fn read(outbox: &Outbox, cursor: &mut Cursor) -> Told {
        let place = Place {
            after: cursor.fold.count,
            epoch: cursor.epoch,
        };
        let page = outbox.page(270, 271, place).unwrap();
        cursor.accept(&lane(), &page).unwrap()
    }

    #[test]
    fn what_is_predicted_is_what_l1_gets_and_readers_follow_it() {
        let outbox = outbox(BTreeMap::new(), &[(3, 10)]);
        let mut cursor = Cursor::default();
        // Nothing is said before L1 was asked.
        outbox.sign(&key());
        assert_eq!(read(&outbox, &mut cursor), Told::Nothing);
        assert_eq!(outbox.wanted().lanes, [271].into());
        outbox.compare(&on_l1(0, &[]), 0);
        outbox.sign(&key());
        assert!(matches!(read(&outbox, &mut cursor), Told::Entries(entries) if entries.len() == 1));
        let marks = outbox.admit(vec![(4, send(20)), (5, send(30))]);
        let expected = fold(&[10, 20, 30]);
        assert_eq!((marks[&271].count, marks[&271].hash), (3, expected.hash));
        outbox.sign(&key());
        assert!(matches!(read(&outbox, &mut cursor), Told::Entries(entries) if entries.len() == 2));
        assert_eq!(cursor.fold, expected);
        // The first batch is executed as predicted: nothing changes for who follows.
        outbox.compare(&on_l1(1, &[10, 20]), 5);
        outbox.sign(&key());
        assert_eq!(read(&outbox, &mut cursor), Told::Nothing);
        assert_eq!((cursor.epoch, outbox.state()[&271]), (0, (1, 0)));
        // An older answer changes nothing.
        assert!(outbox.compare(&on_l1(0, &[]), 0).is_empty());
        assert_eq!(outbox.state()[&271], (1, 0));
        // Who is behind what L1 has reads that there.
        let page = outbox.page(270, 271, Place { after: 1, epoch: 0 }).unwrap();
        assert_eq!((page.start, page.entries.len()), (2, 0));
        assert!(outbox.page(9, 271, Place::default()).is_err());
    }

    #[test]
    fn a_send_that_came_back_ends_the_epoch_and_so_does_a_batch_taken_apart() {
        let outbox = outbox(BTreeMap::new(), &[]);
        outbox.admit(vec![(0, send(1)), (1, send(2)), (2, send(3))]);
        outbox.compare(&on_l1(0, &[]), 0);
        outbox.sign(&key());
        let mut cursor = Cursor::default();
        read(&outbox, &mut cursor);
        assert_eq!(cursor.fold, fold(&[1, 2, 3]));
        // Of the first two only the second went into the lane.
        let marks = outbox.compare(&on_l1(1, &[2]), 2);
        assert_eq!((marks[&271].epoch, &marks[&271].revoked), (1, &vec![0]));
        outbox.sign(&key());
        assert_eq!(read(&outbox, &mut cursor), Told::Revoked { from: 0 });
        cursor.fold = fold(&[2]);
        assert!(matches!(read(&outbox, &mut cursor), Told::Entries(entries) if entries.len() == 1));
        assert_eq!(cursor.fold, fold(&[2, 3]));

        let marks = outbox.truncate(2);
        assert_eq!((marks[&271].count, &marks[&271].revoked), (1, &vec![0, 1]));
        outbox.sign(&key());
        assert_eq!(read(&outbox, &mut cursor), Told::Revoked { from: 1 });
        cursor.fold = fold(&[2]);
        outbox.admit(vec![(3, send(4))]);
        outbox.sign(&key());
        read(&outbox, &mut cursor);
        assert_eq!((cursor.fold, cursor.epoch), (fold(&[2, 4]), 2));
    }

    #[test]
    fn after_a_restart_nothing_is_signed_twice_with_two_hashes() {
        let mark = |amounts: &[u128]| {
            let Fold { count, hash } = fold(amounts);
            let mark = LaneMark {
                count,
                hash,
                ..LaneMark::default()
            };
            BTreeMap::from([(271, mark)])
        };
        // The log gives what was signed: the epoch goes on.
        let same = outbox(mark(&[1, 2]), &[(0, 1), (1, 2)]);
        same.compare(&on_l1(0, &[]), 0);
        assert_eq!(same.state()[&271], (2, 0));
        // While it was down, the first send came back on L1: the second has its place.
        let other = outbox(mark(&[1, 2]), &[(0, 1), (1, 2)]);
        let marks = other.compare(&on_l1(1, &[]), 1);
        assert_eq!(marks[&271].epoch, 1);
        other.sign(&key());
        let mut cursor = Cursor {
            epoch: 0,
            fold: fold(&[1, 2]),
        };
        assert_eq!(read(&other, &mut cursor), Told::Revoked { from: 0 });
    }
}
