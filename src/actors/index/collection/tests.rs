//! What was acknowledged is there after anything: that is the whole point.

mod faulty_disk;
mod hostile_bytes;
mod pinning;
mod reembedding;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::engines::index::{Mode, SearchPath};
use crate::types::collection::{FieldKind, Refiner, Schema};
use crate::types::error_kind::ErrorKind;
use crate::types::point::Metric;

const DIM: usize = 3;
/// Everybody's points, long before anything expires.
const NOW: Scope<'_> = Scope {
    role: None,
    now_ms: 1_000,
};

fn spec() -> CollectionSpec {
    CollectionSpec {
        name: "docs".to_owned(),
        dim: DIM,
        metric: Metric::Cosine,
        embedder: Some("static-minilm".to_owned()),
        fingerprint: None,
        refiner: None,
        backend: Default::default(),
        schema: Schema {
            fields: [
                ("n".to_owned(), FieldKind::Integer),
                ("tag".to_owned(), FieldKind::Keyword),
            ]
            .into(),
            ..Schema::default()
        },
        created_ms: 1_700_000_000_000,
    }
}

fn config() -> IndexConfig {
    IndexConfig {
        hnsw_threshold: 100,
        snapshot_wal_bytes: 4_096,
        ..IndexConfig::default()
    }
}

/// A point whose content is told by `n` alone.
fn point(id: &str, n: u8) -> Point {
    let payload = json!({"n": n, "tag": if n.is_multiple_of(2) { "even" } else { "odd" }});
    Point {
        id: id.to_owned(),
        // Of length 1 already, so that it is stored as it is.
        vector: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]][usize::from(n % 3)].to_vec(),
        text: (!n.is_multiple_of(4)).then(|| format!("word{n} boats")),
        payload: payload.as_object().unwrap().clone(),
    }
}

fn all(collection: &DurableCollection) -> Vec<Point> {
    collection.scroll(None, 1_000, None, NOW).unwrap().0
}

fn filter(value: serde_json::Value) -> Filter {
    Filter::parse(&value).unwrap()
}

fn request(vector: [f32; DIM], k: usize) -> SearchRequest {
    SearchRequest {
        query_vector: Some(vector.to_vec()),
        k,
        ..SearchRequest::default()
    }
}

struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("docs")
    }

    fn create(&self) -> DurableCollection {
        DurableCollection::create(&self.dir(), spec(), config()).unwrap()
    }

    fn open(&self) -> Result<DurableCollection, IndexError> {
        DurableCollection::open(&self.dir(), config())
    }

    /// The only file whose name starts with `prefix`.
    fn file(&self, prefix: &str) -> PathBuf {
        let names = disk::names_in(&self.dir()).unwrap();
        let mut found = names.iter().filter(|name| name.starts_with(prefix));
        let only = self.dir().join(found.next().unwrap());
        assert!(found.next().is_none(), "{names:?}");
        only
    }
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let place = Place::new();
    let collection = place.create();
    assert_eq!(
        collection
            .upsert(vec![point("a", 1), point("b", 2), point("a", 3)])
            .unwrap(),
        2
    );
    assert_eq!(
        collection
            .delete_ids(&["b".to_owned(), "b".to_owned(), "x".to_owned()])
            .unwrap(),
        1
    );
    assert_eq!(
        collection
            .upsert(vec![point("c", 4), point("d", 5)])
            .unwrap(),
        2
    );
    assert_eq!(
        collection
            .delete_where(&filter(json!({"tag": "even"})), NOW)
            .unwrap(),
        1
    );
    assert_eq!(
        collection
            .delete_where(&filter(json!({"tag": "even"})), NOW)
            .unwrap(),
        0
    );
    assert_eq!(collection.upsert(vec![]).unwrap(), 0);
    let check = |collection: &DurableCollection| {
        assert_eq!(all(collection), [point("a", 3), point("d", 5)]);
        assert_eq!(collection.get("d", NOW).unwrap(), Some(point("d", 5)));
        assert_eq!(collection.get("b", NOW).unwrap(), None);
        assert_eq!(
            collection
                .count(Some(&filter(json!({"n": {"$gt": 3}}))), NOW)
                .unwrap(),
            1
        );
        let words = SearchRequest {
            mode: Mode::Lexical,
            query_text: Some("word5".into()),
            ..request([0.0; DIM], 5)
        };
        assert_eq!(
            collection.search(&words, NOW.now_ms).unwrap().hits[0].id,
            "d"
        );
        let info = collection.info(NOW.now_ms).unwrap();
        assert_eq!((info.points, info.lsn, info.spec), (2, 4, spec()));
    };
    check(&collection);
    drop(collection);
    check(&place.open().unwrap());
}

