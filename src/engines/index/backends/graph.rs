//! The frozen graph: neighbour lists in flat arrays, walked by our own loop.
//!
//! Nodes are row numbers. The graph holds no vectors: it is walked over the table it was built
//! from, or over that table with more rows and more tombstones. Source: Malkov & Yashunin,
//! arXiv:1603.09320, Alg. 2 and 5.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use crate::engines::index::distance::likeness;
use crate::engines::index::rows::Rows;
use crate::types::point::Metric;

/// A graph over the first rows of a table.
#[derive(Debug)]
pub struct Graph {
    /// Rows that it covers: those below this number.
    rows: u32,
    /// Points that were alive when it was built, each of which can be reached.
    points: usize,
    entry: u32,
    base: Lists,
    /// The sparse layers, the lowest first.
    upper: Vec<Layer>,
    scratch: Mutex<Vec<Scratch>>,
}

/// Lists of neighbours, one after the other: list `i` is `links[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Default)]
pub(super) struct Lists {
    offsets: Vec<u32>,
    links: Vec<u32>,
}

/// A sparse layer: the lists of a few nodes.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Ascending; `lists` are in the same order.
    nodes: Vec<u32>,
    lists: Lists,
}

/// A likeness and a row; the greater the more alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub(super) likeness: f32,
    pub(super) row: u32,
}

impl Eq for Near {}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.likeness
            .total_cmp(&other.likeness)
            .then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a walk needs; kept between walks, so that none of them allocates.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The number of the last walk that came by, for each row.
    seen: Vec<u32>,
    walk: u32,
    todo: BinaryHeap<Near>,
    found: BinaryHeap<Reverse<Near>>,
}

/// Where a walk goes: the vectors that it compares, and what it compares them to.
pub(super) struct Target<'a> {
    pub(super) rows: &'a Rows,
    pub(super) metric: Metric,
    pub(super) query: &'a [f32],
}

impl Target<'_> {
    fn near(&self, row: u32) -> Near {
        let likeness = likeness(self.metric, self.query, self.rows.vector(row));
        Near { likeness, row }
    }
}

/// What a walk brings back.
#[derive(Debug, Default)]
pub(in crate::engines::index) struct Walk {
    /// Best first.
    pub(in crate::engines::index) rows: Vec<u32>,
    /// Vectors that were compared.
    pub(in crate::engines::index) compared: usize,
    /// The walk was given up: it had compared more than it was allowed to.
    pub(in crate::engines::index) gave_up: bool,
}

impl Lists {
    pub(super) fn from_lists<'a>(lists: impl Iterator<Item = &'a [u32]>) -> Self {
        let mut flat = Self {
            offsets: vec![0],
            links: Vec::new(),
        };
        for list in lists {
            flat.links.extend_from_slice(list);
            flat.offsets
                .push(u32::try_from(flat.links.len()).unwrap_or(u32::MAX));
        }
        flat
    }

    fn of(&self, at: usize) -> &[u32] {
        match self.offsets.get(at..at + 2) {
            Some(&[from, to]) => &self.links[from as usize..to as usize],
            _ => &[],
        }
    }
}

impl Layer {
    /// `lists` must be in ascending order of their nodes.
    pub(super) fn new(lists: &std::collections::BTreeMap<u32, Vec<u32>>) -> Self {
        Self {
            nodes: lists.keys().copied().collect(),
            lists: Lists::from_lists(lists.values().map(Vec::as_slice)),
        }
    }

    fn of(&self, node: u32) -> &[u32] {
        self.nodes
            .binary_search(&node)
            .map_or(&[], |at| self.lists.of(at))
    }
}

impl Graph {
    pub(super) fn new(
        rows: u32,
        points: usize,
        entry: u32,
        base: Lists,
        upper: Vec<Layer>,
    ) -> Self {
        Self {
            rows,
            points,
            entry,
            base,
            upper,
            scratch: Mutex::default(),
        }
    }

    /// Rows that it covers: those below this number.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Counts the points that were alive when it was built.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Counts its links, of all layers.
    pub fn links(&self) -> usize {
        let upper: usize = self.upper.iter().map(|layer| layer.lists.links.len()).sum();
        self.base.links.len() + upper
    }

    /// Walks towards `query` and returns up to `ef` rows that pass `accept`.
    ///
    /// Rows that do not pass are walked through. Gives up after `budget` comparisons.
    pub(in crate::engines::index) fn search(
        &self,
        rows: &Rows,
        metric: Metric,
        query: &[f32],
        ef: usize,
        budget: usize,
        accept: impl Fn(u32) -> bool,
    ) -> Walk {
        let mut scratch = self.pool().pop().unwrap_or_default();
        let target = Target {
            rows,
            metric,
            query,
        };
        let (start, mut compared) = descend(&self.upper, self.entry, &target);
        let links = |row: u32| self.base.of(row as usize);
        let gave_up = scratch.walk(&target, start, links, ef, budget, accept, &mut compared);
        let found = scratch.take_found();
        self.pool().push(scratch);
        Walk {
            rows: found.into_iter().map(|near| near.row).collect(),
            compared,
            gave_up,
        }
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes down the sparse layers, in each to the node most alike. Also counts the comparisons.
pub(super) fn descend(upper: &[Layer], entry: u32, target: &Target<'_>) -> (u32, usize) {
    let mut best = target.near(entry);
    let mut compared = 1;
    for layer in upper.iter().rev() {
        loop {
            let links = layer.of(best.row);
            compared += links.len();
            match links.iter().map(|row| target.near(*row)).max() {
                Some(next) if next.likeness > best.likeness => best = next,
                _ => break,
            }
        }
    }
    (best.row, compared)
}

impl Scratch {
    /// Best-first search from `start` over `links`; what it finds is in `found`. Returns whether it
    /// gave up.
    #[expect(
        clippy::too_many_arguments,
        reason = "one inner loop, called in two places"
    )]
    pub(super) fn walk<'g>(
        &mut self,
        target: &Target<'_>,
        start: u32,
        links: impl Fn(u32) -> &'g [u32],
        ef: usize,
        budget: usize,
        accept: impl Fn(u32) -> bool,
        compared: &mut usize,
    ) -> bool {
        self.begin(target.rows.len() as usize);
        let first = target.near(start);
        self.seen[start as usize] = self.walk;
        self.todo.push(first);
        if accept(start) {
            self.found.push(Reverse(first));
        }
        while let Some(next) = self.todo.pop() {
            let full = self.found.len() >= ef;
            if full
                && self
                    .found
                    .peek()
                    .is_some_and(|worst| next.likeness < worst.0.likeness)
            {
                break;
            }
            if *compared > budget {
                return true;
            }
            for &row in links(next.row) {
                let seen = &mut self.seen[row as usize];
                if *seen == self.walk {
                    continue;
                }
                *seen = self.walk;
                *compared += 1;
                let near = target.near(row);
                let full = self.found.len() >= ef;
                if full && self.found.peek().is_some_and(|worst| near <= worst.0) {
                    continue;
                }
                self.todo.push(near);
                if accept(row) {
                    self.found.push(Reverse(near));
                    if full {
                        self.found.pop();
                    }
                }
            }
        }
        false
    }

    fn begin(&mut self, rows: usize) {
        self.todo.clear();
        self.found.clear();
        if self.seen.len() < rows {
            self.seen.resize(rows, 0);
        }
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.seen.fill(0);
            self.walk = 1;
        }
    }

    /// Returns what the last walk found, best first.
    pub(super) fn take_found(&mut self) -> Vec<Near> {
        let mut found: Vec<Near> = self.found.drain().map(|near| near.0).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }
}
