//! What a key may spend in a day or a month, and when that begins anew.

use std::collections::BTreeMap;

use crate::types::plain::counted;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// Stands for every key without an entry of its own.
const EACH: &str = "*";

/// How long a budget lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight, UTC.
    Day,
    /// From the first of a month to that of the next, UTC.
    Month,
}

/// What a key may spend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// US dollars.
    #[cfg_attr(feature = "server", schemars(range(min = 0)))]
    pub usd: f64,
    /// How long they last.
    pub period: Period,
}

impl BudgetConfig {
    /// Refuses nonsense.
    ///
    /// Errors: what is wrong with the budget, or with the name `key`.
    pub fn validate(&self, key: &str) -> Result<(), String> {
        if !self.usd.is_finite() || self.usd < 0.0 {
            return Err(format!("usd must be a number from 0, got {}", self.usd));
        }
        if !(1..=200).contains(&key.len()) {
            return Err("a key's name has 1 to 200 bytes".to_owned());
        }
        Ok(())
    }
}

/// A budget that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// What was spent of what, and when it begins anew, for the caller.
    pub message: String,
    /// Until then, milliseconds.
    pub retry_after_ms: u64,
}

/// The budgets of all keys.
#[derive(Debug, Clone, Default)]
pub struct Budgets(BTreeMap<String, BudgetConfig>);

impl Budgets {
    /// Takes what the settings say.
    pub fn new(budgets: BTreeMap<String, BudgetConfig>) -> Self {
        Self(budgets)
    }

    /// Lists the keys that have a budget of their own.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|key| *key != EACH)
    }

    /// Checks that a key may call at `now_ms`. `spent` tells what it has spent since a day.
    ///
    /// Errors: its budget is used up.
    pub fn check(
        &self,
        key: &str,
        now_ms: u64,
        spent: impl FnOnce(&str) -> f64,
    ) -> Result<(), Exceeded> {
        let Some(budget) = self.0.get(key).or_else(|| self.0.get(EACH)) else {
            return Ok(());
        };
        let Some((first, next)) = bounds(budget.period, now_ms) else {
            return Ok(());
        };
        let spent = spent(&first.to_string());
        if spent < budget.usd {
            return Ok(());
        }
        let period = match budget.period {
            Period::Day => "day",
            Period::Month => "month",
        };
        let next_ms = u64::try_from(next.as_millisecond()).unwrap_or(now_ms);
        Err(Exceeded {
            message: format!(
                "the budget of {key}, {} US dollars a {period}, is used up ({spent:.4} spent); it \
                 begins anew at {next}",
                budget.usd
            ),
            retry_after_ms: next_ms.saturating_sub(now_ms),
        })
    }
}

/// Checks that a key may take more tokens of chat calls today, UTC. `taken` tells what it has taken since a day.
///
/// Errors: it has taken all that it may.
pub fn check_tokens(
    key: &str,
    limit: u64,
    now_ms: u64,
    taken: impl FnOnce(&str) -> u64,
) -> Result<(), Exceeded> {
    let Some((today, next)) = bounds(Period::Day, now_ms) else {
        return Ok(());
    };
    let taken = taken(&today.to_string());
    if taken < limit {
        return Ok(());
    }
    let next_ms = u64::try_from(next.as_millisecond()).unwrap_or(now_ms);
    Err(Exceeded {
        message: format!(
            "the key {key} may take {} a day, and has taken {taken}; it begins anew at {next}",
            counted(limit, "token")
        ),
        retry_after_ms: next_ms.saturating_sub(now_ms),
    })
}

/// The first day of the period around a moment, and when the next one begins.
fn bounds(period: Period, now_ms: u64) -> Option<(Date, Timestamp)> {
    let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let (first, next) = match period {
        Period::Day => (today, today.tomorrow().ok()?),
        Period::Month => {
            let first = today.first_of_month();
            (first, first.checked_add(1.month()).ok()?)
        }
    };
    Some((first, next.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-12-31T23:59:59.500Z.
    const LATE: u64 = 1_798_761_599_500;

    fn budgets() -> Budgets {
        Budgets::new(
            toml::from_str(
                "own = { usd = 2.5, period = \"day\" }\n\"*\" = { usd = 10, period = \"month\" }\n",
            )
            .unwrap(),
        )
    }

    fn check(key: &str, now_ms: u64, spent: f64) -> (Option<String>, Option<Exceeded>) {
        let mut from = None;
        let verdict = budgets().check(key, now_ms, |day| {
            from = Some(day.to_owned());
            spent
        });
        (from, verdict.err())
    }

    #[test]
    fn a_budget_is_used_up_when_it_is_reached() {
        assert_eq!(check("own", LATE, 2.49).1, None);
        let (from, refused) = check("own", LATE, 2.5);
        assert_eq!(from.as_deref(), Some("2026-12-31"));
        let refused = refused.unwrap();
        assert_eq!(refused.retry_after_ms, 500);
        assert_eq!(
            refused.message,
            "the budget of own, 2.5 US dollars a day, is used up (2.5000 spent); it begins anew at \
             2027-01-01T00:00:00Z"
        );
    }

    #[test]
    fn a_month_ends_where_the_next_begins_and_each_key_has_its_own() {
        // 2026-02-10T12:00:00Z.
        let (from, refused) = check("somebody", 1_770_724_800_000, 10.0);
        assert_eq!(from.as_deref(), Some("2026-02-01"));
        let refused = refused.unwrap();
        assert!(
            refused.message.contains("anew at 2026-03-01T00:00:00Z"),
            "{refused:?}"
        );
        assert_eq!(refused.retry_after_ms, (18 * 24 + 12) * 3_600_000);
        assert_eq!(check("somebody", LATE, 9.9).1, None);
    }

    #[test]
    fn tokens_of_a_day_are_used_up_when_they_are_reached() {
        let check = |taken| {
            check_tokens("app", 100, LATE, |day| {
                assert_eq!(day, "2026-12-31");
                taken
            })
        };
        assert_eq!(check(99), Ok(()));
        let refused = check(100).unwrap_err();
        assert_eq!(refused.retry_after_ms, 500);
        assert!(refused.message.contains("100 tokens a day"), "{refused:?}");
    }

    #[test]
    fn the_budget_of_each_names_nobody() {
        assert_eq!(budgets().named().collect::<Vec<_>>(), ["own"]);
    }

    #[test]
    fn without_a_budget_nobody_is_asked_what_was_spent() {
        let verdict = Budgets::default().check("k", LATE, |_| f64::INFINITY);
        assert_eq!(verdict, Ok(()));
        let nothing: BudgetConfig = toml::from_str("usd = 0\nperiod = \"day\"").unwrap();
        assert_eq!(nothing.validate("k"), Ok(()), "0 shuts a key out");
        for (usd, key) in [(f64::NAN, "k"), (-1.0, "k"), (1.0, "")] {
            let budget = BudgetConfig { usd, ..nothing };
            assert!(budget.validate(key).is_err(), "{usd} {key:?}");
        }
    }
}
