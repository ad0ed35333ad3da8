//! What chat calls took.

use serde::{Deserialize, Serialize};

/// Sums over calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct UsageSums {
    /// Calls, also failed ones and those that the response cache answered.
    pub requests: u64,
    /// Calls without a complete answer.
    pub failed: u64,
    /// Calls that the response cache answered: their tokens count as none.
    pub cache_hits: u64,
    /// Answered calls whose cost is not known; `cost_usd` is without them.
    pub unpriced: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Of the tokens read, those that a provider had in its cache.
    pub cached_tokens: u64,
    /// US dollars; `None` when the cost of no call is known.
    pub cost_usd: Option<f64>,
}

impl UsageSums {
    /// Adds what others took.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.requests, other.requests),
            (&mut self.failed, other.failed),
            (&mut self.cache_hits, other.cache_hits),
            (&mut self.unpriced, other.unpriced),
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.completion_tokens, other.completion_tokens),
            (&mut self.cached_tokens, other.cached_tokens),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.cost_usd = match (self.cost_usd, other.cost_usd) {
            (None, None) => None,
            (one, two) => Some(one.unwrap_or_default() + two.unwrap_or_default()),
        };
    }
}

/// The sums of one day, key and model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct UsageRow {
    /// `YYYY-MM-DD` in UTC.
    pub day: String,
    /// Who called.
    pub key: String,
    /// `provider/model` that answered; the model asked for when none did.
    pub model: String,
    /// What it took.
    #[serde(flatten)]
    pub sums: UsageSums,
}
