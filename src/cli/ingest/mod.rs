//! `boathouse ingest`: what files hold, as points of a collection.

mod chunk;
mod loader;
pub(super) mod sources;
mod table;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use self::loader::{Loader, Sent};
use self::sources::{Content, Found, Readers};
use self::table::Columns;
use super::error::CliError;
use super::extract::Extractor;
use super::output;
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::types::plain::counted;

pub(super) use self::loader::send;

const EXAMPLES: &str = "Examples:
  boathouse ingest docs README.md --collection docs      folders and files; what is stored unchanged is left alone
  boathouse ingest staff.csv --collection staff --text-column bio --id-column number
  boathouse ingest passages.jsonl --offline --data /srv/house
  boathouse ingest docs --json

Exit status: 0 all is ingested, 1 a file could not be read, or there was nothing; the others are ingested then.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct IngestArgs {
    /// Folders and files: .md .txt .rst .adoc .org .html .pdf, tables (.csv .tsv), and .jsonl with {"id", "text", …}
    /// on each line
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The collection; made with the default embedder when it does not exist
    #[arg(long, default_value = "docs", value_parser = collection_name)]
    collection: String,
    /// The column of the text in tables; the others become payload
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    /// The column of the ids in tables; without it a row is named by its file and number
    #[arg(long, default_value = "id", value_name = "NAME")]
    id_column: String,
    /// Print what became of everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Checks a name before it becomes part of a path; the server's rule.
pub(super) fn collection_name(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err("a collection's name is 1 to 64 of a-z, A-Z, 0-9, _ and -".to_owned())
    }
}

/// What became of everything.
#[derive(Debug, Default)]
struct Outcome {
    /// Documents that are stored as they are.
    unchanged: usize,
    /// Passages that their documents no longer have.
    removed: usize,
    /// Files that should have been read and could not be.
    failed: Vec<(PathBuf, String)>,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &IngestArgs) -> Result<(), CliError> {
    let files = sources::list(&args.paths)?;
    let mut readers = Readers {
        columns: Columns {
            text: args.text_column.clone(),
            id: args.id_column.clone(),
        },
        extractor: Extractor::new(),
    };
    let (sent, outcome) = server::ask(overrides, &args.server, async |client| {
        let mut loader = Loader::new(client, &args.collection);
        let outcome = ingest(&mut loader, &mut readers, &files).await?;
        Ok((loader.finish().await?, outcome))
    })?;
    tell(args, &sent, &outcome, files.len())
}

/// Reads and sends one file after the other, with a bar.
async fn ingest(
    loader: &mut Loader<'_>,
    readers: &mut Readers,
    files: &[Found],
) -> Result<Outcome, CliError> {
    let bar = output::progress(files.len(), "ingesting");
    let mut outcome = Outcome::default();
    for Found { path, named } in files {
        let taken = match readers.read(path) {
            Ok(Content::Rows(items)) => loader.take(items, &bar).await,
            Ok(Content::Document(document)) => loader.document(document, &mut outcome, &bar).await,
            // A folder may hold anything; what was named itself was meant.
            Ok(Content::Other(reason)) if !named => {
                bar.suspend(|| {
                    output::note(format_args!("skipped {}: {reason}", path.display()));
                });
                Ok(())
            }
            Ok(Content::Other(reason)) | Err(reason) => {
                outcome.failed.push((path.clone(), reason));
                Ok(())
            }
        };
        taken.inspect_err(|_| bar.abandon())?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(outcome)
}

fn tell(args: &IngestArgs, sent: &Sent, outcome: &Outcome, files: usize) -> Result<(), CliError> {
    if outcome.removed > 0 {
        output::note(format_args!(
            "removed {} that the documents no longer have",
            counted(outcome.removed, "passage")
        ));
    }
    let something = sent.stored + sent.skipped.len() + outcome.unchanged + outcome.removed > 0;
    if args.json {
        let failed = outcome.failed.iter();
        let failed = failed
            .map(|(path, reason)| json!({"file": path.display().to_string(), "reason": reason}));
        output::say(json!({
            "collection": args.collection, "stored": sent.stored, "skipped": sent.skipped,
            "unchanged": outcome.unchanged, "removed": outcome.removed, "failed": failed.collect::<Vec<_>>(),
        }));
    } else if something {
        let skipped = match sent.skipped.len() {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        let unchanged = match outcome.unchanged {
            0 => String::new(),
            1 => "; one document is as it was".to_owned(),
            count => format!("; {count} documents are as they were"),
        };
        output::say(format_args!(
            "{} in collection {}{skipped}{unchanged}",
            counted(sent.stored, "passage"),
            args.collection
        ));
    }
    for (path, reason) in &outcome.failed {
        output::note(format_args!("not read: {}: {reason}", path.display()));
    }
    match outcome.failed.len() {
        0 if something => Ok(()),
        0 => Err(CliError::failed(
            "nothing to ingest: no text in the paths given",
        )),
        failed => Err(CliError::failed(format!(
            "{failed} of {} could not be read, see above; the rest is ingested",
            counted(files, "file")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_another_path_are_refused() {
        for (name, good) in [
            ("docs", true),
            ("A-1_b", true),
            ("", false),
            ("a/../b", false),
            ("a b", false),
            ("a?b", false),
            ("ä", false),
        ] {
            assert_eq!(collection_name(name).is_ok(), good, "{name:?}");
        }
        assert!(collection_name(&"a".repeat(65)).is_err());
    }
}
