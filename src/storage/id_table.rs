//! Which of many ids were seen: a hash table in a file, so that memory does not grow with it.
//!
//! It is made anew from what it is about and not read again after its process has ended, so it needs neither checksums
//! nor an order of writes. Slots of 16 bytes, of which zeros are a free one, in a power of two; a key goes to the slot
//! that its first bytes name, or to the next free one after it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// An id's hash.
pub type Key = [u8; 16];

const SLOT_BYTES: u64 = 16;
/// Slots that are read at once.
const PAGE_SLOTS: u64 = 256;
/// Slots of a new table: 1 MiB.
const FIRST_SLOTS: u64 = 64 * 1024;
const FREE: Key = [0; 16];

/// A set of keys in a file.
#[derive(Debug)]
pub struct IdTable {
    path: PathBuf,
    file: File,
    slots: u64,
    used: u64,
}

/// Where a key is, or would be.
enum Slot {
    Taken,
    Free(u64),
}

impl IdTable {
    /// Makes an empty table; a file of that name is removed.
    ///
    /// Errors: the disk failed.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::with_slots(path, FIRST_SLOTS)
    }

    fn with_slots(path: &Path, slots: u64) -> io::Result<Self> {
        // Never into a file that a thread which was given up may still hold.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        let file = options.open(path)?;
        file.set_len(slots * SLOT_BYTES)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            slots,
            used: 0,
        })
    }

    /// Whether a key is in it.
    ///
    /// Errors: the disk failed.
    pub fn contains(&mut self, key: &Key) -> io::Result<bool> {
        Ok(matches!(self.slot(&some(key))?, Slot::Taken))
    }

    /// Puts a key in; returns whether it was not there.
    ///
    /// Errors: the disk failed.
    pub fn insert(&mut self, key: &Key) -> io::Result<bool> {
        let key = some(key);
        let Slot::Free(at) = self.slot(&key)? else {
            return Ok(false);
        };
        self.file.seek(SeekFrom::Start(at * SLOT_BYTES))?;
        self.file.write_all(&key)?;
        self.used += 1;
        if self.used > self.slots / 4 * 3 {
            self.grow()?;
        }
        Ok(true)
    }

    /// How many keys are in it.
    pub fn len(&self) -> u64 {
        self.used
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn slot(&mut self, key: &Key) -> io::Result<Slot> {
        let mut first = [0; 8];
        first.copy_from_slice(key.first_chunk::<8>().unwrap_or(&[0; 8]));
        let home = u64::from_le_bytes(first) & (self.slots - 1);
        let mut page = Vec::new();
        let mut at = home;
        // Invariant: a quarter of the slots is free, so that this ends.
        loop {
            let count = PAGE_SLOTS.min(self.slots - at);
            self.file.seek(SeekFrom::Start(at * SLOT_BYTES))?;
            page.clear();
            (&mut self.file)
                .take(count * SLOT_BYTES)
                .read_to_end(&mut page)?;
            let (slots, _) = page.as_chunks::<16>();
            for (index, found) in (at..).zip(slots) {
                if found == key {
                    return Ok(Slot::Taken);
                }
                if *found == FREE {
                    return Ok(Slot::Free(index));
                }
            }
            at = (at + count) & (self.slots - 1);
        }
    }

    fn grow(&mut self) -> io::Result<()> {
        let beside = self.path.with_extension("grown");
        let mut larger = Self::with_slots(&beside, self.slots * 2)?;
        self.file.seek(SeekFrom::Start(0))?;
        let mut old = io::BufReader::new(&self.file);
        let mut key = FREE;
        for _ in 0..self.slots {
            old.read_exact(&mut key)?;
            if key != FREE {
                larger.insert(&key)?;
            }
        }
        fs::rename(&beside, &self.path)?;
        larger.path.clone_from(&self.path);
        *self = larger;
        Ok(())
    }
}

/// A key that is not the sign of a free slot.
fn some(key: &Key) -> Key {
    let mut key = *key;
    if key == FREE {
        key[15] = 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        let mut key = FREE;
        key.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
        key
    }

    #[test]
    fn a_table_knows_what_was_put_in_however_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let mut table = IdTable::with_slots(&path, 4).unwrap();
        for number in 0..2_000 {
            assert!(!table.contains(&key(number)).unwrap());
            assert!(table.insert(&key(number)).unwrap(), "{number}");
            assert!(!table.insert(&key(number)).unwrap(), "{number}");
        }
        for number in 0..2_000 {
            assert!(table.contains(&key(number)).unwrap(), "{number}");
            assert!(!table.contains(&key(number + 2_000)).unwrap());
        }
        assert_eq!(table.len(), 2_000);
        assert!(table.slots >= 2_000);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // The next process begins anew.
        let mut again = IdTable::create(&path).unwrap();
        assert!(!again.contains(&key(1)).unwrap() && again.is_empty());
    }

    #[test]
    fn keys_that_meet_at_the_end_go_on_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = IdTable::with_slots(&folder.path().join("ids"), 8).unwrap();
        let last = |number: u8| {
            let mut key = [0xff; 16];
            key[15] = number;
            key
        };
        for number in 0..5 {
            assert!(table.insert(&last(number)).unwrap());
        }
        assert!((0..5).all(|number| table.contains(&last(number)).unwrap()));
        assert!(!table.contains(&last(9)).unwrap());
        assert!(table.insert(&FREE).unwrap() && table.contains(&FREE).unwrap());
    }
}
