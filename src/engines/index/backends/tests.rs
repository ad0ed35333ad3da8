//! The graph against the exact scan, which is its oracle.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde_json::Map;

use super::{Graph, build, scan};
use crate::engines::index::config::Builder;
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

/// What a search does: a walk, and what it brings ranked by the vectors.
fn walked(graph: &Graph, rows: &Rows, metric: Metric, query: &[f32], k: usize) -> BTreeSet<u32> {
    let accept = |row| rows.alive().contains(row);
    let walk = graph.search(rows, metric, query, 100, 32.max(3 * k), usize::MAX, accept);
    assert!(!walk.gave_up);
    let mut top = Top::new(k);
    scan(rows, metric, query, walk.rows.into_iter(), &mut top);
    top.into_sorted()
        .into_iter()
        .map(|found| found.row)
        .collect()
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
    everything(graph, rows)
        .into_iter()
        .collect::<HashSet<_>>()
        .len()
}

fn everything(graph: &Graph, rows: &Rows) -> Vec<u32> {
    let (metric, all) = (Metric::Cosine, usize::MAX);
    let walk = graph.search(rows, metric, rows.vector(0), all, all, all, |_| true);
    walk.rows
}

/// Every builder, by vectors and by codes: all of them must pass every test.
fn configs() -> impl Iterator<Item = IndexConfig> {
    let builders = [Builder::Own, Builder::HnswRs];
    builders.into_iter().flat_map(|builder| {
        [true, false].map(|quantise| IndexConfig {
            ef_construction: 100,
            builder,
            quantise,
            ..IndexConfig::default()
        })
    })
}

fn built(rows: &Rows, metric: Metric, config: &IndexConfig) -> Graph {
    let done = AtomicUsize::new(0);
    let graph = build(rows, metric, config, &done).unwrap();
    assert_eq!(done.into_inner(), rows.live(), "{config:?}");
    graph
}

#[test]
fn the_graph_finds_what_the_scan_finds() {
    let metric = Metric::Cosine;
    let mut vectors = clustered(3_050, 64, metric, 7);
    let queries = vectors.split_off(3_000);
    let table = rows_of(&vectors);
    for config in configs() {
        let mut rows = table.clone();
        let graph = built(&rows, metric, &config);
        assert_eq!((graph.rows(), graph.points()), (3_000, 3_000));
        assert_eq!(reachable(&graph, &rows), 3_000, "{config:?}");
        let found = recall(&graph, &rows, metric, &queries);
        assert!(found >= 0.95, "recall@10 {found}, {config:?}");

        // Deleted points are walked through and never found.
        for row in (0..3_000).filter(|row| row % 3 == 0) {
            rows.bury(row);
        }
        let found = recall(&graph, &rows, metric, &queries);
        assert!(
            found >= 0.95,
            "recall@10 with a third deleted {found}, {config:?}"
        );

        // A walk does not compare much more than it needs to, and keeps to its budget.
        let ask = |budget| graph.search(&rows, metric, &queries[0], 50, 10, budget, |_| true);
        let walk = ask(usize::MAX);
        assert!(walk.compared < 2_000, "{}", walk.compared);
        assert_eq!(walk.rows.len(), 10);
        let walk = ask(100);
        assert!(walk.gave_up && walk.compared < 200, "{}", walk.compared);
    }
}

#[test]
fn the_other_metrics_are_found_too() {
    for metric in [Metric::Dot, Metric::L2] {
        let mut vectors = clustered(1_530, 24, metric, 11);
        let queries = vectors.split_off(1_500);
        let rows = rows_of(&vectors);
        for config in configs() {
            let graph = built(&rows, metric, &config);
            let found = recall(&graph, &rows, metric, &queries);
            assert!(found >= 0.95, "{metric:?} recall@10 {found}, {config:?}");
        }
    }
}

#[test]
fn vectors_far_from_the_origin_are_told_apart() {
    let mut vectors = clustered(1_530, 24, Metric::L2, 13);
    for vector in &mut vectors {
        vector.iter_mut().for_each(|x| *x += 500.0);
    }
    let queries = vectors.split_off(1_500);
    let rows = rows_of(&vectors);
    for config in configs() {
        let graph = built(&rows, Metric::L2, &config);
        let found = recall(&graph, &rows, Metric::L2, &queries);
        assert!(found >= 0.95, "recall@10 {found}, {config:?}");
    }
}

#[test]
fn codes_that_cannot_tell_neighbours_apart_are_not_used() {
    // Nearer to each other than the 254 steps of a code.
    let on_a_circle = |at: u16| {
        let angle = f32::from(at) * 0.000_1;
        vec![angle.cos(), angle.sin()]
    };
    let vectors: Vec<_> = (0..1_000).map(on_a_circle).collect();
    let rows = rows_of(&vectors);
    for config in configs() {
        let graph = built(&rows, Metric::Cosine, &config);
        assert!(!graph.is_coded());
    }
    let rows = rows_of(&clustered(1_000, 24, Metric::Cosine, 23));
    for config in configs() {
        let graph = built(&rows, Metric::Cosine, &config);
        assert_eq!(graph.is_coded(), config.quantise);
    }
}

