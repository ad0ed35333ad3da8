//! All lines of a replay in a few numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{COST, Replayed, bootstrap};

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
    /// What all answers cost.
    #[serde(default)]
    pub cost: Costs,
}

/// What all answers cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Those of the candidate.
    pub candidate: Cost,
    /// Those that were recorded.
    pub recorded: Cost,
    /// Candidate less recorded, where both are known.
    pub difference: Cost,
}

/// A sum of costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The sum of those that are known, US dollars, with its 95 % interval; null when none is known.
    pub sum: Option<Mean>,
    /// Tasks whose cost is not known: they are not in the sum.
    pub unknown: usize,
}

/// Whether less of a measure is better.
pub fn is_better_low(measure: &str) -> bool {
    matches!(
        measure,
        COST | "total_cost_usd" | "latency_ms" | "completion_tokens"
    )
}

/// Digits behind the point: three for shares, none for what is counted, as many as tell of small sums of money.
pub fn digits(value: f64) -> usize {
    let size = value.abs();
    if size >= 10.0 {
        0
    } else if size >= 0.001 || size <= 0.0 || !size.is_finite() {
        3
    } else {
        // Three of them count. What is smaller than a millionth of a millionth is nothing.
        (4..15)
            .find(|digits| size * 10_f64.powi(*digits) >= 100.0)
            .map_or(3, |digits| digits.unsigned_abs() as usize)
    }
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
    let cost = |values: &BTreeMap<&str, Vec<f64>>| Cost::of(values.get(COST), lines.len());
    let cost = Costs {
        candidate: cost(&candidate),
        recorded: cost(&recorded),
        difference: cost(&difference),
    };
    Summary {
        cost,
        tasks: lines.len(),
        failed: lines.iter().filter(|line| line.error.is_some()).count(),
        candidate: means(candidate),
        recorded: means(recorded),
        difference: means(difference),
    }
}

impl Cost {
    fn of(known: Option<&Vec<f64>>, tasks: usize) -> Self {
        let known = known.map_or(&[][..], Vec::as_slice);
        let count = known.len() as f64;
        let sum = bootstrap::mean(known).map(|(mean, low, high)| Mean {
            mean: mean * count,
            low: low * count,
            high: high * count,
            tasks: known.len(),
        });
        Self {
            sum,
            unknown: tasks.saturating_sub(known.len()),
        }
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
