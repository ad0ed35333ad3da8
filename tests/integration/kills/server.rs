//! The whole server, killed while clients write.

use std::cell::{Cell, RefCell};

use boathouse::types::http::Method;
use boathouse::types::point::Point;
use futures_util::future::join_all;
use serde_json::json;

use super::work::{DIM, Model, Step, settle};
use crate::harness::{Api, Process};

const CLIENTS: usize = 4;
const KILLS: usize = 10;
const PATH: &str = "/v1/collections/docs";

/// As in [`config`](super::work::config), and looked after as often as can be set.
const SETTINGS: &str = "[index]
hnsw_threshold = 100
snapshot_wal_bytes = 4096
[storage]
maintenance_ms = 100
";

#[test]
fn a_server_killed_ten_times_under_load_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("boathouse.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    let start = || {
        let arguments = ["--config".as_ref(), settings.as_ref()];
        Process::start_with(&folder.path().join("data"), &arguments)
    };
    let mut models = vec![Model::default(); CLIENTS];
    let mut acknowledged = vec![0; CLIENTS];
    for kill in 0..KILLS {
        let process = start();
        actix_web::rt::System::new().block_on(async {
            let api = Api::new(process.address);
            if kill == 0 {
                let made = json!({"dim": DIM, "metric": "dot", "embedder": null});
                assert_eq!(api.put(PATH, made).await.status, 201);
            }
            settle(&mut models, &acknowledged, &all(&api).await);
            acknowledged = write_until_killed(&api, &models, 20 + 13 * kill as u64, process).await;
        });
    }
    let process = start();
    let found =
        actix_web::rt::System::new().block_on(async { all(&Api::new(process.address)).await });
    settle(&mut models, &acknowledged, &found);
    assert!(models.iter().all(|model| model.steps > 20));
}

async fn all(api: &Api) -> Vec<Point> {
    let path = format!("{PATH}/points/scroll");
    let page = api.ok(&path, json!({"limit": 1000})).await;
    assert!(page["next"].is_null());
    serde_json::from_value(page["points"].clone()).unwrap()
}

/// Lets all clients write at once; the process is killed when `acks` writes are acknowledged.
async fn write_until_killed(api: &Api, models: &[Model], acks: u64, process: Process) -> Vec<u64> {
    let process = RefCell::new(process);
    let seen = Cell::new(0);
    let clients = models.iter().enumerate().map(|(client, model)| {
        let (process, seen) = (&process, &seen);
        async move {
            let mut step = model.steps;
            loop {
                let (path, body) = match Step::of(client, step) {
                    Step::Upsert(points) => ("/points", json!({"points": points})),
                    Step::DeleteIds(ids) => ("/points/delete", json!({"ids": ids})),
                    Step::DeleteWhere(filter, _) => ("/points/delete", json!({"filter": filter})),
                };
                let path = format!("{PATH}{path}");
                let sent = api.try_send(Method::Post, &path, body.to_string()).await;
                let Ok(answer) = sent else {
                    return step;
                };
                assert_eq!(answer.status, 200, "{}", answer.text());
                step += 1;
                seen.set(seen.get() + 1);
                if seen.get() == acks {
                    process.borrow_mut().child.kill().unwrap();
                }
            }
        }
    });
    join_all(clients).await
}
