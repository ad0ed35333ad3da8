//! Collections in a real tree, kept here and by an engine.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use supervisors::{ChildPolicy, Deadline, Fault, Policy, SupervisorSpec, Tree};

use super::moving::MoveState;
use super::store::memory::MemoryStore;
use super::store::{Store, Stored};
use super::{Collections, CollectionsError, IndexCell, found_on_disk};
use crate::engines::index::{
    Filter, Fusion, GroupBy, IndexConfig, IndexError, Like, Mmr, Mode, SearchRequest, Strategy,
    With,
};
use crate::types::collection::{Backend, CollectionSpec, FieldKind, Schema};
use crate::types::point::{Metric, Point};

const WORDS: [&str; 6] = ["lock", "ferry", "mill", "bridge", "weir", "towpath"];

fn spec(name: &str, backend: Backend) -> CollectionSpec {
    let fields = [
        ("n", FieldKind::Integer),
        ("who", FieldKind::Keyword),
        ("until", FieldKind::Datetime),
    ];
    CollectionSpec {
        name: name.to_owned(),
        dim: 4,
        metric: Metric::Cosine,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema {
            fields: fields.map(|(path, kind)| (path.to_owned(), kind)).into(),
            role_field: Some("who".to_owned()),
            role_required: false,
            ttl_field: Some("until".to_owned()),
        },
        backend,
        created_ms: 7,
    }
}

/// Different for each number, and never the same direction twice.
fn point(n: u16) -> Point {
    let x = f32::from(n);
    let at = usize::from(n);
    let mut payload = json!({"n": n % 7, "tag": (["a", "b", "c"][at % 3])});
    if n.is_multiple_of(4) {
        payload["who"] = json!((["nurse", "welder"][at / 4 % 2]));
    }
    if n.is_multiple_of(50) {
        payload["until"] = json!("2020-01-01T00:00:00Z");
    }
    Point {
        id: format!("p{n:04}"),
        vector: vec![x.sin(), x.cos(), (x * 0.37).sin(), 1.0],
        text: Some(format!(
            "{} {} number {n}",
            WORDS[at % 6],
            WORDS[at / 6 % 6]
        )),
        payload: payload.as_object().unwrap().clone(),
    }
}

