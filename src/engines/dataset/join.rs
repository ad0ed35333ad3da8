//! Completions joined with what was said of them.

mod counts;
mod fact;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize as _, Serialize};

pub use counts::Counts;
pub use fact::Fact;

use super::day::Day;
use super::recipe::Recipe;
use super::score::score;
use super::task::{Place, Task, TaskValidation};
use crate::storage::evidence_log::{BadLine, JournalLine};
use crate::types::evidence::{ChatEvidence, EvidenceRecord};
use fact::{About, Said};
use table::{Key, Table};

/// A line that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// The file.
    pub segment: String,
    /// From 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// How it begins.
    pub excerpt: String,
}

impl Quarantined {
    /// Says where the line stands.
    pub fn new(line: &JournalLine, bad: BadLine) -> Self {
        Self {
            segment: line.segment.clone(),
            line: line.line,
            reason: bad.reason,
            excerpt: bad.excerpt,
        }
    }
}

/// A completion that no other one before repeats, by its place among them.
pub type ChatIndex = u32;

/// Joins by target: the completion's id or its request's id.
///
/// A client may send one request id with many requests. So what was said of an id is bound while
/// reading to the newest completion that had it then: nobody can judge what is not answered yet.
///
/// First every line's [`Fact`] is gathered, in order. Then it is known which completions are tasks, and with what was said of
/// them [`Join::task`] makes each of its record, in any order and on any thread.
///
/// Memory: the last judgement and verdicts of each completion, 16 bytes of each record and some 50 more of each completion,
/// times up to two after the tables have grown; no contents but the words of judgements.
#[derive(Debug, Default)]
pub struct Join {
    seen: Table<0>,
    by_id: Table<5>,
    by_request: Table<5>,
    chats: Vec<Chat>,
    said: HashMap<ChatIndex, Said>,
    /// By completion; one of each validator.
    validations: HashMap<ChatIndex, Vec<TaskValidation>>,
    /// Targets of feedback that no completion before it had.
    unbound: Table<0>,
    touched: BTreeSet<Day>,
    counts: Counts,
    newest_ts: u64,
}

#[derive(Debug, Clone, Copy)]
struct Chat {
    day: Day,
    answered: bool,
    similar: bool,
    replayed: bool,
}

/// What becomes of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Task,
    Failed,
    Similar,
    Replayed,
}

impl Join {
    /// Takes the next line's fact; returns the completion that it is, if it is one and no duplicate.
    pub fn gather(&mut self, fact: Fact) -> Option<ChatIndex> {
        self.counts.read += 1;
        self.newest_ts = self.newest_ts.max(fact.ts);
        match fact.of {
            About::Bad => self.counts.quarantined += 1,
            About::Erased => self.counts.erased += 1,
            About::Change => self.counts.changes += 1,
            // A repeated record must not count as the last word, or as the newest answer, again.
            About::Search { key }
            | About::Chat { key, .. }
            | About::Feedback { key, .. }
            | About::Validation { key, .. }
                if !self.seen.set(key, []) =>
            {
                self.counts.duplicates += 1;
            }
            About::Search { .. } => self.counts.searches += 1,
            About::Feedback { target, said, .. } => {
                self.counts.feedback += 1;
                match self.newest(&target) {
                    Some(chat) => {
                        self.touch(chat);
                        self.said.insert(chat, said);
                    }
                    None => {
                        self.unbound.set(target, []);
                    }
                }
            }
            About::Validation { target, said, .. } => {
                self.counts.validations += 1;
                if let Some(chat) = target.and_then(|target| self.newest(&target)) {
                    self.touch(chat);
                    let of_chat = self.validations.entry(chat).or_default();
                    of_chat.retain(|one| one.validator != said.validator);
                    of_chat.push(said);
                }
            }
            About::Chat {
                id,
                request,
                answered,
                similar,
                replayed,
                ..
            } => {
                // A journal of 2^32 completions has no room in memory anyway.
                let index = ChatIndex::try_from(self.chats.len()).unwrap_or(ChatIndex::MAX);
                let day = Day::of(fact.ts);
                self.chats.push(Chat {
                    day,
                    answered,
                    similar,
                    replayed,
                });
                let newest = Newest { index, answered };
                newest.replace(&mut self.by_id, id);
                newest.replace(&mut self.by_request, request);
                self.touched.insert(day);
                return Some(index);
            }
        }
        None
    }

