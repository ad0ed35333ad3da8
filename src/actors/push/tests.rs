//! Pushes and pulls, with a folder that stands for the bucket.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tempfile::TempDir;

use super::send::Asked;
use super::*;
use crate::storage::dataset_store::sha256;
use crate::storage::evidence_log::{
    Body, EvidenceConfig, EvidenceLog, NewRecord, Retain, Salt, finish_change, retain, verify,
};
use crate::types::evidence::Kind;

const DAY_MS: u64 = 86_400_000;

/// A data folder that pushes to a bucket.
struct House {
    root: TempDir,
    paths: Arc<PushPaths>,
}

fn record(n: u64, kind: Kind, body: serde_json::Value) -> NewRecord {
    NewRecord {
        // Two a day.
        ts_ms: n * DAY_MS / 2,
        kind,
        id: format!("r{n}"),
        body: Body::of(&body, Salt::new([1; 16])).unwrap(),
    }
}

fn search(n: u64) -> NewRecord {
    let query = format!("the secret of {n} {}", "x".repeat(300));
    record(
        n,
        Kind::Search,
        json!({"request_id": "r", "collection": "c", "query": query, "mode": "dense", "k": 1,
            "hits": [], "latency_ms": 1, "key": "app"}),
    )
}

impl House {
    fn new(bucket: &Path, name: &str) -> Self {
        let root = TempDir::new().unwrap();
        let paths = Self::paths(root.path(), bucket, name);
        Self { root, paths }
    }

    fn paths(root: &Path, bucket: &Path, name: &str) -> Arc<PushPaths> {
        Arc::new(PushPaths {
            data_dir: root.to_owned(),
            evidence: root.join("evidence"),
            datasets: DatasetStore::new(&root.join("datasets")),
            replicas: Replicas::new(root, name),
            url: format!("file://{}", bucket.display()),
            with_evidence: true,
            with_datasets: true,
            movement: Arc::default(),
        })
    }

    /// Several records to a segment, so that one of them is of several days.
    fn config() -> EvidenceConfig {
        EvidenceConfig {
            segment_bytes: 2_048,
            ..EvidenceConfig::default()
        }
    }

    fn log(&self) -> EvidenceLog {
        EvidenceLog::open(&self.paths.evidence, Self::config())
            .unwrap()
            .0
    }

    fn append(&self, numbers: std::ops::RangeInclusive<u64>) {
        let mut log = self.log();
        for n in numbers {
            log.append(&search(n)).unwrap();
        }
    }

    fn change(&self, told: &NewRecord, upto: u64) {
        let mut log = self.log();
        log.begin_change(upto, std::slice::from_ref(told)).unwrap();
        drop(log);
        finish_change(&self.paths.evidence).unwrap();
    }

    async fn push(&self) -> Result<PushReport, PushError> {
        self.push_as(false).await
    }

    async fn push_as(&self, take_over: bool) -> Result<PushReport, PushError> {
        let asked = Asked {
            take_over,
            now_ms: 7,
            random: [1, 2, 3, 4],
        };
        let beat: Beat = Arc::new(|| {});
        send::run(&self.paths, asked, &beat).await
    }

    async fn pull(&self) -> Result<PullReport, PushError> {
        let beat: Beat = Arc::new(|| {});
        pull::run(&self.paths, &beat).await
    }

    fn export(&self, name: &str, text: &str) {
        let store = &self.paths.datasets;
        let staging = store.stage(&store.export(name).unwrap()).unwrap();
        let written = staging.write("data/train.jsonl", text).unwrap();
        staging.write("README.md", "a card").unwrap();
        let receipt = json!({"format": 1, "job": "export", "as_of_ms": 1, "counts": {}, "outputs": [written],
            "journal": {"head": {"seq": 0, "hash": ""}}});
        staging.write("receipt.json", &receipt.to_string()).unwrap();
        staging.commit().unwrap();
    }

