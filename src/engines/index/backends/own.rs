//! Our own builder. Source: Malkov & Yashunin, arXiv:1603.09320, Alg. 1 to 4.
//!
//! One thread, levels drawn by row number: the same rows give the same graph.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Drawn;
use super::space::Space;
use super::walk::{Near, Scratch};
use crate::engines::index::IndexConfig;

/// Sparse layers, at most.
const MAX_LEVEL: usize = 15;

/// Draws the graph of `points`, which are ascending rows of a table of `rows`. `None` when there are none.
#[inline(always)]
pub(super) fn draw<S: Space>(
    space: S,
    rows: u32,
    points: &[u32],
    config: &IndexConfig,
    done: &AtomicUsize,
) -> Option<Drawn> {
    let m = config.m;
    let top = points.iter().map(|row| level(*row, m)).max()?;
    let layers = (0..=top).map(|at| {
        let nodes = || points.iter().copied().filter(|row| level(*row, m) >= at);
        match at {
            0 => Links::new(None, rows as usize, 2 * m),
            _ => Links::new(Some(nodes().collect()), nodes().count(), m),
        }
    });
    let mut drawing = Drawing {
        space,
        rows,
        m,
        ef: config.ef_construction,
        layers: layers.collect(),
        entry: None,
        scratch: Scratch::default(),
        aim: S::Aim::default(),
        other: S::Aim::default(),
        chosen: Vec::new(),
        crowd: Vec::new(),
    };
    for (at, row) in points.iter().enumerate() {
        drawing.insert(*row, level(*row, m));
        done.store(at + 1, Ordering::Relaxed);
    }
    drawing.finish()
}

/// A level from a geometric distribution, the same one for the same row (splitmix64).
fn level(row: u32, m: usize) -> usize {
    let mut z = u64::from(row)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = ((z ^ (z >> 31)) >> 11) as f64 + 1.0;
    let drawn = -(unit / (1_u64 << 53) as f64).ln() / (m as f64).ln();
    (drawn as usize).min(MAX_LEVEL)
}

/// The neighbour lists of one layer, all of the same room.
struct Links {
    /// Ascending; `None` in the lowest layer, where every row has a list.
    nodes: Option<Vec<u32>>,
    room: usize,
    rows: Vec<u32>,
    likenesses: Vec<f32>,
    counts: Vec<u8>,
}

impl Links {
    fn new(nodes: Option<Vec<u32>>, count: usize, room: usize) -> Self {
        Self {
            nodes,
            room,
            rows: vec![0; count * room],
            likenesses: vec![0.0; count * room],
            counts: vec![0; count],
        }
    }

    #[inline(always)]
    fn slot(&self, row: u32) -> usize {
        match &self.nodes {
            None => row as usize,
            // Only nodes of a layer are linked in it.
            Some(nodes) => nodes.binary_search(&row).unwrap_or_default(),
        }
    }

    #[inline(always)]
    fn of(&self, row: u32) -> &[u32] {
        let slot = self.slot(row);
        &self.rows[slot * self.room..][..usize::from(self.counts[slot])]
    }

    #[inline(always)]
    fn set(&mut self, slot: usize, list: &[Near]) {
        let from = slot * self.room;
        for (at, near) in list.iter().take(self.room).enumerate() {
            self.rows[from + at] = near.row();
            self.likenesses[from + at] = near.likeness();
        }
        self.counts[slot] = list.len().min(self.room) as u8;
    }
}

struct Drawing<S: Space> {
    space: S,
    rows: u32,
    m: usize,
    ef: usize,
    /// The lowest first.
    layers: Vec<Links>,
    /// With its level.
    entry: Option<(u32, usize)>,
    scratch: Scratch,
    aim: S::Aim,
    other: S::Aim,
    chosen: Vec<Near>,
    crowd: Vec<Near>,
}

impl<S: Space> Drawing<S> {
    #[inline(always)]
    fn insert(&mut self, row: u32, level: usize) {
        let Some((entry, top)) = self.entry else {
            self.entry = Some((row, level));
            return;
        };
        let (space, scratch) = (self.space, &mut self.scratch);
        space.aim_at(row, &mut self.aim);
        let mut best = Near::new(space.likeness(&self.aim, entry), entry);
        for layer in self.layers.iter().take(top + 1).skip(level + 1).rev() {
            best = scratch.descend(space, &self.aim, best, |node| layer.of(node));
        }
        for layer in self.layers.iter_mut().take(level.min(top) + 1).rev() {
            let links = |node: u32| layer.of(node);
            let (rows, ef) = (self.rows, self.ef);
            scratch.walk(
                space,
                &self.aim,
                best,
                None,
                rows,
                links,
                ef,
                usize::MAX,
                |_| true,
            );
            best = scratch.best.first().copied().unwrap_or(best);
            choose(
                space,
                &scratch.best,
                self.m,
                &mut self.other,
                &mut self.chosen,
            );
            let slot = layer.slot(row);
            layer.set(slot, &self.chosen);
            // Each of them links back, and drops what it has room for no more.
            for at in 0..self.chosen.len() {
                let near = self.chosen[at];
                let back = Near::new(near.likeness(), row);
                let slot = layer.slot(near.row());
                let (from, count) = (slot * layer.room, usize::from(layer.counts[slot]));
                if count < layer.room {
                    layer.rows[from + count] = row;
                    layer.likenesses[from + count] = near.likeness();
                    layer.counts[slot] += 1;
                    continue;
                }
                self.crowd.clear();
                self.crowd.push(back);
                let likenesses = &layer.likenesses[from..from + count];
                let others = layer.rows[from..from + count].iter().zip(likenesses);
                self.crowd
                    .extend(others.map(|(row, likeness)| Near::new(*likeness, *row)));
                self.crowd.sort_unstable_by(|a, b| b.cmp(a));
                // `best` is free again: the next layer's walk fills it anew.
                choose(
                    space,
                    &self.crowd,
                    layer.room,
                    &mut self.other,
                    &mut scratch.best,
                );
                layer.set(slot, &scratch.best);
            }
        }
        if level > top {
            self.entry = Some((row, level));
        }
    }

    fn finish(self) -> Option<Drawn> {
        let (entry, _) = self.entry?;
        let mut layers = self.layers.into_iter();
        let lowest = layers.next()?;
        let base = (0..self.rows).map(|row| lowest.of(row).to_vec()).collect();
        let upper = layers
            .map(|layer| {
                let nodes = layer.nodes.iter().flatten();
                nodes
                    .map(|&row| (row, layer.of(row).to_vec()))
                    .collect::<BTreeMap<_, _>>()
            })
            .collect();
        Some(Drawn { base, upper, entry })
    }
}

/// Chooses neighbours from `sorted`, the most alike first: each is more like the point than like any
/// chosen before it, so that they lie in different directions.
#[inline(always)]
pub(super) fn choose<S: Space>(
    space: S,
    sorted: &[Near],
    limit: usize,
    aim: &mut S::Aim,
    chosen: &mut Vec<Near>,
) {
    chosen.clear();
    for &near in sorted {
        if chosen.len() >= limit {
            break;
        }
        space.aim_at(near.row(), aim);
        let crowded = chosen
            .iter()
            .any(|kept| space.likeness(aim, kept.row()) >= near.likeness());
        if !crowded {
            chosen.push(near);
        }
    }
}
