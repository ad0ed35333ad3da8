use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::types::evidence::Rating;

const OPENAI: &str = include_str!("../../../../tests/data/import/openai.jsonl");
const LITELLM: &str = include_str!("../../../../tests/data/import/litellm.jsonl");
const LANGFUSE: &str = include_str!("../../../../tests/data/import/langfuse.jsonl");
const SHAREGPT: &str = include_str!("../../../../tests/data/import/sharegpt.json");

fn shipped(name: &str) -> Mapping {
    Mapping::shipped(name).unwrap().unwrap()
}

fn lines(name: &str, text: &str) -> Vec<Result<Mapped, String>> {
    let mapping = shipped(name);
    let lines = text.lines().map(|line| mapping.line(line.as_bytes()));
    lines.collect()
}

fn conversation(mapped: &Result<Mapped, String>) -> &ForeignConversation {
    match mapped {
        Ok(Mapped::Conversation { conversation, .. }) => conversation,
        other => panic!("{other:?}"),
    }
}

/// What is said of a conversation most often.
fn gist(mapped: &Result<Mapped, String>) -> Value {
    let one = conversation(mapped);
    let texts = one.messages.iter().map(|message| {
        let role = message["role"].as_str().unwrap();
        format!("{role}: {}", message["content"].as_str().unwrap_or("…"))
    });
    json!([
        one.id,
        one.answered_by,
        texts.collect::<Vec<_>>(),
        one.answer
    ])
}

#[test]
fn every_shipped_map_is_right_and_names_its_source() {
    for (name, text) in SHIPPED {
        let mapping = Mapping::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(mapping.source(), *name);
    }
    assert!(Mapping::shipped("nothing").is_none());
}

#[test]
fn openai_logs_in_all_their_forms() {
    let found = lines("openai", OPENAI);
    assert_eq!(
        gist(&found[0]),
        json!([
            "chatcmpl-A1",
            "openai/gpt-4o-mini-2024-07-18",
            ["system: Be brief.", "user: When does the ferry leave?"],
            "At nine."
        ])
    );
    let one = conversation(&found[0]);
    assert_eq!((one.ts, one.latency_ms), (Some(1_772_352_900_250), 812));
    assert_eq!(one.model, "gpt-4o-mini");
    assert_eq!(one.user.as_deref(), Some("u-17"));
    let usage = one.usage.unwrap();
    assert_eq!(
        (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens
        ),
        (21, 4, 8)
    );
    assert_eq!(one.feedback.as_ref().unwrap().rating, Rating::Accepted);
    // A stored completion; its rating is text in the metadata.
    assert_eq!(
        gist(&found[1]),
        json!([
            "chatcmpl-B2",
            "openai/gpt-4.1",
            ["user: Where is the lighthouse?"],
            "In the harbour."
        ])
    );
    let one = conversation(&found[1]);
    assert_eq!(one.ts, Some(1_772_352_901_000));
    let feedback = one.feedback.as_ref().unwrap();
    assert_eq!(
        (feedback.rating, feedback.score),
        (Rating::Rejected, Some(0.1))
    );
    // For fine-tuning: the last answer counts, and the words are the id.
    let one = conversation(&found[2]);
    assert!(one.id.starts_with("content-"), "{}", one.id);
    assert_eq!(
        (one.messages.len(), one.answer.as_str()),
        (2, "Yes, until five.")
    );
    assert_eq!((one.finish_reason.as_deref(), one.ts), (Some("stop"), None));
    // A line of a batch.
    let one = conversation(&found[3]);
    assert_eq!(
        (one.id.as_str(), one.answer.as_str()),
        ("chatcmpl-C3", "Four.")
    );
    assert_eq!(one.finish_reason.as_deref(), Some("length"));
    assert_eq!(
        one.messages[0]["content"][0]["text"],
        "What is two and two?"
    );
    // Responses.
    let one = conversation(&found[4]);
    assert_eq!(
        one.messages[0],
        json!({"role": "system", "content": "Use the tool."})
    );
    let function = json!({"name": "weather", "arguments": "{\"city\":\"Oslo\"}"});
    assert_eq!(
        one.tool_calls,
        [json!({"id": "call_x", "type": "function", "function": function})]
    );
    assert_eq!((one.answer.as_str(), one.tools.len()), ("", 1));
    assert_eq!(conversation(&found[5]).answer, "Hello.");
    assert_eq!(conversation(&found[6]).answer, "Argo.");
    assert_eq!(conversation(&found[7]).answer, " nine.");
    assert_eq!(found[8], Ok(Mapped::Passed));
    let no_answer = found[9].as_ref().unwrap_err();
    assert!(
        no_answer.starts_with("no answer at /response/body/choices/0/message"),
        "{no_answer}"
    );
    assert!(
        no_answer.ends_with("no message of the assistant at /request/messages"),
        "{no_answer}"
    );
    assert!(
        found[10]
            .as_ref()
            .unwrap_err()
            .starts_with("no messages at /request/body/messages, ")
    );
    assert_eq!(found.len(), 11);
}

