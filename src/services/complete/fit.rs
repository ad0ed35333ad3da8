//! Keeping the evidence of an answer within the journal's bound on a record.

use serde_json::Value;

use crate::services::ServiceError;
use crate::services::evidence::Entry;
use crate::storage::evidence_log::{EvidenceLogError, canonical};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::ChatEvidence;

/// Room that a request must leave for what is always told of an answer, bytes; a quarter of a small
/// bound.
const RESERVED_BYTES: usize = 1024;

/// Refuses a request whose own part fills the record, before anyone is asked for an answer that
/// could not be recorded.
///
/// Errors: the request is too large, or nested too deeply.
pub(super) fn check(evidence: &ChatEvidence, id: &str, max: usize) -> Result<(), ServiceError> {
    let room = max.saturating_sub(RESERVED_BYTES.min(max / 4));
    // To write the record only to see its size costs more than all else here, and most are small.
    if at_most(evidence, id).is_some_and(|bytes| bytes <= room) {
        return Ok(());
    }
    let entry = Entry::of_chat(id, evidence).map_err(|error| error.param("messages"))?;
    match entry.check(room) {
        Ok(()) => Ok(()),
        Err(EvidenceLogError::TooLarge { bytes, .. }) => Err(ServiceError::new(
            ErrorKind::TooLarge,
            format!(
                "messages and tools make an evidence record of {bytes} bytes; with an answer it \
                 must stay below evidence.max_record_bytes = {max}"
            ),
        )
        .code("record_too_large")
        .param("messages")),
        Err(error) => Err(ServiceError::from(error).param("messages")),
    }
}

/// Writes the record; shortens what was answered until it fits, and says so in it.
///
/// The answer is worth more to the client than to the journal, so a large one is no failure.
pub(super) fn shorten(
    evidence: &mut ChatEvidence,
    id: &str,
    max: usize,
) -> Result<Entry, ServiceError> {
    let excess = |entry: &Entry| match entry.check(max) {
        Err(EvidenceLogError::TooLarge { bytes, .. }) => bytes - max,
        _ => 0,
    };
    let mut entry = Entry::of_chat(id, evidence)?;
    let mut over = excess(&entry);
    if over == 0 {
        return Ok(entry);
    }
    let note = format!(
        "recorded shortened: the whole record is {} bytes, more than max_record_bytes = {max}",
        max + over
    );
    evidence.error = Some(match evidence.error.take() {
        Some(error) => format!("{error}; {note}"),
        None => note,
    });
    let steps: [fn(&mut ChatEvidence, usize); 5] = [
        // The note itself takes room.
        |_, _| {},
        |evidence, over| {
            // Tool calls are no use in halves: an answer that cannot make room for them stays.
            if written_bytes(&evidence.answer) >= over {
                cut(&mut evidence.answer, over);
            } else {
                evidence.tool_calls.clear();
            }
        },
        |evidence, over| cut(&mut evidence.answer, over),
        |evidence, _| evidence.passages.clear(),
        |evidence, _| evidence.attempts.clear(),
    ];
    for step in steps {
        step(evidence, over);
        entry = Entry::of_chat(id, evidence)?;
        over = excess(&entry);
        if over == 0 {
            break;
        }
    }
    Ok(entry)
}

/// Bytes of a record before its answer that it does not exceed, at no more cost than a look at its texts; `None` for one
/// that may be nested too deeply.
fn at_most(evidence: &ChatEvidence, id: &str) -> Option<usize> {
    let texts = [&evidence.request_id, &evidence.model, &evidence.answer];
    let more = [&evidence.user, &evidence.key, &evidence.error];
    let texts = texts.into_iter().chain(more.into_iter().flatten());
    let texts: usize = texts.map(|text| text.len()).sum();
    let values = evidence.messages.iter().chain(&evidence.tools);
    let values: Option<usize> = values.map(|value| value_at_most(value, DEPTH)).sum();
    Some(RECORD_BYTES + ESCAPED * (texts + id.len()) + values?)
}

/// What a byte of a text takes at most in JSON.
const ESCAPED: usize = 6;
/// What a number, a word, or the quotes and marks around a text take at most.
const TOKEN_BYTES: usize = 32;
/// What stands in a record besides its texts.
const RECORD_BYTES: usize = 2048;
/// Levels of a message that are surely not too deep.
const DEPTH: usize = 32;

