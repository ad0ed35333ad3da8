//! What chat calls took, and what a key may still spend.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ServiceError, Services, now_ms};
use crate::engines::chat::PriceTable;
use crate::engines::usage::{UsageFilter, check_tokens};
use crate::types::error_kind::ErrorKind;
use crate::types::usage::{UsageRow, UsageSums};

/// Most rows of one answer.
const MAX_ROWS: usize = 10_000;

/// The query of `GET /v1/usage`; what is left out holds for all.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageInput {
    /// The first day, `YYYY-MM-DD` in UTC.
    #[param(format = Date, example = "2026-03-01")]
    pub from: Option<String>,
    /// The last day, `YYYY-MM-DD` in UTC.
    #[param(format = Date, example = "2026-03-31")]
    pub to: Option<String>,
    /// One key, by its label.
    pub key: Option<String>,
    /// One model, `provider/model`.
    pub model: Option<String>,
}

/// The answer of `GET /v1/usage`.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageOutput {
    /// All rows together, also those that are left out; a cost of `null` is not known.
    pub total: UsageSums,
    /// One for each day, key and model.
    pub rows: Vec<UsageRow>,
    /// Rows after the 10,000 that one answer has; the total counts them.
    pub left_out: usize,
    /// When the compiled-in list of prices was right, `YYYY-MM-DD`.
    pub prices_date: &'static str,
}

/// Serves `GET /v1/usage`.
///
/// Errors: a day that is none.
pub fn usage(services: &Services, input: UsageInput) -> Result<UsageOutput, ServiceError> {
    let filter = UsageFilter {
        from: day("from", input.from)?,
        to: day("to", input.to)?,
        key: input.key,
        model: input.model,
    };
    let found = services.usage.select(&filter, MAX_ROWS);
    Ok(UsageOutput {
        total: found.total,
        rows: found.rows,
        left_out: found.left_out,
        prices_date: PriceTable::list_date(),
    })
}

/// The last days in UTC, `YYYY-MM-DD`, today last.
pub fn last_days(count: u16) -> Vec<String> {
    let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    let today = Timestamp::from_millisecond(now).unwrap_or_default();
    let today = today.to_zoned(TimeZone::UTC).date();
    let days = (0..count).rev();
    let days = days.filter_map(|ago| today.checked_sub(Span::new().days(ago)).ok());
    days.map(|day| day.to_string()).collect()
}

fn day(name: &str, given: Option<String>) -> Result<Option<String>, ServiceError> {
    let Some(given) = given else { return Ok(None) };
    match given.parse::<Date>() {
        Ok(day) if day.to_string() == given => Ok(Some(given)),
        _ => {
            let shown: String = given.chars().take(40).collect();
            let message = format!("{name}: {shown:?} is no day; write it as 2026-03-01");
            Err(ServiceError::bad_request(message).param(name))
        }
    }
}

/// Checks that a key may make one more call, and take more tokens where it has a bound of them. Calls that are under way are
/// not counted yet.
///
/// Errors: its budget, or its tokens of the day, are used up.
pub(super) fn check_budget(
    services: &Services,
    key: &str,
    tokens_per_day: Option<u64>,
) -> Result<(), ServiceError> {
    let now = now_ms();
    let spent = |from: &str| services.usage.spent(key, from);
    let taken = |from: &str| services.usage.tokens(key, from);
    let in_budget = services.budgets.check(key, now, spent);
    let verdict = in_budget.and_then(|()| match tokens_per_day {
        Some(limit) => check_tokens(key, limit, now, taken),
        None => Ok(()),
    });
    verdict.map_err(|exceeded| {
        ServiceError {
            retry_after_ms: Some(exceeded.retry_after_ms),
            ..ServiceError::new(ErrorKind::TooManyRequests, exceeded.message)
        }
        // OpenAI's word: its clients tell it from a rate that was too high.
        .code("insufficient_quota")
    })
}