#[test]
fn a_refused_batch_leaves_nothing_in_memory_or_on_the_disk() {
    let place = Place::new();
    let collection = place.create();
    let bad = Point {
        vector: vec![f32::NAN; DIM],
        ..point("b", 1)
    };
    assert!(collection.upsert(vec![point("a", 1), bad]).is_err());
    let many = IndexConfig {
        max_points: 2,
        max_batch_points: 3,
        ..config()
    };
    drop(collection);
    let collection = DurableCollection::open(&place.dir(), many).unwrap();
    collection
        .upsert(vec![point("a", 1), point("b", 1)])
        .unwrap();
    let error = collection
        .upsert(vec![point("b", 2), point("c", 2)])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "points of collection docs: 3 is over the limit of 2"
    );
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = collection.upsert(vec![point("a", 1); 4]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "points of one write: 4 is over the limit of 3"
    );
    collection.upsert(vec![point("b", 2)]).unwrap();
    drop(collection);
    assert_eq!(all(&place.open().unwrap()), [point("a", 1), point("b", 2)]);
}

#[test]
fn a_batch_cut_short_at_any_byte_is_gone_whole_and_told() {
    let place = Place::new();
    let collection = place.create();
    collection.upsert(vec![point("a", 1)]).unwrap();
    let log = place.file("wal-");
    let before = fs::read(&log).unwrap().len();
    collection
        .upsert(vec![point("a", 2), point("b", 3)])
        .unwrap();
    drop(collection);
    let whole = fs::read(&log).unwrap();
    for len in before..whole.len() {
        fs::write(&log, &whole[..len]).unwrap();
        let collection = place.open().unwrap();
        assert_eq!(all(&collection), [point("a", 1)], "cut at {len}");
        assert_eq!(
            collection.info(NOW.now_ms).unwrap().cut_at_open.is_some(),
            len > before
        );
    }
    fs::write(&log, &whole).unwrap();
    assert_eq!(all(&place.open().unwrap()), [point("a", 2), point("b", 3)]);
}