#[test]
fn litellm_payloads_and_rows_of_its_table() {
    let found = lines("litellm", LITELLM);
    assert_eq!(
        gist(&found[0]),
        json!([
            "chatcmpl-2299b6a2",
            "openai/gpt-4o",
            ["user: Hello, world!"],
            "hi"
        ])
    );
    let one = conversation(&found[0]);
    assert_eq!((one.ts, one.latency_ms), (Some(1_766_000_068_285), 1_794));
    assert_eq!(
        (one.cost_usd, one.usage.unwrap().cached_tokens),
        (Some(0.000_225), 4)
    );
    assert_eq!(one.key.as_deref(), Some("web-shop"));
    assert_eq!(one.user.as_deref(), Some("shopper-1"));
    assert_eq!(one.tags, ["prod", "User-Agent: curl"]);
    assert_eq!(one.feedback.as_ref().unwrap().rating, Rating::Accepted);
    // A row keeps JSON as text, and its messages in the request.
    let one = conversation(&found[1]);
    assert_eq!(
        (one.model.as_str(), one.answered_by.as_deref()),
        ("claude", Some("anthropic/claude-haiku-4-5"))
    );
    assert_eq!(
        one.messages,
        [json!({"role": "user", "content": "When is high tide?"})]
    );
    assert_eq!(one.tool_calls[0]["function"]["name"], "tide");
    assert_eq!(
        (one.finish_reason.as_deref(), one.tools.len()),
        (Some("tool_calls"), 1)
    );
    assert_eq!((one.ts, one.latency_ms), (Some(1_766_000_068_284), 1_000));
    assert_eq!(one.tags, ["staging"]);
    assert!(
        found[2]
            .as_ref()
            .unwrap_err()
            .starts_with("no messages at /messages, ")
    );
    assert_eq!(found[3..], [Ok(Mapped::Passed), Ok(Mapped::Passed)]);
}

