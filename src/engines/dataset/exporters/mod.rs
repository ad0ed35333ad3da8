//! The kinds of export: one file and one line in the table each.

mod kto;
mod preference;
mod rag;
mod sft;
mod triplets;

use serde_json::{Map, Value};

use super::columns::{Column, Feature};
use super::conversation;
use super::flavour::Flavour;
use super::mining::Mined;
use super::recipe::Recipe;
use super::repairs::Repairs;
use super::rivals::Rivals;
use super::task::{Outcome, Task};

/// The kinds of export.
pub static EXPORTERS: &[&dyn Exporter] = &[
    &rag::Rag,
    &triplets::Triplets,
    &sft::Sft,
    &preference::Preference,
    &kto::Kto,
];

/// Makes rows of tasks.
pub trait Exporter: Sync {
    /// Its name in requests and manifests.
    fn kind(&self) -> &'static str;

    /// What a row is, in a sentence for the card.
    fn summary(&self) -> &'static str;

    /// The flavours it has a shape in, the default first.
    fn flavours(&self) -> &'static [Flavour] {
        &[Flavour::Trl]
    }

    /// The members of every row, in order.
    fn columns(&self, flavour: Flavour) -> &'static [Column];

    /// Whether tasks of an outcome may be in it.
    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool;

    /// Whether the tasks must have been read before, for their rivals.
    fn pairs(&self) -> bool {
        false
    }

    /// Makes the rows of an admitted task, in the shape that redaction and the search for duplicates
    /// know. Errors: the reason why there is none, a stable word.
    fn rows(&self, task: &Task, context: &Context<'_>) -> Result<Vec<Made>, &'static str>;

    /// Looks at a redacted row. Errors: the reason why nothing can be learnt from it any more.
    fn check(&self, _row: &Value) -> Result<(), &'static str> {
        Ok(())
    }

    /// What a row asks and what it answers.
    fn texts(&self, row: &Value) -> Texts;

    /// Gives a row its final shape. Errors: the reason why it has none.
    fn shape(&self, row: Value, _flavour: Flavour) -> Result<Value, &'static str> {
        Ok(row)
    }
}

/// What an exporter knows beside the task.
#[derive(Debug)]
pub struct Context<'a> {
    /// The rules.
    pub(super) recipe: &'a Recipe,
    /// The good answers to prompts with bad ones.
    pub(super) rivals: &'a Rivals,
    /// The answers that mend what a validator found wanting.
    pub(super) repairs: &'a Repairs,
    /// The negatives that were mined, where they were.
    pub(super) mined: Option<&'a Mined>,
}

/// A row, and what its line in the sidecar says beside the task.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub(super) row: Value,
    pub(super) about: Map<String, Value>,
}

impl Made {
    fn of(row: Value) -> Self {
        Self {
            row,
            about: Map::new(),
        }
    }

    fn about(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.about.insert(name.to_owned(), value.into());
        self
    }
}

/// What a row asks and what it answers, for the search for near-duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    pub(super) asked: String,
    pub(super) answered: String,
    /// Rows of different classes are never near-duplicates.
    pub(super) class: u8,
}

/// The answer is longer than the recipe wants.
const TOO_LONG: &str = "answer_too_long";
/// A good answer to a prompt without bad ones, or one of more than enough.
pub(super) const UNRIVALLED: &str = "no_rejected_answer";

/// Columns that several kinds have.
const PROMPT: Column = Column {
    name: "prompt",
    kind: "list of {role, content: string, tool_calls?, tool_call_id?, name?}; the last is the user's",
    feature: Feature::Messages,
};
const TOOLS: Column = Column {
    name: "tools",
    kind: "list of tools in OpenAI's shape; only where offered",
    feature: Feature::Tools,
};

/// What the prompt of a row asks.
fn asked(row: &Value) -> String {
    let messages = row["prompt"].as_array().map_or(&[][..], Vec::as_slice);
    conversation::last_user_text(messages).unwrap_or_default()
}

/// Finds a kind by its name.
pub fn exporter(kind: &str) -> Option<&'static dyn Exporter> {
    EXPORTERS
        .iter()
        .copied()
        .find(|exporter| exporter.kind() == kind)
}

/// The names of all kinds.
pub fn kinds() -> String {
    EXPORTERS
        .iter()
        .map(|exporter| exporter.kind())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
