//! The receipt of a materialization or an export, read back to be checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::counts::ExportCounts;
use super::join::Counts;
use crate::storage::dataset_store::FileReceipt;

/// What a folder says of how it was made. What else it says is not read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Receipt {
    /// [`super::FORMAT_VERSION`] then.
    pub format: u32,
    /// `materialize` or `export`.
    pub job: String,
    /// Time of the newest record, Unix milliseconds.
    pub as_of_ms: u64,
    /// What was read of the journal.
    pub journal: JournalRead,
    /// What was read of other replicas' journals.
    #[serde(default)]
    pub replicas: Vec<ReplicaRead>,
    /// Of an export: the tasks.
    #[serde(default)]
    pub inputs: Vec<FileReceipt>,
    /// Of an export: rows on both sides.
    #[serde(default)]
    rows: Option<u64>,
    counts: Value,
    /// Of a materialization: tasks by outcome.
    #[serde(default)]
    outcomes: BTreeMap<String, u64>,
    /// The files that were written.
    pub outputs: Vec<FileReceipt>,
}

/// The journal as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JournalRead {
    /// The last record.
    pub head: HeadRead,
    /// Its files, as far as they were read; of an export none.
    #[serde(default)]
    pub segments: Vec<FileReceipt>,
}

/// The journal of another replica.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ReplicaRead {
    /// Its name.
    pub replica: String,
    /// As it was read.
    pub journal: JournalRead,
}

/// A record and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeadRead {
    /// 0 when there was none.
    pub seq: u64,
    /// As the record says.
    pub hash: String,
}

impl Receipt {
    /// Reads a receipt.
    ///
    /// Errors: it is none; in words.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    /// Lists what does not add up, in words. Of a receipt of another version nothing is known.
    pub fn unreconciled(&self) -> Vec<String> {
        let mut sums = Sums(Vec::new());
        let checked = match self.job.as_str() {
            "materialize" => Counts::deserialize(&self.counts)
                .map(|counts| self.of_materialization(&counts, &mut sums)),
            "export" => ExportCounts::deserialize(&self.counts)
                .map(|counts| self.of_export(&counts, &mut sums)),
            other => return vec![format!("no such job: {other:?}")],
        };
        if let Err(error) = checked {
            sums.0.push(format!("counts cannot be read: {error}"));
        }
        sums.0
    }

    fn of_materialization(&self, counts: &Counts, sums: &mut Sums) {
        sums.equal("in", counts.read, "the sum of the rest", counts.placed());
        let outcomes = self.outcomes.values().copied();
        let outcomes = outcomes.fold(0, u64::saturating_add);
        sums.equal("tasks", counts.tasks, "the sum of the outcomes", outcomes);
        for name in ["tasks.jsonl", "tasks.parquet"] {
            if let Some(rows) = self.rows_of_days(name) {
                sums.equal("tasks", counts.tasks, &format!("rows of {name}"), rows);
            }
        }
        let rows = self.rows_of("quarantine.jsonl");
        let put_aside = counts.quarantined;
        sums.equal("quarantined", put_aside, "rows of quarantine.jsonl", rows);
    }

    fn of_export(&self, counts: &ExportCounts, sums: &mut Sums) {
        let (taken, placed) = (counts.taken(), counts.placed());
        sums.equal("in and further", taken, "the sum of the rest", placed);
        let rows = self.rows.unwrap_or_default();
        sums.equal("train and test", counts.rows(), "rows", rows);
        for (name, count) in [("train", counts.train), ("test", counts.test)] {
            let files = [
                ("data", "jsonl"),
                ("origin", "jsonl"),
                ("parquet", "parquet"),
            ];
            for (folder, extension) in files {
                let path = format!("{folder}/{name}.{extension}");
                let rows = self.rows_of(&path);
                sums.equal(name, count, &format!("rows of {path}"), rows);
            }
        }
        let rows = self.rows_of("origin/dropped.jsonl");
        let dropped = counts.dropped();
        sums.equal("dropped", dropped, "rows of origin/dropped.jsonl", rows);
        let read = self.inputs.iter().map(|input| input.rows);
        let read = read.fold(0, u64::saturating_add);
        sums.equal("in", counts.read, "tasks that were read", read);
    }

