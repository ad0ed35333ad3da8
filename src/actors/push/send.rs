//! One push: look at what is here, send what is not there, delete what is here no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::pushed::{
    EVIDENCE, EXPORTS, HeadPushed, JOURNAL, MANIFEST, MAX_MANIFEST_BYTES, Manifest, Pushed, Sent,
    TASKS, folder, manifest_format, modified_ns,
};
use super::{Beat, Movement, PushError, PushPaths, PushReport, blocking, rows};
use crate::engines::dataset::Receipt;
use crate::storage::dataset_store::{DatasetStore, FileReceipt, Staging, hash_file, hex};
use crate::storage::evidence_log::{GENESIS, Segment, records, segments};
use crate::storage::replicas::propose;
use crate::transport::objects::{Bucket, ObjectError};

/// What stands beside the segments, and is sent with them.
const BESIDE: [&str; 2] = ["heads.log", "changes.json"];
/// The receipt of a folder of datasets, and what that of the tasks is called there: readers of Parquet pass over it.
const RECEIPT: &str = "receipt.json";
const TASKS_RECEIPT: &str = "_receipt.json";
/// Largest file that is sent from memory.
const MAX_SMALL_BYTES: u64 = 256 << 20;

/// What is asked of a push.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) take_over: bool,
    pub(super) now_ms: u64,
    pub(super) random: [u8; 4],
}

/// What is to be there.
#[derive(Debug, Default)]
struct Wanted {
    /// Of the journal, oldest first.
    segments: Vec<Segment>,
    /// Small ones, by path.
    texts: Vec<(String, Vec<u8>)>,
    /// Files that a receipt tells of.
    files: Vec<(String, PathBuf, FileReceipt)>,
    /// What is there and must stay, beside all these.
    paths: BTreeSet<String>,
    notes: Vec<String>,
}

pub(super) async fn run(
    paths: &Arc<PushPaths>,
    asked: Asked,
    beat: &Beat,
) -> Result<PushReport, PushError> {
    let here = Arc::clone(paths);
    let (bucket, replica) = blocking(move || {
        let replica = here.replicas.name_or(&propose(asked.random))?;
        Ok((Bucket::open(&here.url)?, replica))
    })
    .await?;
    let mut sending = Sending {
        pushed: begin(paths, &bucket, &replica, asked.take_over).await?,
        paths: Arc::clone(paths),
        bucket,
        replica,
        beat: Arc::clone(beat),
        report: PushReport::default(),
    };
    let sent = sending.all(asked.now_ms).await;
    // Also of one that failed: what was sent need not be sent again.
    let (pushed, here) = (sending.pushed, Arc::clone(paths));
    blocking(move || pushed.write(&here.data_dir)).await?;
    sent?;
    Ok(sending.report)
}

/// What is there, as far as that is known. What only a listing tells of is sent again.
async fn begin(
    paths: &Arc<PushPaths>,
    bucket: &Bucket,
    replica: &str,
    take_over: bool,
) -> Result<Pushed, PushError> {
    let path = format!("{}/{MANIFEST}", folder(JOURNAL, replica));
    let text = bucket.read(&path, MAX_MANIFEST_BYTES).await?;
    let manifest_sha256 = text.as_deref().map(text_sum).unwrap_or_default();
    let manifest = match &text {
        Some(text) => Some(Manifest::parse(replica, text)?),
        None => None,
    };
    let (here, name, of) = (Arc::clone(paths), replica.to_owned(), manifest.clone());
    let (known, is_ours) = blocking(move || {
        let known = Pushed::read(&here.data_dir, &here.url, &name);
        let is_ours = match of {
            Some(manifest) => manifest.is_continued_by(&here.evidence)?,
            None => true,
        };
        Ok((known, is_ours))
    })
    .await?;
    if let Some(manifest) = &manifest
        && !is_ours
        && !take_over
    {
        return Err(PushError::Foreign {
            replica: replica.to_owned(),
            seq: manifest.head.seq,
        });
    }
    // Another process, with a copy of this data folder, may have been there since.
    if let Some(known) = known
        && known.manifest_sha256 == manifest_sha256
    {
        return Ok(known);
    }
    let mut pushed = Pushed::new(&paths.url, replica);
    for of in [EVIDENCE, JOURNAL, TASKS, EXPORTS] {
        for object in bucket.list(&folder(of, replica)).await? {
            let unknown = Sent {
                rows: 0,
                bytes: object.bytes,
                sha256: String::new(),
                modified_ns: 0,
            };
            pushed.objects.insert(object.path, unknown);
        }
    }
    // Where the journal goes on, its manifest says what its segments are.
    let manifest = manifest.filter(|_| is_ours);
    for segment in manifest.iter().flat_map(|manifest| &manifest.segments) {
        let path = format!("{}/{}", folder(JOURNAL, replica), segment.path);
        if let Some(sent) = pushed.objects.get_mut(&path)
            && sent.bytes == segment.bytes
        {
            *sent = Sent::of(segment);
        }
    }
    Ok(pushed)
}

