//! The writer: one in the whole process, for a second one would fork the chain.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::body::Body;
use super::changes::{self, Changes};
use super::config::EvidenceConfig;
use super::error::EvidenceLogError;
use super::heads::{Heads, HeadsWriter};
use super::records::first_seq;
use super::segments::{self, Segment};
use super::{line, tail};
use crate::storage::disk::sync_dir;
use crate::types::evidence::Kind;

/// A record before it has its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRecord {
    /// Unix time, milliseconds.
    pub ts_ms: u64,
    /// The shape of `body`.
    pub kind: Kind,
    /// What it is about.
    pub id: String,
    /// By `kind`.
    pub body: Body,
}

impl NewRecord {
    /// Checks what [`EvidenceLog::append`] would refuse, before the work that the record tells of.
    ///
    /// Errors: [`EvidenceLogError::TooLarge`] when it is larger than `max` bytes, or may be.
    pub fn check(&self, max: usize) -> Result<(), EvidenceLogError> {
        let bytes = line::max_bytes(self);
        if bytes > max {
            return Err(EvidenceLogError::TooLarge { bytes, max });
        }
        Ok(())
    }
}

/// The receipt of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Appended {
    /// Its place.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// The end of the journal. Kept elsewhere, it proves later that nothing was cut off or rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The newest record; 0 when there is none.
    pub seq: u64,
    /// Its hash; 64 zeros when there is none.
    pub hash: String,
    /// Its time, Unix milliseconds.
    pub ts: u64,
    /// The newest record that is surely on the disk.
    pub synced_seq: u64,
    /// The file that is written to.
    pub segment: String,
    /// Its length, bytes.
    pub segment_bytes: u64,
}

/// What may not be on the disk yet.
#[derive(Debug)]
pub struct Unsynced {
    file: File,
    path: PathBuf,
    seq: u64,
}

impl Unsynced {
    /// The newest record of it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Forces it there; returns the newest record that surely is: a segment before was synced when this one was begun.
    ///
    /// Errors: the disk failed.
    pub fn sync(self) -> Result<u64, EvidenceLogError> {
        let synced = self.file.sync_data();
        synced.map_err(|error| EvidenceLogError::io("sync", &self.path, &error))?;
        Ok(self.seq)
    }
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OpenReport {
    /// Bytes of a torn last line that were cut off.
    pub torn_tail: Option<u64>,
    /// Records that were written, also those that retention has removed.
    pub records: u64,
    /// Files.
    pub segments: u64,
}

/// The journal, open for appending.
#[derive(Debug)]
pub struct EvidenceLog {
    dir: PathBuf,
    config: EvidenceConfig,
    number: u64,
    /// The first record of the segment that is written to, also while it is yet to come.
    begins: u64,
    completed: Option<Appended>,
    file: File,
    heads: HeadsWriter,
    /// Invariant: describes what was written whole; a failed append leaves it as it was.
    head: Head,
    poisoned: Option<String>,
}

impl EvidenceLog {
    /// Opens the journal of a folder, and creates it when there is none.
    ///
    /// Checks the newest segment whole and its link to the one before; [`super::verify()`] checks
    /// all.
    /// Errors: any damage but a torn last line, which is cut off and reported.
    pub fn open(
        dir: &Path,
        config: EvidenceConfig,
    ) -> Result<(Self, OpenReport), EvidenceLogError> {
        config.validate().map_err(EvidenceLogError::Config)?;
        std::fs::create_dir_all(dir)
            .map_err(|error| EvidenceLogError::io("create", dir, &error))?;
        let mut found = segments::list(dir)?;
        // What is before that was to be removed, and is by whoever completes the change.
        let begins = Changes::read(dir)?.begins;
        let first = found.first().map_or(begins, |first| first.number);
        for (expected, segment) in (first.min(begins)..).zip(&found) {
            if segment.number != expected {
                let reason = match expected {
                    1 => format!(
                        "the file is missing; if evidence.retain_days or retain_bytes removed it, {} was lost and \
                         should say \"begins\":{}",
                        changes::FILE_NAME,
                        segment.number
                    ),
                    _ => "the file is missing".to_owned(),
                };
                let missing = segments::file_name(expected);
                return Err(EvidenceLogError::damaged(&missing, 0, 0, reason));
            }
        }
        if found.is_empty() {
            found.push(Segment {
                number: begins,
                name: segments::file_name(begins),
                bytes: 0,
                complete: false,
            });
        }
        let heads = Heads::read(dir)?;
        let (head, torn) = tail::check(dir, &found, &heads)?;
        let number = found.last().map_or(begins, |newest| newest.number);
        let file = open_segment(dir, &head.segment)?;
        let path = dir.join(&head.segment);
        // Also when nothing was torn: the receipt below must not know more than the disk.
        file.set_len(head.segment_bytes)
            .and_then(|()| file.sync_data())
            .map_err(|error| EvidenceLogError::io("sync", &path, &error))?;
        let mut writer = heads.writer(dir)?;
        if head.seq > heads.newest() {
            writer.add(head.seq, &head.hash, head.ts)?;
        }
        let report = OpenReport {
            torn_tail: (torn > 0).then_some(torn),
            records: head.seq,
            segments: found.len() as u64,
        };
        let newest = found.last().and_then(|newest| first_seq(dir, newest));
        let log = Self {
            dir: dir.to_owned(),
            config,
            number,
            begins: newest.unwrap_or(head.seq + 1),
            completed: None,
            file,
            heads: writer,
            head: Head {
                synced_seq: head.seq,
                ..head
            },
            poisoned: None,
        };
        Ok((log, report))
    }