    fn tasks(&self, days: &[(&str, &str)]) {
        let store = &self.paths.datasets;
        let staging = store.stage(&store.tasks()).unwrap();
        let mut outputs = Vec::new();
        for (day, text) in days {
            for extension in ["jsonl", "parquet"] {
                let path = format!("date={day}/tasks.{extension}");
                outputs.push(staging.write(&path, text).unwrap());
            }
        }
        let receipt = json!({"format": 1, "job": "materialize", "as_of_ms": 1, "counts": {}, "outputs": outputs,
            "journal": {"head": {"seq": 0, "hash": ""}}});
        staging.write("receipt.json", &receipt.to_string()).unwrap();
        staging.commit().unwrap();
    }
}

/// The objects, with their bytes.
fn objects(bucket: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(dir: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, root, found),
                false => {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(bucket, bucket, &mut found);
    found
}

fn names(bucket: &Path, of: &str) -> Vec<String> {
    let all = objects(bucket).into_keys();
    all.filter(|name| name.starts_with(of)).collect()
}

#[tokio::test]
async fn what_is_there_is_what_is_here_and_only_what_is_new_is_sent() {
    let bucket = TempDir::new().unwrap();
    let house = House::new(bucket.path(), "a");
    // Nothing is a journal, too.
    assert_eq!(house.push().await.unwrap().head_seq, 0);
    house.append(1..=8);
    house.export("sft", "{}\n");
    house.tasks(&[("2026-11-01", "one"), ("2026-11-02", "two")]);
    let first = house.push().await.unwrap();
    assert_eq!((first.head_seq, first.deleted), (8, 0));
    let there = objects(bucket.path());
    assert_eq!(
        names(bucket.path(), "evidence/replica=a/date=").len(),
        first_parts()
    );
    for name in [
        "evidence-00000001.jsonl",
        "evidence-00000002.jsonl",
        "heads.log",
    ] {
        let here = fs::read(house.paths.evidence.join(name)).unwrap();
        assert!(
            there[&format!("journal/replica=a/{name}")] == here,
            "{name}"
        );
    }
    assert_eq!(
        names(bucket.path(), "exports"),
        [
            "exports/replica=a/sft/data/train.jsonl",
            "exports/replica=a/sft/receipt.json"
        ]
    );
    // Of the tasks what Parquet's readers can take as it is.
    assert_eq!(
        names(bucket.path(), "tasks"),
        [
            "tasks/replica=a/_receipt.json",
            "tasks/replica=a/date=2026-11-01/tasks.parquet",
            "tasks/replica=a/date=2026-11-02/tasks.parquet"
        ]
    );
    assert_eq!(first.sent as usize, there.len(), "{first:?}");

    let again = house.push().await.unwrap();
    assert_eq!((again.sent, again.deleted, again.head_seq), (0, 0, 8));
    // A lost note is read anew from the bucket: the segments that it has are not sent again.
    fs::remove_file(house.root.path().join("pushed.json")).unwrap();
    house.push().await.unwrap();
    assert!(objects(bucket.path()) == there);

    house.append(9..=9);
    house.tasks(&[("2026-11-01", "one")]);
    house.export("sft", "{}\n{}\n");
    let grown = house.push().await.unwrap();
    assert_eq!(grown.head_seq, 9);
    // The day that is no more.
    assert_eq!(grown.deleted, 1);
    let segments = names(bucket.path(), "journal/replica=a/evidence-");
    let sent_again = segments
        .iter()
        .filter(|name| there.get(*name) != objects(bucket.path()).get(*name));
    assert!(sent_again.count() <= 2);
    fs::remove_dir_all(house.root.path().join("datasets/exports/sft")).unwrap();
    assert_eq!(house.push().await.unwrap().deleted, 2);
    assert_eq!(names(bucket.path(), "exports"), [""; 0]);
}

/// Of eight records, two a day from noon of the first one on, in segments of some four.
fn first_parts() -> usize {
    let house = House::new(Path::new("/nowhere"), "a");
    house.append(1..=8);
    let mut parts = std::collections::BTreeSet::new();
    for segment in crate::storage::evidence_log::segments(&house.paths.evidence).unwrap() {
        let number = segment.number;
        for line in crate::storage::evidence_log::records(&house.paths.evidence, vec![segment]) {
            parts.insert((number, line.unwrap().record.unwrap().ts / DAY_MS));
        }
    }
    parts.len()
}

#[tokio::test]
async fn what_is_erased_or_removed_here_is_gone_there() {
    let bucket = TempDir::new().unwrap();
    let (house, reader) = (
        House::new(bucket.path(), "a"),
        House::new(bucket.path(), "b"),
    );
    house.append(1..=12);
    house.push().await.unwrap();
    reader.pull().await.unwrap();
    let holds = |secret: &str| {
        let all = objects(bucket.path());
        let secret = secret.as_bytes();
        let found = all
            .iter()
            .filter(|(_, bytes)| bytes.windows(secret.len()).any(|at| at == secret));
        found.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert!(!holds("the secret of 2 ").is_empty());
    let day = |all: &BTreeMap<String, Vec<u8>>| {
        all["evidence/replica=a/date=1970-01-02/part-00000001.parquet"].clone()
    };
    let before = day(&objects(bucket.path()));
    let told = json!({"reason": "asked", "by": "seq", "records": [[2, 2]]});
    house.change(&record(13, Kind::Erasure, told), 12);
    house.push().await.unwrap();
    assert_eq!(holds("the secret of 2 "), [""; 0]);
    assert!(day(&objects(bucket.path())) != before);
    let pulled = reader.pull().await.unwrap();
    assert_eq!(
        (
            pulled.replicas[0].problem.as_deref(),
            pulled.replicas[0].intact
        ),
        (None, true)
    );
    let report = verify(&reader.paths.replicas.dir("a")).unwrap();
    assert_eq!(
        (report.intact, report.erased, report.head_seq),
        (true, 1, 13)
    );

    let config = EvidenceConfig {
        retain_bytes: Some(5_000),
        ..House::config()
    };
    let Retain::Remove(told) = retain(&house.paths.evidence, &config, 99 * DAY_MS).unwrap() else {
        panic!("nothing to remove");
    };
    let body = serde_json::to_value(&told).unwrap();
    house.change(&record(14, Kind::Retention, body), told.last);
    let pushed = house.push().await.unwrap();
    assert!(pushed.deleted >= 2 * told.files, "{pushed:?}");
    let here: Vec<String> = fs::read_dir(&house.paths.evidence)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("evidence-"))
        .collect();
    let there = names(bucket.path(), "journal/replica=a/evidence-");
    assert_eq!(there.len(), here.len());
    // The reader's copy follows, and its kept head is explained.
    let pulled = reader.pull().await.unwrap();
    assert_eq!(pulled.replicas[0].problem, None);
    let report = verify(&reader.paths.replicas.dir("a")).unwrap();
    assert!(
        report.intact && report.first_seq == told.last + 1,
        "{report:?}"
    );
}

#[tokio::test]
async fn a_name_belongs_to_one_journal() {
    let bucket = TempDir::new().unwrap();
    let (one, other) = (
        House::new(bucket.path(), "a"),
        House::new(bucket.path(), "a"),
    );
    one.append(1..=4);
    one.push().await.unwrap();
    let before = objects(bucket.path());
    let mut log = other.log();
    for n in 1..=6 {
        log.append(&search(n + 100)).unwrap();
    }
    drop(log);
    let refused = other.push().await.unwrap_err();
    assert!(
        matches!(refused, PushError::Foreign { seq: 4, .. }),
        "{refused}"
    );
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(objects(bucket.path()) == before);
    other.push_as(true).await.unwrap();
    let taken = fs::read(
        bucket
            .path()
            .join("journal/replica=a/evidence-00000001.jsonl"),
    )
    .unwrap();
    assert!(taken == fs::read(other.paths.evidence.join("evidence-00000001.jsonl")).unwrap());
    // The first one is a stranger now, although it knows that it was there.
    assert!(matches!(one.push().await, Err(PushError::Foreign { .. })));

    // A copy of a folder that goes on has the same journal: what it did not send itself is looked at.
    let copy = House::new(bucket.path(), "a");
    fs::remove_dir_all(copy.root.path()).unwrap();
    let status = std::process::Command::new("cp")
        .args(["-a".as_ref(), other.root.path(), copy.root.path()])
        .status();
    assert!(status.unwrap().success());
    copy.append(7..=9);
    assert_eq!(copy.push().await.unwrap().head_seq, 9);
    assert!(matches!(
        other.push().await,
        Err(PushError::Foreign { seq: 9, .. })
    ));
}

#[tokio::test]
async fn journals_are_pulled_whole_and_verified_or_not_at_all() {
    let bucket = TempDir::new().unwrap();
    let reader = House::new(bucket.path(), "");
    assert!(matches!(reader.pull().await, Err(PushError::Empty(_))));
    let houses = [
        House::new(bucket.path(), "a"),
        House::new(bucket.path(), "b"),
    ];
    for house in &houses {
        house.append(1..=5);
        house.push().await.unwrap();
    }
    // One that has nothing yet is told of, and is no journal to read.
    let empty = House::new(bucket.path(), "empty");
    empty.push().await.unwrap();
    assert_eq!(empty.pull().await.unwrap().replicas.len(), 3);
    assert_eq!(empty.paths.replicas.pulled().unwrap(), ["a", "b"]);
    fs::remove_dir_all(bucket.path().join("journal/replica=empty")).unwrap();
    // Its own journal is not fetched.
    assert_eq!(houses[0].pull().await.unwrap().replicas.len(), 1);
    let told = |report: &PullReport| -> Vec<_> {
        let replicas = report.replicas.iter();
        replicas
            .map(|one| (one.replica.clone(), one.head_seq, one.unchanged, one.intact))
            .collect()
    };
    let first = reader.pull().await.unwrap();
    let of = |name: &str, seq, unchanged, intact| (name.to_owned(), seq, unchanged, intact);
    assert_eq!(
        told(&first),
        [of("a", 5, false, true), of("b", 5, false, true)]
    );
    assert_eq!(
        told(&reader.pull().await.unwrap()),
        [of("a", 5, true, true), of("b", 5, true, true)]
    );
    houses[1].append(6..=6);
    houses[1].push().await.unwrap();
    let grown = reader.pull().await.unwrap();
    assert_eq!(
        told(&grown),
        [of("a", 5, true, true), of("b", 6, false, true)]
    );
    assert!(grown.replicas[1].fetched_bytes < first.replicas[1].fetched_bytes);

    // Somebody changes a record in the bucket, and the manifest with it.
    let journal = bucket.path().join("journal/replica=a");
    let segment = journal.join("evidence-00000001.jsonl");
    let text = fs::read_to_string(&segment).unwrap();
    let changed = text.replacen("the secret of 1", "the secret of 9", 1);
    fs::write(&segment, &changed).unwrap();
    // With the manifest as it was, it is fetched again and again, and does not come.
    fs::remove_dir_all(reader.paths.replicas.dir("a")).unwrap();
    assert!(reader.pull().await.unwrap_err().is_of_a_change());
    let manifest = journal.join("manifest.json");
    let told_of = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        told_of.replace(&sha256(&text), &sha256(&changed)),
    )
    .unwrap();
    let refused = reader.pull().await.unwrap();
    let problem = refused.replicas[0].problem.as_deref().unwrap();
    assert!(
        problem.contains("evidence-00000001.jsonl line 1"),
        "{problem}"
    );
    assert!(!reader.paths.replicas.dir("a").exists());
    // One that names a file elsewhere is none.
    fs::write(
        &manifest,
        told_of.replace("evidence-00000001.jsonl", "../evil"),
    )
    .unwrap();
    assert!(!reader.pull().await.unwrap().replicas[0].intact);

    // A journal that is cut, with all that says so.
    let journal = bucket.path().join("journal/replica=b");
    fs::remove_dir_all(&journal).unwrap();
    let short = House::new(bucket.path(), "b");
    short.append(1..=3);
    short.push().await.unwrap();
    let cut = reader.pull().await.unwrap();
    assert!(!cut.replicas[1].intact, "{cut:?}");
    let kept = verify(&reader.paths.replicas.dir("b")).unwrap();
    assert_eq!(kept.head_seq, 6);

    // A replica that is gone there is gone here.
    fs::remove_dir_all(bucket.path().join("journal/replica=b")).unwrap();
    assert_eq!(reader.pull().await.unwrap().removed, ["b"]);
    assert!(!reader.paths.replicas.dir("b").exists());
}

