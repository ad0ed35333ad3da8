//! Embedded anew: wholly, or not at all.

use super::faulty_disk::quick_dir;
use super::*;
use crate::storage::os::faults::{self, Fault, Recording, Survives};

const NEW_DIM: usize = 2;

fn target() -> ReembedTarget {
    ReembedTarget {
        embedder: "other".to_owned(),
        fingerprint: "new".to_owned(),
        dim: NEW_DIM,
    }
}

/// Points with a text, whose new vector follows from their old.
fn points(ids: std::ops::Range<u8>) -> Vec<Point> {
    ids.map(|n| point(&format!("p{n:03}"), 2 * (n % 60) + 1))
        .collect()
}

fn new_vector(id: &str) -> Vec<f32> {
    match id.ends_with(['0', '2', '4', '6', '8']) {
        true => vec![0.6, 0.8],
        false => vec![1.0, 0.0],
    }
}

fn as_new(point: &Point) -> Point {
    Point {
        vector: new_vector(&point.id),
        ..point.clone()
    }
}

/// Embeds the next points. `None`: there were none.
fn step(collection: &DurableCollection, limit: usize) -> Option<u64> {
    let batch = collection.reembed_batch(limit)?;
    let vectors = batch.texts.iter().map(|(id, _)| new_vector(id)).collect();
    collection.reembedded(batch.run, vectors).unwrap();
    (!batch.texts.is_empty()).then_some(batch.run)
}

/// Embeds all points and returns the run.
fn embed(collection: &DurableCollection) -> u64 {
    let mut run = None;
    while let Some(one) = step(collection, 7) {
        run = Some(one);
    }
    run.unwrap()
}

fn state(collection: &DurableCollection) -> Option<ReembedState> {
    let info = collection.info(0).unwrap();
    info.reembedding.map(|run| run.state)
}

