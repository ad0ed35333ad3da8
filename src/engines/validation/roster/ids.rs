//! Rows by their id: a table of open addresses, eight bytes a slot, at most two thirds full.

/// Finds a row by the hash of its id; who asks compares the id itself.
#[derive(Debug, Default)]
pub(super) struct IdTable {
    /// Hash in the upper half, row + 1 in the lower; 0 is empty. Invariant: the length is 0 or a power of two.
    slots: Vec<u64>,
    len: usize,
}

impl IdTable {
    /// The row of this hash that `same` agrees to.
    pub(super) fn find(&self, hash: u32, same: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let (slot_hash, row) = split(*self.slots.get(at)?)?;
            if slot_hash == hash && same(row) {
                return Some(row);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a row that is not there.
    pub(super) fn insert(&mut self, hash: u32, row: u32) {
        if (self.len + 1) * 3 > self.slots.len() * 2 {
            let slots = (self.slots.len() * 2).max(64);
            let old = std::mem::replace(&mut self.slots, vec![0; slots]);
            for (hash, row) in old.into_iter().filter_map(split) {
                self.place(hash, row);
            }
        }
        self.place(hash, row);
        self.len += 1;
    }

    fn place(&mut self, hash: u32, row: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = u64::from(hash) << 32 | (u64::from(row) + 1);
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of a slot are meant"
)]
fn split(slot: u64) -> Option<(u32, u32)> {
    (slot != 0).then(|| ((slot >> 32) as u32, (slot as u32).wrapping_sub(1)))
}
