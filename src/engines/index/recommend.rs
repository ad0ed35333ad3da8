//! Points as examples of what to find, and of what not.

use super::admission::prepare;
use super::contents::Contents;
use super::planner::Search;
use super::top::{Ranked, Top};
use super::{Bits, IndexError, Like, Plan, SearchPath, Strategy, distance};

/// Examples of a search, all told: with the best score each is compared with every point.
const MAX_EXAMPLES: usize = 100;

impl Contents {
    /// The rows of the examples, the positive and the negative ones.
    ///
    /// Errors: none, too many, or one that is not there for who asks.
    pub(super) fn examples(
        &self,
        like: &Like,
        visible: &Bits,
    ) -> Result<(Vec<u32>, Vec<u32>), IndexError> {
        let count = like.positive.len() + like.negative.len();
        if count == 0 || (like.positive.is_empty() && like.strategy == Strategy::AverageVector) {
            return Err(IndexError::BadQuery(
                "positive needs at least one id; only strategy best_score does with negative alone"
                    .to_owned(),
            ));
        }
        if count > MAX_EXAMPLES {
            return Err(IndexError::BadQuery(format!(
                "positive and negative have at most {MAX_EXAMPLES} ids together, got {count}"
            )));
        }
        let rows = |ids: &[String]| {
            let row = |id: &String| {
                let row = self.ids.get(id.as_str()).copied();
                row.filter(|row| visible.contains(*row)).ok_or_else(|| {
                    let id: String = id.chars().take(64).collect();
                    IndexError::BadQuery(format!("no point {id} to recommend by"))
                })
            };
            ids.iter().map(row).collect::<Result<Vec<u32>, _>>()
        };
        Ok((rows(&like.positive)?, rows(&like.negative)?))
    }

    /// The mean of the positive vectors, moved away from that of the negative ones by their difference.
    pub(super) fn average(
        &self,
        positive: &[u32],
        negative: &[u32],
    ) -> Result<Vec<f32>, IndexError> {
        let mean = |rows: &[u32]| {
            let mut sum = vec![0.0_f64; self.spec.dim];
            for row in rows {
                for (sum, x) in sum.iter_mut().zip(self.rows.vector(*row)) {
                    *sum += f64::from(*x) / rows.len() as f64;
                }
            }
            sum
        };
        let (like, unlike) = (mean(positive), mean(negative));
        let moved = like.iter().zip(&unlike).map(|(like, unlike)| {
            let x = match negative.is_empty() {
                true => *like,
                false => like + (like - unlike),
            };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a number too large for f32 is refused as not finite"
            )]
            let x = x as f32;
            x
        });
        prepare(moved.collect(), &self.spec, "the mean of the examples")
    }
}

impl<'a> Search<'a> {
    /// Ranks every point by the example that it is likest to.
    pub(super) fn likest(
        &self,
        like: &[Vec<f32>],
        unlike: &[Vec<f32>],
        k: usize,
    ) -> (Vec<Ranked<'a>>, Plan) {
        let contents = self.contents();
        let (rows, metric) = (&contents.rows, contents.spec.metric);
        let mut top = Top::new(k);
        let mut compared = 0;
        for row in self.allowed().iter() {
            let vector = rows.vector(row);
            let best = |examples: &[Vec<f32>]| {
                let scores = examples.iter().map(|example| {
                    distance::score(metric, distance::likeness(metric, example, vector))
                });
                scores.reduce(f32::max)
            };
            let score = match (best(like), best(unlike)) {
                (Some(good), Some(bad)) if bad >= good => -squashed(bad),
                (Some(good), _) => squashed(good),
                (None, bad) => -squashed(bad.unwrap_or_default()),
            };
            top.offer(score, row, || &rows.doc(row).id);
            compared += like.len() + unlike.len();
        }
        let reason = "every point was compared with every example";
        let plan = Plan::new(SearchPath::ExactScan, compared, reason);
        (top.into_sorted(), plan)
    }
}

/// Into `(0, 1)`, in the same order.
fn squashed(score: f32) -> f32 {
    0.5 * (score / (1.0 + score.abs()) + 1.0)
}
