//! The files of an evaluation set, read whole; `engines/embedding/evaluation` knows what is in
//! them.

use std::io::ErrorKind as IoErrorKind;
use std::path::Path;

use crate::types::error_kind::ErrorKind;

/// Largest file that is read, bytes: far above any set that an exact scan can work through.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The contents of a folder's files; those that are absent are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvalFolder {
    /// `corpus.jsonl`: `{"id", "text"}` a line.
    pub corpus: Option<String>,
    /// `queries.jsonl`: `{"id", "text"}` a line.
    pub queries: Option<String>,
    /// `qrels.tsv`: query id, document id, relevance.
    pub qrels: Option<String>,
    /// `sts.tsv`: score, first sentence, second sentence.
    pub sts: Option<String>,
}

/// A file that is there and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalFolderError {
    /// Point to a folder.
    #[error("{path} is not a folder")]
    NotAFolder {
        /// As given.
        path: String,
    },
    /// Mend the file or its rights.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// In the system's words.
        reason: String,
    },
    /// Make room, or point elsewhere.
    #[error("cannot write {path}: {reason}")]
    Unwritable {
        /// The file or folder.
        path: String,
        /// In the system's words.
        reason: String,
    },
}

impl EvalFolderError {
    /// Tells what the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAFolder { .. } => ErrorKind::NotFound,
            Self::Unreadable { .. } | Self::Unwritable { .. } => ErrorKind::BadRequest,
        }
    }
}

impl EvalFolder {
    /// Reads the files that `folder` has.
    ///
    /// Errors: [`EvalFolderError`] for no folder, or a file that is not readable UTF-8 text of
    /// bounded size.
    pub fn read(folder: &Path) -> Result<Self, EvalFolderError> {
        if !folder.is_dir() {
            return Err(EvalFolderError::NotAFolder {
                path: folder.display().to_string(),
            });
        }
        Ok(Self {
            corpus: file(folder, "corpus.jsonl")?,
            queries: file(folder, "queries.jsonl")?,
            qrels: file(folder, "qrels.tsv")?,
            sts: file(folder, "sts.tsv")?,
        })
    }

    /// Writes the files that there are.
    ///
    /// Errors: [`EvalFolderError::Unwritable`].
    pub fn write(&self, folder: &Path) -> Result<(), EvalFolderError> {
        let failed = |path: &Path, error: &std::io::Error| EvalFolderError::Unwritable {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        for (name, text) in [
            ("corpus.jsonl", &self.corpus),
            ("queries.jsonl", &self.queries),
            ("qrels.tsv", &self.qrels),
            ("sts.tsv", &self.sts),
        ] {
            if let Some(text) = text {
                let path = folder.join(name);
                std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
            }
        }
        Ok(())
    }
}

fn file(folder: &Path, name: &str) -> Result<Option<String>, EvalFolderError> {
    let path = folder.join(name);
    let unreadable = |reason: String| EvalFolderError::Unreadable {
        path: path.display().to_string(),
        reason,
    };
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
            let bytes = metadata.len();
            return Err(unreadable(format!(
                "{bytes} bytes, at most {MAX_FILE_BYTES}"
            )));
        }
        Ok(_) => {}
    }
    std::fs::read_to_string(&path)
        .map(Some)
        .map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(EvalFolder::read(folder.path()), Ok(EvalFolder::default()));
        std::fs::write(folder.path().join("sts.tsv"), "1\ta\tb\n").unwrap();
        let read = EvalFolder::read(folder.path()).unwrap();
        let copy = folder.path().join("made/copy");
        read.write(&copy).unwrap();
        assert_eq!(EvalFolder::read(&copy).unwrap(), read);
        assert!(read.write(&copy.join("sts.tsv")).is_err());
        assert_eq!(
            read,
            EvalFolder {
                sts: Some("1\ta\tb\n".into()),
                ..EvalFolder::default()
            }
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let absent = EvalFolder::read(&folder.path().join("absent")).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        std::fs::write(folder.path().join("qrels.tsv"), [0xff, 0xfe]).unwrap();
        let error = EvalFolder::read(folder.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("qrels.tsv: stream did not contain valid UTF-8"),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
}
