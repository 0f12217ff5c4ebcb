//! Packed port images: little-endian bytes of concatenated bit fields, as a packed struct lies in a port.

/// Concatenates `(bytes, width)` fields, the least significant first (the last member of a packed
/// struct first). `width` is in bits; bits of `bytes` beyond it must be zero.
#[must_use]
pub fn concat(fields: &[(&[u8], usize)]) -> Vec<u8> {
    let total: usize = fields.iter().map(|(_, width)| width).sum();
    // Ports beyond 64 bits are whole 32-bit words.
    let mut image = vec![0; total.div_ceil(32) * 4];
    let mut offset = 0;
    for (bytes, width) in fields {
        for bit in 0..*width {
            let value = bytes.get(bit / 8).map_or(0, |byte| byte >> (bit % 8) & 1);
            let place = offset + bit;
            image[place / 8] |= value << (place % 8);
        }
        offset += width;
    }
    image
}

/// The field of `width` bits at bit `offset` of `image`, in `width` rounded up to whole bytes.
#[must_use]
pub fn extract(image: &[u8], offset: usize, width: usize) -> Vec<u8> {
    let mut field = vec![0; width.div_ceil(8)];
    for bit in 0..width {
        let place = offset + bit;
        field[bit / 8] |= (image[place / 8] >> (place % 8) & 1) << (bit % 8);
    }
    field
}
