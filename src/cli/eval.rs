//! `boathouse eval`: quality, measured on an evaluation set.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::{output, serve};
use crate::config::Overrides;
use crate::services::evaluate;

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
    /// The folder of the set
    folder: PathBuf,
    /// The model; default embedding.default
    #[arg(long, default_value = "")]
    model: String,
    /// Print the report as JSON, values from 0 to 1
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &EvalCommand) -> Result<(), CliError> {
    let settings = serve::settings(overrides)?;
    let EvalCommand::Embed(args) = command;
    let bar = output::progress(0, "embedding");
    let report = evaluate::embedding(
        &args.folder,
        &args.model,
        &settings.embedding,
        &settings.storage.models_dir(),
        &mut |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        },
    );
    bar.finish_and_clear();
    let report = report.map_err(|error| CliError::failed(error.to_string()))?;
    if args.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| CliError::failed(error.to_string()))?;
        output::say(text);
        return Ok(());
    }
    output::say(format_args!(
        "{} on {}",
        report.model,
        args.folder.display()
    ));
    if let Some(found) = &report.retrieval {
        output::say(format_args!(
            "  documents {}, queries {}",
            found.documents, found.queries
        ));
        output::say(format_args!("  nDCG@10   {:.1}", found.ndcg_at_10 * 100.0));
        output::say(format_args!(
            "  recall@10 {:.1}",
            found.recall_at_10 * 100.0
        ));
    }
    if let Some(found) = &report.sts {
        output::say(format_args!(
            "  pairs {}, Spearman {:.1}",
            found.pairs,
            found.spearman * 100.0
        ));
    }
    Ok(())
}