/// A push under way.
struct Sending {
    paths: Arc<PushPaths>,
    bucket: Bucket,
    replica: String,
    pushed: Pushed,
    beat: Beat,
    report: PushReport,
}

impl Sending {
    async fn all(&mut self, now_ms: u64) -> Result<(), PushError> {
        self.report.url.clone_from(&self.paths.url);
        self.report.replica.clone_from(&self.replica);
        let (here, replica) = (Arc::clone(&self.paths), self.replica.clone());
        let wanted = blocking(move || look(&here, &replica)).await?;
        let Wanted {
            segments,
            texts,
            files,
            mut paths,
            notes,
        } = wanted;
        self.report.notes = notes;
        self.expect(&segments, &files);
        let mut listed = Vec::new();
        for segment in &segments {
            listed.push(self.segment(segment).await?);
        }
        let of_segments = self.of_segments(&segments);
        paths.extend(of_segments);
        let mut beside = Vec::new();
        for (path, bytes) in texts {
            let receipt = self.text(&path, bytes).await?;
            if let Some(name) = path.strip_prefix(&self.journal("")) {
                beside.push(FileReceipt {
                    path: name.to_owned(),
                    ..receipt
                });
            }
            paths.insert(path);
        }
        for (path, file, receipt) in files {
            self.file(&path, &file, &receipt).await?;
            paths.insert(path);
        }
        let manifest = self.journal(MANIFEST);
        if self.paths.with_evidence {
            self.manifest(now_ms, listed, beside).await?;
            paths.insert(manifest);
        }
        self.delete_others(&paths).await
    }

    /// The path of a file of the journal.
    fn journal(&self, name: &str) -> String {
        format!("{}/{name}", folder(JOURNAL, &self.replica))
    }

    fn expect(&self, segments: &[Segment], files: &[(String, PathBuf, FileReceipt)]) {
        let new = |path: &str, bytes: u64| {
            let known = self.pushed.objects.get(path);
            known.is_none_or(|sent| sent.bytes != bytes)
        };
        let segments = segments.iter();
        let segments = segments.filter(|one| new(&self.journal(&one.name), one.bytes));
        let files = files.iter();
        let files = files.filter(|(path, _, receipt)| new(path, receipt.bytes));
        let bytes: u64 = segments.map(|one| one.bytes).sum();
        let more: u64 = files.map(|(.., receipt)| receipt.bytes).sum();
        self.paths.movement.expect(bytes + more);
    }

