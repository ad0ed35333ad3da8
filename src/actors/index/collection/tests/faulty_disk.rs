//! A disk that forgets what was not synced, one that is full, one that does not answer, one that rots.

use super::*;
use crate::storage::os::faults::{self, Call, Crash, Fault, Recording, Survives};

/// The points in order of id; `None`: there is no such collection.
type State = Option<Vec<Point>>;

/// A folder in memory where there is such a thing: nothing here depends on what a real disk keeps.
pub(super) fn quick_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// What is done with a collection, each as one write or one round of maintenance.
#[derive(Debug, Clone)]
enum Do {
    Upsert(Vec<Point>),
    DeleteIds(Vec<String>),
    DeleteWhere(u8),
    Maintain,
}

impl Do {
    fn apply(&self, collection: &DurableCollection) -> Result<(), IndexError> {
        match self {
            Self::Upsert(points) => collection.upsert(points.clone()).map(drop),
            Self::DeleteIds(ids) => collection.delete_ids(ids).map(drop),
            Self::DeleteWhere(n) => {
                let below = filter(json!({"n": {"$lt": n}}));
                collection.delete_where(&below, NOW).map(drop)
            }
            Self::Maintain => collection.maintain(0),
        }
    }

    fn model(&self, points: &mut BTreeMap<String, Point>) {
        match self {
            Self::Upsert(new) => {
                points.extend(new.iter().map(|point| (point.id.clone(), point.clone())));
            }
            Self::DeleteIds(ids) => points.retain(|id, _| !ids.contains(id)),
            Self::DeleteWhere(n) => {
                points.retain(|_, p| p.payload["n"].as_u64() >= Some((*n).into()))
            }
            Self::Maintain => {}
        }
    }
}

fn many(ids: std::ops::Range<u8>, n: u8) -> Vec<Point> {
    ids.map(|id| point(&format!("m{id}"), n.wrapping_add(id)))
        .collect()
}

/// Small writes, one that is longer than a buffer, a graph with its snapshot, a log of two files, a compaction.
fn script() -> Vec<Do> {
    vec![
        Do::Upsert(vec![point("a", 1), point("b", 200)]),
        Do::Upsert(many(0..110, 50)),
        Do::Maintain,
        Do::DeleteIds(vec!["b".to_owned(), "m3".to_owned()]),
        Do::Upsert(many(100..140, 90)),
        Do::Upsert(vec![point("a", 2)]),
        Do::DeleteWhere(80),
        Do::Maintain,
        Do::Upsert(vec![point("z", 9), point("a", 3)]),
    ]
}

/// The states that the script goes through: none yet, empty, then one after each step.
fn states() -> Vec<State> {
    let mut points = BTreeMap::new();
    let mut states = vec![None, Some(Vec::new())];
    for step in script() {
        step.model(&mut points);
        states.push(Some(points.values().cloned().collect()));
    }
    states
}

fn open_at(root: &Path) -> Option<DurableCollection> {
    let dir = root.join("docs");
    dir.exists()
        .then(|| DurableCollection::open(&dir, config()).unwrap())
}

/// Its points; and its searches agree with them, whichever way they go.
fn observed(collection: Option<&DurableCollection>) -> State {
    let collection = collection?;
    let points = all(collection);
    let query = [0.0, 0.6, 0.8];
    let likeness = |p: &Point| p.vector.iter().zip(query).map(|(x, y)| x * y).sum::<f32>();
    let mut best: Vec<f32> = points.iter().map(likeness).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let found = collection.search(&request(query, 5), 0).unwrap();
    assert_eq!(found.hits.len(), points.len().min(5));
    for (hit, best) in found.hits.iter().zip(best) {
        let point = points.iter().find(|point| point.id == hit.id).unwrap();
        assert!((hit.score - likeness(point)).abs() < 1e-5, "{hit:?}");
        assert!((hit.score - best).abs() < 1e-5, "{hit:?}, best {best}");
    }
    Some(points)
}

/// Runs the script on a watched disk. Returns the calls, and how many there were after each state was reached.
fn run() -> (Crash, Vec<usize>) {
    let root = quick_dir();
    let recording = Recording::start(root.path());
    let mut ends = vec![0];
    let dir = root.path().join("docs");
    let collection = DurableCollection::create(&dir, spec(), config()).unwrap();
    ends.push(recording.len());
    for step in script() {
        step.apply(&collection).unwrap();
        ends.push(recording.len());
    }
    let info = collection.info(0).unwrap();
    assert!(info.generation > 3 && info.graph.is_some(), "{info:?}");
    (recording.stop(), ends)
}

