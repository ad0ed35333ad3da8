//! The file: locked, replaced as a whole when it is opened, and mapped while it is in use.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::MmapRaw;

use super::record::Table;
use super::{BlackBoxError, Suspect};

fn lock(file: &File) -> Result<(), BlackBoxError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => BlackBoxError::InUse,
        TryLockError::Error(error) => error.into(),
    })
}

/// Reads what the process before left, and holds that file so that nobody else takes it over.
pub(super) fn read(path: &Path) -> Result<(Table, Option<File>), BlackBoxError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Table::default(), None)),
        Err(error) => return Err(error.into()),
    };
    lock(&file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((Table::parse(&bytes), Some(file)))
}

/// Puts a fresh file in the place of the old one, whole or not at all, and maps it.
pub(super) fn replace(
    path: &Path,
    suspects: &[Suspect],
    old: Option<File>,
) -> Result<Mapped, BlackBoxError> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".tmp");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&fresh)?;
    lock(&file)?;
    file.write_all(&Table::encode(suspects))?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    drop(old);
    let map = MmapRaw::map_raw(&file)?;
    Ok(Mapped { map, _lock: file })
}

/// A mapped file. What is stored in it outlives the process, however that ends.
pub(super) struct Mapped {
    map: MmapRaw,
    _lock: File,
}

impl Mapped {
    #[expect(
        unsafe_code,
        reason = "mapped memory: page-aligned, as long as the file, alive as long as `map`; only atomics touch it"
    )]
    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping starts at a page, spans `len` bytes, and lives as long as `self`. Any bits are a
        // valid word, and all access is atomic. The lock keeps our own processes from changing the file.
        unsafe {
            std::slice::from_raw_parts(
                self.map.as_mut_ptr().cast_const().cast::<AtomicU64>(),
                self.map.len() / size_of::<AtomicU64>(),
            )
        }
    }
}
