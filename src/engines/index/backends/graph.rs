//! The frozen graph: neighbour lists in flat arrays, walked by our own loop.
//!
//! Nodes are row numbers. The graph holds no vectors but their codes: it is walked over the table it
//! was built from, or over that table with more rows and more tombstones.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::quantised::{Aim, Quantised};
use super::space::{Coded, Exact, ExactAim, Space};
use super::walk::{Near, Scratch};
use crate::engines::index::rows::Rows;
use crate::engines::index::simd::{self, Kernel, Work};
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
    /// What walks compare; without it they compare the vectors themselves.
    codes: Option<Quantised>,
    tools: Mutex<Vec<Tools>>,
}

/// What a walk needs beside the graph.
#[derive(Debug, Default)]
struct Tools {
    scratch: Scratch,
    aim: Aim,
    moved: Vec<f32>,
}

/// Numbers that a graph is kept as on disk, by what they are: 0 for the head, then three for each layer.
pub type Sections = BTreeMap<u8, Vec<u32>>;

/// The most sparse layers that a graph on disk may have.
const MAX_LAYERS: u32 = 16;

/// Stands last in the head of a graph whose codes lead where its vectors would: whoever reads it need not find out again.
const CODED: u32 = 1;

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

    #[inline(always)]
    pub(super) fn of(&self, at: usize) -> &[u32] {
        match self.offsets.get(at..at + 2) {
            Some(&[from, to]) => &self.links[from as usize..to as usize],
            _ => &[],
        }
    }
}

impl Lists {
    /// How long the longest one is.
    pub(super) fn longest(&self) -> usize {
        let ends = self.offsets.windows(2);
        ends.map(|ends| (ends[1] - ends[0]) as usize)
            .max()
            .unwrap_or(0)
    }

    /// Checks lists that were read: `count` of them, all links pass.
    fn restored(
        offsets: Vec<u32>,
        links: Vec<u32>,
        count: usize,
        known: impl Fn(&u32) -> bool,
    ) -> Option<Self> {
        let ends = offsets.first() == Some(&0)
            && offsets.last().map(|last| *last as usize) == Some(links.len());
        let fits = ends && offsets.len() == count + 1 && offsets.is_sorted();
        (fits && links.iter().all(known)).then_some(Self { offsets, links })
    }
}

impl Layer {
    pub(super) fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// The nodes and links that pass.
    pub(super) fn only(&self, keep: impl Fn(&u32) -> bool) -> Self {
        self.renumbered(|row| keep(row).then_some(*row))
    }

    /// The nodes and links that get a number, which must keep their order.
    pub(super) fn renumbered(&self, number: impl Fn(&u32) -> Option<u32>) -> Self {
        let kept = |node: &u32| Some((number(node)?, self.of(*node)));
        let lists: BTreeMap<u32, Vec<u32>> = self
            .nodes
            .iter()
            .filter_map(kept)
            .map(|(node, links)| (node, links.iter().filter_map(&number).collect()))
            .collect();
        Self::new(&lists)
    }

    /// `lists` must be in ascending order of their nodes.
    pub(super) fn new(lists: &BTreeMap<u32, Vec<u32>>) -> Self {
        Self {
            nodes: lists.keys().copied().collect(),
            lists: Lists::from_lists(lists.values().map(Vec::as_slice)),
        }
    }

