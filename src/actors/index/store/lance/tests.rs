mod filters;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::upkeep::Due;
use super::*;
use crate::engines::index::Scope;
use crate::types::collection::{FieldKind, Schema as Declared};
use crate::types::point::Metric;

/// So little that tests reach it.
const SOON: Due = Due {
    scalar_from: 8,
    words_from: 5,
    vector_from: 300,
    unindexed_rows: 0,
    small_files: 2,
};

fn spec(metric: Metric, fields: &[(&str, FieldKind)]) -> CollectionSpec {
    let fields = fields.iter().map(|(path, kind)| (path.to_string(), *kind));
    CollectionSpec {
        name: "docs".to_owned(),
        dim: 2,
        metric,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Declared {
            fields: fields.collect(),
            ..Declared::default()
        },
        backend: Backend::Lance,
        created_ms: 7,
    }
}

fn stored(spec: &CollectionSpec) -> Stored {
    Stored {
        spec: spec.clone(),
        draft: None,
    }
}

fn open(folder: &TempDir) -> LanceStore {
    LanceStore::due(folder.path().to_str().unwrap(), SOON).unwrap()
}

fn point(id: &str, vector: [f32; 2], text: Option<&str>, payload: Value) -> Point {
    Point {
        id: id.to_owned(),
        vector: vector.to_vec(),
        text: text.map(str::to_owned),
        payload: payload.as_object().unwrap().clone(),
    }
}

fn payloads(payloads: impl IntoIterator<Item = Value>) -> Vec<Point> {
    let points = payloads.into_iter().enumerate();
    let point = |(at, payload)| point(&format!("{at:04}"), [1.0, 0.0], None, payload);
    points.map(point).collect()
}

fn filter(filter: Value, spec: &CollectionSpec) -> Filter {
    let filter = Filter::parse(&filter).unwrap();
    Filter::scoped(Some(&filter), &spec.schema, Scope::at(0)).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

const ALL: Nearest<'static> = Nearest {
    limit: 10,
    filter: None,
    exact: false,
    vectors: false,
};

fn ids(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.point.id.as_str()).collect()
}

/// A table with these points, with its indexes.
async fn filled(folder: &TempDir, spec: &CollectionSpec, points: &[Point]) -> LanceStore {
    let store = open(folder);
    store.create(&stored(spec)).await.unwrap();
    store.upsert(spec, points.to_vec()).await.unwrap();
    store.maintain(spec).await.unwrap();
    store
}

async fn matching(
    store: &LanceStore,
    spec: &CollectionSpec,
    filter: &Filter,
) -> Result<Vec<String>, IndexError> {
    let (points, more) = store.scroll(spec, None, 10_000, Some(filter)).await?;
    assert_eq!(more, None);
    assert_eq!(store.count(spec, Some(filter)).await?, points.len());
    Ok(points.into_iter().map(|point| point.id).collect())
}

#[test]
fn a_collection_is_what_its_table_says_for_every_store_of_the_folder() {
    let folder = TempDir::new().unwrap();
    block_on(async {
        let (one, other) = (open(&folder), open(&folder));
        let spec = spec(Metric::Cosine, &[("n", FieldKind::Integer)]);
        assert_eq!(one.list().await.unwrap(), []);
        let draft = Stored {
            draft: Some("a move".to_owned()),
            ..stored(&spec)
        };
        one.create(&draft).await.unwrap();
        assert_eq!(other.list().await.unwrap(), [draft]);
        let again = other.create(&stored(&spec)).await.unwrap_err();
        assert!(matches!(again, IndexError::Exists(name) if name == "docs"));

        let points = vec![point("a", [1.0, 0.0], Some("cats"), json!({"n": 1}))];
        other.upsert(&spec, points.clone()).await.unwrap();
        other.describe(&stored(&spec)).await.unwrap();
        assert_eq!(one.list().await.unwrap(), [stored(&spec)]);
        assert_eq!(
            one.get(&spec, &["a".into(), "b".into()]).await.unwrap(),
            points
        );

        one.remove("docs").await.unwrap();
        one.remove("docs").await.unwrap();
        assert_eq!(other.list().await.unwrap(), []);
        let gone = other.count(&spec, None).await.unwrap_err();
        assert!(matches!(gone, IndexError::Gone { .. }), "{gone}");
    });
}

