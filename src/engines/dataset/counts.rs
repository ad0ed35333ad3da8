//! What became of every task of an export.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::split::Side;

/// What became of a task, or of one row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// A row on its side.
    Row {
        /// Which.
        side: Side,
        /// The row, as one line of JSON.
        line: String,
        /// Where it comes from, as one line of JSON.
        about: String,
    },
    /// A row that the export does without.
    Dropped {
        /// Why.
        why: Dropped,
        /// Where it comes from and which row is like it, as one line of JSON.
        about: String,
    },
    /// A good answer, kept for the rows of the bad answers to its prompt.
    Paired,
    /// Left out, with the reason in a stable word.
    Skipped(&'static str),
}

/// Why a row is not in the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// The same row was there before.
    Duplicate,
    /// Nearly the same row was there before.
    NearDuplicate,
    /// A source of this kind has its share.
    Capped(&'static str),
}

/// How many tasks went where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportCounts {
    /// Tasks that were read.
    #[serde(rename = "in")]
    pub read: u64,
    /// Rows of a task beside its first; with `in`, the sum of the rest.
    pub further: u64,
    /// Rows to learn from.
    pub train: u64,
    /// Rows held out.
    pub test: u64,
    /// Rows that were there before.
    pub duplicates: u64,
    /// Rows that were nearly there before.
    pub near_duplicates: u64,
    /// Good answers that are kept for the rows of bad ones.
    pub paired: u64,
    /// Rows of sources that have their share, by the kind of source.
    pub capped: BTreeMap<Cow<'static, str>, u64>,
    /// Tasks and rows that were left out, by reason.
    pub skipped: BTreeMap<Cow<'static, str>, u64>,
}

impl ExportCounts {
    /// Rows on both sides.
    pub fn rows(&self) -> u64 {
        self.train.saturating_add(self.test)
    }

    /// Tasks, and rows of a task beside its first.
    pub fn taken(&self) -> u64 {
        self.read.saturating_add(self.further)
    }

    /// Those of them that went somewhere.
    pub fn placed(&self) -> u64 {
        [self.rows(), self.paired, self.dropped()]
            .into_iter()
            .chain(self.skipped.values().copied())
            .fold(0, u64::saturating_add)
    }

    /// Rows that `origin/dropped.jsonl` lists.
    pub fn dropped(&self) -> u64 {
        [self.duplicates, self.near_duplicates]
            .into_iter()
            .chain(self.capped.values().copied())
            .fold(0, u64::saturating_add)
    }

    /// Whether everything went somewhere.
    pub fn reconcile(&self) -> bool {
        self.taken() == self.placed()
    }

    pub(super) fn count(&mut self, placed: &[Placed]) {
        self.read += 1;
        self.further += (placed.len() as u64).saturating_sub(1);
        for one in placed {
            match one {
                Placed::Row {
                    side: Side::Train, ..
                } => self.train += 1,
                Placed::Row {
                    side: Side::Test, ..
                } => self.test += 1,
                Placed::Dropped { why, .. } => match why {
                    Dropped::Duplicate => self.duplicates += 1,
                    Dropped::NearDuplicate => self.near_duplicates += 1,
                    Dropped::Capped(source) => {
                        *self.capped.entry((*source).into()).or_default() += 1;
                    }
                },
                Placed::Paired => self.paired += 1,
                Placed::Skipped(reason) => *self.skipped.entry((*reason).into()).or_default() += 1,
            }
        }
    }
}