#[test]
fn a_crash_at_any_call_keeps_what_was_acknowledged_whatever_the_disk_forgets() {
    let (crash, ends) = run();
    let states = states();
    let syncs = |calls: &[Call]| {
        let syncs = calls
            .iter()
            .filter(|call| matches!(call, Call::Sync(_) | Call::SyncDir(_)));
        syncs.count()
    };
    assert!(syncs(crash.calls()) > 30);
    for count in 0..=crash.calls().len() {
        // The state that was reached, and, when the next was begun, that one.
        let reached = ends.iter().rposition(|end| *end <= count).unwrap();
        let begun = reached + usize::from(ends[reached] < count);
        let allowed = &states[reached..=begun];
        let seed = count as u64;
        for survives in [
            Survives::Nothing,
            Survives::Everything,
            Survives::Something(seed),
            Survives::Something(!seed),
        ] {
            let place = || format!("after {count} calls, {survives:?} survives");
            let root = quick_dir();
            crash.leave(count, survives, root.path());
            let recording = Recording::start(root.path());
            let collection = open_at(root.path());
            let opening = recording.stop();
            let found = observed(collection.as_ref());
            assert!(allowed.contains(&found), "{}: {found:?}", place());
            drop(collection);

            // And a crash while it opens.
            let Survives::Something(seed) = survives else {
                continue;
            };
            let at = usize::try_from(seed % (opening.calls().len() as u64 + 1)).unwrap();
            let root = quick_dir();
            opening.leave(at, survives, root.path());
            let Some(collection) = open_at(root.path()) else {
                assert!(found.is_none(), "{}", place());
                continue;
            };
            let again = observed(Some(&collection));
            assert_eq!(again, found, "{}, then {at} of the opening", place());
            // Writing goes on, and on the disk.
            collection.upsert(vec![point("new", 7)]).unwrap();
            let expected = observed(Some(&collection));
            drop(collection);
            assert_eq!(observed(open_at(root.path()).as_ref()), expected);
        }
    }
}

/// Runs the script with a fault at a call; a step that fails is done again once the disk is well. Returns whether
/// the fault was met, and in how many steps that failed.
fn run_with(fault: Fault) -> (bool, usize) {
    let root = quick_dir();
    let dir = root.path().join("docs");
    let (mut met, mut failures) = (false, 0);
    let mut tell = |error: IndexError| {
        let said = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault:?}: {said}");
        let reason = match fault {
            Fault::Full(_) => "no storage space",
            _ => "the disk does not answer",
        };
        // The folder around the collection is synced, too.
        let named = said.contains("docs") || said.starts_with("cannot sync ");
        assert!(named, "{fault:?}: {said}");
        assert!(said.contains(reason), "{fault:?}: {said}");
        failures += 1;
    };
    faults::fail(fault);
    let mut collection = match DurableCollection::create(&dir, spec(), config()) {
        Ok(collection) => collection,
        Err(error) => {
            tell(error);
            met |= faults::heal();
            // All that is left is no collection, or a whole one.
            match open_at(root.path()) {
                Some(collection) => collection,
                None => DurableCollection::create(&dir, spec(), config()).unwrap(),
            }
        }
    };
    let states = states();
    for (at, step) in script().iter().enumerate() {
        if let Err(error) = step.apply(&collection) {
            tell(error);
            met |= faults::heal();
            let poisoned = collection.is_poisoned();
            if poisoned {
                assert!(!matches!(fault, Fault::Full(_)) || !matches!(step, Do::Maintain));
                drop(collection);
                collection = open_at(root.path()).unwrap();
            }
            // What was acknowledged is there; the step itself is whole or not.
            let found = observed(Some(&collection));
            let whole = poisoned && found == states[at + 2];
            assert!(whole || found == states[at + 1], "{fault:?}, {step:?}");
            step.apply(&collection).unwrap();
        }
        assert_eq!(
            observed(Some(&collection)),
            states[at + 2],
            "{fault:?}, {step:?}"
        );
    }
    met |= faults::heal();
    drop(collection);
    let collection = open_at(root.path());
    assert_eq!(
        &observed(collection.as_ref()),
        states.last().unwrap(),
        "{fault:?}"
    );
    (met, failures)
}

