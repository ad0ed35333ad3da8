//! Numbers, times and data as people read them.

use jiff::Timestamp;
use serde_json::Value;

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A count of a list or of memory.
pub(super) fn size(number: usize) -> String {
    count(number as u64)
}

/// Bytes in the unit that suits them.
pub(super) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{} {unit}", short(value));
        }
        value /= 1024.0;
    }
    format!("{} TiB", short(value))
}

/// A number in about three digits.
pub(super) fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 1_000_000.0 => format!("{:.1} M", value / 1_000_000.0),
        value if value >= 10_000.0 => format!("{:.0} k", value / 1_000.0),
        value if value >= 1_000.0 => count(value.round() as u64),
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// US dollars.
pub(super) fn usd(cost: f64) -> String {
    match cost {
        cost if cost == 0.0 || cost >= 1.0 => format!("${cost:.2}"),
        cost => format!("${cost:.5}"),
    }
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A moment in UTC, to the second.
pub(super) fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok();
    let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| {
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// A stretch of time.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

/// The beginning of a text.
pub(super) fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// JSON on lines of its own.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(
            [count(7), count(1_234), count(1_234_567)],
            ["7", "1,234", "1,234,567"]
        );
        assert_eq!(
            [bytes(0), bytes(900), bytes(1_536)],
            ["0 B", "900 B", "1.5 KiB"]
        );
        assert_eq!(
            [short(0.123), short(12.34), short(12_345.0)],
            ["0.12", "12.3", "12 k"]
        );
        assert_eq!(
            [usd(0.0), usd(0.00012), usd(12.5)],
            ["$0.00", "$0.00012", "$12.50"]
        );
        assert_eq!(moment(1_772_323_200_000), "2026-03-01 00:00:00");
        assert_eq!(beginning("äöü", 2), "äö…");
    }
}