#[test]
fn a_table_made_again_by_another_replica_is_the_new_one() {
    let folder = TempDir::new().unwrap();
    block_on(async {
        let (one, other) = (open(&folder), open(&folder));
        let spec = spec(Metric::Cosine, &[]);
        one.create(&stored(&spec)).await.unwrap();
        let old = vec![point("old", [1.0, 0.0], None, json!({}))];
        one.upsert(&spec, old).await.unwrap();
        assert_eq!(other.count(&spec, None).await.unwrap(), 1);
        one.remove("docs").await.unwrap();
        one.create(&stored(&spec)).await.unwrap();
        let new = vec![point("new", [1.0, 0.0], None, json!({}))];
        one.upsert(&spec, new.clone()).await.unwrap();
        assert_eq!(
            other.scroll(&spec, None, 9, None).await.unwrap(),
            (new, None)
        );
    });
}

#[test]
fn what_is_written_is_replaced_deleted_and_read_in_order_of_id() {
    let folder = TempDir::new().unwrap();
    block_on(async {
        let spec = spec(Metric::L2, &[]);
        let points: Vec<Point> = ["c", "a", "b'; --"]
            .map(|id| {
                point(
                    id,
                    [0.5, 2.0],
                    None,
                    json!({"of": id, "x": 1.5, "y": [null, {}]}),
                )
            })
            .into();
        let store = filled(&folder, &spec, &points).await;
        let other = point(
            "a",
            [3.0, 4.0],
            Some("text"),
            json!({"z": u64::MAX, "f": 1e-7}),
        );
        store.upsert(&spec, vec![other.clone()]).await.unwrap();
        let (first, next) = store.scroll(&spec, None, 2, None).await.unwrap();
        assert_eq!(first, [other, points[2].clone()]);
        assert_eq!(next.as_deref(), Some("b'; --"));
        let rest = store.scroll(&spec, next.as_deref(), 2, None).await.unwrap();
        assert_eq!(rest, (vec![points[0].clone()], None));

        let gone = ["b'; --", "a", "nobody"].map(str::to_owned);
        assert_eq!(store.delete(&spec, &gone).await.unwrap(), 2);
        let of_c = filter(json!({"of": "c"}), &spec);
        assert_eq!(store.delete_where(&spec, &of_c).await.unwrap(), 1);
        assert_eq!(store.count(&spec, None).await.unwrap(), 0);
    });
}

#[test]
fn scores_are_as_the_metric_says_with_and_without_an_index() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let folder = TempDir::new().unwrap();
        block_on(async {
            let spec = spec(metric, &[]);
            let points: Vec<Point> = (0..400)
                .map(|at| {
                    let angle = at as f32 * 0.01;
                    let vector = [angle.cos(), angle.sin()];
                    point(
                        &format!("{at:03}"),
                        vector,
                        None,
                        json!({"even": at % 2 == 0}),
                    )
                })
                .collect();
            let store = open(&folder);
            store.create(&stored(&spec)).await.unwrap();
            store.upsert(&spec, points.clone()).await.unwrap();
            let query = [0.6_f32, 0.8];
            let wanted = |at: &Point| match metric {
                Metric::Cosine | Metric::Dot => {
                    at.vector.iter().zip(query).map(|(a, b)| a * b).sum()
                }
                Metric::L2 => {
                    let apart = at.vector.iter().zip(query).map(|(a, b)| (a - b).powi(2));
                    1.0 / (1.0 + apart.sum::<f32>().sqrt())
                }
            };
            let even = filter(json!({"even": true}), &spec);
            for _ in 0..2 {
                for exact in [true, false] {
                    for filter in [None, Some(&even)] {
                        let nearest = Nearest {
                            exact,
                            filter,
                            vectors: true,
                            ..ALL
                        };
                        let found = store.dense(&spec, &query, nearest).await.unwrap();
                        assert_eq!(found.len(), 10);
                        let mut all: Vec<&Point> = points.iter().collect();
                        all.retain(|at| filter.is_none_or(|it| it.matches(&at.payload)));
                        all.sort_by(|a, b| wanted(b).total_cmp(&wanted(a)));
                        for (hit, at) in found.iter().zip(all) {
                            assert!((hit.score - wanted(&hit.point)).abs() < 1e-5);
                            assert!((hit.score - wanted(at)).abs() < 1e-3, "{metric:?}");
                        }
                    }
                }
                store.maintain(&spec).await.unwrap();
                let info = store.info(&spec).await.unwrap();
                assert_eq!((info.state.as_str(), info.indexed), ("IVF_HNSW_SQ", 400));
            }
        });
    }
}

