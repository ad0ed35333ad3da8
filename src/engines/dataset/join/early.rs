//! What was said of ids before any completion had them.

use std::collections::HashMap;

use super::fact::{Ruled, Said};
use super::table::Key;

/// What waits for its completion, by the id that it names.
#[derive(Debug, Default)]
pub(super) struct Early(HashMap<Key, Waiting>);

/// Each with its place among all facts.
#[derive(Debug, Default)]
struct Waiting {
    said: Option<(u64, Said)>,
    ruled: Vec<(u64, Ruled)>,
}

impl Early {
    /// The last word counts.
    pub(super) fn said(&mut self, target: Key, order: u64, said: Said) {
        self.0.entry(target).or_default().said = Some((order, said));
    }

    /// The last word of each validator counts.
    pub(super) fn ruled(&mut self, target: Key, order: u64, ruled: Ruled) {
        let waiting = &mut self.0.entry(target).or_default().ruled;
        waiting.retain(|(_, one)| one.validator != ruled.validator);
        waiting.push((order, ruled));
    }

    /// What waited for a completion with these ids: the last word, and verdicts in their order.
    pub(super) fn take(&mut self, ids: [Key; 2]) -> (Option<Said>, Vec<Ruled>) {
        if self.0.is_empty() {
            return (None, Vec::new());
        }
        let (mut said, mut ruled) = (None, Vec::new());
        for waiting in ids.iter().filter_map(|id| self.0.remove(id)) {
            said = [said, waiting.said]
                .into_iter()
                .flatten()
                .max_by_key(|(order, _)| *order);
            ruled.extend(waiting.ruled);
        }
        ruled.sort_by_key(|(order, _)| *order);
        let ruled = ruled.into_iter().map(|(_, ruled)| ruled).collect();
        (said.map(|(_, said)| said), ruled)
    }

    /// Counts the ids that a person judged.
    pub(super) fn judged(&self) -> u64 {
        self.0
            .values()
            .filter(|waiting| waiting.said.is_some())
            .count() as u64
    }
}
