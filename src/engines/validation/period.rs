//! When a proposed assignment starts and ends, from ISO dates and RFC 3339 date-times.
//!
//! A time without an offset is local: read in the time zone of the opening where there is one, else compared as it is
//! written. Where clocks go forward, a time that no clock shows is as much later as they were put forward; where they go
//! back, a time that they show twice is the first (RFC 5545 reads them so too). Every local time is thus one instant, and
//! shifts that meet on the clock meet in truth. Who means the second hour writes its offset.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

/// A date, or a date and a time of day, with or without an offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    date: Date,
    time: Option<Time>,
    offset: Option<Offset>,
}

impl Moment {
    /// Midnight, as a date.
    pub(super) fn day(date: Date) -> Self {
        Self {
            date,
            time: None,
            offset: None,
        }
    }

    /// Parses `2026-03-01`, `2026-03-01T08:00`, `2026-03-01T08:00:00-05:00` or `2026-03-01T08:00[America/Chicago]`;
    /// says what is wrong.
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
        let (date, time) = (pieces.date(), pieces.time());
        let zone = pieces
            .to_time_zone()
            .map_err(|_| "the time zone in brackets is unknown: use one such as America/Chicago")?;
        let offset = match (pieces.to_numeric_offset(), zone, time) {
            (None, Some(zone), Some(time)) => {
                // The offset before the clocks change, in gaps and folds alike.
                match zone.to_ambiguous_zoned(date.to_datetime(time)).offset() {
                    AmbiguousOffset::Unambiguous { offset } => Some(offset),
                    AmbiguousOffset::Gap { before, .. } => Some(before),
                    AmbiguousOffset::Fold { before, .. } => Some(before),
                }
            }
            (offset, ..) => offset,
        };
        Ok(Self { date, time, offset })
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
    /// The same at UTC, where both ends have an offset or a time zone.
    utc: Option<(DateTime, DateTime)>,
}

impl Period {
    /// Joins two ends; none if the end is not after the start. Ends without an offset are times of `zone`.
    ///
    /// An end that is a date includes that day; no end at all is the end of the day of the start.
    pub(super) fn new(start: Moment, end: Option<Moment>, zone: Option<&TimeZone>) -> Option<Self> {
        let end = end.unwrap_or(Moment {
            date: start.date,
            time: None,
            offset: start.offset,
        });
        let mut local = (
            start
                .date
                .to_datetime(start.time.unwrap_or(Time::midnight())),
            match end.time {
                Some(time) => end.date.to_datetime(time),
                None => end.date.to_datetime(Time::MAX),
            },
        );
        let at = |local, offset| match (offset, zone) {
            (Some(offset), _) => at_utc(local, offset),
            (None, Some(zone)) => Some(Offset::UTC.to_datetime(instant(local, zone)?)),
            (None, None) => None,
        };
        let utc = at(local.0, start.offset).zip(at(local.1, end.offset));
        if let (Some(zone), Some((from, to))) = (zone, utc) {
            // Days are those of the place of the work.
            let there = |utc: DateTime| {
                let instant = Offset::UTC.to_timestamp(utc).ok()?;
                Some(zone.to_datetime(instant))
            };
            local = there(from).zip(there(to)).unwrap_or(local);
        }
        let (from, to) = utc.unwrap_or(local);
        (from < to).then_some(Self { local, utc })
    }

    /// Whether the two have some time in common: instants where both are known, else times as written.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (own, other) = match (self.utc, other.utc) {
            (Some(own), Some(other)) => (own, other),
            _ => (self.local, other.local),
        };
        own.0 < other.1 && other.0 < own.1
    }

    /// In words, as on the clock there.
    pub(super) fn in_words(&self) -> String {
        let (start, end) = self.local;
        let whole_days = start.time() == Time::midnight() && end.time() == Time::MAX;
        match whole_days {
            true if start.date() == end.date() => format!("on {}", start.date()),
            true => format!("from {} to {}", start.date(), end.date()),
            false => {
                let end = match end.time() == Time::MAX {
                    true => format!("the end of {}", end.date()),
                    false => minutes(end),
                };
                format!("from {} to {end}", minutes(start))
            }
        }
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

fn minutes(at: DateTime) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

fn instant(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(local).compatible().ok()
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
        Period::new(Moment::parse(start).unwrap(), end, None)
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
