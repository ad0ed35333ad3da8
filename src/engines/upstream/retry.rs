//! How long to wait before the same candidate is asked again.

use serde::{Deserialize, Serialize};

/// Asking the same candidate again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Tries for each candidate, with the first. Default 2.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 10)))]
    pub max_attempts: u32,
    /// Ceiling of the first delay, milliseconds; doubles from there. Default 200.
    pub base_ms: u64,
    /// Longest delay, milliseconds; an upstream that asks for more is left for the next. Default
    /// 5,000.
    pub max_ms: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 2,
            base_ms: 200,
            max_ms: 5_000,
        }
    }
}

impl RetryConfig {
    /// Refuses nonsense.
    ///
    /// Errors: the field at fault below its section, and what would be right.
    pub(in crate::engines) fn validate(&self) -> Result<(), String> {
        if !(1..=10).contains(&self.max_attempts) {
            let got = self.max_attempts;
            return Err(format!("retry.max_attempts: must be 1 to 10, got {got}"));
        }
        if self.max_ms < self.base_ms {
            return Err("retry.max_ms: must not be below retry.base_ms".to_owned());
        }
        Ok(())
    }
}

/// Returns the delay before try number `attempt` (the first retry is 1), milliseconds: uniform
/// between zero and a ceiling that doubles, as "full jitter" in AWS's "Exponential Backoff And
/// Jitter".
///
/// The upstream's own wish is the least delay; `None` when it wishes longer than `max_ms`: ask
/// another instead.
pub fn backoff_ms(
    config: &RetryConfig,
    attempt: u32,
    wish_ms: Option<u64>,
    seed: u64,
) -> Option<u64> {
    let doublings = attempt.saturating_sub(1).min(32);
    let ceiling = config
        .base_ms
        .saturating_mul(1 << doublings)
        .min(config.max_ms);
    let jittered = mix(seed) % ceiling.saturating_add(1).max(1);
    match wish_ms {
        Some(wish) if wish > config.max_ms => None,
        Some(wish) => Some(wish.saturating_add(jittered / 2).min(config.max_ms)),
        None => Some(jittered),
    }
}

/// Spreads seeds that are close to each other: the finisher of splitmix64.
pub fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: RetryConfig = RetryConfig {
        max_attempts: 3,
        base_ms: 100,
        max_ms: 1_000,
    };

    #[test]
    fn delays_fill_the_range_below_a_doubling_ceiling() {
        for (attempt, ceiling) in [(1, 100), (2, 200), (3, 400), (5, 1_000), (200, 1_000)] {
            let delays: Vec<u64> = (0..500)
                .map(|seed| backoff_ms(&CONFIG, attempt, None, seed).unwrap())
                .collect();
            assert!(delays.iter().all(|delay| *delay <= ceiling), "{attempt}");
            assert!(
                delays.iter().any(|delay| *delay < ceiling / 10),
                "{attempt}"
            );
            assert!(
                delays.iter().any(|delay| *delay > ceiling * 9 / 10),
                "{attempt}"
            );
        }
    }

    #[test]
    fn the_upstreams_wish_is_the_least_delay_and_too_long_a_wish_is_none() {
        for seed in 0..100 {
            assert!(backoff_ms(&CONFIG, 1, Some(700), seed).unwrap() >= 700);
        }
        assert_eq!(backoff_ms(&CONFIG, 1, Some(1_001), 1), None);
        let zero = RetryConfig {
            max_attempts: 1,
            base_ms: 0,
            max_ms: 0,
        };
        assert_eq!(backoff_ms(&zero, 1, None, 7), Some(0));
    }
}
