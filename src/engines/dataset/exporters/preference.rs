//! Pairs of a better and a worse answer to the same prompt.

use serde_json::{Map, Value, json};

use super::{Context, Exporter, Made, TOO_LONG, Texts};
use crate::engines::dataset::columns::{Column, Feature};
use crate::engines::dataset::flavour::Flavour;
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::repairs::{Link, UNREPAIRED, flaws};
use crate::engines::dataset::rivals::{SAME_ANSWERS, same, to_avoid};
use crate::engines::dataset::task::{Outcome, Task};
use crate::engines::dataset::{conversation, dialect};

pub(super) struct Preference;

const MESSAGE: &str = "list of one message of the assistant";

const COLUMNS: [Column; 4] = [
    super::PROMPT,
    Column {
        name: "chosen",
        kind: MESSAGE,
        feature: Feature::Messages,
    },
    Column {
        name: "rejected",
        kind: MESSAGE,
        feature: Feature::Messages,
    },
    super::TOOLS,
];

const OPENAI: [Column; 3] = [
    Column {
        name: "input",
        kind: "{messages, tools, parallel_tool_calls}; the last message is the user's",
        feature: Feature::OpenAiInput,
    },
    Column {
        name: "preferred_output",
        kind: MESSAGE,
        feature: Feature::Messages,
    },
    Column {
        name: "non_preferred_output",
        kind: MESSAGE,
        feature: Feature::Messages,
    },
];

impl Exporter for Preference {
    fn kind(&self) -> &'static str {
        "preference"
    }

    fn summary(&self) -> &'static str {
        "Each row is a prompt with a better and a worse answer: an answer and its edit by a person, \
         an accepted and a rejected answer to the same prompt, or an answer that a validator found \
         something in and a later one that mends it and that the validator passed. `origin/` says \
         which. Of a mended answer the prompt is that of the answer before."
    }

    fn flavours(&self) -> &'static [Flavour] {
        &[Flavour::Trl, Flavour::OpenAi]
    }

    fn columns(&self, flavour: Flavour) -> &'static [Column] {
        match flavour {
            Flavour::OpenAi => &OPENAI,
            Flavour::Trl | Flavour::ShareGpt => &COLUMNS,
        }
    }

    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool {
        match outcome {
            Outcome::Accepted | Outcome::Rejected => true,
            Outcome::PartiallyAccepted => recipe.preference.include_partially_accepted,
            Outcome::NeedsReview => false,
        }
    }

    fn pairs(&self) -> bool {
        true
    }

    fn rows(&self, task: &Task, context: &Context<'_>) -> Result<Vec<Made>, &'static str> {
        let prompt = conversation::prompt(&task.messages)?;
        let (chosen, rejected, pair, chosen_id) = if let Some(original) = &task.original_answer {
            to_avoid(task, context.recipe)?;
            if original.len() > context.recipe.export.max_answer_bytes {
                return Err(TOO_LONG);
            }
            let edit = conversation::answer(&task.answer, &task.tool_calls)?;
            let original = conversation::answer(original, &task.original_tool_calls)?;
            (edit, original, "edit", task.id.clone())
        } else {
            let bad = conversation::answer(&task.answer, &task.tool_calls)?;
            if task.outcome == Outcome::Rejected {
                to_avoid(task, context.recipe)?;
                match context.rivals.against(task, &bad) {
                    Ok(winner) => (winner.message.clone(), bad, "answers", winner.id.clone()),
                    Err(reason) => return repair(task, prompt, bad, context, reason),
                }
            } else {
                let reason = match task.outcome {
                    Outcome::NeedsReview => task.outcome.name(),
                    _ => super::UNRIVALLED,
                };
                return repair(task, prompt, bad, context, reason);
            }
        };
        let made = row(task, prompt, chosen, rejected)?
            .about("pair", pair)
            .about("chosen_id", chosen_id);
        Ok(vec![made])
    }

    fn check(&self, row: &Value) -> Result<(), &'static str> {
        if same(&row["chosen"][0], &row["rejected"][0]) {
            return Err(SAME_ANSWERS);
        }
        Ok(())
    }

    fn texts(&self, row: &Value) -> Texts {
        let words = |name: &str| conversation::words(&row[name][0]);
        Texts {
            asked: super::asked(row),
            answered: format!("{}\n{}", words("chosen"), words("rejected")),
            class: 0,
        }
    }

    fn shape(&self, mut row: Value, flavour: Flavour) -> Result<Value, &'static str> {
        for name in ["prompt", "chosen", "rejected"] {
            dialect::write(&mut row[name], flavour)?;
        }
        if flavour != Flavour::OpenAi {
            return Ok(row);
        }
        let tools = row.get("tools").cloned().unwrap_or_else(|| json!([]));
        Ok(json!({
            "input": {
                "messages": row["prompt"],
                "tools": tools,
                "parallel_tool_calls": true,
            },
            "preferred_output": row["chosen"],
            "non_preferred_output": row["rejected"],
        }))
    }
}

fn row(
    task: &Task,
    prompt: Vec<Value>,
    chosen: Value,
    rejected: Value,
) -> Result<Made, &'static str> {
    let row = json!({"prompt": prompt, "chosen": [chosen], "rejected": [rejected]});
    let row = conversation::with_tools(row, &task.tools)?;
    Preference.check(&row)?;
    Ok(Made::of(row))
}

/// Sets what a validator found wanting against what mends it. Errors: `else_reason`, when there is no such thing.
fn repair(
    task: &Task,
    prompt: Vec<Value>,
    bad: Value,
    context: &Context<'_>,
    else_reason: &'static str,
) -> Result<Vec<Made>, &'static str> {
    let (mending, link) = context.repairs.of(task, &bad).map_err(|reason| {
        let none = reason == UNREPAIRED;
        if none { else_reason } else { reason }
    })?;
    to_avoid(task, context.recipe)?;
    let flaws = flaws(task).map(|one| {
        let said = json!({"verdict": one.verdict, "rules": one.rules});
        (one.validator.clone(), said)
    });
    let made = row(task, prompt, mending.message.clone(), bad)?
        .about("pair", "repair")
        .about("chosen_id", mending.id.clone());
    let made = match link {
        Link::Named(steps) => made.about("link", "named").about("steps", steps),
        Link::SamePrompt => made.about("link", "same_prompt"),
    };
    Ok(vec![made.about("mended", flaws.collect::<Map<_, _>>())])
}