#[test]
fn a_flipped_byte_anywhere_before_the_last_batch_refuses_to_open() {
    let place = Place::new();
    let collection = place.create();
    collection.upsert(vec![point("a", 1)]).unwrap();
    let log = place.file("wal-");
    let end = fs::read(&log).unwrap().len();
    collection.upsert(vec![point("b", 2)]).unwrap();
    drop(collection);
    for path in [log, place.file("snapshot-"), place.file("MANIFEST")] {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len().min(end) {
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let error = place.open().unwrap_err();
            assert!(error.to_string().contains("docs/"), "{error}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(all(&place.open().unwrap()), [point("a", 1), point("b", 2)]);
}

#[test]
fn a_crash_between_any_two_steps_of_a_snapshot_loses_nothing() {
    for step in 0..6 {
        let place = Place::new();
        let collection = place.create();
        collection
            .upsert(vec![point("a", 1), point("b", 2), point("c", 3)])
            .unwrap();
        collection.delete_ids(&["b".to_owned()]).unwrap();
        let (view, manifest) = collection.begin_snapshot().unwrap();
        // Writes go on beside it; the second of them is not in the view.
        collection.upsert(vec![point("d", 4)]).unwrap();
        if step >= 1 {
            fs::write(place.dir().join("snapshot-000000000002.bin"), b"BHSE half").unwrap();
        }
        if step >= 2 {
            collection.write_snapshot(&view, &manifest).unwrap();
        }
        if step >= 3 {
            fs::write(place.dir().join("MANIFEST.tmp"), b"half a manifest").unwrap();
        }
        if step >= 4 {
            manifest.store(&place.dir()).unwrap();
        }
        if step >= 5 {
            collection.end_snapshot(&manifest).unwrap();
        }
        collection.upsert(vec![point("a", 5)]).unwrap();
        drop(collection);

        let expected = [point("a", 5), point("c", 3), point("d", 4)];
        let collection = place.open().unwrap();
        assert_eq!(all(&collection), expected, "step {step}");
        let generation = if step >= 4 { 2 } else { 1 };
        assert_eq!(
            collection.info(NOW.now_ms).unwrap().generation,
            generation,
            "step {step}"
        );
        let names = disk::names_in(&place.dir()).unwrap();
        assert!(
            !names.iter().any(|name| name.ends_with(".tmp")),
            "{names:?}"
        );

        // And the next snapshot works, whatever the last one left.
        let (view, manifest) = collection.begin_snapshot().unwrap();
        collection.write_snapshot(&view, &manifest).unwrap();
        manifest.store(&place.dir()).unwrap();
        collection.end_snapshot(&manifest).unwrap();
        drop(collection);
        let collection = place.open().unwrap();
        assert_eq!(all(&collection), expected, "step {step}");
        place.file("wal-");
        place.file("snapshot-");
        assert_eq!(collection.info(NOW.now_ms).unwrap().lsn, 4);
    }
}

#[test]
fn maintenance_shortens_the_log_and_clears_deleted_rows_away() {
    let place = Place::new();
    let collection = place.create();
    for n in 0..200 {
        collection
            .upsert(vec![point("a", n), point(&n.to_string(), n)])
            .unwrap();
    }
    let before = collection.info(NOW.now_ms).unwrap();
    assert!(
        before.wal_bytes > 4_096 && before.tombstones == 199,
        "{before:?}"
    );
    collection.maintain(NOW.now_ms).unwrap();
    let after = collection.info(NOW.now_ms).unwrap();
    assert!(after.wal_bytes < 100, "{after:?}");
    assert!(after.snapshot_bytes > before.snapshot_bytes);
    assert!(after.generation > before.generation);
    assert_eq!((after.points, after.tombstones, after.lsn), (201, 0, 200));
    // 201 points are over the threshold, so that a compaction builds the graph, too.
    assert_eq!(
        after.graph.map(|graph| (graph.points, graph.tail)),
        Some((201, 0))
    );
    let points = all(&collection);
    drop(collection);
    assert_eq!(all(&place.open().unwrap()), points);
}

#[test]
fn the_graph_is_built_when_due_and_serves_with_what_came_later() {
    let place = Place::new();
    let collection = place.create();
    let spread = |at: u16| Point {
        vector: vec![f32::from(at).cos(), f32::from(at).sin(), 0.5],
        ..point(&format!("{at:04}"), 1)
    };
    collection.upsert((0..800).map(spread).collect()).unwrap();
    collection.maintain(NOW.now_ms).unwrap();
    let info = collection.info(NOW.now_ms).unwrap();
    assert_eq!(
        info.graph.map(|graph| (graph.points, graph.tail)),
        Some((800, 0))
    );
    collection.upsert((800..850).map(spread).collect()).unwrap();
    collection.delete_ids(&["0007".to_owned()]).unwrap();
    collection.maintain(NOW.now_ms).unwrap();
    assert_eq!(
        collection
            .info(NOW.now_ms)
            .unwrap()
            .graph
            .map(|graph| graph.tail),
        Some(50)
    );
    let find = |exact| {
        let base = request([0.7, 0.7, 0.5], 10);
        collection
            .search(&SearchRequest { exact, ..base }, NOW.now_ms)
            .unwrap()
    };
    let (walked, scanned) = (find(false), find(true));
    assert_eq!(walked.hits, scanned.hits);
    assert_eq!(scanned.plan.path, SearchPath::ExactScan);
    collection
        .upsert((850..1_000).map(spread).collect())
        .unwrap();
    collection.maintain(NOW.now_ms).unwrap();
    let graph = collection.info(NOW.now_ms).unwrap().graph.unwrap();
    assert_eq!((graph.points, graph.tail), (999, 0));
}

#[test]
fn only_one_opening_at_a_time() {
    let place = Place::new();
    let first = place.create();
    let error = place.open().unwrap_err();
    assert!(matches!(error, IndexError::Locked(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(first);
    place.open().unwrap();
}

#[test]
fn creating_is_whole_or_not_at_all() {
    let place = Place::new();
    // A crash has left half a creation.
    let staging = place.root.path().join(".creating-docs");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("wal-000000000009.log"), b"x").unwrap();
    let collection = place.create();
    assert!(!staging.exists());
    assert_eq!(collection.count(None, NOW).unwrap(), 0);
    let error = DurableCollection::create(&place.dir(), spec(), config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let other = place.root.path().join("other");
    let cases = [
        (
            CollectionSpec {
                name: "../up".to_owned(),
                ..spec()
            },
            config(),
            ErrorKind::BadRequest,
        ),
        (
            CollectionSpec { dim: 0, ..spec() },
            config(),
            ErrorKind::BadRequest,
        ),
        (
            spec(),
            IndexConfig { m: 0, ..config() },
            ErrorKind::Internal,
        ),
    ];
    for (spec, config, kind) in cases {
        let error = DurableCollection::create(&other, spec, config).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!other.exists());
    }
    assert!(DurableCollection::open(&other, config()).is_err());
}

#[test]
fn a_change_that_is_logged_but_not_applied_poisons() {
    let place = Place::new();
    let collection = place.create();
    collection.upsert(vec![point("a", 1)]).unwrap();
    let op = Op::Upsert(vec![Point {
        vector: vec![],
        ..point("b", 2)
    }]);
    let body = Op::Delete(vec!["a".to_owned()]).encode().unwrap();
    {
        let mut writer = collection.writer().unwrap();
        let write = Write {
            body,
            ..Write::new(op).unwrap()
        };
        assert!(collection.commit(&mut writer, write).is_err());
    }
    assert!(collection.is_poisoned());
    let refused = [
        collection.upsert(vec![point("c", 3)]).unwrap_err(),
        collection
            .search(&request([1.0, 0.0, 0.0], 1), NOW.now_ms)
            .unwrap_err(),
        collection.maintain(NOW.now_ms).unwrap_err(),
        collection.info(NOW.now_ms).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

#[test]
fn readers_see_batches_whole_while_writes_and_maintenance_go_on() {
    let place = Place::new();
    let collection = place.create();
    let ids: Vec<String> = (0..40).map(|id| format!("{id:02}")).collect();
    let batch = |n| ids.iter().map(|id| point(id, n)).collect::<Vec<_>>();
    collection.upsert(batch(0)).unwrap();
    let read_until = |done: &dyn Fn() -> bool| {
        let mut last = 0;
        while !done() {
            let points = all(&collection);
            let n = points[0].payload["n"].as_u64().unwrap();
            assert_eq!(points.len(), 40);
            assert!(
                points.iter().all(|point| point.payload["n"] == n),
                "half a batch"
            );
            assert!(n >= last, "back in time");
            last = n;
            let found = collection
                .search(&request([0.0, 1.0, 0.0], 40), NOW.now_ms)
                .unwrap();
            assert_eq!(found.hits.len(), 40);
        }
    };
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 1..=60 {
                collection.upsert(batch(n)).unwrap();
                if n % 5 == 0 {
                    collection.maintain(NOW.now_ms).unwrap();
                }
            }
        });
        let other = scope.spawn(|| {
            let left = std::cell::Cell::new(300);
            read_until(&|| left.replace(left.get() - 1) == 0);
        });
        read_until(&|| writing.is_finished());
        other.join().unwrap();
    });
    drop(collection);
    assert_eq!(all(&place.open().unwrap()), batch(60));
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u8, u8)>),
    DeleteIds(Vec<u8>),
    DeleteWhere(u8),
    Maintain,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0_u8..30;
    let step = prop_oneof![
        4 => proptest::collection::vec((id.clone(), any::<u8>()), 0..12).prop_map(Step::Upsert),
        2 => proptest::collection::vec(id, 0..6).prop_map(Step::DeleteIds),
        1 => any::<u8>().prop_map(Step::DeleteWhere),
        1 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn it_behaves_as_a_sorted_map(steps in steps()) {
        let place = Place::new();
        let mut collection = place.create();
        let mut model: BTreeMap<String, Point> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Upsert(pairs) => {
                    let points: Vec<Point> =
                        pairs.iter().map(|(id, n)| point(&id.to_string(), *n)).collect();
                    let distinct: BTreeSet<&str> = points.iter().map(|p| p.id.as_str()).collect();
                    prop_assert_eq!(collection.upsert(points.clone()).unwrap(), distinct.len());
                    model.extend(points.into_iter().map(|point| (point.id.clone(), point)));
                }
                Step::DeleteIds(ids) => {
                    let ids: Vec<String> = ids.iter().map(u8::to_string).collect();
                    let before = model.len();
                    model.retain(|id, _| !ids.contains(id));
                    prop_assert_eq!(collection.delete_ids(&ids).unwrap(), before - model.len());
                }
                Step::DeleteWhere(n) => {
                    let before = model.len();
                    model.retain(|_, point| point.payload["n"].as_u64() >= Some(n.into()));
                    let below = filter(json!({"n": {"$lt": n}}));
                    prop_assert_eq!(collection.delete_where(&below, NOW).unwrap(), before - model.len());
                }
                Step::Maintain => collection.maintain(NOW.now_ms).unwrap(),
                Step::Reopen => {
                    drop(collection);
                    collection = place.open().unwrap();
                }
            }
            let odd = filter(json!({"tag": "odd"}));
            let is_odd = |point: &&Point| point.payload["tag"] == "odd";
            prop_assert_eq!(&all(&collection), &model.values().cloned().collect::<Vec<_>>());
            prop_assert_eq!(collection.count(None, NOW).unwrap(), model.len());
            let odds = model.values().filter(is_odd).count();
            prop_assert_eq!(collection.count(Some(&odd), NOW).unwrap(), odds);
            prop_assert_eq!(collection.get("7", NOW).unwrap(), model.get("7").cloned());
            let (page, next) = collection.scroll(Some("2"), 3, Some(&odd), NOW).unwrap();
            let mut rest = model.range("2\0".to_owned()..).map(|(_, point)| point).filter(is_odd);
            prop_assert_eq!(page, rest.by_ref().take(3).cloned().collect::<Vec<_>>());
            prop_assert_eq!(next.is_some(), rest.next().is_some());

            let query = [0.0, 0.6, 0.8];
            let mut expected: Vec<(f32, &str)> = model
                .values()
                .map(|p| (p.vector.iter().zip(query).map(|(x, y)| x * y).sum(), p.id.as_str()))
                .collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
            let found = collection
                .search(&SearchRequest { exact: true, ..request(query, 8) }, NOW.now_ms)
                .unwrap();
            let found: Vec<&str> = found.hits.iter().map(|hit| hit.id.as_str()).collect();
            let expected: Vec<&str> = expected.iter().take(8).map(|found| found.1).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_retired_collection_leaves_its_successor_alone() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("docs");
    let old = DurableCollection::create(&dir, spec(), config()).unwrap();
    old.upsert(vec![point("a", 1)]).unwrap();
    old.retire();
    fs::rename(&dir, root.path().join(".removed-docs")).unwrap();
    let new = DurableCollection::create(&dir, spec(), config()).unwrap();
    new.upsert(vec![point("b", 2)]).unwrap();
    // A thread that was given up goes on with the old one.
    assert!(old.upsert(vec![point("c", 3)]).is_err());
    assert!(old.snapshot().is_err());
    assert!(old.maintain(NOW.now_ms).is_err());
    drop((old, new));
    let again = DurableCollection::open(&dir, config()).unwrap();
    assert_eq!(all(&again), [point("b", 2)]);
}

#[test]
fn second_vectors_survive_a_reopening_and_a_snapshot() {
    let place = Place::new();
    let refiner = Refiner {
        model: "better".to_owned(),
        fingerprint: "1".to_owned(),
        dim: 2,
    };
    let spec = CollectionSpec {
        refiner: Some(refiner),
        ..spec()
    };
    let collection = DurableCollection::create(&place.dir(), spec, config()).unwrap();
    collection
        .upsert((1..=3).map(|n| point(&n.to_string(), n)).collect())
        .unwrap();
    let waiting = collection.unrefined(2).unwrap();
    let refined = waiting.iter().map(|(id, text)| Refinement {
        id: id.clone(),
        text: index::text_hash(text),
        code: index::Code::of(&[0.6, 0.8]),
    });
    assert_eq!(collection.refine(refined.collect()).unwrap(), 2);
    let check = |collection: &DurableCollection| {
        let found = collection.info(NOW.now_ms).unwrap().refinement.unwrap();
        assert_eq!((found.done, found.pending), (2, 1));
        assert_eq!(collection.unrefined(9).unwrap()[0].0, "3");
    };
    check(&collection);
    drop(collection);
    let collection = place.open().unwrap();
    check(&collection);
    collection.snapshot().unwrap();
    drop(collection);
    assert!(fs::metadata(place.file("wal-")).unwrap().len() < 64);
    check(&place.open().unwrap());
}

/// A folder with a snapshot of 40 points in several records, and a log of two files with one point a record.
fn much() -> Place {
    let place = Place::new();
    let collection = place.create();
    for n in 0..40 {
        collection.upsert(vec![point(&format!("s{n}"), n)]).unwrap();
    }
    collection.snapshot().unwrap();
    for n in 0..3 {
        collection.upsert(vec![point(&format!("x{n}"), n)]).unwrap();
    }
    let mut writer = collection.writer().unwrap();
    collection.rotate(&mut writer).unwrap();
    drop(writer);
    for n in 0..3 {
        collection.upsert(vec![point(&format!("y{n}"), n)]).unwrap();
    }
    place
}

fn ids(collection: &DurableCollection) -> Vec<String> {
    all(collection).into_iter().map(|point| point.id).collect()
}

#[test]
fn a_sound_collection_is_told_so_and_not_touched() {
    let place = much();
    let before = disk::names_in(&place.dir()).unwrap();
    let found = repair::check(&place.dir()).unwrap();
    assert_eq!((found.points, found.files.log_records), (46, 6));
    assert_eq!((found.files.damages, found.files.torn_bytes), (vec![], 0));
    assert_eq!(disk::names_in(&place.dir()).unwrap(), before);
    assert_eq!(ids(&place.open().unwrap()).len(), 46);
}

#[test]
fn a_flipped_byte_is_named_and_costs_the_records_it_is_in_and_no_other() {
    let place = much();
    let names = disk::names_in(&place.dir()).unwrap();
    let whole = ids(&place.open().unwrap());
    let last = names
        .iter()
        .filter(|name| name.starts_with("wal-"))
        .max()
        .unwrap();
    for name in names
        .iter()
        .filter(|name| !["LOCK", "MANIFEST"].contains(&name.as_str()))
    {
        let path = place.dir().join(name);
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(29) {
            let copy = Place::new();
            fs::create_dir_all(copy.dir()).unwrap();
            for name in &names {
                fs::copy(place.dir().join(name), copy.dir().join(name)).unwrap();
            }
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            fs::write(copy.dir().join(name), &bad).unwrap();
            let found = repair::check(&copy.dir()).unwrap();
            // This cuts a torn end off.
            let opens = copy.open().is_ok();
            let damaged = !found.files.damages.is_empty();
            assert_ne!(opens, damaged, "{name} at {at}: {found:?}");
            if !damaged {
                // The last record of the log cannot be told from one that a crash cut short.
                assert!(name == last && found.files.torn_bytes > 0, "{name} at {at}");
                continue;
            }
            let told = &found.files.damages[0];
            assert!(told.file.ends_with(name), "{told:?}");
            assert!(
                (told.offset..told.offset + told.bytes).contains(&(at as u64)),
                "{at} {told:?}"
            );
            let backup = copy.root.path().join("kept");
            let repaired = repair::repair(&copy.dir(), &backup).unwrap();
            assert_eq!(fs::read(backup.join(name)).unwrap(), bad);
            let left = ids(&copy.open().unwrap());
            assert_eq!(left.len(), repaired.points);
            assert!(left.iter().all(|id| whole.contains(id)));
            // A header takes its file with it; a snapshot this small is one record.
            let lost = match (at < 28, name.as_str()) {
                (_, name) if name.starts_with("snapshot-") => 40,
                (true, _) => 3,
                (false, _) => 1,
            };
            assert!(
                left.len() >= 46 - lost,
                "{name} at {at}: {} left",
                left.len()
            );
            assert!(repair::check(&copy.dir()).unwrap().files.damages.is_empty());
            copy.open().unwrap().upsert(vec![point("new", 1)]).unwrap();
            assert!(ids(&copy.open().unwrap()).contains(&"new".to_owned()));
        }
    }
}

#[test]
fn a_missing_file_is_damage_and_a_broken_manifest_is_final() {
    let place = much();
    let names = disk::names_in(&place.dir()).unwrap();
    let first = names
        .iter()
        .filter(|name| name.starts_with("wal-"))
        .min()
        .unwrap();
    fs::remove_file(place.dir().join(first)).unwrap();
    let found = repair::check(&place.dir()).unwrap();
    let reasons: Vec<&str> = found
        .files
        .damages
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert_eq!(reasons[0], "the file is missing");
    assert_eq!(found.files.damages[1].records, Some(3), "{reasons:?}");
    let backup = place.root.path().join("kept");
    assert_eq!(repair::repair(&place.dir(), &backup).unwrap().points, 43);
    assert_eq!(place.open().unwrap().info(NOW.now_ms).unwrap().lsn, 46);
    let manifest = place.dir().join("MANIFEST");
    let mut bytes = fs::read(&manifest).unwrap();
    bytes[40] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    let error = repair::check(&place.dir()).unwrap_err().to_string();
    assert!(error.contains("MANIFEST is damaged"), "{error}");
}

/// A collection large enough for a graph, built and kept; then closed.
fn with_graph(place: &Place) -> Vec<Point> {
    let collection = place.create();
    collection.upsert((0..300).map(spread).collect()).unwrap();
    collection.maintain(NOW.now_ms).unwrap();
    let points = all(&collection);
    drop(collection);
    points
}

fn spread(at: u16) -> Point {
    Point {
        vector: vec![f32::from(at).cos(), f32::from(at).sin(), 0.5],
        ..point(&format!("{at:04}"), 1)
    }
}

/// Path, and hits, of ten near neighbours, walked where there is a graph.
fn near(collection: &DurableCollection) -> (SearchPath, Vec<String>) {
    let found = collection
        .search(&request([0.7, 0.7, 0.5], 10), NOW.now_ms)
        .unwrap();
    let ids = found.hits.into_iter().map(|hit| hit.id);
    (found.plan.path, ids.collect())
}

#[test]
fn a_restart_serves_from_the_graph_at_once() {
    let place = Place::new();
    with_graph(&place);
    let collection = place.open().unwrap();
    let graph = collection.info(NOW.now_ms).unwrap().graph.unwrap();
    assert_eq!(graph.state, GraphState::Ready);
    assert_eq!((graph.points, graph.tail), (300, 0));
    assert_eq!(near(&collection).0, SearchPath::Hnsw);

    // What is in the log after the snapshot counts too, and so do later snapshots with deleted rows.
    for round in 0_u16..3 {
        let gone: Vec<String> = (0..15)
            .map(|at| format!("{:04}", 20 * at + round))
            .collect();
        collection.delete_ids(&gone).unwrap();
        let from = 300 + 10 * round;
        collection
            .upsert((from..from + 10).map(spread).collect())
            .unwrap();
    }
    let live = |graph: Option<GraphInfo>| graph.map(|graph| (graph.points, graph.tail));
    let expected = near(&collection);
    assert_eq!(
        live(collection.info(NOW.now_ms).unwrap().graph),
        Some((300, 30))
    );
    drop(collection);
    let collection = place.open().unwrap();
    assert_eq!(
        live(collection.info(NOW.now_ms).unwrap().graph),
        Some((300, 30))
    );
    assert_eq!(near(&collection), expected);
    collection.snapshot().unwrap();
    drop(collection);
    let collection = place.open().unwrap();
    assert_eq!(
        live(collection.info(NOW.now_ms).unwrap().graph),
        Some((255, 30))
    );
    assert_eq!(near(&collection), expected);
    for at in 0..330_u16 {
        let id = format!("{at:04}");
        if let Some(point) = collection.get(&id, NOW).unwrap() {
            let vector = [point.vector[0], point.vector[1], point.vector[2]];
            let found = collection.search(&request(vector, 1), NOW.now_ms).unwrap();
            assert_eq!(
                found.hits[0].id, id,
                "a graph that was carried over lost it"
            );
        }
    }
}

#[test]
fn a_graph_that_is_damaged_is_discarded_and_built_again() {
    let place = Place::new();
    let points = with_graph(&place);
    let file = place.file("graph-");
    let whole = fs::read(&file).unwrap();
    let mut bad: Vec<Vec<u8>> = (0..whole.len())
        .step_by(97)
        .chain(0..60)
        .chain(whole.len() - 40..whole.len())
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            bytes
        })
        .collect();
    bad.extend(
        [0, 1, 27, 28, 45, whole.len() / 2, whole.len() - 1].map(|len| whole[..len].to_vec()),
    );
    bad.push([&whole[..], b"x"].concat());
    for (case, bytes) in bad.iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        let collection = place.open().unwrap();
        assert_eq!(
            collection.info(NOW.now_ms).unwrap().graph,
            None,
            "case {case}"
        );
        assert!(!file.exists(), "case {case}");
    }
    fs::write(&file, &bad[9]).unwrap();
    let collection = place.open().unwrap();
    assert_eq!(all(&collection), points);
    let (path, exact) = near(&collection);
    assert_eq!(path, SearchPath::ExactScan);
    collection.maintain(NOW.now_ms).unwrap();
    assert_eq!(near(&collection), (SearchPath::Hnsw, exact));
    drop(collection);
    assert_eq!(near(&place.open().unwrap()).0, SearchPath::Hnsw);
}

