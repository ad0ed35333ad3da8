//! Sums of calls, bounded: what does not fit is counted under `other`.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use super::call::Call;
use crate::types::usage::{UsageRow, UsageSums};

/// Days that are kept; with one more the oldest goes.
const MAX_DAYS: usize = 400;
/// Pairs of a key and a model that a day, or the counters, tell apart: clients invent both.
const MAX_PAIRS: usize = 500;
/// What stands for a key or a model that is not told apart.
const OTHER: &str = "other";

/// Sums by key and model.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pairs(BTreeMap<(String, String), UsageSums>);

impl Pairs {
    fn add(&mut self, key: &str, model: &str, sums: &UsageSums) {
        let mut pair = (key.to_owned(), model.to_owned());
        if self.0.len() >= MAX_PAIRS && !self.0.contains_key(&pair) {
            pair.1 = OTHER.to_owned();
            // A known key stays told apart, so that its budget holds.
            if self.of_key(key).next().is_none() {
                pair.0 = OTHER.to_owned();
            }
        }
        self.0.entry(pair).or_default().add(sums);
    }

    fn of_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a UsageSums> {
        let from = (key.to_owned(), String::new());
        let rest = self.0.range(from..);
        rest.take_while(move |((own, _), _)| own == key)
            .map(|(_, sums)| sums)
    }
}

/// Which rows are asked for; what is left out holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// The first day, `YYYY-MM-DD`.
    pub from: Option<String>,
    /// The last day, `YYYY-MM-DD`.
    pub to: Option<String>,
    /// One key.
    pub key: Option<String>,
    /// One model.
    pub model: Option<String>,
}

/// Sums by day, key and model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    days: BTreeMap<String, Pairs>,
}

impl Ledger {
    /// Takes rows that [`Self::rows`] gave.
    pub fn from_rows(rows: &[UsageRow]) -> Self {
        let mut ledger = Self::default();
        for row in rows {
            let pairs = ledger.days.entry(row.day.clone()).or_default();
            let pair = (row.key.clone(), row.model.clone());
            pairs.0.entry(pair).or_default().add(&row.sums);
        }
        ledger
    }

    /// Counts one more call.
    pub fn count(&mut self, call: &Call) {
        let pairs = self.days.entry(call.day.clone()).or_default();
        pairs.add(&call.key, &call.model, &call.sums);
        while self.days.len() > MAX_DAYS {
            self.days.pop_first();
        }
    }

    /// Lists the sums, by day, key and model.
    pub fn rows(&self, filter: &UsageFilter) -> Vec<UsageRow> {
        let suits = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let from = filter.from.as_deref().unwrap_or_default();
        let days = self
            .since(from)
            .take_while(|(day, _)| filter.to.as_ref().is_none_or(|to| *day <= to));
        let rows = days.flat_map(|(day, pairs)| {
            let pairs = pairs.0.iter();
            pairs.map(move |((key, model), sums)| (day, key, model, sums))
        });
        rows.filter(|(_, key, model, _)| suits(&filter.key, key) && suits(&filter.model, model))
            .map(|(day, key, model, sums)| UsageRow {
                day: day.clone(),
                key: key.clone(),
                model: model.clone(),
                sums: *sums,
            })
            .collect()
    }

    /// What a key has spent since the day `from`, US dollars, as far as the costs are known.
    pub fn spent(&self, key: &str, from: &str) -> f64 {
        self.since(from)
            .flat_map(|(_, pairs)| pairs.of_key(key))
            .filter_map(|sums| sums.cost_usd)
            .sum()
    }

    fn since(&self, from: &str) -> Range<'_, String, Pairs> {
        self.days
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
    }
}

/// Sums by key and model since the start, for counters that only grow.
#[derive(Debug, Clone, Default)]
pub struct Counters(Pairs);

impl Counters {
    /// Counts one more call.
    pub fn count(&mut self, call: &Call) {
        self.0.add(&call.key, &call.model, &call.sums);
    }

