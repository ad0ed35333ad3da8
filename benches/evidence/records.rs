//! Records of a journal as production writes them.

use std::path::Path;

use boathouse::storage::evidence_log::{Body, NewRecord, Salt};
use boathouse::types::evidence::{ChatEvidence, FeedbackEvidence, Kind, Rating, TokenUsage};
use serde_json::json;

/// 2026-11-01T00:00:00Z.
const NOVEMBER: u64 = 1_793_491_200_000;

/// Sentences of the demo's corpus.
pub(crate) fn sentences() -> Vec<String> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/trecqa/corpus.jsonl");
    let corpus = std::fs::read_to_string(corpus).unwrap();
    let lines = corpus.lines();
    lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["text"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// Two answers, then what a person said of the first.
pub(crate) fn record(at: u64, sentences: &[String]) -> NewRecord {
    let sentence = |n: u64| {
        sentences[(n.wrapping_mul(2_654_435_761) % sentences.len() as u64) as usize].clone()
    };
    let id = |n: u64| format!("chatcmpl-{n:016x}");
    let (kind, id, body) = if at % 3 == 2 {
        let said = FeedbackEvidence {
            target: id(at - 2),
            rating: [Rating::Accepted, Rating::Rejected][usize::from(at.is_multiple_of(5))],
            score: None,
            comment: None,
            edited_answer: None,
            user: None,
            review: false,
            imported: None,
            key: Some("anonymous".to_owned()),
        };
        (
            Kind::Feedback,
            format!("f-{at}"),
            serde_json::to_value(said),
        )
    } else {
        let answer: Vec<String> = (0..4).map(|n| sentence(at + n)).collect();
        let chat = ChatEvidence {
            request_id: format!("req-{at:016x}"),
            model: "main".to_owned(),
            answered_by: Some("up/small".to_owned()),
            messages: vec![
                json!({"role": "system", "content": sentence(1)}),
                json!({"role": "user", "content": format!("{} {at}?", sentence(at))}),
            ],
            answer: answer.join(" "),
            finish_reason: Some("stop".to_owned()),
            usage: Some(TokenUsage {
                prompt_tokens: 90,
                completion_tokens: 120,
                ..TokenUsage::default()
            }),
            latency_ms: at % 900,
            ..ChatEvidence::default()
        };
        (Kind::Chat, id(at), serde_json::to_value(chat))
    };
    NewRecord {
        ts_ms: NOVEMBER + at * 40,
        kind,
        id,
        body: Body::of(&body.unwrap(), Salt::new([7; 16])).unwrap(),
    }
}
