//! `boathouse eval`: quality, measured on an evaluation set.

use std::fmt::Display;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{output, serve, transfer};
use crate::config::Overrides;
use crate::services::evaluate::{self, EvalFolder, Evaluation, Report, Way};
use crate::types::http::Method;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse eval embed config/demo/trecqa      on a set of files
  boathouse eval evidence docs                 on what was accepted in production";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum EvalCommand {
    /// Retrieval and similarity of an embedding model
    ///
    /// FOLDER holds corpus.jsonl and queries.jsonl ({"id", "text"} on each line) and qrels.tsv (query id, document
    /// id, relevance), or sts.tsv (score, sentence, sentence), or both.
    #[command(after_help = EMBED_EXAMPLES)]
    Embed(EmbedArgs),
    /// Whether a model would find what helped in production
    ///
    /// The questions are those whose answers were accepted, the documents all points of a collection, and what should be
    /// found are the passages that these answers cite. Materialize before, so that the tasks are of now.
    #[command(after_help = EVIDENCE_EXAMPLES)]
    Evidence(EvidenceArgs),
}

const EMBED_EXAMPLES: &str = "Examples:
  boathouse eval embed config/demo/trecqa
  boathouse eval embed sets/docs sets/mail --model minilm --json
  boathouse eval embed config/demo/trecqa --refiner minilm";

const EVIDENCE_EXAMPLES: &str = "Examples:
  boathouse eval evidence docs                             the model in the settings
  boathouse eval evidence docs --model minilm              another one, before the collection is embedded anew
  boathouse eval evidence docs --to sets/docs              keep the set, for `boathouse eval embed sets/docs`

A passage that was not retrieved then cannot have been cited: the measure favours the search that served.";

#[derive(Debug, Args)]
pub(super) struct EvidenceArgs {
    /// The collection that was searched
    #[arg(value_parser = super::ingest::collection_name)]
    collection: String,
    /// The model; default embedding.default
    #[arg(long, default_value = "")]
    model: String,
    /// The model that ranks the first hits of hybrid searches anew
    #[arg(long, value_name = "MODEL")]
    refiner: Option<String>,
    /// Write the set into this folder instead of measuring
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// Print a list of one report as JSON, values from 0 to 1
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct EmbedArgs {
    /// The folders of the sets
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// The model; default embedding.default
    #[arg(long, default_value = "")]
    model: String,
    /// The model that ranks the first hits of hybrid searches anew
    #[arg(long, value_name = "MODEL")]
    refiner: Option<String>,
    /// Print a list of the reports as JSON, values from 0 to 1
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &EvalCommand) -> Result<(), CliError> {
    match command {
        EvalCommand::Embed(args) => embed(overrides, args),
        EvalCommand::Evidence(args) => evidence(overrides, args),
    }
}

fn embed(overrides: &Overrides, args: &EmbedArgs) -> Result<(), CliError> {
    let evaluation = evaluation(overrides, &args.model, args.refiner.as_deref())?;
    let mut reports = Vec::with_capacity(args.folders.len());
    for folder in &args.folders {
        let set = evaluate::read(folder).map_err(|error| CliError::failed(error.to_string()))?;
        let report = measure(&evaluation, &set)?;
        if !args.json {
            print(&report, &folder.display());
        }
        reports.push(report);
    }
    if args.json {
        output::say_json(&reports)?;
    }
    Ok(())
}

fn evidence(overrides: &Overrides, args: &EvidenceArgs) -> Result<(), CliError> {
    let data = serve::settings(overrides)?.storage.data_dir;
    let mut documents = Vec::new();
    server::ask(overrides, &args.server, async |client| {
        let path = format!("/v1/collections/{}/export", args.collection);
        let stream = client.stream(Method::Get, &path, None).await?;
        let read = transfer::read_export(stream, |_, line| {
            if let (Some(Value::String(id)), Some(text)) = (line.id, line.text) {
                documents.push((id, text));
            }
            Ok(())
        });
        read.await
    })?;
    let set = evaluate::of_evidence(&data, &args.collection, &documents);
    let set = set.map_err(|error| CliError::failed(error.to_string()))?;
    if let Some(folder) = &args.to {
        evaluate::write(&set, folder).map_err(|error| CliError::failed(error.to_string()))?;
        output::say(format_args!(
            "{} and {} in {}",
            counted(documents.len(), "document"),
            counted(
                set.queries.as_deref().unwrap_or_default().lines().count(),
                "question"
            ),
            folder.display()
        ));
        return Ok(());
    }
    let evaluation = evaluation(overrides, &args.model, args.refiner.as_deref())?;
    let report = measure(&evaluation, &set)?;
    if args.json {
        return output::say_json(&[report]);
    }
    print(&report, &format_args!("what helped in {}", args.collection));
    Ok(())
}

fn evaluation(
    overrides: &Overrides,
    model: &str,
    refiner: Option<&str>,
) -> Result<Evaluation, CliError> {
    let settings = serve::settings(overrides)?;
    let pulled = settings.storage.models_dir();
    Evaluation::new(&settings.embedding, &pulled, model, refiner)
        .map_err(|error| CliError::failed(error.to_string()))
}

fn measure(evaluation: &Evaluation, set: &EvalFolder) -> Result<Report, CliError> {
    let bar = output::progress(0, "evaluating");
    let report = evaluation.run(set, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    report.map_err(|error| CliError::failed(error.to_string()))
}

fn print(report: &Report, what: &dyn Display) {
    output::say(format_args!("{} on {what}", report.model));
    if let Some(found) = &report.retrieval {
        output::say(format_args!(
            "  {}, {}    nDCG@10  recall@10",
            counted(found.documents, "document"),
            counted(found.queries, "query")
        ));
        for score in &found.scores {
            let by = match (score.way, &report.refiner) {
                (Way::Refined, Some(refiner)) => format!("refined by {refiner}"),
                (way, _) => way.as_str().to_owned(),
            };
            output::say(format_args!(
                "  {by:<30} {:>7.1} {:>10.1}",
                score.ndcg_at_10 * 100.0,
                score.recall_at_10 * 100.0
            ));
        }
    }
    if let Some(found) = &report.sts {
        output::say(format_args!(
            "  {}, Spearman {:.1}",
            counted(found.pairs, "pair"),
            found.spearman * 100.0
        ));
    }
}
