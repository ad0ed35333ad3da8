//! `boathouse collection move`: a collection of a running server, brought over to another backend.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::error::CliError;
use super::output;
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

/// Time between two looks at how far it is.
const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct MoveArgs {
    /// The collection
    #[arg(value_parser = super::ingest::collection_name)]
    name: String,
    /// The backend that is to keep it: one of the settings, or hnsw, the server itself; without it, how the last move is
    #[arg(long, value_name = "BACKEND", value_parser = ["hnsw", "qdrant", "lance"])]
    to: Option<String>,
    /// End the move under way; the collection stays where it was
    #[arg(long, conflicts_with = "to")]
    cancel: bool,
    /// Print how it ended as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &MoveArgs) -> Result<(), CliError> {
    let name = &args.name;
    let path = format!("/v1/collections/{name}/move");
    server::until_done(overrides, &args.server, async |client| {
        let Some(to) = &args.to else {
            if !args.cancel {
                let last = client.must(Method::Get, &path, None).await?;
                match args.json {
                    true => output::say(&last),
                    false => output::say(described(name, &last)),
                }
                return Ok(());
            }
            let ended = client.must(Method::Delete, &path, None).await?;
            return match ended["state"].as_str() {
                Some("cancelled") => {
                    match args.json {
                        true => output::say(&ended),
                        false => {
                            output::say(format_args!("{name}: cancelled, it stays where it was"))
                        }
                    }
                    Ok(())
                }
                _ => Err(CliError::failed(format!("{name}: nothing is under way"))),
            };
        };
        let bar = output::progress(0, "moving");
        let work = moved(client, &path, to, |run| {
            bar.set_length(run["of"].as_u64().unwrap_or(0));
            bar.set_position(run["done"].as_u64().unwrap_or(0));
        });
        let done = tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(Ended::Other(CliError::interrupted(match client.is_own() {
                true => format!("{name}: stopped; the next start goes on with it, or `boathouse collection move {name} --cancel` ends it"),
                false => format!(
                    "{name}: it goes on in the server; `boathouse collection move {name} --cancel` ends it"
                ),
            }))),
        };
        bar.finish_and_clear();
        let done = done.map_err(|error| match error {
            Ended::Other(error) => error,
            Ended::Failed(why) => CliError::failed(format!("{name} was not moved: {why}")),
        })?;
        if args.json {
            output::say(&done);
            return Ok(());
        }
        output::say(format_args!(
            "{name}: {} now in {to}",
            counted(&done["done"], "point")
        ));
        Ok(())
    })
}

fn described(name: &str, last: &Value) -> String {
    let Some(state) = last["state"].as_str() else {
        return format!("{name}: no move since the server was started");
    };
    let why = last["error"].as_str().map(|why| format!(", {why}"));
    format!(
        "{name}: from {} to {}, {state}: {} of {} copied{}",
        output::cell(&last["from"]),
        output::cell(&last["to"]),
        last["done"],
        counted(&last["of"], "point"),
        why.unwrap_or_default()
    )
}

/// Why a move did not come to its end.
enum Ended {
    Failed(String),
    Other(CliError),
}

impl From<CliError> for Ended {
    fn from(error: CliError) -> Self {
        Self::Other(error)
    }
}

/// Has a collection moved and waits for the end; `each` hears how far it is.
async fn moved(
    client: &Client,
    path: &str,
    to: &str,
    mut each: impl FnMut(&Value),
) -> Result<Value, Ended> {
    let body = json!({ "to": to });
    let mut run = client.must(Method::Post, path, Some(&body)).await?;
    loop {
        each(&run);
        let failed = match run["state"].as_str() {
            Some("running") => {
                tokio::time::sleep(EVERY).await;
                run = client.must(Method::Get, path, None).await?;
                continue;
            }
            Some("done") => return Ok(run),
            Some("failed") => run["error"].as_str().unwrap_or_default(),
            Some("cancelled") => "it was cancelled",
            _ => "the server was started anew meanwhile, and goes on with it",
        };
        return Err(Ended::Failed(failed.to_owned()));
    }
}
