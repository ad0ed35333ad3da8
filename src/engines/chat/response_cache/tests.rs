//! The cache by itself; time is a number.

use serde_json::Value;

use super::*;
use crate::types::chat::{ChatMessage, ChatRequest, FunctionCall, Role, ToolCall};

fn cache(bytes: u64) -> ResponseCache {
    ResponseCache::new(&ResponseCacheConfig {
        bytes,
        ttl_ms: 1_000,
        ..ResponseCacheConfig::default()
    })
}

fn candidate() -> Candidate {
    Candidate {
        provider: "up".to_owned(),
        model: "m".to_owned(),
    }
}

fn key(question: &str) -> ResponseKey {
    let request = ChatRequest {
        messages: vec![ChatMessage::new(Role::User, question)],
        ..ChatRequest::default()
    };
    Asked::new(&request, None, &Value::Null, None).key(&candidate())
}

fn said(text: &str) -> ChatReply {
    ChatReply {
        text: text.to_owned(),
        ..ChatReply::default()
    }
}

fn kept(text: &str, now_ms: u64) -> Kept {
    Kept::new(&said(text), &candidate(), &[], false, now_ms).unwrap()
}

fn near(vector: [f32; 2]) -> Near {
    Near {
        key: key("all of them"),
        vector: vector.into(),
    }
}

fn text_of(found: Option<Arc<Kept>>) -> Option<String> {
    found.map(|kept| kept.reply.text.clone())
}

#[test]
fn an_answer_is_found_until_its_time_is_over() {
    let cache = cache(1 << 20);
    cache.keep(key("q"), kept("one", 5_000), None);
    assert_eq!(
        text_of(cache.exact(&key("q"), false, 5_999)).unwrap(),
        "one"
    );
    assert_eq!(text_of(cache.exact(&key("other"), false, 5_000)), None);
    assert_eq!(text_of(cache.exact(&key("q"), false, 6_000)), None);
    assert_eq!(cache.stats().bytes, 0, "what is over is let go");
    // A newer one takes its place, and is no eviction.
    cache.keep(key("q"), kept("two", 7_000), None);
    cache.keep(key("q"), kept("three", 7_000), None);
    assert_eq!(
        text_of(cache.exact(&key("q"), false, 7_001)).unwrap(),
        "three"
    );
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.evictions), (2, 0));
}

#[test]
fn what_may_mislead_is_not_kept() {
    let call = ToolCall {
        id: "c".to_owned(),
        kind: "function".to_owned(),
        function: FunctionCall {
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        },
        extra: serde_json::Map::new(),
    };
    let ended = |finish| ChatReply {
        finish,
        ..said("text")
    };
    let refused = ChatReply {
        refusal: Some("no".to_owned()),
        ..said("")
    };
    let calls = ChatReply {
        tool_calls: vec![call],
        ..ended(FinishReason::ToolCalls)
    };
    let may = |reply: &ChatReply, tool_calls| {
        Kept::new(reply, &candidate(), &[], tool_calls, 0).is_some()
    };
    for (reply, plain, with_calls) in [
        (&said("text"), true, true),
        (&said(" "), false, false),
        (&ended(FinishReason::Length), false, false),
        (&ended(FinishReason::ContentFilter), false, false),
        (&refused, false, false),
        (&calls, false, true),
    ] {
        assert_eq!(may(reply, false), plain, "{reply:?}");
        assert_eq!(may(reply, true), with_calls, "{reply:?}");
    }
    // Calls that one client wants kept are not given to another that does not.
    let cache = cache(1 << 20);
    let calls = Kept::new(&calls, &candidate(), &[], true, 0).unwrap();
    cache.keep(key("q"), calls, None);
    assert!(cache.exact(&key("q"), false, 0).is_none());
    assert!(cache.exact(&key("q"), true, 0).is_some());
}

#[test]
fn a_similar_question_has_the_answer_of_the_most_similar() {
    let cache = cache(1 << 20);
    cache.keep(key("a"), kept("a", 0), Some(near([1.0, 0.0])));
    cache.keep(key("b"), kept("b", 500), Some(near([0.6, 0.8])));
    let find = |vector, now_ms| text_of(cache.nearest(&near(vector), 0.9, false, now_ms));
    assert_eq!(find([0.98, 0.199], 10).unwrap(), "a");
    assert_eq!(find([0.7, 0.714], 10).unwrap(), "b");
    assert_eq!(find([0.0, 1.0], 10), None, "0.8 is too far");
    assert_eq!(find([0.98, 0.199], 1_000), None, "its time is over");
    let foreign = Near {
        key: key("others"),
        ..near([1.0, 0.0])
    };
    assert_eq!(text_of(cache.nearest(&foreign, 0.9, false, 10)), None);
    assert_eq!(cache.stats().semantic_hits, 2);
    // The nearest one is gone, and the next near enough answers.
    cache.keep(key("c"), kept("c", 2_000), Some(near([1.0, 0.0])));
    assert_eq!(find([1.0, 0.0], 2_000).unwrap(), "c");
}

#[test]
fn it_stays_within_its_bytes_and_counts_what_it_drops() {
    let cache = cache(64 << 10);
    let text = "x".repeat(1_000);
    for number in 0..500 {
        let vector = near([number as f32, 1.0]);
        cache.keep(key(&number.to_string()), kept(&text, 0), Some(vector));
        assert!(cache.stats().bytes <= 64 << 10);
    }
    let stats = cache.stats();
    assert!(stats.evictions >= 400, "{stats:?}");
    cache.keep(key("huge"), kept(&"x".repeat(1 << 20), 0), None);
    assert!(cache.exact(&key("huge"), false, 0).is_none());
    let off = self::cache(0);
    assert!(!off.is_on());
    off.keep(key("q"), kept("q", 0), None);
    assert!(off.exact(&key("q"), false, 0).is_none());
}

#[test]
fn passages_are_put_into_the_order_of_the_numbers() {
    let passage = |id: &str| Passage {
        collection: "docs".to_owned(),
        id: id.to_owned(),
        score: 0.0,
        text: String::new(),
        title: None,
        role: None,
    };
    let own = [passage("b"), passage("a"), passage("c")];
    let kept = Kept::new(&said("[1]"), &candidate(), &own, false, 0).unwrap();
    let mut found = [passage("a"), passage("c"), passage("b")];
    kept.arrange(&mut found);
    assert_eq!(found, own);
}