#[test]
fn a_graph_over_another_snapshot_is_not_used() {
    let (place, other) = (Place::new(), Place::new());
    with_graph(&place);
    with_graph(&other);
    let (file, foreign) = (place.file("graph-"), other.file("graph-"));
    let old = fs::read(&file).unwrap();
    fs::copy(foreign, &file).unwrap();
    let collection = place.open().unwrap();
    assert_eq!(collection.info(NOW.now_ms).unwrap().graph, None);
    collection.maintain(NOW.now_ms).unwrap();
    drop(collection);
    // The next generation beside the graph of the one before, under its name.
    fs::write(place.file("graph-"), old).unwrap();
    assert_eq!(place.open().unwrap().info(NOW.now_ms).unwrap().graph, None);
}

#[test]
fn data_without_a_graph_file_opens() {
    let place = Place::new();
    let points = with_graph(&place);
    fs::remove_file(place.file("graph-")).unwrap();
    let collection = place.open().unwrap();
    assert_eq!(all(&collection), points);
    assert_eq!(near(&collection).0, SearchPath::ExactScan);
    collection.maintain(NOW.now_ms).unwrap();
    assert_eq!(near(&collection).0, SearchPath::Hnsw);
}

#[test]
fn a_build_tells_how_far_it_is() {
    let place = Place::new();
    let collection = place.create();
    collection.upsert((0..300).map(spread).collect()).unwrap();
    assert_eq!(collection.info(NOW.now_ms).unwrap().graph, None);
    let build = collection.building.begin(300);
    build.done().store(120, Ordering::Relaxed);
    let graph = collection.info(NOW.now_ms).unwrap().graph.unwrap();
    assert_eq!(graph.state, GraphState::Building);
    assert_eq!(
        (graph.done, graph.of, graph.points),
        (Some(120), Some(300), 0)
    );
    drop(build);
    assert_eq!(collection.info(NOW.now_ms).unwrap().graph, None);
    collection.maintain(NOW.now_ms).unwrap();
    let graph = collection.info(NOW.now_ms).unwrap().graph.unwrap();
    assert_eq!(
        (graph.state, graph.done, graph.of),
        (GraphState::Ready, None, None)
    );
}