    /// Sends a segment, when it is another one than is there: its records by day, then itself.
    async fn segment(&mut self, segment: &Segment) -> Result<FileReceipt, PushError> {
        let path = self.journal(&segment.name);
        let known = self.pushed.objects.get(&path).cloned();
        let (here, of, beat) = (
            Arc::clone(&self.paths),
            segment.clone(),
            Arc::clone(&self.beat),
        );
        let (modified, receipt) =
            blocking(move || hashed(&here.evidence, &of, known.as_ref(), &beat)).await?;
        let known = self.pushed.objects.get_mut(&path);
        if let Some(known) = known
            && known.is(&receipt)
        {
            known.modified_ns = modified;
            self.report.kept += 1;
            return Ok(receipt);
        }
        let (here, of, name, beat) = (
            Arc::clone(&self.paths),
            segment.clone(),
            part(segment.number),
            Arc::clone(&self.beat),
        );
        let (staging, written) = blocking(move || parquet(&here, &of, &name, &beat)).await?;
        let mut parts = BTreeSet::new();
        for file in written {
            let path = format!("{}/date={}", folder(EVIDENCE, &self.replica), file.path);
            self.file(&path, &staging.dir().join(&file.path), &file)
                .await?;
            parts.insert(path);
        }
        let file = self.paths.evidence.join(&segment.name);
        self.send(&path, &file, &receipt).await?;
        if let Some(sent) = self.pushed.objects.get_mut(&path) {
            sent.modified_ns = modified;
        }
        blocking(move || {
            drop(staging);
            Ok(())
        })
        .await?;
        // What an erasure left no record of.
        let name = part(segment.number);
        let of_it =
            |path: &&String| path.starts_with(EVIDENCE) && path.ends_with(&format!("/{name}"));
        let objects = self.pushed.objects.keys();
        let stale: Vec<String> = objects
            .filter(of_it)
            .filter(|path| !parts.contains(*path))
            .cloned()
            .collect();
        for path in stale {
            self.delete(&path).await?;
        }
        Ok(receipt)
    }

    /// The objects of segments that are here.
    fn of_segments(&self, segments: &[Segment]) -> Vec<String> {
        let mut names = BTreeMap::new();
        for segment in segments {
            names.insert(part(segment.number), ());
            names.insert(segment.name.clone(), ());
        }
        let is_of = |path: &&String| {
            let of = [EVIDENCE, JOURNAL];
            let name = path.rsplit('/').next().unwrap_or_default();
            of.iter().any(|of| path.starts_with(of)) && names.contains_key(name)
        };
        let objects = self.pushed.objects.keys();
        objects.filter(is_of).cloned().collect()
    }

    async fn text(&mut self, path: &str, bytes: Vec<u8>) -> Result<FileReceipt, PushError> {
        let receipt = FileReceipt {
            path: path.to_owned(),
            rows: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
            bytes: bytes.len() as u64,
            sha256: text_sum(&bytes),
        };
        let known = self.pushed.objects.get(path);
        if known.is_some_and(|known| known.is(&receipt)) {
            self.report.kept += 1;
            return Ok(receipt);
        }
        self.forget(path);
        self.bucket.put(path, bytes).await?;
        self.sent(path, &receipt);
        self.paths.movement.step(receipt.bytes)?;
        Ok(receipt)
    }

    async fn file(
        &mut self,
        path: &str,
        file: &Path,
        receipt: &FileReceipt,
    ) -> Result<(), PushError> {
        let known = self.pushed.objects.get(path);
        if known.is_some_and(|known| known.is(receipt)) {
            self.report.kept += 1;
            return Ok(());
        }
        self.send(path, file, receipt).await
    }

    async fn send(
        &mut self,
        path: &str,
        file: &Path,
        receipt: &FileReceipt,
    ) -> Result<(), PushError> {
        self.forget(path);
        let (movement, beat) = (Arc::clone(&self.paths.movement), Arc::clone(&self.beat));
        let tick = move |bytes: u64| {
            beat();
            movement.step(bytes)
        };
        let is = (receipt.bytes, receipt.sha256.as_str());
        self.bucket.put_file(path, file, is, &tick).await?;
        self.sent(path, receipt);
        Ok(())
    }

    /// Until it is sent again, nobody knows what is there.
    fn forget(&mut self, path: &str) {
        if let Some(sent) = self.pushed.objects.get_mut(path) {
            sent.sha256.clear();
            sent.modified_ns = 0;
        }
    }

    fn sent(&mut self, path: &str, receipt: &FileReceipt) {
        self.report.sent += 1;
        self.report.sent_bytes += receipt.bytes;
        let sent = Sent::of(receipt);
        self.pushed.objects.insert(path.to_owned(), sent);
    }