#[test]
fn calls_in_the_words_of_other_apis() {
    let content = json!([{"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "t1", "name": "tide", "input": {"day": 1}}]);
    let line = json!({"id": "msg_1", "call_type": "anthropic_messages", "messages": "High tide?",
        "response": {"role": "assistant", "content": content, "stop_reason": "tool_use"}});
    let found = shipped("litellm").line(line.to_string().as_bytes());
    let one = conversation(&found);
    let function = json!({"name": "tide", "arguments": "{\"day\":1}"});
    assert_eq!(one.answer, "Let me see.");
    assert_eq!(
        one.tool_calls,
        [json!({"id": "t1", "type": "function", "function": function})]
    );
    // Calls of before there were tools, and one that was written as words.
    let call = json!({"name": "tide", "arguments": "{}"});
    let line = json!({"messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "function_call": call}, {"role": "function", "name": "tide", "content": "9"}],
        "completion": "At nine."});
    let one = shipped("openai").line(line.to_string().as_bytes());
    let one = conversation(&one);
    assert_eq!(one.messages[1]["tool_calls"][0]["function"], call);
    assert_eq!(one.messages[2]["tool_call_id"], "call_0");
    let line = json!({"conversations": [{"from": "human", "value": "q"},
        {"from": "function_call", "value": "I would call tide"}]});
    let one = shipped("sharegpt").line(line.to_string().as_bytes());
    assert_eq!(conversation(&one).answer, "I would call tide");
}

#[test]
fn langfuse_observations_and_traces() {
    let found = lines("langfuse", LANGFUSE);
    assert_eq!(
        gist(&found[0]),
        json!([
            "time-11-28-54_chatcmpl-521e",
            "gpt-3.5-turbo",
            ["user: Hello!"],
            "Hello! How can I assist you today?"
        ])
    );
    let one = conversation(&found[0]);
    assert_eq!((one.ts, one.latency_ms), (Some(1_766_000_068_284), 1_500));
    assert_eq!((one.cost_usd, one.tags.len()), (Some(0.000_055), 1));
    assert_eq!(one.scores.len(), 2);
    // Of several values of one score the last counts.
    assert_eq!(one.feedback.as_ref().unwrap().rating, Rating::Accepted);
    // To blob storage: other names, and JSON in texts.
    assert_eq!(
        gist(&found[1]),
        json!([
            "obs-2",
            "anthropic/claude-sonnet-4-5",
            ["system: Be brief.", "user: Open?"],
            "Until five."
        ])
    );
    let one = conversation(&found[1]);
    assert_eq!((one.ts, one.latency_ms), (Some(1_766_000_068_284), 1_000));
    assert_eq!(
        (one.usage.unwrap().cached_tokens, one.user.as_deref()),
        (2, Some("bob"))
    );
    assert_eq!(one.feedback, None);
    // A trace of the API.
    let one = conversation(&found[2]);
    assert_eq!(one.messages[0]["content"], "Which boats are blue?");
    let feedback = one.feedback.as_ref().unwrap();
    assert_eq!(
        (feedback.rating, feedback.score),
        (Rating::PartiallyAccepted, Some(0.5))
    );
    assert_eq!(feedback.comment.as_deref(), Some("misses the raft"));
    // JSON that a model wrote stays what it wrote; a score that nobody judges by is told.
    assert_eq!(conversation(&found[3]).answer, "{\"fr\": \"bateau\"}");
    assert!(matches!(
        found[3],
        Ok(Mapped::Conversation { unrated: true, .. })
    ));
    assert!(matches!(
        found[0],
        Ok(Mapped::Conversation { unrated: false, .. })
    ));
    assert_eq!(found[4], Ok(Mapped::Passed));
    assert!(
        found[5]
            .as_ref()
            .unwrap_err()
            .starts_with("no messages at /input/messages")
    );
    let off = found[6].as_ref().unwrap_err();
    assert!(
        off.starts_with("the score \"rating\" is 4, not from 0 to 1"),
        "{off}"
    );
}

#[test]
fn sharegpt_in_all_its_forms() {
    let items: Vec<Value> = serde_json::from_str(SHAREGPT).unwrap();
    let mapping = shipped("sharegpt");
    let found: Vec<_> = items
        .iter()
        .map(|item| mapping.line(item.to_string().as_bytes()))
        .collect();
    // What follows the last answer has none.
    assert_eq!(
        gist(&found[0]),
        json!([
            "QWJhYvA_0",
            null,
            [
                "user: Summarize the main ideas of the book.",
                "assistant: There are three ideas.",
                "user: Which one matters most?"
            ],
            "The first, \"ask for more\" [sic]."
        ])
    );
    let one = conversation(&found[1]);
    let call = json!({"id": "call_0", "type": "function",
        "function": {"name": "tide", "arguments": "{\"day\":\"today\"}"}});
    assert_eq!(
        one.messages,
        [
            json!({"role": "system", "content": "You look things up."}),
            json!({"role": "user", "content": "High tide today?"}),
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "content": "{\"at\": \"14:05\"}", "tool_call_id": "call_0"}),
        ]
    );
    assert_eq!(
        (one.answer.as_str(), one.tools.len()),
        ("At five past two.", 1)
    );
    assert_eq!(
        gist(&found[2]),
        json!(["dpo-1", null, ["user: Name a boat."], "Argo."])
    );
    assert_eq!(
        gist(&found[3]),
        json!(["msgs", null, ["user: Hi"], "Hello."])
    );
    assert!(
        found[4]
            .as_ref()
            .unwrap_err()
            .contains("no message of the assistant")
    );
    let odd = found[5].as_ref().unwrap_err();
    assert_eq!(
        odd,
        "/conversations: message 0 has the role \"wizard\": add it to [roles] of the map"
    );
}

#[test]
fn what_is_no_conversation_is_told_with_its_place() {
    let mapping = shipped("openai");
    for (line, expected) in [
        (&b"{\"a\": "[..], "not JSON: EOF"),
        (b"[1]", "a list, not a JSON object"),
        (b"\"x\"", "a text, not a JSON object"),
        (b"{\"id\": \"\xff\"}", "not UTF-8: bad byte at 9"),
        (b"{}", "no messages at "),
        (
            b"{\"messages\": 7}",
            "/messages: a number is neither a list of messages nor a text",
        ),
        (
            b"{\"messages\": [7]}",
            "/messages: message 0 is a number, not an object",
        ),
        (
            b"{\"messages\": [{\"content\": \"x\"}]}",
            "/messages: message 0 has no role",
        ),
        (
            b"{\"messages\": [{\"role\": \"user\", \"content\": {\"a\": 1}}]}",
            "/messages: message 0 has an object as its content",
        ),
        (
            b"{\"messages\": [{\"role\": \"user\"}]}",
            "/messages: message 0 has no content",
        ),
        (
            b"{\"messages\": \"q\", \"completion\": 7}",
            "/completion: a number is neither a text nor a message",
        ),
        (
            b"{\"messages\": \"q\", \"completion\": \" \"}",
            "/completion: the answer is empty",
        ),
        (
            b"{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}",
            "/messages: nothing stands before the answer",
        ),
        (
            b"{\"messages\": \"q\", \"completion\": \"a\", \"timestamp\": \"soon\"}",
            "time at /timestamp: \"soon\" is no time",
        ),
        (
            b"{\"messages\": \"q\", \"completion\": \"a\", \"model\": {\"n\": 1}}",
            "model at /model: {\"n\":1} is an object, not a text",
        ),
        (
            b"{\"messages\": \"q\", \"completion\": \"a\", \"usage\": {\"prompt_tokens\": -1}}",
            "prompt_tokens at /usage/prompt_tokens: -1 is negative",
        ),
        (
            b"{\"messages\": \"q\", \"completion\": \"a\", \"rating\": 5}",
            "the score \"\" is 5, not from 0 to 1",
        ),
    ] {
        let reason = mapping.line(line).unwrap_err();
        let shown = String::from_utf8_lossy(line);
        assert!(reason.starts_with(expected), "{shown}: {reason}");
    }
    let deep = format!(
        "{{\"messages\": {}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(mapping.line(deep.as_bytes()).is_err());
    // A mark of the byte order, as editors of Windows write it.
    let marked = "\u{feff}{\"messages\": \"q\", \"completion\": \"a\"}";
    assert_eq!(conversation(&mapping.line(marked.as_bytes())).answer, "a");
}

#[test]
fn the_same_words_have_the_same_id_and_others_another() {
    let mapping = shipped("openai");
    let id = |question: &str| {
        let line = json!({"prompt": question, "completion": "a", "timestamp": 1});
        conversation(&mapping.line(line.to_string().as_bytes()))
            .id
            .clone()
    };
    assert_eq!(id("q"), id("q"));
    assert_ne!(id("q"), id("r"));
}

proptest! {
    #[test]
    fn hostile_lines_never_panic(
        line in ".{0,80}",
        at in 0_usize..2_000,
        byte in any::<u8>(),
    ) {
        for (name, text) in [("openai", OPENAI), ("litellm", LITELLM), ("langfuse", LANGFUSE)] {
            let mapping = shipped(name);
            let _ = mapping.line(line.as_bytes());
            for good in text.lines() {
                let mut bent = good.as_bytes().to_vec();
                let at = at % bent.len();
                bent[at] = byte;
                let _ = mapping.line(&bent);
            }
        }
    }
}