    /// Appends a record: the operating system has it then, the disk when it was synced.
    ///
    /// Errors: [`EvidenceLogError::TooLarge`] before anything was written; after an error of the disk every later
    /// append is refused until the journal is reopened.
    pub fn append(&mut self, record: &NewRecord) -> Result<Appended, EvidenceLogError> {
        self.refuse_if_poisoned()?;
        let seq = self.head.seq + 1;
        let (line, hash) = line::encode(&self.head.hash, seq, record);
        let (bytes, max) = (line.len(), self.config.max_record_bytes);
        if bytes > max {
            return Err(EvidenceLogError::TooLarge { bytes, max });
        }
        let total = bytes as u64;
        if self.head.segment_bytes > 0
            && self.head.segment_bytes + total > self.config.segment_bytes
        {
            self.rotate().map_err(|error| self.poison(error))?;
        }
        if let Err(error) = self.file.write_all(&line) {
            // Best effort: what stays is cut off when the journal is reopened.
            let _ = self.file.set_len(self.head.segment_bytes);
            let error = EvidenceLogError::io("write", &self.path(), &error);
            return Err(self.poison(error));
        }
        self.head.seq = seq;
        self.head.hash.clone_from(&hash);
        self.head.ts = record.ts_ms;
        self.head.segment_bytes += total;
        Ok(Appended { seq, hash })
    }

    /// Appends the records of a change to the files and forces them to the disk: from then on it is certain to happen.
    /// [`super::finish_change`] does it. All of it concerns records up to `upto`, none of which are in the segment that is
    /// written to.
    ///
    /// Errors: as those of [`Self::append`].
    pub fn begin_change(
        &mut self,
        upto: u64,
        told: &[NewRecord],
    ) -> Result<Vec<Appended>, EvidenceLogError> {
        self.refuse_if_poisoned()?;
        for record in told {
            record.check(self.config.max_record_bytes)?;
        }
        if upto >= self.begins && self.head.segment_bytes > 0 {
            self.rotate().map_err(|error| self.poison(error))?;
        }
        Changes::read(&self.dir)?.begin(&self.dir, self.head.seq + 1)?;
        let appended = told.iter().map(|record| self.append(record)).collect();
        self.sync_segment().map_err(|error| self.poison(error))?;
        appended
    }

