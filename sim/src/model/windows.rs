//! The window sizes that the functional card states in its identity page.
//!
//! It has no windows, and its results do not depend on them. It states what is
//! best by the number of additions, where the gateware goes by cycles. Pure.

use carillon_driver::command::MsmMode;
use carillon_driver::windows::{WINDOW_SIZES, Window};

use crate::digits::Digits;

/// Additions of 1.5 * 2^size terms with uniform scalars: one for every digit,
/// two for every bucket.
fn additions(size: usize, digits: &Digits) -> u64 {
    let parts = match digits.mode() {
        MsmMode::Split => 2,
        MsmMode::Full => 1,
    };
    u64::from(digits.windows()) * (parts * (3 << size) / 2 + 2 * digits.buckets())
}

/// The two tables of the page: for split scalars, for whole ones.
pub(super) fn choices(max_bits: u8) -> [[u8; WINDOW_SIZES]; 2] {
    [MsmMode::Split, MsmMode::Full].map(|mode| {
        // Once for all sizes: the number of windows is what takes time.
        let cuts: Vec<(u8, Digits)> = (2..=max_bits)
            .map(|bits| (bits, Digits::new(Window { bits, mode })))
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
    use carillon_driver::identity::IdentityPage;
    use carillon_driver::windows::WindowChoice;

    #[test]
    fn windows_grow_with_the_size_up_to_the_limit() {
        let tables = choices(13);
        for (table, whole) in tables.iter().zip([0, 0x80]) {
            assert!(table.is_sorted());
            assert_eq!((table[0], table[31]), (whole | 2, whole | 13));
        }
        let [split_windows, full_windows] = tables;
        let page = IdentityPage {
            split_windows,
            full_windows,
            ..IdentityPage::zeroed()
        };
        assert!(matches!(WindowChoice::from_page(&page, 13), Ok(Some(_))));
    }
}
