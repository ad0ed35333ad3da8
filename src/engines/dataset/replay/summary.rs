//! All lines of a replay in a few numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Replayed, bootstrap};

/// A mean and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Tasks that it is of.
    pub tasks: usize,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Tasks asked.
    pub tasks: usize,
    /// Of those without an answer.
    pub failed: usize,
    /// The candidate's measures by name.
    pub candidate: BTreeMap<String, Mean>,
    /// Those of what was recorded.
    pub recorded: BTreeMap<String, Mean>,
    /// Candidate less recorded, task by task, where both have the measure. An interval that holds 0 is no difference.
    pub difference: BTreeMap<String, Mean>,
}

/// Sums up.
pub fn summary(lines: &[Replayed]) -> Summary {
    let mut candidate: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut recorded = candidate.clone();
    let mut difference = candidate.clone();
    for line in lines {
        for (name, value) in &line.candidate {
            candidate.entry(name).or_default().push(*value);
            if let Some(then) = line.recorded.get(name) {
                difference.entry(name).or_default().push(value - then);
            }
        }
        for (name, value) in &line.recorded {
            recorded.entry(name).or_default().push(*value);
        }
    }
    Summary {
        tasks: lines.len(),
        failed: lines.iter().filter(|line| line.error.is_some()).count(),
        candidate: means(candidate),
        recorded: means(recorded),
        difference: means(difference),
    }
}

fn means(values: BTreeMap<&str, Vec<f64>>) -> BTreeMap<String, Mean> {
    let means = values.into_iter().filter_map(|(name, values)| {
        let (mean, low, high) = bootstrap::mean(&values)?;
        let tasks = values.len();
        Some((
            name.to_owned(),
            Mean {
                mean,
                low,
                high,
                tasks,
            },
        ))
    });
    means.collect()
}
