//! The last hour in numbers: a sample of the counters every few seconds, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Services, health, now_ms};
use crate::types::traffic::Traffic;

/// How often a sample is taken.
pub const EVERY: Duration = Duration::from_secs(5);
/// Samples that are kept: an hour.
const KEPT: usize = 720;

/// The samples, the oldest first.
#[derive(Debug, Default)]
pub struct Trends(Mutex<VecDeque<Sample>>);

/// The counters as they stood at a moment.
#[derive(Debug, Clone, Default)]
struct Sample {
    at_ms: u64,
    traffic: Traffic,
    texts: Looked,
    answers: Looked,
    tokens: u64,
}

/// Look-ups in a cache.
#[derive(Debug, Clone, Copy, Default)]
struct Looked {
    hits: u64,
    misses: u64,
}

impl Looked {
    /// Share of hits since `before`; `None` when nothing was looked up.
    fn share_since(self, before: Self) -> Option<f64> {
        let hits = self.hits.saturating_sub(before.hits);
        let all = hits + self.misses.saturating_sub(before.misses);
        (all > 0).then(|| hits as f64 / all as f64)
    }
}

/// A stretch of time; what nothing was measured of is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// Its end, Unix milliseconds.
    pub until_ms: u64,
    /// Requests a second.
    pub requests: f64,
    /// Of those, with a status of 500 or above.
    pub failed: f64,
    /// Median time until an answer's head, milliseconds.
    pub p50_ms: Option<f64>,
    /// What 99 of 100 requests stay below, milliseconds.
    pub p99_ms: Option<f64>,
    /// Share of texts whose vector was in the cache.
    pub texts_cached: Option<f64>,
    /// Share of chat requests, of those that wanted it, whose answer was in the cache.
    pub answers_cached: Option<f64>,
    /// Tokens of chats, read and written, a second.
    pub tokens: f64,
}

/// Takes a sample.
pub fn sample(services: &Services, traffic: Traffic) {
    let figures = health::figures(services);
    let tokens = figures
        .chat
        .iter()
        .map(|(_, _, sums)| sums.prompt_tokens + sums.completion_tokens)
        .sum();
    services.trends.push(Sample {
        at_ms: now_ms(),
        traffic,
        texts: Looked {
            hits: figures.cache.hits,
            misses: figures.cache.misses,
        },
        answers: Looked {
            hits: figures.kept.hits + figures.kept.semantic_hits,
            misses: figures.kept.misses,
        },
        tokens,
    });
}

/// Draws up the last hour, or what there is of it, in at most `most` stretches of about the same length, the oldest first.
pub fn stretches(services: &Services, most: usize) -> Vec<Stretch> {
    services.trends.stretches(most)
}

impl Trends {
    fn push(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    fn stretches(&self, most: usize) -> Vec<Stretch> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gaps = samples.len().saturating_sub(1);
        let step = gaps.div_ceil(most.max(1)).max(1);
        // Counted from the newest, so that the last stretch is always a whole one.
        let mut ends: Vec<&Sample> = samples.iter().rev().step_by(step).collect();
        ends.reverse();
        ends.windows(2)
            .filter_map(|pair| match pair {
                [before, after] => Some(between(before, after)),
                _ => None,
            })
            .collect()
    }
}

fn between(before: &Sample, after: &Sample) -> Stretch {
    let seconds = after.at_ms.saturating_sub(before.at_ms).max(1) as f64 / 1_000.0;
    let a_second = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
    let within: Vec<(f64, u64)> = (after.traffic.within.iter())
        .enumerate()
        .map(|(at, (bound, count))| {
            let earlier = before.traffic.within.get(at).map_or(0, |(_, count)| *count);
            (*bound, count.saturating_sub(earlier))
        })
        .collect();
    let requests = (after.traffic.requests).saturating_sub(before.traffic.requests);
    let millis = |share| quantile(share, &within, requests).map(|seconds| seconds * 1_000.0);
    Stretch {
        until_ms: after.at_ms,
        requests: a_second(after.traffic.requests, before.traffic.requests),
        failed: a_second(after.traffic.failed, before.traffic.failed),
        p50_ms: millis(0.5),
        p99_ms: millis(0.99),
        texts_cached: after.texts.share_since(before.texts),
        answers_cached: after.answers.share_since(before.answers),
        tokens: a_second(after.tokens, before.tokens),
    }
}

/// Seconds that `share` of the requests stay below, taken to be spread evenly between two bounds, as Prometheus does.
/// What is above the last bound counts as that bound.
fn quantile(share: f64, within: &[(f64, u64)], requests: u64) -> Option<f64> {
    if requests == 0 {
        return None;
    }
    let wanted = share * requests as f64;
    let (mut low, mut below) = (0.0, 0);
    for &(bound, count) in within {
        if count as f64 >= wanted {
            let inside = count.saturating_sub(below).max(1) as f64;
            return Some(low + (bound - low) * ((wanted - below as f64) / inside).clamp(0.0, 1.0));
        }
        (low, below) = (bound, count);
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, requests: u64) -> Sample {
        Sample {
            at_ms: seconds * 1_000,
            traffic: Traffic {
                requests,
                failed: requests / 10,
                within: vec![(0.1, requests / 2), (0.2, requests)],
            },
            texts: Looked {
                hits: 3 * requests,
                misses: requests,
            },
            ..Sample::default()
        }
    }

    #[test]
    fn a_stretch_tells_what_came_between_two_samples() {
        let trends = Trends::default();
        assert_eq!(trends.stretches(10), []);
        trends.push(at(0, 1_000));
        assert_eq!(trends.stretches(10), []);
        trends.push(at(5, 1_000));
        trends.push(at(10, 1_100));
        let drawn = trends.stretches(10);
        assert_eq!(drawn.len(), 2);
        assert_eq!((drawn[0].requests, drawn[0].p50_ms), (0.0, None));
        assert_eq!(drawn[0].texts_cached, None);
        assert_eq!((drawn[1].requests, drawn[1].failed), (20.0, 2.0));
        assert_eq!(drawn[1].texts_cached, Some(0.75));
        assert_eq!(drawn[1].answers_cached, None);
        assert!((drawn[1].p50_ms.unwrap() - 100.0).abs() < 1e-6);
        assert!((drawn[1].p99_ms.unwrap() - 198.0).abs() < 1e-6);
    }

    #[test]
    fn an_hour_is_kept_and_drawn_in_as_many_stretches_as_asked_for() {
        let trends = Trends::default();
        for number in 0..2_000 {
            trends.push(at(number * 5, number * 10));
        }
        let drawn = trends.stretches(120);
        assert!((100..=120).contains(&drawn.len()), "{}", drawn.len());
        assert_eq!(drawn.last().unwrap().until_ms, 1_999 * 5_000);
        assert!(drawn.iter().all(|stretch| stretch.requests == 2.0));
        assert_eq!(trends.stretches(10_000).len(), KEPT - 1);
    }

    #[test]
    fn what_is_above_the_last_bound_counts_as_it() {
        assert_eq!(quantile(0.5, &[(1.0, 0), (2.0, 1)], 100), Some(2.0));
        assert_eq!(quantile(0.5, &[], 0), None);
    }
}
