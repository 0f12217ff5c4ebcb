//! Which window size a card chooses for an MSM (contract, "Identity page").
//!
//! Read once from the identity page; reports use it to say what a card did,
//! since completions do not repeat it. Pure.

use crate::command::{Group, MsmMode};
use crate::identity::IdentityPage;
pub use crate::identity::WINDOW_SIZES;

/// Bit of an entry: scalars are taken whole. Always set in the table for whole ones.
const WHOLE: u8 = 0x80;

/// The window size of one MSM, and whether its scalars are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Bits.
    pub bits: u8,
    /// Whether the card splits the scalars.
    pub mode: MsmMode,
}

/// The identity page's tables of window sizes cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImpossibleWindows;

/// What the card chooses where a command leaves it the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowChoice {
    split: [u8; WINDOW_SIZES],
    full: [u8; WINDOW_SIZES],
}

impl WindowChoice {
    /// A group's tables in an identity page, `Ok(None)` where the card states none.
    ///
    /// # Errors
    /// [`ImpossibleWindows`] if they cannot be those of a card with windows of at
    /// most `max_bits` bits, or are stated for G2 by a card without `MSM_G2`.
    pub fn from_page(
        page: &IdentityPage,
        group: Group,
        max_bits: u8,
    ) -> Result<Option<Self>, ImpossibleWindows> {
        let (split, full) = match group {
            Group::G1 => (page.split_windows, page.full_windows),
            Group::G2 => (page.g2_split_windows, page.g2_full_windows),
        };
        if split.iter().chain(&full).all(|entry| *entry == 0) {
            return Ok(None);
        }
        if group == Group::G2 && !page.has_msm_g2() {
            return Err(ImpossibleWindows);
        }
        let fits = |entry: u8| (1..=max_bits).contains(&(entry & !WHOLE));
        let sound = split.iter().all(|entry| fits(*entry))
            && full.iter().all(|entry| fits(*entry) && entry & WHOLE != 0);
        sound
            .then_some(Some(Self { split, full }))
            .ok_or(ImpossibleWindows)
    }

    /// The window of an MSM of `n` terms that asks for `mode`.
    pub fn of(&self, n: u64, mode: MsmMode) -> Window {
        // The size is below WINDOW_SIZES for every n that a command can hold.
        let size = (n.max(1).ilog2() as usize).min(WINDOW_SIZES - 1);
        let entry = match mode {
            MsmMode::Split => self.split[size],
            MsmMode::Full => self.full[size],
        };
        Window {
            bits: entry & !WHOLE,
            mode: if entry & WHOLE == 0 {
                MsmMode::Split
            } else {
                MsmMode::Full
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;
    use crate::identity::FEATURE_MSM_G2;

    fn page() -> IdentityPage {
        let mut page = IdentityPage::zeroed();
        for size in 0..WINDOW_SIZES {
            page.split_windows[size] = 4 + size as u8 / 4;
            page.full_windows[size] = 0x80 | (5 + size as u8 / 4);
            page.g2_split_windows[size] = 3 + size as u8 / 4;
            page.g2_full_windows[size] = 0x80 | (4 + size as u8 / 4);
        }
        page.split_windows[0] = 0x80 | 7;
        page.features = FEATURE_MSM_G2;
        page
    }

    fn g1(page: &IdentityPage, max: u8) -> Result<Option<WindowChoice>, ImpossibleWindows> {
        WindowChoice::from_page(page, Group::G1, max)
    }

    #[test]
    fn entries_are_found_by_size_and_mode() {
        let choice = g1(&page(), 13).unwrap().unwrap();
        let of = |n, mode| {
            let window = choice.of(n, mode);
            (window.bits, window.mode)
        };
        assert_eq!(of(1, MsmMode::Split), (7, MsmMode::Full));
        assert_eq!(of(1, MsmMode::Full), (5, MsmMode::Full));
        assert_eq!(of(15, MsmMode::Split), (4, MsmMode::Split));
        assert_eq!(of(16, MsmMode::Split), (5, MsmMode::Split));
        assert_eq!(of(u64::from(u32::MAX), MsmMode::Full), (12, MsmMode::Full));
        assert_eq!(of(u64::MAX, MsmMode::Split), (11, MsmMode::Split));
    }

    #[test]
    fn impossible_entries_are_refused() {
        let refused = |page: &IdentityPage, max| g1(page, max) == Err(ImpossibleWindows);
        assert!(refused(&page(), 11));
        assert_eq!(g1(&IdentityPage::zeroed(), 13), Ok(None));
        for entry in [0, 0x80] {
            let mut wrong = page();
            wrong.split_windows[6] = entry;
            assert!(refused(&wrong, 13), "{entry}");
        }
        for (at, entry) in [(4, 0), (4, 0x05), (31, 0x80 | 14)] {
            let mut wrong = page();
            wrong.full_windows[at] = entry;
            assert!(refused(&wrong, 13), "{at}");
        }
    }

    #[test]
    fn each_group_has_its_own_tables() {
        let g2 = |page: &IdentityPage, max| WindowChoice::from_page(page, Group::G2, max);
        let choice = g2(&page(), 13).unwrap().unwrap();
        assert_eq!(choice.of(1, MsmMode::Split).bits, 3);
        assert_eq!(choice.of(1 << 20, MsmMode::Full).bits, 9);
        assert_eq!(g2(&page(), 10), Err(ImpossibleWindows));
        // A card without MSM_G2 states nothing of it; one with it need not.
        let mut silent = page();
        silent.features = 0;
        assert_eq!(g2(&silent, 13), Err(ImpossibleWindows));
        assert!(matches!(g1(&silent, 13), Ok(Some(_))));
        (silent.g2_split_windows, silent.g2_full_windows) = Default::default();
        assert_eq!(g2(&silent, 13), Ok(None));
        silent.features = FEATURE_MSM_G2;
        assert_eq!(g2(&silent, 13), Ok(None));
    }
}
