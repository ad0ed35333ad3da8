//! What a materialization leaves for the next one: the facts of every line, and where each journal's chain was.
//!
//! It stands in the folder of the tasks under hidden names, so that it is replaced with them. It is no output: without it,
//! or when anything it says does not hold any more, all is read from the start.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DatasetError, encode};
use crate::engines::dataset::{FORMAT_VERSION, Fact};
use crate::storage::codec;
use crate::storage::dataset_store::{FileReceipt, HashedFile, Staging};
use crate::storage::evidence_log::Span;

const FILE: &str = ".checkpoint.json";

/// What was made of which lines.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    format: u32,
    recipe_sha256: String,
    parquet: bool,
    /// By replica.
    pub(super) journals: Vec<Covered>,
    /// By date.
    pub(super) days: BTreeMap<String, Made>,
    pub(super) quarantine: FileReceipt,
}

/// The lines of a journal that were read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Covered {
    pub(super) replica: Option<String>,
    /// The journal's files as far as they were read.
    pub(super) segments: Vec<FileReceipt>,
    /// The chain after the last line.
    pub(super) chain: String,
    /// Number and hash of the last record.
    pub(super) head: (u64, String),
    /// Lines that were put aside.
    pub(super) quarantined: u64,
    pub(super) facts: FileReceipt,
}

impl Covered {
    pub(super) fn lines(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows).sum()
    }
}

/// The tasks of a day.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Made {
    /// What they were made of; see `Join::digests`.
    #[serde(default)]
    pub(super) digest: String,
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) files: Vec<FileReceipt>,
}

/// What the next run must agree on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) recipe_sha256: &'a str,
    pub(super) parquet: bool,
}

/// The facts of the lines of a span.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Frame {
    pub(super) span: Span,
    pub(super) facts: Vec<Fact>,
}

impl Checkpoint {
    /// Reads that of a folder; `None` when there is none of this version and on these terms.
    pub(super) fn read(dir: &Path, terms: Terms<'_>) -> Option<Self> {
        let text = std::fs::read(dir.join(FILE)).ok()?;
        let read: Self = serde_json::from_slice(&text).ok()?;
        let same = read.format == FORMAT_VERSION
            && read.recipe_sha256 == terms.recipe_sha256
            && read.parquet == terms.parquet;
        same.then_some(read)
    }

    /// The files of the folder that it speaks of.
    pub(super) fn files(&self) -> impl Iterator<Item = &FileReceipt> {
        let made = self.days.values().flat_map(|made| &made.files);
        let facts = self.journals.iter().map(|journal| &journal.facts);
        made.chain([&self.quarantine]).chain(facts)
    }

    /// Writes it.
    pub(super) fn write(
        staging: &Staging,
        terms: Terms<'_>,
        journals: Vec<Covered>,
        days: BTreeMap<String, Made>,
        quarantine: FileReceipt,
    ) -> Result<(), DatasetError> {
        let checkpoint = Self {
            format: FORMAT_VERSION,
            recipe_sha256: terms.recipe_sha256.to_owned(),
            parquet: terms.parquet,
            journals,
            days,
            quarantine,
        };
        staging.write(FILE, &encode(&checkpoint)?)?;
        Ok(())
    }
}

/// The file of the facts of a replica's lines.
fn facts_of(replica: Option<&str>) -> String {
    match replica {
        Some(replica) => format!(".facts-{replica}"),
        None => ".facts".to_owned(),
    }
}

/// The facts of a journal in the making.
pub(super) struct Facts(HashedFile);

impl Facts {
    pub(super) fn create(staging: &Staging, replica: Option<&str>) -> Result<Self, DatasetError> {
        Ok(Self(staging.create(&facts_of(replica))?))
    }

    pub(super) fn add(&mut self, frame: &Frame) -> Result<(), DatasetError> {
        let failed = |error: &dyn std::fmt::Display| DatasetError::Encode(error.to_string());
        let bytes = codec::encode(frame).map_err(|error| failed(&error))?;
        let length = (bytes.len() as u64).to_le_bytes();
        let written = self.0.write_all(&length);
        let written = written.and_then(|()| self.0.write_all(&bytes));
        written.map_err(|error| DatasetError::Facts(error.to_string()))
    }

    /// Ends with those of so many lines.
    pub(super) fn finish(self, lines: u64) -> Result<FileReceipt, DatasetError> {
        Ok(self.0.finish_rows(lines)?)
    }
}

/// Reads the frames that were kept in a folder.
pub(super) struct Frames(BufReader<File>);

impl Frames {
    pub(super) fn open(dir: &Path, replica: Option<&str>) -> Result<Self, DatasetError> {
        let file = File::open(dir.join(facts_of(replica)));
        let file = file.map_err(|error| DatasetError::Facts(error.to_string()))?;
        Ok(Self(BufReader::with_capacity(256 * 1024, file)))
    }

    fn advance(&mut self) -> Result<Option<Frame>, String> {
        let mut length = Vec::with_capacity(8);
        let read = (&mut self.0).take(8).read_to_end(&mut length);
        read.map_err(|error| error.to_string())?;
        if length.is_empty() {
            return Ok(None);
        }
        let length: [u8; 8] = length.try_into().map_err(|_| "torn".to_owned())?;
        let mut bytes = Vec::new();
        let mut frame = (&mut self.0).take(u64::from_le_bytes(length));
        let read = frame.read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        codec::decode(&bytes)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.advance().transpose()?;
        Some(frame.map_err(DatasetError::Facts))
    }
}
