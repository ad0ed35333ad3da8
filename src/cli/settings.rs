//! `boathouse config`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::error::CliError;
use super::{output, serve};
use crate::app;
use crate::config::{Overrides, manual};

const EXAMPLES: &str = "Examples:
  boathouse config show                      what is in force here, from all layers
  boathouse config show --json --config /etc/boathouse.toml
  boathouse config check
  boathouse config docs                      every setting with its default and its meaning";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ConfigCommand {
    /// Print the settings in force, as TOML
    Show(PlainArgs),
    /// Check the settings, and the tables and rules of validation that they name; status 64 when something is wrong
    Check(PlainArgs),
    /// Print the manual as Markdown: every setting with its default
    Docs,
}

#[derive(Debug, Args)]
pub(super) struct PlainArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &ConfigCommand) -> Result<(), CliError> {
    match command {
        ConfigCommand::Docs => output::say(manual().trim_end()),
        ConfigCommand::Show(args) => {
            let settings = serve::settings(overrides)?;
            if args.json {
                output::say(json!(settings));
                return Ok(());
            }
            let text = toml::to_string(&settings)
                .map_err(|error| CliError::failed(format!("settings as TOML: {error}")))?;
            output::say(text.trim_end());
        }
        ConfigCommand::Check(args) => {
            app::check(&serve::settings(overrides)?)?;
            match args.json {
                true => output::say(json!({"fine": true})),
                false => output::say("settings are fine"),
            }
        }
    }
    Ok(())
}
