//! The command line: parses it, loads the settings, runs one command, turns its outcome into an exit status.

mod audit;
mod backup;
mod bench;
mod client;
mod collection;
mod dataset;
mod demo;
mod descriptors;
mod doctor;
mod error;
mod eval;
mod evidence;
mod extract;
mod health;
mod import;
mod ingest;
mod iterate;
mod keys;
mod logging;
mod mcp;
mod models;
mod output;
mod privacy;
mod reembed;
mod replay;
mod review;
mod roster;
mod serve;
mod settings;
mod transfer;
mod tree;
mod validate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Overrides;
use error::CliError;

const EXAMPLES: &str = "Examples:
  boathouse                              serve on 127.0.0.1:8642, data in ./data
  boathouse demo                         see everything work on real input, then go on serving
  boathouse --port 0 --data /tmp/house   serve on a free port, data elsewhere
  boathouse ingest docs --collection docs
  boathouse tree                         watch the supervision tree
  boathouse collection check             read all collections on disk, say what is damaged
  boathouse collection export docs --to docs.parquet
  boathouse import logs.jsonl --map langfuse   conversations of other systems, as evidence
  boathouse iterate 'Write to Dana' --kind email   ask a model until its answer passes
  boathouse review list                  what waits for a person's judgement
  boathouse audit                        check journal, tasks and exports, name what is not as it was written
  boathouse backup --to house.tar        everything that is kept, while the server goes on
  boathouse evidence list --limit 5      the newest records of the evidence journal
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

Exit status: 0 done or drained, 1 failed, 2 wrong arguments, 64 wrong settings, 70 supervision gave up.";

/// Everything around the model, in one supervised process: embeddings, vector search, chat, validation, evidence.
#[derive(Debug, Parser)]
#[command(name = "boathouse", version, after_help = EXAMPLES, max_term_width = 110)]
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
    Serve,
    /// Run the whole loop on real input over the HTTP API, then go on serving
    Demo(demo::DemoArgs),
    /// Load a folder or files into a collection of a running server
    Ingest(ingest::IngestArgs),
    /// Take conversations of OpenAI, LiteLLM, Langfuse, ShareGPT and others into the evidence of a running server
    Import(import::ImportArgs),
    /// Ask a model of a running server until its answer passes validators
    Iterate(iterate::IterateArgs),
    /// List what waits for a person's judgement, and decide
    #[command(subcommand)]
    Review(review::ReviewCommand),
    /// Show the supervision tree of a running server, live
    Tree(tree::TreeArgs),
    /// Export, import and embed collections anew; check or repair them on disk
    #[command(subcommand)]
    Collection(collection::CollectionCommand),
    /// Check the evidence journal and what was made of it, and whether production drifted
    Audit(audit::AuditArgs),
    /// Write everything that is kept to one file, while the server goes on
    Backup(backup::BackupArgs),
    /// Make a data folder of a backup
    Restore(backup::RestoreArgs),
    /// Read the evidence of a running server, or erase contents from it
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Turn the evidence of a running server into scored tasks, for `export`
    Materialize(dataset::MaterializeArgs),
    /// Write a dataset of the tasks of a running server: rag, triplets, sft, preference, kto
    Export(dataset::ExportArgs),
    /// Ask a candidate what was asked in production, and compare its answers with what was accepted
    Replay(replay::ReplayArgs),
    /// Have a running server judge what a model wrote; the exit status is the verdict
    Validate(validate::ValidateArgs),
    /// Load a running server and measure its latency and capacity
    Bench(bench::BenchArgs),
    /// Speak the Model Context Protocol on stdin and stdout, for a running server
    Mcp(mcp::McpArgs),
    /// Measure quality on an evaluation set
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Fetch, list and check the models that are not in the binary
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
    /// Show or check the settings
    #[command(subcommand)]
    Config(settings::ConfigCommand),
}

/// Runs the process's command line.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
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
        Command::Demo(args) => demo::run(&overrides, &args),
        Command::Ingest(args) => ingest::run(&overrides, &args),
        Command::Import(args) => import::run(&overrides, &args),
        Command::Iterate(args) => iterate::run(&overrides, &args),
        Command::Review(command) => review::run(&overrides, &command),
        Command::Tree(args) => tree::run(&overrides, &args),
        Command::Collection(command) => collection::run(&overrides, &command),
        Command::Audit(args) => audit::run(&overrides, &args),
        Command::Backup(args) => backup::run(&overrides, &args),
        Command::Restore(args) => backup::restore(&overrides, &args),
        Command::Evidence(command) => evidence::run(&overrides, &command),
        Command::Materialize(args) => dataset::materialize(&overrides, &args),
        Command::Export(args) => dataset::export(&overrides, &args),
        Command::Replay(args) => replay::run(&overrides, &args),
        Command::Validate(args) => validate::run(&overrides, &args),
        Command::Bench(args) => bench::run(&overrides, &args),
        Command::Mcp(args) => mcp::run(&overrides, &args),
        Command::Eval(command) => eval::run(&overrides, &command),
        Command::Models(command) => models::run(&overrides, &command),
        Command::ReadDocuments => extract::run(),
        Command::Roster(command) => roster::run(&command),
        Command::Keys(command) => keys::run(&overrides, &command),
        Command::Doctor(args) => doctor::run(&overrides, &args),
        Command::Health(args) => health::run(&overrides, &args),
        Command::Config(command) => settings::run(&overrides, &command),
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
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
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