/// One that never expires.
fn plain(n: u16) -> Point {
    let mut point = point(n);
    point.payload.remove("until");
    point
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Starts what serves the collections of a folder and of an engine, as a replica does.
async fn replica(root: &Path, store: &Arc<MemoryStore>) -> (Collections, Tree) {
    replica_of(root, vec![Arc::clone(store) as Arc<dyn Store>]).await
}

async fn replica_of(root: &Path, stores: Vec<Arc<dyn Store>>) -> (Collections, Tree) {
    let (policy, config) = (ChildPolicy::default(), IndexConfig::default());
    let mut cells = BTreeMap::new();
    let mut supervisor = SupervisorSpec::new("collections", Policy::default());
    for (name, child, cell) in found_on_disk(root, &policy, &config).unwrap() {
        supervisor = supervisor.child(child);
        cells.insert(name, cell);
    }
    let tree = Tree::start(supervisor, 7).await.unwrap();
    let collections = Collections::new(
        root.to_owned(),
        policy,
        config,
        tree.supervisor("collections").unwrap(),
        cells,
        stores,
    );
    // An engine that cannot be asked yet is no reason not to start.
    let _ = collections.refresh().await;
    (collections, tree)
}

fn with_replica(root: &Path, store: &Arc<MemoryStore>, work: impl AsyncFnOnce(Collections, Tree)) {
    actix::System::new().block_on(async {
        let (collections, tree) = replica(root, store).await;
        work(collections, tree).await;
    });
}

/// A folder and an engine.
fn place() -> (tempfile::TempDir, Arc<MemoryStore>) {
    (tempfile::tempdir().unwrap(), Arc::default())
}

async fn made(collections: &Collections, name: &str, backend: Backend) -> IndexCell {
    collections.create(spec(name, backend)).await.unwrap()
}

async fn begin(collections: &Collections, to: Backend) {
    collections.begin_move("docs", to, soon()).await.unwrap();
}

async fn has(cell: &IndexCell, id: &str) -> bool {
    cell.get(id.to_owned(), soon()).await.unwrap().is_some()
}

fn filter(filter: Value) -> Option<Filter> {
    Some(Filter::parse(&filter).unwrap())
}

fn requests() -> Vec<SearchRequest> {
    let dense = SearchRequest {
        query_vector: Some(vec![0.3, -0.2, 0.5, 1.0]),
        with: With {
            text: true,
            payload: true,
            vector: false,
        },
        ..SearchRequest::default()
    };
    let hybrid = SearchRequest {
        mode: Mode::Hybrid,
        query_text: Some("the ferry at the mill".to_owned()),
        ..dense.clone()
    };
    let lexical = SearchRequest {
        mode: Mode::Lexical,
        query_vector: None,
        ..hybrid.clone()
    };
    let group = |size| {
        Some(GroupBy {
            path: "n".to_owned(),
            size,
        })
    };
    let like = |ids: &[&str], strategy| {
        Some(Like {
            positive: ids.iter().map(|id| (*id).to_owned()).collect(),
            negative: vec!["p0009".to_owned()],
            strategy,
        })
    };
    vec![
        dense.clone(),
        SearchRequest {
            filter: filter(json!({"tag": {"$in": ["a", "c"]}, "n": {"$gte": 2}})),
            ..dense.clone()
        },
        SearchRequest {
            role: Some("nurse".to_owned()),
            with: With {
                vector: true,
                ..With::default()
            },
            ..dense.clone()
        },
        SearchRequest {
            min_score: Some(0.9),
            k: 50,
            ..dense.clone()
        },
        SearchRequest {
            mmr: Some(Mmr {
                lambda: 0.4,
                candidates: 60,
            }),
            ..dense.clone()
        },
        SearchRequest {
            group: group(3),
            k: 7,
            ..dense.clone()
        },
        SearchRequest {
            // More than the first candidates hold.
            group: group(40),
            k: 7,
            ..hybrid.clone()
        },
        SearchRequest {
            fusion: Fusion::Weighted { dense: 0.8 },
            ..hybrid.clone()
        },
        SearchRequest {
            mmr: Some(Mmr {
                lambda: 0.5,
                candidates: 40,
            }),
            ..hybrid.clone()
        },
        hybrid,
        lexical,
        SearchRequest {
            query_vector: None,
            like: like(&["p0003", "p0017"], Strategy::AverageVector),
            ..dense
        },
    ]
}

#[test]
fn an_engine_s_collection_is_searched_as_one_that_is_here() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::default());
    with_replica(dir.path(), &store, async |collections, _tree| {
        let here = made(&collections, "here", Backend::Hnsw).await;
        let there = made(&collections, "there", Backend::Qdrant).await;
        for cell in [&here, &there] {
            let points: Vec<Point> = (1..=400).map(point).collect();
            assert_eq!(cell.upsert(points, None, soon()).await.unwrap(), 400);
        }
        for request in requests() {
            let own = here.search(request.clone(), soon()).await.unwrap();
            let other = there.search(request.clone(), soon()).await.unwrap();
            assert_eq!(other.hits, own.hits, "{request:?}");
            assert_eq!(other.groups, own.groups, "{request:?}");
            assert!(other.plan.reason.contains("qdrant"), "{:?}", other.plan);
        }
        // What has expired is nowhere, whoever keeps it.
        for cell in [&here, &there] {
            assert_eq!(cell.count(None, None, soon()).await.unwrap(), 392);
            assert_eq!(cell.get("p0050".to_owned(), soon()).await.unwrap(), None);
            let (page, _) = cell.scroll(None, 1_000, None, None, soon()).await.unwrap();
            assert_eq!(page.len(), 392);
            assert!(has(cell, "p0051").await);
            let n = filter(json!({"n": 3})).unwrap();
            assert_eq!(cell.delete_where(n, soon()).await.unwrap(), 56);
        }
        let refused = SearchRequest {
            like: Some(Like {
                positive: vec!["p0001".to_owned()],
                negative: vec![],
                strategy: Strategy::BestScore,
            }),
            ..SearchRequest::default()
        };
        let Err(Fault::App(error)) = there.search(refused, soon()).await else {
            panic!("it compares every point, which an engine does not");
        };
        assert!(error.to_string().contains("use average_vector"), "{error}");
        assert!(
            error
                .to_string()
                .contains("`boathouse collection move there --to hnsw`")
        );
    });
}