    /// A completion's own id goes before a request's, which clients choose.
    fn newest(&self, target: &Key) -> Option<ChatIndex> {
        let found = self.by_id.get(target);
        let found = found.or_else(|| self.by_request.get(target));
        found.map(|value| Newest::read(value).index)
    }

    fn touch(&mut self, chat: ChatIndex) {
        self.touched.extend(self.day(chat));
    }

    /// Forgets which days were touched: from here on facts are new.
    pub fn begin_new(&mut self) {
        self.touched.clear();
    }

    /// Days of completions that are new, or of which something new was said.
    pub fn touched(&self) -> &BTreeSet<Day> {
        &self.touched
    }

    fn chat(&self, index: ChatIndex) -> Option<&Chat> {
        self.chats.get(usize::try_from(index).ok()?)
    }

    /// The day of a completion.
    pub fn day(&self, index: ChatIndex) -> Option<Day> {
        self.chat(index).map(|chat| chat.day)
    }

    fn fate(&self, index: ChatIndex, chat: &Chat) -> Fate {
        let said = self.said.get(&index);
        if chat.replayed {
            Fate::Replayed
        } else if !chat.answered && !said.is_some_and(Said::edits) {
            Fate::Failed
        } else if said.is_none() && chat.similar {
            // No model was asked this question, so its answer teaches nothing until a person says so.
            Fate::Similar
        } else {
            Fate::Task
        }
    }

    /// Whether a completion is a task.
    pub fn is_task(&self, index: ChatIndex) -> bool {
        let chat = self.chat(index);
        chat.is_some_and(|chat| self.fate(index, chat) == Fate::Task)
    }

    /// Makes a task of a completion's record, and scores it. Errors: it is another record; in words.
    pub fn task(
        &self,
        index: ChatIndex,
        record: EvidenceRecord,
        recipe: &Recipe,
    ) -> Result<Task, String> {
        let chat = ChatEvidence::deserialize(record.body).map_err(|error| error.to_string())?;
        let feedback = self.said.get(&index).map(Said::feedback);
        let mut validations = self.validations.get(&index).cloned().unwrap_or_default();
        validations.sort_by(|a, b| a.validator.cmp(&b.validator));
        let scored = score(&chat, feedback.as_ref(), &validations, &recipe.score);
        let place = Place {
            seq: record.seq,
            ts: record.ts,
            id: record.id,
        };
        Ok(Task::new(place, chat, feedback, validations, scored))
    }

    /// How many lines went where, and the tasks of each day that has any.
    pub fn counts(&self) -> (Counts, BTreeMap<Day, u64>) {
        let (mut counts, mut days) = (self.counts, BTreeMap::new());
        for (index, chat) in (0..).zip(&self.chats) {
            match self.fate(index, chat) {
                Fate::Failed => counts.failed += 1,
                Fate::Similar => counts.similar += 1,
                Fate::Replayed => counts.replayed += 1,
                Fate::Task => {
                    counts.tasks += 1;
                    *days.entry(chat.day).or_default() += 1;
                }
            }
        }
        (counts, days)
    }

    /// Targets of feedback that no completion before it answers to: searches, validations, or
    /// nothing.
    pub fn feedback_without_task(&self) -> u64 {
        self.unbound.len() as u64
    }

    /// Time of the newest record, Unix milliseconds.
    pub fn newest_ts(&self) -> u64 {
        self.newest_ts
    }
}

/// The newest completion of an id until now.
#[derive(Debug, Clone, Copy)]
struct Newest {
    index: ChatIndex,
    answered: bool,
}

impl Newest {
    fn read([a, b, c, d, answered]: [u8; 5]) -> Self {
        Self {
            index: ChatIndex::from_le_bytes([a, b, c, d]),
            answered: answered != 0,
        }
    }

    /// Takes the place of an earlier one, unless that would hide an answer behind a failed try.
    fn replace(self, known: &mut Table<5>, id: Key) {
        let earlier = known.get(&id).map(Self::read);
        if self.answered || earlier.is_none_or(|earlier| !earlier.answered) {
            let [a, b, c, d] = self.index.to_le_bytes();
            known.set(id, [a, b, c, d, u8::from(self.answered)]);
        }
    }
}
