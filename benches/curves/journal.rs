//! Materializing a journal that is larger and larger.

use std::time::Instant;

use boathouse::storage::evidence_log::{EvidenceConfig, EvidenceLog};

use crate::ask;
use crate::plot::{Curve, draw};
use crate::records::{record, sentences};
use crate::support::load::post;
use crate::support::process::{self, Server};

const RECORDS: [usize; 4] = [1_000, 10_000, 100_000, 500_000];

pub(crate) fn run(asked: Option<Vec<usize>>) {
    let sentences = sentences();
    let (mut seconds, mut memory) = (Vec::new(), Vec::new());
    for count in asked.unwrap_or(RECORDS.to_vec()) {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("data/evidence");
        let (mut log, _) = EvidenceLog::open(&journal, EvidenceConfig::default()).unwrap();
        for at in 0..count as u64 {
            log.append(&record(at, &sentences)).unwrap();
        }
        drop(log);
        // A batch job may take longer than a request.
        let settings = [("HTTP__DEADLINE_MS", "600000")];
        let server = Server::start(&mut process::boathouse(folder.path(), &settings));
        let started = Instant::now();
        ask(server.address, &post("/v1/materialize", "{}"));
        seconds.push((count as f64, started.elapsed().as_secs_f64()));
        memory.push((count as f64, server.memory_mb("VmHWM")));
        server.stop();
    }
    let curve = |name, points| [Curve { name, points }];
    let title = "Materializing a journal, from nothing";
    draw(
        "journal-seconds",
        title,
        "records",
        "s",
        &curve("time", seconds),
    );
    draw(
        "journal-memory",
        title,
        "records",
        "MB at most",
        &curve("whole server", memory),
    );
}