#[test]
fn replicas_that_share_an_engine_serve_the_same_collections() {
    let store = Arc::default();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    with_replica(one.path(), &store, async |first, _tree| {
        let (second, _other) = replica(two.path(), &store).await;
        let made = made(&first, "docs", Backend::Qdrant).await;
        made.upsert(vec![point(1)], None, soon()).await.unwrap();
        // Looked for where it is not known.
        let found = second.find("docs").await.unwrap();
        assert!(has(&found, "p0001").await);
        assert!(matches!(
            second.create(spec("docs", Backend::Qdrant)).await,
            Err(CollectionsError::Exists(_))
        ));
        // A field that one indexes is known to the other.
        let indexed = found.index_field("tag".to_owned(), FieldKind::Keyword, soon());
        assert!(indexed.await.unwrap());
        first.refresh().await.unwrap();
        let fields = made.spec(soon()).await.unwrap().schema.fields.clone();
        assert_eq!(fields["tag"], FieldKind::Keyword);
        first.remove("docs").await.unwrap();
        second.refresh().await.unwrap();
        assert!(matches!(
            second.find("docs").await,
            Err(CollectionsError::Unknown { .. })
        ));
        assert_eq!(second.names(), Vec::<String>::new());
        // Nor is a draft of somebody's move served.
        let draft = Stored {
            spec: spec("half", Backend::Qdrant),
            draft: Some("of somebody".to_owned()),
        };
        store.create(&draft).await.unwrap();
        assert!(second.find("half").await.is_err());
    });
}

#[test]
fn an_engine_that_cannot_be_asked_costs_its_collections_only() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let there = made(&collections, "there", Backend::Qdrant).await;
        made(&collections, "here", Backend::Hnsw).await;
        there.upsert(vec![point(1)], None, soon()).await.unwrap();
        store.fail(true);
        let Err(Fault::App(error)) = there.get("p0001".to_owned(), soon()).await else {
            panic!("nobody answers");
        };
        assert_eq!(error.to_string(), "qdrant: connection refused");
        assert_eq!(error.retry_after_ms(), Some(1_000));
        collections.refresh().await.unwrap_err();
        assert_eq!(
            collections.names(),
            ["here", "there"],
            "as it was last known"
        );
        // It may be there: nobody can say that it is not.
        assert!(matches!(
            collections.find("other").await,
            Err(CollectionsError::Index(IndexError::Engine { .. }))
        ));
        let here = collections.find("here").await.unwrap();
        here.upsert(vec![point(2)], None, soon()).await.unwrap();
        store.fail(false);
        assert!(has(&there, "p0001").await);
    });
}

/// Everything that a collection tells, by id.
async fn whole(
    cell: &IndexCell,
) -> BTreeMap<String, (Vec<f32>, Option<String>, Map<String, Value>)> {
    let (_, rows) = cell.view(soon()).await.unwrap();
    let points = rows.points();
    points
        .map(|point| (point.id, (point.vector, point.text, point.payload)))
        .collect()
}

/// Steps until nothing is under way; before each step `between` is done.
async fn run(collections: &Collections, mut between: impl AsyncFnMut(u16)) {
    for step in 0.. {
        between(step).await;
        if collections.step_moves(soon()).await == Ok(0) {
            return;
        }
        assert!(step < 1_000, "it never ends");
    }
}

