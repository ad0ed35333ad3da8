//! The evidence journal: append-only JSONL segments in one folder, chained by hash.
//!
//! # Files
//! - `evidence-00000001.jsonl`, `evidence-00000002.jsonl`, …: one record a line, each line ended
//!   by `\n`. Sequence numbers start at 1 and have no gaps, across segments too.
//! - `heads.log`: one line for each segment that was completed and for each opening of the
//!   journal: `{"hash":…,"seq":…,"ts":…}` of the newest record then. A tail that is cut off later
//!   is missed by the chain but not by these receipts.
//! - `changes.json`: whether files are being replaced or removed, and where the journal begins.
//! - `usage.json`: sums over the records up to one of them; see [`super::usage_file`].
//!
//! # Canonical JSON
//! Object members sorted by their key's UTF-8 bytes, no space between tokens. Strings are UTF-8
//! with only `"`, `\` and the control characters below U+0020 escaped: `\"` `\\` `\b` `\f` `\n`
//! `\r` `\t`, the others as `\u00xx` in lower-case hex. Whole numbers are written in decimal;
//! others in the fewest digits that read back as the same binary64, with a `.` or an exponent.
//!
//! # Hash
//! A line is the canonical JSON of an [`EvidenceRecord`](crate::types::evidence::EvidenceRecord) of version 2.
//!
//! - `content` is the lower-case hex of blake3 over the 32 ASCII characters of `salt`, then the canonical JSON of `body`.
//! - `hash` is that of blake3 over the 64 ASCII bytes of `prev`, then the canonical JSON of the record without its members
//!   `hash`, `body`, `salt` and `erased`. What is left are strings and whole numbers, so that any language can write it.
//! - `prev` is the `hash` of the record before, and 64 zeros in the first.
//!
//! To verify `content` there is no need to write numbers canonically: the body's text in the line stands between `{"body":`
//! and the last `,"content":"`. It is the last such text because in every member after it a quote is escaped.
//!
//! Records of version 1 have no `content` and no `salt`; their `hash` covers `prev`, then the whole record without `hash`:
//! the line without the last occurrence of `,"hash":"…64 hex digits…"`.
//!
//! # Erasure
//! An erased record has `"body":null`, no `salt`, and `"erased":{"at","by","reason"}`; its `hash` is the same and still
//! verifies, and without the salt nobody can tell from `content` what it was. `by` is the number of the record of kind
//! `erasure` that names it: a record that is empty without one was tampered with. The hash of a record of version 1 cannot
//! be computed any more; the next record's `prev` still shows that it is the one that was written, and the erasure's record
//! holds a digest of all else that is left of it.
//!
//! # Removal
//! Retention removes whole files, the oldest first, after a record of kind `retention` that says the last record of them
//! and its hash: the journal then begins with the record whose `prev` that is.
//!
//! # What it does not promise
//! Who can rewrite the whole folder can write a new chain. Keep the [`Head`] elsewhere too.

mod backward;
mod body;
mod canonical;
mod changes;
mod config;
mod error;
mod explained;
mod heads;
mod line;
mod line_v1;
mod log;
mod page;
#[cfg(feature = "server")]
mod pinned;
mod records;
mod retention;
mod rewrite;
mod segments;
mod span;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

pub use body::{Body, Salt};
pub use canonical::canonical;
pub use changes::Changes;
pub use config::{Ack, EvidenceConfig};
pub use error::EvidenceLogError;
pub use explained::RemovedBefore;
pub use line_v1::digest as frame_digest;
pub use log::{Appended, EvidenceLog, Head, NewRecord, OpenReport, Unsynced};
pub use page::{Page, PageQuery, page};
#[cfg(feature = "server")]
pub use pinned::{pin_beside, pin_segments};
pub use records::{BadLine, JournalLine, Records, records, segments_since};
pub use retention::{Retain, retain};
pub use rewrite::{ChangeDone, finish_change};
pub use segments::{Segment, segments};
pub use span::{Span, spans};
pub use tail::check_end;
pub use verify::{
    Chain, KeptHead, Problem, ProblemKind, VerifyReport, verify, verify_beside, verify_reading,
};

/// `prev` of the first record.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
