//! `boathouse config`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::error::CliError;
use super::server::RunningArgs;
use super::{output, serve};
use crate::app;
use crate::config::{Overrides, manual, schema};
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse config show                      what is in force here, from all layers
  boathouse config show --json --config /etc/boathouse.toml
  boathouse config check
  boathouse config reload                    have a running server read them again
  boathouse config docs                      every setting with its default and its meaning
  boathouse config schema > boathouse.schema.json   for editors: docs/CONFIG.md says how";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ConfigCommand {
    /// Print the settings in force, as TOML
    Show(PlainArgs),
    /// Check the settings, and the tables and rules of validation that they name; status 64 when something is wrong
    Check(PlainArgs),
    /// Have a running server read its settings again, and say what it took over
    Reload(ReloadArgs),
    /// Print the manual as Markdown: every setting with its default
    Docs,
    /// Print the JSON Schema of the settings file, so that editors complete and check it
    Schema,
}

#[derive(Debug, Args)]
pub(super) struct PlainArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: RunningArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &ConfigCommand) -> Result<(), CliError> {
    match command {
        ConfigCommand::Reload(args) => return reload(overrides, args),
        ConfigCommand::Docs => output::say(manual().trim_end()),
        ConfigCommand::Schema => output::say(format_args!("{:#}", schema())),
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

fn reload(overrides: &Overrides, args: &ReloadArgs) -> Result<(), CliError> {
    let server = &args.server;
    let answer = server.must(overrides, Method::Post, "/v1/reload", None)?;
    if args.json {
        output::say(&answer);
    } else {
        let names = |name: &str| -> Vec<&str> {
            let all = answer[name].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).collect()
        };
        let mut changed = false;
        for (word, names) in [
            ("taken over", names("applied")),
            ("needs a restart", names("needs_restart")),
            ("failed", names("failed")),
        ] {
            if !names.is_empty() {
                output::say(format_args!("{word}: {}", names.join(", ")));
                changed = true;
            }
        }
        if !changed {
            output::say("no setting has changed");
        }
    }
    match answer["failed"]
        .as_array()
        .is_some_and(|all| !all.is_empty())
    {
        true => Err(CliError::failed(
            "some of it failed; the server's log says why",
        )),
        false => Ok(()),
    }
}
