//! Answers that a validator found wanting, and the later answers that mend them, brought together in two readings.
//!
//! A later answer mends an earlier one when it names it, itself or through others between them, or when it answers the
//! same prompt; and when the validators that found something in the earlier one pass it.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use super::conversation;
use super::recipe::Recipe;
use super::rivals::{Prompt, SAME_ANSWERS, prompt, same, to_avoid};
use super::task::{Outcome, Task, TaskValidation};
use crate::types::evidence::Rating;
use crate::types::validation::Verdict;

#[cfg(test)]
mod tests;

/// Mending answers that are kept for a prompt.
const MAX_MENDING: usize = 8;
/// Answers that are looked at on the way from one to what mends it.
const MAX_STEPS: usize = 64;

/// An id, short: what counts is whether two are the same.
type Id = u128;

/// An answer that mends others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mending {
    /// The completion.
    pub(super) id: String,
    /// What the assistant said.
    pub(super) message: Value,
    seq: u64,
    /// The validators that passed it.
    passed: Vec<String>,
}

/// How one answer leads to what mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// It is named, over so many steps.
    Named(usize),
    /// It answers the same prompt later.
    SamePrompt,
}

/// The answers that mend others.
///
/// Memory: while surveying about 80 bytes for each answer; then 32 for each that a validator found something in, about 50 for
/// each that names what it repairs, and the answers that mend, of one prompt the first eight unless they are named.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// The first wanting answer to each prompt.
    wanting: HashMap<Prompt, u64>,
    /// Who names an answer, in the order of the journal.
    repaired_by: HashMap<Id, Vec<Id>>,
    naming: HashSet<Id>,
    seen: HashSet<Id>,
    /// The newest answer to a request.
    by_request: HashMap<Id, Id>,
    mending: HashMap<Id, Mending>,
    of_prompt: HashMap<Prompt, Vec<Id>>,
}

impl Repairs {
    /// First reading: which answers are wanting, and which name what they repair.
    pub(super) fn survey(&mut self, task: &Task, recipe: &Recipe) {
        let id = short(&task.id);
        if is_wanting(task)
            && to_avoid(task, recipe).is_ok()
            && let Ok(prompt) = prompt(task)
        {
            self.wanting.entry(prompt).or_insert(task.seq);
        }
        // Only what was answered before can be repaired, so that no chain is a ring.
        let named = task.repairs.as_deref().map(short);
        let named = named.and_then(|named| match self.seen.contains(&named) {
            true => Some(named),
            false => self.by_request.get(&named).copied(),
        });
        if let Some(first) = named {
            self.repaired_by.entry(first).or_default().push(id);
            self.naming.insert(id);
        }
        self.seen.insert(id);
        self.by_request.insert(short(&task.request_id), id);
    }

    /// Second reading: the answers that mend.
    pub(super) fn gather(&mut self, task: &Task, recipe: &Recipe) {
        self.seen = HashSet::new();
        self.by_request = HashMap::new();
        let id = short(&task.id);
        let later = |prompt: &Prompt| {
            self.wanting
                .get(prompt)
                .is_some_and(|first| *first < task.seq)
        };
        let prompt = prompt(task).ok().filter(later);
        if (prompt.is_none() && !self.naming.contains(&id)) || !is_whole(task, recipe) {
            return;
        }
        let passed: Vec<String> = of_verdict(task, |verdict| verdict == Verdict::Pass)
            .map(|one| one.validator.clone())
            .collect();
        let Ok(message) = conversation::answer(&task.answer, &task.tool_calls) else {
            return;
        };
        if passed.is_empty() {
            return;
        }
        let mut kept = self.naming.contains(&id);
        if let Some(prompt) = prompt {
            let others = self.of_prompt.entry(prompt).or_default();
            if others.len() < MAX_MENDING {
                others.push(id);
                kept = true;
            }
        }
        if kept {
            let mending = Mending {
                id: task.id.clone(),
                message,
                seq: task.seq,
                passed,
            };
            self.mending.insert(id, mending);
        }
    }

