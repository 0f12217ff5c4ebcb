//! What a feed serves, as a trait: a node's own lanes, or those that a relay has followed.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::page::Page;

/// Where a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Entries that it has.
    #[serde(default)]
    pub after: u64,
    /// The epoch that it believes in.
    #[serde(default)]
    pub epoch: u64,
}

impl Place {
    /// Where a reader is who has read a page.
    #[must_use]
    pub fn behind(self, page: &Page) -> Self {
        let mut place = self;
        for revocation in &page.revocations {
            place.epoch = place.epoch.max(revocation.epoch.saturating_add(1));
            place.after = place.after.min(revocation.from);
        }
        if let Some(head) = &page.head {
            place.after = head.count;
        }
        place
    }
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Another chain's lanes are served elsewhere.
    #[error("lanes of chain {from} are not served here")]
    OtherChain {
        /// That was asked for.
        from: u64,
    },
    /// What is served cannot be told now.
    #[error("the lane cannot be told now: {0}")]
    Unavailable(String),
}

/// Lanes that are served.
pub trait Source: Send + Sync + 'static {
    /// What follows in a lane: entries up to a signed head, and revocations from the reader's epoch on,
    /// at most as many as a page holds. A lane that nothing is known of is empty.
    ///
    /// # Errors
    /// [`SourceError`].
    fn page(&self, from: u64, to: u64, place: Place) -> Result<Page, SourceError>;

    /// Changes whenever a lane does.
    fn changes(&self) -> watch::Receiver<u64>;
}
