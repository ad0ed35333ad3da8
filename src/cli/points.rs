//! `boathouse points`: the points of a collection, one by one or page by page.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{Client, escaped, refused};
use super::error::CliError;
use super::ingest::collection_name;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse points count docs --filter '{\"lang\": \"en\"}'
  boathouse points get docs 'docs/API.md#3' --json
  boathouse points upsert docs points.jsonl               {\"id\", \"text\"?, \"vector\"?, \"payload\"?} on each line
  echo '{\"id\": \"a1\", \"text\": \"The ferry leaves at nine.\"}' | boathouse points upsert docs -
  boathouse points scroll docs --limit 20
  boathouse points scroll docs --all --json > points.jsonl
  boathouse points delete docs a1 a2
  boathouse points delete docs --filter '{\"source\": \"old.md\"}'     says how many, and asks

`boathouse ingest` reads documents and tables; `boathouse collection export` writes whole collections.";

/// Most points in one request.
const BATCH: usize = 256;
/// Bytes of them, about.
const BATCH_BYTES: usize = 4 << 20;
/// Points of a page.
const PAGE: usize = 1_000;
/// Characters of a text that are shown.
const SHOWN: usize = 80;

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum PointsCommand {
    /// Show one point
    Get(GetArgs),
    /// Insert points, or replace those of the same id
    Upsert(UpsertArgs),
    /// Delete points by their ids or by a filter
    Delete(DeleteArgs),
    /// Count points
    Count(CountArgs),
    /// Read points in the order of their ids
    Scroll(ScrollArgs),
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    collection: String,
    /// The point's id
    id: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct UpsertArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    collection: String,
    /// JSON lines, a point each; - is stdin
    file: PathBuf,
    /// Embed the beginning of a text that is longer than the model reads
    #[arg(long)]
    truncate: bool,
    /// Print how many as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    collection: String,
    /// The points' ids
    #[arg(
        value_name = "ID",
        required_unless_present = "filter",
        conflicts_with = "filter"
    )]
    ids: Vec<String>,
    /// Points whose payload matches: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    filter: Option<String>,
    /// Do not ask before deleting by a filter
    #[arg(long)]
    yes: bool,
    /// Print how many as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct CountArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    collection: String,
    /// Only points whose payload matches: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE")]
    filter: Option<String>,
    /// Only points of this role, or of none
    #[arg(long)]
    role: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct ScrollArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    collection: String,
    /// Only points whose payload matches: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE")]
    filter: Option<String>,
    /// Only points of this role, or of none
    #[arg(long)]
    role: Option<String>,
    /// Most points
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: usize,
    /// All points
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Begin after this id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Print whole points as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &PointsCommand) -> Result<(), CliError> {
    match command {
        PointsCommand::Get(args) => get(overrides, args),
        PointsCommand::Upsert(args) => upsert(overrides, args),
        PointsCommand::Delete(args) => delete(overrides, args),
        PointsCommand::Count(args) => count(overrides, args),
        PointsCommand::Scroll(args) => {
            let choice = choice(args.filter.as_deref(), args.role.as_deref())?;
            server::ask(overrides, &args.server, async |client| {
                scroll(client, args, choice).await
            })
        }
    }
}

fn path(collection: &str) -> String {
    format!("/v1/collections/{collection}/points")
}

fn choice(filter: Option<&str>, role: Option<&str>) -> Result<Map<String, Value>, CliError> {
    let filter = filter.map(|given| input::json(given, "the filter"));
    Ok(input::object([
        ("filter", filter.transpose()?),
        ("role", role.map(Value::from)),
    ]))
}

fn get(overrides: &Overrides, args: &GetArgs) -> Result<(), CliError> {
    let path = format!("{}/{}", path(&args.collection), escaped(&args.id));
    let point = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Get, &path, None).await
    })?;
    match args.json {
        true => output::say(point),
        false => output::fields(&point),
    }
    Ok(())
}

fn upsert(overrides: &Overrides, args: &UpsertArgs) -> Result<(), CliError> {
    let points = points(&input::read(&args.file)?)?;
    let path = path(&args.collection);
    let bar = output::progress(points.len(), "sending");
    let stored = server::ask(overrides, &args.server, async |client| {
        let mut stored = 0;
        for batch in batches(&points) {
            let batch: Vec<&Value> = batch.iter().map(|(_, point)| point).collect();
            let body = json!({"points": batch, "truncate": args.truncate});
            let answer = client.settled(Method::Post, &path, Some(&body)).await?;
            if answer.status != 200 {
                let refused = refused(&path, &answer);
                return Err(CliError::failed(format!(
                    "{refused}; stored: {stored} of {}, and none of the {} of this request",
                    counted(points.len(), "point"),
                    batch.len()
                )));
            }
            stored += batch.len();
            bar.set_position(stored as u64);
        }
        Ok(stored)
    });
    bar.finish_and_clear();
    let stored = stored?;
    match args.json {
        true => output::say(json!({"upserted": stored})),
        false => output::say(format_args!(
            "{} stored in collection {}",
            counted(stored, "point"),
            args.collection
        )),
    }
    Ok(())
}

