//! What every provider over HTTP must do, checked against golden files of its wire format.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::engines::chat::{
    ChatError, Collector, Plan, Provider, ProviderConfig, Reaction, build, kinds,
};
use crate::types::chat::{
    ChatEvent, ChatMessage, ChatReply, ChatRequest, FinishReason, FunctionCall, Role, ToolCall,
};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::TokenUsage;
use crate::types::http::{HttpHead, HttpReply};

/// The golden files of one kind. Pairs hold the same answer, whole and streamed.
struct Wire {
    kind: &'static str,
    /// The header with the key.
    key: (&'static str, &'static str),
    /// Two sentences, usage, a character of two bytes at a seam.
    plain: (&'static str, &'static str),
    /// Two calls.
    tools: (&'static str, &'static str),
    /// Reasoning, then an answer cut by the bound on tokens.
    reasoning: (&'static str, &'static str),
    /// An error after the text "Hel".
    broken_midway: &'static str,
    /// From here on a stream counts as complete.
    complete: &'static str,
    /// The body of an error, with `MESSAGE` in place of its text.
    error: &'static str,
}

const BEARER: (&str, &str) = ("authorization", "Bearer sk-secret");

const WIRES: [Wire; 4] = [
    Wire {
        kind: "anthropic",
        key: ("x-api-key", "sk-secret"),
        plain: (
            include_str!("fixtures/anthropic/plain.json"),
            include_str!("fixtures/anthropic/plain.sse"),
        ),
        tools: (
            include_str!("fixtures/anthropic/tools.json"),
            include_str!("fixtures/anthropic/tools.sse"),
        ),
        reasoning: (
            include_str!("fixtures/anthropic/reasoning.json"),
            include_str!("fixtures/anthropic/reasoning.sse"),
        ),
        broken_midway: include_str!("fixtures/anthropic/broken_midway.sse"),
        complete: "\"stop_reason\":\"",
        error: r#"{"type": "error", "error": {"type": "t", "message": "MESSAGE"}, "request_id": "req_1"}"#,
    },
    Wire {
        kind: "gemini",
        key: ("x-goog-api-key", "sk-secret"),
        plain: (
            include_str!("fixtures/gemini/plain.json"),
            include_str!("fixtures/gemini/plain.sse"),
        ),
        tools: (
            include_str!("fixtures/gemini/tools.json"),
            include_str!("fixtures/gemini/tools.sse"),
        ),
        reasoning: (
            include_str!("fixtures/gemini/reasoning.json"),
            include_str!("fixtures/gemini/reasoning.sse"),
        ),
        broken_midway: include_str!("fixtures/gemini/broken_midway.sse"),
        complete: "\"finishReason\": \"",
        error: r#"{"error": {"code": 0, "message": "MESSAGE", "status": "S"}}"#,
    },
    Wire {
        kind: "openai",
        key: BEARER,
        plain: (
            include_str!("fixtures/openai/plain.json"),
            include_str!("fixtures/openai/plain.sse"),
        ),
        tools: (
            include_str!("fixtures/openai/tools.json"),
            include_str!("fixtures/openai/tools.sse"),
        ),
        reasoning: (
            include_str!("fixtures/openai/reasoning.json"),
            include_str!("fixtures/openai/reasoning.sse"),
        ),
        broken_midway: include_str!("fixtures/openai/broken_midway.sse"),
        complete: "\"finish_reason\":\"",
        error: r#"{"error": {"message": "MESSAGE", "type": "t", "param": null, "code": null}}"#,
    },
    Wire {
        kind: "ollama",
        key: BEARER,
        plain: (
            include_str!("fixtures/ollama/plain.json"),
            include_str!("fixtures/ollama/plain.ndjson"),
        ),
        tools: (
            include_str!("fixtures/ollama/tools.json"),
            include_str!("fixtures/ollama/tools.ndjson"),
        ),
        reasoning: (
            include_str!("fixtures/ollama/reasoning.json"),
            include_str!("fixtures/ollama/reasoning.ndjson"),
        ),
        broken_midway: include_str!("fixtures/ollama/broken_midway.ndjson"),
        complete: "\"done\":true",
        error: r#"{"error": "MESSAGE"}"#,
    },
];