#[test]
fn a_collection_that_is_written_moves_there_and_back_and_loses_nothing() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let cell = made(&collections, "docs", Backend::Hnsw).await;
        let points: Vec<Point> = (0..1_700).map(plain).collect();
        cell.upsert(points, None, soon()).await.unwrap();
        for (to, from) in [
            (Backend::Qdrant, Backend::Hnsw),
            (Backend::Hnsw, Backend::Qdrant),
        ] {
            let begun = collections.begin_move("docs", to, soon()).await.unwrap();
            assert_eq!(
                (begun.state, begun.from, begun.to),
                (MoveState::Running, from, to)
            );
            assert!(matches!(
                collections.begin_move("docs", to, soon()).await,
                Err(CollectionsError::Index(IndexError::Moving))
            ));
            run(&collections, async |step| {
                // Copied already, not yet copied, and new; deleted by id and by what matches.
                let n = step * 31;
                let mut changed = plain(n % 1_700);
                changed.payload.insert("step".to_owned(), json!(step));
                let new = plain(2_000 + step);
                cell.upsert(vec![changed, new], None, soon()).await.unwrap();
                let gone = vec![format!("p{:04}", (n + 7) % 1_700)];
                cell.delete_ids(gone, soon()).await.unwrap();
                if step == 2 {
                    let tag = if to.is_own() { "b" } else { "a" };
                    let tag = filter(json!({"n": 5, "tag": tag})).unwrap();
                    assert!(cell.delete_where(tag.clone(), soon()).await.unwrap() > 0);
                    assert_eq!(cell.count(Some(tag), None, soon()).await.unwrap(), 0);
                }
                if step == 3 {
                    let refused = cell.drop_index("n".to_owned(), soon()).await;
                    assert!(matches!(refused, Err(Fault::App(IndexError::Moving))));
                }
            })
            .await;
            let ended = collections.move_info("docs").unwrap();
            assert_eq!(ended.state, MoveState::Done, "{ended:?}");
            assert_eq!(ended.same_neighbours, Some(1.0));
            assert_eq!(
                cell.backend(),
                to,
                "who holds the cell already goes on with it"
            );
            assert_eq!(collections.names(), ["docs"]);
            let listed = store.list().await.unwrap();
            assert_eq!(
                listed.iter().filter(|it| it.draft.is_none()).count(),
                usize::from(!to.is_own())
            );
            assert_eq!(listed.len(), usize::from(!to.is_own()));
            let left = std::fs::read_dir(dir.path()).unwrap().count();
            assert_eq!(left, usize::from(to.is_own()), "its folder, or nothing");
            cell.upsert(vec![plain(3_000)], None, soon()).await.unwrap();
        }
        // What a crash now leaves is all of it.
        let before = whole(&cell).await;
        assert!(before.len() > 1_500 && before.contains_key("p3000"));
        assert!(
            before
                .values()
                .any(|(_, _, payload)| payload.contains_key("step"))
        );
        collections.remove("docs").await.unwrap();
        assert_eq!(store.list().await.unwrap(), []);
    });
}

#[test]
fn a_move_ends_though_writes_come_faster_than_it_follows() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let cell = made(&collections, "docs", Backend::Hnsw).await;
        let of = |n: u16, round: u32| {
            let mut point = plain(n);
            point.payload.insert("round".to_owned(), json!(round));
            point
        };
        let mut written = BTreeMap::new();
        for to in [Backend::Qdrant, Backend::Hnsw] {
            begin(&collections, to).await;
            // One writes without a pause, and so much is written before each step that it leaves more than few.
            let (writing, own) = (Rc::new(Cell::new(true)), cell.clone());
            let still = Rc::clone(&writing);
            let writer = actix::spawn(async move {
                let mut round = 0;
                while still.get() {
                    round += 1;
                    own.upsert(vec![of(1_000, round)], None, soon())
                        .await
                        .unwrap();
                }
                round
            });
            let mut rounds = 0;
            run(&collections, async |_| {
                rounds += 1;
                let points = (0..800).map(|n| of(n, rounds)).collect();
                cell.upsert(points, None, soon()).await.unwrap();
            })
            .await;
            writing.set(false);
            written.insert("p1000".to_owned(), json!(writer.await.unwrap()));
            written.extend((0..800).map(|n| (format!("p{n:04}"), json!(rounds))));
            let info = collections.move_info("docs").unwrap();
            assert_eq!((info.state, info.error), (MoveState::Done, None));
            let there = whole(&cell).await.into_iter();
            let there = there.map(|(id, (.., payload))| (id, payload["round"].clone()));
            assert_eq!(there.collect::<BTreeMap<_, _>>(), written);
        }
    });
}

