//! Short hashes packed without gaps: what a join keeps of each record counts, where there are many millions.

/// What identifies a record or an id: 128 bits of a hash. Of a thousand million texts two are alike with a chance of one in
/// 10^20.
pub(super) type Key = [u8; 16];

/// Not the hash of anything.
const EMPTY: Key = [0; 16];
/// Grown one after the other, so that never the whole table is there twice.
const SHARDS: usize = 64;
const FIRST_SLOTS: usize = 8;

/// A map from keys to `W` bytes each; a key takes `16 + W` bytes, up to twice that after the table has grown.
#[derive(Debug)]
pub(super) struct Table<const W: usize> {
    shards: Vec<Shard<W>>,
}

#[derive(Debug, Clone)]
struct Shard<const W: usize> {
    slots: Vec<Slot<W>>,
    used: usize,
}

/// Invariant: of alignment 1.
#[derive(Debug, Clone, Copy)]
struct Slot<const W: usize> {
    key: Key,
    value: [u8; W],
}

impl<const W: usize> Default for Table<W> {
    fn default() -> Self {
        let (slots, used) = (Vec::new(), 0);
        Self {
            shards: vec![Shard { slots, used }; SHARDS],
        }
    }
}

impl<const W: usize> Table<W> {
    pub(super) fn get(&self, key: &Key) -> Option<[u8; W]> {
        let shard = self.shards.get(shard_of(key))?;
        let slot = shard.slots.get(shard.find(key)?)?;
        (slot.key == *key).then_some(slot.value)
    }

    /// Sets the value of a key; returns whether the key is new.
    pub(super) fn set(&mut self, key: Key, value: [u8; W]) -> bool {
        match self.shards.get_mut(shard_of(&key)) {
            Some(shard) => shard.set(Slot { key, value }),
            None => false,
        }
    }

    /// Counts the keys.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.used).sum()
    }
}

/// The first byte chooses the shard, the last eight the slot.
fn shard_of(key: &Key) -> usize {
    usize::from(key[0]) % SHARDS
}

impl<const W: usize> Shard<W> {
    /// The slot that holds the key, or the empty one where it belongs; `None` without slots.
    fn find(&self, key: &Key) -> Option<usize> {
        let (_, last) = key.split_last_chunk::<8>()?;
        let spread = u128::from(u64::from_le_bytes(*last));
        let place = (spread * self.slots.len() as u128) >> 64;
        let mut at = usize::try_from(place).ok()?;
        // Invariant: some slot is empty.
        loop {
            match self.slots.get(at) {
                Some(slot) if slot.key == *key || slot.key == EMPTY => return Some(at),
                Some(_) => at += 1,
                None if self.slots.is_empty() => return None,
                None => at = 0,
            }
        }
    }

    fn set(&mut self, new: Slot<W>) -> bool {
        if self.used * 5 >= self.slots.len() * 4 {
            self.grow();
        }
        let Some(slot) = self.find(&new.key).and_then(|at| self.slots.get_mut(at)) else {
            return false;
        };
        let added = slot.key == EMPTY;
        *slot = new;
        self.used += usize::from(added);
        added
    }

    fn grow(&mut self) {
        let (key, value) = (EMPTY, [0; W]);
        let wider = (self.slots.len() + self.slots.len() / 2).max(FIRST_SLOTS);
        let before = std::mem::replace(&mut self.slots, vec![Slot { key, value }; wider]);
        for slot in before.into_iter().filter(|slot| slot.key != EMPTY) {
            if let Some(place) = self.find(&slot.key).and_then(|at| self.slots.get_mut(at)) {
                *place = slot;
            }
        }
    }
}

/// The key of a hash.
pub(super) fn short(hash: &blake3::Hash) -> Key {
    let mut key = EMPTY;
    let bytes = hash.as_bytes().iter();
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    if key == EMPTY {
        key = [1; 16];
    }
    key
}

/// The key of an id.
pub(super) fn of_id(id: &str) -> Key {
    short(&blake3::hash(id.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_slot_has_no_gaps() {
        assert_eq!((size_of::<Slot<0>>(), size_of::<Slot<5>>()), (16, 21));
    }

    #[test]
    fn it_holds_what_a_map_holds() {
        let (mut table, mut map) = (Table::<5>::default(), HashMap::new());
        assert_eq!(table.get(&of_id("0")), None);
        for at in 0..5000_u32 {
            // Every third comes again, with another value.
            let key = of_id(&(at - at % 3 / 2).to_string());
            let mut value = [7; 5];
            value[..4].copy_from_slice(&at.to_le_bytes());
            assert_eq!(table.set(key, value), map.insert(key, value).is_none());
        }
        assert_eq!(table.len(), map.len());
        for (key, value) in &map {
            assert_eq!(table.get(key), Some(*value));
        }
        assert_eq!(table.get(&of_id("none")), None);
    }

    #[test]
    fn keys_that_all_want_the_last_slot_go_round() {
        let mut table = Table::<0>::default();
        for at in 1..=200_u8 {
            let mut key = [0xff; 16];
            (key[0], key[4]) = (3, at);
            assert!(table.set(key, []) && !table.set(key, []));
        }
        assert_eq!(table.len(), 200);
    }
}
