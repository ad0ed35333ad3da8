//! Days of UTC, which tasks are divided by.

use jiff::ToSpan as _;
use jiff::civil::Date;

/// A day of UTC, from 1970-01-01 to 9999-12-31; a later time counts as the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

const FIRST: Date = Date::constant(1970, 1, 1);
const LAST: u32 = 2_932_896;
const DAY_MS: u64 = 86_400_000;

impl Day {
    /// The day of a time, Unix milliseconds.
    pub fn of(ts_ms: u64) -> Self {
        let day = u32::try_from(ts_ms / DAY_MS).unwrap_or(LAST);
        Self(day.min(LAST))
    }
}

impl std::fmt::Display for Day {
    /// Writes it as `2026-11-24`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = FIRST.saturating_add(i64::from(self.0).days());
        write!(f, "{date}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_utc() {
        let table = [
            (0, "1970-01-01"),
            (1_793_491_199_999, "2026-10-31"),
            (1_793_491_200_000, "2026-11-01"),
            (253_402_300_799_999, "9999-12-31"),
            (253_402_300_800_000, "9999-12-31"),
            (u64::MAX, "9999-12-31"),
        ];
        for (ts, expected) in table {
            assert_eq!(Day::of(ts).to_string(), expected, "{ts}");
        }
        assert!(Day::of(1_793_491_199_999) < Day::of(1_793_491_200_000));
    }
}