    /// Lists key, model and sums.
    pub fn rows(&self) -> Vec<(String, String, UsageSums)> {
        let pairs = self.0.0.iter();
        pairs
            .map(|((key, model), sums)| (key.clone(), model.clone(), *sums))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(day: &str, key: &str, model: &str, cost_usd: Option<f64>) -> Call {
        Call {
            day: day.to_owned(),
            key: key.to_owned(),
            model: model.to_owned(),
            sums: UsageSums {
                requests: 1,
                unpriced: u64::from(cost_usd.is_none()),
                prompt_tokens: 3,
                cost_usd,
                ..UsageSums::default()
            },
        }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (day, key, model, cost) in [
            ("2026-03-01", "a", "up/x", Some(0.5)),
            ("2026-03-01", "a", "up/x", None),
            ("2026-03-01", "a", "up/y", Some(0.25)),
            ("2026-03-02", "a", "up/x", Some(1.0)),
            ("2026-03-02", "b", "up/x", None),
        ] {
            ledger.count(&call(day, key, model, cost));
        }
        ledger
    }

    #[test]
    fn calls_are_summed_and_filtered() {
        let rows = |from: &str, to: &str, key: &str, model: &str| {
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let filter = UsageFilter {
                from: some(from),
                to: some(to),
                key: some(key),
                model: some(model),
            };
            let rows = ledger().rows(&filter).into_iter();
            rows.map(|row| {
                format!(
                    "{} {} {} {}",
                    row.day, row.key, row.model, row.sums.requests
                )
            })
            .collect::<Vec<_>>()
        };
        let all = [
            "2026-03-01 a up/x 2",
            "2026-03-01 a up/y 1",
            "2026-03-02 a up/x 1",
            "2026-03-02 b up/x 1",
        ];
        assert_eq!(rows("", "", "", ""), all);
        assert_eq!(rows("2026-03-02", "", "", ""), all[2..]);
        assert_eq!(rows("", "2026-03-01", "", ""), all[..2]);
        assert_eq!(rows("", "", "b", ""), all[3..]);
        assert_eq!(rows("", "", "", "up/y"), all[1..2]);
        assert!(rows("2026-03-03", "2026-03-01", "", "").is_empty());
    }

    #[test]
    fn a_sum_is_known_when_one_of_its_costs_is() {
        let rows = ledger().rows(&UsageFilter::default());
        let costs: Vec<_> = rows
            .iter()
            .map(|row| (row.sums.cost_usd, row.sums.unpriced))
            .collect();
        assert_eq!(
            costs,
            [(Some(0.5), 1), (Some(0.25), 0), (Some(1.0), 0), (None, 1)]
        );
        assert!((ledger().spent("a", "2026-03-01") - 1.75).abs() < 1e-9);
        assert!((ledger().spent("a", "2026-03-02") - 1.0).abs() < 1e-9);
        assert!(ledger().spent("b", "2026-03-01").abs() < 1e-9);
        // The keys beside it are not its own.
        assert!(ledger().spent("", "2026-03-01").abs() < 1e-9);
    }

    #[test]
    fn rows_make_the_same_ledger_again() {
        let rows = ledger().rows(&UsageFilter::default());
        assert_eq!(Ledger::from_rows(&rows), ledger());
    }

    #[test]
    fn invented_keys_and_models_take_bounded_room_and_lose_no_count() {
        let mut ledger = Ledger::default();
        let mut counters = Counters::default();
        ledger.count(&call("2026-03-01", "known", "up/x", Some(1.0)));
        for number in 0..2_000 {
            let one = call("2026-03-01", &format!("k{number}"), "up/x", Some(1.0));
            ledger.count(&one);
            counters.count(&one);
        }
        for number in 0..2_000 {
            ledger.count(&call(
                "2026-03-01",
                "known",
                &format!("m{number}"),
                Some(1.0),
            ));
        }
        let rows = ledger.rows(&UsageFilter::default());
        assert!(rows.len() <= MAX_PAIRS + 2, "{}", rows.len());
        let requests: u64 = rows.iter().map(|row| row.sums.requests).sum();
        assert_eq!(requests, 4_001);
        assert!((ledger.spent("known", "2026-03-01") - 2_001.0).abs() < 1e-6);
        assert!(counters.rows().len() <= MAX_PAIRS + 1);
        let counted: u64 = counters.rows().iter().map(|row| row.2.requests).sum();
        assert_eq!(counted, 2_000);
    }

    #[test]
    fn the_oldest_day_goes() {
        let mut ledger = Ledger::default();
        for day in 0..MAX_DAYS + 5 {
            ledger.count(&call(&format!("{day:06}"), "a", "m", None));
        }
        let rows = ledger.rows(&UsageFilter::default());
        assert_eq!((rows.len(), rows[0].day.as_str()), (MAX_DAYS, "000005"));
    }
}
