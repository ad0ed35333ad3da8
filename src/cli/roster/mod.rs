//! `boathouse roster`: invented workers, as CSV, JSON lines or Parquet.

mod parquet;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use self::parquet::ParquetWriter;
use super::error::CliError;
use super::output;
use crate::services::tables;
use crate::types::plain::counted;
use crate::types::roster::RosterRow;

const EXAMPLES: &str = "Examples:
  boathouse roster generate --rows 500000 --seed 7 --out roster.parquet
  boathouse roster generate --rows 100 --out roster.csv";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum RosterCommand {
    /// Write a roster of invented workers: the same rows and seed give the same file
    ///
    /// With namesakes, accents, suffixes, certificates with and without a last day, barred clients and availability.
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// How many workers
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    rows: u32,
    /// Which of the rosters of this size
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// The file to write: .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `boathouse roster`.
pub(super) fn run(command: &RosterCommand) -> Result<(), CliError> {
    let RosterCommand::Generate(args) = command;
    let rows = tables::generate(args.rows, args.seed);
    let wrong = |error: String| CliError::failed(format!("{}: {error}", args.out.display()));
    write(&args.out, rows).map_err(wrong)?;
    if args.json {
        let file = args.out.display().to_string();
        output::say(json!({"rows": args.rows, "seed": args.seed, "file": file}));
        return Ok(());
    }
    output::say(format_args!(
        "{} in {}",
        counted(args.rows, "worker"),
        args.out.display()
    ));
    Ok(())
}

fn write(path: &Path, rows: impl Iterator<Item = RosterRow>) -> Result<(), String> {
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    let write: fn(File, &mut dyn Iterator<Item = RosterRow>) -> Result<(), String> =
        match ending.as_deref() {
            Some("csv") => csv,
            Some("jsonl" | "ndjson") => jsonl,
            Some("parquet") => parquet,
            _ => return Err("the name must end in .csv, .jsonl or .parquet".to_owned()),
        };
    let file = File::create(path).map_err(|error| error.to_string())?;
    let mut rows = rows;
    write(file, &mut rows)
}

fn csv(file: File, rows: &mut dyn Iterator<Item = RosterRow>) -> Result<(), String> {
    let wrong = |error: ::csv::Error| error.to_string();
    let mut writer = ::csv::Writer::from_writer(BufWriter::new(file));
    writer.write_record(RosterRow::COLUMNS).map_err(wrong)?;
    for row in rows {
        writer.write_record(row.texts()).map_err(wrong)?;
    }
    writer.flush().map_err(|error| error.to_string())
}

fn jsonl(file: File, rows: &mut dyn Iterator<Item = RosterRow>) -> Result<(), String> {
    let mut writer = BufWriter::new(file);
    for row in rows {
        serde_json::to_writer(&mut writer, &row).map_err(|error| error.to_string())?;
        writer.write_all(b"\n").map_err(|error| error.to_string())?;
    }
    writer.flush().map_err(|error| error.to_string())
}

fn parquet(file: File, rows: &mut dyn Iterator<Item = RosterRow>) -> Result<(), String> {
    let mut writer = ParquetWriter::new(file).map_err(|error| error.to_string())?;
    for row in rows {
        writer.push(&row).map_err(|error| error.to_string())?;
    }
    writer.finish().map_err(|error| error.to_string())
}
