//! Where a reader of a lane is, and what a page does to it. Pure.
//!
//! A page is taken as a whole or not at all: nothing is believed that the chain's key has not signed,
//! and nothing that does not follow from where the reader is.

use alloy::primitives::B256;
use carillon_protocol::Domain;
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::lanes::Fold;

use super::page::Page;
use super::statement::{Head, Revocation};

/// A lane, and who speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The chain that sends.
    pub from: u64,
    /// The chain that it is for.
    pub to: u64,
    /// What the sending chain's statements are signed for.
    pub domain: Domain,
    /// The key of its statements.
    pub key: PublicKey,
}

/// An entry that the chain's key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its place in the lane, from 0.
    pub index: u64,
    /// What it is.
    pub entry: LaneEntry,
    /// The lane's hash with it.
    pub hash: B256,
}

/// What a page told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing new.
    Nothing,
    /// Entries behind those that the reader had.
    Entries(Vec<Verified>),
    /// Entries from a place on are void, some of which the reader had: it must say anew where it is.
    Revoked {
        /// The first one.
        from: u64,
    },
}

/// Why a page is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// Another lane's page.
    #[error("the page is of another lane: check the feed's URL")]
    OtherLane,
    /// A statement that the key did not sign.
    #[error("the {0} is not signed by the key that the chain has on Ethereum: it is refused")]
    NotSigned(&'static str),
    /// A head of another epoch than the revocations lead to.
    #[error(
        "the head is of epoch {found}, the reader is in epoch {expected}: a revocation is missing"
    )]
    Epoch {
        /// Of the reader.
        expected: u64,
        /// Of the page.
        found: u64,
    },
    /// Entries are missing, or there twice.
    #[error(
        "the page begins with entry {found}, expected is {expected}; what is missing comes from Ethereum"
    )]
    Gap {
        /// Of the reader.
        expected: u64,
        /// Of the page.
        found: u64,
    },
    /// The head does not cover exactly the page's entries.
    #[error("the page ends with entry {ends}, its head counts {counted}")]
    Count {
        /// Entries with the page.
        ends: u64,
        /// Of the head.
        counted: u64,
    },
    /// The entries do not give the head's hash.
    #[error("the entries do not lead to the hash that the chain has signed")]
    Hash,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The epoch that it believes in.
    pub epoch: u64,
    /// Entries that it has, and the hash over them.
    pub fold: Fold,
}