#[test]
fn sides_that_are_not_the_same_are_left_as_they_were() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let cell = made(&collections, "docs", Backend::Hnsw).await;
        let points: Vec<Point> = (1..40).map(point).collect();
        cell.upsert(points, None, soon()).await.unwrap();
        let before = whole(&cell).await;
        store.lose(true);
        begin(&collections, Backend::Qdrant).await;
        run(&collections, async |_| {}).await;
        let ended = collections.move_info("docs").unwrap();
        assert_eq!(ended.state, MoveState::Failed);
        assert_eq!(
            ended.error.as_deref(),
            Some("39 points were to go over, qdrant has 38")
        );
        assert_eq!(
            (cell.backend(), whole(&cell).await),
            (Backend::Hnsw, before)
        );
        assert_eq!(store.list().await.unwrap(), []);
        // Nor is one that is cancelled.
        store.lose(false);
        begin(&collections, Backend::Qdrant).await;
        collections.step_moves(soon()).await.unwrap();
        let ended = collections.cancel_move("docs").await.unwrap();
        assert_eq!(ended.state, MoveState::Cancelled);
        assert_eq!(store.list().await.unwrap(), []);
        cell.drop_index("n".to_owned(), soon()).await.unwrap();
        // And what makes no sense is not begun.
        let refused = collections.begin_move("docs", Backend::Hnsw, soon()).await;
        assert_eq!(
            refused.unwrap_err().to_string(),
            "collection docs is kept by hnsw already"
        );
        let refused = collections.begin_move("docs", Backend::Lance, soon()).await;
        assert!(matches!(
            refused,
            Err(CollectionsError::NoBackend(Backend::Lance))
        ));
    });
}

#[test]
fn a_move_goes_on_after_the_process_ended_in_the_middle() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let cell = made(&collections, "docs", Backend::Hnsw).await;
        let points: Vec<Point> = (1..1_200).map(point).collect();
        cell.upsert(points, None, soon()).await.unwrap();
        begin(&collections, Backend::Qdrant).await;
        collections.step_moves(soon()).await.unwrap();
        // Copied, and then not there any more: after the restart nobody has noted that.
        cell.delete_ids(vec!["p0003".to_owned()], soon())
            .await
            .unwrap();
        store.fail(true);
        let waits = collections.step_moves(soon()).await.unwrap_err();
        assert_eq!(waits, "docs: qdrant: connection refused");
        assert_eq!(
            collections.move_info("docs").unwrap().error.as_deref(),
            Some("qdrant: connection refused")
        );
    });
    // Started while the engine cannot be asked: it serves as before, and goes on later.
    with_replica(dir.path(), &store, async |collections, _tree| {
        assert_eq!(
            collections.find("docs").await.unwrap().backend(),
            Backend::Hnsw
        );
        store.fail(false);
        collections.refresh().await.unwrap();
        collections.go_on_with_moves(soon()).await;
        run(&collections, async |_| {}).await;
        let cell = collections.find("docs").await.unwrap();
        assert_eq!(cell.backend(), Backend::Qdrant);
        assert_eq!(cell.get("p0003".to_owned(), soon()).await.unwrap(), None);
        assert_eq!(cell.count(None, None, soon()).await.unwrap(), 1_198 - 23);
    });
}

#[test]
fn what_went_over_just_before_a_crash_is_there() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let cell = made(&collections, "docs", Backend::Hnsw).await;
        cell.upsert(vec![point(1)], None, soon()).await.unwrap();
    });
    // As a crash leaves it right after the renaming.
    std::fs::rename(dir.path().join("docs"), dir.path().join(".moved-docs")).unwrap();
    let note = json!({
        "name": "docs", "id": "of somebody", "from": "hnsw", "to": "qdrant", "created_ms": 7,
    });
    std::fs::write(dir.path().join(".move-docs.json"), note.to_string()).unwrap();
    let draft = Stored {
        spec: spec("docs", Backend::Qdrant),
        draft: Some("of somebody".to_owned()),
    };
    actix::System::new().block_on(async {
        store.create(&draft).await.unwrap();
        store.upsert(&draft.spec, vec![point(1)]).await.unwrap();
    });
    with_replica(dir.path(), &store, async |collections, _tree| {
        // It is in the engine, and not known yet; nobody makes another one meanwhile.
        assert!(matches!(
            collections.find("docs").await,
            Err(CollectionsError::Start { .. })
        ));
        let made = collections.create(spec("docs", Backend::Hnsw)).await;
        assert!(made.is_err());
        collections.go_on_with_moves(soon()).await;
        let cell = collections.find("docs").await.unwrap();
        assert_eq!(cell.backend(), Backend::Qdrant);
        assert!(has(&cell, "p0001").await);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    });
}

