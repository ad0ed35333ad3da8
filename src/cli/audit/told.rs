//! What an audit found, for people.

use crate::cli::output::say;
use crate::services::audit::{
    AuditReport, Chain, Drift, Folder, Measure, Profile, SchemaReport, Way,
};
use crate::types::plain::counted;

/// Says all of it, section by section.
pub(super) fn tell(report: &AuditReport) {
    chain(&report.chain);
    schemas(&report.schemas);
    if report.datasets.is_empty() {
        say("datasets: nothing was made of the journal yet");
    }
    report.datasets.iter().for_each(folder);
    profile(&report.profile);
    if let Some(found) = &report.drift {
        drift(found);
    }
    if let Some(path) = &report.saved {
        say(format_args!("baseline: saved as {path}"));
    } else if report.save_refused {
        say("baseline: not saved, the journal is not as it was written");
    }
}

fn chain(report: &Chain) {
    say(format_args!(
        "{} in {}, the last is {} {}",
        counted(report.records, "record"),
        counted(report.segments, "file"),
        report.head_seq,
        report.head_hash
    ));
    if let Some(removed) = &report.removed {
        say(format_args!(
            "begins at record {}; record {} {} and all before it were removed by {}, says record {}",
            report.first_seq, removed.last, removed.hash, removed.reason, removed.by
        ));
    }
    if report.kept_head_removed {
        say(
            "the head that was kept is of a record that was removed: nothing is left to compare it with",
        );
    }
    match (report.erased, report.unverifiable) {
        (0, _) => {}
        (erased, 0) => say(format_args!("{erased} erased, chain intact through them")),
        (erased, old) => say(format_args!(
            "{erased} erased, chain intact through them; {old} of them are of the first version, whose erased content cannot be verified"
        )),
    }
    if report.pending {
        say("an erasure or removal is under way, or was interrupted; the next start completes it");
    }
    if report.torn_bytes > 0 {
        say(format_args!(
            "the last line is not finished: {}, of a write under way or of a crash; the next start cuts it off",
            counted(report.torn_bytes, "byte")
        ));
    }
    for problem in &report.problems {
        let place = match problem.line {
            0 => problem.file.clone(),
            line => format!("{} line {line}", problem.file),
        };
        say(format_args!("{place}: {}", problem.message));
    }
    more(report.problem_count, report.problems.len());
}

fn schemas(report: &SchemaReport) {
    let wrong = report.problem_count;
    let fit = report.checked.saturating_sub(wrong);
    say(format_args!(
        "schemas: {} as the schema of its kind says, {wrong} not",
        counted(fit, "record")
    ));
    for problem in &report.problems {
        let (file, line, seq) = (&problem.file, problem.line, problem.seq);
        let (kind, path) = (problem.kind.name(), &problem.path);
        let message = &problem.message;
        say(format_args!(
            "{file} line {line}: record {seq}, a {kind}: body{path} {message}"
        ));
    }
    let mut records: Vec<u64> = report.problems.iter().map(|one| one.seq).collect();
    records.dedup();
    more(wrong, records.len());
}

fn more(all: u64, told: usize) {
    let untold = all.saturating_sub(told as u64);
    if untold > 0 {
        say(format_args!("and {untold} more"));
    }
}

fn folder(folder: &Folder) {
    let (name, files, bytes) = (&folder.name, folder.files, folder.bytes);
    let verdict = match folder.problems.is_empty() {
        true => "as the receipt says, and the sums are right",
        false => "not as the receipt says",
    };
    say(format_args!(
        "datasets/{name}: {}, {}, {verdict}",
        counted(files, "file"),
        counted(bytes, "byte")
    ));
    for problem in &folder.problems {
        say(format_args!("  {}: {}", problem.file, problem.message));
    }
    for note in &folder.notes {
        say(format_args!("  {note}"));
    }
}

fn profile(profile: &Profile) {
    let percent = |part: u64, all: u64| match all {
        0 => 0.0,
        all => 100.0 * part as f64 / all as f64,
    };
    let (calls, latency, retrieval) = (profile.calls, profile.latency, profile.retrieval);
    say(format_args!(
        "production: {}, {:.1} % failed; latency p50 {} ms, p95 {} ms",
        counted(calls, "call"),
        percent(profile.failed, calls),
        latency.p50_ms,
        latency.p95_ms
    ));
    say(format_args!(
        "  {:.1} % with passages: {:.1} of them, best score {:.3}, {:.1} % cited",
        percent(retrieval.calls, calls),
        retrieval.passages,
        retrieval.top_score,
        percent(retrieval.cited, retrieval.calls)
    ));
    let tokens = profile.tokens;
    say(format_args!(
        "  tokens of {}: {:.0} read, {:.0} written",
        counted(tokens.calls, "call"),
        tokens.prompt,
        tokens.completion
    ));
    for (what, mix) in [("outcomes", &profile.outcomes), ("models", &profile.models)] {
        let shares = mix
            .names()
            .map(|name| format!("{name} {:.1} %", 100.0 * mix.share(name)));
        let shares: Vec<_> = shares.collect();
        if !shares.is_empty() {
            say(format_args!("  {what}: {}", shares.join(", ")));
        }
    }
}

fn drift(drift: &Drift) {
    match drift.drifted.len() {
        0 => say(format_args!("drift: none from {}", drift.baseline)),
        _ => say(format_args!(
            "drift: from {} in {}",
            drift.baseline,
            drift.drifted.join(", ")
        )),
    }
    drift.measures.iter().for_each(measure);
}

fn measure(measure: &Measure) {
    let name = measure.name;
    let Some(value) = measure.value else {
        let (then, now) = measure.samples;
        return say(format_args!(
            "  {name}: too few to tell, {then} then and {now} now"
        ));
    };
    let verdict = if measure.drifted { "DRIFTED" } else { "ok" };
    let way = match measure.way {
        Way::Distance => "distance",
        Way::Ratio => "ratio",
        Way::Difference => "difference",
    };
    let mut change = match (measure.before, measure.now) {
        (Some(before), Some(now)) => format!(", {before:.3} then, {now:.3} now"),
        _ => String::new(),
    };
    if measure.drifted {
        for one in &measure.moved {
            change += &format!(", {} {:.3} then, {:.3} now", one.name, one.before, one.now);
        }
    }
    say(format_args!(
        "  {name}: {verdict}, {way} {value:.3} of {}{change}",
        measure.threshold
    ));
}
