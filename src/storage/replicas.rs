//! Which replica this is, and the journals of others that were pulled.
//!
//! `replica` holds this one's name, where the settings give none. `replicas/NAME/` is the journal of another one, in the form
//! of a journal of one's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::dataset_store::{DatasetStore, DatasetStoreError, Staging};
use super::disk::{StorageError, write_atomic};
use super::evidence_log::{EvidenceLogError, segments};

/// Longest name, bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The name of a replica that was given none.
const UNNAMED: &str = "local";

/// Whether a text can be a replica's name: it is one part of paths and of addresses.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// A journal that tasks are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalOf {
    /// Whose it is; `None` where there is only this process's own.
    pub replica: Option<String>,
    /// Its folder.
    pub dir: PathBuf,
    /// Whether it is this process's own.
    pub own: bool,
}

/// The replicas that a data folder knows of.
#[derive(Debug, Clone)]
pub struct Replicas {
    file: PathBuf,
    store: DatasetStore,
    dir: PathBuf,
    /// What the settings say; empty when nothing.
    named: String,
}

impl Replicas {
    /// Those of a data folder; `named` is what the settings call this one, or empty.
    pub fn new(data_dir: &Path, named: &str) -> Self {
        let dir = data_dir.join("replicas");
        Self {
            file: data_dir.join("replica"),
            store: DatasetStore::new(&dir),
            dir,
            named: named.to_owned(),
        }
    }

    /// This one's name; `None` when it was never needed yet.
    pub fn name(&self) -> Option<String> {
        if !self.named.is_empty() {
            return Some(self.named.clone());
        }
        let text = fs::read_to_string(&self.file).ok()?;
        let name = text.trim_ascii();
        is_name(name).then(|| name.to_owned())
    }

    /// This one's name; from now on it is `proposed`, where it had none.
    ///
    /// Errors: the disk failed.
    pub fn name_or(&self, proposed: &str) -> Result<String, StorageError> {
        if let Some(name) = self.name() {
            return Ok(name);
        }
        write_atomic(&self.file, format!("{proposed}\n").as_bytes())?;
        Ok(proposed.to_owned())
    }

    /// The folder of another one's journal.
    pub fn dir(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Begins to build a journal that will replace that of `name`; see [`DatasetStore::stage`].
    pub fn stage(&self, name: &str) -> Result<Staging, DatasetStoreError> {
        self.store.stage(&self.dir(name))
    }

    /// Finishes or undoes what a crash interrupted.
    pub fn recover(&self) -> Result<(), DatasetStoreError> {
        self.store.recover()
    }

    /// The others whose journals are here, by name.
    ///
    /// Errors: the folder cannot be read.
    pub fn pulled(&self) -> Result<Vec<String>, DatasetStoreError> {
        self.store.folders()
    }

    /// Removes another one's journal.
    ///
    /// Errors: the disk failed.
    pub fn forget(&self, name: &str) -> Result<(), DatasetStoreError> {
        self.store.remove(&self.dir(name))
    }

    /// The journals that tasks are made of, by name: this process's own, which is at `own`, and those that were pulled. Where
    /// others were pulled, an empty one of its own is none; and what was pulled of itself is not needed.
    ///
    /// Errors: a folder cannot be read.
    pub fn journals(&self, own: &Path) -> Result<Vec<JournalOf>, EvidenceLogError> {
        let pulled = self.pulled().map_err(|error| EvidenceLogError::Io {
            action: "list",
            path: self.dir.display().to_string(),
            reason: error.to_string(),
        })?;
        let alone = JournalOf {
            replica: None,
            dir: own.to_owned(),
            own: true,
        };
        if pulled.is_empty() {
            return Ok(vec![alone]);
        }
        let name = self.name().unwrap_or_else(|| UNNAMED.to_owned());
        let has_own = segments(own)?.iter().any(|segment| segment.bytes > 0);
        let mut all: Vec<JournalOf> = pulled
            .into_iter()
            .filter(|other| !has_own || *other != name)
            .map(|other| JournalOf {
                dir: self.dir(&other),
                replica: Some(other),
                own: false,
            })
            .collect();
        if has_own {
            all.push(JournalOf {
                replica: Some(name),
                ..alone
            });
        }
        all.sort_unstable_by(|a, b| a.replica.cmp(&b.replica));
        Ok(all)
    }
}

/// A name that tells the machine and differs from that of any other data folder; `random` makes it so.
pub fn propose(random: [u8; 4]) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME").map_err(io::Error::other))
        .unwrap_or_default();
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
        _ => '-',
    };
    let host: String = host.trim().chars().map(plain).take(40).collect();
    let [a, b, c, d] = random;
    let host = host.trim_matches('-');
    match host.is_empty() {
        true => format!("replica-{a:02x}{b:02x}{c:02x}{d:02x}"),
        false => format!("{host}-{a:02x}{b:02x}{c:02x}{d:02x}"),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_name_is_kept_and_that_of_the_settings_goes_before() {
        let root = TempDir::new().unwrap();
        let replicas = Replicas::new(root.path(), "");
        assert_eq!(replicas.name(), None);
        assert_eq!(replicas.name_or("a-1").unwrap(), "a-1");
        assert_eq!(replicas.name_or("a-2").unwrap(), "a-1");
        assert_eq!(Replicas::new(root.path(), "b").name_or("c").unwrap(), "b");
        assert!(is_name(&propose([0, 1, 2, 255])));
        assert!(propose([0, 1, 2, 255]).ends_with("-000102ff"));
    }

    #[test]
    fn an_empty_journal_of_ones_own_is_none_beside_others() {
        let root = TempDir::new().unwrap();
        let own = root.path().join("evidence");
        let replicas = Replicas::new(root.path(), "m");
        let names = || -> Vec<_> {
            let all = replicas.journals(&own).unwrap();
            all.into_iter().map(|one| (one.replica, one.own)).collect()
        };
        assert_eq!(names(), [(None, true)]);
        for name in ["z", "a", "m", ".b.new"] {
            fs::create_dir_all(replicas.dir(name)).unwrap();
        }
        let named = |name: &str, own| (Some(name.to_owned()), own);
        assert_eq!(
            names(),
            [named("a", false), named("m", false), named("z", false)]
        );
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("evidence-00000001.jsonl"), "x\n").unwrap();
        assert_eq!(
            names(),
            [named("a", false), named("m", true), named("z", false)]
        );
        replicas.forget("a").unwrap();
        assert_eq!(replicas.pulled().unwrap(), ["m", "z"]);
    }
}
