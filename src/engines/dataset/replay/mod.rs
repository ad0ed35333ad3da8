//! Replay: what was asked in production, asked again of a candidate, and compared with what was accepted.
//!
//! Pure: who asks, embeds and writes the files is outside. One [`Replayed`] line is one task; the [`Summary`] of all has
//! means with their uncertainty, so that a difference that chance explains is seen as one.

mod bootstrap;
mod report;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::conversation;
use super::task::{Outcome, Task, normalised};

pub use report::{Compared, compare, html, worst_first};
pub use summary::{Cost, Costs, Mean, Summary, digits, is_better_low, summary};

/// The measure of what an answer cost, US dollars. Where that is not known it is left out: it is not 0.
const COST: &str = "cost_usd";

/// The configuration that is tried. What is not said stays as it was recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Model, alias or route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Stands in place of all instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Randomness, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Most tokens of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Whether passages are retrieved, and how.
    #[serde(default)]
    pub retrieval: Retrieval,
}

/// What of the retrieval is tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retrieval {
    /// From the collection that served then, as many passages as then.
    #[default]
    AsRecorded,
    /// None.
    Off,
    /// For each task, with these fields of a request's `retrieval`.
    Set(Map<String, Value>),
}

/// A task that is asked again.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The task.
    pub id: String,
    /// The body of the chat request.
    pub body: Value,
    /// What the answer is compared with: the accepted answer, or its edit.
    pub reference: String,
    /// What was answered then, where that was edited.
    pub original: Option<String>,
    /// Ids of the passages that were cited then.
    pub cited: BTreeSet<String>,
    /// Validators that judged the answer then.
    pub validators: Vec<String>,
    /// How long it took then, milliseconds.
    pub latency_ms: u64,
    /// What it cost then, US dollars, where that is known.
    pub cost_usd: Option<f64>,
    question: String,
}

/// Which tasks are asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// What became of them.
    pub outcomes: BTreeSet<Outcome>,
    /// Asked of this model, or answered by this `provider/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Not before, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Before, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

impl Default for Selection {
    /// What there is a good answer to.
    fn default() -> Self {
        Self {
            outcomes: [Outcome::Accepted, Outcome::PartiallyAccepted].into(),
            model: None,
            since_ms: None,
            until_ms: None,
        }
    }
}

impl Selection {
    /// Whether a task is among them.
    pub fn has(&self, task: &Task) -> bool {
        let of_model =
            |wanted: &String| task.model == *wanted || task.answered_by.as_ref() == Some(wanted);
        self.outcomes.contains(&task.outcome)
            && self.model.as_ref().is_none_or(of_model)
            && self.since_ms.is_none_or(|since| task.ts >= since)
            && self.until_ms.is_none_or(|until| task.ts < until)
    }
}

impl Candidate {
    /// Writes what `task` asked for the candidate; `None` when there is nothing to compare an answer with.
    pub fn ask(&self, task: &Task) -> Option<Asked> {
        if task.answer.trim().is_empty() {
            return None;
        }
        let question = conversation::last_user_text(&task.messages)?;
        let cited: BTreeSet<String> = task
            .passages
            .iter()
            .filter(|passage| passage.cited)
            .map(|passage| passage.id.clone())
            .collect();
        Some(Asked {
            id: task.id.clone(),
            body: self.body(task),
            reference: task.answer.clone(),
            original: task.original_answer.clone(),
            cited,
            validators: task
                .validations
                .iter()
                .map(|validation| validation.validator.clone())
                .collect(),
            latency_ms: task.latency_ms,
            cost_usd: task.cost_usd,
            question,
        })
    }

    fn body(&self, task: &Task) -> Value {
        let instructs =
            |message: &Value| matches!(message["role"].as_str(), Some("system" | "developer"));
        let messages: Vec<Value> = match &self.system {
            None => task.messages.clone(),
            Some(system) => {
                let own = json!({"role": "system", "content": system});
                let rest = task.messages.iter().filter(|message| !instructs(message));
                std::iter::once(own).chain(rest.cloned()).collect()
            }
        };
        let mut body = Map::new();
        let model = self.model.as_ref().unwrap_or(&task.model);
        if !model.is_empty() {
            body.insert("model".to_owned(), json!(model));
        }
        body.insert("messages".to_owned(), messages.into());
        if !task.tools.is_empty() {
            body.insert("tools".to_owned(), json!(task.tools));
        }
        if let Some(temperature) = self.temperature {
            body.insert("temperature".to_owned(), json!(temperature));
        }
        if let Some(max) = self.max_tokens {
            body.insert("max_tokens".to_owned(), json!(max));
        }
        let retrieval = match (&self.retrieval, task.passages.first()) {
            (Retrieval::Off, _) | (Retrieval::AsRecorded, None) => None,
            (Retrieval::Set(fields), _) => Some(json!(fields)),
            (Retrieval::AsRecorded, Some(first)) => {
                Some(json!({"collection": first.collection, "k": task.passages.len()}))
            }
        };
        if let Some(retrieval) = retrieval {
            body.insert("retrieval".to_owned(), retrieval);
        }
        Value::Object(body)
    }
}

