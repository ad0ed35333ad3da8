//! What a materialization leaves for the next one: the facts of every line, and where the chain was.
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
const FACTS: &str = ".facts";

/// What was made of which lines.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    format: u32,
    recipe_sha256: String,
    parquet: bool,
    /// The journal's files as far as they were read.
    pub(super) segments: Vec<FileReceipt>,
    /// The chain after the last line.
    pub(super) chain: String,
    /// Number and hash of the last record.
    pub(super) head: (u64, String),
    /// By date.
    pub(super) days: BTreeMap<String, Made>,
    pub(super) quarantine: FileReceipt,
    facts: FileReceipt,
}

/// The tasks of a day.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Made {
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
        made.chain([&self.quarantine, &self.facts])
    }

    /// Lines that were read.
    pub(super) fn lines(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows).sum()
    }
}

/// The facts in the making.
pub(super) struct Facts(HashedFile);

impl Facts {
    pub(super) fn create(staging: &Staging) -> Result<Self, DatasetError> {
        Ok(Self(staging.create(FACTS)?))
    }

    pub(super) fn add(&mut self, frame: &Frame) -> Result<(), DatasetError> {
        let failed = |error: &dyn std::fmt::Display| DatasetError::Encode(error.to_string());
        let bytes = codec::encode(frame).map_err(|error| failed(&error))?;
        let length = (bytes.len() as u64).to_le_bytes();
        let written = self.0.write_all(&length);
        let written = written.and_then(|()| self.0.write_all(&bytes));
        written.map_err(|error| DatasetError::Facts(error.to_string()))
    }

    /// Writes the checkpoint.
    pub(super) fn finish(
        self,
        staging: &Staging,
        terms: Terms<'_>,
        covered: Covered,
    ) -> Result<(), DatasetError> {
        let lines = covered.segments.iter().map(|segment| segment.rows).sum();
        let checkpoint = Checkpoint {
            format: FORMAT_VERSION,
            recipe_sha256: terms.recipe_sha256.to_owned(),
            parquet: terms.parquet,
            segments: covered.segments,
            chain: covered.chain,
            head: covered.head,
            days: covered.days,
            quarantine: covered.quarantine,
            facts: self.0.finish_rows(lines)?,
        };
        staging.write(FILE, &encode(&checkpoint)?)?;
        Ok(())
    }
}

/// What a checkpoint says of the lines that were read.
pub(super) struct Covered {
    pub(super) segments: Vec<FileReceipt>,
    pub(super) chain: String,
    pub(super) head: (u64, String),
    pub(super) days: BTreeMap<String, Made>,
    pub(super) quarantine: FileReceipt,
}

/// Reads the frames that were kept in a folder.
pub(super) struct Frames(BufReader<File>);

impl Frames {
    pub(super) fn open(dir: &Path) -> Result<Self, DatasetError> {
        let file = File::open(dir.join(FACTS));
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
