//! What the span of a chat request tells, by OpenTelemetry's conventions for generative AI.

use serde_json::{Value, json};

use crate::engines::chat::Candidate;
use crate::types::chat::ChatRequest;
use crate::types::evidence::ChatEvidence;
use crate::types::trace::{Attribute, SpanKind, Story};

/// Most bytes of a question, and of an answer, that a span tells: spans wait in memory for a collector.
const MAX_CONTENT_BYTES: usize = 64 << 10;

/// Tells of a request that left `record`. Questions and answers are told only `with_content`.
pub(super) fn story(
    id: &str,
    request: &ChatRequest,
    answered_by: Option<&Candidate>,
    record: &ChatEvidence,
    with_content: bool,
) -> Story {
    let provider = answered_by.map_or("boathouse", |candidate| candidate.provider.as_str());
    let mut attributes: Vec<(&'static str, Attribute)> = vec![
        ("gen_ai.operation.name", "chat".into()),
        ("gen_ai.provider.name", provider.into()),
        ("gen_ai.request.model", record.model.as_str().into()),
        ("gen_ai.response.id", id.into()),
        ("boathouse.request_id", record.request_id.as_str().into()),
        ("boathouse.attempts", count(record.attempts.len())),
    ];
    let mut tell = |key, value: Option<Attribute>| {
        attributes.extend(value.map(|value| (key, value)));
    };
    let model = answered_by.map(|candidate| candidate.model.as_str());
    tell(
        "gen_ai.response.model",
        model.filter(|model| !model.is_empty()).map(Attribute::from),
    );
    let reason = record.finish_reason.clone();
    tell(
        "gen_ai.response.finish_reasons",
        reason.map(|reason| Attribute::List(vec![reason])),
    );
    if let Some(usage) = record.usage {
        tell(
            "gen_ai.usage.input_tokens",
            Some(usage.prompt_tokens.into()),
        );
        tell(
            "gen_ai.usage.output_tokens",
            Some(usage.completion_tokens.into()),
        );
    }
    tell(
        "gen_ai.request.temperature",
        request.temperature.map(Attribute::Float),
    );
    tell("gen_ai.request.top_p", request.top_p.map(Attribute::Float));
    let bound = request.max_completion_tokens.or(request.max_tokens);
    tell(
        "gen_ai.request.max_tokens",
        bound.map(|bound| Attribute::Integer(bound.into())),
    );
    tell("boathouse.cost_usd", record.cost_usd.map(Attribute::Float));
    tell("boathouse.cache", record.cache.clone().map(Attribute::Text));
    let passages = Some(record.passages.len()).filter(|passages| *passages > 0);
    tell("boathouse.passages", passages.map(count));
    // Not the reason itself: an upstream's words may repeat what it was asked.
    let error = record.error.as_ref().map(|_| {
        let last = record.attempts.last();
        let word = last.and_then(|attempt| attempt.outcome.split(':').next());
        word.filter(|word| *word != "ok").unwrap_or("error")
    });
    tell("error.type", error.map(Attribute::from));
    if with_content {
        tell(
            "gen_ai.input.messages",
            Some(json!(newest(&record.messages)).to_string().into()),
        );
        let answer = json!({"role": "assistant", "content": record.answer});
        let mut answer = said(&answer, MAX_CONTENT_BYTES);
        answer["finish_reason"] = json!(record.finish_reason);
        tell(
            "gen_ai.output.messages",
            Some(json!([answer]).to_string().into()),
        );
    }
    Story {
        name: format!("chat {}", record.model),
        kind: SpanKind::Client,
        attributes,
        error: error.map(str::to_owned),
    }
}

fn count(many: usize) -> Attribute {
    u64::try_from(many).unwrap_or(u64::MAX).into()
}

/// The end of a conversation, in order.
fn newest(messages: &[Value]) -> Vec<Value> {
    let mut left = MAX_CONTENT_BYTES;
    let mut told = Vec::new();
    for message in messages.iter().rev() {
        if left == 0 {
            break;
        }
        let message = said(message, left);
        left = left.saturating_sub(message.to_string().len());
        told.push(message);
    }
    told.reverse();
    told
}

