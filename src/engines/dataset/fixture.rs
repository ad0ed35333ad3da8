//! Evidence for the tests of this folder.

use serde_json::{Value, json};

use super::counts::{ExportCounts, Placed};
use super::export::Export;
use super::exporters::exporter;
use super::flavour::Flavour;
use super::recipe::Recipe;
use super::task::{Outcome, Place, Task, TaskFeedback};
use crate::storage::evidence_log::JournalLine;
use crate::types::evidence::{
    ChatEvidence, EvidenceRecord, FeedbackEvidence, Kind, PassageEvidence, Rating,
    ValidationEvidence,
};
use crate::types::validation::Verdict;

pub(super) fn chat(question: &str, answer: &str) -> ChatEvidence {
    ChatEvidence {
        request_id: "req".to_owned(),
        model: "main".to_owned(),
        answered_by: Some("extractive".to_owned()),
        messages: vec![json!({"role": "user", "content": question})],
        answer: answer.to_owned(),
        tools: Vec::new(),
        tool_calls: Vec::new(),
        finish_reason: Some("stop".to_owned()),
        passages: Vec::new(),
        usage: None,
        cost_usd: None,
        attempts: Vec::new(),
        stream: false,
        error: None,
        user: None,
        key: None,
        cache: None,
        imported: None,
        replay: None,
        repairs: None,
        latency_ms: 7,
    }
}

pub(super) fn passage(id: &str, cited: bool) -> PassageEvidence {
    PassageEvidence {
        collection: "docs".to_owned(),
        id: id.to_owned(),
        score: 0.5,
        text: format!("text of {id}"),
        cited,
    }
}

pub(super) fn feedback(target: &str, rating: Rating) -> FeedbackEvidence {
    FeedbackEvidence {
        target: target.to_owned(),
        rating,
        score: None,
        comment: None,
        edited_answer: None,
        user: None,
        review: false,
        imported: None,
        key: None,
    }
}

pub(super) fn validation(target: &str, verdict: Verdict) -> ValidationEvidence {
    ValidationEvidence {
        request_id: "val".to_owned(),
        kind: "email".to_owned(),
        verdict,
        findings: Vec::new(),
        payload_sha256: "0".repeat(64),
        target: Some(target.to_owned()),
        key: None,
    }
}

/// The task of completion `c{seq}`.
pub(super) fn task(
    seq: u64,
    chat: ChatEvidence,
    outcome: Outcome,
    feedback: Option<TaskFeedback>,
) -> Task {
    let place = Place {
        seq,
        replica: None,
        ts: 1_000 + seq,
        id: format!("c{seq}"),
    };
    Task::new(place, chat, feedback, Vec::new(), (outcome, Vec::new()))
}

pub(super) fn said(rating: Rating, edit: Option<&str>) -> TaskFeedback {
    TaskFeedback {
        seq: 99,
        replica: None,
        rating,
        score: None,
        comment: None,
        edited_answer: edit.map(str::to_owned),
        user: None,
        review: false,
    }
}

/// What became of tasks, all readings of them.
pub(super) fn export(
    (kind, flavour): (&str, Flavour),
    recipe: &Recipe,
    test_fraction: f64,
    tasks: &[Task],
) -> (Vec<Placed>, ExportCounts) {
    let exporter = exporter(kind).unwrap();
    let mut export = Export::new(exporter, flavour, recipe, test_fraction)
        .unwrap()
        .unwrap();
    for reading in 0..export.readings() {
        tasks.iter().for_each(|task| export.prepare(reading, task));
    }
    let placed = tasks.iter().flat_map(|task| export.add(task)).collect();
    let counts = export.counts().clone();
    assert!(counts.reconcile(), "{counts:?}");
    assert_eq!(counts.read, tasks.len() as u64);
    (placed, counts)
}

/// The lines of the rows among them.
pub(super) fn lines(placed: &[Placed]) -> Vec<String> {
    let line = |one: &Placed| match one {
        Placed::Row { line, .. } => Some(line.clone()),
        _ => None,
    };
    placed.iter().filter_map(line).collect()
}

/// A journal as it is read: sequence numbers in order.
#[derive(Default)]
pub(super) struct Journal(pub(super) Vec<JournalLine>);

impl Journal {
    pub(super) fn push(&mut self, kind: Kind, id: &str, body: &impl serde::Serialize) {
        let seq = self.0.len() as u64 + 1;
        let body: Value = serde_json::to_value(body).unwrap();
        let record = EvidenceRecord {
            seq,
            ts: 1_000 + seq,
            schema: 1,
            kind,
            id: id.to_owned(),
            body,
            content: None,
            salt: None,
            erased: None,
            prev: String::new(),
            hash: format!("hash {seq}"),
        };
        self.0.push(JournalLine {
            segment: "s".to_owned(),
            line: seq,
            record: Ok(record),
        });
    }
}
