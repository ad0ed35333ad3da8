//! `boathouse jobs`: what a running server works on for longer than a request.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Client;
use super::error::CliError;
use super::output;
use super::server::RunningArgs;
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse jobs list                  materialization, export, and collections that are embedded anew
  boathouse jobs cancel datasets       ends the materialization or export; what was there before stays
  boathouse jobs cancel push           ends the push to object storage, or the pull
  boathouse jobs cancel docs           ends the run that embeds the collection docs anew";

/// What the job of datasets is called.
const DATASETS: &str = "datasets";
const DATASETS_PATH: &str = "/v1/datasets/job";
/// What a push and a pull are called.
const PUSH: &str = "push";
const PUSH_PATH: &str = "/v1/push";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum JobsCommand {
    /// List what is under way, and how far it is
    List(ListArgs),
    /// End a job; what it was to replace stays as it was
    Cancel(CancelArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print the jobs as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: RunningArgs,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// datasets, push, or the collection that is embedded anew
    name: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: RunningArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &JobsCommand) -> Result<(), CliError> {
    match command {
        JobsCommand::List(args) => list(overrides, args),
        JobsCommand::Cancel(args) => cancel(overrides, args),
    }
}

fn list(overrides: &Overrides, args: &ListArgs) -> Result<(), CliError> {
    let client = args.server.client(overrides)?;
    let jobs = actix_web::rt::System::new().block_on(under_way(&client))?;
    if args.json {
        jobs.iter().for_each(output::say);
        return Ok(());
    }
    if jobs.is_empty() {
        output::say("nothing is under way");
        return Ok(());
    }
    let rows: Vec<_> = jobs.iter().map(row).collect();
    output::table(["name", "job", ">done", ">of", "state"], &rows);
    Ok(())
}

fn row(job: &Value) -> [String; 5] {
    ["name", "job", "done", "of", "state"].map(|name| output::cell(&job[name]))
}

async fn under_way(client: &Client) -> Result<Vec<Value>, CliError> {
    let mut jobs = Vec::new();
    let job = client.must(Method::Get, DATASETS_PATH, None).await?;
    if job["job"].is_string() {
        let state = match job["cancelled"] == true {
            true => "ends",
            false => "running",
        };
        jobs.push(json!({
            "name": DATASETS, "job": job["job"], "done": job["done"], "of": job["of"], "state": state,
        }));
    }
    // Only an admin's key is told of it.
    let moving = client.ask(Method::Get, PUSH_PATH, None).await?;
    let moving = &moving.body["under_way"];
    if moving.is_object() {
        let state = match moving["cancelled"] == true {
            true => "ends",
            false => "running",
        };
        jobs.push(json!({
            "name": PUSH, "job": moving["job"], "done": moving["done"], "of": moving["of"], "state": state,
        }));
    }
    let all = client.must(Method::Get, "/v1/collections", None).await?;
    for collection in all["collections"].as_array().into_iter().flatten() {
        let run = &collection["reembedding"];
        if run["state"] == "running" {
            jobs.push(json!({
                "name": collection["name"], "job": "reembed", "done": run["done"], "of": run["of"], "state": "running",
            }));
        }
    }
    Ok(jobs)
}

fn cancel(overrides: &Overrides, args: &CancelArgs) -> Result<(), CliError> {
    let path = match args.name.as_str() {
        DATASETS => DATASETS_PATH.to_owned(),
        PUSH => PUSH_PATH.to_owned(),
        name => {
            let name = super::ingest::collection_name(name).map_err(CliError::failed)?;
            format!("/v1/collections/{name}/reembed")
        }
    };
    let answer = args.server.must(overrides, Method::Delete, &path, None)?;
    let moving = &answer["under_way"]["cancelled"];
    let ended = answer["cancelled"] == true || *moving == true || answer["state"] == "cancelled";
    if args.json {
        output::say(&answer);
    }
    match (ended, args.json) {
        (false, _) => Err(CliError::failed(format!(
            "{}: nothing is under way",
            args.name
        ))),
        (true, true) => Ok(()),
        (true, false) => {
            output::say(format_args!("{}: told to end", args.name));
            Ok(())
        }
    }
}