impl Wire {
    fn provider(&self) -> Arc<dyn Provider> {
        let config = ProviderConfig {
            kind: Some(self.kind.into()),
            base_url: Some("http://127.0.0.1:1/base".into()),
            ..ProviderConfig::default()
        };
        build("up", Some(&config), Some("sk-secret".into())).unwrap()
    }

    fn decode(&self, status: u16, body: &str) -> Result<ChatReply, ChatError> {
        let head = HttpHead {
            status,
            headers: vec![("retry-after".into(), "2".into())],
        };
        self.provider().decode(&HttpReply {
            head,
            body: body.as_bytes().to_vec(),
        })
    }

    /// Feeds chunks; returns what was collected and how the stream ended.
    fn read(&self, chunks: &[&[u8]]) -> (ChatReply, Result<(), ChatError>) {
        let (mut decoder, mut events) = (self.provider().stream(), Vec::new());
        let fed = chunks
            .iter()
            .try_for_each(|chunk| decoder.feed(chunk, &mut events));
        let ended = fed.and_then(|()| decoder.finish(&mut events));
        let mut collector = Collector::default();
        for event in &events {
            if let ChatEvent::Delta(delta) = event {
                assert!(!delta.is_empty(), "an empty delta");
            }
            collector.push(event);
        }
        if ended.is_ok() {
            let finishes = events
                .iter()
                .filter(|event| matches!(event, ChatEvent::Finish(_)));
            assert_eq!(finishes.count(), 1, "{}: one finish", self.kind);
        }
        (collector.into_reply(), ended)
    }
}

fn of_kind(kind: &str) -> &'static Wire {
    WIRES.iter().find(|wire| wire.kind == kind).unwrap()
}

fn usage(prompt_tokens: u64, completion_tokens: u64) -> Option<TokenUsage> {
    Some(TokenUsage {
        prompt_tokens,
        completion_tokens,
        ..TokenUsage::default()
    })
}

fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: String::new(),
        kind: "function".into(),
        function: FunctionCall {
            name: name.into(),
            arguments: arguments.into(),
        },
        extra: Map::new(),
    }
}

/// Checks the ids, then takes them out: some are minted.
fn without_ids(mut reply: ChatReply) -> ChatReply {
    let ids: Vec<String> = reply
        .tool_calls
        .iter_mut()
        .map(|call| std::mem::take(&mut call.id))
        .collect();
    let known = |id: &String| id.starts_with("call_") || id.starts_with("toolu_");
    assert!(ids.iter().all(known), "{ids:?}");
    // Only Anthropic's reasoning is signed; its own test reads the signatures.
    reply.thinking_blocks.clear();
    // Only some tell of their cache; their own tests read that.
    if let Some(usage) = &mut reply.usage {
        usage.cached_tokens = 0;
    }
    assert!(
        ids.first()
            .is_none_or(|first| ids[1..].iter().all(|id| id != first)),
        "{ids:?}"
    );
    reply
}

