//! `boathouse collection`: whole collections, out of and into a running server, and on disk while none has them open.

use std::io::{IsTerminal as _, Write as _};

use clap::{Args, Subcommand};

use super::error::CliError;
use super::reembed::{self, ReembedArgs};
use super::transfer::{self, ExportArgs, ImportArgs};
use super::{output, privacy, serve};
use crate::config::Overrides;
use crate::services::repair::{Checked, Damage, Offline};

const EXAMPLES: &str = "Examples:
  boathouse collection check                 read every collection of ./data, say what is damaged
  boathouse collection check docs --data /srv/house
  boathouse collection repair docs           say what would be lost, ask, then repair
  boathouse collection repair docs --yes     without asking
  boathouse collection export docs --to docs.jsonl       or .parquet
  boathouse collection import copy --from docs.parquet
  boathouse collection reembed docs                      after its model has changed
  boathouse collection reembed docs --embedder minilm    to give it another model

export, import and reembed talk to a running server; for check and repair it must be stopped. Exit status: 0 all sound or repaired, 1 something is damaged.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum CollectionCommand {
    /// Read collections whole and say what is damaged; changes nothing
    Check {
        /// Which ones; all of the data folder when left out
        names: Vec<String>,
    },
    /// Make a damaged collection whole again from what can be read; its damaged files are kept
    Repair(RepairArgs),
    /// Write a whole collection of a running server to a file, exactly as it is at this moment
    Export(ExportArgs),
    /// Read a file into a collection of a running server; the file is checked whole before anything is written
    Import(ImportArgs),
    /// Embed all points of a collection of a running server anew, with its model as it is now or with another
    Reembed(ReembedArgs),
}

#[derive(Debug, Args)]
pub(super) struct RepairArgs {
    /// The collection
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &CollectionCommand) -> Result<(), CliError> {
    let offline = || {
        let settings = serve::settings(overrides)?;
        privacy::keep(&settings.storage)?;
        Offline::open(&settings.storage.data_dir).map_err(failed)
    };
    match command {
        CollectionCommand::Check { names } => check(&offline()?, names),
        CollectionCommand::Repair(args) => repair(&offline()?, args),
        CollectionCommand::Export(args) => transfer::export(overrides, args),
        CollectionCommand::Import(args) => transfer::import(overrides, args),
        CollectionCommand::Reembed(args) => reembed::run(overrides, args),
    }
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::failed(error.to_string())
}

fn check(offline: &Offline, names: &[String]) -> Result<(), CliError> {
    let all = match names {
        [] => offline.names().map_err(failed)?,
        some => some.to_vec(),
    };
    let mut damaged = 0;
    for name in &all {
        match offline.check(name) {
            Ok(checked) => {
                tell(name, &checked);
                damaged += usize::from(!checked.files.damages.is_empty());
            }
            Err(error) => {
                output::say(format_args!("{name}: cannot be read: {error}"));
                damaged += 1;
            }
        }
    }
    match damaged {
        0 => Ok(()),
        _ => Err(failed(format_args!(
            "{damaged} of {} damaged; `boathouse collection repair NAME` keeps what can be read",
            all.len()
        ))),
    }
}

fn repair(offline: &Offline, args: &RepairArgs) -> Result<(), CliError> {
    let found = offline.check(&args.name).map_err(failed)?;
    tell(&args.name, &found);
    if found.files.damages.is_empty() {
        return Ok(());
    }
    if !args.yes && !confirmed()? {
        return Err(failed("nothing was changed"));
    }
    let (repaired, kept) = offline.repair(&args.name).map_err(failed)?;
    output::say(format_args!(
        "{}: repaired, {} points; the damaged files are in {}",
        args.name,
        repaired.points,
        kept.display()
    ));
    Ok(())
}

fn confirmed() -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(failed("give --yes to repair without being asked"));
    }
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "Repair, and lose what is named above? [y/N] ").and_then(|()| out.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn tell(name: &str, checked: &Checked) {
    let files = &checked.files;
    let state = match files.damages.len() {
        0 => "sound".to_owned(),
        1 => "damaged in one place".to_owned(),
        places => format!("damaged in {places} places"),
    };
    output::say(format_args!(
        "{name}: {state}; {} points can be read, of {} records in the snapshot and {} in the log",
        checked.points, files.snapshot_records, files.log_records
    ));
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
        output::say(format_args!(
            "  {file} at byte {offset}, {bytes} bytes: {reason}; {lost}"
        ));
    }
    if files.torn_bytes > 0 {
        output::say(format_args!(
            "  the last {} bytes of the log are a write that a crash cut short: it was never acknowledged",
            files.torn_bytes
        ));
    }
}