    /// Whether there may be a row for a task that is in no other pair.
    pub(super) fn wants(&self, task: &Task) -> bool {
        is_wanting(task)
            && (self.repaired_by.contains_key(&short(&task.id))
                || prompt(task).is_ok_and(|prompt| self.of_prompt.contains_key(&prompt)))
    }

    /// The answer that mends a wanting one, with other words. Errors: there is none.
    pub(super) fn of(&self, task: &Task, bad: &Value) -> Result<(&Mending, Link), &'static str> {
        if !is_wanting(task) {
            return Err(UNREPAIRED);
        }
        let flaws: Vec<&str> = flaws(task).map(|one| one.validator.as_str()).collect();
        let mends = |one: &&Mending| {
            let passes = |flaw: &&str| one.passed.iter().any(|passed| passed == flaw);
            one.seq > task.seq && flaws.iter().all(passes)
        };
        let mut found = self.named(task);
        if let Ok(prompt) = prompt(task) {
            let others = self.of_prompt.get(&prompt).into_iter().flatten();
            let others = others.filter_map(|id| self.mending.get(id));
            found.extend(others.map(|one| (one, Link::SamePrompt)));
        }
        let mut found = found.into_iter().filter(|(one, _)| mends(one)).peekable();
        if found.peek().is_none() {
            return Err(UNREPAIRED);
        }
        found
            .find(|(one, _)| !same(&one.message, bad))
            .ok_or(SAME_ANSWERS)
    }

    /// The answers that name a task, then those that name these.
    fn named(&self, task: &Task) -> Vec<(&Mending, Link)> {
        let mut found = Vec::new();
        let mut next = VecDeque::from([(short(&task.id), 1)]);
        let mut looked_at = 0;
        while let Some((id, steps)) = next.pop_front() {
            for later in self.repaired_by.get(&id).into_iter().flatten() {
                looked_at += 1;
                if looked_at > MAX_STEPS {
                    return found;
                }
                let mending = self.mending.get(later);
                found.extend(mending.map(|one| (one, Link::Named(steps))));
                next.push_back((*later, steps + 1));
            }
        }
        found
    }

    /// Whether an answer may stand in the rows of wanting ones.
    pub(super) fn stands(&self, task: &Task) -> bool {
        self.mending.contains_key(&short(&task.id))
    }
}

/// No later answer that the same validators pass.
pub(super) const UNREPAIRED: &str = "no_repaired_answer";

/// What validators found in an answer.
pub(super) fn flaws(task: &Task) -> impl Iterator<Item = &TaskValidation> {
    of_verdict(task, |verdict| verdict != Verdict::Pass)
}

fn of_verdict(
    task: &Task,
    wanted: impl Fn(Verdict) -> bool,
) -> impl Iterator<Item = &TaskValidation> {
    let all = task.validations.iter();
    all.filter(move |one| wanted(one.verdict))
}

/// Whether a validator found something in an answer, and no person took its side.
fn is_wanting(task: &Task) -> bool {
    let rating = task.feedback.as_ref().map(|said| said.rating);
    matches!(rating, None | Some(Rating::Rejected))
        && task.original_answer.is_none()
        && flaws(task).next().is_some()
}

/// Whether nothing is known against an answer.
fn is_whole(task: &Task, recipe: &Recipe) -> bool {
    task.outcome != Outcome::Rejected
        && to_avoid(task, recipe).is_ok()
        && (task.original_answer.is_some() || flaws(task).next().is_none())
}

fn short(id: &str) -> Id {
    let hash = blake3::hash(id.as_bytes());
    let (first, _) = hash.as_bytes().split_at(size_of::<Id>());
    first.iter().fold(0, |id, byte| id << 8 | Id::from(*byte))
}