    #[inline(always)]
    pub(super) fn of(&self, node: u32) -> &[u32] {
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
            codes: None,
            tools: Mutex::default(),
        }
    }

    /// Gives it what to compare instead of vectors, if that is wanted and leads where they would; with `steered` that is
    /// known.
    pub(super) fn coded(self, rows: &Rows, metric: Metric, quantise: bool, steered: bool) -> Self {
        let codes = quantise
            .then(|| Quantised::of(rows, metric, self.rows, &[], Some(&self.base)))
            .flatten()
            .filter(|codes| steered || codes.steer(rows, metric));
        Self { codes, ..self }
    }

    /// Rows that it covers: those below this number.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Counts the points that were alive when it was built.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Its entry, where every walk starts.
    pub(super) fn entry(&self) -> u32 {
        self.entry
    }

    /// The sparse layers, the lowest first.
    pub(super) fn upper(&self) -> &[Layer] {
        &self.upper
    }

    /// A row's neighbours in the lowest layer.
    #[inline(always)]
    pub(super) fn links_of(&self, row: u32) -> &[u32] {
        self.base.of(row as usize)
    }

    /// Whether walks compare codes.
    pub fn is_coded(&self) -> bool {
        self.codes.is_some()
    }

    /// Counts its links, of all layers.
    pub fn links(&self) -> usize {
        let upper: usize = self.upper.iter().map(|layer| layer.lists.links.len()).sum();
        self.base.links.len() + upper
    }

    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        let of = |lists: &Lists| 4 * (lists.offsets.len() + lists.links.len());
        let upper = self.upper.iter();
        let codes = self.codes.as_ref().map_or(0, Quantised::bytes);
        codes
            + of(&self.base)
            + upper
                .map(|layer| 4 * layer.nodes.len() + of(&layer.lists))
                .sum::<usize>()
    }

    /// Walks towards `query`, `ef` wide, and returns the best `keep` rows of those that pass `accept`:
    /// about the best, when it goes by codes.
    ///
    /// Rows that do not pass are walked through. Gives up after `budget` comparisons.
    #[expect(clippy::too_many_arguments, reason = "called in one place")]
    pub(in crate::engines::index) fn search(
        &self,
        rows: &Rows,
        metric: Metric,
        query: &[f32],
        ef: usize,
        keep: usize,
        budget: usize,
        accept: impl Fn(u32) -> bool,
    ) -> Walk {
        let mut tools = self.tools().pop().unwrap_or_default();
        let gave_up = simd::run(Search {
            graph: self,
            rows,
            metric,
            query,
            ef,
            keep,
            budget,
            accept,
            tools: &mut tools,
        });
        let best = &tools.scratch.best;
        let walk = Walk {
            rows: best.iter().take(keep).map(|near| near.row()).collect(),
            compared: tools.scratch.compared,
            gave_up,
        };
        self.tools().push(tools);
        walk
    }

    fn tools(&self) -> std::sync::MutexGuard<'_, Vec<Tools>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Graph {
    /// Takes it apart, to be kept on disk. Codes are left out: they follow from the vectors.
    pub fn sections(&self) -> Sections {
        let layers = u32::try_from(self.upper.len()).unwrap_or(u32::MAX);
        let points = u32::try_from(self.points).unwrap_or(u32::MAX);
        let mut sections = Sections::new();
        let mut head = vec![self.rows, points, self.entry, layers];
        head.extend(self.is_coded().then_some(CODED));
        sections.insert(0, head);
        let lowest = (&[][..], &self.base);
        let upper = self
            .upper
            .iter()
            .map(|layer| (&layer.nodes[..], &layer.lists));
        for (at, (nodes, lists)) in (0_u8..).zip(std::iter::once(lowest).chain(upper)) {
            sections.insert(1 + 3 * at, nodes.to_vec());
            sections.insert(2 + 3 * at, lists.offsets.clone());
            sections.insert(3 + 3 * at, lists.links.clone());
        }
        sections
    }

    /// Puts it together again over `rows`, whose first rows are what it was made of. `None` when the
    /// sections are not those of such a graph.
    pub fn restored(
        mut sections: Sections,
        rows: &Rows,
        metric: Metric,
        quantise: bool,
    ) -> Option<Self> {
        let head = sections.remove(&0)?;
        let (&[covered, points, entry, layers], rest) = head.split_first_chunk()?;
        let steered = match rest {
            [] => false,
            [CODED] => true,
            _ => return None,
        };
        let known = |row: &u32| *row < covered;
        if covered > rows.len() || points > covered || !known(&entry) || layers > MAX_LAYERS {
            return None;
        }
        let mut take = |section: u8| sections.remove(&section).unwrap_or_default();
        let (_, offsets, links) = (take(1), take(2), take(3));
        let base = Lists::restored(offsets, links, covered as usize, known)?;
        let mut upper = Vec::new();
        for at in 1..=u8::try_from(layers).ok()? {
            let (nodes, offsets, links) = (take(1 + 3 * at), take(2 + 3 * at), take(3 + 3 * at));
            if !nodes.is_sorted_by(|a, b| a < b) || !nodes.iter().all(known) {
                return None;
            }
            let lists = Lists::restored(offsets, links, nodes.len(), known)?;
            upper.push(Layer { nodes, lists });
        }
        let points = points as usize;
        let graph = Self::new(covered, points, entry, base, upper);
        Some(graph.coded(rows, metric, quantise, steered))
    }
}

struct Search<'a, A> {
    graph: &'a Graph,
    rows: &'a Rows,
    metric: Metric,
    query: &'a [f32],
    ef: usize,
    keep: usize,
    budget: usize,
    accept: A,
    tools: &'a mut Tools,
}

impl<A: Fn(u32) -> bool> Work for Search<'_, A> {
    type Output = bool;

    #[inline(always)]
    fn run(self, kernel: impl Kernel) -> bool {
        let Tools {
            scratch,
            aim,
            moved,
        } = self.tools;
        let exact = Exact {
            kernel,
            rows: self.rows,
            metric: self.metric,
            lifts: &[],
        };
        let (graph, ef, budget) = (self.graph, self.ef, self.budget);
        let gave_up = match &graph.codes {
            Some(codes) => {
                codes.aim(self.query, aim, moved);
                let space = Coded { kernel, codes };
                let links = |row| codes.links(row).unwrap_or_else(|| graph.links_of(row));
                graph.walk(space, aim, scratch, links, ef, budget, self.accept)
            }
            None => {
                let aim = ExactAim {
                    vector: self.query,
                    lift: 0.0,
                };
                let links = |row| graph.links_of(row);
                graph.walk(exact, &aim, scratch, links, ef, budget, self.accept)
            }
        };
        // They are ranked by their vectors next, and named. Each of these lies behind the one before, so all of one kind
        // are on their way before the first of the next kind is read.
        let kept = || scratch.best.iter().take(self.keep).map(|near| near.row());
        for row in kept() {
            kernel.prefetch(self.rows.vector(row));
            kernel.prefetch(std::slice::from_ref(self.rows.doc(row)));
        }
        for row in kept() {
            kernel.prefetch(std::slice::from_ref(&**self.rows.doc(row)));
        }
        for row in kept() {
            kernel.prefetch(self.rows.doc(row).id.as_bytes());
        }
        gave_up
    }
}

impl Graph {
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one loop, compiled for each use")]
    fn walk<'g, S: Space>(
        &self,
        space: S,
        aim: &S::Aim,
        scratch: &mut Scratch,
        links: impl Fn(u32) -> &'g [u32],
        ef: usize,
        budget: usize,
        accept: impl Fn(u32) -> bool,
    ) -> bool {
        scratch.compared = 1;
        let entry = Near::new(space.likeness(aim, self.entry), self.entry);
        let mut best = entry;
        for layer in self.upper.iter().rev() {
            best = scratch.descend(space, aim, best, |node| layer.of(node));
        }
        scratch.walk(
            space,
            aim,
            best,
            Some(entry),
            self.rows,
            links,
            ef,
            budget,
            accept,
        )
    }
}
