//! Keeping the evidence of an answer within the journal's bound on a record.

use crate::services::ServiceError;
use crate::storage::evidence_log::{EvidenceLogError, NewRecord, canonical};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::{ChatEvidence, Kind};

/// Room that a request must leave for what is always told of an answer, bytes; a quarter of a small
/// bound.
const RESERVED_BYTES: usize = 1024;

/// Refuses a request whose own part fills the record, before anyone is asked for an answer that
/// could not be recorded.
///
/// Errors: the request is too large, or nested too deeply.
pub(super) fn check(evidence: &ChatEvidence, id: &str, max: usize) -> Result<(), ServiceError> {
    let room = max.saturating_sub(RESERVED_BYTES.min(max / 4));
    match record(evidence, id)?.check(room) {
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

/// Shortens what was answered until the record fits, and says so in it.
///
/// The answer is worth more to the client than to the journal, so a large one is no failure.
pub(super) fn shorten(evidence: &mut ChatEvidence, id: &str, max: usize) {
    let excess = |evidence: &ChatEvidence| match record(evidence, id).map(|one| one.check(max)) {
        Ok(Err(EvidenceLogError::TooLarge { bytes, .. })) => bytes - max,
        _ => 0,
    };
    let over = excess(evidence);
    if over == 0 {
        return;
    }
    let note = format!(
        "recorded shortened: the whole record is {} bytes, more than max_record_bytes = {max}",
        max + over
    );
    evidence.error = Some(match evidence.error.take() {
        Some(error) => format!("{error}; {note}"),
        None => note,
    });
    let steps: [fn(&mut ChatEvidence, usize); 4] = [
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
        let over = excess(evidence);
        if over == 0 {
            return;
        }
        step(evidence, over);
    }
}

fn record(evidence: &ChatEvidence, id: &str) -> Result<NewRecord, ServiceError> {
    let body = serde_json::to_value(evidence)
        .map_err(|error| ServiceError::bad_request(error.to_string()))?;
    Ok(NewRecord {
        // The most digits that a time can have.
        ts_ms: u64::MAX,
        kind: Kind::Chat,
        id: id.to_owned(),
        body,
    })
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
    use serde_json::{Value, json};

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
            latency_ms: 1,
        }
    }

    fn fits(evidence: &ChatEvidence) -> bool {
        record(evidence, "id").unwrap().check(MAX).is_ok()
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
    fn what_fits_is_left_alone() {
        let mut whole = evidence("q", "a");
        shorten(&mut whole, "id", MAX);
        assert_eq!(whole, evidence("q", "a"));
    }

    #[test]
    fn an_answer_is_cut_to_what_fits_whatever_its_signs_take() {
        for sign in ["a", "é", "\"", "\n", "\u{1}", "🚢"] {
            let mut long = evidence("q", &sign.repeat(5_000));
            shorten(&mut long, "id", MAX);
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
        shorten(&mut large, "id", MAX);
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
        shorten(&mut large, "id", MAX);
        assert!(fits(&large) && large.passages.is_empty());
    }
}