#[test]
fn a_field_is_indexed_from_its_declaration_on_whatever_comes() {
    let place = Place::new();
    let plain = CollectionSpec {
        schema: Schema::default(),
        ..spec()
    };
    let collection = DurableCollection::create(&place.dir(), plain, config()).unwrap();
    let points: Vec<Point> = (0..120).map(|n| point(&format!("{n:03}"), n)).collect();
    collection.upsert(points).unwrap();
    let asked = SearchRequest {
        filter: Some(filter(json!({"tag": "even", "n": {"$lt": 10}}))),
        ..request([1.0, 0.0, 0.0], 10)
    };
    let plan = |collection: &DurableCollection| {
        let found = collection.search(&asked, NOW.now_ms).unwrap();
        assert_eq!(found.hits.len(), 5);
        found.plan.filter.unwrap()
    };
    assert_eq!(plan(&collection).indexed, [""; 0]);
    assert!(collection.index_field("tag", FieldKind::Keyword).unwrap());
    assert!(collection.index_field("n", FieldKind::Integer).unwrap());
    assert!(!collection.index_field("n", FieldKind::Integer).unwrap());
    let used = plan(&collection);
    assert_eq!(
        (used.indexed, used.payloads_read),
        (vec!["tag".into(), "n".into()], 0)
    );
    // Through a restart before any snapshot, a snapshot, a compaction, and a restart after them.
    drop(collection);
    let collection = place.open().unwrap();
    assert_eq!(plan(&collection).payloads_read, 0);
    collection.snapshot().unwrap();
    let gone: Vec<String> = (60..120).map(|n| format!("{n:03}")).collect();
    collection.delete_ids(&gone).unwrap();
    collection.maintain(NOW.now_ms).unwrap();
    assert_eq!(collection.info(NOW.now_ms).unwrap().tombstones, 0);
    assert_eq!(plan(&collection).payloads_read, 0);
    drop(collection);
    let collection = place.open().unwrap();
    assert_eq!(plan(&collection).payloads_read, 0);
    assert_eq!(collection.info(NOW.now_ms).unwrap().spec, spec());
    assert!(collection.drop_index("n").unwrap());
    assert!(!collection.drop_index("n").unwrap());
    drop(collection);
    let used = plan(&place.open().unwrap());
    assert_eq!(
        (used.indexed, used.read),
        (vec!["tag".into()], vec!["n".into()])
    );
}

