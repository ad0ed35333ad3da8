//! One pull: the journals of all replicas as they are in the bucket, each verified before it takes the place of the one before.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::pushed::{JOURNAL, MANIFEST, MAX_MANIFEST_BYTES, Manifest, folder};
use super::{Beat, PullReport, PulledReplica, PushError, PushPaths, TRIES, blocking};
use crate::storage::dataset_store::{FileReceipt, Staging};
use crate::storage::disk::write_atomic;
use crate::storage::evidence_log::{KeptHead, VerifyReport, segments, verify_beside};
use crate::storage::replicas::is_name;
use crate::transport::objects::{Bucket, ObjectError};

/// The manifest of the journal that is here, in its folder.
const KEPT: &str = ".manifest.json";
/// How the folder of a replica is called there.
const REPLICA: &str = "replica=";

pub(super) async fn run(paths: &Arc<PushPaths>, beat: &Beat) -> Result<PullReport, PushError> {
    let here = Arc::clone(paths);
    let (bucket, own) = blocking(move || {
        here.replicas.recover()?;
        // What it has itself it need not fetch.
        let has = segments(&here.evidence)?.iter().any(|one| one.bytes > 0);
        let own = here.replicas.name().filter(|_| has);
        Ok((Bucket::open(&here.url)?, own))
    })
    .await?;
    let folders = bucket.folders(JOURNAL).await?;
    let names = folders.iter().filter_map(|name| name.strip_prefix(REPLICA));
    let names: BTreeSet<&str> = names.filter(|name| is_name(name)).collect();
    if names.is_empty() {
        return Err(PushError::Empty(paths.url.clone()));
    }
    let mut report = PullReport {
        url: paths.url.clone(),
        ..PullReport::default()
    };
    for name in &names {
        if own.as_deref() == Some(*name) {
            continue;
        }
        let pulling = Pulling {
            paths,
            bucket: &bucket,
            replica: name,
            beat,
        };
        report.replicas.push(pulling.replica().await?);
    }
    let (here, names) = (Arc::clone(paths), names.into_iter().map(str::to_owned));
    let names: BTreeSet<String> = names.collect();
    report.removed = blocking(move || {
        let mut removed = here.replicas.pulled()?;
        removed.retain(|name| !names.contains(name));
        for name in &removed {
            here.replicas.forget(name)?;
        }
        Ok(removed)
    })
    .await?;
    Ok(report)
}

/// A replica's journal on its way.
struct Pulling<'a> {
    paths: &'a Arc<PushPaths>,
    bucket: &'a Bucket,
    replica: &'a str,
    beat: &'a Beat,
}

