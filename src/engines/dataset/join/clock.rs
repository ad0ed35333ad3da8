//! The order of the records of several journals.

use super::Source;

/// A journal's time, which does not go back.
///
/// Records of several journals are gathered by their time, and at the same time by their replica's place in the alphabet.
/// Within a journal the order is always its own: after a clock that was put back, records count as of the latest time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    source: Source,
    now: u64,
}

impl Clock {
    /// Before the first record of a journal.
    pub fn of(source: Source) -> Self {
        Self { source, now: 0 }
    }

    /// Where the journal's next record stands among those of others: the least goes first. A line that is no record has the
    /// time 0.
    pub fn next(&self, ts: u64) -> (u64, Source) {
        (self.now.max(ts), self.source)
    }

    /// Takes that record.
    pub fn pass(&mut self, ts: u64) {
        self.now = self.now.max(ts);
    }
}
