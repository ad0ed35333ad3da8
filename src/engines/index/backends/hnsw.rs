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
use std::panic::{AssertUnwindSafe, catch_unwind};

use hnsw_rs::prelude::{Distance, Hnsw};

use super::graph::{Graph, Layer, Lists, Scratch, Target, descend};
use crate::engines::index::rows::Rows;
use crate::engines::index::{Bits, IndexConfig, IndexError, distance};
use crate::types::point::Metric;

/// The most that `hnsw_rs` knows.
const LAYERS: usize = 16;
/// Candidates weighed to link a point that the build left unreachable.
const RELINK_EF: usize = 64;

/// Squared Euclidean distance: on normalised vectors it has the order of the cosine.
struct Euclid;

impl Distance<f32> for Euclid {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        distance::l2_squared(a, b)
    }
}

/// Neighbour lists as they were read out.
struct Drawn {
    /// By row.
    base: Vec<Vec<u32>>,
    /// By layer from 1 on, then by row.
    upper: Vec<BTreeMap<u32, Vec<u32>>>,
    entry: u32,
}

/// Builds a graph over the live rows. Takes long: seconds for tens of thousands of them.
///
/// Errors: [`IndexError::Graph`] when there is nothing to build from, or the builder panicked.
pub(in crate::engines::index) fn build(
    rows: &Rows,
    metric: Metric,
    config: &IndexConfig,
) -> Result<Graph, IndexError> {
    let drawn = catch_unwind(AssertUnwindSafe(|| draw(rows, metric, config)))
        .map_err(|panic| IndexError::Graph(format!("the builder panicked: {}", text_of(&*panic))))?
        .ok_or_else(|| IndexError::Graph("there are no points".to_owned()))?;
    let Drawn {
        mut base,
        upper,
        entry,
    } = drawn;
    let upper: Vec<Layer> = upper.iter().map(Layer::new).collect();
    link_unreachable(rows, metric, config.m, entry, &mut base, &upper);
    let base = Lists::from_lists(base.iter().map(Vec::as_slice));
    Ok(Graph::new(rows.len(), rows.live(), entry, base, upper))
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

fn draw(rows: &Rows, metric: Metric, config: &IndexConfig) -> Option<Drawn> {
    let hnsw = Hnsw::new(
        config.m,
        rows.live(),
        LAYERS,
        config.ef_construction,
        Euclid,
    );
    let longest = match metric {
        Metric::Dot => rows
            .alive()
            .iter()
            .map(|row| squares(rows.vector(row)))
            .fold(0.0, f32::max),
        Metric::Cosine | Metric::L2 => 0.0,
    };
    let mut raised = Vec::new();
    for row in rows.alive().iter() {
        let vector = rows.vector(row);
        if metric == Metric::Dot {
            // With one more coordinate all vectors are equally long, and the nearest by distance is
            // the one with the largest inner product. Source: Bachrach et al., RecSys 2014.
            raised.clear();
            raised.extend_from_slice(vector);
            raised.push((longest - squares(vector)).max(0.0).sqrt());
            hnsw.insert_slice((&raised, row as usize));
        } else {
            hnsw.insert_slice((vector, row as usize));
        }
    }
    read_out(&hnsw, rows.len())
}

fn squares(vector: &[f32]) -> f32 {
    distance::dot(vector, vector)
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

/// Gives every point that cannot be reached from the entry a link from a near one that can.
fn link_unreachable(
    rows: &Rows,
    metric: Metric,
    m: usize,
    entry: u32,
    base: &mut [Vec<u32>],
    upper: &[Layer],
) {
    let mut reached = Bits::default();
    spread(entry, base, &mut reached);
    let mut scratch = Scratch::default();
    for row in rows.alive().iter() {
        if reached.contains(row) {
            continue;
        }
        let target = Target {
            rows,
            metric,
            query: rows.vector(row),
        };
        // A sparse layer may lead to a point that the lowest one does not: start from one it does.
        let (start, _) = descend(upper, entry, &target);
        let start = if reached.contains(start) {
            start
        } else {
            entry
        };
        let links = |node: u32| base[node as usize].as_slice();
        scratch.walk(
            &target,
            start,
            links,
            RELINK_EF,
            usize::MAX,
            |_| true,
            &mut 0,
        );
        let near = scratch.take_found();
        // Many equal points would all hang on one: the nearest with room takes it.
        let room = near
            .iter()
            .find(|near| base[near.row as usize].len() < 4 * m);
        if let Some(from) = room.or(near.first()).map(|near| near.row) {
            base[from as usize].push(row);
            if base[row as usize].is_empty() {
                base[row as usize].push(from);
            }
            spread(row, base, &mut reached);
        }
    }
}

/// Marks all that can be reached from `start`.
fn spread(start: u32, base: &[Vec<u32>], reached: &mut Bits) {
    let mut todo = vec![start];
    reached.insert(start);
    while let Some(node) = todo.pop() {
        for &link in &base[node as usize] {
            if !reached.contains(link) {
                reached.insert(link);
                todo.push(link);
            }
        }
    }
}
