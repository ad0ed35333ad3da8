//! Sums of calls, bounded: what does not fit is counted under `other`.

use std::collections::btree_map::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::call::Call;
use crate::types::usage::{UsageRow, UsageSums};

/// Days that are kept; with one more the oldest goes.
const MAX_DAYS: usize = 400;
/// Keys that a day, or the counters, tell apart: clients invent them.
const MAX_KEYS: usize = 500;
/// Models that are told apart of one key: clients invent them too.
const MAX_MODELS: usize = 100;
/// Models that are told apart of all keys together. One with each key, `other`, comes on top.
const MAX_PAIRS: usize = 500;
/// What stands for a key or a model that is not told apart.
const OTHER: &str = "other";

/// Keys that are told apart whatever comes: those with a budget of their own.
pub type Named = Arc<BTreeSet<String>>;

/// Sums by key, then by model.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pairs(BTreeMap<String, BTreeMap<String, UsageSums>>);

impl Pairs {
    /// A model is folded before a key, so that inventing models does not hide who spends.
    fn add(&mut self, call: &Call, named: &BTreeSet<String>) {
        let key = call.key.as_str();
        let known = self.0.contains_key(key) || named.contains(key);
        let key = if known || self.keys() < MAX_KEYS {
            key
        } else {
            OTHER
        };
        let of_key = self.0.get(key);
        let known = of_key.is_some_and(|models| models.contains_key(&call.model));
        let full = of_key.is_some_and(|models| models.len() >= MAX_MODELS);
        let model = if known || (!full && self.models() < MAX_PAIRS) {
            call.model.as_str()
        } else {
            OTHER
        };
        let models = self.0.entry(key.to_owned()).or_default();
        models.entry(model.to_owned()).or_default().add(&call.sums);
    }

    /// How many keys are told apart.
    fn keys(&self) -> usize {
        self.0.len() - usize::from(self.0.contains_key(OTHER))
    }

    /// How many models are told apart.
    fn models(&self) -> usize {
        let models = self.0.values();
        models
            .map(|models| models.len() - usize::from(models.contains_key(OTHER)))
            .sum()
    }

    /// What a key has spent. One that is not told apart has spent what all of its kind have: it must
    /// not get by because others came before it.
    fn spent(&self, key: &str, named: &BTreeSet<String>) -> f64 {
        let sums = self.sums_of(key, named);
        sums.filter_map(|sums| sums.cost_usd).sum()
    }

    /// What a key has read and written, likewise.
    fn tokens(&self, key: &str, named: &BTreeSet<String>) -> u64 {
        self.sums_of(key, named).fold(0, |tokens: u64, sums| {
            let more = sums.prompt_tokens.saturating_add(sums.completion_tokens);
            tokens.saturating_add(more)
        })
    }

    fn sums_of(&self, key: &str, named: &BTreeSet<String>) -> impl Iterator<Item = &UsageSums> {
        let models = match self.0.get(key) {
            None if !named.contains(key) => self.0.get(OTHER),
            own => own,
        };
        models.into_iter().flat_map(BTreeMap::values)
    }

    fn rows(&self) -> impl Iterator<Item = (&String, &String, &UsageSums)> {
        self.0.iter().flat_map(|(key, models)| {
            let models = models.iter();
            models.map(move |(model, sums)| (key, model, sums))
        })
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

/// What suits a filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// All rows together, also those that are left out.
    pub total: UsageSums,
    /// By day, key and model.
    pub rows: Vec<UsageRow>,
    /// Rows after those.
    pub left_out: usize,
}

/// Sums by day, key and model. A clone costs no more than its days.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    named: Named,
    days: BTreeMap<String, Arc<Pairs>>,
}

impl Ledger {
    /// Takes rows that [`Self::rows`] gave.
    pub fn from_rows(named: Named, rows: &[UsageRow]) -> Self {
        let mut ledger = Self {
            named,
            days: BTreeMap::new(),
        };
        for row in rows {
            let pairs = ledger.days.entry(row.day.clone()).or_default();
            let models = Arc::make_mut(pairs).0.entry(row.key.clone()).or_default();
            models.entry(row.model.clone()).or_default().add(&row.sums);
        }
        ledger
    }

    /// Counts one more call.
    pub fn count(&mut self, call: &Call) {
        let pairs = self.days.entry(call.day.clone()).or_default();
        Arc::make_mut(pairs).add(call, &self.named);
        while self.days.len() > MAX_DAYS {
            self.days.pop_first();
        }
    }

    /// Lists the sums, by day, key and model.
    pub fn rows(&self, filter: &UsageFilter) -> Vec<UsageRow> {
        self.select(filter, usize::MAX).rows
    }

    /// Sums up what suits, and lists the first `most` rows of it.
    pub fn select(&self, filter: &UsageFilter, most: usize) -> Selection {
        let suits = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let from = filter.from.as_deref().unwrap_or_default();
        let days = self
            .since(from)
            .take_while(|(day, _)| filter.to.as_ref().is_none_or(|to| *day <= to));
        let mut found = Selection::default();
        for (day, pairs) in days {
            let rows = pairs.rows();
            for (key, model, sums) in
                rows.filter(|row| suits(&filter.key, row.0) && suits(&filter.model, row.1))
            {
                found.total.add(sums);
                if found.rows.len() >= most {
                    found.left_out += 1;
                    continue;
                }
                found.rows.push(UsageRow {
                    day: day.clone(),
                    key: key.clone(),
                    model: model.clone(),
                    sums: *sums,
                });
            }
        }
        found
    }

