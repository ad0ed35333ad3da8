//! `boathouse ingest`: files to passages to points of a collection.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::CliError;
use super::{chunk, output, serve};
use crate::config::Overrides;
use crate::types::http::Method;

/// Points sent in one request.
const BATCH: usize = 256;
/// Files that are read as text.
const TEXT: [&str; 6] = ["md", "markdown", "txt", "rst", "adoc", "org"];
/// Largest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

#[derive(Debug, Args)]
pub(super) struct IngestArgs {
    /// Folders and files: .md .txt .rst .adoc .org, and .jsonl with {"id", "text", …} on each line
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The collection; made with the default embedder when it does not exist
    #[arg(long, default_value = "docs")]
    collection: String,
    /// The server; default http://ADDRESS:PORT of the settings
    #[arg(long)]
    url: Option<String>,
}

/// One passage on its way into a collection.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) payload: Map<String, Value>,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &IngestArgs) -> Result<(), CliError> {
    let base = serve::base_url(overrides, args.url.as_deref())?;
    let (items, skipped) = read_paths(&args.paths)?;
    for (path, reason) in &skipped {
        output::note(format_args!("skipped {}: {reason}", path.display()));
    }
    if items.is_empty() {
        return Err(CliError::failed(
            "nothing to ingest: no text in the paths given",
        ));
    }
    let outcome = actix_web::rt::System::new().block_on(async {
        let client = Client::new(base);
        send(&client, &args.collection, &items).await
    });
    let count = outcome?;
    output::say(format_args!(
        "{count} passages in collection {}",
        args.collection
    ));
    Ok(())
}

/// Makes the collection where needed and sends everything, with a bar.
pub(super) async fn send(
    client: &Client,
    collection: &str,
    items: &[Item],
) -> Result<usize, CliError> {
    let path = format!("/v1/collections/{collection}");
    if client.ask(Method::Get, &path, None).await?.status == 404 {
        client.must(Method::Put, &path, Some(&json!({}))).await?;
    }
    let bar = output::progress(items.len(), "ingesting");
    let mut count = 0;
    for batch in items.chunks(BATCH) {
        let points: Vec<Value> = batch
            .iter()
            .map(|item| json!({"id": item.id, "text": item.text, "payload": item.payload}))
            .collect();
        let sent = client
            .must(
                Method::Post,
                &format!("{path}/points"),
                Some(&json!({"points": points})),
            )
            .await;
        let answer = sent.inspect_err(|_| bar.abandon())?;
        count += answer["upserted"]
            .as_u64()
            .map_or(0, |n| usize::try_from(n).unwrap_or(0));
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(count)
}

type Skipped = Vec<(PathBuf, String)>;

fn read_paths(paths: &[PathBuf]) -> Result<(Vec<Item>, Skipped), CliError> {
    let (mut items, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        let files = if path.is_dir() {
            walk(path)?
        } else {
            vec![path.clone()]
        };
        for file in files {
            match read_file(&file) {
                Ok(found) => items.extend(found),
                // What was named itself must be readable; what a folder holds may be anything.
                Err(reason) if file == *path => {
                    return Err(CliError::failed(format!("{}: {reason}", file.display())));
                }
                Err(reason) => skipped.push((file, reason)),
            }
        }
    }
    Ok((items, skipped))
}

/// The files below a folder, sorted; hidden ones and symbolic links left out.
fn walk(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error: std::io::Error| CliError::failed(format!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            files.extend(walk(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<Item>, String> {
    let extension = path
        .extension()
        .map(|it| it.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    if extension != "jsonl" && !TEXT.contains(&extension.as_str()) {
        return Err(format!("not one of .jsonl .{}", TEXT.join(" .")));
    }
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{size} bytes, more than {MAX_FILE_BYTES}"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))?;
    let name = path.to_string_lossy();
    if extension == "jsonl" {
        from_jsonl(&name, &text)
    } else {
        Ok(from_document(&name, &text))
    }
}

/// Cuts a document into items named after it.
pub(super) fn from_document(name: &str, text: &str) -> Vec<Item> {
    chunk::passages(text)
        .into_iter()
        .enumerate()
        .map(|(index, passage)| {
            let mut payload = Map::new();
            payload.insert("source".to_owned(), name.into());
            payload.insert("heading".to_owned(), passage.heading.into());
            Item {
                id: format!("{name}#{index}"),
                text: passage.text,
                payload,
            }
        })
        .collect()
}

/// Reads one item from each line; fields other than `id` and `text` become payload.
pub(super) fn from_jsonl(name: &str, text: &str) -> Result<Vec<Item>, String> {
    #[derive(Deserialize)]
    struct Line {
        id: Value,
        text: String,
        #[serde(flatten)]
        payload: Map<String, Value>,
    }
    let mut items = Vec::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let line: Line =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))?;
        let id = match line.id {
            Value::String(id) => id,
            Value::Number(id) => id.to_string(),
            _ => {
                return Err(format!(
                    "line {}: id must be a string or a number",
                    index + 1
                ));
            }
        };
        let mut payload = line.payload;
        payload.insert("source".to_owned(), name.into());
        items.push(Item {
            id,
            text: line.text,
            payload,
        });
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_and_what_is_no_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let put =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        put("b.md", b"# B\nsecond");
        put("a.txt", b"first");
        put(
            "c.jsonl",
            b"{\"id\": 7, \"text\": \"third\", \"year\": 1999}\n\n",
        );
        put("broken.md", b"\xff\xfe");
        put("image.png", b"png");
        put(".hidden.md", b"hidden");
        let (items, skipped) = read_paths(&[folder.path().to_path_buf()]).unwrap();
        let texts: Vec<_> = items.iter().map(|item| item.text.as_str()).collect();
        assert_eq!(texts, ["first", "second", "third"]);
        assert_eq!(items[2].id, "7");
        assert_eq!(items[2].payload["year"], 1999);
        assert_eq!(skipped.len(), 2);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = from_jsonl("x", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 2}").unwrap_err();
        assert!(
            error.contains("line 2") && error.contains("text"),
            "{error}"
        );
    }
}
