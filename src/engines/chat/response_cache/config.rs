//! Settings of the cache of answers.

use serde::{Deserialize, Serialize};

/// How answers are looked for among those that were kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CacheMode {
    /// Not at all.
    #[default]
    Off,
    /// By the whole request.
    Exact,
    /// By the whole request, then by the likeness of the last question alone.
    Semantic,
}

/// `[chat.cache]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ResponseCacheConfig {
    /// Memory, bytes; 0 keeps nothing. Default 64 MiB.
    pub bytes: u64,
    /// How long an answer is served, milliseconds. Default 3,600,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub ttl_ms: u64,
    /// Least cosine of two questions that count as the same. Default 0.95.
    #[cfg_attr(feature = "server", schemars(range(min = 0.5, max = 1)))]
    pub threshold: f32,
}

impl Default for ResponseCacheConfig {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            ttl_ms: 3_600_000,
            threshold: 0.95,
        }
    }
}

/// Least threshold that makes sense: below it any two questions are alike.
const MIN_THRESHOLD: f32 = 0.5;

/// Checks a threshold.
///
/// Errors: what it must be.
pub fn check_threshold(threshold: f32) -> Result<(), String> {
    if (MIN_THRESHOLD..=1.0).contains(&threshold) {
        return Ok(());
    }
    Err(format!("must be {MIN_THRESHOLD} to 1, got {threshold}"))
}

impl ResponseCacheConfig {
    /// Refuses nonsense.
    ///
    /// Errors: the field at fault.
    pub fn validate(&self) -> Result<(), String> {
        if self.ttl_ms == 0 {
            return Err("cache.ttl_ms: must be at least 1".to_owned());
        }
        check_threshold(self.threshold).map_err(|problem| format!("cache.threshold: {problem}"))
    }
}
