//! Packed port images: little-endian bytes of concatenated bit fields, as a packed struct lies in a port.

/// Bits handled at once.
const WORD: usize = 64;

/// The field of `width` bits, at most 64, at bit `offset` of `image`.
#[must_use]
pub fn get_field(image: &[u8], offset: usize, width: usize) -> u64 {
    let (window, _) = load(image, offset);
    (window >> (offset % 8)) as u64 & mask(width)
}

/// Replaces the field of `width` bits, at most 64, at bit `offset` of `image` by the low bits of `value`.
pub fn set_field(image: &mut [u8], offset: usize, width: usize, value: u64) {
    let (window, bytes) = load(image, offset);
    let shift = offset % 8;
    let keep = !(u128::from(mask(width)) << shift);
    let window = window & keep | u128::from(value & mask(width)) << shift;
    image[offset / 8..][..bytes].copy_from_slice(&window.to_le_bytes()[..bytes]);
}

/// The bytes of `image` from the one that holds bit `offset`, as far as a field can reach, and their number.
fn load(image: &[u8], offset: usize) -> (u128, usize) {
    let rest = &image[offset / 8..];
    let mut window = [0; 16];
    let bytes = rest.len().min(window.len());
    window[..bytes].copy_from_slice(&rest[..bytes]);
    (u128::from_le_bytes(window), bytes)
}

fn mask(width: usize) -> u64 {
    u64::MAX.checked_shr((WORD - width) as u32).unwrap_or(0)
}

/// Concatenates `(bytes, width)` fields, the least significant first (the last member of a packed
/// struct first). `width` is in bits; bits of `bytes` beyond it must be zero.
#[must_use]
pub fn concat(fields: &[(&[u8], usize)]) -> Vec<u8> {
    let total: usize = fields.iter().map(|(_, width)| width).sum();
    // Ports beyond 64 bits are whole 32-bit words.
    let mut image = vec![0; total.div_ceil(32) * 4];
    let mut offset = 0;
    for (bytes, width) in fields {
        copy_field(&mut image, offset, bytes, *width);
        offset += width;
    }
    image
}

/// Writes the field of `width` bits at bit `offset` of `image`; missing high bytes are zero.
pub fn copy_field(image: &mut [u8], offset: usize, bytes: &[u8], width: usize) {
    for (index, at) in (0..width).step_by(WORD).enumerate() {
        let mut word = [0; WORD / 8];
        let rest = bytes.get(index * word.len()..).unwrap_or(&[]);
        let known = rest.len().min(word.len());
        word[..known].copy_from_slice(&rest[..known]);
        let part = (width - at).min(WORD);
        set_field(image, offset + at, part, u64::from_le_bytes(word));
    }
}

/// The field of `width` bits at bit `offset` of `image`, in `width` rounded up to whole bytes.
#[must_use]
pub fn extract(image: &[u8], offset: usize, width: usize) -> Vec<u8> {
    let mut field = Vec::with_capacity(width.div_ceil(8) + WORD / 8);
    for at in (0..width).step_by(WORD) {
        let part = (width - at).min(WORD);
        field.extend(get_field(image, offset + at, part).to_le_bytes());
    }
    field.truncate(width.div_ceil(8));
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_any_place_and_width_are_replaced_alone() {
        for width in [0, 1, 7, 8, 63, 64] {
            for offset in 0..136 - width {
                let mut image = [0xa5; 17];
                set_field(&mut image, offset, width, 0x0123_4567_89ab_cdef);
                for bit in 0..136 {
                    let expected = if (offset..offset + width).contains(&bit) {
                        0x0123_4567_89ab_cdef_u64 >> (bit - offset) & 1
                    } else {
                        0xa5 >> (bit % 8) & 1
                    };
                    assert_eq!(get_field(&image, bit, 1), expected);
                }
            }
        }
    }

    #[test]
    fn extraction_undoes_concatenation() {
        // 381 bits: five of the last byte.
        let long: Vec<u8> = (1..=48).map(|byte| byte % 32).collect();
        let image = concat(&[(&[1], 1), (&long, 381), (&[2, 3], 10), (&long[..8], 64)]);
        assert_eq!(image.len(), 60);
        assert_eq!(extract(&image, 0, 1), [1]);
        assert_eq!(extract(&image, 1, 381), long[..48]);
        assert_eq!(extract(&image, 382, 10), [2, 3]);
        assert_eq!(extract(&image, 392, 64), long[..8]);
    }
}
