//! `boathouse supervisors`: the supervision of a running server.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::escaped;
use super::error::CliError;
use super::output;
use super::server::RunningArgs;
use super::tree::{self, TreeArgs};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse supervisors tree                          the same as boathouse tree
  boathouse supervisors restart embedding             fresh state, the queue is kept
  boathouse supervisors dead-letters                  requests that crashed their cell again and again
  boathouse supervisors release 3f1c9a0b77aa12de      let one of them through again
  boathouse supervisors forget 3f1c9a0b77aa12de       with its crashes
  boathouse supervisors crash embedding               a drill, where supervisors.allow_crash lets it
  boathouse supervisors reload                        read the restart policies of the settings again

All of this is about a server that runs: a data folder by itself has no tree.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum SupervisorsCommand {
    /// Show the tree, live
    Tree(TreeArgs),
    /// Give a cell fresh state; its queue is kept
    Restart(NamedArgs),
    /// Make the next request to a cell panic, where supervisors.allow_crash lets it
    Crash(NamedArgs),
    /// List the requests that are refused because they crashed their cell again and again
    DeadLetters(PlainArgs),
    /// Let a refused request through again
    Release(NamedArgs),
    /// Forget a refused request with its crashes
    Forget(NamedArgs),
    /// Read the settings again and take over their restart policies
    Reload(PlainArgs),
}

#[derive(Debug, Args)]
pub(super) struct NamedArgs {
    /// The cell by its id or path in the tree, or the dead letter by its digest
    id: String,
    #[command(flatten)]
    common: PlainArgs,
}

#[derive(Debug, Args)]
pub(super) struct PlainArgs {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: RunningArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &SupervisorsCommand) -> Result<(), CliError> {
    let (common, method, path, done) = match command {
        SupervisorsCommand::Tree(args) => return tree::run(overrides, args),
        SupervisorsCommand::DeadLetters(args) => return dead_letters(overrides, args),
        SupervisorsCommand::Restart(args) => (
            &args.common,
            Method::Post,
            format!("/v1/supervisors/{}/restart", escaped(&args.id)),
            format!("{}: restarted", args.id),
        ),
        SupervisorsCommand::Crash(args) => (
            &args.common,
            Method::Post,
            format!("/v1/supervisors/{}/crash", escaped(&args.id)),
            format!("{}: its next request panics", args.id),
        ),
        SupervisorsCommand::Release(args) => (
            &args.common,
            Method::Post,
            format!("/v1/dead-letters/{}/release", escaped(&args.id)),
            format!("{}: let through again", args.id),
        ),
        SupervisorsCommand::Forget(args) => (
            &args.common,
            Method::Delete,
            format!("/v1/dead-letters/{}", escaped(&args.id)),
            format!("{}: forgotten", args.id),
        ),
        SupervisorsCommand::Reload(args) => (
            args,
            Method::Post,
            "/v1/supervisors/reload".to_owned(),
            "restart policies reloaded".to_owned(),
        ),
    };
    let answer = common.server.must(overrides, method, &path, None)?;
    match common.json {
        true => output::say(answer),
        false => output::say(done),
    }
    Ok(())
}

fn dead_letters(overrides: &Overrides, args: &PlainArgs) -> Result<(), CliError> {
    let answer = args
        .server
        .must(overrides, Method::Get, "/v1/dead-letters", None)?;
    if args.json {
        output::say(answer);
        return Ok(());
    }
    let letters = answer["dead_letters"].as_array();
    let letters = letters.map_or(&[][..], Vec::as_slice);
    if letters.is_empty() {
        output::say("no request is refused");
        return Ok(());
    }
    let rows: Vec<_> = letters.iter().map(row).collect();
    output::table(["digest", "cell", ">crashes", "why"], &rows);
    Ok(())
}

fn row(letter: &Value) -> [String; 4] {
    let cell = |name: &str| output::cell(&letter[name]);
    let last = letter["reports"].as_array().and_then(|all| all.last());
    let why = last.and_then(|report| report["message"].as_str());
    let why = output::line(why.unwrap_or_default(), 80);
    [cell("digest"), cell("child"), cell("crashes"), why]
}
