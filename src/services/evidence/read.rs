//! Reading the journal, page by page.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::engines::evidence::EvidenceFilter;
use crate::services::error::fault;
use crate::services::{ServiceError, Services};
use crate::storage::evidence_log::PageQuery;
use crate::types::evidence::{EvidenceRecord, Kind};

/// Records of a page that does not say how many.
const USUAL_RECORDS: usize = 100;
/// Most records of a page.
const MAX_RECORDS: usize = 1_000;
/// Most bytes of their lines, about.
const MAX_BYTES: usize = 8 << 20;
/// Most bytes of lines that a request looks at: a fraction of a second.
const MAX_SCANNED: usize = 64 << 20;

/// The query of `GET /v1/evidence`; what is left out holds for all.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EvidenceInput {
    /// `chat`, `search`, `validation`, `feedback`, `erasure` or `retention`.
    #[param(value_type = Option<Kind>, inline)]
    pub kind: Option<String>,
    /// A record's id, its request's, or that of the answer it is about.
    pub id: Option<String>,
    /// The label of the key that it counted as.
    pub key: Option<String>,
    /// The `user` of a chat call or a feedback.
    pub user: Option<String>,
    /// The model that a chat call asked for, or the `provider/model` that answered.
    pub model: Option<String>,
    /// The first moment: a day in UTC, `2026-03-01`, or `2026-03-01T09:30:00Z`.
    #[param(value_type = Option<Moment>, inline, example = "2026-03-01")]
    pub from: Option<String>,
    /// The last day, or the moment after the last one.
    #[param(value_type = Option<Moment>, inline, example = "2026-03-31")]
    pub to: Option<String>,
    /// `newest` first, or `oldest`; default newest.
    #[param(pattern = "^(newest|oldest)$", example = "newest")]
    pub order: Option<String>,
    /// The sequence number that the page goes on after, in its order: `next` of the page before.
    pub after: Option<u64>,
    /// Most records, 1 to 1000; default 100.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// The answer of `GET /v1/evidence`.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidenceOutput {
    /// The records, each as its line in the journal has it.
    pub records: Vec<EvidenceRecord>,
    /// `after` of the next page; null when all was looked at. A page may have fewer records than asked for, even none, and
    /// a next one: a request looks at 64 MiB at most.
    pub next: Option<u64>,
    /// Lines on the way that are no records as they were written; `boathouse audit` names them.
    pub unreadable: u64,
}

/// Serves `GET /v1/evidence`.
///
/// Errors: a kind, time, order or limit that is none.
pub async fn list(
    services: &Services,
    input: EvidenceInput,
) -> Result<EvidenceOutput, ServiceError> {
    let newest_first = match input.order.as_deref() {
        None | Some("newest") => true,
        Some("oldest") => false,
        Some(other) => return Err(wrong("order", other, "newest or oldest")),
    };
    let limit = input.limit.unwrap_or(USUAL_RECORDS);
    if !(1..=MAX_RECORDS).contains(&limit) {
        let wanted = format!("1 to {MAX_RECORDS}");
        return Err(wrong("limit", &limit.to_string(), &wanted));
    }
    let query = PageQuery {
        after: input.after,
        newest_first,
        limit,
        bytes: MAX_BYTES,
        scanned: MAX_SCANNED,
    };
    let filter = EvidenceFilter {
        kind: input.kind.as_deref().map(kind).transpose()?,
        from_ms: input
            .from
            .map(|from| moment("from", &from, false))
            .transpose()?,
        before_ms: input.to.map(|to| moment("to", &to, true)).transpose()?,
        id: input.id,
        key: input.key,
        user: input.user,
        model: input.model,
    };
    let page = services.journal.page(query, filter, services.deadline());
    let page = page.await.map_err(|failed| fault("evidence", failed))?;
    Ok(EvidenceOutput {
        records: page.records,
        next: page.next,
        unreadable: page.unreadable,
    })
}

fn wrong(name: &str, given: &str, wanted: &str) -> ServiceError {
    let shown: String = given.chars().take(40).collect();
    ServiceError::bad_request(format!("{name}: {shown:?} is not {wanted}")).param(name)
}

fn kind(given: &str) -> Result<Kind, ServiceError> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == given);
    found.ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        wrong("kind", given, &format!("one of {}", known.join(", ")))
    })
}

/// Unix milliseconds of a day or a moment; of a last day the end.
fn moment(name: &str, given: &str, end: bool) -> Result<u64, ServiceError> {
    let day = given
        .parse::<Date>()
        .ok()
        .filter(|day| day.to_string() == given);
    let day = match end {
        true => day.and_then(|day| day.tomorrow().ok()),
        false => day,
    };
    let found = match day {
        Some(day) => day.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp()),
        None => given.parse::<Timestamp>().ok(),
    };
    // No record is older than 1970.
    let found = found.map(|moment| u64::try_from(moment.as_millisecond()).unwrap_or(0));
    found.ok_or_else(|| {
        let wanted = "a time; write it as 2026-03-01 or 2026-03-01T09:30:00Z";
        wrong(name, given, wanted)
    })
}

/// How a time is described.
struct Moment;

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let of = |format| {
            let text = ObjectBuilder::new().schema_type(Type::String);
            text.format(Some(SchemaFormat::KnownFormat(format)))
        };
        AnyOfBuilder::new()
            .item(of(KnownFormat::Date))
            .item(of(KnownFormat::DateTime))
            .into()
    }
}

impl ToSchema for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_a_moment() {
        const MARCH: u64 = 1_772_323_200_000;
        const DAY: u64 = 86_400_000;
        let table = [
            ("2026-03-01", false, MARCH),
            ("2026-03-01", true, MARCH + DAY),
            ("2026-03-01T00:00:01Z", false, MARCH + 1_000),
            ("2026-03-01T00:00:01Z", true, MARCH + 1_000),
            ("2026-03-01T01:00:00+01:00", true, MARCH),
            ("1900-01-01", false, 0),
            ("1969-12-31T23:59:59Z", true, 0),
        ];
        for (given, end, expected) in table {
            assert_eq!(moment("to", given, end).unwrap(), expected, "{given} {end}");
        }
        for bad in ["", "yesterday", "2026-13-01", "1772323200000"] {
            let error = moment("from", bad, false).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("from"), "{bad}");
        }
    }
}
