//! One record as one line of text, and back.

use std::io::Write as _;

use super::log::NewRecord;
use super::{GENESIS, body, canonical, line_v1};
use crate::types::evidence::{Erased, EvidenceRecord, Kind, SCHEMA_VERSION};

/// What stands before the body.
pub(super) const BODY_MEMBER: &str = "{\"body\":";
/// What stands for a body that was erased.
const NO_BODY: &str = "null";
/// Hex digits of a salt.
const SALT_DIGITS: usize = 32;
/// Room for a line besides its body and id, bytes.
const FRAME_BYTES: usize = 512;

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

/// All of a record but its body: what an erasure leaves.
pub(super) struct Frame<'a> {
    pub(super) content: Option<&'a str>,
    pub(super) salt: Option<&'a str>,
    pub(super) erased: Option<&'a Erased>,
    pub(super) id: &'a str,
    pub(super) kind: Kind,
    pub(super) prev: &'a str,
    pub(super) schema: u32,
    pub(super) seq: u64,
    pub(super) ts: u64,
}

impl<'a> Frame<'a> {
    fn of_new(prev: &'a str, seq: u64, ts: u64, record: &'a NewRecord) -> Self {
        Self {
            content: Some(record.body.content()),
            salt: Some(record.body.salt()),
            erased: None,
            id: &record.id,
            kind: record.kind,
            prev,
            schema: SCHEMA_VERSION,
            seq,
            ts,
        }
    }

    pub(super) fn of(record: &'a EvidenceRecord) -> Self {
        Self {
            content: record.content.as_deref(),
            salt: record.salt.as_deref(),
            erased: record.erased.as_ref(),
            id: &record.id,
            kind: record.kind,
            prev: &record.prev,
            schema: record.schema,
            seq: record.seq,
            ts: record.ts,
        }
    }

