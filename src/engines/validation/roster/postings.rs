//! Which rows belong to a key: one sorted list of numbers, eight bytes a row.

/// Entries that share a part of the table, about: a line of the processor's cache.
const ENTRIES_IN_PART: usize = 8;

/// Keys with rows. A key is a hash or a number; who looks one up checks what it finds.
#[derive(Debug, Default)]
pub(super) struct Postings {
    /// Key in the upper half, row in the lower. Sorted by [`finish`](Self::finish).
    entries: Vec<u64>,
    /// Where the keys of each beginning start, and the end: of hashes few share one, so that a lookup waits for memory once or
    /// twice, not at every halving.
    starts: Vec<u32>,
    /// Bits of a key that are not its beginning.
    rest_bits: u32,
}

impl Postings {
    pub(super) fn add(&mut self, key: u32, row: u32) {
        self.entries.push(u64::from(key) << 32 | u64::from(row));
    }

    /// Sorts; lookups before it find nothing.
    pub(super) fn finish(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup();
        self.entries.shrink_to_fit();
        let bits = (self.entries.len() / ENTRIES_IN_PART)
            .max(1)
            .ilog2()
            .min(24);
        self.rest_bits = u32::BITS - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (at, entry) in (0..).zip(&self.entries) {
            let part = self.part(halves(*entry).0);
            while starts.len() <= part {
                starts.push(at);
            }
        }
        let end = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        starts.resize((1 << bits) + 1, end);
        self.starts = starts;
    }

    /// The rows of a key, ascending.
    pub(super) fn of(&self, key: u32) -> impl Iterator<Item = u32> + '_ {
        let part = self.part(key);
        let start = |part: usize| self.starts.get(part).map_or(0, |start| *start as usize);
        let entries = self.entries.get(start(part)..start(part + 1));
        let entries = entries.unwrap_or_default();
        let least = u64::from(key) << 32;
        let from = entries.partition_point(|entry| *entry < least);
        let rest = entries.get(from..).unwrap_or_default().iter();
        rest.map(|entry| halves(*entry))
            .take_while(move |(found, _)| *found == key)
            .map(|(_, row)| row)
    }

    fn part(&self, key: u32) -> usize {
        key.checked_shr(self.rest_bits).unwrap_or(0) as usize
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of an entry are meant"
)]
fn halves(entry: u64) -> (u32, u32) {
    ((entry >> 32) as u32, entry as u32)
}

/// FNV-1a, mixed once more: short texts of a file that an operator chose, not of a stranger.
#[derive(Clone, Copy)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    pub(super) fn finish(self) -> u32 {
        let mixed = (self.0 ^ self.0 >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        // Half of it is enough.
        (mixed >> 32) as u32
    }
}

pub(super) fn hash(text: &str) -> u32 {
    Hash::new().bytes(text.as_bytes()).finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_of_a_key_is_found_and_no_other(
            pairs in prop::collection::vec((prop_oneof![0..20_u32, any::<u32>(), Just(u32::MAX)], 0..50_u32), 0..400),
            strangers in prop::collection::vec(any::<u32>(), 10),
        ) {
            let mut postings = Postings::default();
            let mut expected: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for (key, row) in pairs {
                postings.add(key, row);
                expected.entry(key).or_default().push(row);
            }
            prop_assert_eq!(postings.of(7).count(), 0, "before it is finished");
            postings.finish();
            for key in strangers {
                expected.entry(key).or_default();
            }
            for (key, mut rows) in expected {
                rows.sort_unstable();
                rows.dedup();
                prop_assert_eq!(postings.of(key).collect::<Vec<_>>(), rows, "{}", key);
            }
        }
    }
}
