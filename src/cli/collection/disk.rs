//! Collections on disk, while no server has them open: checked, and repaired from what can be read.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::{input, output, privacy, serve};
use crate::config::Overrides;
use crate::services::repair::{Checked, Damage, Offline};
use crate::types::plain::counted;

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::failed(error.to_string())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// Which ones; all of the data folder when left out
    names: Vec<String>,
    /// Print what was found as JSON, a collection a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RepairArgs {
    /// The collection
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print what was repaired as JSON
    #[arg(long)]
    json: bool,
}

fn open(overrides: &Overrides) -> Result<Offline, CliError> {
    let settings = serve::settings(overrides)?;
    privacy::keep(&settings.storage)?;
    Offline::open(&settings.storage.data_dir).map_err(failed)
}

/// Runs `boathouse collection check`.
pub(super) fn check(overrides: &Overrides, args: &CheckArgs) -> Result<(), CliError> {
    let offline = open(overrides)?;
    let all = match args.names.as_slice() {
        [] => offline.names().map_err(failed)?,
        some => some.to_vec(),
    };
    let mut damaged = 0;
    let bar = output::progress(all.len(), "checking");
    for name in &all {
        let checked = offline.check(name);
        let sound = checked
            .as_ref()
            .is_ok_and(|checked| checked.files.damages.is_empty());
        damaged += usize::from(!sound);
        bar.suspend(|| match (&checked, args.json) {
            (Ok(checked), true) => output::say(json_of(name, checked)),
            (Ok(checked), false) => output::say(told(name, checked)),
            (Err(error), true) => {
                output::say(json!({"name": name, "sound": false, "error": error.to_string()}));
            }
            (Err(error), false) => {
                output::say(format_args!("{name}: cannot be read: {error}"));
            }
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    match damaged {
        0 => Ok(()),
        _ => Err(failed(format_args!(
            "{damaged} of {} damaged; `boathouse collection repair NAME` keeps what can be read",
            all.len()
        ))),
    }
}

/// Runs `boathouse collection repair`.
pub(super) fn repair(overrides: &Overrides, args: &RepairArgs) -> Result<(), CliError> {
    let offline = open(overrides)?;
    let found = offline.check(&args.name).map_err(failed)?;
    if found.files.damages.is_empty() {
        match args.json {
            true => output::say(json_of(&args.name, &found)),
            false => output::say(told(&args.name, &found)),
        }
        return Ok(());
    }
    match args.json {
        false => output::say(told(&args.name, &found)),
        // Who is asked must know, and stdout is for JSON.
        true if !args.yes => output::note(told(&args.name, &found)),
        true => {}
    }
    if !args.yes && !input::confirmed("Repair, and lose what is named above?")? {
        return Err(failed("nothing was changed"));
    }
    let (repaired, kept) = offline.repair(&args.name).map_err(failed)?;
    if args.json {
        output::say(json!({
            "name": args.name, "repaired": true, "points": repaired.points, "kept": kept.display().to_string(),
        }));
        return Ok(());
    }
    output::say(format_args!(
        "{}: repaired, {}; the damaged files are in {}",
        args.name,
        counted(repaired.points, "point"),
        kept.display()
    ));
    Ok(())
}

fn json_of(name: &str, checked: &Checked) -> Value {
    let files = &checked.files;
    let damages = files.damages.iter().map(|damage| {
        json!({
            "file": damage.file, "offset": damage.offset, "bytes": damage.bytes, "reason": damage.reason,
            "records": damage.records,
        })
    });
    json!({
        "name": name,
        "sound": files.damages.is_empty(),
        "points": checked.points,
        "snapshot_records": files.snapshot_records,
        "log_records": files.log_records,
        "torn_bytes": files.torn_bytes,
        "damages": damages.collect::<Vec<_>>(),
    })
}

/// What was found, a line for the whole and one for each place.
fn told(name: &str, checked: &Checked) -> String {
    let files = &checked.files;
    let state = match files.damages.len() {
        0 => "sound".to_owned(),
        1 => "damaged in one place".to_owned(),
        places => format!("damaged in {places} places"),
    };
    let mut lines = vec![format!(
        "{name}: {state}; {} can be read, of {} in the snapshot and {} in the log",
        counted(checked.points, "point"),
        counted(files.snapshot_records, "record"),
        files.log_records
    )];
    for Damage {
        file,
        offset,
        bytes,
        reason,
        records,
    } in &files.damages
    {
        let lost = match records {
            Some(0) => "no record is missing".to_owned(),
            Some(1) => "one record is lost".to_owned(),
            Some(records) => format!("{records} records are lost"),
            None => "nobody can tell how many records are lost".to_owned(),
        };
        lines.push(format!(
            "  {file} at byte {offset}, {}: {reason}; {lost}",
            counted(bytes, "byte")
        ));
    }
    if files.torn_bytes > 0 {
        lines.push(format!(
            "  at the end of the log stands {} of a write that a crash cut short: it was never acknowledged",
            counted(files.torn_bytes, "byte")
        ));
    }
    lines.join("\n")
}
