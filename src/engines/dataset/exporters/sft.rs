//! Conversations to imitate, in the shape that TRL and OpenAI's fine-tuning share.

use serde_json::{Map, Value, json};

use super::{Column, Exporter};
use crate::engines::dataset::conversation;
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::task::{Outcome, Task};

pub(super) struct Sft;

const COLUMNS: [Column; 2] = [
    Column {
        name: "messages",
        kind: "list of {role, content: string, tool_calls?, tool_call_id?, name?}; the last is the \
               assistant's",
        feature: "list:\n    - name: role\n      dtype: string\n    - name: content\n      \
                  dtype: string",
    },
    // Schemas of tools differ from row to row, so there is no type to declare.
    Column {
        name: "tools",
        kind: "list of tools in OpenAI's shape; only where offered",
        feature: "",
    },
];

impl Exporter for Sft {
    fn kind(&self) -> &'static str {
        "sft"
    }

    fn summary(&self) -> &'static str {
        "Each row is a conversation that ends with an accepted answer of the assistant."
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool {
        match outcome {
            Outcome::Accepted => true,
            Outcome::PartiallyAccepted => recipe.sft.include_partially_accepted,
            Outcome::NeedsReview | Outcome::Rejected => false,
        }
    }

    fn row(&self, task: &Task) -> Result<Value, &'static str> {
        let mut messages = conversation::uniform(&task.messages)?;
        if !messages.iter().any(|message| message["role"] == "user") {
            return Err("no_user_message");
        }
        // An answer that continues the assistant's own words is half a message.
        if messages
            .last()
            .is_none_or(|last| last["role"] == "assistant")
        {
            return Err("continues_assistant");
        }
        let calls = conversation::uniform_calls(&task.tool_calls)?;
        if task.answer.trim().is_empty() && calls.is_empty() {
            return Err("empty_answer");
        }
        let mut answer = Map::new();
        answer.insert("role".to_owned(), "assistant".into());
        answer.insert("content".to_owned(), task.answer.clone().into());
        if !calls.is_empty() {
            answer.insert("tool_calls".to_owned(), calls.into());
        }
        messages.push(Value::Object(answer));
        let mut row = json!({"messages": messages});
        if !task.tools.is_empty() {
            if !task.tools.iter().all(Value::is_object) {
                return Err(conversation::MALFORMED);
            }
            row["tools"] = task.tools.clone().into();
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::task;
    use super::*;
    use crate::engines::dataset::fixture;

    #[test]
    fn a_row_ends_with_the_answer() {
        let row = Sft
            .row(&task(fixture::chat("q", "a"), Outcome::Accepted))
            .unwrap();
        let expected = json!({"messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a"},
        ]});
        assert_eq!(row, expected);
    }

    #[test]
    fn tools_and_calls_are_kept() {
        let mut chat = fixture::chat("q", "");
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
        let call =
            json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        chat.tools = vec![tool.clone()];
        chat.tool_calls = vec![call.clone()];
        let row = Sft.row(&task(chat, Outcome::Accepted)).unwrap();
        assert_eq!(row["tools"], json!([tool]));
        let answer = json!({"role": "assistant", "content": "", "tool_calls": [call]});
        assert_eq!(row["messages"][1], answer);
    }

    #[test]
    fn what_cannot_be_imitated_is_named() {
        let user = json!({"role": "user", "content": "q"});
        let table = [
            (vec![], "a", "no_user_message"),
            (
                vec![json!({"role": "system", "content": "s"})],
                "a",
                "no_user_message",
            ),
            (
                vec![user.clone(), json!({"role": "assistant", "content": "so"})],
                "a",
                "continues_assistant",
            ),
            (vec![user], " ", "empty_answer"),
            (vec![json!(1)], "a", "malformed_messages"),
        ];
        for (messages, answer, reason) in table {
            let mut chat = fixture::chat("", answer);
            chat.messages = messages;
            assert_eq!(Sft.row(&task(chat, Outcome::Accepted)), Err(reason));
        }
    }
}
