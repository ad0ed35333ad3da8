//! The graph against the exact scan, which is its oracle.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::Map;

use super::{Graph, build, scan};
use crate::engines::index::rows::{Doc, Rows};
use crate::engines::index::top::Top;
use crate::engines::index::{IndexConfig, IndexError, distance};
use crate::types::point::Metric;

/// Numbers in `[-1, 1)`, the same ones for the same seed (splitmix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| self.next()).collect()
    }
}

/// Vectors around a few centres, as those of texts are.
fn clustered(count: usize, dim: usize, metric: Metric, seed: u64) -> Vec<Vec<f32>> {
    let mut noise = Noise(seed);
    let centres: Vec<Vec<f32>> = (0..50).map(|_| noise.vector(dim)).collect();
    (0..count)
        .map(|at| {
            let spread = noise.vector(dim);
            let centre = &centres[at % centres.len()];
            let mut vector: Vec<f32> = centre
                .iter()
                .zip(&spread)
                .map(|(centre, off)| centre + 0.6 * off)
                .collect();
            if metric == Metric::Cosine {
                distance::normalise(&mut vector);
            }
            vector
        })
        .collect()
}

fn rows_of(vectors: &[Vec<f32>]) -> Rows {
    let mut rows = Rows::new(vectors[0].len(), 0);
    for (at, vector) in vectors.iter().enumerate() {
        let id = format!("{at:06}").into();
        rows.push(
            vector,
            Arc::new(Doc {
                id,
                text: None,
                payload: Map::new(),
            }),
        );
    }
    rows
}

fn exact(rows: &Rows, metric: Metric, query: &[f32], k: usize) -> BTreeSet<u32> {
    let mut top = Top::new(k);
    assert_eq!(
        scan(rows, metric, query, rows.alive().iter(), &mut top),
        rows.live()
    );
    top.into_sorted()
        .into_iter()
        .map(|found| found.row)
        .collect()
}

fn walked(graph: &Graph, rows: &Rows, metric: Metric, query: &[f32], k: usize) -> BTreeSet<u32> {
    let walk = graph.search(rows, metric, query, 100, usize::MAX, |row| {
        rows.alive().contains(row)
    });
    assert!(!walk.gave_up);
    walk.rows.into_iter().take(k).collect()
}

/// The share of the exact ten that the graph finds.
fn recall(graph: &Graph, rows: &Rows, metric: Metric, queries: &[Vec<f32>]) -> f64 {
    let hits: usize = queries
        .iter()
        .map(|query| {
            let found = walked(graph, rows, metric, query, 10);
            found.intersection(&exact(rows, metric, query, 10)).count()
        })
        .sum();
    hits as f64 / (10 * queries.len()) as f64
}

/// Rows that a walk wide enough for all of them finds.
fn reachable(graph: &Graph, rows: &Rows) -> usize {
    let walk = graph.search(
        rows,
        Metric::Cosine,
        rows.vector(0),
        usize::MAX,
        usize::MAX,
        |_| true,
    );
    walk.rows.into_iter().collect::<HashSet<_>>().len()
}

fn config() -> IndexConfig {
    IndexConfig {
        ef_construction: 100,
        ..IndexConfig::default()
    }
}

#[test]
fn the_graph_finds_what_the_scan_finds() {
    let metric = Metric::Cosine;
    let mut vectors = clustered(5_050, 64, metric, 7);
    let queries = vectors.split_off(5_000);
    let mut rows = rows_of(&vectors);
    let graph = build(&rows, metric, &config()).unwrap();
    assert_eq!((graph.rows(), graph.points()), (5_000, 5_000));
    assert_eq!(reachable(&graph, &rows), 5_000);
    let found = recall(&graph, &rows, metric, &queries);
    assert!(found >= 0.95, "recall@10 {found}");

    // Deleted points are walked through and never found.
    for row in (0..5_000).filter(|row| row % 3 == 0) {
        rows.bury(row);
    }
    let found = recall(&graph, &rows, metric, &queries);
    assert!(found >= 0.95, "recall@10 with a third deleted {found}");

    // A walk does not compare much more than it needs to, and keeps to its budget.
    let walk = graph.search(&rows, metric, &queries[0], 50, usize::MAX, |_| true);
    assert!(walk.compared < 2_500, "{}", walk.compared);
    let walk = graph.search(&rows, metric, &queries[0], 50, 100, |_| true);
    assert!(walk.gave_up && walk.compared < 200, "{}", walk.compared);
}

#[test]
fn the_other_metrics_are_found_too() {
    for metric in [Metric::Dot, Metric::L2] {
        let mut vectors = clustered(1_530, 24, metric, 11);
        let queries = vectors.split_off(1_500);
        let rows = rows_of(&vectors);
        let graph = build(&rows, metric, &config()).unwrap();
        let found = recall(&graph, &rows, metric, &queries);
        assert!(found >= 0.95, "{metric:?} recall@10 {found}");
    }
}

#[test]
fn deleted_rows_are_not_built_in() {
    let mut rows = rows_of(&clustered(400, 8, Metric::Cosine, 3));
    for row in 0..200 {
        rows.bury(row);
    }
    let graph = build(&rows, Metric::Cosine, &config()).unwrap();
    assert_eq!((graph.rows(), graph.points()), (400, 200));
    let walk = graph.search(
        &rows,
        Metric::Cosine,
        rows.vector(0),
        usize::MAX,
        usize::MAX,
        |_| true,
    );
    assert_eq!(
        walk.rows.into_iter().collect::<BTreeSet<_>>(),
        (200..400).collect()
    );
}

#[test]
fn every_point_can_be_reached_even_among_many_equal_ones() {
    let one = vec![1.0, 0.0, 0.0, 0.0];
    let mut vectors = vec![one; 600];
    vectors.extend(clustered(100, 4, Metric::Cosine, 5));
    let rows = rows_of(&vectors);
    let graph = build(&rows, Metric::Cosine, &config()).unwrap();
    assert_eq!(reachable(&graph, &rows), 700);
}

#[test]
fn one_point_makes_a_graph_and_none_does_not() {
    let rows = rows_of(&[vec![1.0, 0.0]]);
    let graph = build(&rows, Metric::Cosine, &config()).unwrap();
    assert_eq!(
        walked(&graph, &rows, Metric::Cosine, &[0.0, 1.0], 10),
        BTreeSet::from([0])
    );
    let error = build(&Rows::new(2, 0), Metric::Cosine, &config()).unwrap_err();
    assert_eq!(error, IndexError::Graph("there are no points".to_owned()));
}

#[test]
fn a_panic_of_the_builder_is_an_error() {
    // Never admitted; this is what the fence is for.
    let rows = rows_of(&vec![vec![f32::NAN, 1.0]; 50]);
    let error = build(&rows, Metric::Cosine, &config()).unwrap_err();
    assert!(
        error.to_string().contains("the builder panicked"),
        "{error}"
    );
}