    /// What a key has spent since the day `from`, US dollars, as far as the costs are known. On a day
    /// that does not tell it apart it is what all such keys have spent.
    pub fn spent(&self, key: &str, from: &str) -> f64 {
        self.since(from)
            .map(|(_, pairs)| pairs.spent(key, &self.named))
            .sum()
    }

    /// Tokens that a key has read and written since the day `from`, likewise.
    pub fn tokens(&self, key: &str, from: &str) -> u64 {
        self.since(from)
            .map(|(_, pairs)| pairs.tokens(key, &self.named))
            .sum()
    }

    fn since(&self, from: &str) -> Range<'_, String, Arc<Pairs>> {
        self.days
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
    }
}

/// Sums by key and model since the start, for counters that only grow.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    named: Named,
    pairs: Pairs,
}

impl Counters {
    /// Counts nothing yet.
    pub fn new(named: Named) -> Self {
        Self {
            named,
            pairs: Pairs::default(),
        }
    }

    /// Counts one more call.
    pub fn count(&mut self, call: &Call) {
        self.pairs.add(call, &self.named);
    }

    /// Lists key, model and sums.
    pub fn rows(&self) -> Vec<(String, String, UsageSums)> {
        let pairs = self.pairs.rows();
        pairs
            .map(|(key, model, sums)| (key.clone(), model.clone(), *sums))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "2026-03-01";

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
    fn rows_that_are_left_out_are_in_the_total() {
        let found = ledger().select(&UsageFilter::default(), 3);
        assert_eq!((found.rows.len(), found.left_out), (3, 1));
        assert_eq!(found.total.requests, 5);
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
        assert_eq!(ledger().tokens("a", "2026-03-01"), 4 * 3);
        assert_eq!(ledger().tokens("a", "2026-03-02"), 3);
        // The keys beside it are not its own.
        assert!(ledger().spent("", "2026-03-01").abs() < 1e-9);
    }

    #[test]
    fn rows_make_the_same_ledger_again() {
        let rows = ledger().rows(&UsageFilter::default());
        assert_eq!(Ledger::from_rows(Named::default(), &rows), ledger());
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
        assert!(rows.len() <= MAX_PAIRS + MAX_KEYS + 1, "{}", rows.len());
        let requests: u64 = rows.iter().map(|row| row.sums.requests).sum();
        assert_eq!(requests, 4_001);
        assert!((ledger.spent("known", "2026-03-01") - 2_001.0).abs() < 1e-6);
        assert!(counters.rows().len() <= MAX_PAIRS + 1);
        let counted: u64 = counters.rows().iter().map(|row| row.2.requests).sum();
        assert_eq!(counted, 2_000);
    }

    #[test]
    fn invented_models_hide_no_key_and_no_model_of_another() {
        let mut ledger = Ledger::default();
        let mut counters = Counters::default();
        for number in 0..2_000 {
            ledger.count(&call(DAY, "flood", &format!("m{number}"), Some(0.0)));
            counters.count(&call(DAY, "flood", &format!("m{number}"), Some(0.0)));
        }
        ledger.count(&call(DAY, "late", "up/x", Some(2.0)));
        counters.count(&call(DAY, "late", "up/x", Some(2.0)));
        assert!((ledger.spent("late", DAY) - 2.0).abs() < 1e-9);
        let told = |(key, model): (&str, &str)| key == "late" && model == "up/x";
        let rows = counters.rows();
        assert!(rows.iter().any(|row| told((&row.0, &row.1))), "{rows:?}");
        // With many keys the models go first.
        for key in 0..10 {
            for number in 0..200 {
                ledger.count(&call(DAY, &format!("k{key}"), &format!("m{number}"), None));
            }
        }
        ledger.count(&call(DAY, "later", "up/x", Some(3.0)));
        assert!((ledger.spent("later", DAY) - 3.0).abs() < 1e-9);
        let later = UsageFilter {
            key: Some("later".to_owned()),
            ..UsageFilter::default()
        };
        assert_eq!(ledger.rows(&later)[0].model, OTHER);
    }

    #[test]
    fn a_key_that_is_not_told_apart_has_spent_something_and_a_named_one_is() {
        let named: Named = Arc::new(["own".to_owned()].into());
        let mut ledger = Ledger::from_rows(named, &[]);
        for number in 0..MAX_KEYS {
            ledger.count(&call(DAY, &format!("k{number}"), "up/x", Some(1.0)));
        }
        assert!(
            ledger.spent("late", DAY).abs() < 1e-9,
            "nobody is folded yet"
        );
        ledger.count(&call(DAY, "late", "up/x", Some(5.0)));
        ledger.count(&call(DAY, "own", "up/x", Some(7.0)));
        assert!((ledger.spent("late", DAY) - 5.0).abs() < 1e-9);
        assert!((ledger.spent("k7", DAY) - 1.0).abs() < 1e-9);
        assert!((ledger.spent("own", DAY) - 7.0).abs() < 1e-9);
        // A named key that did not call has spent nothing, whatever others did.
        let quiet = Ledger::from_rows(
            Arc::new(["quiet".to_owned()].into()),
            &ledger.rows(&UsageFilter::default()),
        );
        assert!(quiet.spent("quiet", DAY).abs() < 1e-9);
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
