//! `boathouse sql`: statements over what was materialized and exported.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::error::CliError;
use super::{descriptors, input, output, serve};
use crate::config::Overrides;
use crate::services::sql::{self, SqlInput, SqlRows};

/// Rows of a table on the screen, unless more are asked for.
const ROWS: usize = 1000;

/// The columns of EXPLAIN.
const PLAN: [&str; 2] = ["plan_type", "plan"];

const EXAMPLES: &str = "Examples:
  boathouse sql                                    the tables, with their columns
  boathouse sql 'SELECT outcome, count(*) FROM tasks GROUP BY outcome'
  boathouse sql \"SELECT date, round(avg(latency_ms)) AS ms FROM tasks WHERE date >= '2026-11-01' GROUP BY date ORDER BY date\"
  boathouse sql 'SELECT split, count(*) FROM sft GROUP BY split' --json
  boathouse sql \"SELECT * FROM 'datasets/exports/*/parquet/train.parquet'\" --csv > rows.csv
  boathouse sql --file report.sql --memory 4096

Tables are tasks, with the day as date, and each export by its name, with the side as split; docs/SQL.md has their columns.
Statements only read. They read files, beside a server or without one, and see what `boathouse materialize` and
`boathouse export` made last. SHOW TABLES and DESCRIBE work too; the dialect is DataFusion's.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SqlArgs {
    /// One statement; without one, the tables are listed
    #[arg(conflicts_with = "file")]
    statement: Option<String>,
    /// Read the statement from a file; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print a JSON object for each row
    #[arg(long)]
    json: bool,
    /// Print CSV; lists and structs as JSON
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Most rows; default 1000 in a table, all of them as JSON and CSV
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
    /// Most memory for sorting, joining and grouping, MiB; what needs more fails
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    memory: u32,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &SqlArgs) -> Result<(), CliError> {
    let settings = serve::settings(overrides)?;
    let statement = match (&args.statement, &args.file) {
        (Some(statement), _) => statement.clone(),
        (None, Some(file)) => input::read(file)?,
        (None, None) => sql::LIST.to_owned(),
    };
    let memory_bytes = usize::try_from(u64::from(args.memory) << 20).unwrap_or(usize::MAX);
    let asked = SqlInput {
        statement,
        memory_bytes,
    };
    // All days of the tasks are open at the same time.
    descriptors::allow_all();
    // A current-thread loop: the statement has threads of its own, and Ctrl-C is heard whatever they do.
    actix_web::rt::System::new().block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted("stopped")),
            outcome = answer(&settings.storage.data_dir, asked, args) => outcome,
        }
    })
}

async fn answer(data: &Path, asked: SqlInput, args: &SqlArgs) -> Result<(), CliError> {
    let failed = |error: crate::services::ServiceError| CliError::failed(error.message);
    let mut rows = sql::query(data, asked).await.map_err(failed)?;
    let mut printer = Printer::new(&rows, args)?;
    let most = match (args.limit, &printer) {
        (Some(limit), _) => limit,
        (None, Printer::Table(_)) => ROWS,
        (None, _) => usize::MAX,
    };
    let mut left = most;
    let mut more = false;
    while let Some(some) = rows.next().await.map_err(failed)? {
        more = some.len() > left;
        for row in some.into_iter().take(left) {
            left -= 1;
            printer.row(&rows, row)?;
        }
        // A limit that somebody chose needs no look at what is beyond it.
        if more || (left == 0 && args.limit.is_some()) || output::unheard() {
            break;
        }
    }
    printer.end(&rows);
    if more && args.limit.is_none() {
        output::note(format_args!(
            "only the first {most} rows: --limit, --json or --csv have more"
        ));
    }
    Ok(())
}

/// How rows are printed.
enum Printer {
    /// When all of them are there: a column is as wide as its widest cell.
    Table(Vec<Vec<String>>),
    Json,
    Csv,
}

impl Printer {
    fn new(rows: &SqlRows, args: &SqlArgs) -> Result<Self, CliError> {
        if args.json {
            return Ok(Self::Json);
        }
        if args.csv {
            record(rows.columns.iter().map(|column| column.name.clone()))?;
            return Ok(Self::Csv);
        }
        Ok(Self::Table(Vec::new()))
    }

    fn row(&mut self, rows: &SqlRows, row: Vec<Value>) -> Result<(), CliError> {
        match self {
            // A plan is a tree over many lines, which no cell can hold.
            Self::Table(_) if rows.columns.iter().map(|column| &column.name).eq(PLAN) => {
                for text in row.iter().filter_map(Value::as_str) {
                    output::say(without_controls(text).trim_end());
                }
            }
            Self::Table(kept) => kept.push(row.iter().map(output::cell).collect()),
            Self::Json => {
                let names = rows.columns.iter().map(|column| column.name.clone());
                let row: Map<String, Value> = names.zip(row).collect();
                output::say(Value::Object(row));
            }
            Self::Csv => record(row.into_iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                value => value.to_string(),
            }))?,
        }
        Ok(())
    }

    fn end(self, rows: &SqlRows) {
        let Self::Table(kept) = self else { return };
        let names = rows.columns.iter().map(|column| column.name.as_str());
        if names.eq(PLAN) {
            return;
        }
        let headings = rows.columns.iter().map(|column| {
            let name = output::line(&column.name, 200);
            match column.number {
                true => format!(">{name}"),
                false => name,
            }
        });
        let headings: Vec<String> = headings.collect();
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        output::table_of(&headings, &kept);
    }
}

/// A text of many lines, without what could move a terminal's cursor.
fn without_controls(text: &str) -> String {
    text.chars()
        .filter(|sign| *sign == '\n' || !sign.is_control())
        .collect()
}

/// Prints a line of CSV.
fn record(cells: impl Iterator<Item = String>) -> Result<(), CliError> {
    let mut line = csv::Writer::from_writer(Vec::new());
    let failed = |error: &dyn std::fmt::Display| CliError::failed(error.to_string());
    line.write_record(cells).map_err(|error| failed(&error))?;
    let line = line.into_inner().map_err(|error| failed(&error))?;
    let line = String::from_utf8(line).map_err(|error| failed(&error))?;
    output::write(line);
    Ok(())
}