#[test]
fn the_fields_of_roles_and_expiry_stay_indexed() {
    let place = Place::new();
    let mut spec = spec();
    spec.schema.role_field = Some("tag".to_owned());
    let collection = DurableCollection::create(&place.dir(), spec, config()).unwrap();
    for refused in [
        collection.drop_index("tag"),
        collection.index_field("tag", FieldKind::Bool),
        collection.index_field("$eq", FieldKind::Bool),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::BadRequest);
    }
    // A refusal leaves no trace.
    assert!(collection.index_field("more", FieldKind::Bool).unwrap());
    drop(collection);
    let fields = place
        .open()
        .unwrap()
        .info(NOW.now_ms)
        .unwrap()
        .spec
        .schema
        .fields;
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["more", "n", "tag"]);
}

#[test]
fn what_has_expired_is_not_found_and_then_not_there() {
    let place = Place::new();
    let mut spec = spec();
    spec.schema
        .fields
        .insert("until".to_owned(), FieldKind::Datetime);
    spec.schema.ttl_field = Some("until".to_owned());
    let config = IndexConfig {
        max_batch_points: 20,
        ..config()
    };
    let collection = DurableCollection::create(&place.dir(), spec, config).unwrap();
    for chunk in 0..5_u8 {
        let points = (0..20).map(|n| {
            let mut made = point(&format!("{chunk}{n:02}"), n);
            // The first three chunks for an hour, the rest for good.
            if chunk < 3 {
                made.payload.insert("until".to_owned(), json!(3_600));
            }
            made
        });
        collection.upsert(points.collect()).unwrap();
    }
    let info = |now_ms| {
        let info = collection.info(now_ms).unwrap();
        (info.points, info.expired, info.tombstones)
    };
    let found = |now_ms| {
        let found = collection
            .search(&request([1.0, 0.0, 0.0], 100), now_ms)
            .unwrap();
        found.hits.len()
    };
    collection.maintain(3_599_999).unwrap();
    assert_eq!((info(3_599_999), found(3_599_999)), ((100, 0, 0), 100));
    assert_eq!((info(3_600_000), found(3_600_000)), ((40, 60, 0), 40));
    collection.maintain(3_600_000).unwrap();
    // Their rows are gone too, also for who asks with an older clock.
    assert_eq!((info(0), found(0)), ((40, 0, 0), 40));
    drop(collection);
    assert_eq!(place.open().unwrap().info(0).unwrap().points, 40);
}

#[test]
fn searches_of_a_batch_fail_alone() {
    let place = Place::new();
    let collection = place.create();
    collection.upsert(vec![point("a", 1)]).unwrap();
    let bad = SearchRequest {
        k: 0,
        ..request([1.0, 0.0, 0.0], 1)
    };
    let requests = [
        request([1.0, 0.0, 0.0], 1),
        bad,
        request([0.0, 1.0, 0.0], 5),
    ];
    let found = collection.search_all(&requests, 0).unwrap();
    let hits: Vec<_> = found
        .iter()
        .map(|found| found.as_ref().map(|found| found.hits.len()).ok())
        .collect();
    assert_eq!(hits, [Some(1), None, Some(1)]);
}
