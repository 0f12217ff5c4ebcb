//! The window sizes that the functional card states in its identity page.
//!
//! It has no windows, and its results do not depend on them. It states what is
//! best by the number of additions, where the gateware goes by cycles. Pure.

use carillon_driver::command::{Group, MsmMode};
use carillon_driver::windows::{WINDOW_SIZES, Window};

use crate::digits::Digits;

/// Additions of 1.5 * 2^size terms with uniform scalars: one for every digit,
/// two for every bucket.
fn additions(size: usize, digits: &Digits) -> u64 {
    let values = u64::from(digits.parts()) * (3 << size) / 2;
    u64::from(digits.windows()) * (values + 2 * digits.buckets())
}

/// The two tables of the page for a group: for split scalars, for whole ones.
pub(super) fn choices(group: Group, max_bits: u8) -> [[u8; WINDOW_SIZES]; 2] {
    [MsmMode::Split, MsmMode::Full].map(|mode| {
        // Once for all sizes: the number of windows is what takes time.
        let cuts: Vec<(u8, Digits)> = (2..=max_bits)
            .map(|bits| (bits, Digits::new(group, Window { bits, mode })))
            .collect();
        std::array::from_fn(|size| {
            let best = cuts
                .iter()
                .min_by_key(|(_, digits)| additions(size, digits));
            let whole = if mode == MsmMode::Full { 0x80 } else { 0 };
            best.map_or(max_bits, |(bits, _)| *bits) | whole
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable as _;
    use carillon_driver::identity::{FEATURE_MSM_G2, IdentityPage};
    use carillon_driver::windows::WindowChoice;

    #[test]
    fn windows_grow_with_the_size_up_to_the_limit() {
        let tables = Group::ALL.map(|group| choices(group, 13));
        for table in &tables {
            for (table, whole) in table.iter().zip([0, 0x80]) {
                assert!(table.is_sorted());
                assert!((whole | 2..=whole | 3).contains(&table[0]));
                assert_eq!(table[31], whole | 13);
            }
        }
        let [g1, g2] = tables;
        let page = IdentityPage {
            features: FEATURE_MSM_G2,
            split_windows: g1[0],
            full_windows: g1[1],
            g2_split_windows: g2[0],
            g2_full_windows: g2[1],
            ..IdentityPage::zeroed()
        };
        for group in Group::ALL {
            let choice = WindowChoice::from_page(&page, group, 13);
            assert!(matches!(choice, Ok(Some(_))), "{group:?}");
        }
    }
}