impl Cursor {
    /// Goes on by a page. After an error nothing has changed.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn accept(&mut self, lane: &Lane, page: &Page) -> Result<Told, FeedError> {
        if (page.from, page.to) != (lane.from, lane.to) {
            return Err(FeedError::OtherLane);
        }
        let mut after = *self;
        let mut void = u64::MAX;
        for revocation in &page.revocations {
            // Of epochs that are over nothing follows.
            if revocation.epoch < after.epoch {
                continue;
            }
            after.end_epoch(lane, revocation)?;
            void = void.min(revocation.from);
        }
        if void < self.fold.count {
            self.epoch = after.epoch;
            return Ok(Told::Revoked { from: void });
        }
        let Some(head) = &page.head else {
            if page.start > self.fold.count {
                return Err(FeedError::Gap {
                    expected: self.fold.count,
                    found: page.start,
                });
            }
            *self = after;
            return Ok(Told::Nothing);
        };
        let entries = after.entries(lane, page, head)?;
        *self = after;
        Ok(Told::Entries(entries))
    }

    fn end_epoch(&mut self, lane: &Lane, revocation: &Revocation) -> Result<(), FeedError> {
        if (revocation.domain, revocation.to) != (lane.domain, lane.to) {
            return Err(FeedError::OtherLane);
        }
        if revocation.epoch != self.epoch {
            return Err(FeedError::Epoch {
                expected: self.epoch,
                found: revocation.epoch,
            });
        }
        if !revocation.is_signed_by(&lane.key) {
            return Err(FeedError::NotSigned("revocation"));
        }
        self.epoch = self.epoch.saturating_add(1);
        Ok(())
    }

    fn entries(
        &mut self,
        lane: &Lane,
        page: &Page,
        head: &Head,
    ) -> Result<Vec<Verified>, FeedError> {
        if (head.domain, head.to) != (lane.domain, lane.to) {
            return Err(FeedError::OtherLane);
        }
        if head.epoch != self.epoch {
            return Err(FeedError::Epoch {
                expected: self.epoch,
                found: head.epoch,
            });
        }
        if page.start != self.fold.count {
            return Err(FeedError::Gap {
                expected: self.fold.count,
                found: page.start,
            });
        }
        let ends = page.start.saturating_add(page.entries.len() as u64);
        if ends != head.count || ends == u64::MAX {
            let counted = head.count;
            return Err(FeedError::Count { ends, counted });
        }
        let mut fold = self.fold;
        let entries = page.entries.iter().map(|json| {
            let (index, entry) = (fold.count, json.entry());
            fold.push(&entry);
            let hash = fold.hash;
            Verified { index, entry, hash }
        });
        let entries = entries.collect();
        if fold.hash != head.lane_hash {
            return Err(FeedError::Hash);
        }
        // The hash is cheaper than the signature: who forges pays for neither.
        if !head.is_signed_by(&lane.key) {
            return Err(FeedError::NotSigned("head"));
        }
        self.fold = fold;
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use carillon_protocol::crypto::schnorr::SecretKey;
    use proptest::prelude::*;

    use super::super::page::EntryJson;
    use super::*;

    const TO: u64 = 271;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn lane() -> Lane {
        Lane {
            from: 270,
            to: TO,
            domain: Domain::local(270),
            key: *key().public(),
        }
    }

    fn entry(amount: u64) -> EntryJson {
        EntryJson {
            token: Address::ZERO,
            amount: amount.into(),
            sender: Address::repeat_byte(1),
            recipient: Address::repeat_byte(2),
            memo: [3; 31],
        }
    }

    fn fold_of(amounts: &[u64]) -> Fold {
        let mut fold = Fold::default();
        amounts
            .iter()
            .for_each(|amount| fold.push(&entry(*amount).entry()));
        fold
    }

    /// The page of entries `start..end` of a lane of these amounts.
    fn page(amounts: &[u64], start: usize, end: usize, epoch: u64) -> Page {
        let fold = fold_of(&amounts[..end]);
        let head = Head::sign(&key(), lane().domain, TO, epoch, fold.count, fold.hash);
        Page {
            start: start as u64,
            entries: amounts[start..end]
                .iter()
                .map(|amount| entry(*amount))
                .collect(),
            head: Some(head),
            ..Page::empty(270, TO, 0)
        }
    }

    fn revoked(mut page: Page, epoch: u64, from: u64) -> Page {
        let revocation = Revocation::sign(&key(), lane().domain, TO, epoch, from);
        page.revocations.push(revocation);
        page
    }

    #[test]
    fn a_page_that_does_not_follow_is_refused_with_its_reason_and_changes_nothing() {
        let amounts = [5, 6, 7, 8];
        let mut cursor = Cursor::default();
        cursor.accept(&lane(), &page(&amounts, 0, 2, 0)).unwrap();
        let at = cursor;
        let gap = |found| FeedError::Gap { expected: 2, found };
        let epoch = |found| FeedError::Epoch { expected: 0, found };
        type Change = fn(&mut Page);
        let changes: [(Change, FeedError); 10] = [
            (|p| p.start = 3, gap(3)),
            (|p| p.start = 1, gap(1)),
            (|p| p.from = 9, FeedError::OtherLane),
            (|p| p.head.as_mut().unwrap().to = 9, FeedError::OtherLane),
            (|p| p.head.as_mut().unwrap().epoch = 1, epoch(1)),
            (
                |p| p.entries.truncate(1),
                FeedError::Count {
                    ends: 3,
                    counted: 4,
                },
            ),
            (|p| p.entries[0].amount += 1, FeedError::Hash),
            (|p| p.entries.swap(0, 1), FeedError::Hash),
            (
                |p| p.head.as_mut().unwrap().signature[1] ^= 1,
                FeedError::NotSigned("head"),
            ),
            (
                |p| {
                    *p = Page {
                        start: 4,
                        ..Page::empty(270, TO, 0)
                    }
                },
                gap(4),
            ),
        ];
        for (at_change, (change, error)) in changes.into_iter().enumerate() {
            let mut changed = page(&amounts, 2, 4, 0);
            change(&mut changed);
            assert_eq!(cursor.accept(&lane(), &changed), Err(error), "{at_change}");
            assert_eq!(cursor, at);
        }
        // Another key's word, as after the chain has changed its key on Ethereum.
        let stale = Lane {
            key: *SecretKey::from_seed(&[9; 32]).public(),
            ..lane()
        };
        let next = page(&amounts, 2, 4, 0);
        let error = cursor.accept(&stale, &next).unwrap_err();
        assert_eq!(error, FeedError::NotSigned("head"));
        let told = cursor.accept(&lane(), &next).unwrap();
        assert!(matches!(told, Told::Entries(entries) if entries[1].index == 3));
    }

    #[test]
    fn an_epoch_ends_by_a_signed_word_alone() {
        let (amounts, other) = ([5, 6, 7, 8], [5, 6, 9]);
        let mut cursor = Cursor::default();
        cursor.accept(&lane(), &page(&amounts, 0, 4, 0)).unwrap();
        let mut forged = revoked(Page::empty(270, TO, 4), 0, 2);
        forged.revocations[0].signature[0] ^= 1;
        let error = cursor.accept(&lane(), &forged).unwrap_err();
        assert_eq!(error, FeedError::NotSigned("revocation"));
        let skipped = revoked(Page::empty(270, TO, 4), 1, 2);
        assert!(matches!(
            cursor.accept(&lane(), &skipped),
            Err(FeedError::Epoch { .. })
        ));

        let told = cursor.accept(&lane(), &revoked(Page::empty(270, TO, 4), 0, 2));
        assert_eq!(told, Ok(Told::Revoked { from: 2 }));
        cursor.fold = fold_of(&other[..2]);
        // What was revoked is not believed any more, what follows in the new epoch is.
        assert!(cursor.accept(&lane(), &page(&amounts, 2, 4, 0)).is_err());
        let told = cursor.accept(&lane(), &page(&other, 2, 3, 1)).unwrap();
        assert!(matches!(told, Told::Entries(entries) if entries.len() == 1));
        // An old revocation, told again to a reader in a later epoch, is nothing.
        let told = cursor.accept(&lane(), &revoked(Page::empty(270, TO, 3), 0, 2));
        assert_eq!(told, Ok(Told::Nothing));
        // One of entries that the reader does not have lets it stay.
        let told = cursor.accept(&lane(), &revoked(Page::empty(270, TO, 3), 1, 3));
        assert_eq!((told, cursor.epoch), (Ok(Told::Nothing), 2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However a lane is cut into pages, the reader has the same entries and the same hash.
        #[test]
        fn any_cut_gives_the_same_lane(
            amounts in prop::collection::vec(any::<u64>(), 1..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(amounts.len())).collect();
            ends.push(amounts.len());
            ends.sort_unstable();
            let (mut cursor, mut start, mut seen) = (Cursor::default(), 0, Vec::new());
            for end in ends.into_iter().filter(|end| *end > 0) {
                if let Told::Entries(entries) = cursor.accept(&lane(), &page(&amounts, start, end, 0)).unwrap() {
                    seen.extend(entries.into_iter().map(|entry| entry.entry.amount));
                }
                start = end;
            }
            prop_assert_eq!(cursor.fold, fold_of(&amounts));
            let expected: Vec<_> = amounts.iter().map(|amount| entry(*amount).entry().amount).collect();
            prop_assert_eq!(seen, expected);
        }

        /// Bytes of whatever kind are an error or a page, and a page changed anywhere is refused, or says the same.
        #[test]
        fn hostile_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let _ = Page::parse(&bytes);
            let good = page(&[5, 6, 7], 0, 3, 0);
            let mut text = serde_json::to_vec(&good).unwrap();
            let at = at.index(text.len());
            text[at] = to;
            if let Ok(changed) = Page::parse(&text) {
                let mut cursor = Cursor::default();
                if let Ok(Told::Entries(entries)) = cursor.accept(&lane(), &changed) {
                    prop_assert_eq!(entries.len(), 3);
                    prop_assert_eq!(cursor.fold, fold_of(&[5, 6, 7]));
                }
            }
        }
    }
}
