//! `boathouse collection reembed`: a collection of a running server, embedded anew.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

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
pub(super) struct ReembedArgs {
    /// The collection
    #[arg(value_parser = super::ingest::collection_name)]
    name: String,
    /// The model that it is to have; default the one it has, as it is now
    #[arg(long, value_name = "MODEL", conflicts_with = "cancel")]
    embedder: Option<String>,
    /// End the run under way; the collection stays as it was
    #[arg(long)]
    cancel: bool,
    /// Print how it ended as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &ReembedArgs) -> Result<(), CliError> {
    let name = &args.name;
    server::until_done(overrides, &args.server, async |client| {
        if args.cancel {
            let ended = client.must(Method::Delete, &path(name), None).await?;
            return match ended["state"].as_str() {
                Some("cancelled") => {
                    match args.json {
                        true => output::say(&ended),
                        false => {
                            output::say(format_args!("{name}: cancelled, nothing was changed"))
                        }
                    }
                    Ok(())
                }
                _ => Err(CliError::failed(format!("{name}: nothing is under way"))),
            };
        }
        let bar = output::progress(0, "embedding");
        let work = reembed(client, name, args.embedder.as_deref(), |run| {
            bar.set_length(run["of"].as_u64().unwrap_or(0));
            bar.set_position(run["done"].as_u64().unwrap_or(0));
        });
        let done = tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted(match client.is_own() {
                true => format!("{name}: stopped, for there is no server that would go on; it is as it was"),
                false => format!(
                    "{name}: it goes on in the server; `boathouse collection reembed {name} --cancel` ends it"
                ),
            })),
        };
        bar.finish_and_clear();
        let done = done?;
        if args.json {
            output::say(&done);
            return Ok(());
        }
        output::say(format_args!(
            "{name}: {} embedded anew by {}",
            counted(&done["done"], "point"),
            done["embedder"].as_str().unwrap_or_default()
        ));
        Ok(())
    })
}

fn path(name: &str) -> String {
    format!("/v1/collections/{name}/reembed")
}

/// Has a collection embedded anew and waits for the end; `each` hears how far it is.
pub(super) async fn reembed(
    client: &Client,
    name: &str,
    embedder: Option<&str>,
    mut each: impl FnMut(&Value),
) -> Result<Value, CliError> {
    let path = path(name);
    let mut body = Map::new();
    if let Some(embedder) = embedder {
        body.insert("embedder".to_owned(), json!(embedder));
    }
    let mut run = client
        .must(Method::Post, &path, Some(&Value::Object(body)))
        .await?;
    loop {
        each(&run);
        let failed = match run["state"].as_str() {
            Some("running") => {
                tokio::time::sleep(EVERY).await;
                run = client.must(Method::Get, &path, None).await?;
                continue;
            }
            Some("done") => return Ok(run),
            Some("failed") => run["error"].as_str().unwrap_or_default(),
            Some("cancelled") => "it was cancelled",
            _ => "the server was started anew meanwhile; do it again",
        };
        return Err(CliError::failed(format!(
            "{name} was not embedded anew: {failed}"
        )));
    }
}