/// Reads a line of `tasks.jsonl`, or a row of an export that has `messages`: its last message is what was accepted.
///
/// Errors: what it is not.
pub fn task_of(line: &str) -> Result<Task, String> {
    let row: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if row.get("seq").is_some() {
        return serde_json::from_value(row).map_err(|error| error.to_string());
    }
    let messages = row.get("messages").and_then(Value::as_array);
    let (last, before) = messages
        .and_then(|messages| messages.split_last())
        .filter(|(last, _)| last["role"] == "assistant")
        .ok_or("it is neither a task nor a row with messages that end with an assistant's")?;
    let tools = row.get("tools").and_then(Value::as_array);
    serde_json::from_value(json!({
        "seq": 0, "ts": 0, "id": blake3::hash(line.as_bytes()).to_hex().to_string(), "request_id": "", "key": "",
        "outcome": Outcome::Accepted, "reasons": [], "model": "", "answered_by": null, "messages": before,
        "answer": conversation::text(last), "tools": tools.cloned().unwrap_or_default(), "finish_reason": null,
        "passages": [], "validations": [], "latency_ms": 0
    }))
    .map_err(|error| error.to_string())
}

/// What the candidate said, and what the measures need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answered {
    /// The answer.
    pub text: String,
    /// `provider/model` that gave it.
    pub answered_by: Option<String>,
    /// Ids of the passages that it cites.
    pub cited: BTreeSet<String>,
    /// Cosines with the reference, of the answer and of the original one, where they were embedded.
    pub similarity: Option<(f64, Option<f64>)>,
    /// How many of the validators passed it, out of how many.
    pub validated: Option<(usize, usize)>,
    /// How long it took, milliseconds.
    pub latency_ms: u64,
    /// Tokens of the answer, when the provider tells.
    pub completion_tokens: Option<u64>,
    /// What it cost, US dollars, where that is known.
    pub cost_usd: Option<f64>,
}

/// One line of `results.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// The task.
    pub id: String,
    /// The last user message.
    pub question: String,
    /// What was accepted.
    pub reference: String,
    /// What the candidate answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The candidate's measures, by name; one that does not apply is left out.
    pub candidate: BTreeMap<String, f64>,
    /// The same of what was recorded.
    pub recorded: BTreeMap<String, f64>,
}

impl Replayed {
    /// Measures an answer.
    pub fn of(asked: &Asked, answered: &Answered) -> Self {
        let mut candidate = BTreeMap::new();
        let mut recorded = BTreeMap::new();
        let original = asked.original.as_deref().unwrap_or(&asked.reference);
        candidate.insert("answered".to_owned(), 1.0);
        recorded.insert("answered".to_owned(), 1.0);
        candidate.insert(
            "overlap".to_owned(),
            overlap(&answered.text, &asked.reference),
        );
        recorded.insert("overlap".to_owned(), overlap(original, &asked.reference));
        if let Some((own, then)) = answered.similarity {
            candidate.insert("similarity".to_owned(), own);
            recorded.insert("similarity".to_owned(), then.unwrap_or(1.0));
        }
        if !asked.cited.is_empty() {
            let again = asked.cited.intersection(&answered.cited).count();
            candidate.insert(
                "citations".to_owned(),
                again as f64 / asked.cited.len() as f64,
            );
            recorded.insert("citations".to_owned(), 1.0);
        }
        if let Some((passed, of)) = answered.validated.filter(|(_, of)| *of > 0) {
            candidate.insert("valid".to_owned(), passed as f64 / of as f64);
        }
        candidate.insert("latency_ms".to_owned(), answered.latency_ms as f64);
        // A row of an export does not tell.
        if asked.latency_ms > 0 {
            recorded.insert("latency_ms".to_owned(), asked.latency_ms as f64);
        }
        if let Some(tokens) = answered.completion_tokens {
            candidate.insert("completion_tokens".to_owned(), tokens as f64);
        }
        for (measures, cost) in [
            (&mut candidate, answered.cost_usd),
            (&mut recorded, asked.cost_usd),
        ] {
            if let Some(cost) = cost {
                measures.insert(COST.to_owned(), cost);
            }
        }
        Self {
            id: asked.id.clone(),
            question: asked.question.clone(),
            reference: asked.reference.clone(),
            answer: Some(answered.text.clone()),
            answered_by: answered.answered_by.clone(),
            error: None,
            candidate,
            recorded,
        }
    }

    /// No answer: it counts as the worst one in every measure of quality that applies.
    pub fn failed(asked: &Asked, error: &str) -> Self {
        let mut line = Self::of(
            asked,
            &Answered {
                similarity: Some((0.0, None)),
                ..Answered::default()
            },
        );
        line.candidate.insert("answered".to_owned(), 0.0);
        line.candidate.remove("latency_ms");
        line.recorded.remove("latency_ms");
        line.answer = None;
        line.error = Some(error.to_owned());
        line
    }
}

/// How many words two texts share: the harmonic mean of the shares of each, `[0, 1]`. Source: Rajpurkar et al., "SQuAD",
/// EMNLP 2016.
fn overlap(one: &str, other: &str) -> f64 {
    let count = |text: &str| {
        let text = normalised(text);
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        for word in text.split(|sign: char| !sign.is_alphanumeric()) {
            if !word.is_empty() {
                *words.entry(word.to_owned()).or_default() += 1;
            }
        }
        words
    };
    let (one, other) = (count(one), count(other));
    let (all_one, all_other): (usize, usize) = (one.values().sum(), other.values().sum());
    if all_one == 0 || all_other == 0 {
        return f64::from(u8::from(all_one == all_other));
    }
    let both: usize = one
        .iter()
        .map(|(word, times)| other.get(word).map_or(0, |there| *times.min(there)))
        .sum();
    2.0 * both as f64 / (all_one + all_other) as f64
}

#[cfg(test)]
mod tests;