#[tokio::test]
async fn one_that_is_stopped_goes_on_the_next_time() {
    let bucket = TempDir::new().unwrap();
    let house = House::new(bucket.path(), "a");
    house.append(1..=20);
    let all = house.paths.evidence.read_dir().unwrap().count() as u64;
    let mut sent = 0;
    let mut stops = 0;
    loop {
        let _under = house.paths.movement.begin("push");
        let left = AtomicU64::new(300);
        let movement = Arc::clone(&house.paths.movement);
        let beat: Beat = Arc::new(move || {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                movement.cancel();
            }
        });
        let asked = Asked {
            take_over: false,
            now_ms: 7,
            random: [0; 4],
        };
        match send::run(&house.paths, asked, &beat).await {
            Ok(report) => {
                sent += report.sent;
                break;
            }
            Err(PushError::Object(ObjectError::Stopped)) => stops += 1,
            Err(error) => panic!("{error}"),
        }
        // What is named by no manifest is nothing for a reader.
        assert!(
            !bucket
                .path()
                .join("journal/replica=a/manifest.json")
                .exists()
        );
    }
    assert!(
        stops > 1 && sent < all * 3,
        "{stops} stops, {sent} sent last"
    );
    let reader = House::new(bucket.path(), "b");
    assert!(reader.pull().await.unwrap().replicas[0].intact);
}

