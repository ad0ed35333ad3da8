//! `boathouse audit`: whether the evidence is what was written.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::{output, serve};
use crate::config::Overrides;
use crate::services::audit::{self, KeptHead};

const EXAMPLES: &str = "Examples:
  boathouse audit                                  walk the journal of ./data, name what is not as it was written
  boathouse audit --data /srv/house --json
  curl -s localhost:8642/v1/evidence/head > head.json       keep this elsewhere, and later:
  boathouse audit --head head.json                 also finds a journal that was rewritten or cut as a whole

An erased record is fine where a record of the erasure names it, and so is a beginning that retention removed where a record says so.
It changes nothing, and may run beside a server. Exit status: 0 intact, 1 not.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AuditArgs {
    /// A head that was kept elsewhere: the answer of GET /v1/evidence/head
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &AuditArgs) -> Result<(), CliError> {
    let settings = serve::settings(overrides)?;
    let kept = args.head.as_ref().map(read_head).transpose()?;
    let bar = output::byte_progress(0, "audited");
    let report = audit::audit(&settings.storage.data_dir, kept, |read, all| {
        bar.set_length(all);
        bar.set_position(read);
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| CliError::failed(error.message))?;
    if args.json {
        let json = serde_json::to_string_pretty(&report);
        output::say(json.map_err(|error| CliError::failed(error.to_string()))?);
    } else {
        output::say(format_args!(
            "{} records in {} files, the last is {} {}",
            report.records, report.segments, report.head_seq, report.head_hash
        ));
        if let Some(removed) = &report.removed {
            output::say(format_args!(
                "begins at record {}; record {} {} and all before it were removed by {}, says record {}",
                report.first_seq, removed.last, removed.hash, removed.reason, removed.by
            ));
        }
        if report.kept_head_removed {
            output::say(
                "the head that was kept is of a record that was removed: nothing is left to compare it with",
            );
        }
        match (report.erased, report.unverifiable) {
            (0, _) => {}
            (erased, 0) => output::say(format_args!("{erased} erased, chain intact through them")),
            (erased, old) => output::say(format_args!(
                "{erased} erased, chain intact through them; {old} of them are of the first version, whose erased content cannot be verified"
            )),
        }
        if report.pending {
            output::say(
                "an erasure or removal is under way, or was interrupted; the next start completes it",
            );
        }
        if report.torn_bytes > 0 {
            output::say(format_args!(
                "the last line is not finished: {} bytes, of a write under way or of a crash; the next start cuts them off",
                report.torn_bytes
            ));
        }
        for problem in &report.problems {
            let place = match problem.line {
                0 => problem.file.clone(),
                line => format!("{} line {line}", problem.file),
            };
            output::say(format_args!("{place}: {}", problem.message));
        }
        let untold = report.problem_count - report.problems.len() as u64;
        if untold > 0 {
            output::say(format_args!("and {untold} more"));
        }
    }
    match report.problem_count {
        0 => Ok(()),
        1 => Err(CliError::failed("one thing is not as it was written")),
        count => Err(CliError::failed(format!(
            "{count} things are not as they were written"
        ))),
    }
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