/// A message of a conversation in the form of the conventions; of its text the first bytes.
fn said(message: &Value, bytes: usize) -> Value {
    let mut text = match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    text.truncate(text.floor_char_boundary(bytes));
    json!({"role": message["role"], "parts": [{"type": "text", "content": text}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::evidence::{AttemptEvidence, TokenUsage};

    fn record() -> ChatEvidence {
        serde_json::from_value(json!({
            "request_id": "r1", "model": "main", "answered_by": "up/m",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "secret question"}]}],
            "answer": "secret answer", "passages": [], "usage": null, "attempts": [], "stream": false,
            "latency_ms": 1,
        }))
        .unwrap()
    }

    fn of(story: &Story, name: &str) -> Option<Attribute> {
        let mut found = story.attributes.iter().filter(|(key, _)| *key == name);
        found.next().map(|(_, value)| value.clone())
    }

    #[test]
    fn an_answer_is_told_without_its_words_unless_they_are_wanted() {
        let candidate = Candidate {
            provider: "up".into(),
            model: "m".into(),
        };
        let mut record = record();
        record.finish_reason = Some("stop".into());
        record.usage = Some(TokenUsage {
            prompt_tokens: 3,
            completion_tokens: 4,
            ..TokenUsage::default()
        });
        let request = ChatRequest {
            temperature: Some(0.5),
            ..ChatRequest::default()
        };
        let told = story("c1", &request, Some(&candidate), &record, false);
        assert_eq!(told.name, "chat main");
        for (name, value) in [
            ("gen_ai.provider.name", "up".into()),
            ("gen_ai.response.model", "m".into()),
            ("gen_ai.usage.output_tokens", Attribute::Integer(4)),
            ("gen_ai.request.temperature", Attribute::Float(0.5)),
            (
                "gen_ai.response.finish_reasons",
                Attribute::List(vec!["stop".into()]),
            ),
        ] {
            assert_eq!(of(&told, name), Some(value), "{name}");
        }
        assert!(!format!("{told:?}").contains("secret"));
        let told = story("c1", &request, Some(&candidate), &record, true);
        let asked = r#"[{"role":"user","parts":[{"type":"text","content":"secret question"}]}]"#;
        assert_eq!(of(&told, "gen_ai.input.messages"), Some(asked.into()));
        assert!(of(&told, "gen_ai.output.messages").is_some());
    }

    #[test]
    fn of_long_conversations_the_end_is_told() {
        let mut record = record();
        let long = "ü".repeat(MAX_CONTENT_BYTES / 4);
        record.messages = (0..9)
            .map(|turn| json!({"role": "user", "content": format!("{turn}{long}")}))
            .collect();
        record.answer = "a".repeat(1 << 20);
        let told = story("c1", &ChatRequest::default(), None, &record, true);
        for name in ["gen_ai.input.messages", "gen_ai.output.messages"] {
            let Some(Attribute::Text(text)) = of(&told, name) else {
                panic!("no {name}");
            };
            assert!(text.len() < MAX_CONTENT_BYTES + 500, "{}", text.len());
            let read: Value = serde_json::from_str(&text).unwrap();
            assert!(!read.as_array().unwrap().is_empty());
        }
        let Some(Attribute::Text(asked)) = of(&told, "gen_ai.input.messages") else {
            panic!("no question");
        };
        assert!(asked.contains("8ü") && !asked.contains("0ü"));
    }

    #[test]
    fn a_failure_has_a_word() {
        let mut record = record();
        record.error = Some("nobody answered".into());
        record.attempts = vec![AttemptEvidence {
            candidate: "up/m".into(),
            outcome: "busy: try later".into(),
            latency_ms: 1,
        }];
        let told = story("c1", &ChatRequest::default(), None, &record, false);
        assert_eq!(of(&told, "error.type"), Some("busy".into()));
        assert_eq!(told.error.as_deref(), Some("busy"));
        assert_eq!(of(&told, "gen_ai.provider.name"), Some("boathouse".into()));
    }
}
