//! Which rows belong to a key: one sorted list of numbers, eight bytes a row.

/// Keys with rows. A key is a hash or a number; who looks one up checks what it finds.
#[derive(Debug, Default)]
pub(super) struct Postings {
    /// Key in the upper half, row in the lower. Sorted by [`finish`](Self::finish).
    entries: Vec<u64>,
}

impl Postings {
    pub(super) fn add(&mut self, key: u32, row: u32) {
        self.entries.push(u64::from(key) << 32 | u64::from(row));
    }

    /// Sorts; lookups before it find nothing sure.
    pub(super) fn finish(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup();
        self.entries.shrink_to_fit();
    }

    /// The rows of a key, ascending.
    pub(super) fn of(&self, key: u32) -> impl Iterator<Item = u32> + '_ {
        let start = u64::from(key) << 32;
        let from = self.entries.partition_point(|entry| *entry < start);
        let rest = self.entries.get(from..).unwrap_or_default().iter();
        rest.map(|entry| halves(*entry))
            .take_while(move |(found, _)| *found == key)
            .map(|(_, row)| row)
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
