//! `boathouse eval`: quality, measured on an evaluation set.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::CliError;
use super::{output, serve};
use crate::config::Overrides;
use crate::services::evaluate::{Evaluation, Report, Way};

#[derive(Debug, Subcommand)]
pub(super) enum EvalCommand {
    /// Retrieval and similarity of an embedding model
    ///
    /// FOLDER holds corpus.jsonl and queries.jsonl ({"id", "text"} on each line) and qrels.tsv (query id, document
    /// id, relevance), or sts.tsv (score, sentence, sentence), or both.
    Embed(EmbedArgs),
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
    let settings = serve::settings(overrides)?;
    let EvalCommand::Embed(args) = command;
    let evaluation = Evaluation::new(
        &settings.embedding,
        &settings.storage.models_dir(),
        &args.model,
        args.refiner.as_deref(),
    )
    .map_err(|error| CliError::failed(error.to_string()))?;
    let mut reports = Vec::with_capacity(args.folders.len());
    for folder in &args.folders {
        let bar = output::progress(0, "evaluating");
        let report = evaluation.run(folder, &mut |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        let report = report.map_err(|error| CliError::failed(error.to_string()))?;
        if !args.json {
            print(&report, folder);
        }
        reports.push(report);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&reports)
            .map_err(|error| CliError::failed(error.to_string()))?;
        output::say(text);
    }
    Ok(())
}

fn print(report: &Report, folder: &Path) {
    output::say(format_args!("{} on {}", report.model, folder.display()));
    if let Some(found) = &report.retrieval {
        output::say(format_args!(
            "  {} documents, {} queries    nDCG@10  recall@10",
            found.documents, found.queries
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
            "  {} pairs, Spearman {:.1}",
            found.pairs,
            found.spearman * 100.0
        ));
    }
}
