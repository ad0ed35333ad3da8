//! Moments in payloads: RFC 3339 text, or Unix seconds as a number.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// A moment as microseconds of Unix time.
pub type Micros = i64;

/// Greatest distance from 1970 of a moment that is given as a number: more is no count of seconds. Within
/// it whole and broken seconds are exact.
const MAX_SECONDS: f64 = 1e11;
/// Longest text that is read as a moment.
const MAX_BYTES: usize = 64;

/// Reads a moment: `2026-03-01T12:00:00+01:00`, `2026-03-01T11:00:00` or `2026-03-01`, both in UTC, or Unix
/// seconds. What is finer than a microsecond is cut off. `None`: it is none.
pub(super) fn read(value: &Value) -> Option<Micros> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => (whole.unsigned_abs() as f64 <= MAX_SECONDS).then(|| whole * 1_000_000),
            None => broken(number.as_f64()?),
        },
        Value::String(text) => parse(text),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "at most 1e17, and whole after rounding"
)]
fn broken(seconds: f64) -> Option<Micros> {
    (seconds.abs() <= MAX_SECONDS).then(|| (seconds * 1e6).round() as Micros)
}

fn parse(text: &str) -> Option<Micros> {
    let bytes = text.as_bytes();
    // Most strings are no moments, and are told apart here.
    let year = bytes.first_chunk::<5>()?;
    if bytes.len() > MAX_BYTES || year[4] != b'-' || !year[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let found = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    found.map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_to_write_a_moment_gives_the_same_number() {
        for value in [
            json!("2026-03-01T11:00:00Z"),
            json!("2026-03-01T12:00:00+01:00"),
            json!("2026-03-01T11:00:00.000000"),
            json!("2026-03-01T11:00:00.0000001Z"),
            json!(1_772_362_800),
            json!(1_772_362_800.0),
        ] {
            assert_eq!(read(&value), Some(1_772_362_800_000_000), "{value}");
        }
        assert_eq!(read(&json!("2026-03-01")), Some(1_772_323_200_000_000));
        assert_eq!(read(&json!(0.5)), Some(500_000));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for value in [
            json!("soon"),
            json!("2026-13-01"),
            json!("2026-03-01 and more"),
            json!("11:00"),
            json!(""),
            json!(1e12),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(null),
            json!(["2026-03-01"]),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
