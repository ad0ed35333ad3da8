//! The kinds of export: one file and one line in the table each.

mod rag;
mod sft;

use serde_json::Value;

use super::recipe::Recipe;
use super::task::{Outcome, Task};

/// The kinds of export.
pub static EXPORTERS: &[&dyn Exporter] = &[&rag::Rag, &sft::Sft];

/// Makes rows of tasks.
pub trait Exporter: Sync {
    /// Its name in requests and manifests.
    fn kind(&self) -> &'static str;

    /// What a row is, in a sentence for the card.
    fn summary(&self) -> &'static str;

    /// The members of every row, in order.
    fn columns(&self) -> &'static [Column];

    /// Whether tasks of an outcome may be in it.
    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool;

    /// Makes a row of an admitted task. Errors: the reason why there is none, a stable word.
    fn row(&self, task: &Task) -> Result<Value, &'static str>;
}

/// A member of every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type, for people.
    pub kind: &'static str,
    /// Its type in the card's YAML (what follows its name); empty when it differs from row to row.
    pub feature: &'static str,
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
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::fixture;
    use super::super::task::Place;
    use super::*;
    use crate::engines::dataset::recipe::AdmitRules;

    pub(super) fn task(chat: crate::types::evidence::ChatEvidence, outcome: Outcome) -> Task {
        let place = Place {
            seq: 1,
            ts: 2,
            id: "c".to_owned(),
        };
        Task::new(place, chat, None, Vec::new(), (outcome, Vec::new()))
    }

    #[test]
    fn names_are_unique_and_found() {
        assert_eq!(kinds(), "rag, sft");
        for one in EXPORTERS {
            assert_eq!(exporter(one.kind()).map(Exporter::kind), Some(one.kind()));
        }
        assert!(exporter("nothing").is_none());
    }

    #[test]
    fn rows_have_the_columns_they_declare() {
        let mut chat = fixture::chat("q", "a");
        chat.passages.push(fixture::passage("p", true));
        for one in EXPORTERS {
            let row = one.row(&task(chat.clone(), Outcome::Accepted)).unwrap();
            let members: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
            let always = one
                .columns()
                .iter()
                .filter(|column| !column.feature.is_empty());
            assert_eq!(
                members,
                always.map(|column| column.name).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn no_recipe_admits_what_is_rejected_or_not_yet_judged() {
        for partially in [true, false] {
            let rules = AdmitRules {
                include_partially_accepted: partially,
            };
            let recipe = Recipe {
                rag: rules,
                sft: rules,
                ..Recipe::default()
            };
            for one in EXPORTERS {
                let admitted = Outcome::ALL.map(|outcome| one.admits(outcome, &recipe));
                assert_eq!(admitted, [true, partially, false, false], "{}", one.kind());
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_messages_never_panic(
            role in "user|assistant|tool|wizard",
            text in ".{0,20}",
            shape in 0_u8..6,
            answer in ".{0,20}",
        ) {
            let content = match shape {
                0 => json!(text),
                1 => json!([{"type": "text", "text": text}]),
                2 => json!([{"type": "image_url"}, text]),
                3 => json!({"text": text}),
                4 => json!(null),
                _ => json!(1),
            };
            let mut chat = fixture::chat("q", &answer);
            chat.messages = vec![json!({"role": role, "content": content, "tool_calls": content})];
            chat.tool_calls = vec![content.clone()];
            chat.tools = vec![content];
            for one in EXPORTERS {
                let _ = one.row(&task(chat.clone(), Outcome::Accepted));
            }
        }
    }
}
