//! Single answers, each good or bad.

use serde_json::{Value, json};

use super::{Context, Exporter, Made, Texts};
use crate::engines::dataset::columns::{Column, Feature};
use crate::engines::dataset::flavour::Flavour;
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::rivals::{same, to_avoid};
use crate::engines::dataset::task::{Outcome, Task};
use crate::engines::dataset::{conversation, dialect};
use crate::types::evidence::Rating;

pub(super) struct Kto;

const COLUMNS: [Column; 4] = [
    super::PROMPT,
    Column {
        name: "completion",
        kind: "list of one message of the assistant",
        feature: Feature::Messages,
    },
    Column {
        name: "label",
        kind: "bool: whether the completion is good",
        feature: Feature::Label,
    },
    super::TOOLS,
];

impl Exporter for Kto {
    fn kind(&self) -> &'static str {
        "kto"
    }

    fn summary(&self) -> &'static str {
        "Each row is a prompt with one answer, and whether it was accepted or rejected."
    }

    fn columns(&self, _flavour: Flavour) -> &'static [Column] {
        &COLUMNS
    }

    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool {
        match outcome {
            Outcome::Accepted | Outcome::Rejected => true,
            Outcome::PartiallyAccepted => recipe.kto.include_partially_accepted,
            Outcome::NeedsReview => false,
        }
    }

    fn rows(&self, task: &Task, context: &Context<'_>) -> Result<Vec<Made>, &'static str> {
        let prompt = conversation::prompt(&task.messages)?;
        let answer = conversation::answer(&task.answer, &task.tool_calls)?;
        let good = task.outcome != Outcome::Rejected;
        if !good {
            to_avoid(task, context.recipe)?;
        }
        let row = |answer: &Value, label: bool| {
            let row = json!({"prompt": prompt, "completion": [answer], "label": label});
            conversation::with_tools(row, &task.tools).map(Made::of)
        };
        let mut rows = vec![row(&answer, good)?];
        if let Some(original) = &task.original_answer
            && is_rejected(task)
            && to_avoid(task, context.recipe).is_ok()
            && original.len() <= context.recipe.export.max_answer_bytes
            && let Ok(original) = conversation::answer(original, &task.original_tool_calls)
            && !same(&original, &answer)
        {
            rows.push(row(&original, false)?.about("before_edit", true));
        }
        Ok(rows)
    }

    fn texts(&self, row: &Value) -> Texts {
        Texts {
            asked: super::asked(row),
            answered: conversation::words(&row["completion"][0]),
            class: u8::from(row["label"] == true),
        }
    }

    fn shape(&self, mut row: Value, flavour: Flavour) -> Result<Value, &'static str> {
        for name in ["prompt", "completion"] {
            dialect::write(&mut row[name], flavour)?;
        }
        Ok(row)
    }
}

/// Only a person's no says that the answer before an edit was bad.
fn is_rejected(task: &Task) -> bool {
    let said = task.feedback.as_ref();
    said.is_some_and(|said| said.rating == Rating::Rejected)
}
