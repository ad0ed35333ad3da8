//! The evidence journal: append-only JSONL segments in one folder, chained by hash.
//!
//! # Files
//! - `evidence-00000001.jsonl`, `evidence-00000002.jsonl`, …: one record a line, each line ended
//!   by `\n`. Sequence numbers start at 1 and have no gaps, across segments too.
//! - `heads.log`: one line for each segment that was completed and for each opening of the
//!   journal: `{"hash":…,"seq":…,"ts":…}` of the newest record then. A tail that is cut off later
//!   is missed by the chain but not by these receipts.
//! - `usage.json`: sums over the records up to one of them; see [`super::usage_file`].
//!
//! # Canonical JSON
//! Object members sorted by their key's UTF-8 bytes, no space between tokens. Strings are UTF-8
//! with only `"`, `\` and the control characters below U+0020 escaped: `\"` `\\` `\b` `\f` `\n`
//! `\r` `\t`, the others as `\u00xx` in lower-case hex. Whole numbers are written in decimal;
//! others in the fewest digits that read back as the same binary64, with a `.` or an exponent.
//!
//! # Hash
//! A line is the canonical JSON of an [`EvidenceRecord`](crate::types::evidence::EvidenceRecord).
//! Its `hash` is the lower-case hex of blake3 over the 64 ASCII bytes of `prev`, then the canonical
//! JSON of the record without its `hash` member. `prev` is the `hash` of the record before, and 64
//! zeros in the first.
//!
//! To verify in any language there is no need to write numbers canonically: take the line as text
//! and remove the last occurrence of `,"hash":"…64 hex digits…"`. It is the last such text because
//! `body` sorts before `hash`, and every member after it is a number or a string, in which a quote
//! is escaped. What is left is what was hashed.
//!
//! # What it does not promise
//! Who can rewrite the whole folder can write a new chain. Keep the [`Head`] elsewhere too.

mod body;
mod canonical;
mod config;
mod error;
mod heads;
mod line;
mod log;
mod records;
mod segments;
mod tail;
#[cfg(test)]
mod tests;
mod verify;

pub use body::Body;
pub use canonical::canonical;
pub use config::{Ack, EvidenceConfig};
pub use error::EvidenceLogError;
pub use log::{Appended, EvidenceLog, Head, NewRecord, OpenReport, Unsynced};
pub use records::{BadLine, JournalLine, Records, records, segments_since};
pub use segments::{Segment, segments};
pub use verify::{Chain, KeptHead, Problem, ProblemKind, VerifyReport, verify, verify_beside};

/// `prev` of the first record.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
