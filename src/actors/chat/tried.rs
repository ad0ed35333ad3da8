//! The evidence of what was tried, while several calls may be under way.

use std::cell::RefCell;

use supervisors::Fault;

use super::dispatch::outcome_of;
use crate::engines::chat::{Candidate, ChatError};
use crate::types::evidence::AttemptEvidence;

/// What was tried, in the order in which it began.
#[derive(Default)]
pub(super) struct Tried(RefCell<Vec<AttemptEvidence>>);

impl Tried {
    /// Notes a try; unless [`Self::end`] is told, it was cancelled.
    pub(super) fn begin(&self, candidate: &Candidate) -> usize {
        let mut attempts = self.0.borrow_mut();
        attempts.push(AttemptEvidence {
            candidate: candidate.to_string(),
            outcome: "cancelled: another was faster".to_owned(),
            latency_ms: 0,
        });
        attempts.len() - 1
    }

    pub(super) fn end(
        &self,
        place: usize,
        outcome: Result<(), &Fault<ChatError>>,
        latency_ms: u64,
    ) {
        if let Some(attempt) = self.0.borrow_mut().get_mut(place) {
            attempt.outcome = outcome_of(outcome);
            attempt.latency_ms = latency_ms;
        }
    }

    /// Takes them all, with the one that won behind the others.
    pub(super) fn attempts(&self, won: Option<usize>) -> Vec<AttemptEvidence> {
        let mut attempts = self.0.take();
        if let Some(place) = won.filter(|place| *place < attempts.len()) {
            let own = attempts.remove(place);
            attempts.push(own);
        }
        attempts
    }
}
