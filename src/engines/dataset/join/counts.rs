//! What a reading of the journal came to: every line goes somewhere.

use serde::{Deserialize, Serialize};

/// How many lines went where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// Lines that were read; the sum of all below.
    #[serde(rename = "in")]
    pub read: u64,
    /// Completions that became tasks.
    pub tasks: u64,
    /// Judgements.
    pub feedback: u64,
    /// Verdicts.
    pub validations: u64,
    /// Searches.
    pub searches: u64,
    /// Completions without an answer, and without an edit that gives one.
    pub failed: u64,
    /// Answers that the cache had for a similar question, which no person judged.
    pub similar: u64,
    /// Answers to a replay.
    pub replayed: u64,
    /// Records whose content was erased.
    pub erased: u64,
    /// Records of erasures, and of what retention removed.
    pub changes: u64,
    /// Records with the same kind, id and body as one before.
    pub duplicates: u64,
    /// Lines that are no record of a known shape.
    pub quarantined: u64,
}

impl Counts {
    /// Lines that went somewhere.
    pub fn placed(&self) -> u64 {
        [
            self.tasks,
            self.feedback,
            self.validations,
            self.searches,
            self.failed,
            self.similar,
            self.replayed,
            self.erased,
            self.changes,
            self.duplicates,
            self.quarantined,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Whether every line went somewhere.
    pub fn reconcile(&self) -> bool {
        self.read == self.placed()
    }
}
