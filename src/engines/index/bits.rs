//! A set of row numbers, one bit each.

/// A set of row numbers below its length. Numbers past the end are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// Adds `row`.
    pub fn insert(&mut self, row: u32) {
        let word = (row / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (row % 64);
    }

    /// Removes `row`.
    pub fn remove(&mut self, row: u32) {
        if let Some(word) = self.words.get_mut((row / 64) as usize) {
            *word &= !(1 << (row % 64));
        }
    }

    /// Tells whether `row` is in it.
    pub fn contains(&self, row: u32) -> bool {
        self.words
            .get((row / 64) as usize)
            .is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Counts its members.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Tells whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Adds the members of `other`.
    pub fn add_all(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Removes what is not in `other`.
    pub fn keep_all(&mut self, other: &Self) {
        self.words.truncate(other.words.len());
        for (word, kept) in self.words.iter_mut().zip(&other.words) {
            *word &= kept;
        }
    }

    /// Removes the members of `other`.
    pub fn remove_all(&mut self, other: &Self) {
        for (word, gone) in self.words.iter_mut().zip(&other.words) {
            *word &= !gone;
        }
    }

    /// Lists its members from `start` on, ascending.
    pub fn iter_from(&self, start: u32) -> impl Iterator<Item = u32> {
        let first = start / 64;
        let words = self.words.iter().enumerate().skip(first as usize);
        words.flat_map(move |(at, word)| {
            let base = u32::try_from(at).unwrap_or(u32::MAX / 64) * 64;
            let mut left = *word;
            if base / 64 == first {
                left &= u64::MAX << (start % 64);
            }
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(base + bit)
            })
        })
    }

    /// Lists its members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.iter_from(0)
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<T: IntoIterator<Item = u32>>(rows: T) -> Self {
        let mut bits = Self::default();
        for row in rows {
            bits.insert(row);
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(ops: Vec<(bool, u8, u8)>, start in 0_u32..600) {
            let (mut bits, mut model) = (Bits::default(), BTreeSet::new());
            for (add, high, low) in ops {
                let row = u32::from(high) + u32::from(low);
                if add {
                    bits.insert(row);
                    model.insert(row);
                } else {
                    bits.remove(row);
                    model.remove(&row);
                }
            }
            prop_assert_eq!(bits.count(), model.len());
            prop_assert!(bits.iter().eq(model.iter().copied()));
            prop_assert!(bits.iter_from(start).eq(model.range(start..).copied()));
            prop_assert_eq!(bits.contains(start), model.contains(&start));
            prop_assert_eq!(bits.is_empty(), model.is_empty());
        }

        #[test]
        fn two_sets_meet_as_sets_do(a: BTreeSet<u8>, b in proptest::collection::btree_set(0_u32..600, 0..40)) {
            let a: BTreeSet<u32> = a.into_iter().map(u32::from).collect();
            let bits = |set: &BTreeSet<u32>| set.iter().copied().collect::<Bits>();
            for (a, b) in [(&a, &b), (&b, &a)] {
                let (mut both, mut either, mut less) = (bits(a), bits(a), bits(a));
                both.keep_all(&bits(b));
                either.add_all(&bits(b));
                less.remove_all(&bits(b));
                prop_assert!(both.iter().eq(a.intersection(b).copied()));
                prop_assert!(either.iter().eq(a.union(b).copied()));
                prop_assert!(less.iter().eq(a.difference(b).copied()));
            }
        }
    }
}