#[test]
fn a_collection_is_embedded_anew_and_stays_so() {
    let place = Place::new();
    let old = CollectionSpec {
        fingerprint: Some("old".to_owned()),
        ..spec()
    };
    let collection = DurableCollection::create(&place.dir(), old.clone(), config()).unwrap();
    collection.upsert(points(0..120)).unwrap();
    collection.maintain(0).unwrap();
    assert!(collection.info(0).unwrap().graph.is_some());
    let begun = collection.begin_reembedding(target()).unwrap();
    assert_eq!((begun.state, begun.of), (ReembedState::Running, 120));
    let run = step(&collection, 50).unwrap();
    assert_eq!(
        collection.info(0).unwrap().reembedding.map(|run| run.done),
        Some(50)
    );

    // Points may go, fields may come; points may not come, nor another run, nor the end.
    collection
        .delete_ids(&["p003".to_owned(), "p099".to_owned()])
        .unwrap();
    collection.drop_index("tag").unwrap();
    let refused = collection.upsert(points(0..1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(
        refused.to_string().contains("50 of 120 points done"),
        "{refused}"
    );
    let refused = collection.begin_reembedding(target()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(collection.finish_reembedding(run).unwrap());
    assert_eq!(state(&collection), Some(ReembedState::Running));
    assert_eq!(all(&collection)[0].vector.len(), DIM);

    assert_eq!(embed(&collection), run);
    {
        let _maintained = collection.maintaining.lock().unwrap();
        assert!(!collection.finish_reembedding(run).unwrap());
    }
    assert_eq!(state(&collection), Some(ReembedState::Running));
    assert!(collection.finish_reembedding(run).unwrap());
    assert_eq!(state(&collection), Some(ReembedState::Done));
    let gone = |point: &Point| !matches!(point.id.as_str(), "p003" | "p099");
    let expected: Vec<Point> = points(0..120)
        .iter()
        .filter(|p| gone(p))
        .map(as_new)
        .collect();
    assert_eq!(all(&collection), expected);

    // Vectors of the model before are not mixed in, and do not search.
    for by in [None, Some("old")] {
        let error = collection.upsert_by(points(0..1), by).unwrap_err();
        assert!(!collection.is_poisoned(), "{error}");
    }
    let by_old = SearchRequest {
        query_vector: Some(vec![1.0, 0.0]),
        made_by: Some("old".to_owned()),
        ..SearchRequest::default()
    };
    let error = collection.search(&by_old, 0).unwrap_err();
    assert_eq!(error, IndexError::OtherModel("docs".to_owned()));
    let by_new = SearchRequest {
        made_by: Some("new".to_owned()),
        ..by_old
    };
    assert!((collection.search(&by_new, 0).unwrap().hits[0].score - 1.0).abs() < 1e-6);
    let late = as_new(&point("late", 1));
    collection
        .upsert_by(vec![late.clone()], Some("new"))
        .unwrap();
    collection.delete_ids(&["p000".to_owned()]).unwrap();
    let mut expected = expected;
    expected.remove(0);
    expected.insert(0, late);
    for _ in 0..2 {
        collection.maintain(0).unwrap();
        assert!(collection.info(0).unwrap().graph.is_some());
        assert_eq!(all(&collection), expected);
    }
    drop(collection);
    let collection = place.open().unwrap();
    assert_eq!(all(&collection), expected);
    let now = collection.info(0).unwrap().spec;
    assert_eq!(now.schema.fields.keys().collect::<Vec<_>>(), ["n"]);
    let model = CollectionSpec {
        dim: NEW_DIM,
        embedder: Some("other".to_owned()),
        fingerprint: Some("new".to_owned()),
        schema: now.schema.clone(),
        ..old
    };
    assert_eq!(now, model);
}

#[test]
fn a_run_that_is_cancelled_or_fails_changes_nothing() {
    let place = Place::new();
    let collection = place.create();
    collection.upsert(points(0..20)).unwrap();
    let before = all(&collection);
    assert_eq!(collection.cancel_reembedding(), None);
    for end in ["cancelled", "failed"] {
        collection.begin_reembedding(target()).unwrap();
        let run = embed(&collection);
        let expected = match end {
            "cancelled" => {
                let info = collection.cancel_reembedding().unwrap();
                assert_eq!((info.done, info.of), (20, 20));
                ReembedState::Cancelled
            }
            _ => {
                collection.fail_reembedding(run, "no".to_owned());
                ReembedState::Failed
            }
        };
        assert_eq!(state(&collection), Some(expected));
        assert_eq!(collection.reembed_batch(9), None);
        // What was under way when it ended comes too late.
        collection.reembedded(run, vec![vec![1.0, 0.0]]).unwrap();
        assert!(collection.finish_reembedding(run).unwrap());
        assert_eq!(all(&collection), before);
        collection.upsert(points(0..20)).unwrap();
    }
    // Nor does the run before have a say in the next.
    collection.begin_reembedding(target()).unwrap();
    let run = collection.reembed_batch(1).unwrap().run;
    collection.cancel_reembedding();
    collection.begin_reembedding(target()).unwrap();
    collection.reembedded(run, vec![vec![1.0, 0.0]]).unwrap();
    collection.fail_reembedding(run, "no".to_owned());
    assert_eq!(state(&collection), Some(ReembedState::Running));
    assert_eq!(collection.reembed_batch(99).unwrap().texts.len(), 20);
    // A restart forgets it.
    drop(collection);
    let collection = place.open().unwrap();
    assert_eq!((state(&collection), all(&collection)), (None, before));
    collection.upsert(points(0..1)).unwrap();
}

#[test]
fn points_without_a_text_are_told_before_anything_is_done() {
    let place = Place::new();
    let collection = place.create();
    collection
        .upsert(vec![point("a", 1), point("none", 4)])
        .unwrap();
    let error = collection.begin_reembedding(target()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("without a text and so not to be embedded anew: 1 point:"),
        "{error}"
    );
    assert!(error.to_string().contains(": none;"), "{error}");
    assert_eq!(state(&collection), None);
    collection.upsert(vec![point("b", 3)]).unwrap();
}

/// Makes a collection, embeds it anew with deletions before and after the moment, and says how it was at each call.
fn run(root: &Path) -> (DurableCollection, usize, usize, Recording) {
    let recording = Recording::start(root);
    let collection = DurableCollection::create(&root.join("docs"), spec(), config()).unwrap();
    collection.upsert(points(0..110)).unwrap();
    collection.maintain(0).unwrap();
    collection.begin_reembedding(target()).unwrap();
    let run = embed(&collection);
    collection.delete_ids(&["p001".to_owned()]).unwrap();
    let before = recording.len();
    assert!(collection.finish_reembedding(run).unwrap());
    let after = recording.len();
    (collection, before, after, recording)
}

/// Whether the points are all new, all old being the other thing that they may be.
fn is_new(collection: &DurableCollection) -> bool {
    let expected: Vec<Point> = points(0..110);
    let expected: Vec<Point> = expected.into_iter().filter(|p| p.id != "p001").collect();
    let found = all(collection);
    let new = found
        .first()
        .is_some_and(|point| point.vector.len() == NEW_DIM);
    let expected = match new {
        true => expected.iter().map(as_new).collect(),
        false => expected,
    };
    assert_eq!(found, expected);
    let spec = collection.info(0).unwrap().spec;
    assert_eq!(spec.fingerprint.as_deref(), new.then_some("new"));
    new
}

#[test]
fn a_crash_at_any_call_leaves_the_old_or_the_new_points() {
    let root = quick_dir();
    let (collection, before, after, recording) = run(root.path());
    assert!(is_new(&collection));
    let crash = recording.stop();
    let (mut old, mut new) = (0, 0);
    for count in before..=after {
        let seed = count as u64;
        for survives in [
            Survives::Nothing,
            Survives::Everything,
            Survives::Something(seed),
            Survives::Something(!seed),
        ] {
            let root = quick_dir();
            crash.leave(count, survives, root.path());
            let open = || DurableCollection::open(&root.path().join("docs"), config());
            let collection = open().unwrap();
            match is_new(&collection) {
                true => new += 1,
                false => old += 1,
            }
            assert!(count < after || is_new(&collection), "{survives:?}");
            assert!(count > before || !is_new(&collection), "{survives:?}");
            // It goes on as what it is.
            collection.maintain(0).unwrap();
            collection.delete_ids(&["p002".to_owned()]).unwrap();
            let left = all(&collection);
            drop(collection);
            assert_eq!(all(&open().unwrap()), left);
        }
    }
    assert!(old > 10 && new > 10, "{old} {new}");
}

#[test]
fn a_disk_that_is_full_or_does_not_answer_leaves_the_old_or_the_new_points() {
    let mut failures = 0;
    for fault in [Fault::Full, Fault::Sync, Fault::Dead] {
        for call in 0.. {
            let root = quick_dir();
            let dir = root.path().join("docs");
            let collection = DurableCollection::create(&dir, spec(), config()).unwrap();
            collection.upsert(points(0..110)).unwrap();
            collection.delete_ids(&["p001".to_owned()]).unwrap();
            collection.begin_reembedding(target()).unwrap();
            let run = embed(&collection);
            faults::fail(fault(call));
            let finished = collection.finish_reembedding(run);
            let met = faults::heal();
            let mut collection = collection;
            if collection.is_poisoned() {
                assert!(finished.is_err());
                drop(collection);
                collection = DurableCollection::open(&dir, config()).unwrap();
                is_new(&collection);
            } else {
                assert_eq!(is_new(&collection), finished.is_ok(), "{:?}", fault(call));
                let expected = match finished {
                    Ok(_) => ReembedState::Done,
                    Err(_) => ReembedState::Failed,
                };
                assert_eq!(state(&collection), Some(expected));
            }
            failures += usize::from(finished.is_err());
            // And then it can be done again.
            collection.begin_reembedding(target()).unwrap();
            let run = embed(&collection);
            assert!(collection.finish_reembedding(run).unwrap());
            assert!(is_new(&collection));
            drop(collection);
            assert!(is_new(&DurableCollection::open(&dir, config()).unwrap()));
            if !met {
                break;
            }
        }
    }
    assert!(failures > 15, "{failures}");
}
