//! `boathouse collection export` and `import`: whole collections as files, JSON lines or Parquet.

mod export;
mod import;
mod jsonl;
mod parquet;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::error::CliError;
use super::server::ServerArgs;
use crate::types::export::{ExportHead, SecondVector};

pub(super) use export::{read as read_export, run as export};
pub(super) use import::run as import;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The collection
    #[arg(value_parser = super::ingest::collection_name)]
    name: String,
    /// The file to write: .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The collection; made as the file says when it does not exist. Points of the same id are replaced
    #[arg(value_parser = super::ingest::collection_name)]
    name: String,
    /// The file to read: .jsonl or .parquet, of an export or with columns id, and vector or text
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Leave out so many points at the start: those that an import which was interrupted has told as done
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    skip: usize,
    /// Print what was read as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// One point of a file.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: String,
    /// Without one the text is embedded where it arrives.
    vector: Option<Vec<f32>>,
    text: Option<String>,
    payload: Map<String, Value>,
    refined: Option<SecondVector>,
}

/// What a file says of the collection that it is of; `None`: somebody else wrote it.
type Head = Option<ExportHead>;

/// The points of a file, in order, and what stands before them.
struct Source {
    head: Head,
    rows: Box<dyn Iterator<Item = Result<Row, CliError>>>,
}

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Jsonl,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self, CliError> {
        let extension = path
            .extension()
            .map(|it| it.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(CliError::failed(format!(
                "{}: the name must end in .jsonl or .parquet",
                path.display()
            ))),
        }
    }
}

/// Opens a file from its start.
fn open(path: &Path) -> Result<Source, CliError> {
    match Format::of(path)? {
        Format::Jsonl => jsonl::open(path),
        Format::Parquet => parquet::open(path),
    }
}

fn failed(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> CliError + use<> {
    let path = path.display().to_string();
    move |error| CliError::failed(format!("{path}: {error}"))
}
