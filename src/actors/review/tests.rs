use serde_json::json;

use super::*;
use crate::storage::evidence_log::{Body, EvidenceConfig, EvidenceLog, NewRecord, Salt};

struct House {
    folder: tempfile::TempDir,
    worker: ReviewWorker,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let worker = ReviewWorker {
            journal: folder.path().join("evidence"),
            store: DatasetStore::new(&folder.path().join("datasets")),
            queue: ReviewQueue::default(),
        };
        Self { folder, worker }
    }

    fn append(&self, kind: Kind, id: &str, body: &Value) {
        let dir = self.folder.path().join("evidence");
        let (mut log, _) = EvidenceLog::open(&dir, EvidenceConfig::default()).unwrap();
        let record = NewRecord {
            ts_ms: 1,
            kind,
            id: id.to_owned(),
            body: Body::of(body, Salt::new([7; 16])).unwrap(),
        };
        log.append(&record).unwrap();
    }

    fn feedback(&self, target: &str) {
        let body = json!({"target": target, "rating": "accepted"});
        self.append(Kind::Feedback, "f", &body);
    }

    /// Writes tasks as a materialization that read the journal up to `upto`.
    fn materialize(&self, upto: u64, tasks: &[(u64, &str, &str)]) {
        let lines = tasks.iter().map(|(seq, id, outcome)| {
            json!({
                "seq": seq, "ts": 1, "id": id, "request_id": format!("r-{id}"), "key": "", "outcome": outcome,
                "reasons": ["no_feedback"], "model": "m", "answered_by": null, "messages": [], "answer": "ä",
                "finish_reason": "stop", "passages": [], "validations": [], "latency_ms": 1,
            })
            .to_string()
                + "\n"
        });
        let dir = self.worker.store.tasks();
        std::fs::create_dir_all(&dir).unwrap();
        // A new file, as the store swaps them in.
        let _ = std::fs::remove_file(dir.join("tasks.jsonl"));
        std::fs::write(dir.join("tasks.jsonl"), lines.collect::<String>()).unwrap();
        let receipt = json!({"format": FORMAT_VERSION, "journal": {"head": {"seq": upto}}});
        std::fs::write(dir.join("receipt.json"), receipt.to_string()).unwrap();
    }

    fn list(&self, after: u64, limit: usize) -> Vec<String> {
        let request = ReviewRequest::List { after, limit };
        let ReviewReply(tasks, _) = self.worker.answer(request, &mut || {}).unwrap();
        tasks.into_iter().map(|task| task.id).collect()
    }
}

#[test]
fn what_waits_is_listed_from_the_oldest_and_what_was_judged_is_not() {
    let house = House::new();
    for _ in 0..5 {
        house.append(Kind::Search, "s", &json!({}));
    }
    house.feedback("c");
    house.feedback("r-d");
    house.materialize(
        5,
        &[
            (1, "a", "needs_review"),
            (2, "b", "accepted"),
            (3, "c", "needs_review"),
            (4, "d", "needs_review"),
            (5, "e", "needs_review"),
        ],
    );
    // Judged after the tasks were made: by the id of the task, and of its request.
    assert_eq!(house.list(0, 10), ["a", "e"]);
    assert_eq!(house.list(0, 1), ["a"]);
    assert_eq!(house.list(1, 10), ["e"]);
    assert_eq!(house.worker.queue.len(), 2);
    let read = |id: &str| {
        let request = ReviewRequest::Read(id.to_owned());
        let ReviewReply(tasks, _) = house.worker.answer(request, &mut || {}).unwrap();
        tasks.len()
    };
    assert_eq!((read("a"), read("b"), read("c")), (1, 0, 0));
}

#[test]
fn a_task_is_taken_once_and_may_be_given_back() {
    let house = House::new();
    house.append(Kind::Search, "s", &json!({}));
    house.materialize(1, &[(1, "a", "needs_review"), (2, "b", "needs_review")]);
    assert_eq!(house.list(0, 10), ["a", "b"]);
    let queue = &house.worker.queue;
    let taken = queue.take("a").unwrap();
    assert!(queue.take("a").is_none());
    assert_eq!(house.list(0, 10), ["b"]);
    queue.give_back(taken);
    assert_eq!(house.list(0, 10), ["a", "b"]);
    queue.settle("r-b");
    assert_eq!(house.list(0, 10), ["a"]);
    // New tasks, which know of it.
    house.materialize(2, &[(1, "a", "accepted"), (2, "b", "needs_review")]);
    assert_eq!(house.list(0, 10), ["b"]);
}

#[test]
fn what_is_judged_while_the_queue_is_filled_does_not_wait() {
    let house = House::new();
    house.append(Kind::Search, "s", &json!({}));
    house.materialize(1, &[(1, "a", "needs_review"), (2, "b", "needs_review")]);
    let mut ticks = 0;
    let queue = house.worker.queue.clone();
    let request = ReviewRequest::List { after: 0, limit: 9 };
    // Each sign of life stands for a moment at which another thread may tell something.
    let ReviewReply(tasks, _) = house
        .worker
        .answer(request, &mut || {
            ticks += 1;
            queue.settle("a");
        })
        .unwrap();
    assert!(ticks > 0);
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].id, "b");
}

#[test]
fn without_tasks_of_this_version_there_is_nothing_to_review() {
    let house = House::new();
    let list = || {
        let request = ReviewRequest::List { after: 0, limit: 9 };
        house.worker.answer(request, &mut || {}).unwrap_err()
    };
    assert!(matches!(list(), ReviewError::NotMaterialized));
    let dir = house.worker.store.tasks();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("receipt.json"), "{\"format\": 1}").unwrap();
    assert!(matches!(list(), ReviewError::Stale));
    std::fs::write(dir.join("receipt.json"), "{").unwrap();
    assert!(list().to_string().contains("receipt.json"));
}
