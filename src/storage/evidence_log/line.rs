//! One record as one line of text, and back.

use std::io::Write as _;

use super::log::NewRecord;
use super::{GENESIS, canonical};
use crate::types::evidence::{EvidenceRecord, Kind, SCHEMA_VERSION};

/// What stands before the body.
const BODY_MEMBER: &[u8] = b"{\"body\":";
/// What stands before the digits of the hash.
const HASH_MEMBER: &str = ",\"hash\":\"";
/// Hex digits of a hash.
const HASH_DIGITS: usize = 64;
/// Room for a line besides its body and id, bytes.
const FRAME_BYTES: usize = 256;

/// A line that is not a record as it was written.
#[derive(Debug)]
pub(super) enum LineFault {
    /// Not a record at all.
    Unreadable(String),
    /// A record whose hash is not that of its text.
    Changed(Box<EvidenceRecord>),
}

impl std::fmt::Display for LineFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(reason) => write!(f, "not a record: {reason}"),
            Self::Changed(record) => {
                write!(
                    f,
                    "record seq {} was changed: its hash does not match",
                    record.seq
                )
            }
        }
    }
}

/// The word for a kind in a line.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Chat => "chat",
        Kind::Search => "search",
        Kind::Validation => "validation",
        Kind::Feedback => "feedback",
    }
}

/// Writes a record as a line with its newline; returns it with its hash.
pub(super) fn encode(prev: &str, seq: u64, record: &NewRecord) -> (Vec<u8>, String) {
    let body = record.body.bytes();
    let mut line = Vec::with_capacity(FRAME_BYTES + record.id.len() + body.len());
    line.extend_from_slice(BODY_MEMBER);
    line.extend_from_slice(body);
    let tail = tail(prev, seq, record.ts_ms, record);
    let hash = digest(prev, &line, &tail);
    for part in [HASH_MEMBER.as_bytes(), hash.as_bytes(), b"\"", &tail, b"\n"] {
        line.extend_from_slice(part);
    }
    (line, hash)
}

/// Counts the bytes that a record takes at most, wherever it stands and whenever it is written.
pub(super) fn max_bytes(record: &NewRecord) -> usize {
    let tail = tail(GENESIS, u64::MAX, u64::MAX, record);
    let head = BODY_MEMBER.len() + record.body.bytes().len();
    head + HASH_MEMBER.len() + HASH_DIGITS + 1 + tail.len() + 1
}

/// What stands after the hash.
fn tail(prev: &str, seq: u64, ts_ms: u64, record: &NewRecord) -> Vec<u8> {
    let mut tail = Vec::with_capacity(FRAME_BYTES + record.id.len());
    tail.extend_from_slice(b",\"id\":");
    canonical::text(&mut tail, &record.id);
    // Writing to memory cannot fail.
    let _ = write!(
        tail,
        r#","kind":"{}","prev":"{prev}","schema":{SCHEMA_VERSION},"seq":{seq},"ts":{}}}"#,
        kind_name(record.kind),
        ts_ms
    );
    tail
}

/// Reads a line without its newline, and checks its own hash.
pub(super) fn decode(line: &[u8]) -> Result<EvidenceRecord, LineFault> {
    let text = std::str::from_utf8(line)
        .map_err(|error| LineFault::Unreadable(format!("not UTF-8: {error}")))?;
    let record: EvidenceRecord =
        serde_json::from_str(text).map_err(|error| LineFault::Unreadable(error.to_string()))?;
    let hashed = text.rfind(HASH_MEMBER).and_then(|at| {
        let rest = text.get(at + HASH_MEMBER.len() + HASH_DIGITS..)?;
        Some(digest(
            &record.prev,
            text.get(..at)?.as_bytes(),
            rest.strip_prefix('"')?.as_bytes(),
        ))
    });
    if hashed.as_ref() == Some(&record.hash) {
        Ok(record)
    } else {
        Err(LineFault::Changed(Box::new(record)))
    }
}

fn digest(prev: &str, before: &[u8], after: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(prev.as_bytes());
    hasher.update(before);
    hasher.update(after);
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Body, canonical};
    use super::*;

    #[test]
    fn a_line_is_canonical_and_hashes_as_documented() {
        // The nested member and the id both look like the hash member.
        let record = NewRecord {
            ts_ms: 5,
            kind: Kind::Chat,
            id: ",\"hash\":\"x".to_owned(),
            body: Body::of(&json!({"z": [1.5, {"a": 1, "hash": "b"}], "hash": "0"})).unwrap(),
        };
        let (line, hash) = encode(GENESIS, 1, &record);
        let latest = NewRecord {
            ts_ms: u64::MAX,
            ..record.clone()
        };
        assert_eq!(
            encode(GENESIS, u64::MAX, &latest).0.len(),
            max_bytes(&record)
        );
        let line = String::from_utf8(line).unwrap();
        let text = line.strip_suffix('\n').unwrap();
        let mut value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical(&value), text);
        value.as_object_mut().unwrap().shift_remove("hash");
        let mut hashed = GENESIS.as_bytes().to_vec();
        hashed.extend(canonical(&value).bytes());
        assert_eq!(blake3::hash(&hashed).to_hex().to_string(), hash);

        let back = decode(text.as_bytes()).unwrap();
        assert_eq!(
            (back.seq, back.ts, back.kind, back.hash),
            (1, 5, Kind::Chat, hash)
        );
        assert_eq!(
            (back.id, Body::of(&back.body).unwrap()),
            (record.id, record.body)
        );
    }

    #[test]
    fn numbers_survive_the_way_back_whatever_the_parser_does_to_them() {
        // Parsed back without exact rounding, some of these would print with other digits.
        let body = json!([
            0.1_f32,
            0.899_999_976_158_142_1,
            5e-324,
            1.797_693_134_862_315_7e308
        ]);
        let record = NewRecord {
            ts_ms: 0,
            kind: Kind::Search,
            id: String::new(),
            body: Body::of(&body).unwrap(),
        };
        let (line, _) = encode(GENESIS, 1, &record);
        assert!(decode(line.trim_ascii_end()).is_ok());
    }
}
