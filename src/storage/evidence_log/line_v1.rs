//! Records of version 1, whose hash covers their body: read and checked, never written.

use super::line::Frame;
use crate::types::evidence::EvidenceRecord;

/// What stands before the digits of the hash.
const HASH_MEMBER: &str = ",\"hash\":\"";
/// Hex digits of a hash.
const HASH_DIGITS: usize = 64;

/// Whether the hash is that of the text without it: the last such member, since `body` sorts before it, and after it a
/// quote in a text is escaped.
pub(super) fn is_as_written(text: &str, record: &EvidenceRecord) -> bool {
    let hashed = text.rfind(HASH_MEMBER).and_then(|at| {
        let rest = text.get(at + HASH_MEMBER.len() + HASH_DIGITS..)?;
        let (before, after) = (text.get(..at)?, rest.strip_prefix('"')?);
        let mut hasher = blake3::Hasher::new();
        for part in [&record.prev, before, after] {
            hasher.update(part.as_bytes());
        }
        Some(hasher.finalize().to_hex().to_string())
    });
    hashed.as_ref() == Some(&record.hash)
}

/// The digest of all that an erasure leaves: the record's own hash cannot be checked then, so the erasure notes this one.
pub fn digest(record: &EvidenceRecord) -> String {
    let frame = Frame {
        salt: None,
        erased: None,
        ..Frame::of(record)
    };
    let mut rest = Vec::new();
    frame.rest(&mut rest, &record.hash);
    // An object begins where the body's comma stands.
    if let Some(first) = rest.first_mut() {
        *first = b'{';
    }
    blake3::hash(&rest).to_hex().to_string()
}

/// A line of a record of version 1, for the tests of what reads them.
#[cfg(test)]
pub(super) fn encode(prev: &str, record: &EvidenceRecord) -> (String, String) {
    let frame = Frame {
        prev,
        schema: 1,
        content: None,
        salt: None,
        erased: None,
        ..Frame::of(record)
    };
    let mut line = super::line::BODY_MEMBER.as_bytes().to_vec();
    line.extend(super::canonical(&record.body).bytes());
    frame.rest(&mut line, &"0".repeat(HASH_DIGITS));
    let line = String::from_utf8(line).unwrap();
    let (before, rest) = line.rsplit_once(HASH_MEMBER).unwrap();
    let after = &rest[HASH_DIGITS + 1..];
    let hash = blake3::hash([prev, before, after].concat().as_bytes());
    let hash = hash.to_hex().to_string();
    (format!("{before}{HASH_MEMBER}{hash}\"{after}"), hash)
}
