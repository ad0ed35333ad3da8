//! From rows to a graph, by the builder that the settings name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::graph::{Graph, Layer, Lists};
use super::quantised::Quantised;
use super::space::{Coded, Exact, Space, lifts};
use super::twins::Twins;
use super::{hnsw, own, reach};
use crate::engines::index::config::Builder;
use crate::engines::index::rows::Rows;
use crate::engines::index::simd::{self, Kernel, Work};
use crate::engines::index::{IndexConfig, IndexError};
use crate::types::point::Metric;

/// Builds a graph over the live rows. Takes long: seconds for tens of thousands of them. `done` counts
/// the rows that are in it.
///
/// Errors: [`IndexError::Graph`] when there is nothing to build from, or the builder panicked.
pub(in crate::engines::index) fn build(
    rows: &Rows,
    metric: Metric,
    config: &IndexConfig,
    done: &AtomicUsize,
) -> Result<Graph, IndexError> {
    let lifts = lifts(rows, metric);
    let codes = config
        .quantise
        .then(|| Quantised::of(rows, metric, rows.len(), &lifts, None))
        .flatten()
        .filter(|codes| codes.steer(rows, metric));
    let work = Build {
        rows,
        metric,
        config,
        done,
        lifts: &lifts,
        codes: codes.as_ref(),
    };
    let built = catch_unwind(AssertUnwindSafe(|| simd::run(work)))
        .map_err(|panic| IndexError::Graph(format!("the builder panicked: {}", text_of(&*panic))))?
        .ok_or_else(|| IndexError::Graph("there are no points".to_owned()))?;
    // Made anew with the neighbours, and without what only builds need.
    let steered = codes.is_some();
    drop(codes);
    Ok(built.coded(rows, metric, config.quantise && steered, steered))
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

#[derive(Clone, Copy)]
struct Build<'a> {
    rows: &'a Rows,
    metric: Metric,
    config: &'a IndexConfig,
    done: &'a AtomicUsize,
    lifts: &'a [f32],
    codes: Option<&'a Quantised>,
}

impl Work for Build<'_> {
    type Output = Option<Graph>;

    #[inline(always)]
    fn run(self, kernel: impl Kernel) -> Option<Graph> {
        match self.codes {
            Some(codes) => self.over(Coded { kernel, codes }),
            None => self.over(Exact {
                kernel,
                rows: self.rows,
                metric: self.metric,
                lifts: self.lifts,
            }),
        }
    }
}

impl Build<'_> {
    #[inline(always)]
    fn over<S: Space>(self, space: S) -> Option<Graph> {
        let Self {
            rows, config, done, ..
        } = self;
        let twins = Twins::among(rows);
        let firsts = &twins.firsts;
        let mut drawn = match config.builder {
            Builder::Own => own::draw(space, rows.len(), firsts, config, done),
            Builder::HnswRs => hnsw::draw(rows, firsts, self.metric, self.lifts, config, done),
        }?;
        let upper: Vec<Layer> = drawn.upper.iter().map(Layer::new).collect();
        let (entry, base) = (drawn.entry, &mut drawn.base);
        let points = firsts.iter().copied();
        reach::link_unreachable(space, points, config.m, entry, base, &upper);
        twins.link(base);
        done.store(rows.live(), Ordering::Relaxed);
        let base = Lists::from_lists(base.iter().map(Vec::as_slice));
        Some(Graph::new(rows.len(), rows.live(), entry, base, upper))
    }
}