    async fn manifest(
        &mut self,
        now_ms: u64,
        segments: Vec<FileReceipt>,
        beside: Vec<FileReceipt>,
    ) -> Result<(), PushError> {
        let path = self.journal(MANIFEST);
        // When it was pushed last is no news, where nothing else is.
        if self.report.sent == 0 && self.pushed.objects.contains_key(&path) {
            self.report.head_seq = self.pushed.head_seq;
            return Ok(());
        }
        let (here, last) = (Arc::clone(&self.paths), segments.last().cloned());
        let head = blocking(move || head(&here.evidence, last.as_ref())).await?;
        self.report.head_seq = head.seq;
        self.pushed.head_seq = head.seq;
        let manifest = Manifest {
            format: manifest_format(),
            replica: self.replica.clone(),
            pushed_ms: now_ms,
            head,
            segments,
            beside,
        };
        let text = serde_json::to_vec_pretty(&manifest);
        let text = text.map_err(|error| PushError::Json(error.to_string()))?;
        self.pushed.manifest_sha256 = text_sum(&text);
        self.text(&path, text).await.map(|_| ())
    }

    /// Deletes what is there and is not to be.
    async fn delete_others(&mut self, paths: &BTreeSet<String>) -> Result<(), PushError> {
        let (with_evidence, with_datasets) = (self.paths.with_evidence, self.paths.with_datasets);
        let is_ours = |path: &str| {
            let of_evidence = [EVIDENCE, JOURNAL].iter().any(|of| path.starts_with(of));
            match of_evidence {
                true => with_evidence,
                false => with_datasets,
            }
        };
        let objects = self.pushed.objects.keys();
        let others: Vec<String> = objects
            .filter(|path| is_ours(path) && !paths.contains(*path))
            .cloned()
            .collect();
        for path in others {
            self.delete(&path).await?;
        }
        Ok(())
    }

    async fn delete(&mut self, path: &str) -> Result<(), PushError> {
        self.forget(path);
        self.bucket.delete(path).await?;
        self.pushed.objects.remove(path);
        self.report.deleted += 1;
        (self.beat)();
        Ok(self.paths.movement.step(0)?)
    }
}

/// The name of the Parquet files of a segment.
fn part(number: u64) -> String {
    format!("part-{number:08}.parquet")
}

/// Looks at what is here.
fn look(paths: &PushPaths, replica: &str) -> Result<Wanted, PushError> {
    let mut wanted = Wanted::default();
    if paths.with_evidence {
        // Before the segments are listed: they may know less than these hold, never more.
        for name in BESIDE {
            let file = paths.evidence.join(name);
            if let Some(bytes) = small(&file)? {
                let path = format!("{}/{name}", folder(JOURNAL, replica));
                wanted.texts.push((path, bytes));
            }
        }
        wanted.segments = segments(&paths.evidence)?;
        wanted.segments.retain(|segment| segment.bytes > 0);
    }
    if paths.with_datasets {
        tasks(paths, replica, &mut wanted)?;
        for name in paths.datasets.exports()? {
            let under = format!("{}/{name}", folder(EXPORTS, replica));
            let dir = paths.datasets.export(&name)?;
            let Some((receipt, bytes)) = receipt_of(&dir, &name, &mut wanted)? else {
                continue;
            };
            for output in receipt.outputs {
                let (path, file) = (format!("{under}/{}", output.path), dir.join(&output.path));
                wanted.files.push((path, file, output));
            }
            wanted.texts.push((format!("{under}/{RECEIPT}"), bytes));
        }
    }
    Ok(wanted)
}

/// The tasks: of a day's folder only what is Parquet, so that the folder of all can be read as it is.
fn tasks(paths: &PushPaths, replica: &str, wanted: &mut Wanted) -> Result<(), PushError> {
    let under = folder(TASKS, replica);
    let dir = paths.datasets.tasks();
    if !dir.is_dir() {
        return Ok(());
    }
    let Some((receipt, bytes)) = receipt_of(&dir, "tasks", wanted)? else {
        return Ok(());
    };
    let is_parquet = |output: &FileReceipt| output.path.ends_with(".parquet");
    let of_days = receipt
        .outputs
        .iter()
        .any(|output| output.path.starts_with("date="));
    if of_days && !receipt.outputs.iter().any(is_parquet) {
        let note = "the tasks are not pushed: they have no Parquet files, for dataset.parquet was false when they were made";
        wanted.notes.push(note.to_owned());
        return Ok(());
    }
    for output in receipt.outputs.into_iter().filter(is_parquet) {
        let (path, file) = (format!("{under}/{}", output.path), dir.join(&output.path));
        wanted.files.push((path, file, output));
    }
    wanted
        .texts
        .push((format!("{under}/{TASKS_RECEIPT}"), bytes));
    Ok(())
}

