//! Bytes of texts, eight at a time: in WebAssembly each step of a loop also checks the deadline.

/// Lowest bit of each byte.
pub(crate) const ONES: u64 = u64::MAX / 0xff;

/// Highest bit of each byte.
pub(crate) const HIGHS: u64 = ONES << 7;

/// Eight times the same byte.
pub(crate) const fn all(byte: u8) -> u64 {
    ONES * byte as u64
}

/// The highest bit of each byte that is zero; above the lowest such byte also of some that are not (Lamport).
pub(crate) const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Index of the first byte that `hits` marks by its highest bit; where it marks others, it does so above that.
#[inline(always)]
pub(crate) fn position(bytes: &[u8], hits: impl Fn(u64) -> u64) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let found = hits(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let in_rest = rest
        .iter()
        .position(|byte| hits(u64::from(*byte)) & 0x80 != 0);
    in_rest.map(|index| words.len() * 8 + index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_byte_is_found(bytes in prop::collection::vec(any::<u8>(), 0..40), wanted: u8) {
            let found = position(&bytes, |word| zeros(word ^ all(wanted)));
            prop_assert_eq!(found, bytes.iter().position(|byte| *byte == wanted));
        }
    }
}
