//! The imports cell: knows which foreign records are in the journal, so that none comes in twice.
//!
//! What it knows is made of the journal, at the first question after each start and after each doubt. It is kept in a
//! file beside, so memory does not grow with it.

use std::path::{Path, PathBuf};

use supervisors::{CellRef, ChildPolicy, ChildSpec, Cx, Protocol, Worker};

use crate::storage::evidence_log::{self, EvidenceLogError};
use crate::storage::id_table::{IdTable, Key};
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::EvidenceRecord;

/// What the ids of imported records begin with.
const PREFIX: &str = "import-";
/// Lines between two signs of life.
const TICK_LINES: u64 = 64;

/// The id of an imported record, by what makes it the same one: parts that are told apart.
pub fn record_id(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hex = hasher.finalize().to_hex();
    format!("{PREFIX}{}", hex.get(..32).unwrap_or_default())
}

/// What the cell is asked.
#[derive(Debug, Clone)]
pub enum ImportsRequest {
    /// Which of these records are new. Replies with [`ImportsReply::New`], in their order.
    New(Vec<String>),
    /// These are in the journal now. Replies with [`ImportsReply::Noted`].
    Add(Vec<String>),
    /// What is known is in doubt: it is to be made anew. Replies with [`ImportsReply::Noted`].
    Forget,
}

/// The cell's answers.
#[derive(Debug)]
pub enum ImportsReply {
    /// Whether each is new.
    New(Vec<bool>),
    /// Done.
    Noted,
}

