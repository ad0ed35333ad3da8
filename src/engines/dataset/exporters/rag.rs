//! Questions with the passages that were retrieved for them, and the answer.

use serde_json::{Value, json};

use super::{Context, Exporter, Made, Texts};
use crate::engines::dataset::columns::{Column, Feature};
use crate::engines::dataset::conversation;
use crate::engines::dataset::flavour::Flavour;
use crate::engines::dataset::mining::shortest;
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::task::{Outcome, Task};

pub(super) struct Rag;

const COLUMNS: [Column; 4] = [
    Column {
        name: "query",
        kind: "string",
        feature: Feature::Text,
    },
    Column {
        name: "passages",
        kind: "list of {id, collection, text: string, score: float64}, best first",
        feature: Feature::Passages,
    },
    Column {
        name: "answer",
        kind: "string",
        feature: Feature::Text,
    },
    Column {
        name: "citations",
        kind: "list of string: ids of the passages that the answer cites",
        feature: Feature::Texts,
    },
];

impl Exporter for Rag {
    fn kind(&self) -> &'static str {
        "rag"
    }

    fn summary(&self) -> &'static str {
        "Each row is a question, the passages that were retrieved for it, and an accepted answer."
    }

    fn columns(&self, _flavour: Flavour) -> &'static [Column] {
        &COLUMNS
    }

    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool {
        match outcome {
            Outcome::Accepted => true,
            Outcome::PartiallyAccepted => recipe.rag.include_partially_accepted,
            Outcome::NeedsReview | Outcome::Rejected => false,
        }
    }

    fn rows(&self, task: &Task, _context: &Context<'_>) -> Result<Vec<Made>, &'static str> {
        if task.passages.is_empty() {
            return Err("no_passages");
        }
        if task.answer.trim().is_empty() {
            return Err("empty_answer");
        }
        let query = conversation::last_user_text(&task.messages)
            .filter(|query| !query.trim().is_empty())
            .ok_or("no_user_message")?;
        let passages: Vec<Value> = task
            .passages
            .iter()
            .map(|passage| {
                json!({
                    "id": passage.id,
                    "collection": passage.collection,
                    "text": passage.text,
                    "score": shortest(passage.score),
                })
            })
            .collect();
        let cited = task.passages.iter().filter(|passage| passage.cited);
        let citations: Vec<&str> = cited.map(|passage| passage.id.as_str()).collect();
        Ok(vec![Made::of(json!({
            "query": query,
            "passages": passages,
            "answer": task.answer,
            "citations": citations,
        }))])
    }

    fn texts(&self, row: &Value) -> Texts {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        Texts {
            asked: text("query"),
            answered: text("answer"),
            class: 0,
        }
    }
}