impl Pulling<'_> {
    async fn replica(&self) -> Result<PulledReplica, PushError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once().await {
                // It was pushed again while it was fetched.
                Err(error) if error.is_of_a_change() && tries < TRIES => {}
                Err(PushError::Manifest { reason, .. }) => {
                    return Ok(PulledReplica {
                        replica: self.replica.to_owned(),
                        problem: Some(reason),
                        ..PulledReplica::default()
                    });
                }
                done => return done,
            }
        }
    }

    async fn once(&self) -> Result<PulledReplica, PushError> {
        let path = self.path(MANIFEST);
        let text = self.bucket.read(&path, MAX_MANIFEST_BYTES).await?;
        let text = text.ok_or_else(|| PushError::Manifest {
            replica: self.replica.to_owned(),
            reason: "there is none: its first push has not ended".to_owned(),
        })?;
        let manifest = Manifest::parse(self.replica, &text)?;
        let (here, name) = (Arc::clone(self.paths), self.replica.to_owned());
        let before = blocking(move || {
            let dir = here.replicas.dir(&name);
            let text = std::fs::read(dir.join(KEPT)).unwrap_or_default();
            Ok((Manifest::parse(&name, &text).ok(), text))
        });
        let (before, kept) = before.await?;
        let mut report = PulledReplica {
            replica: self.replica.to_owned(),
            segments: manifest.segments.len() as u64,
            head_seq: manifest.head.seq,
            ..PulledReplica::default()
        };
        // One that has nothing is no journal to read: another set of journals makes all tasks anew.
        if kept == text || (manifest.segments.is_empty() && before.is_none()) {
            (report.unchanged, report.intact) = (true, true);
            return Ok(report);
        }
        let (here, name) = (Arc::clone(self.paths), self.replica.to_owned());
        let mut staging = blocking(move || Ok(here.replicas.stage(&name)?)).await?;
        let has = |file: &FileReceipt| {
            let before = before.as_ref();
            before.is_some_and(|before| before.segments.contains(file))
        };
        let (kept, new): (Vec<&FileReceipt>, Vec<&FileReceipt>) =
            manifest.segments.iter().partition(|file| has(file));
        let new: Vec<&FileReceipt> = new.into_iter().chain(&manifest.beside).collect();
        let bytes = new.iter().map(|file| file.bytes).sum();
        self.paths.movement.expect(bytes);
        report.fetched_bytes = bytes;
        let kept: Vec<String> = kept.into_iter().map(|file| file.path.clone()).collect();
        staging = blocking(move || {
            kept.iter().try_for_each(|path| staging.reuse(path))?;
            Ok(staging)
        })
        .await?;
        for file in new {
            staging = self.fetch(file, staging).await?;
        }
        self.take(report, manifest, before, (staging, text)).await
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", folder(JOURNAL, self.replica))
    }

    /// Fetches one file.
    async fn fetch(&self, file: &FileReceipt, staging: Staging) -> Result<Staging, PushError> {
        let name = file.path.clone();
        let (staging, to) = blocking(move || {
            let to = staging.create(&name)?;
            Ok((staging, to))
        })
        .await?;
        let tick = |bytes| {
            (self.beat)();
            self.paths.movement.step(bytes)
        };
        let path = self.path(&file.path);
        let fetched = match self.bucket.fetch(&path, to, &tick).await {
            Ok(fetched) => fetched,
            Err(ObjectError::NotFound { path, .. }) => {
                return Err(ObjectError::Changed(path).into());
            }
            Err(error) => return Err(error.into()),
        };
        let found = blocking(move || Ok(fetched.finish()?)).await?;
        match (found.bytes, &found.sha256) == (file.bytes, &file.sha256) {
            true => Ok(staging),
            false => Err(ObjectError::Changed(path).into()),
        }
    }

    /// Verifies the chain; only one that is intact, and goes on from what was here, takes its place.
    async fn take(
        &self,
        mut report: PulledReplica,
        manifest: Manifest,
        before: Option<Manifest>,
        (staging, text): (Staging, Vec<u8>),
    ) -> Result<PulledReplica, PushError> {
        let beat = Arc::clone(self.beat);
        let verified = blocking(move || {
            let kept = before
                .filter(|before| before.head.seq > 0)
                .map(|before| KeptHead {
                    seq: before.head.seq,
                    hash: before.head.hash,
                });
            let verified = verify_beside(staging.dir(), kept, |_, _| beat());
            let problem = match verified {
                Ok(chain) => problem(&chain, &manifest),
                Err(error) => Some(error.to_string()),
            };
            if problem.is_none() {
                note(staging.dir(), &text)?;
                staging.commit()?;
            }
            Ok(problem)
        });
        report.problem = verified.await?;
        report.intact = report.problem.is_none();
        Ok(report)
    }
}

fn note(dir: &Path, text: &[u8]) -> Result<(), PushError> {
    Ok(write_atomic(&dir.join(KEPT), text)?)
}

/// What keeps a journal from being taken.
fn problem(chain: &VerifyReport, manifest: &Manifest) -> Option<String> {
    let head = &manifest.head;
    if let Some(first) = chain.problems.first() {
        let count = chain.problem_count;
        return Some(format!(
            "its chain is not intact ({count} problems): {} line {}: {}",
            first.file, first.line, first.message
        ));
    }
    let is_head = (chain.head_seq, &chain.head_hash) == (head.seq, &head.hash);
    (!is_head).then(|| {
        format!(
            "it ends at record {}, its manifest says {}",
            chain.head_seq, head.seq
        )
    })
}
