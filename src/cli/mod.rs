//! The command line: parses it, loads the settings, runs one command, turns its outcome into an exit status.

mod api;
mod audit;
mod backup;
mod bench;
mod chat;
mod client;
mod collection;
mod completions;
mod dataset;
mod demo;
mod descriptors;
mod doctor;
mod embed;
mod error;
mod eval;
mod evidence;
mod extract;
mod feedback;
mod health;
mod import;
mod ingest;
mod input;
mod iterate;
mod jobs;
mod keys;
mod logging;
mod man;
mod mcp;
mod models;
mod moving;
mod operations;
mod output;
mod points;
mod privacy;
mod push;
mod reembed;
mod reference;
mod replay;
mod review;
mod roster;
mod search;
mod serve;
mod server;
mod settings;
#[cfg(feature = "sql")]
mod sql;
mod supervisors;
mod transfer;
mod tree;
mod usage;
mod validate;
mod validators;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::Overrides;
use error::CliError;

const EXAMPLES: &str = "Examples:
  boathouse                              serve on 127.0.0.1:8642, data in ./data
  boathouse demo                         see everything work on real input, then go on serving
  boathouse --port 0 --data /tmp/house   serve on a free port, data elsewhere
  boathouse ingest docs --collection docs
  boathouse search docs 'what happens when the queue is full?'
  boathouse chat --collection docs       a conversation in the terminal, with citations
  boathouse collection list
  boathouse tree                         watch the supervision tree
  boathouse backup --to house.tar        everything that is kept, while the server goes on
  boathouse push                         evidence and datasets to a bucket, for DuckDB, Spark and Ray
  boathouse materialize                  score what was answered, then:
  boathouse export preference --flavour openai
  boathouse replay small --model up/small
  boathouse validate email draft.json    judge what a model wrote: pass, repairable or fail
  boathouse eval embed config/demo/trecqa
  boathouse bench embed                  how many requests this host answers, and how fast
  boathouse mcp                          tools for Claude, Cursor, VS Code… on stdin and stdout
  boathouse models pull                  fetch the whole MiniLM, to be asked for as model minilm
  boathouse roster generate --rows 500000 --seed 7 --out roster.parquet
  boathouse keys new app --scope read,chat   an API key; from then on requests need one
  boathouse config show                  the settings in force
  boathouse doctor                       what is wrong, and what to do about it
  boathouse api get /openapi.json        any route of the HTTP API
  boathouse help search                  the same as boathouse search --help

Commands ask a running server, or open the data folder themselves where none runs: --url, --offline and --data choose.
Each has examples of its own.";

/// The whole after-help: examples, and what the exit statuses mean.
fn after_help() -> String {
    format!("{EXAMPLES}\n\n{}", error::STATUSES)
}

/// Everything around the model, in one supervised process: embeddings, vector search, chat, validation, evidence.
#[derive(Debug, Parser)]
#[command(name = "boathouse", version, after_help = after_help(), max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Flags that win over every other setting.
#[derive(Debug, Args)]
struct Global {
    /// Address to listen on; any but loopback needs API keys (http.bind)
    #[arg(long, global = true, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Port to listen on; 0 = a free one, printed (http.port)
    #[arg(long, global = true)]
    port: Option<u16>,
    /// Folder for everything that is kept (storage.data_dir)
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Settings file; default ./boathouse.toml, then the user's configuration folder
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with the API key for commands that ask a running server; else BOATHOUSE_API_KEY
    #[arg(long, global = true, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
}

