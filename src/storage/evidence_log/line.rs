//! One record as one line of text, and back.

use std::fmt::Write as _;

use super::log::NewRecord;
use super::{GENESIS, canonical};
use crate::types::evidence::{EvidenceRecord, Kind, SCHEMA_VERSION};

/// What stands before the digits of the hash.
const HASH_MEMBER: &str = ",\"hash\":\"";
/// Hex digits of a hash.
const HASH_DIGITS: usize = 64;

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
pub(super) fn encode(prev: &str, seq: u64, record: &NewRecord) -> (String, String) {
    let (mut line, tail) = parts(prev, seq, record);
    let hash = digest(prev, &line, &tail);
    line.reserve(tail.len() + HASH_MEMBER.len() + HASH_DIGITS + 2);
    line.push_str(HASH_MEMBER);
    line.push_str(&hash);
    line.push('"');
    line.push_str(&tail);
    line.push('\n');
    (line, hash)
}

/// Counts the bytes that a record takes at most, wherever it stands; no hash is computed.
pub(super) fn max_bytes(record: &NewRecord) -> usize {
    let (line, tail) = parts(GENESIS, u64::MAX, record);
    line.len() + HASH_MEMBER.len() + HASH_DIGITS + 2 + tail.len()
}

/// What stands before the hash, and what after it.
fn parts(prev: &str, seq: u64, record: &NewRecord) -> (String, String) {
    let mut line = String::from("{\"body\":");
    canonical::write(&mut line, &record.body);
    let mut tail = String::from(",\"id\":");
    canonical::text(&mut tail, &record.id);
    // Writing to a String cannot fail.
    let _ = write!(
        tail,
        r#","kind":"{}","prev":"{prev}","schema":{SCHEMA_VERSION},"seq":{seq},"ts":{}}}"#,
        kind_name(record.kind),
        record.ts_ms
    );
    (line, tail)
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
            text.get(..at)?,
            rest.strip_prefix('"')?,
        ))
    });
    if hashed.as_ref() == Some(&record.hash) {
        Ok(record)
    } else {
        Err(LineFault::Changed(Box::new(record)))
    }
}

fn digest(prev: &str, before: &str, after: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(prev.as_bytes());
    hasher.update(before.as_bytes());
    hasher.update(after.as_bytes());
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_is_canonical_and_hashes_as_documented() {
        // The nested member and the id both look like the hash member.
        let record = NewRecord {
            ts_ms: 5,
            kind: Kind::Chat,
            id: ",\"hash\":\"x".to_owned(),
            body: json!({"z": [1.5, {"a": 1, "hash": "b"}], "hash": "0"}),
        };
        let (line, hash) = encode(GENESIS, 1, &record);
        assert_eq!(
            encode(GENESIS, u64::MAX, &record).0.len(),
            max_bytes(&record)
        );
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
        assert_eq!((back.id, back.body), (record.id, record.body));
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
            body,
        };
        let (line, _) = encode(GENESIS, 1, &record);
        assert!(decode(line.trim_end().as_bytes()).is_ok());
    }
}