    /// Completes the segment that is written to, unless it is empty.
    ///
    /// Errors: the disk failed; the journal is poisoned.
    pub fn complete_segment(&mut self) -> Result<(), EvidenceLogError> {
        self.refuse_if_poisoned()?;
        match self.head.segment_bytes {
            0 => Ok(()),
            _ => self.rotate().map_err(|error| self.poison(error)),
        }
    }

    /// The last record of the segment that was completed last, since the journal was opened.
    pub fn completed(&self) -> Option<&Appended> {
        self.completed.as_ref()
    }

    /// What was appended and may not be on the disk yet, to be synced on another thread while this one appends; the
    /// outcome is for [`Self::synced`]. `None` when all is there.
    ///
    /// Errors: the file cannot be shared; the journal is poisoned.
    pub fn unsynced(&self) -> Result<Option<Unsynced>, EvidenceLogError> {
        self.refuse_if_poisoned()?;
        if self.head.synced_seq == self.head.seq {
            return Ok(None);
        }
        let file = self.file.try_clone();
        Ok(Some(Unsynced {
            file: file.map_err(|error| EvidenceLogError::io("share", &self.path(), &error))?,
            path: self.path(),
            seq: self.head.seq,
        }))
    }

    /// Takes note of a sync beside the appends.
    ///
    /// Errors: its own; the journal is poisoned, for a second sync would lie about the first.
    pub fn synced(
        &mut self,
        outcome: &Result<u64, EvidenceLogError>,
    ) -> Result<(), EvidenceLogError> {
        self.refuse_if_poisoned()?;
        match outcome {
            // A journal that was reopened meanwhile may end before that record.
            Ok(seq) => self.head.synced_seq = self.head.synced_seq.max(*seq).min(self.head.seq),
            Err(error) => return Err(self.poison(error.clone())),
        }
        Ok(())
    }

    /// Reads the end of the journal.
    pub fn head(&self) -> Head {
        self.head.clone()
    }

    /// The number of the file that is written to.
    pub fn segment(&self) -> u64 {
        self.number
    }

    /// Reads the settings.
    pub fn config(&self) -> &EvidenceConfig {
        &self.config
    }

    fn sync_segment(&mut self) -> Result<(), EvidenceLogError> {
        if self.head.synced_seq < self.head.seq {
            self.file
                .sync_data()
                .map_err(|error| EvidenceLogError::io("sync", &self.path(), &error))?;
            self.head.synced_seq = self.head.seq;
        }
        Ok(())
    }

    /// Completes the segment and begins the next. Order: bytes, receipt, new file.
    fn rotate(&mut self) -> Result<(), EvidenceLogError> {
        self.sync_segment()?;
        self.heads
            .add(self.head.seq, &self.head.hash, self.head.ts)?;
        let segment = segments::file_name(self.number + 1);
        self.file = open_segment(&self.dir, &segment)?;
        self.number += 1;
        self.begins = self.head.seq + 1;
        self.completed = Some(Appended {
            seq: self.head.seq,
            hash: self.head.hash.clone(),
        });
        self.head.segment = segment;
        self.head.segment_bytes = 0;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.dir.join(&self.head.segment)
    }

    fn refuse_if_poisoned(&self) -> Result<(), EvidenceLogError> {
        match &self.poisoned {
            Some(reason) => Err(EvidenceLogError::Poisoned {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }

    fn poison(&mut self, error: EvidenceLogError) -> EvidenceLogError {
        self.poisoned.get_or_insert_with(|| error.to_string());
        error
    }
}

fn open_segment(dir: &Path, name: &str) -> Result<File, EvidenceLogError> {
    let path = dir.join(name);
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|file| sync_dir(dir).map(|()| file))
        .map_err(|error| EvidenceLogError::io("open", &path, &error))
}