impl Global {
    fn overrides(&self) -> Overrides {
        let mut values = Vec::new();
        if let Some(bind) = &self.bind {
            values.push(("http.bind", bind.clone()));
        }
        if let Some(port) = self.port {
            values.push(("http.port", port.to_string()));
        }
        if let Some(data) = &self.data {
            values.push(("storage.data_dir", data.display().to_string()));
        }
        Overrides {
            file: self.config.clone(),
            values,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until Ctrl-C or SIGTERM, then drain (the default)
    #[command(after_help = serve::EXAMPLES)]
    Serve,
    /// Run the whole loop on real input over the HTTP API, then go on serving
    Demo(demo::DemoArgs),
    /// Search a collection by meaning and words
    Search(search::SearchArgs),
    /// Find points like some, and unlike others
    Recommend(search::RecommendArgs),
    /// Ask a model: one question, or a conversation in the terminal
    Chat(chat::ChatArgs),
    /// Turn texts into vectors
    Embed(embed::EmbedArgs),
    /// Load a folder or files into a collection
    Ingest(ingest::IngestArgs),
    /// Take conversations of OpenAI, LiteLLM, Langfuse, ShareGPT and others into the evidence
    Import(import::ImportArgs),
    /// Ask a model until its answer passes validators
    Iterate(iterate::IterateArgs),
    /// List what waits for a person's judgement, and decide
    #[command(subcommand)]
    Review(review::ReviewCommand),
    /// Show the supervision tree of a running server, live
    Tree(tree::TreeArgs),
    /// Show and steer the supervision of a running server
    #[command(subcommand)]
    Supervisors(supervisors::SupervisorsCommand),
    /// List what a running server works on for longer than a request, and end it
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Say what a person thought of an answer
    Feedback(feedback::FeedbackArgs),
    /// Show what chat calls took: requests, tokens, cost
    Usage(usage::UsageArgs),
    /// Make, show and remove collections; export, import, embed them anew; check or repair them on disk
    #[command(subcommand)]
    Collection(collection::CollectionCommand),
    /// Read, write, count and delete the points of a collection
    #[command(subcommand)]
    Points(points::PointsCommand),
    /// Check the evidence journal and what was made of it, and whether production drifted
    Audit(audit::AuditArgs),
    /// Write everything that is kept to one file, while the server goes on
    Backup(backup::BackupArgs),
    /// Make a data folder of a backup
    Restore(backup::RestoreArgs),
    /// Read the evidence, or erase contents from it
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Send evidence and datasets to object storage, where DuckDB, Spark and Ray read them
    Push(push::PushArgs),
    /// Fetch the evidence of other replicas from object storage, for `materialize`
    Pull(push::PullArgs),
    /// Turn the evidence into scored tasks, for `export`
    Materialize(dataset::MaterializeArgs),
    /// Write a dataset of the tasks: rag, triplets, sft, preference, kto
    Export(dataset::ExportArgs),
    /// Ask tasks and exports in SQL
    #[cfg(feature = "sql")]
    Sql(sql::SqlArgs),
    /// Ask a candidate what was asked in production, and compare its answers with what was accepted
    Replay(replay::ReplayArgs),
    /// Judge what a model wrote; the exit status is the verdict
    Validate(validate::ValidateArgs),
    /// Load a running server and measure its latency and capacity
    Bench(bench::BenchArgs),
    /// Speak the Model Context Protocol on stdin and stdout, for a running server
    Mcp(mcp::McpArgs),
    /// List the validators and their rules; read their tables again
    #[command(subcommand)]
    Validators(validators::ValidatorsCommand),
    /// Measure quality on an evaluation set
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Show the models that can be asked; fetch and check those that are not in the binary
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Read HTML and PDF files named on stdin; for `ingest`
    #[command(name = extract::COMMAND, hide = true)]
    ReadDocuments,
    /// Invent a roster of workers, to try things with
    #[command(subcommand)]
    Roster(roster::RosterCommand),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look at settings, data, machine, models and upstreams, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Whether a running server serves, as an exit status
    Health(health::HealthArgs),
    /// Show or check the settings, or have a running server read them again
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Ask any route of the HTTP API
    Api(api::ApiArgs),
    /// Print what a shell needs to complete commands and flags
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one for each command
    Man(man::ManArgs),
    /// Print docs/CLI.md
    #[command(hide = true)]
    Reference,
}

/// The command line with all its help.
fn command() -> clap::Command {
    let command = Cli::command();
    let groups: Vec<String> = command
        .get_subcommands()
        .map(|group| group.get_name().to_owned())
        .collect();
    groups.into_iter().fold(command, |command, group| {
        command.mut_subcommand(group, with_examples)
    })
}

/// Gives each command of a group the group's examples of it.
fn with_examples(group: clap::Command) -> clap::Command {
    let help = group.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let names: Vec<String> = group
        .get_subcommands()
        .filter(|command| command.get_after_help().is_none())
        .map(|command| command.get_name().to_owned())
        .collect();
    names.into_iter().fold(group, |group, name| {
        let call = format!("boathouse {} {name} ", group.get_name());
        let examples = help
            .lines()
            .filter(|line| format!("{line} ").contains(&call));
        let examples: Vec<&str> = examples.collect();
        if examples.is_empty() {
            return group;
        }
        let told = format!("Examples:\n{}", examples.join("\n"));
        group.mut_subcommand(name, |command| command.after_help(told))
    })
}

/// Runs the process's command line. `documents` are what the demo ingests: name and text of each.
pub fn main(documents: &[(&str, &str)]) -> ExitCode {
    run(std::env::args_os(), documents)
}

fn run(arguments: impl IntoIterator<Item = OsString>, documents: &[(&str, &str)]) -> ExitCode {
    let parsed = command().try_get_matches_from(arguments);
    let cli = match parsed.and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" that go to stdout with status 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let overrides = cli.global.overrides();
    if let Err(error) = client::take_key(cli.global.api_key_file.as_deref()) {
        output::complain(&error);
        return ExitCode::from(error.status());
    }
    let outcome = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&overrides),
        Command::Demo(args) => demo::run(&overrides, &args, documents),
        Command::Search(args) => search::search(&overrides, &args),
        Command::Recommend(args) => search::recommend(&overrides, &args),
        Command::Chat(args) => chat::run(&overrides, &args),
        Command::Embed(args) => embed::run(&overrides, &args),
        Command::Ingest(args) => ingest::run(&overrides, &args),
        Command::Import(args) => import::run(&overrides, &args),
        Command::Iterate(args) => iterate::run(&overrides, &args),
        Command::Review(command) => review::run(&overrides, &command),
        Command::Tree(args) => tree::run(&overrides, &args),
        Command::Supervisors(command) => supervisors::run(&overrides, &command),
        Command::Jobs(command) => jobs::run(&overrides, &command),
        Command::Feedback(args) => feedback::run(&overrides, &args),
        Command::Usage(args) => usage::run(&overrides, &args),
        Command::Collection(command) => collection::run(&overrides, &command),
        Command::Points(command) => points::run(&overrides, &command),
        Command::Audit(args) => audit::run(&overrides, &args),
        Command::Backup(args) => backup::run(&overrides, &args),
        Command::Restore(args) => backup::restore(&overrides, &args),
        Command::Evidence(command) => evidence::run(&overrides, &command),
        Command::Push(args) => push::push(&overrides, &args),
        Command::Pull(args) => push::pull(&overrides, &args),
        Command::Materialize(args) => dataset::materialize(&overrides, &args),
        Command::Export(args) => dataset::export(&overrides, &args),
        #[cfg(feature = "sql")]
        Command::Sql(args) => sql::run(&overrides, &args),
        Command::Replay(args) => replay::run(&overrides, &args),
        Command::Validate(args) => validate::run(&overrides, &args),
        Command::Bench(args) => bench::run(&overrides, &args),
        Command::Mcp(args) => mcp::run(&overrides, &args),
        Command::Validators(command) => validators::run(&overrides, &command),
        Command::Eval(command) => eval::run(&overrides, &command),
        Command::Models(command) => models::run(&overrides, &command),
        Command::ReadDocuments => extract::run(),
        Command::Roster(command) => roster::run(&command),
        Command::Keys(command) => keys::run(&overrides, &command),
        Command::Doctor(args) => doctor::run(&overrides, &args),
        Command::Health(args) => health::run(&overrides, &args),
        Command::Config(command) => settings::run(&overrides, &command),
        Command::Api(args) => api::run(&overrides, &args),
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
        Command::Man(args) => man::run(&args),
        Command::Reference => {
            output::write(reference::page());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A verdict was told already.
            if !matches!(error, CliError::Judged(_)) {
                output::complain(&error);
            }
            ExitCode::from(error.status())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_before_or_after_the_command() {
        command().debug_assert();
        for line in [
            "boathouse --port 0 serve",
            "boathouse serve --port 0",
            "boathouse --port 0",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(
                cli.global.overrides().values,
                [("http.port", "0".to_owned())],
                "{line}"
            );
        }
        for line in [
            "boathouse --port 65536",
            "boathouse swim",
            "boathouse ingest",
            "boathouse export",
            "boathouse keys new app",
            "boathouse keys new app --scope root",
            "boathouse iterate question",
            "boathouse export sft --list",
            "boathouse export sft --test-fraction much",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