#[test]
fn a_graph_that_is_put_together_again_is_walked_by_what_it_was() {
    let metric = Metric::Cosine;
    let rows = rows_of(&clustered(1_000, 24, metric, 31));
    let query = rows.vector(7).to_vec();
    let found = |graph: &Graph| {
        let walk = graph.search(&rows, metric, &query, 50, 50, 9_999, |_| true);
        (walk.rows, walk.compared)
    };
    for config in configs() {
        let graph = built(&rows, metric, &config);
        let again = |sections| Graph::restored(sections, &rows, metric, config.quantise);
        let restored = again(graph.sections()).unwrap();
        assert_eq!(restored.is_coded(), config.quantise);
        assert_eq!(found(&restored), found(&graph), "{config:?}");
        // As files from before are: whether codes lead is found out again.
        let mut sections = graph.sections();
        sections.get_mut(&0).unwrap().truncate(4);
        assert_eq!(again(sections).unwrap().is_coded(), config.quantise);
        let mut sections = graph.sections();
        sections.get_mut(&0).unwrap().extend([1, 1]);
        assert!(again(sections).is_none(), "more than there can be");
    }
}

#[test]
fn the_same_rows_give_the_same_graph() {
    let rows = rows_of(&clustered(600, 16, Metric::Cosine, 17));
    let queries = clustered(20, 16, Metric::Cosine, 18);
    for quantise in [true, false] {
        let config = IndexConfig {
            quantise,
            ..IndexConfig::default()
        };
        let (one, two) = (
            built(&rows, Metric::Cosine, &config),
            built(&rows, Metric::Cosine, &config),
        );
        assert_eq!(one.links(), two.links());
        for query in &queries {
            let ask = |graph: &Graph| {
                let walk = graph.search(&rows, Metric::Cosine, query, 50, 50, 9_999, |_| true);
                (walk.rows, walk.compared)
            };
            assert_eq!(ask(&one), ask(&two));
        }
    }
}

#[test]
fn deleted_rows_are_not_built_in() {
    let mut rows = rows_of(&clustered(400, 8, Metric::Cosine, 3));
    for row in 0..200 {
        rows.bury(row);
    }
    for config in configs() {
        let graph = built(&rows, Metric::Cosine, &config);
        assert_eq!((graph.rows(), graph.points()), (400, 200));
        let found: BTreeSet<u32> = everything(&graph, &rows).into_iter().collect();
        assert_eq!(found, (200..400).collect(), "{config:?}");
    }
}

#[test]
fn every_point_can_be_reached_even_among_many_equal_ones() {
    let one = vec![1.0, 0.0, 0.0, 0.0];
    let mut vectors = vec![one; 600];
    vectors.extend(clustered(100, 4, Metric::Cosine, 5));
    let queries = vectors[600..].to_vec();
    let rows = rows_of(&vectors);
    for config in configs() {
        let graph = built(&rows, Metric::Cosine, &config);
        assert_eq!(reachable(&graph, &rows), 700, "{config:?}");
        // The equal ones do not keep a walk from what lies beyond them.
        for query in &queries {
            let found = walked(&graph, &rows, Metric::Cosine, query, 1);
            let nearest = exact(&rows, Metric::Cosine, query, 1);
            assert_eq!(found, nearest, "{config:?}");
        }
    }
}

#[test]
fn vectors_of_zeros_are_points_like_any_other() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut vectors = vec![vec![0.0; 8]; 50];
        vectors.extend(clustered(150, 8, metric, 19));
        let rows = rows_of(&vectors);
        for config in configs() {
            let graph = built(&rows, metric, &config);
            assert_eq!(reachable(&graph, &rows), 200, "{metric:?} {config:?}");
        }
    }
}

#[test]
fn one_point_makes_a_graph_and_none_does_not() {
    let rows = rows_of(&[vec![1.0, 0.0]]);
    for config in configs() {
        let graph = built(&rows, Metric::Cosine, &config);
        assert_eq!(
            walked(&graph, &rows, Metric::Cosine, &[0.0, 1.0], 10),
            BTreeSet::from([0])
        );
        let done = AtomicUsize::new(0);
        let error = build(&Rows::new(2, 0), Metric::Cosine, &config, &done).unwrap_err();
        assert_eq!(error, IndexError::Graph("there are no points".to_owned()));
    }
}

#[test]
fn a_panic_of_the_builder_is_an_error() {
    // Never admitted; this is what the fence is for. Ours makes a graph of them, if a useless one.
    let rows = rows_of(&vec![vec![f32::NAN, 1.0]; 50]);
    for config in configs() {
        let built = build(&rows, Metric::Cosine, &config, &AtomicUsize::new(0));
        match config.builder {
            Builder::Own => assert_eq!(reachable(&built.unwrap(), &rows), 50),
            Builder::HnswRs => {
                let error = built.unwrap_err().to_string();
                assert!(error.contains("the builder panicked"), "{error}");
            }
        }
    }
}
