//! The indexes of a table: made with it or when it has grown, and brought up to what was written since.

use lancedb::index::scalar::{BTreeIndexBuilder, FtsIndexBuilder, LabelListIndexBuilder};
use lancedb::index::vector::IvfHnswSqIndexBuilder;
use lancedb::index::{Index, IndexConfig};
use lancedb::table::{Duration, OptimizeAction, OptimizeOptions};
use lancedb::{DistanceType, Table};

use super::extremes::{Extreme, Side};
use super::layout;
use super::tables::Failure;
use crate::types::collection::{FieldKind, Schema};
use crate::types::point::Metric;

/// When what is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// Rows from which on columns are indexed; fewer are scanned.
    pub(super) scalar_from: usize,
    /// Texts from which on words are indexed: of fewer every one is read.
    pub(super) words_from: usize,
    /// Points from which on vectors are indexed: fewer are compared one by one in less time than a search of the index
    /// takes.
    pub(super) vector_from: usize,
    /// Rows that no index has, which every search scans, from which on they are added.
    pub(super) unindexed_rows: usize,
    /// Files of few rows from which on they are written together.
    pub(super) small_files: usize,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            scalar_from: 1_000,
            words_from: 20_000,
            vector_from: 20_000,
            unindexed_rows: 5_000,
            small_files: 16,
        }
    }
}

/// Rows that no index has, as a part of all, that are borne where they are more than `unindexed_rows`.
const UNINDEXED_PART: usize = 20;
/// Rows deleted, as a part of all, from which on files are written without them.
const DELETED_PART: usize = 5;
/// How long what was replaced is kept for those that read it.
const KEPT_MINUTES: i64 = 10;

/// How vectors are compared.
pub(super) fn distance(metric: Metric) -> DistanceType {
    match metric {
        Metric::Cosine => DistanceType::Cosine,
        Metric::Dot => DistanceType::Dot,
        Metric::L2 => DistanceType::L2,
    }
}

/// The score of a distance.
pub(super) fn score(metric: Metric, distance: f32) -> f32 {
    match metric {
        Metric::Cosine | Metric::Dot => 1.0 - distance,
        Metric::L2 => 1.0 / (1.0 + distance.max(0.0).sqrt()),
    }
}

/// The index of a column.
pub(super) fn index_of<'a>(column: &str, indexes: &'a [IndexConfig]) -> Option<&'a IndexConfig> {
    let mut all = indexes.iter();
    all.find(|index| index.columns.iter().any(|own| own == column))
}

/// Makes the indexes that are missing, and brings the others up to date, where it pays.
pub(super) async fn maintain(
    table: &Table,
    due: Due,
    metric: Metric,
    schema: &Schema,
) -> Result<(), Failure> {
    let rows = table.count_rows(None).await?;
    compact(table, due, rows).await?;
    let indexes = table.list_indices().await?;
    for (column, index) in wanted(due, metric, schema, rows) {
        if index_of(&column, &indexes).is_none() {
            Box::pin(table.create_index(&[column], index).execute()).await?;
        }
    }
    let behind = indexes
        .iter()
        .filter_map(|index| index.num_unindexed_rows)
        .max();
    let behind = behind.map_or(0, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
    if behind > due.unindexed_rows.max(rows / UNINDEXED_PART) {
        let append = OptimizeAction::Index(OptimizeOptions::default());
        Box::pin(table.optimize(append)).await?;
    }
    let prune = OptimizeAction::Prune {
        older_than: Duration::try_minutes(KEPT_MINUTES),
        delete_unverified: None,
        error_if_tagged_old_versions: None,
    };
    Box::pin(table.optimize(prune)).await?;
    Ok(())
}

/// Writes small files together, and leaves out what was deleted.
async fn compact(table: &Table, due: Due, rows: usize) -> Result<(), Failure> {
    let stats = table.stats().await?;
    let deleted = stats.num_deleted_rows.unwrap_or(0);
    let is_due = stats.fragment_stats.num_small_fragments >= due.small_files
        || deleted > 0 && deleted >= rows / DELETED_PART;
    if is_due {
        let compact = OptimizeAction::Compact {
            options: Default::default(),
            remap_options: None,
        };
        Box::pin(table.optimize(compact)).await?;
    }
    Ok(())
}

/// The indexes that a table of so many rows has.
fn wanted(due: Due, metric: Metric, schema: &Schema, rows: usize) -> Vec<(String, Index)> {
    let mut wanted = Vec::new();
    if rows >= due.scalar_from {
        wanted.push((layout::ID.to_owned(), Index::BTree(BTreeIndexBuilder {})));
        let labels = Index::LabelList(LabelListIndexBuilder {});
        wanted.push((layout::TERMS.to_owned(), labels));
        for (path, kind) in &schema.fields {
            let which: fn(Side) -> Extreme = match kind {
                FieldKind::Keyword => Extreme::Text,
                FieldKind::Integer => Extreme::Whole,
                FieldKind::Float => Extreme::Number,
                FieldKind::Datetime => Extreme::Moment,
                FieldKind::Bool => continue,
            };
            for side in [Side::Least, Side::Most] {
                let column = layout::column(path, which(side));
                wanted.push((column, Index::BTree(BTreeIndexBuilder {})));
            }
        }
    }
    if rows >= due.words_from {
        // The words are as we index them already: they are only split.
        let words = FtsIndexBuilder::default()
            .base_tokenizer("whitespace".to_owned())
            .lower_case(false)
            .stem(false)
            .remove_stop_words(false)
            .ascii_folding(false)
            .max_token_length(None);
        wanted.push((layout::WORDS.to_owned(), Index::FTS(words)));
    }
    if rows >= due.vector_from {
        let index = IvfHnswSqIndexBuilder::default().distance_type(distance(metric));
        wanted.push((layout::VECTOR.to_owned(), Index::IvfHnswSq(index)));
    }
    wanted
}
