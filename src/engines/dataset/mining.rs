//! Hard negatives out of a collection: what a search ranks high for a question, and no accepted answer to it cites.
//!
//! Pure: the questions come out of the tasks, somebody else searches for them, and [`Question::choose`] takes what is
//! found apart. Source of the margin: Moreira et al., "NV-Retriever", arXiv:2407.15831: what scores near the passage
//! that answered is often an answer too.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conversation;
use super::exporters::Exporter;
use super::near::{Shingles, jaccard};
use super::recipe::Recipe;
use super::task::{Outcome, Task, normalised};
use crate::types::evidence::PassageEvidence;
use crate::types::point::Hit;

#[cfg(test)]
mod tests;

/// Which of the hits become negatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MiningRules {
    /// Most for each passage that answered.
    pub k: usize,
    /// The first rank that counts, from 1.
    pub min_rank: usize,
    /// What scores more is left out.
    pub max_score: Option<f64>,
    /// What a negative scores less than the passage that answered, at least.
    pub margin: Option<f64>,
    /// Jaccard likeness from which on a passage says what an accepted one says; 0: only the same words do.
    pub likeness: f64,
}

/// A passage that an accepted answer cites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Where it is.
    pub collection: String,
    /// The point.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// A question with the passages that answered it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The task's key: a question that was asked again is one question.
    pub key: String,
    /// As it was asked first.
    pub text: String,
    /// What all accepted answers to it cite.
    pub accepted: Vec<Accepted>,
}

/// A passage to set against one that answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Negative {
    /// The point.
    pub(super) id: String,
    /// Its text.
    pub(super) text: String,
    /// Its place in the search, from 1.
    pub(super) rank: usize,
    /// Its score there.
    pub(super) score: f32,
}

/// What was found for one passage that answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    collection: String,
    id: String,
    /// Its own score in the search; `None` when it was not found.
    pub(super) score: Option<f32>,
    /// The hardest first.
    pub(super) negatives: Vec<Negative>,
}

/// What was found for all questions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mined {
    collection: String,
    of: HashMap<String, Vec<Chosen>>,
    needs_score: bool,
}

/// Collects the questions of the tasks, in their order.
#[derive(Debug, Default)]
pub struct Questions {
    all: Vec<Question>,
    known: BTreeMap<String, usize>,
    /// Whether a row can come of it.
    wanted: Vec<bool>,
}

impl Questions {
    /// Takes over what a task tells.
    pub fn take(&mut self, task: &Task, exporter: &dyn Exporter, recipe: &Recipe) {
        let good = matches!(task.outcome, Outcome::Accepted | Outcome::PartiallyAccepted);
        let Some(text) = conversation::last_user_text(&task.messages)
            .filter(|text| good && !text.trim().is_empty())
        else {
            return;
        };
        let at = *self.known.entry(task.key.clone()).or_insert_with(|| {
            self.all.push(Question {
                key: task.key.clone(),
                text,
                accepted: Vec::new(),
            });
            self.wanted.push(false);
            self.all.len() - 1
        });
        let (Some(question), Some(wanted)) = (self.all.get_mut(at), self.wanted.get_mut(at)) else {
            return;
        };
        let cited = task.passages.iter().filter(|passage| passage.cited);
        for PassageEvidence {
            collection,
            id,
            text,
            ..
        } in cited
        {
            let mut known = question.accepted.iter();
            if !known.any(|one| one.collection == *collection && one.id == *id) {
                question.accepted.push(Accepted {
                    collection: collection.clone(),
                    id: id.clone(),
                    text: text.clone(),
                });
            }
        }
        *wanted |= exporter.admits(task.outcome, recipe)
            && task.original_answer.is_none()
            && task.passages.iter().any(|passage| passage.cited);
    }

    /// Those that rows can come of.
    pub fn finish(self) -> Vec<Question> {
        let all = self.all.into_iter().zip(self.wanted);
        all.filter_map(|(question, wanted)| wanted.then_some(question))
            .collect()
    }
}

