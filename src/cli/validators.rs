//! `boathouse validators`: what can judge, and the tables it judges by.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::error::CliError;
use super::output::{self, Paint};
use super::server::{self, RunningArgs, ServerArgs};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse validators list
  boathouse validators list --rules email               the rules of one kind, and what each counts as here
  boathouse validators list --json
  boathouse validators reload                            read roster and calendar of a running server again

`boathouse validate KIND FILE` has a payload judged.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ValidatorsCommand {
    /// List the kinds, their rules, and the tables
    List(ListArgs),
    /// Have a running server read roster and calendar again, changed or not
    Reload(ReloadArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The rules of this kind alone
    #[arg(long, value_name = "KIND")]
    rules: Option<String>,
    /// Print the server's answer as JSON, with the schema of each kind
    #[arg(long, conflicts_with = "rules")]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
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
pub(super) fn run(overrides: &Overrides, command: &ValidatorsCommand) -> Result<(), CliError> {
    match command {
        ValidatorsCommand::List(args) => {
            let answer = server::ask(overrides, &args.server, async |client| {
                client.must(Method::Get, "/v1/validators", None).await
            })?;
            match (&args.rules, args.json) {
                (_, true) => output::say(answer),
                (Some(kind), _) => return tell_rules(&answer, kind),
                (None, _) => tell(&answer),
            }
        }
        ValidatorsCommand::Reload(args) => {
            let answer =
                args.server
                    .must(overrides, Method::Post, "/v1/validators/reload", None)?;
            match args.json {
                true => output::say(answer),
                false => tell_tables(&answer),
            }
        }
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn tell(answer: &Value) {
    let rows: Vec<_> = list(&answer["validators"])
        .iter()
        .map(|entry| {
            let text = entry["description"].as_str().unwrap_or_default();
            [
                output::cell(&entry["name"]),
                list(&entry["rules"]).len().to_string(),
                output::line(text, 90),
            ]
        })
        .collect();
    output::table(["kind", ">rules", "what it looks at"], &rows);
    if !list(&answer["tables"]).is_empty() {
        output::say("");
        tell_tables(answer);
    }
}

/// The rules of a kind, and what each counts as.
fn tell_rules(answer: &Value, kind: &str) -> Result<(), CliError> {
    let all = list(&answer["validators"]);
    let Some(found) = all.iter().find(|entry| entry["name"] == kind) else {
        let names = all.iter().filter_map(|entry| entry["name"].as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        let kind = output::line(kind, 64);
        return Err(CliError::failed(format!(
            "no kind {kind}; there are: {names}"
        )));
    };
    let rows: Vec<_> = list(&found["rules"])
        .iter()
        .map(|rule| {
            let text = rule["description"].as_str().unwrap_or_default();
            [
                output::cell(&rule["effective"]),
                output::cell(&rule["id"]),
                output::line(text, 90),
            ]
        })
        .collect();
    output::table(["level", "rule", "what it looks at"], &rows);
    Ok(())
}

fn tell_tables(answer: &Value) {
    for table in list(&answer["tables"]) {
        let name = Paint::Strong.on(output::cell(&table["table"]));
        let source = output::cell(&table["source"]);
        let rows = counted(&table["rows"], "row");
        output::say(format_args!("{name}: {rows} of {source}"));
        if let Some(error) = table["error"].as_str() {
            output::say(format_args!(
                "  {}",
                Paint::Bad.on(output::line(error, 300))
            ));
        }
    }
}