/// The points of a file with the bytes of their lines. All lines are read before one is sent.
fn points(text: &str) -> Result<Vec<(usize, Value)>, CliError> {
    let mut points = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let point = input::parse(line, &format!("line {}", at + 1))?;
        if !point.is_object() {
            return Err(CliError::failed(format!(
                "line {} is no object with an id",
                at + 1
            )));
        }
        points.push((line.len(), point));
    }
    match points.is_empty() {
        true => Err(CliError::failed("there are no points to store")),
        false => Ok(points),
    }
}

/// Cuts the points so that no request is too large.
fn batches(points: &[(usize, Value)]) -> impl Iterator<Item = &[(usize, Value)]> {
    let mut left = points;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = left.iter().take(BATCH).take_while(|(length, _)| {
            bytes += length;
            bytes <= BATCH_BYTES
        });
        // One that is too large by itself is for the server to refuse.
        let (batch, rest) = left.split_at_checked(fits.count().max(1))?;
        left = rest;
        Some(batch)
    })
}

fn delete(overrides: &Overrides, args: &DeleteArgs) -> Result<(), CliError> {
    let collection = path(&args.collection);
    let filter = choice(args.filter.as_deref(), None)?;
    let body = match filter.is_empty() {
        true => json!({"ids": args.ids}),
        false => Value::Object(filter),
    };
    let answer = server::ask(overrides, &args.server, async |client| {
        if args.filter.is_some() && !args.yes {
            let path = format!("{collection}/count");
            let found = client.must(Method::Post, &path, Some(&body)).await?;
            let points = counted(&found["count"], "point");
            let question = format!("Delete {points} for good?");
            if !input::confirmed_meanwhile(question).await? {
                return Err(CliError::failed("nothing was deleted"));
            }
        }
        let path = format!("{collection}/delete");
        client.must(Method::Post, &path, Some(&body)).await
    })?;
    match args.json {
        true => output::say(answer),
        false => {
            let points = counted(&answer["deleted"], "point");
            output::say(format_args!("{points} deleted"));
        }
    }
    Ok(())
}

fn count(overrides: &Overrides, args: &CountArgs) -> Result<(), CliError> {
    let body = Value::Object(choice(args.filter.as_deref(), args.role.as_deref())?);
    let path = format!("{}/count", path(&args.collection));
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Post, &path, Some(&body)).await
    })?;
    match args.json {
        true => output::say(answer),
        false => output::say(&answer["count"]),
    }
    Ok(())
}

async fn scroll(
    client: &Client,
    args: &ScrollArgs,
    mut body: Map<String, Value>,
) -> Result<(), CliError> {
    let path = format!("{}/scroll", path(&args.collection));
    let mut left = match args.all {
        true => usize::MAX,
        false => args.limit,
    };
    let mut after = args.after.clone().map(Value::from);
    let mut rows = Vec::new();
    while left > 0 && !output::unheard() {
        body.insert("limit".to_owned(), left.min(PAGE).into());
        body.extend(after.map(|after| ("after".to_owned(), after)));
        let asked = Value::Object(body.clone());
        let page = client.must(Method::Post, &path, Some(&asked)).await?;
        let points = page["points"].as_array().map_or(&[][..], Vec::as_slice);
        for point in points {
            match args.json {
                true => output::say(point),
                false => rows.push([
                    output::cell(&point["id"]),
                    output::line(point["text"].as_str().unwrap_or_default(), SHOWN),
                    output::line(&point["payload"].to_string(), SHOWN),
                ]),
            }
        }
        left = left.saturating_sub(points.len());
        after = Some(page["next"].clone()).filter(|next| !next.is_null());
        if after.is_none() {
            break;
        }
    }
    if !args.json {
        output::table(["id", "text", "payload"], &rows);
    }
    if let Some(next) = after
        && !output::unheard()
    {
        output::note(format_args!(
            "there are more: --after {}",
            next.as_str().unwrap_or_default()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_before_anything_is_sent() {
        let read = points("{\"id\": \"a\"}\n\n{\"id\": \"b\"}\n").unwrap();
        assert_eq!(read.len(), 2);
        for (text, says) in [
            ("{\"id\": \"a\"}\n{", "line 2 is no JSON"),
            ("7", "line 1 is no object"),
            (" \n", "no points"),
        ] {
            let error = points(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn requests_are_bounded_in_points_and_bytes() {
        let sizes = |lengths: &[usize]| -> Vec<usize> {
            let points: Vec<_> = lengths.iter().map(|length| (*length, json!({}))).collect();
            batches(&points).map(<[_]>::len).collect()
        };
        assert_eq!(sizes(&[1; 600]), [256, 256, 88]);
        assert_eq!(sizes(&[BATCH_BYTES * 2, 1, BATCH_BYTES, 1]), [1, 1, 1, 1]);
        assert!(sizes(&[]).is_empty());
    }
}