/// A failed question.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ImportsError {
    /// The journal cannot be read. Stop.
    #[error(transparent)]
    Log(#[from] EvidenceLogError),
    /// The file beside cannot be written. Retry when the disk has room.
    #[error("the list of imported ids, {path}: {reason}")]
    Table {
        /// Which file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
}

impl ImportsError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Table { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Knows the imported records.
pub struct ImportsWorker {
    journal: PathBuf,
    file: PathBuf,
    known: Option<IdTable>,
}

impl ImportsWorker {
    fn answer(
        &mut self,
        request: ImportsRequest,
        tick: &mut dyn FnMut(),
    ) -> Result<ImportsReply, ImportsError> {
        let file = self.file.clone();
        let failed = |error| table_failed(&file, &error);
        match request {
            ImportsRequest::New(ids) => {
                let known = match &mut self.known {
                    Some(known) => known,
                    None => self.known.insert(read(&self.journal, &self.file, tick)?),
                };
                let is_new = |id: &String| match key(id) {
                    Some(key) => known.contains(&key).map(|there| !there),
                    None => Ok(true),
                };
                let new = ids.iter().map(is_new).collect::<Result<_, _>>();
                Ok(ImportsReply::New(new.map_err(failed)?))
            }
            ImportsRequest::Add(ids) => {
                // Nothing known is no doubt: all of it is read when somebody asks.
                if let Some(known) = &mut self.known {
                    for key in ids.iter().filter_map(|id| key(id)) {
                        known.insert(&key).map_err(failed)?;
                    }
                }
                Ok(ImportsReply::Noted)
            }
            ImportsRequest::Forget => {
                self.known = None;
                Ok(ImportsReply::Noted)
            }
        }
    }
}

impl Protocol for ImportsWorker {
    type Req = ImportsRequest;
    type Rep = ImportsReply;
    type Err = ImportsError;
}

impl Worker for ImportsWorker {
    fn handle(&mut self, request: ImportsRequest, cx: &Cx) -> Result<ImportsReply, ImportsError> {
        let answer = self.answer(request, &mut || cx.progress());
        if answer.is_err() {
            self.known = None;
        }
        answer
    }
}

/// Reads the ids of the journal's imported records.
fn read(journal: &Path, file: &Path, tick: &mut dyn FnMut()) -> Result<IdTable, ImportsError> {
    let failed = |error| table_failed(file, &error);
    let mut known = IdTable::create(file).map_err(failed)?;
    let lines = evidence_log::records(journal, evidence_log::segments(journal)?);
    for (at, line) in (0_u64..).zip(lines) {
        if at.is_multiple_of(TICK_LINES) {
            tick();
        }
        // A line that is no record is the audit's to tell.
        let Ok(record) = line?.record else { continue };
        if let Some(key) = imported(&record) {
            known.insert(&key).map_err(failed)?;
        }
    }
    Ok(known)
}

/// Clients choose the ids of other records, also such as begin like these. Of an erased record only its id is left: it is
/// taken for one, since what was erased must not come in again.
fn imported(record: &EvidenceRecord) -> Option<Key> {
    if record.erased.is_none() {
        record.body.get("imported")?;
    }
    key(&record.id)
}

/// The hash that stands in a record's id.
fn key(id: &str) -> Option<Key> {
    let hex = id.strip_prefix(PREFIX)?;
    let digits = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits {
        return None;
    }
    let number = u128::from_str_radix(hex, 16).ok()?;
    Some(number.to_be_bytes())
}

fn table_failed(path: &Path, error: &std::io::Error) -> ImportsError {
    ImportsError::Table {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

/// Describes the cell to its supervisor; `file` is where it keeps what it knows.
pub fn child_spec(
    policy: ChildPolicy,
    journal: PathBuf,
    file: PathBuf,
) -> (ChildSpec, CellRef<ImportsWorker>) {
    // Invariant: one worker; two would each know half.
    let policy = ChildPolicy {
        workers: 1,
        ..policy
    };
    ChildSpec::sync("imports", policy, move |_| {
        Ok(ImportsWorker {
            journal: journal.clone(),
            file: file.clone(),
            known: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::evidence_log::{Body, EvidenceConfig, EvidenceLog, NewRecord, Salt};
    use crate::types::evidence::Kind;

    fn append(dir: &Path, id: &str, body: &serde_json::Value) {
        let (mut log, _) = EvidenceLog::open(dir, EvidenceConfig::default()).unwrap();
        let record = NewRecord {
            ts_ms: 1,
            kind: Kind::Feedback,
            id: id.to_owned(),
            body: Body::of(body, Salt::new([7; 16])).unwrap(),
        };
        log.append(&record).unwrap();
    }

    #[test]
    fn what_is_known_is_what_the_journal_says() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("evidence");
        let mut worker = ImportsWorker {
            journal: journal.clone(),
            file: folder.path().join("ids"),
            known: None,
        };
        let [one, two, three] = ["1", "2", "3"].map(|id| record_id(&["s", id]));
        append(&journal, &one, &json!({"imported": "s"}));
        // A client's own id, which only looks like it.
        append(&journal, &two, &json!({"target": "t"}));
        append(&journal, "import-x", &json!({"imported": "s"}));
        let mut ask = |request| worker.answer(request, &mut || {}).unwrap();
        let all = || ImportsRequest::New(vec![one.clone(), two.clone(), three.clone()]);
        let ImportsReply::New(new) = ask(all()) else {
            panic!()
        };
        assert_eq!(new, [false, true, true]);
        ask(ImportsRequest::Add(vec![two.clone()]));
        let ImportsReply::New(new) = ask(all()) else {
            panic!()
        };
        assert_eq!(new, [false, false, true]);
        // What never came into the journal is forgotten, what did meanwhile is found.
        append(&journal, &three, &json!({"imported": "s"}));
        ask(ImportsRequest::Forget);
        let ImportsReply::New(new) = ask(all()) else {
            panic!()
        };
        assert_eq!(new, [false, true, false]);
    }

    #[test]
    fn what_was_erased_does_not_come_in_again() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("evidence");
        let one = record_id(&["s", "1"]);
        append(&journal, &one, &json!({"imported": "s"}));
        let told = json!({"reason": "r", "by": "seq", "records": [[1, 1]]});
        let record = NewRecord {
            ts_ms: 2,
            kind: Kind::Erasure,
            id: "e".to_owned(),
            body: Body::of(&told, Salt::new([7; 16])).unwrap(),
        };
        let (mut log, _) = EvidenceLog::open(&journal, EvidenceConfig::default()).unwrap();
        log.begin_change(1, &[record]).unwrap();
        assert_eq!(evidence_log::finish_change(&journal).unwrap().erased, 1);
        let mut known = read(&journal, &folder.path().join("ids"), &mut || {}).unwrap();
        assert!(known.contains(&key(&one).unwrap()).unwrap());
    }

    #[test]
    fn ids_tell_their_parts_apart() {
        assert_eq!(record_id(&["a", "b"]), record_id(&["a", "b"]));
        assert_ne!(record_id(&["a", "b"]), record_id(&["ab", ""]));
        assert_ne!(record_id(&["a", "b"]), record_id(&["a", "b", ""]));
        assert!(key(&record_id(&["a"])).is_some());
        assert_eq!(key("import-+1234567890123456789012345678901"), None);
    }
}