#[test]
fn a_full_disk_fails_the_write_that_meets_it_and_no_other() {
    let mut failed = 0;
    for call in 0.. {
        let (met, failures) = run_with(Fault::Full(call));
        if !met {
            break;
        }
        failed += failures;
    }
    assert!(failed > 30, "{failed} failures");
}

#[test]
fn a_disk_that_does_not_answer_a_sync_costs_one_write_and_a_reopening() {
    let mut failed = 0;
    for call in 0.. {
        let (met, failures) = run_with(Fault::Sync(call));
        if !met {
            break;
        }
        failed += failures;
    }
    assert!(failed > 15, "{failed} failures");
}

#[test]
fn what_a_full_disk_left_half_written_is_removed_at_once() {
    let place = Place { root: quick_dir() };
    let collection = place.create();
    collection.upsert(many(0..60, 1)).unwrap();
    let names = || disk::names_in(&place.dir()).unwrap();
    // Past the new log's file, into the snapshot.
    faults::fail(Fault::Full(5));
    let error = collection.snapshot().unwrap_err();
    assert!(faults::heal());
    assert!(error.to_string().contains("snapshot-"), "{error}");
    let left = names();
    let kept = |name: &&String| !name.starts_with("wal-");
    let left: Vec<_> = left.iter().filter(kept).collect();
    assert_eq!(left, ["LOCK", "MANIFEST", "snapshot-000000000001.bin"]);
    collection.snapshot().unwrap();
    place.file("snapshot-");
}

#[test]
fn a_flipped_bit_in_any_file_is_refused_and_named_or_costs_nothing() {
    let place = Place { root: quick_dir() };
    let collection = place.create();
    collection.upsert(many(0..105, 3)).unwrap();
    collection.maintain(0).unwrap();
    collection.upsert(vec![point("x", 1)]).unwrap();
    let before_last = observed(Some(&collection));
    let log = place.file("wal-");
    let last = fs::metadata(&log).unwrap().len();
    collection.upsert(vec![point("y", 2)]).unwrap();
    let whole = observed(Some(&collection));
    assert!(collection.info(0).unwrap().graph.is_some());
    drop(collection);
    place.file("graph-");
    let (mut refused, mut rebuilt, mut cut) = (0, 0, 0);
    for name in disk::names_in(&place.dir()).unwrap() {
        let path = place.dir().join(&name);
        let bytes = fs::read(&path).unwrap();
        // Every byte of the small files and of the heads; of the rest one in eleven.
        let small = bytes.len() < 2_000;
        for at in (0..bytes.len()).filter(|at| small || *at < 100 || at % 11 == 0) {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            let place_of = || format!("{name}, byte {at}");
            match DurableCollection::open(&place.dir(), config()) {
                Err(error) => {
                    let said = error.to_string();
                    assert!(!name.starts_with("graph-"), "{}: {said}", place_of());
                    assert!(said.contains(&name), "{}: {said}", place_of());
                    let told = said.split("at byte ").nth(1).unwrap();
                    let told = told.split(':').next().unwrap().parse::<usize>().unwrap();
                    assert!(told <= at.max(16), "{}: {said}", place_of());
                    assert_eq!(fs::read(&path).unwrap(), bad, "{}", place_of());
                    refused += 1;
                }
                Ok(collection) => {
                    let info = collection.info(0).unwrap();
                    let found = observed(Some(&collection));
                    if name.starts_with("graph-") {
                        assert!(
                            info.graph.is_none_or(|graph| graph.points == 0),
                            "{}",
                            place_of()
                        );
                        assert_eq!(found, whole, "{}", place_of());
                        rebuilt += 1;
                    } else {
                        // The last record may be a write that a crash tore: never silently.
                        assert!(path == log && at as u64 >= last, "{}", place_of());
                        let told = format!("at byte {last} of docs/{name}");
                        assert!(info.cut_at_open.unwrap().contains(&told));
                        assert_eq!(found, before_last);
                        cut += 1;
                    }
                }
            }
            fs::write(&path, &bytes).unwrap();
        }
    }
    assert!(
        refused > 300 && rebuilt > 100 && cut > 20,
        "{refused} {rebuilt} {cut}"
    );
    let collection = place.open().unwrap();
    assert_eq!(observed(Some(&collection)), whole);
}
