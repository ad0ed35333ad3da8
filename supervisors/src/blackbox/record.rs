//! The layout: a header, the requests that run, the suspects of earlier deaths. Words of 64 bits throughout,
//! so that a write is never torn within one.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Suspect;
use crate::fault::Digest;

/// "BOATBOX1", read as a little-endian word.
const MAGIC: u64 = u64::from_le_bytes(*b"BOATBOX1");
const HEADER_WORDS: usize = 2;
const NAME_WORDS: usize = 10;
/// State, start, digest (2), times, length of the name, the name.
const RECORD_WORDS: usize = 6 + NAME_WORDS;

const EMPTY: u64 = 0;
const CLAIMED: u64 = 1;
const WHOLE: u64 = 2;

/// The part of a cell's id that fits.
pub(super) fn name_of(cell: &str) -> &str {
    let end = cell.len().min(NAME_WORDS * 8);
    let end = (0..=end).rev().find(|end| cell.is_char_boundary(*end));
    &cell[..end.unwrap_or(0)]
}

/// A record that no writer of ours left.
#[derive(Debug)]
pub(super) struct Damaged;

/// One request, running or suspect.
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(&'a [AtomicU64]);

impl Record<'_> {
    /// Takes an empty record.
    pub(super) fn claim(self) -> bool {
        let state = &self.0[0];
        state.load(Ordering::Relaxed) == EMPTY
            && state
                .compare_exchange(EMPTY, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    /// Fills a claimed record. Until the last store it does not count.
    pub(super) fn write(self, name: &str, digest: Digest, started_ms: u64, times: u32) {
        let store = |index: usize, value: u64| self.0[index].store(value, Ordering::Relaxed);
        let [low, high] = digest.words();
        store(1, started_ms);
        store(2, low);
        store(3, high);
        store(4, u64::from(times));
        store(5, name.len() as u64);
        for (index, chunk) in name.as_bytes().chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            store(6 + index, u64::from_le_bytes(word));
        }
        self.0[0].store(WHOLE, Ordering::Release);
    }

    pub(super) fn clear(self) {
        self.0[0].store(EMPTY, Ordering::Release);
    }

    /// Reads a record; `None` when it is empty or was not finished.
    pub(super) fn read(self) -> Result<Option<Suspect>, Damaged> {
        let load = |index: usize| self.0[index].load(Ordering::Relaxed);
        match self.0[0].load(Ordering::Acquire) {
            EMPTY | CLAIMED => return Ok(None),
            WHOLE => {}
            _ => return Err(Damaged),
        }
        let bytes: Vec<u8> = (6..RECORD_WORDS)
            .flat_map(|index| load(index).to_le_bytes())
            .collect();
        let name = usize::try_from(load(5))
            .ok()
            .and_then(|length| bytes.get(..length))
            .and_then(|name| std::str::from_utf8(name).ok())
            .ok_or(Damaged)?;
        Ok(Some(Suspect {
            cell: name.to_owned(),
            digest: Digest::from_words([load(2), load(3)]),
            started_ms: load(1),
            times: u32::try_from(load(4)).map_err(|_| Damaged)?,
        }))
    }
}

/// What a file says.
#[derive(Default)]
pub(super) struct Table {
    running: Vec<Suspect>,
    suspects: Vec<Suspect>,
    pub(super) damaged: bool,
}

/// What follows from it.
pub(super) struct Suspects {
    /// Were running at the last death, with their count.
    pub(super) new: Vec<Suspect>,
    /// All that are to be remembered.
    pub(super) after: Vec<Suspect>,
    pub(super) damaged: bool,
}

impl Table {
    /// Most requests noted at once; more run unnoted.
    pub(super) const FLIGHTS: usize = 256;
    /// Most suspects remembered; those that ran longest ago go first.
    const SUSPECTS: usize = 256;
    const WORDS: usize = HEADER_WORDS + (Self::FLIGHTS + Self::SUSPECTS) * RECORD_WORDS;

    fn record(words: &[AtomicU64], index: usize) -> Record<'_> {
        let start = HEADER_WORDS + index * RECORD_WORDS;
        Record(&words[start..start + RECORD_WORDS])
    }

    pub(super) fn flight(words: &[AtomicU64], index: usize) -> Record<'_> {
        Self::record(words, index)
    }

    pub(super) fn suspect(words: &[AtomicU64], index: usize) -> Record<'_> {
        Self::record(words, Self::FLIGHTS + index)
    }

    /// Reads a file of any content.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let (chunks, rest) = bytes.as_chunks::<8>();
        let words: Vec<_> = chunks
            .iter()
            .map(|chunk| AtomicU64::new(u64::from_le_bytes(*chunk)))
            .collect();
        let mut table = Self::default();
        let own = words.first().map(|word| word.load(Ordering::Relaxed)) == Some(MAGIC);
        if !own || words.len() != Self::WORDS || !rest.is_empty() {
            // A file that was just created is no news.
            table.damaged = !bytes.is_empty();
            return table;
        }
        for index in 0..Self::FLIGHTS + Self::SUSPECTS {
            match Self::record(&words, index).read() {
                Ok(None) => {}
                Ok(Some(found)) if index < Self::FLIGHTS => table.running.push(found),
                Ok(Some(found)) => table.suspects.push(found),
                Err(Damaged) => table.damaged = true,
            }
        }
        table
    }

    /// Counts one death against each request that was running at it.
    pub(super) fn into_suspects(self) -> Suspects {
        let mut after = self.suspects;
        let mut new: Vec<Suspect> = Vec::new();
        for ran in self.running {
            let same = |known: &Suspect| known.cell == ran.cell && known.digest == ran.digest;
            if new.iter().any(same) {
                continue;
            }
            let times = after
                .iter()
                .find(|known| same(known))
                .map_or(0, |known| known.times);
            after.retain(|known| !same(known));
            new.push(Suspect {
                times: times.saturating_add(1),
                ..ran
            });
        }
        after.extend_from_slice(&new);
        after.sort_by_key(|suspect| std::cmp::Reverse(suspect.started_ms));
        after.truncate(Self::SUSPECTS);
        Suspects {
            new,
            after,
            damaged: self.damaged,
        }
    }

    /// Writes a file in which nothing runs.
    pub(super) fn encode(suspects: &[Suspect]) -> Vec<u8> {
        let words: Vec<_> = (0..Self::WORDS).map(|_| AtomicU64::new(0)).collect();
        words[0].store(MAGIC, Ordering::Relaxed);
        for (index, known) in suspects.iter().enumerate() {
            Self::suspect(&words, index).write(
                &known.cell,
                known.digest,
                known.started_ms,
                known.times,
            );
        }
        words
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .collect()
    }
}
