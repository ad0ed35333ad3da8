//! Good and bad answers to the same prompt, brought together in two readings of the tasks.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::conversation;
use super::recipe::Recipe;
use super::task::{Outcome, Task, normalised};

/// Good answers that are kept for each prompt with a bad one.
const MAX_WINNERS: usize = 8;

/// What identifies a prompt: its messages and tools.
pub(super) type Prompt = [u8; 32];

/// A good answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Winner {
    /// The completion.
    pub(super) id: String,
    /// What the assistant said.
    pub(super) message: Value,
}

/// The good answers to prompts that have bad ones too.
///
/// Memory: 32 bytes for each bad answer, and of the prompts that have both the first eight good
/// answers; prompts are not kept.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    contested: HashSet<Prompt>,
    winners: HashMap<Prompt, Vec<Winner>>,
}

impl Rivals {
    /// First reading: which prompts have an answer to avoid.
    pub(super) fn survey(&mut self, task: &Task, recipe: &Recipe) {
        if task.outcome == Outcome::Rejected
            && to_avoid(task, recipe).is_ok()
            && conversation::answer(&task.answer, &task.tool_calls).is_ok()
            && let Ok(prompt) = prompt(task)
        {
            self.contested.insert(prompt);
        }
    }

    /// Second reading: the good answers to them, oldest first.
    pub(super) fn gather(&mut self, task: &Task) {
        if self.contested.is_empty() || task.outcome == Outcome::Rejected {
            return;
        }
        let Ok(prompt) = prompt(task) else { return };
        if !self.contested.contains(&prompt) {
            return;
        }
        let Ok(message) = conversation::answer(&task.answer, &task.tool_calls) else {
            return;
        };
        let winners = self.winners.entry(prompt).or_default();
        if winners.len() < MAX_WINNERS {
            winners.push(Winner {
                id: task.id.clone(),
                message,
            });
        }
    }

    /// A good answer to the same prompt as a bad one, with other words. Errors: there is none.
    pub(super) fn against(&self, task: &Task, bad: &Value) -> Result<&Winner, &'static str> {
        let winners = self.winners.get(&prompt(task)?);
        let winners = winners.map_or(&[][..], Vec::as_slice);
        if winners.is_empty() {
            return Err("no_accepted_answer");
        }
        // By its number, so that the good ones are used about equally.
        let first = usize::try_from(task.seq).unwrap_or_default() % winners.len();
        let (before, after) = winners.split_at(first);
        after
            .iter()
            .chain(before)
            .find(|winner| !same(&winner.message, bad))
            .ok_or(SAME_ANSWERS)
    }

    /// Whether a good answer may stand in the rows of bad ones.
    pub(super) fn stands(&self, task: &Task) -> bool {
        prompt(task).is_ok_and(|prompt| {
            let winners = self.winners.get(&prompt);
            winners.is_some_and(|all| all.iter().any(|one| one.id == task.id))
        })
    }
}

/// Both answers of a pair say the same.
pub(super) const SAME_ANSWERS: &str = "same_answers";

/// Whether two messages say the same, but for case and white space.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    normalised(&conversation::words(one)) == normalised(&conversation::words(other))
}

/// Whether a rejected answer is one to avoid. Errors: why it teaches nothing.
///
/// An answer that an upstream or a bound cut short was not rejected for what it says.
pub(super) fn to_avoid(task: &Task, recipe: &Recipe) -> Result<(), &'static str> {
    let cut = |reason: &String| recipe.score.rejected_finish_reasons.contains(reason);
    if task.error.is_some() || task.finish_reason.as_ref().is_none_or(cut) {
        return Err("cut_short");
    }
    Ok(())
}

/// What identifies the prompt of a task. Errors: why it has none.
pub(super) fn prompt(task: &Task) -> Result<Prompt, &'static str> {
    let mut hasher = blake3::Hasher::new();
    for part in [&conversation::prompt(&task.messages)?, &task.tools] {
        for one in part {
            hasher.update(one.to_string().as_bytes());
            hasher.update(b"\n");
        }
        hasher.update(b"\n");
    }
    Ok(*hasher.finalize().as_bytes())
}
