//! What was made of the journal, held against its receipts.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::engines::dataset::{FORMAT_VERSION, Outcome, Receipt};
use crate::engines::evidence::Profiler;
use crate::services::ServiceError;
use crate::storage::dataset_store::{
    DatasetStore, DatasetStoreError, FileReceipt, HashedLines, files, hash_file, task_file_date,
};
use crate::storage::evidence_log::VerifyReport;
use crate::storage::replicas::{Replicas, is_name};
use crate::types::plain::counted;

const RECEIPT: &str = "receipt.json";
/// Looks at a folder that is replaced meanwhile.
const LOOKS: usize = 3;

/// What does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The receipt is missing, or is none.
    Receipt,
    /// A file is not as it was written.
    File,
    /// Its counts do not add up.
    Counts,
    /// The journal is not the one that was read.
    Journal,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What.
    pub check: Check,
    /// Of which file.
    pub file: String,
    /// In words.
    pub message: String,
}

/// What was made of the journal, in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// `tasks`, or `exports/NAME`.
    pub name: String,
    /// Its files, without the receipt.
    pub files: u64,
    /// Their length, bytes.
    pub bytes: u64,
    /// Time of the newest record that it was made of, Unix milliseconds.
    pub as_of_ms: Option<u64>,
    /// Whether it was made of what is there now: the tasks of the whole journal, an export of these tasks.
    pub current: bool,
    /// What is wrong.
    pub problems: Vec<Fault>,
    /// What is no fault, but good to know.
    pub notes: Vec<String>,
}

impl Folder {
    fn fault(&mut self, check: Check, file: &str, message: impl Into<String>) {
        self.problems.push(Fault {
            check,
            file: file.to_owned(),
            message: message.into(),
        });
    }
}

/// The numbers of the records that receipts call the last ones.
pub(super) fn heads(store: &DatasetStore) -> Result<BTreeMap<u64, Option<String>>, ServiceError> {
    let mut heads = BTreeMap::new();
    for (_, dir) in all(store)? {
        let text = std::fs::read(dir.join(RECEIPT)).unwrap_or_default();
        if let Ok(receipt) = Receipt::parse(&text) {
            heads.insert(receipt.journal.head.seq, None);
        }
    }
    Ok(heads)
}

/// The folders that are there, the tasks first.
fn all(store: &DatasetStore) -> Result<Vec<(String, PathBuf)>, DatasetStoreError> {
    let tasks = store.tasks();
    let mut found = Vec::new();
    if tasks.is_dir() {
        found.push(("tasks".to_owned(), tasks));
    }
    for name in store.exports()? {
        let dir = store.export(&name)?;
        found.push((format!("exports/{name}"), dir));
    }
    Ok(found)
}

/// Checks them all; counts the outcomes of the tasks.
pub(super) fn check(
    store: &DatasetStore,
    (journal, replicas): (&Path, &Replicas),
    chain: &VerifyReport,
    seen: &mut Seen,
) -> Result<Vec<Folder>, ServiceError> {
    let mut checked = Vec::new();
    let mut tasks = None;
    for (name, dir) in all(store)? {
        let mut look = 0;
        let (folder, receipt, profiler) = loop {
            look += 1;
            let text = std::fs::read(dir.join(RECEIPT));
            let mut checking = Checking {
                dir: &dir,
                journal,
                replicas,
                chain,
                tasks: tasks.as_ref(),
                seen,
                profiler: seen.profiler.clone(),
            };
            let found = checking.folder(&name, &text);
            let same = std::fs::read(dir.join(RECEIPT)).ok() == text.ok();
            match found {
                Ok((folder, _)) if !folder.problems.is_empty() && !same && look < LOOKS => {}
                Err(_) if !same && look < LOOKS => {}
                found => {
                    let (folder, receipt) = found?;
                    break (folder, receipt, checking.profiler);
                }
            }
        };
        seen.profiler = profiler;
        if name == "tasks" {
            tasks = receipt;
        }
        checked.push(folder);
    }
    Ok(checked)
}