#[test]
fn texts_are_found_by_the_words_that_we_index() {
    let folder = TempDir::new().unwrap();
    block_on(async {
        let spec = spec(Metric::Cosine, &[]);
        let texts = [
            "The running cats",
            "a cat and a cat and another cat",
            "Überraschung: dogs ran",
            "",
        ];
        let mut points: Vec<Point> = texts
            .iter()
            .enumerate()
            .map(|(at, text)| point(&at.to_string(), [1.0, 0.0], Some(text), json!({"at": at})))
            .collect();
        points.push(point("none", [1.0, 0.0], None, json!({})));
        let store = open(&folder);
        store.create(&stored(&spec)).await.unwrap();
        store.upsert(&spec, points).await.unwrap();
        for _ in 0..2 {
            let find = |text: &'static str| store.lexical(&spec, text, ALL);
            assert_eq!(ids(&find("CAT").await.unwrap()), ["1", "0"]);
            assert_eq!(ids(&find("überraschungen dog").await.unwrap()), ["2"]);
            assert_eq!(ids(&find("the of").await.unwrap()), [""; 0]);
            let not_1 = filter(json!({"at": {"$ne": 1}}), &spec);
            let nearest = Nearest {
                filter: Some(&not_1),
                ..ALL
            };
            let found = store.lexical(&spec, "cats", nearest).await.unwrap();
            assert_eq!(ids(&found), ["0"]);
            assert!(found[0].score > 0.0);
            store.maintain(&spec).await.unwrap();
        }
    });
}

#[test]
fn two_replicas_that_write_the_same_points_at_the_same_time_leave_one_of_each() {
    let folder = TempDir::new().unwrap();
    block_on(async {
        let (one, other) = (open(&folder), open(&folder));
        let spec = spec(Metric::Cosine, &[]);
        one.create(&stored(&spec)).await.unwrap();
        for round in 0..4 {
            let points = |by: &str| {
                let all = (0..20).map(|at| json!({"by": by, "round": round, "at": at}));
                payloads(all)
            };
            let (a, b) = futures_util::future::join(
                one.upsert(&spec, points("one")),
                other.upsert(&spec, points("other")),
            )
            .await;
            a.unwrap();
            b.unwrap();
            let (all, _) = other.scroll(&spec, None, 100, None).await.unwrap();
            assert_eq!(all.len(), 20);
            assert!(all.iter().all(|at| at.payload["round"] == json!(round)));
        }
    });
}

#[test]
fn a_field_is_declared_and_no_more_while_filters_find_the_same() {
    let folder = TempDir::new().unwrap();
    block_on(async {
        let mut spec = spec(Metric::Cosine, &[]);
        let points = payloads([
            json!({"n": 1}),
            json!({"n": [5, -3]}),
            json!({"n": "x"}),
            json!({}),
        ]);
        let store = filled(&folder, &spec, &points).await;
        let over = filter(json!({"n": {"$gt": 2}}), &spec);
        let columns = async || {
            let table = store
                .tables
                .read("docs", async |table| Ok(table.schema().await?));
            let names = table.await.unwrap();
            let names = names.fields().iter().map(|field| field.name().clone());
            names.filter(|name| layout::is_declared(name)).count()
        };
        assert_eq!(matching(&store, &spec, &over).await.unwrap(), ["0001"]);
        assert_eq!(columns().await, 0);
        spec.schema
            .fields
            .insert("n".to_owned(), FieldKind::Datetime);
        store.describe(&stored(&spec)).await.unwrap();
        assert_eq!(columns().await, 11);
        assert_eq!(store.list().await.unwrap(), [stored(&spec)]);
        assert_eq!(matching(&store, &spec, &over).await.unwrap(), ["0001"]);
        store.maintain(&spec).await.unwrap();
        let new = point("new", [1.0, 0.0], None, json!({"n": 9}));
        store.upsert(&spec, vec![new]).await.unwrap();
        assert_eq!(
            matching(&store, &spec, &over).await.unwrap(),
            ["0001", "new"]
        );
        spec.schema.fields.clear();
        store.describe(&stored(&spec)).await.unwrap();
        assert_eq!(columns().await, 0);
        assert_eq!(
            matching(&store, &spec, &over).await.unwrap(),
            ["0001", "new"]
        );
    });
}
