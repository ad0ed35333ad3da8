//! Settings of every collection.

use serde::{Deserialize, Serialize};

/// What builds graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Builder {
    /// Our own; see `docs/adr/0006-own-graph-builder.md`.
    Own,
    /// The crate of this name.
    HnswRs,
}

/// How collections are searched and kept. Applies when a collection is opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IndexConfig {
    /// From this many points on a graph is built. Below it every search is exact. 100 to
    /// 10,000,000, default 20,000. A scan of 20,000 × 384 numbers takes 1 to 4 ms.
    #[cfg_attr(feature = "server", schemars(range(min = 100, max = 10_000_000)))]
    pub hnsw_threshold: usize,
    /// Links of a point in the graph; twice as many in its lowest layer. 4 to 64, default 16. More:
    /// better recall, more memory (about 8 bytes × `m` a point), a slower build.
    #[cfg_attr(feature = "server", schemars(range(min = 4, max = 64)))]
    pub m: usize,
    /// Candidates weighed for each point while building. 16 to 2,000 and at least `m`, default 200.
    /// More: a better graph, a build that takes longer in proportion.
    #[cfg_attr(feature = "server", schemars(range(min = 16, max = 2_000)))]
    pub ef_construction: usize,
    /// What builds graphs: `own`, or `hnsw_rs`, the crate. Default `own`.
    pub builder: Builder,
    /// Builds and walks the graph by vectors of one byte a number, and ranks what it finds by the
    /// vectors themselves. Default true. Costs a quarter of the vectors' memory more, and some
    /// `8 * m` bytes a point.
    pub quantise: bool,
    /// Candidates weighed in a search. 16 to 10,000, default 100. More: better recall, a search
    /// that takes longer in proportion.
    #[cfg_attr(feature = "server", schemars(range(min = 16, max = 10_000)))]
    pub ef_search: usize,
    /// The graph is rebuilt when this share of its points came after it. 0.01 to 1, default 0.2.
    /// Until then they are scanned.
    #[cfg_attr(feature = "server", schemars(range(min = 0.01, max = 1)))]
    pub rebuild_ratio: f64,
    /// Deleted points are cleared away when they are this share of all. 0.01 to 1, default 0.2.
    #[cfg_attr(feature = "server", schemars(range(min = 0.01, max = 1)))]
    pub compact_ratio: f64,
    /// A snapshot is written when the log is longer than this. 4,096 to 2^40 bytes, default 64 MiB.
    /// Larger: fewer snapshots, a slower start.
    #[cfg_attr(feature = "server", schemars(range(min = 4_096, max = 1_u64 << 40)))]
    pub snapshot_wal_bytes: u64,
    /// Most points of one write. 1 to 100,000, default 10,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 100_000)))]
    pub max_batch_points: usize,
    /// Most points of a collection. 1 to 100,000,000, default 5,000,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 100_000_000)))]
    pub max_points: usize,
    /// Longest text of a point or a query. 1 to 2^26 bytes, default 1 MiB.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 1 << 26)))]
    pub max_text_bytes: usize,
    /// Largest payload of a point. 1 to 2^26 bytes, default 256 KiB.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 1 << 26)))]
    pub max_payload_bytes: usize,
    /// Deepest nesting of a payload. 1 to 64 levels, default 16.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 64)))]
    pub max_payload_depth: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            hnsw_threshold: 20_000,
            m: 16,
            ef_construction: 200,
            builder: Builder::Own,
            quantise: true,
            ef_search: 100,
            rebuild_ratio: 0.2,
            compact_ratio: 0.2,
            snapshot_wal_bytes: 64 << 20,
            max_batch_points: 10_000,
            max_points: 5_000_000,
            max_text_bytes: 1 << 20,
            max_payload_bytes: 256 << 10,
            max_payload_depth: 16,
        }
    }
}

impl IndexConfig {
    /// Checks every field; the text names the one at fault and its range.
    pub fn validate(&self) -> Result<(), String> {
        let whole = [
            ("hnsw_threshold", self.hnsw_threshold, 100, 10_000_000),
            ("m", self.m, 4, 64),
            (
                "ef_construction",
                self.ef_construction,
                16.max(self.m),
                2_000,
            ),
            ("ef_search", self.ef_search, 16, 10_000),
            ("max_batch_points", self.max_batch_points, 1, 100_000),
            ("max_points", self.max_points, 1, 100_000_000),
            ("max_text_bytes", self.max_text_bytes, 1, 1 << 26),
            ("max_payload_bytes", self.max_payload_bytes, 1, 1 << 26),
            ("max_payload_depth", self.max_payload_depth, 1, 64),
        ];
        for (name, value, low, high) in whole {
            if !(low..=high).contains(&value) {
                return Err(format!("{name} must be {low} to {high}, got {value}"));
            }
        }
        if !(4_096..=1 << 40).contains(&self.snapshot_wal_bytes) {
            let got = self.snapshot_wal_bytes;
            return Err(format!(
                "snapshot_wal_bytes must be 4096 to {}, got {got}",
                1_u64 << 40
            ));
        }
        let shares = [
            ("rebuild_ratio", self.rebuild_ratio),
            ("compact_ratio", self.compact_ratio),
        ];
        for (name, value) in shares {
            if !(0.01..=1.0).contains(&value) {
                return Err(format!("{name} must be 0.01 to 1, got {value}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_fields_may_be_left_out() {
        IndexConfig::default().validate().unwrap();
        let read: IndexConfig = serde_json::from_str(r#"{"m": 32}"#).unwrap();
        assert_eq!(
            read,
            IndexConfig {
                m: 32,
                ..IndexConfig::default()
            }
        );
        assert!(serde_json::from_str::<IndexConfig>(r#"{"em": 32}"#).is_err());
    }

    #[test]
    fn a_field_out_of_range_is_named_with_its_range() {
        let cases = [
            (
                IndexConfig {
                    m: 256,
                    ..IndexConfig::default()
                },
                "m must be 4 to 64, got 256",
            ),
            (
                IndexConfig {
                    m: 64,
                    ef_construction: 32,
                    ..IndexConfig::default()
                },
                "ef_construction must be 64 to 2000, got 32",
            ),
            (
                IndexConfig {
                    compact_ratio: f64::NAN,
                    ..IndexConfig::default()
                },
                "compact_ratio must be 0.01 to 1, got NaN",
            ),
            (
                IndexConfig {
                    snapshot_wal_bytes: 0,
                    ..IndexConfig::default()
                },
                "snapshot_wal_bytes must be 4096 to 1099511627776, got 0",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(config.validate().unwrap_err(), expected);
        }
    }
}
