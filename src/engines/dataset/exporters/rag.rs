//! Questions with the passages that were retrieved for them, and the answer.

use serde_json::{Value, json};

use super::{Column, Exporter};
use crate::engines::dataset::conversation;
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::task::{Outcome, Task};

pub(super) struct Rag;

const COLUMNS: [Column; 4] = [
    Column {
        name: "query",
        kind: "string",
        feature: "dtype: string",
    },
    Column {
        name: "passages",
        kind: "list of {id, collection, text: string, score: float64}, best first",
        feature: "list:\n    - name: id\n      dtype: string\n    - name: collection\n      \
                  dtype: string\n    - name: text\n      dtype: string\n    - name: score\n      \
                  dtype: float64",
    },
    Column {
        name: "answer",
        kind: "string",
        feature: "dtype: string",
    },
    Column {
        name: "citations",
        kind: "list of string: ids of the passages that the answer cites",
        feature: "sequence: string",
    },
];

impl Exporter for Rag {
    fn kind(&self) -> &'static str {
        "rag"
    }

    fn summary(&self) -> &'static str {
        "Each row is a question, the passages that were retrieved for it, and an accepted answer."
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool {
        match outcome {
            Outcome::Accepted => true,
            Outcome::PartiallyAccepted => recipe.rag.include_partially_accepted,
            Outcome::NeedsReview | Outcome::Rejected => false,
        }
    }

    fn row(&self, task: &Task) -> Result<Value, &'static str> {
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
        Ok(json!({
            "query": query,
            "passages": passages,
            "answer": task.answer,
            "citations": citations,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::task;
    use super::*;
    use crate::engines::dataset::fixture;
    use crate::types::evidence::PassageEvidence;

    #[test]
    fn scores_keep_their_digits() {
        let mut chat = fixture::chat("q", "a");
        chat.passages = vec![PassageEvidence {
            score: 0.9,
            ..fixture::passage("p", true)
        }];
        let row = Rag.row(&task(chat, Outcome::Accepted)).unwrap();
        assert_eq!(row["passages"][0]["score"].to_string(), "0.9");
    }

    #[test]
    fn a_row_has_question_passages_answer_and_citations() {
        let mut chat = fixture::chat("q", "a [1]");
        chat.messages
            .insert(0, json!({"role": "system", "content": "s"}));
        chat.passages = vec![fixture::passage("p1", true), fixture::passage("p2", false)];
        let row = Rag.row(&task(chat, Outcome::Accepted)).unwrap();
        let expected = json!({
            "query": "q",
            "passages": [
                {"id": "p1", "collection": "docs", "text": "text of p1", "score": 0.5},
                {"id": "p2", "collection": "docs", "text": "text of p2", "score": 0.5},
            ],
            "answer": "a [1]",
            "citations": ["p1"],
        });
        assert_eq!(row, expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut chat = fixture::chat("q", "a");
        assert_eq!(
            Rag.row(&task(chat.clone(), Outcome::Accepted)),
            Err("no_passages")
        );
        chat.passages.push(fixture::passage("p", true));
        chat.messages.clear();
        assert_eq!(
            Rag.row(&task(chat.clone(), Outcome::Accepted)),
            Err("no_user_message")
        );
        chat.answer.clear();
        assert_eq!(Rag.row(&task(chat, Outcome::Accepted)), Err("empty_answer"));
    }
}
