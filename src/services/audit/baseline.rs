//! Profiles that are kept by name, to compare later ones with.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::engines::evidence::{Measure, PROFILE_FORMAT, Profile, Thresholds, compare};
use crate::services::ServiceError;
use crate::storage::dataset_store::DatasetStore;
use crate::storage::disk::write_atomic;
use crate::types::error_kind::ErrorKind;

/// How production differs from what it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    /// The name of what it was.
    pub baseline: String,
    /// The measures that drifted.
    pub drifted: Vec<&'static str>,
    /// All of them.
    pub measures: Vec<Measure>,
}

impl Drift {
    pub(super) fn new(
        baseline: String,
        before: &Profile,
        now: &Profile,
        thresholds: &Thresholds,
    ) -> Self {
        let measures = compare(before, now, thresholds);
        let drifted = measures.iter().filter(|measure| measure.drifted);
        Self {
            baseline,
            drifted: drifted.map(|measure| measure.name).collect(),
            measures,
        }
    }
}

/// Reads a baseline; returns its name, too.
pub(super) fn read(store: &DatasetStore, name: &str) -> Result<(String, Profile), ServiceError> {
    let path = store.baseline(name)?;
    let text = std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ServiceError::not_found(format!(
            "there is no baseline {name:?}: save one with --save-baseline {name}"
        )),
        _ => ServiceError::bad_request(format!("cannot read {}: {error}", path.display())),
    })?;
    let wrong = |reason: String| {
        ServiceError::bad_request(format!("{} is no baseline: {reason}", path.display()))
    };
    let profile: Profile =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if profile.format != PROFILE_FORMAT {
        return Err(wrong(format!(
            "format {} is not {PROFILE_FORMAT}: save it again",
            profile.format
        )));
    }
    Ok((name.to_owned(), profile))
}

/// Writes a baseline; returns its place.
pub(super) fn save(path: &Path, profile: &Profile) -> Result<String, ServiceError> {
    let failed = |reason: String| {
        let message = format!("cannot write {}: {reason}", path.display());
        ServiceError::new(ErrorKind::Unavailable, message)
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    }
    let text = serde_json::to_string_pretty(profile).map_err(|error| failed(error.to_string()))?;
    write_atomic(path, format!("{text}\n").as_bytes())
        .map_err(|error| failed(error.to_string()))?;
    Ok(path.display().to_string())
}
