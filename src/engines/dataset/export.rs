//! Tasks to rows: admitted, redacted, each once, each on its side of the split.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::conversation;
use super::exporters::Exporter;
use super::recipe::Recipe;
use super::redact::{RedactError, Redactions, Redactor};
use super::split::{self, Side};
use super::task::{Task, normalised, task_key};

/// What a task became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// A row, as one line of JSON, on its side.
    Row(Side, String),
    /// The same row was there before.
    Duplicate,
    /// Left out, with the reason in a stable word.
    Skipped(&'static str),
}

/// How many tasks went where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportCounts {
    /// Tasks that were read; the sum of the rest.
    #[serde(rename = "in")]
    pub read: u64,
    /// Rows to learn from.
    pub train: u64,
    /// Rows held out.
    pub test: u64,
    /// Tasks whose row was there before.
    pub duplicates: u64,
    /// Tasks that were left out, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
}

impl ExportCounts {
    /// Rows on both sides.
    pub fn rows(&self) -> u64 {
        self.train + self.test
    }
}

/// One export in the making.
pub struct Export<'a> {
    exporter: &'static dyn Exporter,
    recipe: &'a Recipe,
    test_fraction: f64,
    redactor: Redactor,
    seen: HashSet<[u8; 32]>,
    counts: ExportCounts,
    uniform: bool,
}

impl<'a> Export<'a> {
    /// Begins an export; `None` when `test_fraction` is not 0 to 0.5.
    ///
    /// Errors: a redaction pattern does not compile.
    pub fn new(
        exporter: &'static dyn Exporter,
        recipe: &'a Recipe,
        test_fraction: f64,
    ) -> Result<Option<Self>, RedactError> {
        if !split::fraction_is_valid(test_fraction) {
            return Ok(None);
        }
        Ok(Some(Self {
            exporter,
            recipe,
            test_fraction,
            redactor: Redactor::new(&recipe.redact)?,
            seen: HashSet::new(),
            counts: ExportCounts::default(),
            uniform: true,
        }))
    }

    /// Makes the row of a task.
    pub fn add(&mut self, task: &Task) -> Placed {
        let placed = self.place(task);
        self.counts.read += 1;
        match &placed {
            Placed::Row(Side::Train, _) => self.counts.train += 1,
            Placed::Row(Side::Test, _) => self.counts.test += 1,
            Placed::Duplicate => self.counts.duplicates += 1,
            Placed::Skipped(reason) => *self.counts.skipped.entry(reason).or_default() += 1,
        }
        placed
    }

    fn place(&mut self, task: &Task) -> Placed {
        if !self.exporter.admits(task.outcome, self.recipe) {
            return Placed::Skipped(task.outcome.name());
        }
        if task.answer.len() > self.recipe.export.max_answer_bytes {
            return Placed::Skipped("answer_too_long");
        }
        let mut row = match self.exporter.row(task) {
            Ok(row) => row,
            Err(reason) => return Placed::Skipped(reason),
        };
        self.redactor.row(&mut row);
        let mut hasher = blake3::Hasher::new();
        fingerprint(&mut hasher, &row);
        if !self.seen.insert(*hasher.finalize().as_bytes()) {
            return Placed::Duplicate;
        }
        self.uniform &= is_uniform(&row);
        let question = conversation::last_user_text(&task.messages).unwrap_or_default();
        // Redacted, or the same question with two addresses would be two tasks.
        let key = task_key(&self.redactor.uncounted(&question).0);
        Placed::Row(split::side(&key, self.test_fraction), row.to_string())
    }

    /// How many tasks went where.
    pub fn counts(&self) -> &ExportCounts {
        &self.counts
    }

    /// What was replaced.
    pub fn redactions(&self) -> &Redactions {
        self.redactor.counts()
    }

    /// Whether every row has the declared columns and no others, so that their types can be
    /// declared.
    pub fn uniform(&self) -> bool {
        self.uniform
    }
}

/// Whether a row has neither tools nor messages with more than role and content.
fn is_uniform(row: &Value) -> bool {
    let plain = |message: &Value| {
        message
            .as_object()
            .is_some_and(|members| members.len() == 2)
    };
    row.get("tools").is_none()
        && row["messages"]
            .as_array()
            .is_none_or(|messages| messages.iter().all(plain))
}

