//! What one call took, read out of its evidence: the same for a new record and for one of the journal.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::types::evidence::{ChatEvidence, TokenUsage};
use crate::types::usage::UsageSums;

/// The key of calls that carry no token.
pub const ANONYMOUS: &str = "anonymous";

/// Who answers out of the passages, without a model.
const EXTRACTIVE: &str = "extractive";
/// Longest name of a key or model that is kept, bytes; a longer one is cut.
const MAX_NAME_BYTES: usize = 200;

/// One chat call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// `YYYY-MM-DD` in UTC.
    pub day: String,
    /// Who called.
    pub key: String,
    /// `provider/model` that answered; the model asked for when none did.
    pub model: String,
    /// What it took.
    pub sums: UsageSums,
}

/// What a chat's evidence says of it; read from the evidence itself, or from its JSON in the journal.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    model: Option<&'a str>,
    answered_by: Option<&'a str>,
    key: Option<&'a str>,
    cost_usd: Option<f64>,
    is_whole: bool,
    is_kept: bool,
    is_imported: bool,
    usage: TokenUsage,
}

impl<'a> From<&'a ChatEvidence> for Told<'a> {
    fn from(evidence: &'a ChatEvidence) -> Self {
        Self {
            model: Some(&evidence.model),
            answered_by: evidence.answered_by.as_deref(),
            key: evidence.key.as_deref(),
            cost_usd: evidence.cost_usd,
            is_whole: evidence.finish_reason.is_some(),
            is_kept: evidence.cache.is_some(),
            is_imported: evidence.imported.is_some(),
            usage: evidence.usage.unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a Value> for Told<'a> {
    fn from(evidence: &'a Value) -> Self {
        let word = |name: &str| evidence.get(name).and_then(Value::as_str);
        let count = |name: &str| {
            let count = evidence.get("usage").and_then(|usage| usage.get(name));
            count.and_then(Value::as_u64).unwrap_or_default()
        };
        Self {
            model: word("model"),
            answered_by: word("answered_by"),
            key: word("key"),
            cost_usd: evidence.get("cost_usd").and_then(Value::as_f64),
            is_whole: word("finish_reason").is_some(),
            is_kept: word("cache").is_some(),
            is_imported: evidence.get("imported").is_some(),
            usage: TokenUsage {
                prompt_tokens: count("prompt_tokens"),
                completion_tokens: count("completion_tokens"),
                cached_tokens: count("cached_tokens"),
                ..TokenUsage::default()
            },
        }
    }
}

impl Call {
    /// Sums up what the evidence of Unix time `ts_ms` tells. `None` for a time that is none, and for an answer that was
    /// imported: it was paid elsewhere.
    pub fn of(ts_ms: u64, told: Told) -> Option<Self> {
        if told.is_imported {
            return None;
        }
        // Records from before costs were told have none, and this one never cost anything.
        let is_free = told.answered_by == Some(EXTRACTIVE);
        let cost_usd = told.cost_usd.or_else(|| is_free.then_some(0.0));
        let mut sums = UsageSums {
            requests: 1,
            failed: u64::from(!told.is_whole),
            cost_usd,
            ..UsageSums::default()
        };
        if told.is_kept {
            // The tokens are those of the answer that was kept, and were counted then.
            sums.cache_hits = 1;
        } else {
            sums.unpriced = u64::from(told.answered_by.is_some() && cost_usd.is_none());
            sums.prompt_tokens = told.usage.prompt_tokens;
            sums.completion_tokens = told.usage.completion_tokens;
            sums.cached_tokens = told.usage.cached_tokens;
        }
        Some(Self {
            day: day_of(ts_ms)?,
            key: bounded(told.key.unwrap_or(ANONYMOUS)),
            model: bounded(told.answered_by.or(told.model).unwrap_or_default()),
            sums,
        })
    }
}

/// The day in UTC.
pub(super) fn day_of(ts_ms: u64) -> Option<String> {
    let moment = Timestamp::from_millisecond(i64::try_from(ts_ms).ok()?).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).date().to_string())
}

fn bounded(name: &str) -> String {
    let end = name.floor_char_boundary(MAX_NAME_BYTES);
    name.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-03-01T00:00:00Z.
    const MARCH: u64 = 1_772_323_200_000;

    #[test]
    fn a_call_is_read_out_of_its_evidence() {
        let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4});
        let answered = json!({"model": "main", "answered_by": "up/m", "finish_reason": "stop",
            "usage": usage, "cost_usd": 0.5, "key": "key-1"});
        let call = Call::of(MARCH, (&answered).into()).unwrap();
        let sums = UsageSums {
            requests: 1,
            prompt_tokens: 10,
            completion_tokens: 5,
            cached_tokens: 4,
            cost_usd: Some(0.5),
            ..UsageSums::default()
        };
        assert_eq!(
            (call.day.as_str(), call.key.as_str(), call.model.as_str()),
            ("2026-03-01", "key-1", "up/m")
        );
        assert_eq!(call.sums, sums);
        assert_eq!(
            Call::of(MARCH - 1, (&answered).into()).unwrap().day,
            "2026-02-28"
        );
    }

    #[test]
    fn what_is_not_known_is_not_none_and_old_records_have_a_key_too() {
        let old = json!({"model": "main", "answered_by": "up/m", "finish_reason": "stop",
            "usage": null});
        let call = Call::of(MARCH, (&old).into()).unwrap();
        assert_eq!(call.key, ANONYMOUS);
        assert_eq!((call.sums.unpriced, call.sums.cost_usd), (1, None));
        let free = json!({"model": "main", "answered_by": "extractive", "finish_reason": "stop"});
        let call = Call::of(MARCH, (&free).into()).unwrap();
        assert_eq!((call.sums.unpriced, call.sums.cost_usd), (0, Some(0.0)));
        let failed = json!({"model": "main", "answered_by": null, "finish_reason": null});
        let call = Call::of(MARCH, (&failed).into()).unwrap();
        assert_eq!(call.model, "main");
        assert_eq!((call.sums.failed, call.sums.unpriced), (1, 0));
        // It broke off: somebody answered, and will be paid.
        let cut = json!({"model": "main", "answered_by": "up/m", "finish_reason": null});
        let call = Call::of(MARCH, (&cut).into()).unwrap();
        assert_eq!((call.sums.failed, call.sums.unpriced), (1, 1));
        assert_eq!(Call::of(u64::MAX, (&cut).into()), None);
        let long = json!({"model": "ü".repeat(5_000)});
        assert_eq!(Call::of(MARCH, (&long).into()).unwrap().model.len(), 200);
    }

    #[test]
    fn an_imported_answer_is_no_call() {
        let imported = json!({"model": "main", "answered_by": "up/m", "finish_reason": "stop",
            "cost_usd": 0.5, "imported": {"source": "s", "id": "i"}});
        assert_eq!(Call::of(MARCH, (&imported).into()), None);
    }

    #[test]
    fn a_kept_answer_takes_no_tokens() {
        let hit = json!({"model": "main", "answered_by": "up/m", "finish_reason": "stop",
            "usage": {"prompt_tokens": 10, "completion_tokens": 5}, "cost_usd": 0.0,
            "cache": "hit"});
        let sums = Call::of(MARCH, (&hit).into()).unwrap().sums;
        let expected = UsageSums {
            requests: 1,
            cache_hits: 1,
            cost_usd: Some(0.0),
            ..UsageSums::default()
        };
        assert_eq!(sums, expected);
    }
}