fn value_at_most(value: &Value, left: usize) -> Option<usize> {
    let left = left.checked_sub(1)?;
    let inner: Option<usize> = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(0),
        Value::String(text) => Some(ESCAPED * text.len()),
        Value::Array(items) => items.iter().map(|item| value_at_most(item, left)).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| {
                let name = ESCAPED * name.len() + TOKEN_BYTES;
                Some(name + value_at_most(member, left)?)
            })
            .sum(),
    };
    Some(TOKEN_BYTES + inner?)
}

/// Bytes of a text as JSON, without its quotes.
fn written_bytes(text: &str) -> usize {
    canonical(&text.into()).len() - 2
}

/// Cuts the end off a text, so that it takes at least `bytes` fewer as JSON.
fn cut(text: &mut String, bytes: usize) {
    let mut room = written_bytes(text).saturating_sub(bytes);
    let mut buffer = [0; 4];
    let mut end = 0;
    for sign in text.chars() {
        let taken = written_bytes(sign.encode_utf8(&mut buffer));
        if taken > room {
            break;
        }
        room -= taken;
        end += sign.len_utf8();
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::types::evidence::PassageEvidence;

    const MAX: usize = 4096;

    fn evidence(question: &str, answer: &str) -> ChatEvidence {
        ChatEvidence {
            request_id: "r".to_owned(),
            model: "m".to_owned(),
            answered_by: Some("up/m".to_owned()),
            messages: vec![json!({"role": "user", "content": question})],
            answer: answer.to_owned(),
            tools: Vec::new(),
            tool_calls: Vec::new(),
            finish_reason: Some("stop".to_owned()),
            passages: Vec::new(),
            usage: None,
            cost_usd: None,
            attempts: Vec::new(),
            stream: false,
            error: None,
            user: None,
            key: None,
            cache: None,
            imported: None,
            replay: None,
            repairs: None,
            latency_ms: 1,
        }
    }

    fn fits(evidence: &ChatEvidence) -> bool {
        Entry::of_chat("id", evidence).unwrap().check(MAX).is_ok()
    }

    #[test]
    fn a_request_must_leave_room_for_an_answer() {
        check(&evidence(&"q".repeat(2_000), ""), "id", MAX).unwrap();
        let error = check(&evidence(&"q".repeat(4_000), ""), "id", MAX).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
        assert!(error.message.contains("max_record_bytes = 4096"), "{error}");
        let mut deep = Value::Null;
        for _ in 0..200 {
            deep = json!([deep]);
        }
        let mut nested = evidence("q", "");
        nested.tools = vec![deep];
        let error = check(&nested, "id", MAX).unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadRequest);
    }

    #[test]
    fn no_record_is_larger_than_it_may_be() {
        for text in ["", "a", "é\"\n\u{1}🚢", &"\u{1}".repeat(500)] {
            let mut whole = evidence(text, text);
            whole.tools = vec![json!({text: [1.5e300, null, {"a": [text, text]}], "b": true})];
            whole.user = Some(text.to_owned());
            let bytes = at_most(&whole, text).unwrap();
            assert!(
                Entry::of_chat(text, &whole).unwrap().check(bytes).is_ok(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let mut whole = evidence("q", "a");
        shorten(&mut whole, "id", MAX).unwrap();
        assert_eq!(whole, evidence("q", "a"));
    }

    #[test]
    fn an_answer_is_cut_to_what_fits_whatever_its_signs_take() {
        for sign in ["a", "é", "\"", "\n", "\u{1}", "🚢"] {
            let mut long = evidence("q", &sign.repeat(5_000));
            shorten(&mut long, "id", MAX).unwrap();
            assert!(fits(&long) && long.answer.len() > 400, "{sign:?}");
            let note = long.error.unwrap();
            assert!(note.starts_with("recorded shortened"), "{note}");
        }
    }

    #[test]
    fn what_else_is_large_is_left_out_and_the_first_failure_stays_told() {
        let mut large = evidence("q", "short");
        large.error = Some("broke off".to_owned());
        large.tool_calls = vec![json!({"arguments": "x".repeat(5_000)})];
        shorten(&mut large, "id", MAX).unwrap();
        assert!(fits(&large) && large.tool_calls.is_empty());
        assert_eq!(large.answer, "short");
        assert!(large.error.unwrap().starts_with("broke off; recorded"));
        let mut large = evidence(&"q".repeat(2_500), &"a".repeat(2_000));
        large.passages = vec![PassageEvidence {
            collection: "docs".to_owned(),
            id: "p".to_owned(),
            score: 1.0,
            text: "t".repeat(5_000),
            cited: true,
        }];
        shorten(&mut large, "id", MAX).unwrap();
        assert!(fits(&large) && large.passages.is_empty());
    }
}
