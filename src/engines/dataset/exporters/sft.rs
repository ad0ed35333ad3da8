//! Conversations to imitate.

use serde_json::{Value, json};

use super::{Context, Exporter, Made, Texts};
use crate::engines::dataset::columns::{Column, Feature};
use crate::engines::dataset::flavour::Flavour;
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::task::{Outcome, Task};
use crate::engines::dataset::{conversation, dialect};

pub(super) struct Sft;

const COLUMNS: [Column; 2] = [
    Column {
        name: "messages",
        kind: "list of {role, content: string, tool_calls?, tool_call_id?, name?}; the last is the \
               assistant's",
        feature: Feature::Messages,
    },
    super::TOOLS,
];

const SHAREGPT: [Column; 1] = [Column {
    name: "conversations",
    kind: "list of {from: system, human or gpt, value: string}; the last is from gpt",
    feature: Feature::Turns,
}];

impl Exporter for Sft {
    fn kind(&self) -> &'static str {
        "sft"
    }

    fn summary(&self) -> &'static str {
        "Each row is a conversation that ends with an accepted answer of the assistant."
    }

    fn flavours(&self) -> &'static [Flavour] {
        &Flavour::ALL
    }

    fn columns(&self, flavour: Flavour) -> &'static [Column] {
        match flavour {
            Flavour::Trl | Flavour::OpenAi => &COLUMNS,
            Flavour::ShareGpt => &SHAREGPT,
        }
    }

    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool {
        match outcome {
            Outcome::Accepted => true,
            Outcome::PartiallyAccepted => recipe.sft.include_partially_accepted,
            Outcome::NeedsReview | Outcome::Rejected => false,
        }
    }

    fn rows(&self, task: &Task, _context: &Context<'_>) -> Result<Vec<Made>, &'static str> {
        let mut messages = conversation::asked(&task.messages)?;
        messages.push(conversation::answer(&task.answer, &task.tool_calls)?);
        let row = conversation::with_tools(json!({"messages": messages}), &task.tools)?;
        Ok(vec![Made::of(row)])
    }

    fn texts(&self, row: &Value) -> Texts {
        let messages = row["messages"].as_array().map_or(&[][..], Vec::as_slice);
        Texts {
            asked: conversation::last_user_text(messages).unwrap_or_default(),
            answered: messages.last().map(conversation::words).unwrap_or_default(),
            class: 0,
        }
    }

    fn shape(&self, mut row: Value, flavour: Flavour) -> Result<Value, &'static str> {
        dialect::write(&mut row["messages"], flavour)?;
        if flavour == Flavour::ShareGpt {
            dialect::no_tools(&row)?;
            return Ok(json!({"conversations": row["messages"]}));
        }
        Ok(row)
    }
}
