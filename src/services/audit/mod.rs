//! Whether the evidence is what was written, whether what was made of it is what was made, and whether production is as it was.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize as _, Serialize};
use serde_json::Value;

pub use crate::engines::evidence::Profile;
use crate::engines::evidence::{Profiler, Shapes};
use crate::services::ServiceError;
use crate::storage::dataset_store::DatasetStore;
use crate::storage::evidence_log;
use crate::storage::replicas::Replicas;
use crate::types::error_kind::ErrorKind;
use crate::types::evidence::{
    ChatEvidence, ErasureEvidence, EvidenceRecord, FeedbackEvidence, Kind, RetentionEvidence,
    SearchEvidence, ValidationEvidence,
};

mod baseline;
mod folders;

pub use crate::engines::evidence::{Measure, Thresholds, Way};
pub use crate::storage::evidence_log::{KeptHead, VerifyReport as Chain};
pub use baseline::Drift;
pub use folders::{Check, Fault, Folder};

/// Misfits that are kept; the rest is only counted.
const MAX_MISFITS: usize = 100;

/// What is asked beside the whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditInput {
    /// A head that was kept elsewhere.
    pub kept: Option<KeptHead>,
    /// The profile's first moment, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// The moment after its last one.
    pub until_ms: Option<u64>,
    /// The profile to compare with.
    pub baseline: Option<String>,
    /// The name to keep the present profile by.
    pub save_baseline: Option<String>,
    /// From when on a measure has drifted.
    pub thresholds: Thresholds,
}

/// A record whose body is not as its schema says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// In which file.
    pub file: String,
    /// In which line, from 1.
    pub line: u64,
    /// Which record.
    pub seq: u64,
    /// Whose schema.
    pub kind: Kind,
    /// JSON Pointer into the body; empty for the whole.
    pub path: String,
    /// In words.
    pub message: String,
}

/// Whether bodies are as their schemas say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemaReport {
    /// Bodies that were looked at: all but the erased ones.
    pub checked: u64,
    /// The first hundred places that are not.
    pub problems: Vec<Misfit>,
    /// How many records have such a place.
    pub problem_count: u64,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditReport {
    /// Whether nothing is wrong. Drift is no wrong.
    pub sound: bool,
    /// How many things are.
    pub problem_count: u64,
    /// The journal's chain.
    pub chain: Chain,
    /// The bodies of its records.
    pub schemas: SchemaReport,
    /// What was made of it: the tasks and each export.
    pub datasets: Vec<Folder>,
    /// How production was.
    pub profile: Profile,
    /// How it differs from the baseline, where one is named.
    pub drift: Option<Drift>,
    /// The file that the profile was kept in.
    pub saved: Option<String>,
    /// Whether it was not kept, because the chain is not intact.
    pub save_refused: bool,
}

/// Audits a data folder, also one that a server has open. `progress` is told the bytes of each file of the journal before it
/// is read, after those of all.
///
/// Errors: there is no journal; no such baseline; the disk failed.
pub fn audit(
    data_dir: &Path,
    input: AuditInput,
    progress: impl FnMut(u64, u64),
) -> Result<AuditReport, ServiceError> {
    let journal = data_dir.join("evidence");
    if !journal.is_dir() {
        return Err(ServiceError::bad_request(format!(
            "{} is no folder: a server makes it at its first start",
            journal.display()
        )));
    }
    let store = DatasetStore::new(&data_dir.join("datasets"));
    let replicas = Replicas::new(data_dir, "");
    // Before the long walk: a name that is wrong is told at once.
    let before = input.baseline.as_deref();
    let before = before
        .map(|name| baseline::read(&store, name))
        .transpose()?;
    let target = input.save_baseline.as_deref();
    let target = target.map(|name| store.baseline(name)).transpose()?;

    let shapes =
        Shapes::new().map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
    let heads = folders::heads(&store)?;
    let profiler = Profiler::new(input.since_ms, input.until_ms);
    let fresh = || Seen {
        heads: heads.clone(),
        ..Seen::new(profiler.clone())
    };
    let (chain, mut seen) = evidence_log::verify_reading(
        &journal,
        input.kept,
        progress,
        fresh,
        |seen, place, record| {
            seen.record(&shapes, place, record);
        },
    )?;
    let datasets = folders::check(&store, (&journal, &replicas), &chain, &mut seen)?;
    let profile = seen.profiler.finish();
    let drift = before.map(|(name, before)| Drift::new(name, &before, &profile, &input.thresholds));
    let saved = target
        .filter(|_| chain.intact)
        .map(|path| baseline::save(&path, &profile))
        .transpose()?;
    let wrong: usize = datasets.iter().map(|folder| folder.problems.len()).sum();
    let problem_count = chain.problem_count + seen.schemas.problem_count + wrong as u64;
    Ok(AuditReport {
        sound: problem_count == 0,
        problem_count,
        chain,
        schemas: seen.schemas,
        datasets,
        profile,
        drift,
        save_refused: input.save_baseline.is_some() && saved.is_none(),
        saved,
    })
}

