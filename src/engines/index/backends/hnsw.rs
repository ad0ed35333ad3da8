//! Builds the graph with `hnsw_rs`, then reads it out: nothing else of that crate is used.
//!
//! What its version 0.3.5 does when left alone, and what keeps us from it: a NaN or a wrong
//! dimension panics half-way through an insert (vectors are checked when they come in, and the
//! build is fenced); parallel inserts leave the first points unlinked and can deadlock (they are
//! serial); more than 255 links exit the process and 0 layers abort it (the configuration is
//! bounded, the layers are fixed); some points cannot be reached (they are linked here); its
//! distances are slow or refuse values (ours is given); a reload changes the graph (it is never
//! dumped).

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use hnsw_rs::prelude::{Distance, Hnsw};

use super::Drawn;
use crate::engines::index::rows::Rows;
use crate::engines::index::{IndexConfig, simd};
use crate::types::point::Metric;

/// The most that `hnsw_rs` knows.
const LAYERS: usize = 16;

/// Squared Euclidean distance: on normalised vectors it has the order of the cosine.
struct Euclid;

impl Distance<f32> for Euclid {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        simd::l2_squared(a, b)
    }
}

/// Draws the graph of `points`, which are live rows. `None` when there are none. `lifts` is one more coordinate of each
/// row with [`Metric::Dot`].
pub(super) fn draw(
    rows: &Rows,
    points: &[u32],
    metric: Metric,
    lifts: &[f32],
    config: &IndexConfig,
    done: &AtomicUsize,
) -> Option<Drawn> {
    let hnsw = Hnsw::new(
        config.m,
        points.len(),
        LAYERS,
        config.ef_construction,
        Euclid,
    );
    let mut raised = Vec::new();
    for (at, &row) in points.iter().enumerate() {
        let vector = rows.vector(row);
        if metric == Metric::Dot {
            raised.clear();
            raised.extend_from_slice(vector);
            raised.push(lifts.get(row as usize).copied().unwrap_or_default());
            hnsw.insert_slice((&raised, row as usize));
        } else {
            hnsw.insert_slice((vector, row as usize));
        }
        done.store(at + 1, Ordering::Relaxed);
    }
    read_out(&hnsw, rows.len())
}

/// Reads the lists of all layers. `None` for an empty graph.
fn read_out(hnsw: &Hnsw<'_, f32, Euclid>, rows: u32) -> Option<Drawn> {
    let points = hnsw.get_point_indexation();
    let top = usize::from(hnsw.get_max_level_observed());
    let mut base = vec![Vec::new(); rows as usize];
    // Every list of the sparse layers, also of points that only reach up into them.
    let mut lists: Vec<BTreeMap<u32, Vec<u32>>> = vec![BTreeMap::new(); top];
    let mut levels: Vec<Vec<u32>> = vec![Vec::new(); top + 1];
    // A layer lists the points whose own level it is, so all layers together list every point once.
    for (level, nodes) in levels.iter_mut().enumerate() {
        for point in points.get_layer_iterator(level) {
            let row = u32::try_from(point.get_origin_id()).ok()?;
            nodes.push(row);
            for (layer, neighbours) in point.get_neighborhood_id().iter().enumerate().take(top + 1)
            {
                let links: Vec<u32> = neighbours
                    .iter()
                    .filter_map(|neighbour| u32::try_from(neighbour.get_origin_id()).ok())
                    .filter(|link| *link != row)
                    .collect();
                match layer.checked_sub(1) {
                    None => base[row as usize] = links,
                    Some(_) if links.is_empty() => {}
                    Some(above) => {
                        lists[above].insert(row, links);
                    }
                }
            }
        }
    }
    // The entry point is private: any point of the highest level serves.
    let entry = *levels.last()?.first()?;
    let upper = lists
        .into_iter()
        .enumerate()
        .map(|(above, all)| closure(all, levels[above + 1..].iter().flatten().copied()))
        .collect();
    Some(Drawn { base, upper, entry })
}

/// Keeps the lists of the layer's own points and of whatever those lead to: some links of a sparse
/// layer go to points of a lower level, and most lists of such points are never come by.
fn closure(
    mut all: BTreeMap<u32, Vec<u32>>,
    own: impl Iterator<Item = u32>,
) -> BTreeMap<u32, Vec<u32>> {
    let mut kept = BTreeMap::new();
    let mut todo: VecDeque<u32> = own.collect();
    while let Some(node) = todo.pop_front() {
        if let Some(links) = all.remove(&node) {
            todo.extend(&links);
            kept.insert(node, links);
        }
    }
    kept
}