    /// Rows of the files of this name in the folders of all days; without any 0, and of those that need not be written `None`.
    fn rows_of_days(&self, name: &str) -> Option<u64> {
        let of_a_day = |path: &str| {
            let file = path
                .split_once('/')
                .filter(|(day, _)| day.starts_with("date="));
            file.is_some_and(|(_, file)| file == name)
        };
        let files = self.outputs.iter().filter(|file| of_a_day(&file.path));
        let rows: Vec<u64> = files.map(|file| file.rows).collect();
        let optional = name.ends_with(".parquet") && rows.is_empty();
        (!optional).then(|| rows.into_iter().fold(0, u64::saturating_add))
    }

    /// None when there is no such file: one without rows need not be.
    fn rows_of(&self, path: &str) -> u64 {
        let file = self.outputs.iter().find(|file| file.path == path);
        file.map_or(0, |file| file.rows)
    }
}

struct Sums(Vec<String>);

impl Sums {
    fn equal(&mut self, name: &str, count: u64, other: &str, sum: u64) {
        if count != sum {
            self.0.push(format!("{name} is {count}, {other} {sum}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(path: &str, rows: u64) -> Value {
        json!({"path": path, "rows": rows, "bytes": 1, "sha256": ""})
    }

    fn materialization() -> Value {
        let counts = Counts {
            read: 5,
            tasks: 3,
            feedback: 1,
            quarantined: 1,
            ..Counts::default()
        };
        json!({
            "format": 4, "job": "materialize", "as_of_ms": 1, "counts": counts,
            "journal": {"head": {"seq": 5, "hash": ""}, "segments": [file("s", 5)]},
            "outcomes": {"accepted": 2, "rejected": 1},
            "outputs": [
                file("date=2026-11-01/tasks.jsonl", 1), file("date=2026-11-01/tasks.parquet", 1),
                file("date=2026-11-02/tasks.jsonl", 2), file("date=2026-11-02/tasks.parquet", 2),
                file("quarantine.jsonl", 1),
            ],
        })
    }

    fn export() -> Value {
        let counts = ExportCounts {
            read: 5,
            further: 1,
            train: 2,
            test: 1,
            duplicates: 1,
            paired: 1,
            skipped: [("rejected".into(), 1)].into(),
            ..ExportCounts::default()
        };
        json!({
            "format": 4, "job": "export", "as_of_ms": 1, "counts": counts, "rows": 3,
            "journal": {"head": {"seq": 5, "hash": ""}},
            "inputs": [file("tasks.jsonl", 5)],
            "outputs": [
                file("data/train.jsonl", 2), file("origin/train.jsonl", 2), file("data/test.jsonl", 1),
                file("origin/test.jsonl", 1), file("origin/dropped.jsonl", 1),
                file("parquet/train.parquet", 2), file("parquet/test.parquet", 1),
            ],
        })
    }

    fn said(receipt: &Value) -> Vec<String> {
        let receipt = Receipt::parse(receipt.to_string().as_bytes());
        receipt.unwrap().unreconciled()
    }

    #[test]
    fn every_number_is_part_of_a_sum() {
        for whole in [materialization(), export()] {
            assert_eq!(said(&whole), Vec::<String>::new());
            for name in whole["counts"].as_object().unwrap().keys() {
                let mut other = whole.clone();
                let count = &mut other["counts"][name];
                *count = match count.as_u64() {
                    Some(count) => json!(count + 1),
                    None => json!({"other": u64::MAX}),
                };
                assert_ne!(said(&other), Vec::<String>::new(), "{name}");
            }
        }
        let mut other = materialization();
        other["outcomes"]["accepted"] = json!(1);
        assert_eq!(said(&other), ["tasks is 3, the sum of the outcomes 2"]);
        let mut other = materialization();
        other["outputs"][3]["rows"] = json!(1);
        assert_eq!(said(&other), ["tasks is 3, rows of tasks.parquet 2"]);
        other["outputs"] = json!([
            file("date=2026-11-01/tasks.jsonl", 3),
            file("quarantine.jsonl", 1)
        ]);
        assert_eq!(said(&other), Vec::<String>::new());
        other["outputs"] = json!([file("quarantine.jsonl", 1)]);
        assert_eq!(said(&other), ["tasks is 3, rows of tasks.jsonl 0"]);
        other = export();
        other["outputs"][2]["rows"] = json!(0);
        assert_eq!(said(&other), ["test is 1, rows of data/test.jsonl 0"]);
        other["counts"]["more"] = json!(1);
        assert!(said(&other)[0].contains("cannot be read"), "{other}");
    }
}