fn cases(wire: &Wire) -> [((&'static str, &'static str), ChatReply); 3] {
    [
        (
            wire.plain,
            ChatReply {
                text: "Hello, wörld! How can I help?".into(),
                usage: usage(19, 10),
                ..ChatReply::default()
            },
        ),
        (
            wire.tools,
            ChatReply {
                tool_calls: vec![
                    call("get_weather", r#"{"city":"Paris"}"#),
                    call("get_time", "{}"),
                ],
                finish: FinishReason::ToolCalls,
                usage: usage(82, 17),
                ..ChatReply::default()
            },
        ),
        (
            wire.reasoning,
            ChatReply {
                text: "4".into(),
                reasoning: Some("Two and two.".into()),
                finish: FinishReason::Length,
                usage: usage(5, 7),
                ..ChatReply::default()
            },
        ),
    ]
}

#[test]
fn every_kind_is_covered() {
    let mut covered: Vec<&str> = WIRES.iter().map(|wire| wire.kind).collect();
    covered.sort_unstable();
    assert_eq!(covered, kinds());
}

#[test]
fn whole_and_streamed_answers_are_the_same_however_they_are_split() {
    for wire in &WIRES {
        for ((whole, streamed), expected) in cases(wire) {
            assert_eq!(
                without_ids(wire.decode(200, whole).unwrap()),
                expected,
                "{}",
                wire.kind
            );
            let bytes = streamed.as_bytes();
            for at in 0..bytes.len() {
                let (reply, ended) = wire.read(&[&bytes[..at], &bytes[at..]]);
                assert_eq!(ended, Ok(()), "{} split at {at}", wire.kind);
                assert_eq!(without_ids(reply), expected, "{} split at {at}", wire.kind);
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(without_ids(wire.read(&single).0), expected, "{}", wire.kind);
        }
    }
}

#[test]
fn a_stream_that_is_cut_is_never_complete() {
    for wire in &WIRES {
        for ((_, streamed), _) in cases(wire) {
            let complete = streamed.find(wire.complete).unwrap();
            for at in 0..complete {
                let (_, ended) = wire.read(&[&streamed.as_bytes()[..at]]);
                assert!(ended.is_err(), "{} cut at {at}", wire.kind);
            }
        }
    }
}

#[test]
fn an_error_in_the_middle_comes_after_what_stood_before_it() {
    for wire in &WIRES {
        let (reply, ended) = wire.read(&[wire.broken_midway.as_bytes()]);
        assert_eq!(reply.text, "Hel", "{}", wire.kind);
        let error = ended.unwrap_err();
        assert!(
            matches!(error, ChatError::Upstream { .. }),
            "{}: {error:?}",
            wire.kind
        );
    }
}

#[test]
fn statuses_are_told_apart_and_keys_are_never_told() {
    use ErrorKind as K;
    use Reaction::{Final, Next, Retry};
    for wire in &WIRES {
        for (status, kind, reaction, wait) in [
            (400, K::BadRequest, Final, None),
            (401, K::Upstream, Next, None),
            (403, K::Upstream, Next, None),
            (404, K::NotFound, Next, None),
            (408, K::Upstream, Retry, Some(2_000)),
            (429, K::TooManyRequests, Retry, Some(2_000)),
            (500, K::Upstream, Retry, Some(2_000)),
            (503, K::Unavailable, Retry, Some(2_000)),
            (529, K::Unavailable, Retry, Some(2_000)),
        ] {
            let told = wire.error.replace("MESSAGE", "key sk-secret is odd");
            for body in [told.as_str(), "<html>key sk-secret is odd</html>", ""] {
                let error = wire.decode(status, body).unwrap_err();
                let found = (error.kind(), error.reaction(), error.retry_after_ms());
                assert_eq!(
                    found,
                    (kind, reaction, wait),
                    "{} {status} {body}",
                    wire.kind
                );
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("sk-secret"), "{shown}");
                assert!(body.is_empty() || shown.contains("*** is odd"), "{shown}");
            }
        }
        let inside = wire
            .decode(200, &wire.error.replace("MESSAGE", "quota"))
            .unwrap_err();
        assert!(inside.to_string().contains("quota"), "{inside}");
    }
}

#[test]
fn a_refusal_is_an_answer() {
    for (kind, body, words) in [
        (
            "openai",
            include_str!("fixtures/openai/filtered.json"),
            "cannot assist",
        ),
        (
            "anthropic",
            include_str!("fixtures/anthropic/refused.json"),
            "",
        ),
        (
            "gemini",
            include_str!("fixtures/gemini/blocked.json"),
            "PROHIBITED_CONTENT",
        ),
    ] {
        let reply = of_kind(kind).decode(200, body).unwrap();
        assert_eq!(reply.finish, FinishReason::ContentFilter, "{kind}");
        assert!(reply.text.is_empty(), "{kind}");
        assert!(reply.refusal.unwrap_or_default().contains(words), "{kind}");
    }
    let streamed = format!(
        "data: {}\n\n",
        include_str!("fixtures/gemini/blocked.json").replace('\n', " ")
    );
    let (reply, ended) = of_kind("gemini").read(&[streamed.as_bytes()]);
    assert_eq!((reply.finish, ended), (FinishReason::ContentFilter, Ok(())));
}

#[test]
fn signed_reasoning_is_kept_as_it_was_sent() {
    let wire = of_kind("anthropic");
    let signed = [
        json!({"type": "thinking", "thinking": "Two and two.",
            "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}),
        json!({"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}),
    ];
    let (whole, streamed) = wire.reasoning;
    assert_eq!(wire.decode(200, whole).unwrap().thinking_blocks, signed);
    let single: Vec<&[u8]> = streamed.as_bytes().chunks(1).collect();
    assert_eq!(wire.read(&single).0.thinking_blocks, signed);
}

#[test]
fn a_signature_goes_with_its_call_and_comes_back() {
    let wire = of_kind("gemini");
    let signed = include_str!("fixtures/gemini/signed.json");
    let streamed = format!("data: {}\n\n", signed.replace('\n', " "));
    for reply in [
        wire.decode(200, signed).unwrap(),
        wire.read(&[streamed.as_bytes()]).0,
    ] {
        assert_eq!(reply.tool_calls[0].id, "fc-1");
        assert_eq!(
            Value::Object(reply.tool_calls[0].extra.clone()),
            json!({"extra_content": {"google": {"thought_signature": "EqQBsigned"}}})
        );
        assert!(reply.tool_calls[1].extra.is_empty());
        // A client sends the calls back as it got them.
        let calls: Vec<ToolCall> =
            serde_json::from_value(serde_json::to_value(&reply.tool_calls).unwrap()).unwrap();
        let mut message = ChatMessage::new(Role::Assistant, "");
        message.tool_calls = calls;
        let request = ChatRequest {
            model: "m".into(),
            messages: vec![message],
            ..ChatRequest::default()
        };
        let Plan::Call(call) = wire.provider().plan(&request).unwrap() else {
            panic!()
        };
        let sent: Value = serde_json::from_slice(&call.body).unwrap();
        let parts = &sent["contents"][0]["parts"];
        assert_eq!(parts[0]["thoughtSignature"], "EqQBsigned");
        assert!(parts[1].get("thoughtSignature").is_none(), "{parts}");
    }
}

#[test]
fn words_of_anthropics_errors_tell_a_status_in_the_middle_of_a_stream() {
    let wire = of_kind("anthropic");
    for (word, kind) in [
        ("overloaded_error", ErrorKind::Unavailable),
        ("rate_limit_error", ErrorKind::TooManyRequests),
        ("api_error", ErrorKind::Upstream),
        ("invalid_request_error", ErrorKind::BadRequest),
        ("something_new", ErrorKind::Upstream),
    ] {
        let event = format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":\
             {{\"type\":\"{word}\",\"message\":\"m\"}}}}\n\n"
        );
        let error = wire.read(&[event.as_bytes()]).1.unwrap_err();
        assert_eq!(error.kind(), kind, "{word}");
    }
}

#[test]
fn odd_bodies_are_errors_that_go_to_the_next_candidate() {
    for wire in &WIRES {
        for body in [
            "",
            "[]",
            "7",
            "null",
            "{}",
            "{\"choices\": []}",
            "{\"choices\": 7}",
            "{\"a\":",
            "\"x\"",
        ] {
            let error = wire.decode(200, body).unwrap_err();
            assert_eq!(
                error.reaction(),
                Reaction::Next,
                "{} {body}: {error}",
                wire.kind
            );
        }
    }
}

#[test]
fn a_call_is_addressed_and_authorised() {
    for wire in &WIRES {
        for stream in [false, true] {
            let request = ChatRequest {
                model: "m".into(),
                messages: vec![ChatMessage::new(Role::User, "hi")],
                stream,
                ..ChatRequest::default()
            };
            let Plan::Call(call) = wire.provider().plan(&request).unwrap() else {
                panic!()
            };
            assert!(
                call.url.starts_with("http://127.0.0.1:1/base/"),
                "{}",
                call.url
            );
            let (header, value) = wire.key;
            assert!(
                call.headers
                    .contains(&(header.to_owned(), value.to_owned()))
            );
            // The whole answer may take its time; the first piece of a stream may not.
            assert_eq!(call.timeouts.first_byte_ms < call.timeouts.total_ms, stream);
        }
    }
}

proptest! {
    #[test]
    fn hostile_bytes_do_no_harm(
        mut bytes: Vec<u8>, place: prop::sample::Index, kind in 0..WIRES.len(), flip: u8,
    ) {
        let wire = &WIRES[kind];
        let _ = wire.read(&[&bytes]);
        let _ = wire.decode(200, &String::from_utf8_lossy(&bytes));
        // A golden stream with one wrong byte, and garbage behind it.
        let mut damaged = wire.tools.1.as_bytes().to_vec();
        let at = place.index(damaged.len());
        damaged[at] = flip;
        damaged.append(&mut bytes);
        let _ = wire.read(&[&damaged]);
        let whole = wire.tools.0;
        let _ = wire.decode(200, &whole[..whole.floor_char_boundary(at.min(whole.len()))]);
    }
}
