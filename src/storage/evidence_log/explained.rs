//! What a walk finds empty or missing, held against the records that say why.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::line_v1;
use crate::types::evidence::{Erased, ErasureEvidence, EvidenceRecord, Kind, RetentionEvidence};

/// What retention removed before the first record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedBefore {
    /// The last record that was removed.
    pub last: u64,
    /// Its hash.
    pub hash: String,
    /// The record that says so.
    pub by: u64,
    /// The setting that asked for it.
    pub reason: String,
}

/// A record that is empty.
#[derive(Debug, Serialize, Deserialize)]
struct Stone {
    by: u64,
    said: [u8; 32],
    /// Of a record of version 1: what is left of it.
    frame: Option<[u8; 32]>,
    /// Its file, by its place in [`Explained::files`].
    file: usize,
    line: u64,
}

/// What an erasure said.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    said: [u8; 32],
    ranges: Vec<(u64, u64)>,
    frames: BTreeMap<u64, String>,
    place: (String, u64),
}

/// Something that no record explains.
pub(super) enum Unexplained {
    /// A record is empty, and no erasure names it.
    Erased,
    /// What is left of an erased record is not what was left.
    Changed,
    /// An erasure names it, and its content is there.
    NotErased,
}

/// One such thing: what, file and line, which record, in words.
pub(super) type Finding = (Unexplained, (String, u64), u64, String);

/// Records of which nobody can tell what they held.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Absent {
    /// Those that were changed, or are no records.
    pub(super) bad: BTreeSet<u64>,
    /// Those that are missing.
    pub(super) missing: Vec<RangeInclusive<u64>>,
}

impl Absent {
    fn within(&self, from: u64, to: u64) -> u64 {
        let overlaps = self.missing.iter().map(|range| {
            let (from, to) = (from.max(*range.start()), to.min(*range.end()));
            to.saturating_add(1).saturating_sub(from)
        });
        self.bad.range(from..=to).count() as u64 + overlaps.sum::<u64>()
    }

    /// The next record after `seq`, when that is one of these.
    fn past(&self, seq: u64) -> Option<u64> {
        let range = self.missing.iter().find(|range| range.contains(&seq));
        let last = range.map(|range| *range.end());
        let last = last.or_else(|| self.bad.contains(&seq).then_some(seq))?;
        Some(last.saturating_add(1))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Explained {
    stones: BTreeMap<u64, Stone>,
    orders: BTreeMap<u64, Order>,
    files: Vec<String>,
    removed: Option<RemovedBefore>,
    /// How many of the empty records are of version 1.
    pub(super) unverifiable: u64,
}

impl Explained {
    /// Takes a record whose hash is right.
    pub(super) fn take(&mut self, place: (&str, u64), record: &EvidenceRecord) {
        if let Some(erased) = &record.erased {
            self.stone(place, record, erased);
            return;
        }
        match record.kind {
            Kind::Erasure => {
                if let Ok(told) = ErasureEvidence::deserialize(&record.body) {
                    let frames = told.frames.into_iter();
                    let order = Order {
                        said: said(record.ts, &told.reason),
                        ranges: told.records,
                        frames: frames.map(|frame| (frame.seq, frame.digest)).collect(),
                        place: (place.0.to_owned(), place.1),
                    };
                    self.orders.insert(record.seq, order);
                }
            }
            Kind::Retention => {
                if let Ok(told) = RetentionEvidence::deserialize(&record.body) {
                    // Later ones have removed what earlier ones left first.
                    self.removed = Some(RemovedBefore {
                        last: told.last,
                        hash: told.last_hash,
                        by: record.seq,
                        reason: told.reason,
                    });
                }
            }
            _ => {}
        }
    }

    fn stone(&mut self, place: (&str, u64), record: &EvidenceRecord, erased: &Erased) {
        if self.files.last().is_none_or(|last| last != place.0) {
            self.files.push(place.0.to_owned());
        }
        let frame = record
            .content
            .is_none()
            .then(|| *blake3::hash(line_v1::digest(record).as_bytes()).as_bytes());
        self.unverifiable += u64::from(frame.is_some());
        let stone = Stone {
            // No erasure has the number 0: what tells of the journal itself is not to be erased.
            by: match record.kind.is_of_the_journal() {
                true => 0,
                false => erased.by,
            },
            said: said(erased.at, &erased.reason),
            frame,
            file: self.files.len() - 1,
            line: place.1,
        };
        self.stones.insert(record.seq, stone);
    }

    /// Empty records.
    pub(super) fn erased(&self) -> u64 {
        self.stones.len() as u64
    }

    /// What retention removed, where the journal begins with `first`.
    pub(super) fn removed(&self) -> Option<&RemovedBefore> {
        self.removed.as_ref()
    }

    /// Lists what no record explains, in a journal that has the records `first` to `last` but for what is `absent`.
    pub(super) fn unexplained(&self, absent: &Absent, (first, last): (u64, u64)) -> Vec<Finding> {
        let mut found = Vec::new();
        for (&seq, stone) in &self.stones {
            if let Some((what, message)) = self.weigh(seq, stone) {
                let file = self.files.get(stone.file).cloned().unwrap_or_default();
                found.push((what, (file, stone.line), seq, message));
            }
        }
        for (&by, order) in &self.orders {
            for &(from, to) in &order.ranges {
                let (from, to) = (from.max(first), to.min(last).min(by.saturating_sub(1)));
                if from > to {
                    continue;
                }
                let empty = self.stones.range(from..=to).count() as u64;
                let there = (to - from + 1).saturating_sub(empty + absent.within(from, to));
                if there > 0 {
                    let seq = self.first_whole(from, absent);
                    let message = format!(
                        "record {by} says that {there} from record {seq} on were erased, and their content is there"
                    );
                    found.push((Unexplained::NotErased, order.place.clone(), seq, message));
                }
            }
        }
        found
    }

    fn first_whole(&self, from: u64, absent: &Absent) -> u64 {
        let mut seq = from;
        loop {
            if self.stones.contains_key(&seq) {
                seq += 1;
            } else if let Some(past) = absent.past(seq).filter(|past| *past > seq) {
                seq = past;
            } else {
                return seq;
            }
        }
    }

    fn weigh(&self, seq: u64, stone: &Stone) -> Option<(Unexplained, String)> {
        let order = self.orders.get(&stone.by).filter(|order| {
            let mut ranges = order.ranges.iter();
            seq < stone.by && ranges.any(|(first, last)| (*first..=*last).contains(&seq))
        });
        let Some(order) = order else {
            let message = format!(
                "the content of record {seq} is gone, and there is no record {} of an erasure that names it",
                stone.by
            );
            return Some((Unexplained::Erased, message));
        };
        if order.said != stone.said {
            let message = format!(
                "record {seq} says another time or reason of its erasure than record {}",
                stone.by
            );
            return Some((Unexplained::Changed, message));
        }
        if let Some(frame) = stone.frame {
            let noted = order.frames.get(&seq);
            let noted = noted.map(|digest| *blake3::hash(digest.as_bytes()).as_bytes());
            if noted != Some(frame) {
                let message = format!(
                    "what is left of record {seq} is not what its erasure, record {}, left",
                    stone.by
                );
                return Some((Unexplained::Changed, message));
            }
        }
        None
    }
}

/// When and why, short.
fn said(at: u64, reason: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&at.to_le_bytes());
    hasher.update(reason.as_bytes());
    *hasher.finalize().as_bytes()
}
