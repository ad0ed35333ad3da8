//! A payload with something to find for each of our own validators.

use serde_json::{Map, Value, json};

/// Payload and context of a kind; `None` for a kind that the settings made.
pub(super) fn of(kind: &str) -> Option<(Value, Map<String, Value>)> {
    let (payload, context) = match kind {
        "fill" => (
            json!({"fills": [{"worker_id": "W-1017", "name": "Owen Galagher"}, {"worker_id": "W-9999", "name": "Nobody"}]}),
            json!({"target_count": 2}),
        ),
        "email" => (
            json!({
                "to": "dana@example.com",
                "subject": "Hello {{name}}",
                "body": "Your card 4111 1111 1111 1111 was charged. See https://examp1e.com/login",
            }),
            json!({"allowed_domains": ["example.com"]}),
        ),
        "json_schema" => (
            json!("Sure:\n```json\n{\"age\": \"old\"}\n```"),
            json!({"schema": {
                "type": "object",
                "required": ["name", "age"],
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            }}),
        ),
        "grounding" => (
            json!({
                "question": "When did the ferry open?",
                "answer": "The ferry opened in 1931 [1]. It carries cars.",
                "passages": [{"index": 1, "text": "The ferry opened in 1913 and carries no cars."}],
            }),
            json!({}),
        ),
        "role_gate" => (
            json!({
                "passages": [
                    {"id": "a", "text": "The board meets on the first Monday of May to vote on pay.", "role": "board"},
                    {"id": "b", "text": "Visitors come from nine to five.", "role": "nurse"},
                ],
                "answer": "The board meets on the first Monday of May to vote on pay.",
            }),
            json!({"role": "nurse"}),
        ),
        "secrets" => (
            json!({"text": ["all is well", "Your password is: hunter2!", "key AKIAIOSFODNN7EXAMPLE"]}),
            json!({}),
        ),
        "pii" => (
            json!({"text": "Call Ann at +1 415 555 0132, card 4111 1111 1111 1111."}),
            json!({}),
        ),
        _ => return None,
    };
    match context {
        Value::Object(context) => Some((payload, context)),
        _ => None,
    }
}