    /// What the hash covers besides `prev`: no body, no salt, and nothing of an erasure.
    fn hashed(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(FRAME_BYTES + self.id.len());
        text.push(b'{');
        if let Some(content) = self.content {
            // Writing to memory cannot fail.
            let _ = write!(text, r#""content":"{content}","#);
        }
        self.names(&mut text);
        self.numbers(&mut text);
        text
    }

    pub(super) fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.prev.as_bytes());
        hasher.update(&self.hashed());
        hasher.finalize().to_hex().to_string()
    }

    /// Appends what stands after the body in a line.
    pub(super) fn rest(&self, line: &mut Vec<u8>, hash: &str) {
        // Writing to memory cannot fail.
        if let Some(content) = self.content {
            let _ = write!(line, r#","content":"{content}""#);
        }
        if let Some(erased) = self.erased {
            let (at, by) = (erased.at, erased.by);
            let _ = write!(line, r#","erased":{{"at":{at},"by":{by},"reason":"#);
            canonical::text(line, &erased.reason);
            line.push(b'}');
        }
        let _ = write!(line, r#","hash":"{hash}","#);
        self.names(line);
        if let Some(salt) = self.salt {
            let _ = write!(line, r#","salt":"{salt}""#);
        }
        self.numbers(line);
    }

    fn names(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(b"\"id\":");
        canonical::text(text, self.id);
        let _ = write!(
            text,
            r#","kind":"{}","prev":"{}""#,
            self.kind.name(),
            self.prev
        );
    }

    fn numbers(&self, text: &mut Vec<u8>) {
        let (schema, seq, ts) = (self.schema, self.seq, self.ts);
        let _ = write!(text, r#","schema":{schema},"seq":{seq},"ts":{ts}}}"#);
    }
}

/// Writes a record as a line with its newline; returns it with its hash.
pub(super) fn encode(prev: &str, seq: u64, record: &NewRecord) -> (Vec<u8>, String) {
    let frame = Frame::of_new(prev, seq, record.ts_ms, record);
    let hash = frame.hash();
    let body = record.body.bytes();
    let mut line = Vec::with_capacity(FRAME_BYTES + record.id.len() + body.len());
    line.extend_from_slice(BODY_MEMBER.as_bytes());
    line.extend_from_slice(body);
    frame.rest(&mut line, &hash);
    line.push(b'\n');
    (line, hash)
}

/// Counts the bytes that a record takes at most, wherever it stands and whenever it is written.
pub(super) fn max_bytes(record: &NewRecord) -> usize {
    let mut rest = Vec::with_capacity(FRAME_BYTES + record.id.len());
    Frame::of_new(GENESIS, u64::MAX, u64::MAX, record).rest(&mut rest, GENESIS);
    BODY_MEMBER.len() + record.body.bytes().len() + rest.len() + 1
}

/// Writes what is left of a record as a line with its newline.
pub(super) fn tombstone(record: &EvidenceRecord, erased: &Erased) -> Vec<u8> {
    let frame = Frame {
        salt: None,
        erased: Some(erased),
        ..Frame::of(record)
    };
    let mut line = [BODY_MEMBER, NO_BODY].concat().into_bytes();
    frame.rest(&mut line, &record.hash);
    line.push(b'\n');
    line
}

/// What a line says its number is, unchecked, at the cost of a look at its end.
pub(super) fn stated_seq(line: &[u8]) -> Option<u64> {
    const MEMBER: &[u8] = b",\"seq\":";
    // Two numbers and the names around them.
    let end = line.get(line.len().saturating_sub(64)..)?;
    let at = end.windows(MEMBER.len()).rposition(|part| part == MEMBER)?;
    let digits = end
        .get(at + MEMBER.len()..)?
        .split(|byte| *byte == b',')
        .next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads a line without its newline, and checks its own hash. Of an erased record of version 1 there is no hash to check:
/// its [`line_v1::digest`] is compared with what the erasure noted.
pub(super) fn decode(line: &[u8]) -> Result<EvidenceRecord, LineFault> {
    let text = std::str::from_utf8(line)
        .map_err(|error| LineFault::Unreadable(format!("not UTF-8: {error}")))?;
    let record: EvidenceRecord =
        serde_json::from_str(text).map_err(|error| LineFault::Unreadable(error.to_string()))?;
    if record.schema > SCHEMA_VERSION {
        let reason = format!("schema {} is newer than this version reads", record.schema);
        return Err(LineFault::Unreadable(reason));
    }
    match is_as_written(text, &record) {
        true => Ok(record),
        false => Err(LineFault::Changed(Box::new(record))),
    }
}

fn is_as_written(text: &str, record: &EvidenceRecord) -> bool {
    let old = record.schema < SCHEMA_VERSION;
    if old && record.erased.is_none() {
        return line_v1::is_as_written(text, record);
    }
    // Every byte outside the body follows from the record, so that nothing can hide there.
    let frame = Frame::of(record);
    let mut rest = Vec::with_capacity(FRAME_BYTES + record.id.len());
    frame.rest(&mut rest, &record.hash);
    let body = text
        .strip_prefix(BODY_MEMBER)
        .and_then(|text| text.as_bytes().strip_suffix(rest.as_slice()));
    let Some(body) = body else { return false };
    let content = match (&record.erased, &record.salt, &record.content) {
        (Some(_), None, content) => body == NO_BODY.as_bytes() && content.is_none() == old,
        (None, Some(salt), Some(content)) => {
            salt.len() == SALT_DIGITS && body::content(salt, body) == *content
        }
        _ => false,
    };
    content && (old || frame.hash() == record.hash)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Body, Salt, canonical};
    use super::*;

    const SALT: Salt = Salt::new([0xab; 16]);

    /// The nested member and the id both look like members of the frame.
    fn record() -> NewRecord {
        let body = json!({"z": [1.5, {"a": 1, "hash": "b", "content": "c"}], "hash": "0"});
        NewRecord {
            ts_ms: 5,
            kind: Kind::Chat,
            id: ",\"hash\":\"x".to_owned(),
            body: Body::of(&body, SALT).unwrap(),
        }
    }

    fn without(text: &str, members: &[&str]) -> String {
        let mut value: Value = serde_json::from_str(text).unwrap();
        for member in members {
            value.as_object_mut().unwrap().shift_remove(*member);
        }
        canonical(&value)
    }

    fn blake3_of(parts: [&str; 2]) -> String {
        blake3::hash(parts.concat().as_bytes()).to_hex().to_string()
    }

    #[test]
    fn a_line_is_canonical_and_hashes_as_documented() {
        let record = record();
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
        assert_eq!(without(text, &[]), text, "canonical");
        assert_eq!(stated_seq(text.as_bytes()), Some(1));
        let chained = without(text, &["hash", "body", "salt"]);
        assert_eq!(blake3_of([GENESIS, &chained]), hash);
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value["salt"], "ab".repeat(16));
        let content = blake3_of([&"ab".repeat(16), &canonical(&value["body"])]);
        assert_eq!(value["content"], content);

        let back = decode(text.as_bytes()).unwrap();
        assert_eq!(
            (back.seq, back.ts, back.kind, back.hash),
            (1, 5, Kind::Chat, hash)
        );
        assert_eq!(
            (back.id, Body::of(&back.body, SALT).unwrap()),
            (record.id, record.body)
        );
    }

    #[test]
    fn what_an_erasure_leaves_has_the_same_hash_and_says_why() {
        let (line, hash) = encode(GENESIS, 1, &record());
        let whole = decode(line.trim_ascii_end()).unwrap();
        let erased = Erased {
            at: 7,
            by: 9,
            reason: "she \"asked\"".to_owned(),
        };
        let line = String::from_utf8(tombstone(&whole, &erased)).unwrap();
        let text = line.strip_suffix('\n').unwrap();
        assert_eq!(without(text, &[]), text, "canonical");
        assert!(!text.contains("1.5") && !text.contains(&"ab".repeat(16)));
        let left = decode(text.as_bytes()).unwrap();
        assert_eq!((&left.hash, &left.erased), (&hash, &Some(erased)));
        assert_eq!((left.body, left.salt), (Value::Null, None));
        let chained = without(text, &["hash", "body", "salt", "erased"]);
        assert_eq!(blake3_of([GENESIS, &chained]), hash);
        // Emptied without a word of it, or with something in place of the body.
        for forged in [
            without(text, &["erased"]),
            text.replacen("null", "\"\"", 1),
            text.replacen("{\"body\":null", "{\"body\":null,\"a\":1", 1),
            text.replacen("\"ts\":5", "\"ts\":6", 1),
        ] {
            assert!(decode(forged.as_bytes()).is_err(), "{forged}");
        }
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
            body: Body::of(&body, SALT).unwrap(),
        };
        let (line, _) = encode(GENESIS, 1, &record);
        assert!(decode(line.trim_ascii_end()).is_ok());
    }

    #[test]
    fn the_number_that_a_line_states_is_found_at_its_end() {
        let (line, _) = encode(
            GENESIS,
            u64::MAX,
            &NewRecord {
                ts_ms: u64::MAX,
                ..record()
            },
        );
        assert_eq!(stated_seq(line.trim_ascii_end()), Some(u64::MAX));
        for none in ["", "{", "{\"seq\":1}", ",\"seq\":x,"] {
            assert_eq!(stated_seq(none.as_bytes()), None, "{none}");
        }
    }
}