impl Question {
    /// Chooses negatives out of what a search of `collection` found, best first.
    pub fn choose(&self, collection: &str, hits: &[Hit], rules: &MiningRules) -> Vec<Chosen> {
        let score_of = |one: &Accepted| {
            let mut hits = hits.iter();
            let hit = hits.find(|hit| one.collection == collection && one.id == hit.id);
            hit.map(|hit| hit.score)
        };
        let mut chosen: Vec<Chosen> = self
            .accepted
            .iter()
            .map(|one| Chosen {
                collection: one.collection.clone(),
                id: one.id.clone(),
                score: score_of(one),
                negatives: Vec::new(),
            })
            .collect();
        let accepted: Vec<(String, Shingles)> = self
            .accepted
            .iter()
            .map(|one| (normalised(&one.text), Shingles::of(&[&one.text])))
            .collect();
        let mut taken: Vec<String> = Vec::new();
        for (rank, hit) in (1..).zip(hits) {
            if chosen.iter().all(|one| one.negatives.len() >= rules.k) {
                break;
            }
            let score = f64::from(hit.score);
            let text = hit.text.as_deref().unwrap_or_default();
            let is_accepted = |one: &Accepted| one.collection == collection && one.id == hit.id;
            if rank < rules.min_rank
                || rules.max_score.is_some_and(|most| score > most)
                || text.trim().is_empty()
                || self.accepted.iter().any(is_accepted)
            {
                continue;
            }
            let fits = |one: &&mut Chosen| {
                let below = rules.margin.is_none_or(|margin| {
                    one.score
                        .is_some_and(|its| score <= f64::from(its) - margin)
                });
                below && one.negatives.len() < rules.k
            };
            let mut fitting = chosen.iter_mut().filter(fits).peekable();
            if fitting.peek().is_none() {
                continue;
            }
            let words = normalised(text);
            let shingles = Shingles::of(&[text]);
            let says = |(other, theirs): &(String, Shingles)| {
                *other == words
                    || (rules.likeness > 0.0 && jaccard(theirs, &shingles) >= rules.likeness)
            };
            if accepted.iter().any(says) || taken.contains(&words) {
                continue;
            }
            for one in fitting {
                one.negatives.push(Negative {
                    id: hit.id.clone(),
                    text: text.to_owned(),
                    rank,
                    score: hit.score,
                });
            }
            taken.push(words);
        }
        chosen
    }
}

impl Mined {
    /// Begins with nothing found in `collection`.
    pub fn new(collection: &str, rules: &MiningRules) -> Self {
        Self {
            collection: collection.to_owned(),
            of: HashMap::new(),
            needs_score: rules.margin.is_some(),
        }
    }

    /// Keeps what was chosen for a question.
    pub fn keep(&mut self, key: String, chosen: Vec<Chosen>) {
        self.of.insert(key, chosen);
    }

    /// Counts the negatives of all passages that answered.
    pub fn len(&self) -> usize {
        let all = self.of.values().flatten();
        all.map(|one| one.negatives.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where they were found.
    pub(super) fn collection(&self) -> &str {
        &self.collection
    }

    /// What is set against a passage that answered a task. Errors: why there is nothing.
    pub(super) fn against(
        &self,
        task: &Task,
        positive: &PassageEvidence,
    ) -> Result<&Chosen, &'static str> {
        let is_it = |one: &&Chosen| one.collection == positive.collection && one.id == positive.id;
        let found = self.of.get(&task.key).into_iter().flatten().find(is_it);
        match found {
            Some(one) if !one.negatives.is_empty() => Ok(one),
            Some(one) if one.score.is_none() && self.needs_score => Err("positive_not_found"),
            _ => Err("no_negatives"),
        }
    }
}

/// A score by its shortest digits: widened bit by bit, 0.9 would become 0.8999999761581421.
pub(super) fn shortest(score: f32) -> Value {
    score
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}