/// What a walk over the journal saw.
#[derive(Debug, Clone)]
struct Seen {
    schemas: SchemaReport,
    profiler: Profiler,
    /// The hashes of the records that receipts call the last ones.
    heads: BTreeMap<u64, Option<String>>,
    /// The newest erasure that reached into a file.
    erased: BTreeMap<String, u64>,
    /// Erasures, each with the first record that it erased.
    erasures: Vec<(u64, u64)>,
}

impl Seen {
    fn new(profiler: Profiler) -> Self {
        Self {
            schemas: SchemaReport::default(),
            profiler,
            heads: BTreeMap::new(),
            erased: BTreeMap::new(),
            erasures: Vec::new(),
        }
    }

    fn record(&mut self, shapes: &Shapes, (file, line): (&str, u64), record: &EvidenceRecord) {
        if let Some(hash) = self.heads.get_mut(&record.seq) {
            *hash = Some(record.hash.clone());
        }
        if let Some(erased) = &record.erased {
            let newest = self.erased.entry(file.to_owned()).or_default();
            *newest = erased.by.max(*newest);
            return;
        }
        self.schemas.checked += 1;
        let misfits = shapes.misfits(record);
        let mut wrong: Vec<_> = misfits
            .into_iter()
            .map(|misfit| (misfit.path, misfit.message))
            .collect();
        if let Err(reason) = self.body(record)
            && wrong.is_empty()
        {
            wrong.push((String::new(), reason));
        }
        self.schemas.problem_count += u64::from(!wrong.is_empty());
        for (path, message) in wrong {
            if self.schemas.problems.len() < MAX_MISFITS {
                self.schemas.problems.push(Misfit {
                    file: file.to_owned(),
                    line,
                    seq: record.seq,
                    kind: record.kind,
                    path,
                    message,
                });
            }
        }
    }

    /// Reads a body as what everything else reads it as.
    fn body(&mut self, record: &EvidenceRecord) -> Result<(), String> {
        let body: &Value = &record.body;
        let read = match record.kind {
            Kind::Chat => ChatEvidence::deserialize(body).map(|chat| {
                if self.profiler.spans(record.ts) {
                    self.profiler.chat(&chat);
                }
            }),
            Kind::Search => SearchEvidence::deserialize(body).map(|_| ()),
            Kind::Validation => ValidationEvidence::deserialize(body).map(|_| ()),
            Kind::Feedback => FeedbackEvidence::deserialize(body).map(|_| ()),
            Kind::Erasure => ErasureEvidence::deserialize(body).map(|told| {
                let first = told.records.iter().map(|(first, _)| *first).min();
                self.erasures.extend(first.map(|first| (record.seq, first)));
            }),
            Kind::Retention => RetentionEvidence::deserialize(body).map(|_| ()),
        };
        read.map_err(|error| error.to_string())
    }

    /// The newest erasure after a record that reached to it or before.
    fn erasure_after(&self, seq: u64) -> Option<u64> {
        let reached = self.erasures.iter().rev();
        let mut reached = reached.filter(|(by, first)| *by > seq && *first <= seq);
        reached.next().map(|(by, _)| *by)
    }
}
