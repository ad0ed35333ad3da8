//! Questions with the passages that were retrieved for them, and the answer.

use serde_json::{Value, json};

use super::{Context, Exporter, Made, Texts};
use crate::engines::dataset::columns::{Column, Feature, TEXT};
use crate::engines::dataset::conversation;
use crate::engines::dataset::flavour::Flavour;
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::task::{Outcome, Task};

pub(super) struct Rag;

const COLUMNS: [Column; 4] = [
    Column {
        name: "query",
        kind: "string",
        feature: TEXT,
    },
    Column {
        name: "passages",
        kind: "list of {id, collection, text: string, score: float64}, best first",
        feature: Feature::Fixed(
            "list:\n    - name: id\n      dtype: string\n    - name: collection\n      dtype: \
             string\n    - name: text\n      dtype: string\n    - name: score\n      dtype: float64",
        ),
    },
    Column {
        name: "answer",
        kind: "string",
        feature: TEXT,
    },
    Column {
        name: "citations",
        kind: "list of string: ids of the passages that the answer cites",
        feature: Feature::Fixed("sequence: string"),
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
                // By its shortest digits: widened bit by bit, 0.9 would become 0.8999999761581421.
                let score = passage.score.to_string().parse::<f64>().unwrap_or_default();
                json!({
                    "id": passage.id,
                    "collection": passage.collection,
                    "text": passage.text,
                    "score": score,
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
