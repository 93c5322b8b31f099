//! What a listing has given out already.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

/// A set of texts that keeps 64 bits of each, so that a listing of 100,000 items costs about 2 MB and not ten.
///
/// Among so many, the chance of taking a new item for one that was seen is less than one in 10^9.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hash: RandomState,
    hashes: HashSet<u64>,
}

impl Seen {
    /// Adds a text; whether it is new.
    pub(super) fn insert<T: Hash + ?Sized>(&mut self, text: &T) -> bool {
        self.hashes.insert(self.hash.hash_one(text))
    }

    pub(super) fn clear(&mut self) {
        self.hashes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_new_once() {
        let mut seen = Seen::default();
        let new = |seen: &mut Seen| {
            (0..100_000)
                .filter(|id| seen.insert(&id.to_string()))
                .count()
        };
        assert_eq!((new(&mut seen), new(&mut seen)), (100_000, 0));
        seen.clear();
        assert!(seen.insert("1"));
    }
}