#[test]
fn a_step_that_nobody_waits_for_any_more_comes_to_its_end() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let cell = made(&collections, "docs", Backend::Hnsw).await;
        cell.upsert(vec![point(1)], None, soon()).await.unwrap();
        begin(&collections, Backend::Qdrant).await;
        while collections.move_info("docs").unwrap().state == MoveState::Running {
            let step = collections.step_moves(soon());
            // Asked once and given up, as a cell does whose deadline passes.
            let _ = futures_util::future::select(Box::pin(step), std::future::ready(())).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(
            collections.move_info("docs").unwrap().state,
            MoveState::Done
        );
        assert!(has(&cell, "p0001").await);
        assert_eq!(store.list().await.unwrap().len(), 1);
    });
}

#[test]
fn what_is_not_a_move_s_own_is_never_removed() {
    let store = Arc::new(MemoryStore::default());
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    with_replica(one.path(), &store, async |first, _tree| {
        let (second, _other) = replica(two.path(), &store).await;
        let cell = made(&first, "docs", Backend::Hnsw).await;
        cell.upsert(vec![point(1)], None, soon()).await.unwrap();
        let other = CollectionSpec {
            created_ms: 8,
            ..spec("docs", Backend::Hnsw)
        };
        second.create(other).await.unwrap();
        begin(&first, Backend::Qdrant).await;
        // Another of that name, here and there.
        let refused = second.begin_move("docs", Backend::Qdrant, soon()).await;
        let message = refused.unwrap_err().to_string();
        assert!(
            message.contains("somebody moves one of that name there"),
            "{message}"
        );
        assert_eq!(second.cancel_move("docs").await, None);
        run(&first, async |_| {}).await;
        assert_eq!(cell.backend(), Backend::Qdrant);
        let refused = second.begin_move("docs", Backend::Qdrant, soon()).await;
        assert!(refused.is_err());
        assert!(has(&cell, "p0001").await);
        // A note of a move that is long over, and of another collection.
        let note = json!({
            "name": "docs", "id": "x", "from": "qdrant", "to": "hnsw", "created_ms": 6,
        });
        std::fs::write(two.path().join(".move-docs.json"), note.to_string()).unwrap();
        second.go_on_with_moves(soon()).await;
        assert_eq!(store.list().await.unwrap().len(), 1);
        assert_eq!(second.find("docs").await.unwrap().backend(), Backend::Hnsw);
    });
}

#[test]
fn a_move_that_was_cancelled_while_its_engine_was_away_does_not_go_on() {
    let (dir, store) = place();
    with_replica(dir.path(), &store, async |collections, _tree| {
        let cell = made(&collections, "docs", Backend::Hnsw).await;
        cell.upsert((1..900).map(point).collect(), None, soon())
            .await
            .unwrap();
        begin(&collections, Backend::Qdrant).await;
        collections.step_moves(soon()).await.unwrap();
        store.fail(true);
        let ended = collections.cancel_move("docs").await.unwrap();
        assert_eq!(ended.state, MoveState::Cancelled);
        // Its draft is there still, so neither another move nor a removal may forget it.
        let refused = collections
            .begin_move("docs", Backend::Qdrant, soon())
            .await;
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("not cleared away yet")
        );
        assert!(matches!(
            collections.remove("docs").await,
            Err(CollectionsError::Index(IndexError::Engine { .. }))
        ));
        assert!(has(&cell, "p0001").await);
    });
    actix::System::new().block_on(async {
        let (collections, _tree) = replica_of(dir.path(), Vec::new()).await;
        let refused = collections.remove("docs").await.unwrap_err().to_string();
        assert!(
            refused.contains("is not set up here: name it in the settings again"),
            "{refused}"
        );
        assert!(has(&collections.find("docs").await.unwrap(), "p0001").await);
    });
    store.fail(false);
    with_replica(dir.path(), &store, async |collections, _tree| {
        collections.go_on_with_moves(soon()).await;
        assert_eq!(collections.step_moves(soon()).await, Ok(0));
        assert_eq!(store.list().await.unwrap(), []);
        assert_eq!(
            collections.find("docs").await.unwrap().backend(),
            Backend::Hnsw
        );
        begin(&collections, Backend::Qdrant).await;
        run(&collections, async |_| {}).await;
        assert_eq!(
            collections.move_info("docs").unwrap().state,
            MoveState::Done
        );
    });
}
