//! Files into a tar, piece by piece, as fast as the pieces are taken.

use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::pinned::Pinned;
use super::{BackupError, BackupFile, BackupManifest, MANIFEST, SEAL, check_path, is_backup};
use crate::storage::dataset_store::{hex, sha256};

/// The file that says why a backup ends early.
pub(super) const FAILED: &str = "failed.txt";
/// Bytes of a tar's block.
const BLOCK: usize = 512;
/// Bytes, about, of one piece.
const PIECE_BYTES: usize = 256 << 10;

/// Packs files one after the other; the manifest and its seal come last.
#[derive(Debug)]
pub struct Packer {
    manifest: BackupManifest,
    waiting: std::collections::VecDeque<Pinned>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: Pinned,
    left: u64,
    hasher: Sha256,
}

impl Packer {
    /// Begins a backup at a time, Unix milliseconds.
    pub fn new(began_ms: u64) -> Self {
        Self {
            manifest: BackupManifest::new(began_ms),
            waiting: std::collections::VecDeque::new(),
            current: None,
        }
    }

    /// What the backup will say of itself.
    pub fn manifest(&mut self) -> &mut BackupManifest {
        &mut self.manifest
    }

    /// Adds files, to be packed after those before. Earlier backups are left out, with a warning: each would hold all before it.
    ///
    /// Errors: a path that cannot stand in a backup; then none is added.
    pub fn add(&mut self, mut files: Vec<Pinned>) -> Result<(), BackupError> {
        files.retain(|file| {
            let path = file.path();
            if is_backup(path) {
                let warning = format!("{path} is left out: by its name it is a backup");
                self.manifest.warnings.push(warning);
            }
            !is_backup(path)
        });
        for file in &files {
            check_path(file.path()).map_err(|reason| BackupError::Path {
                path: file.path().to_owned(),
                reason,
            })?;
        }
        self.waiting.extend(files);
        Ok(())
    }

    /// The next bytes of the tar; `None` when every file that was added is packed.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let mut piece = Vec::with_capacity(PIECE_BYTES + 2 * BLOCK);
        while piece.len() < PIECE_BYTES {
            if self.current.is_none() {
                let Some(file) = self.waiting.pop_front() else {
                    break;
                };
                self.header(file.path(), file.bytes(), &mut piece);
                self.current = Some(Current {
                    left: file.bytes(),
                    file,
                    hasher: Sha256::new(),
                });
            }
            self.content(&mut piece)?;
        }
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// Goes on with the file under way, and ends it when all of it is packed.
    fn content(&mut self, piece: &mut Vec<u8>) -> Result<(), BackupError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let room = PIECE_BYTES.saturating_sub(piece.len()) as u64;
        let mut wanted = usize::try_from(current.left.min(room)).unwrap_or(PIECE_BYTES);
        while wanted > 0 {
            let at = piece.len();
            piece.resize(at + wanted, 0);
            let rest = piece.get_mut(at..).unwrap_or_default();
            let read = current.file.read(rest)?;
            piece.truncate(at + read);
            current.hasher.update(piece.get(at..).unwrap_or_default());
            current.left -= read as u64;
            wanted -= read;
        }
        if current.left == 0
            && let Some(done) = self.current.take()
        {
            pad(done.file.bytes(), piece);
            self.manifest.files.push(BackupFile {
                path: done.file.path().to_owned(),
                bytes: done.file.bytes(),
                sha256: hex(&done.hasher.finalize()),
            });
        }
        Ok(())
    }

    /// The end of the tar, once every file is packed: manifest, seal, and two empty blocks.
    ///
    /// Errors: a fault of ours.
    pub fn finish(mut self, ended_ms: u64) -> Result<Vec<u8>, BackupError> {
        self.manifest.ended_ms = ended_ms;
        let manifest = serde_json::to_string_pretty(&self.manifest)
            .map_err(|error| BackupError::damaged(MANIFEST, error.to_string()))?;
        let sum = sha256(&manifest);
        let seal = format!("{sum}  {MANIFEST}\n");
        let mut end = Vec::new();
        for (path, text) in [(MANIFEST, manifest), (SEAL, seal)] {
            self.header(path, text.len() as u64, &mut end);
            end.extend_from_slice(text.as_bytes());
            pad(text.len() as u64, &mut end);
        }
        end.resize(end.len() + 2 * BLOCK, 0);
        Ok(end)
    }

    /// The end of a tar that cannot be gone on with, between two files: a file that says why, in place of the manifest.
    pub fn fail(self, reason: &str) -> Vec<u8> {
        let mut end = Vec::new();
        self.header(FAILED, reason.len() as u64, &mut end);
        end.extend_from_slice(reason.as_bytes());
        pad(reason.len() as u64, &mut end);
        end.resize(end.len() + 2 * BLOCK, 0);
        end
    }

    fn header(&self, path: &str, bytes: u64, out: &mut Vec<u8>) {
        let mut header = Header::new_ustar();
        if header.set_path(path).is_err() {
            // It has room for 100 bytes, or for 155 and 100 around a slash. What is longer goes before it, as GNU's tar has it.
            let mut long = named("././@LongLink");
            let length = path.len() + 1;
            self.put(&mut long, EntryType::GNULongName, length as u64, out);
            out.extend_from_slice(path.as_bytes());
            out.push(0);
            pad(length as u64, out);
            header = named(path);
        }
        self.put(&mut header, EntryType::Regular, bytes, out);
    }

    fn put(&self, header: &mut Header, kind: EntryType, bytes: u64, out: &mut Vec<u8>) {
        header.set_entry_type(kind);
        // Contents of people, and hashes of keys.
        header.set_mode(0o600);
        header.set_size(bytes);
        header.set_mtime(self.manifest.began_ms / 1_000);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
    }
}

/// A header of GNU's with as much of this name as it holds.
fn named(name: &str) -> Header {
    let mut header = Header::new_gnu();
    if let Some(gnu) = header.as_gnu_mut() {
        let held = name.floor_char_boundary(gnu.name.len() - 1);
        for (to, from) in gnu.name.iter_mut().zip(name.bytes().take(held)) {
            *to = from;
        }
    }
    header
}

/// Fills the last block of a file.
fn pad(bytes: u64, out: &mut Vec<u8>) {
    let over = usize::try_from(bytes % BLOCK as u64).unwrap_or(0);
    if over > 0 {
        out.resize(out.len() + BLOCK - over, 0);
    }
}