struct Checking<'a> {
    dir: &'a Path,
    journal: &'a Path,
    replicas: &'a Replicas,
    chain: &'a VerifyReport,
    /// What the tasks' receipt says.
    tasks: Option<&'a Receipt>,
    seen: &'a Seen,
    profiler: Profiler,
}

impl Checking<'_> {
    fn folder(
        &mut self,
        name: &str,
        text: &std::io::Result<Vec<u8>>,
    ) -> Result<(Folder, Option<Receipt>), DatasetStoreError> {
        let mut folder = Folder {
            name: name.to_owned(),
            files: 0,
            bytes: 0,
            as_of_ms: None,
            current: false,
            problems: Vec::new(),
            notes: Vec::new(),
        };
        let receipt = match text {
            Ok(text) => Receipt::parse(text),
            Err(error) => Err(error.to_string()),
        };
        let receipt = match receipt {
            Ok(receipt) => receipt,
            Err(reason) => {
                folder.fault(Check::Receipt, RECEIPT, format!("cannot be read: {reason}"));
                return Ok((folder, None));
            }
        };
        folder.as_of_ms = Some(receipt.as_of_ms);
        let job = if name == "tasks" {
            "materialize"
        } else {
            "export"
        };
        if receipt.job != job {
            let message = format!("is of a job {:?}, must be {job}", receipt.job);
            folder.fault(Check::Receipt, RECEIPT, message);
        }
        self.files(&receipt, &mut folder)?;
        if receipt.format == FORMAT_VERSION {
            for sum in receipt.unreconciled() {
                folder.fault(Check::Counts, RECEIPT, sum);
            }
        } else {
            folder.notes.push(format!(
                "made by another version (format {}, this one's is {FORMAT_VERSION}), its counts are not checked: make it again",
                receipt.format
            ));
        }
        self.journal(&receipt, &mut folder)?;
        self.freshness(&receipt, &mut folder);
        Ok((folder, Some(receipt)))
    }

    fn files(&mut self, receipt: &Receipt, folder: &mut Folder) -> Result<(), DatasetStoreError> {
        for output in &receipt.outputs {
            let path = &output.path;
            if !is_within(path) {
                folder.fault(Check::Receipt, path, "is no file of this folder");
                continue;
            }
            if !self.dir.join(path).is_file() {
                folder.fault(Check::File, path, "is gone");
                continue;
            }
            let is_tasks = folder.name == "tasks" && task_file_date(path).is_some();
            let found = match is_tasks {
                true => self.read_tasks(path)?,
                false => hash_file(self.dir, path, u64::MAX, &mut || {})?,
            };
            folder.files += 1;
            folder.bytes += found.bytes;
            if !output.is_of(&found) {
                folder.fault(Check::File, path, changed(output, &found));
            }
        }
        for path in files(self.dir)? {
            if path != RECEIPT && !receipt.outputs.iter().any(|output| output.path == path) {
                folder.fault(Check::File, &path, "is in no receipt");
            }
        }
        Ok(())
    }

    /// Hashes the tasks, and counts their outcomes.
    fn read_tasks(&mut self, path: &str) -> Result<FileReceipt, DatasetStoreError> {
        /// What the profile needs of a task.
        #[derive(Deserialize)]
        struct Glance {
            ts: u64,
            outcome: Outcome,
            imported: Option<IgnoredAny>,
        }
        let mut lines = HashedLines::open(self.dir, path)?;
        let mut line = Vec::new();
        while lines.next(&mut line)? {
            // A line that is no task was changed: the file's hash says so.
            if let Ok(task) = serde_json::from_slice::<Glance>(&line)
                && task.imported.is_none()
                && self.profiler.spans(task.ts)
            {
                self.profiler.task(task.outcome.name());
            }
        }
        Ok(lines.finish())
    }

    /// Holds what was read of the journal against the journal.
    fn journal(&self, receipt: &Receipt, folder: &mut Folder) -> Result<(), DatasetStoreError> {
        let head = &receipt.journal.head;
        let first = self.chain.first_seq;
        match self.seen.heads.get(&head.seq) {
            // Made while this audit ran, or of nothing, or of what retention removed.
            None => {}
            Some(_) if head.seq == 0 || (head.seq < first && self.chain.removed.is_some()) => {}
            Some(None) => {
                let message = format!("has no record {}, which was read of it", head.seq);
                folder.fault(Check::Journal, "evidence", message);
            }
            Some(Some(hash)) if *hash != head.hash => {
                let message = format!("has another record {} than was read of it", head.seq);
                folder.fault(Check::Journal, "evidence", message);
            }
            Some(Some(_)) => {}
        }
        let mut removed = 0_u64;
        for input in &receipt.journal.segments {
            if !is_within(&input.path) {
                folder.fault(Check::Receipt, &input.path, "is no file of the journal");
                continue;
            }
            let found = match hash_file(self.journal, &input.path, input.bytes, &mut || {}) {
                Ok(found) => found,
                Err(_) if self.is_gone(&input.path) => {
                    match self.chain.removed.as_ref().filter(|one| one.by > head.seq) {
                        Some(_) => removed += 1,
                        None => folder.fault(
                            Check::Journal,
                            &input.path,
                            "is gone, and no retention after it says so",
                        ),
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            // An erasure empties records, and their file is another one then.
            let erased = self.seen.erased.get(&input.path);
            if found != *input && erased.is_none_or(|by| *by <= head.seq) {
                let message = format!(
                    "{}, and no erasure after it says why",
                    changed(input, &found)
                );
                folder.fault(Check::Journal, &input.path, message);
            }
        }
        if removed > 0 {
            folder.notes.push(format!(
                "made before retention removed {removed} of its files: materialize again, or keep it as it is"
            ));
        }
        Ok(())
    }

    fn is_gone(&self, name: &str) -> bool {
        let found = std::fs::metadata(self.journal.join(name));
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// Says whether it is made of what is there now.
    fn freshness(&self, receipt: &Receipt, folder: &mut Folder) {
        let head = receipt.journal.head.seq;
        if let Some(by) = self.seen.erasure_after(head) {
            let again = match folder.name.as_str() {
                "tasks" => "materialize again",
                _ => "materialize and export again",
            };
            folder.notes.push(format!(
                "made before an erasure (record {by}), it may hold what was erased: {again}"
            ));
        }
        if folder.name == "tasks" {
            folder.current = head == self.chain.head_seq;
            for of in &receipt.replicas {
                // It is replaced whole when it is pulled again: that is no fault.
                let dir = self.replicas.dir(&of.replica);
                let mut segments = of.journal.segments.iter();
                let same = is_name(&of.replica)
                    && segments.all(|segment| {
                        let path = &segment.path;
                        let found = hash_file(&dir, path, u64::MAX, &mut || {});
                        is_within(path) && found.is_ok_and(|found| found == *segment)
                    });
                if !same {
                    folder.current = false;
                    let message = format!(
                        "made of other evidence of the replica {} than what was pulled since: materialize again",
                        of.replica
                    );
                    folder.notes.push(message);
                }
            }
            if head < self.chain.head_seq {
                folder.notes.push(format!(
                    "made of the records up to {head}; the journal has {} now",
                    self.chain.head_seq
                ));
            }
            return;
        }
        let Some(tasks) = self.tasks else {
            folder
                .notes
                .push("the tasks it was made of are gone".to_owned());
            return;
        };
        let of_these = |input: &FileReceipt| tasks.outputs.contains(input);
        folder.current = !receipt.inputs.is_empty() && receipt.inputs.iter().all(of_these);
        if !folder.current {
            folder
                .notes
                .push("made of other tasks than the present ones: export again".to_owned());
        }
    }
}

/// Whether a path of a receipt stays in its folder.
fn is_within(path: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(_));
    Path::new(path).components().all(plain)
}

/// How a file differs from its receipt.
fn changed(receipt: &FileReceipt, found: &FileReceipt) -> String {
    if found.bytes != receipt.bytes {
        return format!(
            "has {}, had {}",
            counted(found.bytes, "byte"),
            receipt.bytes
        );
    }
    if found.sha256 != receipt.sha256 {
        return format!(
            "was changed: its sha256 is {}, was {}",
            found.sha256, receipt.sha256
        );
    }
    format!(
        "has {}, the receipt says {}",
        counted(found.rows, "line"),
        receipt.rows
    )
}
