//! The materialized tasks, whatever files they are in.

use std::path::{Path, PathBuf};

use super::{DatasetStoreError, FileReceipt, HashedLines, entries};

/// The tasks of a day, in its folder; before format 4 all of them, in the folder of the tasks.
const TASKS: &str = "tasks.jsonl";
const DATE: &str = "date=";

/// The files of the tasks in their folder, by date.
///
/// Errors: the folder cannot be read; one that does not exist has none.
pub fn task_files(dir: &Path) -> Result<Vec<String>, DatasetStoreError> {
    let names = entries(dir)?;
    let dated = names.iter().filter(|name| name.starts_with(DATE));
    let mut found: Vec<String> = dated.map(|name| format!("{name}/{TASKS}")).collect();
    found.retain(|path| dir.join(path).is_file());
    if found.is_empty() && dir.join(TASKS).is_file() {
        found.push(TASKS.to_owned());
    }
    Ok(found)
}

/// The date of a file of tasks by its path, `` for that of before format 4; `None` for any other file.
pub fn task_file_date(path: &str) -> Option<&str> {
    match path.split_once('/') {
        None => (path == TASKS).then_some(""),
        Some((folder, file)) => folder.strip_prefix(DATE).filter(|_| file == TASKS),
    }
}

/// The lines of all files of tasks, by date, hashed while they are read.
#[derive(Debug)]
pub struct TaskLines {
    dir: PathBuf,
    left: std::vec::IntoIter<String>,
    open: Option<HashedLines>,
    read: Vec<FileReceipt>,
}

impl TaskLines {
    /// Begins with the first file in the folder of the tasks.
    ///
    /// Errors: the folder cannot be read.
    pub fn open(dir: &Path) -> Result<Self, DatasetStoreError> {
        Ok(Self {
            dir: dir.to_owned(),
            left: task_files(dir)?.into_iter(),
            open: None,
            read: Vec::new(),
        })
    }

    /// Reads the next line with its newline into `line`; `false` at the end.
    pub fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, DatasetStoreError> {
        loop {
            if let Some(open) = &mut self.open
                && open.next(line)?
            {
                return Ok(true);
            }
            self.read.extend(self.open.take().map(HashedLines::finish));
            let Some(next) = self.left.next() else {
                line.clear();
                return Ok(false);
            };
            self.open = Some(HashedLines::open(&self.dir, &next)?);
        }
    }

    /// The files that were read to their end.
    pub fn finish(self) -> Vec<FileReceipt> {
        self.read
    }
}