/// Reads the receipt of a folder; of one without, nothing is sent.
fn receipt_of(
    dir: &Path,
    name: &str,
    wanted: &mut Wanted,
) -> Result<Option<(Receipt, Vec<u8>)>, PushError> {
    let read = small(&dir.join(RECEIPT))?;
    let read = read.map(|bytes| (Receipt::parse(&bytes), bytes));
    Ok(match read {
        Some((Ok(receipt), bytes)) => Some((receipt, bytes)),
        Some((Err(reason), _)) => {
            let note = format!("{name} is not pushed: its receipt cannot be read: {reason}");
            wanted.notes.push(note);
            None
        }
        None => None,
    })
}

/// A small file; `None` when it is not there.
fn small(file: &Path) -> Result<Option<Vec<u8>>, PushError> {
    match file.is_file() {
        true => Ok(Some(crate::storage::disk::read_bounded(
            file,
            MAX_SMALL_BYTES,
        )?)),
        false => Ok(None),
    }
}

/// When a segment was written to, and its sums: those of before, where nothing says that it is another one.
fn hashed(
    dir: &Path,
    segment: &Segment,
    known: Option<&Sent>,
    beat: &Beat,
) -> Result<(u64, FileReceipt), PushError> {
    let file = dir.join(&segment.name);
    let metadata = std::fs::metadata(&file).map_err(|error| gone(&file, &error))?;
    let modified = modified_ns(&metadata);
    if let Some(known) = known
        && known.modified_ns == modified
        && known.bytes == segment.bytes
        && modified > 0
        && !known.sha256.is_empty()
    {
        let receipt = FileReceipt {
            path: segment.name.clone(),
            rows: known.rows,
            bytes: known.bytes,
            sha256: known.sha256.clone(),
        };
        return Ok((modified, receipt));
    }
    let mut bytes = segment.bytes;
    if segment.complete {
        // An erasure may have replaced it since it was listed.
        bytes = metadata.len();
    }
    let receipt = hash_file(dir, &segment.name, bytes, &mut || beat())?;
    Ok((modified, receipt))
}

/// A file that was there is gone: retention has removed it, and the whole is looked at again.
fn gone(file: &Path, error: &std::io::Error) -> PushError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ObjectError::Changed(file.display().to_string()).into(),
        _ => ObjectError::disk("read", file, error).into(),
    }
}

/// Writes the records of a segment by day, into a folder that goes with what is returned.
fn parquet(
    paths: &PushPaths,
    segment: &Segment,
    name: &str,
    beat: &Beat,
) -> Result<(Staging, Vec<FileReceipt>), PushError> {
    let store = DatasetStore::new(&paths.data_dir);
    let staging = store.stage(&paths.data_dir.join("push"))?;
    let movement: &Movement = &paths.movement;
    let mut tick = || {
        beat();
        movement.step(0).map_err(PushError::from)
    };
    let written = rows::write(&paths.evidence, segment, (&staging, name), &mut tick)?;
    Ok((staging, written))
}

/// The last record of the segment that is the last.
fn head(dir: &Path, last: Option<&FileReceipt>) -> Result<HeadPushed, PushError> {
    let mut head = HeadPushed {
        seq: 0,
        hash: GENESIS.to_owned(),
    };
    let Some(last) = last else {
        return Ok(head);
    };
    let of_it = segments(dir)?.into_iter().find(|one| one.name == last.path);
    let segment = of_it.map(|one| Segment {
        bytes: last.bytes,
        complete: false,
        ..one
    });
    for line in records(dir, segment.into_iter().collect()) {
        if let Ok(record) = line?.record {
            head = HeadPushed {
                seq: record.seq,
                hash: record.hash,
            };
        }
    }
    Ok(head)
}

fn text_sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
