//! Completions joined with what was said of them.

mod clock;
mod counts;
mod early;
mod fact;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize as _, Serialize};

pub use clock::Clock;
pub use counts::Counts;
pub use fact::Fact;

use super::day::Day;
use super::recipe::Recipe;
use super::score::score;
use super::task::{Place, Task};
use crate::storage::evidence_log::{BadLine, JournalLine};
use crate::types::evidence::{ChatEvidence, EvidenceRecord};
use early::Early;
use fact::{About, Ruled, Said};
use table::{Key, Table};

/// A journal, by its place among those that are joined.
pub type Source = u16;

/// A line that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Whose journal it is, where those of several replicas are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
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
    pub fn new(replica: Option<&str>, line: &JournalLine, bad: BadLine) -> Self {
        Self {
            replica: replica.map(str::to_owned),
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
/// reading to the newest completion that had it then. What was said before any had it is of the first one that has it: who
/// reads a stream may judge it before it has ended and is recorded, and the clocks of two replicas differ.
///
/// First every line's [`Fact`] is gathered: of one journal in its order, of several by their [`Clock`]s. Then it is known which completions are tasks, and with what was said of
/// them [`Join::task`] makes each of its record, in any order and on any thread.
///
/// Memory: the last judgement and verdicts of each completion and of each id that no completion has, 16 bytes of each record
/// and some 50 more of each completion, times up to two after the tables have grown; no contents but the words of judgements.
#[derive(Debug, Default)]
pub struct Join {
    seen: Table<0>,
    by_id: Table<5>,
    by_request: Table<5>,
    chats: Vec<Chat>,
    said: HashMap<ChatIndex, Said>,
    /// By completion; one of each validator.
    validations: HashMap<ChatIndex, Vec<Ruled>>,
    early: Early,
    days: BTreeMap<Day, Digest>,
    /// The replicas' names, where there are several.
    names: Vec<String>,
    /// Of each journal, the facts that were gathered.
    gathered: Vec<u64>,
    counts: Counts,
    newest_ts: u64,
}

/// What is known of the completions of a day.
type Digest = [u8; blake3::OUT_LEN];

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
    /// Of the journals of several replicas, by their names.
    pub fn of(names: Vec<String>) -> Self {
        let gathered = vec![0; names.len()];
        Self {
            names,
            gathered,
            ..Self::default()
        }
    }

    /// The name of a journal's replica, where there are several.
    pub fn name(&self, source: Source) -> Option<&str> {
        let name = self.names.get(usize::from(source));
        name.map(String::as_str)
    }

    /// Takes the next line's fact; returns the completion that it is, if it is one and no duplicate.
    pub fn gather(&mut self, source: Source, fact: Fact) -> Option<ChatIndex> {
        self.counts.read += 1;
        let order = self.counts.read;
        let place = match self.gathered.get_mut(usize::from(source)) {
            Some(gathered) => {
                *gathered += 1;
                *gathered
            }
            None => order,
        };
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
            About::Feedback {
                target, mut said, ..
            } => {
                self.counts.feedback += 1;
                said.source = source;
                match self.newest(&target) {
                    Some(chat) => drop(self.said.insert(chat, said)),
                    None => self.early.said(target, order, said),
                }
            }
            About::Validation {
                target, mut said, ..
            } => {
                self.counts.validations += 1;
                said.source = source;
                match target.map(|target| (target, self.newest(&target))) {
                    Some((_, Some(chat))) => self.rule(chat, said),
                    Some((target, None)) => self.early.ruled(target, order, said),
                    None => {}
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
                let (said, ruled) = self.early.take([id, request]);
                said.map(|said| self.said.insert(index, said));
                ruled.into_iter().for_each(|ruled| self.rule(index, ruled));
                let newest = Newest { index, answered };
                newest.replace(&mut self.by_id, id);
                newest.replace(&mut self.by_request, request);
                let digest = self.days.entry(day).or_default();
                // Not by the journal's place: another replica's would move it.
                let name = self.names.get(usize::from(source));
                let name = name.map(String::as_bytes).unwrap_or_default();
                *digest = mixed(digest, &[&place.to_le_bytes(), name]);
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

    fn rule(&mut self, chat: ChatIndex, ruled: Ruled) {
        let of_chat = self.validations.entry(chat).or_default();
        of_chat.retain(|one| one.validator != ruled.validator);
        of_chat.push(ruled);
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
        (source, record): (Source, EvidenceRecord),
        recipe: &Recipe,
    ) -> Result<Task, String> {
        let chat = ChatEvidence::deserialize(record.body).map_err(|error| error.to_string())?;
        let said = self.said.get(&index);
        let feedback = said.map(|said| said.feedback(self.name(said.source)));
        let ruled = self.validations.get(&index).map_or(&[][..], Vec::as_slice);
        let named = |ruled: &Ruled| ruled.validation(self.name(ruled.source));
        let mut validations: Vec<_> = ruled.iter().map(named).collect();
        validations.sort_by(|a, b| a.validator.cmp(&b.validator));
        let scored = score(&chat, feedback.as_ref(), &validations, &recipe.score);
        let place = Place {
            seq: record.seq,
            replica: self.name(source).map(str::to_owned),
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

    /// Of each day that has a task, a text that is another one when a completion of it is new, stands elsewhere among the
    /// others, or had something new said of it.
    pub fn digests(&self) -> BTreeMap<Day, String> {
        let (mut days, mut with_tasks) = (self.days.clone(), BTreeMap::<Day, (u64, bool)>::new());
        for (index, chat) in (0..).zip(&self.chats) {
            let fate = self.fate(index, chat);
            let (place, has_task) = with_tasks.entry(chat.day).or_default();
            *place += 1;
            *has_task |= fate == Fate::Task;
            let (said, ruled) = (self.said.get(&index), self.validations.get(&index));
            if said.is_none() && ruled.is_none() {
                continue;
            }
            // What a judgement says: its words and where it stands. None of these fails to be JSON.
            let of = |source: Source| self.name(source).unwrap_or_default().to_owned();
            let said = said.map(|said| (of(said.source), said));
            let ruled = ruled.into_iter().flatten();
            let ruled: Vec<_> = ruled.map(|ruled| (of(ruled.source), ruled)).collect();
            let told = serde_json::to_vec(&(said, ruled)).unwrap_or_default();
            let digest = days.entry(chat.day).or_default();
            *digest = mixed(digest, &[&place.to_le_bytes(), &told]);
        }
        let days = days.into_iter();
        days.filter(|(day, _)| with_tasks.get(day).is_some_and(|(_, has_task)| *has_task))
            .map(|(day, digest)| (day, blake3::Hash::from_bytes(digest).to_hex().to_string()))
            .collect()
    }

    /// Targets of feedback that no completion answers to: searches, validations, or nothing.
    pub fn feedback_without_task(&self) -> u64 {
        self.early.judged()
    }

    /// Time of the newest record, Unix milliseconds.
    pub fn newest_ts(&self) -> u64 {
        self.newest_ts
    }
}

fn mixed(digest: &Digest, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(digest);
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    *hasher.finalize().as_bytes()
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
