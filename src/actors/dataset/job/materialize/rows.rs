//! Tasks as rows of typed columns.

use serde_json::{Map, Value, json};

use crate::engines::dataset::Task;
use crate::storage::parquet_file::ParquetColumn;
use crate::storage::parquet_file::ParquetType::{Bool, Float, Int, Json, Struct, Text, Time};

/// The columns of `tasks.parquet`, in the order of the members of a line of `tasks.jsonl`. Shapes that are the client's are
/// JSON; of a message only what every message has is typed.
pub(super) fn columns() -> Vec<ParquetColumn> {
    let column = ParquetColumn::new;
    let message = vec![
        column("role", Text),
        column("content", Text),
        column("more", Json),
    ];
    let passage = vec![
        column("collection", Text),
        column("id", Text),
        column("score", Float),
        column("text", Text),
        column("cited", Bool),
    ];
    let feedback = vec![
        column("seq", Int),
        column("replica", Text),
        column("rating", Text),
        column("score", Float),
        column("comment", Text),
        column("edited_answer", Text),
        column("user", Text),
        column("review", Bool),
    ];
    let validation = vec![
        column("seq", Int),
        column("replica", Text),
        column("validator", Text),
        column("verdict", Text),
        column("rules", Text.list()),
    ];
    vec![
        column("seq", Int),
        column("replica", Text),
        column("ts", Time),
        column("id", Text),
        column("request_id", Text),
        column("key", Text),
        column("outcome", Text),
        column("reasons", Text.list()),
        column("model", Text),
        column("answered_by", Text),
        column("client", Text),
        column("messages", Struct(message).list()),
        column("answer", Text),
        column("original_answer", Text),
        column("tools", Json.list()),
        column("tool_calls", Json.list()),
        column("original_tool_calls", Json.list()),
        column("finish_reason", Text),
        column("error", Text),
        column("passages", Struct(passage).list()),
        column("feedback", Struct(feedback)),
        column("validations", Struct(validation).list()),
        column("imported", Json),
        column("repairs", Text),
        column("cost_usd", Float),
        column("latency_ms", Int),
    ]
}

/// The row of a task. Errors: in words.
pub(super) fn row(mut task: Task) -> Result<Value, String> {
    let messages = std::mem::take(&mut task.messages);
    let mut row = serde_json::to_value(task).map_err(|error| error.to_string())?;
    row["messages"] = messages.into_iter().map(message).collect();
    numbers(&mut row);
    if let Some(feedback) = row.get_mut("feedback") {
        numbers(feedback);
    }
    let validations = row["validations"].as_array_mut();
    validations.into_iter().flatten().for_each(numbers);
    Ok(row)
}

/// A message whose content is a text, and what else it has; of any other all is in `more`.
fn message(message: Value) -> Value {
    let mut more = match message {
        Value::Object(members) => members,
        other => return json!({"more": other}),
    };
    let mut row = Map::new();
    for name in ["role", "content"] {
        if more.get(name).is_some_and(Value::is_string) {
            let text = more.shift_remove(name).unwrap_or_default();
            row.insert(name.to_owned(), text);
        }
    }
    if !more.is_empty() {
        row.insert("more".to_owned(), Value::Object(more));
    }
    Value::Object(row)
}

/// Numbers that no column of 64 signed bits holds are null.
fn numbers(row: &mut Value) {
    for name in ["seq", "ts", "latency_ms"] {
        if let Some(number) = row.get_mut(name)
            && number.as_i64().is_none()
        {
            *number = Value::Null;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_message_nothing_is_lost() {
        for (given, expected) in [
            (
                json!({"role": "user", "content": "q"}),
                json!({"role": "user", "content": "q"}),
            ),
            (
                json!({"role": "user", "content": [{"type": "text"}], "name": "n"}),
                json!({"role": "user", "more": {"content": [{"type": "text"}], "name": "n"}}),
            ),
            (
                json!({"role": "assistant", "content": null, "tool_calls": []}),
                json!({"role": "assistant", "more": {"content": null, "tool_calls": []}}),
            ),
            (json!("q"), json!({"more": "q"})),
            (json!({}), json!({})),
        ] {
            assert_eq!(message(given), expected);
        }
    }
}
