//! Differences between two looks at the cards.

use std::collections::BTreeMap;

use carillon_driver::pci::{AerCounters, PciAddress, PciError};

use super::Change;
use crate::{Found, Host};

/// What was last seen of all cards.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Option<BTreeMap<PciAddress, Found>>,
}

impl Watch {
    /// Looks at the cards and says what is different. The first time every card is
    /// [`Change::Present`].
    ///
    /// # Errors
    /// [`PciError::Read`]; what was seen before is kept.
    pub fn look(&mut self, host: &Host) -> Result<Vec<(PciAddress, Change)>, PciError> {
        let found = Found::all(host)?.into_iter();
        let now: BTreeMap<_, _> = found.map(|card| (card.device.address, card)).collect();
        let changes = match &self.seen {
            None => now.keys().map(|&card| (card, Change::Present)).collect(),
            Some(before) => differences(before, &now),
        };
        self.seen = Some(now);
        Ok(changes)
    }

    /// Whether this card was there at the last look.
    pub fn knows(&self, card: PciAddress) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| seen.contains_key(&card))
    }
}

fn differences(
    before: &BTreeMap<PciAddress, Found>,
    now: &BTreeMap<PciAddress, Found>,
) -> Vec<(PciAddress, Change)> {
    let mut changes = Vec::new();
    for &card in before.keys().filter(|card| !now.contains_key(card)) {
        changes.push((card, Change::Disappeared));
    }
    for (&card, found) in now {
        let of_card = match before.get(&card) {
            Some(earlier) => of_one(earlier, found),
            None => {
                let mut changes = vec![Change::Appeared];
                changes.extend(found.device.driver.clone().map(Change::Bound));
                changes
            }
        };
        changes.extend(of_card.into_iter().map(|change| (card, change)));
    }
    changes
}

fn of_one(before: &Found, now: &Found) -> Vec<Change> {
    let (earlier, device) = (&before.device, &now.device);
    let mut changes = Vec::new();
    if earlier.answers != device.answers {
        changes.push(if device.answers {
            Change::Answers
        } else {
            Change::Silent
        });
    }
    if earlier.driver != device.driver {
        changes.extend(earlier.driver.clone().map(Change::Unbound));
        changes.extend(device.driver.clone().map(Change::Bound));
    }
    if before.holders != now.holders {
        changes.push(match &*now.holders {
            [] => Change::Released,
            holders => Change::Held(holders.to_vec()),
        });
    }
    if earlier.link != device.link {
        changes.push(Change::Link {
            before: earlier.link,
            now: device.link,
        });
    }
    if let (Some(earlier), Some(now)) = (earlier.aer, device.aer) {
        changes.extend(more_errors(earlier, now));
    }
    changes
}

fn more_errors(before: AerCounters, now: AerCounters) -> impl Iterator<Item = Change> {
    let kinds = [
        ("correctable", before.correctable, now.correctable),
        ("nonfatal", before.nonfatal, now.nonfatal),
        ("fatal", before.fatal, now.fatal),
    ];
    kinds.into_iter().filter_map(|(kind, before, total)| {
        // They start again at zero when the device is found anew.
        let more = total.checked_sub(before).unwrap_or(total);
        (more > 0).then_some(Change::BusErrors { kind, more, total })
    })
}
