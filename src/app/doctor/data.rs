//! The data folder.

use std::fs;
use std::path::Path;

use super::Finding;
use crate::config::Settings;
use crate::services::now_ms;
use crate::storage::backup::collection_names;
use crate::storage::data_lock::{DataLock, DataLockError};
use crate::storage::evidence_log;
use crate::storage::snapshot::Manifest;

const FOLDER: &str = "data folder";
const JOURNAL: &str = "evidence";
const COLLECTIONS: &str = "collections";
const CLOCK: &str = "clock";
/// Clocks of two machines differ a little.
const SKEW_MS: u64 = 60_000;

/// Looks at the data folder, and changes nothing in it.
pub fn data(settings: &Settings) -> Vec<Finding> {
    let dir = &settings.storage.data_dir;
    let shown = dir.display();
    if !dir.exists() {
        return vec![match writable_parent(dir) {
            Ok(()) => Finding::ok(
                FOLDER,
                format!("{shown} is not there yet; the first start makes it"),
            ),
            Err(reason) => Finding::fail(
                FOLDER,
                format!("{shown} cannot be made: {reason}"),
                "make it, owned by the user that serves, or name another with storage.data_dir",
            ),
        }];
    }
    let mut found = Vec::new();
    // Taking the lock makes its file, which would then be of whoever runs this.
    let lock = match dir.join("LOCK").exists() {
        true => DataLock::acquire(dir).map(Some),
        false => Ok(None),
    };
    match lock {
        Ok(_lock) => found.push(match probe(dir) {
            Ok(()) => Finding::ok(
                FOLDER,
                format!("{shown} can be written, and no server has it"),
            ),
            Err(reason) => Finding::fail(
                FOLDER,
                format!("{shown} cannot be written: {reason}"),
                "give it to the user that serves, or make room",
            ),
        }),
        Err(DataLockError::Taken { .. }) => {
            found.push(Finding::ok(FOLDER, format!("a server has {shown}")));
        }
        Err(error) => {
            found.push(Finding::fail(
                FOLDER,
                error.to_string(),
                "run this as the user that serves; or give the folder to it",
            ));
            return found;
        }
    }
    found.extend(permissions(dir));
    found.extend(journal(&dir.join("evidence")));
    found.extend(collections(dir));
    found
}

/// Makes a file and takes it away again.
fn probe(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(".doctor.tmp");
    let written = fs::write(&path, "x");
    let removed = fs::remove_file(&path);
    written.and(removed)
}

fn writable_parent(dir: &Path) -> std::io::Result<()> {
    let there = dir.ancestors().skip(1).find(|one| one.exists());
    probe(
        there
            .filter(|one| !one.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    )
}

#[cfg(unix)]
fn permissions(dir: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(dir).ok()?.permissions().mode() & 0o777;
    let shown = dir.display();
    let fix = format!("chmod 700 {shown}");
    if mode & 0o022 != 0 {
        let what = format!("others may write to {shown} (mode {mode:o})");
        return Some(Finding::fail(FOLDER, what, fix));
    }
    (mode & 0o055 != 0).then(|| {
        let what = format!(
            "others may read {shown} (mode {mode:o}): prompts, answers and documents are in it"
        );
        Finding::warn(FOLDER, what, fix)
    })
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<Finding> {
    None
}

/// The end of the journal, as a start checks it; `boathouse audit` checks all of it.
fn journal(dir: &Path) -> Vec<Finding> {
    if !dir.exists() {
        return Vec::new();
    }
    match evidence_log::check_end(dir) {
        Ok(head) => {
            let mut found = vec![Finding::ok(
                JOURNAL,
                format!(
                    "the chain's newest file is whole, up to record {}; `boathouse audit` checks all",
                    head.seq
                ),
            )];
            found.push(match head.ts > now_ms().saturating_add(SKEW_MS) {
                true => Finding::warn(
                    CLOCK,
                    format!(
                        "the newest record is {} s in the future",
                        head.ts.saturating_sub(now_ms()) / 1_000
                    ),
                    "set the clock (timedatectl, chrony): budgets, expiry and retention go by it",
                ),
                false => Finding::ok(CLOCK, "not before the newest record"),
            });
            found
        }
        Err(error) => vec![Finding::fail(
            JOURNAL,
            error.to_string(),
            "run `boathouse audit`, then restore a backup: the server does not start with it",
        )],
    }
}

fn collections(dir: &Path) -> Vec<Finding> {
    let names = match collection_names(dir) {
        Ok(names) => names,
        Err(error) => {
            let fix = "give the folder to the user that serves";
            return vec![Finding::fail(COLLECTIONS, error.to_string(), fix)];
        }
    };
    let mut found = Vec::new();
    for name in &names {
        if let Err(error) = Manifest::load(&dir.join("collections").join(name)) {
            found.push(Finding::fail(
                COLLECTIONS,
                format!("{name} does not open: {error}"),
                format!(
                    "stop the server and run `boathouse collection check {name}`; the others serve"
                ),
            ));
        }
    }
    if found.is_empty() && !names.is_empty() {
        let what = format!("{} of a format that this version reads", names.len());
        found.push(Finding::ok(COLLECTIONS, what));
    }
    found
}
