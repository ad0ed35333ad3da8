//! When a proposed assignment starts and ends, from ISO dates and RFC 3339 date-times.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{SignedDuration, Span};

/// A date, or a date and a time of day, with or without an offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    date: Date,
    time: Option<Time>,
    offset: Option<Offset>,
}

impl Moment {
    /// Parses `2026-03-01`, `2026-03-01T08:00` or `2026-03-01T08:00:00-05:00`; says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wanted = "use a date such as 2026-03-01, or 2026-03-01T08:00:00-05:00";
        // Years of more than four digits, and week dates, are legal ISO but never meant here.
        let plain = text.len() <= 40
            && text
                .as_bytes()
                .get(..4)
                .is_some_and(|year| year.iter().all(u8::is_ascii_digit))
            && text.as_bytes().get(4) == Some(&b'-');
        let pieces = match plain {
            true => Pieces::parse(text).map_err(|_| wanted.to_owned())?,
            false => return Err(wanted.to_owned()),
        };
        let (time, offset) = (pieces.time(), pieces.to_numeric_offset());
        Ok(Self {
            date: pieces.date(),
            time,
            offset,
        })
    }

    /// The day, as written.
    pub(super) fn date(self) -> Date {
        self.date
    }
}

/// A stretch of time: from `start`, up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Period {
    /// As written, where the work is.
    local: (DateTime, DateTime),
    /// The same at UTC, where both ends were written with an offset.
    utc: Option<(DateTime, DateTime)>,
}

impl Period {
    /// Joins two ends; none if the end is not after the start.
    ///
    /// An end that is a date includes that day; no end at all is the end of the day of the start.
    pub(super) fn new(start: Moment, end: Option<Moment>) -> Option<Self> {
        let end = end.unwrap_or(Moment {
            date: start.date,
            time: None,
            offset: start.offset,
        });
        let local = (
            start
                .date
                .to_datetime(start.time.unwrap_or(Time::midnight())),
            match end.time {
                Some(time) => end.date.to_datetime(time),
                None => end.date.to_datetime(Time::MAX),
            },
        );
        let utc = match (start.offset, end.offset) {
            (Some(start), Some(end)) => at_utc(local.0, start).zip(at_utc(local.1, end)),
            _ => None,
        };
        let (from, to) = utc.unwrap_or(local);
        (from < to).then_some(Self { local, utc })
    }

    /// The first and the last day, as written; an end at midnight does not touch its day.
    pub(super) fn days(&self) -> (Date, Date) {
        let last = self
            .local
            .1
            .checked_sub(SignedDuration::from_nanos(1))
            .unwrap_or(self.local.1);
        (self.local.0.date(), last.date())
    }
}

fn at_utc(local: DateTime, offset: Offset) -> Option<DateTime> {
    local
        .checked_sub(Span::new().try_seconds(i64::from(offset.seconds())).ok()?)
        .ok()
}

/// Returns the pairs `(earlier, later)` of indices into `periods` whose times overlap: each period
/// that starts before an earlier one has ended, with the one that ends last.
///
/// Compares instants if all have offsets, else the times as written.
pub(super) fn overlaps(periods: &[Period]) -> Vec<(usize, usize)> {
    let instants: Option<Vec<_>> = periods.iter().map(|period| period.utc).collect();
    let spans = instants.unwrap_or_else(|| periods.iter().map(|period| period.local).collect());
    let mut order: Vec<(usize, (DateTime, DateTime))> = spans.into_iter().enumerate().collect();
    order.sort_by_key(|(at, (start, _))| (*start, *at));
    let mut pairs = Vec::new();
    let mut latest: Option<(usize, DateTime)> = None;
    for (at, (start, end)) in order {
        if let Some((earlier, until)) = latest
            && start < until
        {
            pairs.push((earlier.min(at), earlier.max(at)));
        }
        if latest.is_none_or(|(_, until)| end > until) {
            latest = Some((at, end));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(start: &str, end: &str) -> Option<Period> {
        let end = (!end.is_empty()).then(|| Moment::parse(end).unwrap());
        Period::new(Moment::parse(start).unwrap(), end)
    }

    #[test]
    fn only_iso_is_a_moment() {
        for good in [
            "2026-03-01",
            " 2026-03-01 ",
            "2026-03-01T08:00",
            "2026-03-01T08:00:00Z",
        ] {
            assert!(Moment::parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "tomorrow",
            "03/01/2026",
            "2026-02-30",
            "2026-13-01",
            "2026-W10-1",
            "é",
            "1",
        ];
        for bad in bad {
            assert!(
                Moment::parse(bad).unwrap_err().contains("2026-03-01"),
                "{bad}"
            );
        }
    }

    #[test]
    fn ends_must_follow_starts() {
        assert!(period("2026-03-01", "").is_some());
        assert!(period("2026-03-01", "2026-03-01").is_some());
        assert!(period("2026-03-02", "2026-03-01").is_none());
        assert!(period("2026-03-01T09:00", "2026-03-01T09:00").is_none());
        // 09:00 in New York is after 10:00 in Berlin.
        assert!(period("2026-03-01T09:00-05:00", "2026-03-01T10:00+01:00").is_none());
        assert!(period("0000-01-01", "9999-12-31").is_some());
    }

    #[test]
    fn an_end_at_midnight_does_not_touch_its_day() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let (first, last) = period("2026-03-01T22:00", "2026-03-02T00:00")
            .unwrap()
            .days();
        assert_eq!((first, last), (date("2026-03-01"), date("2026-03-01")));
        let (_, last) = period("2026-03-01", "2026-03-02").unwrap().days();
        assert_eq!(last, date("2026-03-02"));
    }

    #[test]
    fn overlaps_are_found_across_offsets() {
        type Case = (
            &'static [(&'static str, &'static str)],
            &'static [(usize, usize)],
        );
        let cases: [Case; 5] = [
            (&[("2026-03-01", ""), ("2026-03-02", "")], &[]),
            (
                &[("2026-03-02", "2026-03-04"), ("2026-03-01", "2026-03-02")],
                &[(0, 1)],
            ),
            (
                &[
                    ("2026-03-01T06:00", "2026-03-01T14:00"),
                    ("2026-03-01T14:00", ""),
                ],
                &[],
            ),
            // The same hours on the clock, six hours apart in truth.
            (
                &[
                    ("2026-03-01T08:00-05:00", "2026-03-01T12:00-05:00"),
                    ("2026-03-01T08:00+01:00", "2026-03-01T12:00+01:00"),
                ],
                &[],
            ),
            // A long one covers two short ones that do not touch each other.
            (
                &[
                    ("2026-03-01", "2026-03-31"),
                    ("2026-03-02", ""),
                    ("2026-03-09", ""),
                ],
                &[(0, 1), (0, 2)],
            ),
        ];
        for (spans, expected) in cases {
            let periods: Vec<_> = spans.iter().map(|(a, b)| period(a, b).unwrap()).collect();
            assert_eq!(overlaps(&periods), expected, "{spans:?}");
        }
    }
}
