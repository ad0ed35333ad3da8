//! A graph carried over to a table without its deleted rows, as a snapshot writes it.

use super::graph::{Graph, Layer, Lists};
use super::own::choose;
use super::reach;
use super::space::{Exact, Space, lifts};
use super::walk::Near;
use crate::engines::index::rows::Rows;
use crate::engines::index::simd::{self, Kernel, Work};
use crate::types::point::Metric;

impl Graph {
    /// This graph as it would number the live rows of `rows` alone. A point that lost a neighbour may get
    /// one of that one's neighbours. `None` when none of its points is left.
    pub fn carried(&self, rows: &Rows, metric: Metric, m: usize) -> Option<Self> {
        simd::run(Carry {
            graph: self,
            rows,
            metric,
            m,
        })
    }
}

struct Carry<'a> {
    graph: &'a Graph,
    rows: &'a Rows,
    metric: Metric,
    m: usize,
}

impl Work for Carry<'_> {
    type Output = Option<Graph>;

    #[inline(always)]
    fn run(self, kernel: impl Kernel) -> Option<Graph> {
        let Self {
            graph,
            rows,
            metric,
            m,
        } = self;
        let lifts = lifts(rows, metric);
        let space = Exact {
            kernel,
            rows,
            metric,
            lifts: &lifts,
        };
        let alive = |row: &u32| rows.alive().contains(*row);
        // The new number of each row; the deleted ones have none.
        let mut numbers = vec![None; graph.rows() as usize];
        let mut count = 0_u32;
        for row in rows.alive().iter().take_while(|row| *row < graph.rows()) {
            numbers[row as usize] = Some(count);
            count += 1;
        }
        let points = || (0..graph.rows()).filter(|row| numbers[*row as usize].is_some());
        let mut base: Vec<Vec<u32>> = (0..graph.rows())
            .map(|row| {
                if alive(&row) {
                    graph.links_of(row).to_vec()
                } else {
                    Vec::new()
                }
            })
            .collect();
        let (mut aim, mut other, mut crowd, mut chosen) = Default::default();
        for row in points() {
            if graph.links_of(row).iter().all(alive) {
                continue;
            }
            let beyond = |link: &u32| {
                if alive(link) {
                    &[][..]
                } else {
                    graph.links_of(*link)
                }
            };
            let links = graph.links_of(row).iter();
            let mut near: Vec<u32> = links
                .clone()
                .chain(links.flat_map(beyond))
                .copied()
                .collect();
            near.retain(|link| alive(link) && *link != row);
            near.sort_unstable();
            near.dedup();
            space.aim_at(row, &mut aim);
            crowd = near
                .iter()
                .map(|&link| Near::new(space.likeness(&aim, link), link))
                .collect::<Vec<_>>();
            crowd.sort_unstable_by(|a, b| b.cmp(a));
            choose(space, &crowd, 2 * m, &mut other, &mut chosen);
            base[row as usize] = chosen.iter().map(|near: &Near| near.row()).collect();
        }
        drop(crowd);
        let mut upper: Vec<Layer> = graph
            .upper()
            .iter()
            .map(|layer| layer.only(alive))
            .collect();
        while upper.last().is_some_and(|layer| layer.nodes().is_empty()) {
            upper.pop();
        }
        let entry = match upper.last() {
            Some(top) if !alive(&graph.entry()) => top.nodes().first().copied(),
            Some(_) => Some(graph.entry()),
            None => points().next(),
        }?;
        reach::link_unreachable(space, points(), m, entry, &mut base, &upper);
        let number = |row: &u32| numbers[*row as usize];
        let lists = points().map(|row| {
            base[row as usize]
                .iter()
                .filter_map(number)
                .collect::<Vec<_>>()
        });
        let lists: Vec<_> = lists.collect();
        let upper = upper.iter().map(|layer| layer.renumbered(number)).collect();
        let base = Lists::from_lists(lists.iter().map(Vec::as_slice));
        let points = count as usize;
        Some(Graph::new(count, points, number(&entry)?, base, upper))
    }
}