/// Hashes what makes a row the same: its texts without case and white space, not its numbers.
fn fingerprint(hasher: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::String(text) => {
            let text = normalised(text);
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        Value::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| fingerprint(hasher, item));
            hasher.update(b"]");
        }
        Value::Object(members) => {
            for (key, member) in members {
                hasher.update(key.as_bytes());
                hasher.update(b":");
                fingerprint(hasher, member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            hasher.update(b"-");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::exporters::{EXPORTERS, exporter};
    use super::super::fixture;
    use super::super::task::{Outcome, Place};
    use super::*;

    fn task(question: &str, answer: &str, outcome: Outcome) -> Task {
        let place = Place {
            seq: 1,
            ts: 2,
            id: "c".to_owned(),
        };
        let mut chat = fixture::chat(question, answer);
        chat.passages.push(fixture::passage("p", true));
        Task::new(place, chat, None, Vec::new(), (outcome, Vec::new()))
    }

    fn export<'a>(kind: &str, recipe: &'a Recipe, test_fraction: f64) -> Export<'a> {
        Export::new(exporter(kind).unwrap(), recipe, test_fraction)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn rows_are_redacted_and_each_once() {
        let recipe = Recipe::default();
        let mut sft = export("sft", &recipe, 0.0);
        let placed = sft.add(&task(
            "Who is a@b.co?",
            "Call 555-123-4567",
            Outcome::Accepted,
        ));
        let Placed::Row(Side::Train, line) = placed else {
            panic!("{placed:?}")
        };
        let row: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(row["messages"][0]["content"], "Who is [EMAIL]?");
        assert_eq!(row["messages"][1]["content"], "Call [PHONE]");
        assert_eq!(
            (sft.redactions()["email"], sft.redactions()["phone"]),
            (1, 1)
        );
        let again = task("who is c@d.co?", "call  555-999-4567", Outcome::Accepted);
        assert_eq!(sft.add(&again), Placed::Duplicate);
        let other = task("who is c@d.co?", "nobody", Outcome::Accepted);
        assert!(matches!(sft.add(&other), Placed::Row(..)));
        assert!(sft.uniform());
    }

    #[test]
    fn what_is_left_out_is_counted_by_reason() {
        let mut recipe = Recipe::default();
        recipe.export.max_answer_bytes = 3;
        let mut rag = export("rag", &recipe, 0.0);
        for (answer, outcome) in [
            ("a", Outcome::Accepted),
            ("b", Outcome::PartiallyAccepted),
            ("c", Outcome::NeedsReview),
            ("d", Outcome::Rejected),
            ("long", Outcome::Accepted),
            (" ", Outcome::Accepted),
        ] {
            rag.add(&task("q", answer, outcome));
        }
        let skipped = [
            ("answer_too_long", 1),
            ("empty_answer", 1),
            ("needs_review", 1),
            ("rejected", 1),
        ];
        let expected = ExportCounts {
            read: 6,
            train: 2,
            test: 0,
            duplicates: 0,
            skipped: BTreeMap::from(skipped),
        };
        assert_eq!(*rag.counts(), expected);
    }

    #[test]
    fn tools_make_the_columns_differ() {
        let recipe = Recipe::default();
        let mut sft = export("sft", &recipe, 0.0);
        let mut tooled = task("q", "a", Outcome::Accepted);
        tooled.tools.push(json!({"type": "function"}));
        sft.add(&tooled);
        assert!(!sft.uniform());
        assert!(Export::new(EXPORTERS[0], &recipe, 0.6).unwrap().is_none());
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        proptest::sample::select(Outcome::ALL.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_rejected_or_unjudged_is_ever_in_sft(
            tasks in proptest::collection::vec(("[a-c]{1,3}", "[a-c]{1,3}", outcome()), 1..40),
            partially in any::<bool>(),
        ) {
            let mut recipe = Recipe::default();
            recipe.sft.include_partially_accepted = partially;
            let mut sft = export("sft", &recipe, 0.3);
            let mut good = HashSet::new();
            for (question, answer, outcome) in &tasks {
                let row = sft.add(&task(question, answer, *outcome));
                let admitted = *outcome == Outcome::Accepted
                    || (partially && *outcome == Outcome::PartiallyAccepted);
                let first = admitted && good.insert((question.clone(), answer.clone()));
                prop_assert_eq!(matches!(row, Placed::Row(..)), first, "{:?}", row);
            }
            prop_assert_eq!(sft.counts().rows(), good.len() as u64);
        }

        #[test]
        fn a_task_is_never_on_both_sides(
            tasks in proptest::collection::vec(("[aAbB ]{1,4}", "[a-z]{1,8}"), 1..60),
        ) {
            let recipe = Recipe::default();
            for kind in ["rag", "sft"] {
                let mut export = export(kind, &recipe, 0.5);
                let mut sides = BTreeMap::new();
                for (question, answer) in &tasks {
                    let task = task(question, answer, Outcome::Accepted);
                    if let Placed::Row(side, _) = export.add(&task) {
                        let before = sides.insert(normalised(question), side);
                        prop_assert!(before.is_none_or(|before| before == side));
                    }
                }
            }
        }
    }
}
