//! `boathouse config`.

use clap::Subcommand;

use super::error::CliError;
use super::{output, serve};
use crate::app;
use crate::config::{Overrides, manual};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the settings in force, as TOML
    Show,
    /// Check the settings, and the tables and rules of validation that they name; status 64 when something is wrong
    Check,
    /// Print the manual as Markdown: every setting with its default
    Docs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &ConfigCommand) -> Result<(), CliError> {
    match command {
        ConfigCommand::Docs => output::say(manual().trim_end()),
        ConfigCommand::Show => {
            let settings = serve::settings(overrides)?;
            let text = toml::to_string(&settings)
                .map_err(|error| CliError::failed(format!("settings as TOML: {error}")))?;
            output::say(text.trim_end());
        }
        ConfigCommand::Check => {
            app::check(&serve::settings(overrides)?)?;
            output::say("settings are fine");
        }
    }
    Ok(())
}
