//! Plain values of foreign lines, however they are written.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::path::decoded;
use super::turns::kind;

/// Longest value that an error shows, characters.
const SHOWN: usize = 60;

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

pub(super) fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("{} is {}, not a text", shown(value), kind(value)))
}

/// A text, or what an error is as JSON.
pub(super) fn any_text(value: &Value) -> Result<String, String> {
    Ok(match (value, &value["message"]) {
        (Value::String(text), _) | (_, Value::String(text)) => text.clone(),
        _ => value.to_string(),
    })
}

/// A text, or a whole number.
pub(super) fn id(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        _ => Err(format!(
            "{} is {}, neither a text nor a whole number",
            shown(value),
            kind(value)
        )),
    }
}

/// A number, also as text.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("{} is no number", shown(value)))
}

/// A number that is not negative.
pub(super) fn amount(value: &Value) -> Result<f64, String> {
    let amount = number(value)?;
    if amount < 0.0 {
        return Err(format!("{amount} is negative"));
    }
    Ok(amount)
}

/// A whole number that is not negative, also as text.
pub(super) fn count(value: &Value) -> Result<u64, String> {
    let amount = amount(value)?;
    if amount.fract() != 0.0 || amount > 9e15 {
        return Err(format!("{amount} is no count"));
    }
    Ok(whole(amount))
}

/// Milliseconds, rounded.
pub(super) fn millis(ms: f64) -> u64 {
    whole(ms.round().clamp(0.0, 9e15))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number that is not negative and far below 2^53"
)]
fn whole(amount: f64) -> u64 {
    amount as u64
}

/// A list, also as JSON in a text.
pub(super) fn list(value: &Value) -> Result<Vec<Value>, String> {
    match decoded(value).unwrap_or_else(|| value.clone()) {
        Value::Array(items) => Ok(items),
        other => Err(format!("{} is {}, not a list", shown(&other), kind(&other))),
    }
}

/// A list of texts, also as JSON in a text, or with commas between them.
pub(super) fn words(value: &Value) -> Result<Vec<String>, String> {
    let words = match decoded(value).unwrap_or_else(|| value.clone()) {
        Value::String(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        Value::Array(items) => items.iter().map(id).collect::<Result<Vec<_>, _>>()?,
        other => {
            return Err(format!(
                "{} is {}, not a list of texts",
                shown(&other),
                kind(&other)
            ));
        }
    };
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect())
}

/// A moment as Unix milliseconds: a number of seconds, milliseconds or microseconds, told apart by their size; RFC
/// 3339; a date and time without a zone, which is UTC.
pub(super) fn time(value: &Value) -> Result<u64, String> {
    let wrong = || format!("{} is no time", shown(value));
    if let Ok(number) = number(value) {
        // Seconds until the year 5138, milliseconds from 1973.
        let ms = if number < 1e11 {
            number * 1e3
        } else if number < 1e14 {
            number
        } else if number < 1e17 {
            number / 1e3
        } else {
            number / 1e6
        };
        return if number >= 0.0 {
            Ok(millis(ms))
        } else {
            Err(wrong())
        };
    }
    let text = value.as_str().ok_or_else(wrong)?.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => {
            let civil: DateTime = text.parse().map_err(|_| wrong())?;
            let zoned = civil.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
            zoned.timestamp()
        }
    };
    u64::try_from(moment.as_millisecond()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_however_they_are_written() {
        let expected = 1_766_000_068_284;
        for value in [
            json!(1_766_000_068.284),
            json!(1_766_000_068_284_u64),
            json!(1_766_000_068_284_000_u64),
            json!(1_766_000_068_284_000_000_u64),
            json!("1766000068.284"),
            json!("2025-12-17T19:34:28.284Z"),
            json!("2025-12-17T11:34:28.284-08:00"),
            json!("2025-12-17 19:34:28.284000"),
            json!("2025-12-17 19:34:28.284 UTC"),
            json!("2025-12-17T19:34:28.284"),
            json!("2025-12-17 19:34:28.284+00:00"),
        ] {
            assert_eq!(time(&value), Ok(expected), "{value}");
        }
        for wrong in [json!("soon"), json!(-1), json!([1]), json!(true), json!("")] {
            assert!(time(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn plain_values_are_read_or_refused() {
        assert_eq!(id(&json!(7)), Ok("7".to_owned()));
        assert_eq!(count(&json!("12")), Ok(12));
        assert_eq!(count(&json!(12.0)), Ok(12));
        assert_eq!(amount(&json!("0.5")), Ok(0.5));
        assert_eq!(words(&json!("a, b,,")), words(&json!(["a", "b"])));
        assert_eq!(words(&json!("[\"a\"]")), Ok(vec!["a".to_owned()]));
        assert_eq!(list(&json!("[1]")), Ok(vec![json!(1)]));
        assert_eq!(any_text(&json!({"message": "m"})), Ok("m".to_owned()));
        assert!(text(&json!(7)).unwrap_err().contains("7 is a number"));
        let long = "x".repeat(500);
        assert!(count(&json!(long)).unwrap_err().len() < 100);
        for wrong in [json!(1.5), json!(-1), json!("x"), json!(1e300), json!(null)] {
            assert!(count(&wrong).is_err(), "{wrong}");
        }
        for wrong in [json!({}), json!([{}])] {
            assert!(words(&wrong).is_err(), "{wrong}");
        }
    }
}
