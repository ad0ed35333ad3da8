//! `boathouse audit`: whether the evidence is what was written, and production as it was.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::replay::{bound, moment};
use super::{output, privacy, serve};
use crate::config::Overrides;
use crate::services::audit::{self, AuditInput, KeptHead, Thresholds};

mod told;

const EXAMPLES: &str = "Examples:
  boathouse audit                                  check ./data, name what is not as it was written
  boathouse audit --data /srv/house --json
  curl -s localhost:8642/v1/evidence/head > head.json       keep this elsewhere, and later:
  boathouse audit --head head.json                 also finds a journal that was rewritten or cut as a whole
  boathouse audit --since 2026-11-01 --until 2026-12-01 --save-baseline november
  boathouse audit --since 2026-12-01 --baseline november --fail-on-drift
  boathouse audit --baseline november --drift-threshold latency_p95_ms=2 --drift-threshold cited=0.05

It looks at the chain of the journal, at each record's body by its schema, at the files and sums of each receipt of tasks
and exports, and at how production was: outcomes, providers, models, latency, failures, passages, citations, tokens. Answers
to replays, and imported ones, are no production.

A mix (outcomes, providers, models) has drifted when more than 0.15 of it is elsewhere; latencies, tokens, passages and
top_score when they are 1.5 times as large or as small; the shares retrieved and cited by 0.1, failed by 0.05. Nothing is said
of fewer than 100 calls.

An erased record is fine where a record of the erasure names it, and so is a beginning that retention removed where a record says so.
It changes nothing but the baseline that it saves, and may run beside a server. Exit status: 0 all well, 1 not, or drift with
--fail-on-drift.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AuditArgs {
    /// A head that was kept elsewhere: the answer of GET /v1/evidence/head
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Keep the present profile of production as datasets/baselines/NAME.json in the data folder
    #[arg(long, value_name = "NAME")]
    save_baseline: Option<String>,
    /// Compare the present profile of production with this one
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// The profile is of calls from this time on, such as 2026-11-01 or 2026-11-01T12:00:00Z
    #[arg(long, value_parser = moment, value_name = "TIME")]
    since: Option<u64>,
    /// The profile is of calls before this time
    #[arg(long, value_parser = moment, value_name = "TIME")]
    until: Option<u64>,
    /// Another threshold for a measure; may be given again
    #[arg(long, value_parser = bound, value_name = "MEASURE=VALUE", requires = "baseline")]
    drift_threshold: Vec<(String, f64)>,
    /// Calls or tasks, then and now, that a measure needs
    #[arg(long, value_name = "COUNT", requires = "baseline")]
    drift_least: Option<u64>,
    /// Exit with 1 when something drifted
    #[arg(long, requires = "baseline")]
    fail_on_drift: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &AuditArgs) -> Result<(), CliError> {
    let settings = serve::settings(overrides)?;
    privacy::keep(&settings.storage)?;
    let mut thresholds = Thresholds::default();
    for (name, value) in &args.drift_threshold {
        thresholds.set(name, *value).map_err(CliError::failed)?;
    }
    if let Some(least) = args.drift_least {
        thresholds.least(least);
    }
    let input = AuditInput {
        kept: args.head.as_ref().map(read_head).transpose()?,
        since_ms: args.since,
        until_ms: args.until,
        baseline: args.baseline.clone(),
        save_baseline: args.save_baseline.clone(),
        thresholds,
    };
    let bar = output::byte_progress(0, "audited");
    let report = audit::audit(&settings.storage.data_dir, input, |read, all| {
        bar.set_length(all);
        bar.set_position(read);
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| CliError::failed(error.message))?;
    if args.json {
        output::say_json(&report)?;
    } else {
        told::tell(&report);
    }
    match report.problem_count {
        0 => {}
        1 => return Err(CliError::failed("one thing is not as it was written")),
        count => {
            return Err(CliError::failed(format!(
                "{count} things are not as they were written"
            )));
        }
    }
    let drifted = report.drift.map(|drift| drift.drifted).unwrap_or_default();
    if args.fail_on_drift && !drifted.is_empty() {
        return Err(CliError::failed(format!("drifted: {}", drifted.join(", "))));
    }
    Ok(())
}

fn read_head(path: &PathBuf) -> Result<KeptHead, CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::failed(format!(
            "{} is no head, such as GET /v1/evidence/head answers: {error}",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&error))
}
