//! Who may read what is written.

use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::Mode;
use rustix::process::umask;

use super::error::CliError;
use crate::config::StorageConfig;

/// Each permission of a group and of others, as octal digits have it.
const BITS: [(u32, Mode); 6] = [
    (0o040, Mode::RGRP),
    (0o020, Mode::WGRP),
    (0o010, Mode::XGRP),
    (0o004, Mode::ROTH),
    (0o002, Mode::WOTH),
    (0o001, Mode::XOTH),
];

/// Gives files and folders that this process makes from here on to its user only, or as the settings say.
///
/// For commands that write into the data folder; what others write where they are told to has the user's own umask.
pub(super) fn keep(storage: &StorageConfig) -> Result<(), CliError> {
    if let Some(bits) = storage.umask_bits().map_err(CliError::failed)? {
        let taken = BITS.iter().filter(|(bit, _)| bits & bit != 0);
        umask(taken.map(|(_, mode)| *mode).collect());
    }
    Ok(())
}

/// Says so when others may read a data folder that was there before.
pub(super) fn tell_open(storage: &StorageConfig) {
    let Ok(Some(wanted)) = storage.umask_bits() else {
        return;
    };
    let folder = &storage.data_dir;
    let Ok(found) = std::fs::metadata(folder) else {
        return;
    };
    if found.permissions().mode() & wanted != 0 {
        tracing::warn!(
            folder = %folder.display(),
            "other users of this machine may read the data folder; `chmod -R go= FOLDER` takes that away"
        );
    }
}
