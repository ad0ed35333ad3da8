//! The graph beside the snapshot, so that a restart serves from it at once.
//!
//! It is derived: whatever is wrong with it is told, and it is built anew.

use std::path::Path;

use crate::engines::index::{Contents, Graph, IndexConfig, IndexError, Rows, Sections};
use crate::storage::disk::StorageError;
use crate::storage::snapshot::{self, Manifest, SnapshotWriter};

/// Numbers in one record: 4 MiB.
const RECORD_NUMBERS: usize = 1 << 20;

/// Writes the graph over the rows of the snapshot that `manifest` names, which must be written. `rows`
/// are what the snapshot was made of.
pub(super) fn write(
    dir: &Path,
    manifest: &Manifest,
    graph: &Graph,
    rows: &Rows,
    config: &IndexConfig,
) -> Result<(), StorageError> {
    // The snapshot leaves deleted rows out, and so numbers the others anew.
    let Some(graph) = graph.carried(rows, manifest.spec.metric, config.m) else {
        return Ok(());
    };
    let mut file = SnapshotWriter::create_graph(dir, manifest)?;
    for (section, numbers) in graph.sections() {
        for numbers in numbers.chunks(RECORD_NUMBERS) {
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            file.append(section, &bytes)?;
        }
    }
    file.finish()
}

/// Takes the graph of the snapshot into use that `contents` was just read from. One that is damaged, or
/// belongs to another snapshot, is removed.
pub(super) fn read(
    dir: &Path,
    manifest: &Manifest,
    contents: &mut Contents,
    config: &IndexConfig,
) -> Result<(), IndexError> {
    let mut sections = Sections::new();
    let found = snapshot::read_graph(dir, manifest, |record| {
        let (numbers, rest) = record.body.as_chunks::<4>();
        let section = sections.entry(record.kind).or_default();
        section.extend(numbers.iter().map(|raw| u32::from_le_bytes(*raw)));
        match rest {
            [] => Ok(()),
            _ => Err(StorageError::Codec {
                action: "decode",
                reason: "not whole numbers".to_owned(),
            }),
        }
    });
    let reason = match found {
        Ok(false) => return Ok(()),
        Ok(true) if contents.restore_graph(sections, config) => return Ok(()),
        Ok(true) => "it is not a graph over the rows of its snapshot".to_owned(),
        Err(error) => error.to_string(),
    };
    let collection = &manifest.spec.name;
    tracing::warn!(
        collection,
        reason,
        "discarded the graph on disk; it is built again in the background"
    );
    Ok(snapshot::remove_graph(dir, manifest)?)
}