#[tokio::test]
async fn a_replica_without_a_name_gets_one_for_good() {
    let bucket = TempDir::new().unwrap();
    let house = House::new(bucket.path(), "");
    house.append(1..=1);
    let name = house.push().await.unwrap().replica;
    assert!(name.ends_with("-01020304"), "{name}");
    assert_eq!(
        fs::read_to_string(house.root.path().join("replica"))
            .unwrap()
            .trim(),
        name
    );
    assert_eq!(house.push().await.unwrap().replica, name);
}

#[tokio::test]
async fn what_is_not_to_be_sent_is_not_touched() {
    let bucket = TempDir::new().unwrap();
    let house = House::new(bucket.path(), "a");
    house.append(1..=3);
    house.export("sft", "{}\n");
    house.push().await.unwrap();
    let before = objects(bucket.path());
    let less = |with_evidence, with_datasets| {
        let paths = House::paths(house.root.path(), bucket.path(), "a");
        let paths = PushPaths {
            with_evidence,
            with_datasets,
            ..Arc::into_inner(paths).unwrap()
        };
        Arc::new(paths)
    };
    house.append(4..=4);
    house.export("kto", "{}\n");
    let beat: Beat = Arc::new(|| {});
    let asked = Asked {
        take_over: false,
        now_ms: 7,
        random: [0; 4],
    };
    send::run(&less(false, true), asked, &beat).await.unwrap();
    let after = objects(bucket.path());
    let new: Vec<_> = after
        .iter()
        .filter(|(name, bytes)| before.get(*name) != Some(*bytes))
        .collect();
    assert!(
        new.iter()
            .all(|(name, _)| name.starts_with("exports/replica=a/kto/")),
        "{new:?}"
    );
    assert!(before.keys().all(|name| after.contains_key(name)));
    fs::remove_dir_all(house.root.path().join("datasets/exports")).unwrap();
    let evidence = send::run(&less(true, false), asked, &beat).await.unwrap();
    assert_eq!((evidence.head_seq, evidence.deleted), (4, 0));
}
