//! `boathouse ingest`: what the sources hold, as points of a collection.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, refused};
use super::error::CliError;
use super::sources::{Item, read_paths};
use super::{output, serve};
use crate::config::Overrides;
use crate::types::http::Method;

/// Points sent in one request.
const BATCH: usize = 256;

#[derive(Debug, Args)]
pub(super) struct IngestArgs {
    /// Folders and files: .md .txt .rst .adoc .org, and .jsonl with {"id", "text", …} on each line
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The collection; made with the default embedder when it does not exist
    #[arg(long, default_value = "docs", value_parser = collection_name)]
    collection: String,
    /// The server; default http://ADDRESS:PORT of the settings
    #[arg(long)]
    url: Option<String>,
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

/// What became of the passages.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// How many are stored.
    pub(super) stored: usize,
    /// The ids of those that the server refused.
    pub(super) skipped: Vec<String>,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &IngestArgs) -> Result<(), CliError> {
    let base = serve::base_url(overrides, args.url.as_deref())?;
    let sources = read_paths(&args.paths)?;
    for (path, reason) in &sources.skipped {
        output::note(format_args!("skipped {}: {reason}", path.display()));
    }
    if sources.items.is_empty() && sources.documents.is_empty() {
        return Err(nothing());
    }
    let (sent, removed) = actix_web::rt::System::new().block_on(async {
        let client = Client::new(base);
        let sent = if sources.items.is_empty() {
            Sent::default()
        } else {
            send(&client, &args.collection, &sources.items).await?
        };
        let removed = prune(&client, &args.collection, &sources.documents).await?;
        Ok::<_, CliError>((sent, removed))
    })?;
    if removed > 0 {
        output::note(format_args!(
            "removed {removed} passages that their documents no longer have"
        ));
    } else if sources.items.is_empty() {
        return Err(nothing());
    }
    let skipped = match sent.skipped.len() {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    output::say(format_args!(
        "{} passages in collection {}{skipped}",
        sent.stored, args.collection
    ));
    Ok(())
}

fn nothing() -> CliError {
    CliError::failed("nothing to ingest: no text in the paths given")
}

/// Makes the collection where needed and sends everything, with a bar.
///
/// A batch that the server refuses is halved until the passages at fault stand alone: they are
/// named and left out.
pub(super) async fn send(
    client: &Client,
    collection: &str,
    items: &[Item],
) -> Result<Sent, CliError> {
    let path = format!("/v1/collections/{collection}");
    let known = client.ask(Method::Get, &path, None).await?;
    if known.status == 404 {
        client.must(Method::Put, &path, Some(&json!({}))).await?;
    } else if known.status == 200 && known.body["embedder"].is_null() {
        // Else every passage would be refused for itself.
        return Err(CliError::failed(format!(
            "collection {collection} has no embedder: it takes vectors, which ingest does not make"
        )));
    }
    let path = format!("{path}/points");
    let bar = output::progress(items.len(), "ingesting");
    let mut sent = Sent::default();
    let mut left: Vec<&[Item]> = items.chunks(BATCH).rev().collect();
    while let Some(batch) = left.pop() {
        let points: Vec<Value> = batch
            .iter()
            .map(|item| json!({"id": item.id, "text": item.text, "payload": item.payload}))
            .collect();
        let answer = client
            .settled(Method::Post, &path, Some(&json!({"points": points})))
            .await
            .inspect_err(|_| bar.abandon())?;
        match (answer.status, batch) {
            (200..=299, _) => {
                sent.stored += count(&answer.body["upserted"]);
                bar.inc(batch.len() as u64);
            }
            (400 | 413, [alone]) => {
                let (id, said) = (&alone.id, answer.said());
                bar.suspend(|| output::note(format_args!("skipped passage {id}: {said}")));
                sent.skipped.push(id.clone());
                bar.inc(1);
            }
            (400 | 413, batch) => {
                let (first, second) = batch.split_at(batch.len() / 2);
                left.extend([second, first]);
            }
            _ => {
                bar.abandon();
                return Err(refused(&path, &answer));
            }
        }
    }
    bar.finish_and_clear();
    Ok(sent)
}

/// Removes what earlier, longer versions of the documents left behind; returns how many passages.
async fn prune(
    client: &Client,
    collection: &str,
    documents: &[(String, usize)],
) -> Result<usize, CliError> {
    let path = format!("/v1/collections/{collection}/points/delete");
    let mut removed = 0;
    for (source, passages) in documents {
        let filter = json!({"source": source, "chunk": {"$gte": passages}});
        let answer = client
            .settled(Method::Post, &path, Some(&json!({"filter": filter})))
            .await?;
        match answer.status {
            200..=299 => removed += count(&answer.body["deleted"]),
            // Nothing was ever sent there.
            404 => return Ok(0),
            _ => return Err(refused(&path, &answer)),
        }
    }
    Ok(removed)
}

fn count(number: &Value) -> usize {
    let number = number.as_u64().unwrap_or(0);
    usize::try_from(number).unwrap_or(usize::MAX)
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
