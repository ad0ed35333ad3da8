//! What `boathouse ingest` reads: files and folders as passages.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::chunk;
use super::error::CliError;

/// Files that are read as text.
const TEXT: [&str; 6] = ["md", "markdown", "txt", "rst", "adoc", "org"];
/// Largest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// What some editors write before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// One passage on its way into a collection.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) payload: Map<String, Value>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The passages.
    pub(super) items: Vec<Item>,
    /// The documents, each with how many passages it has now.
    pub(super) documents: Vec<(String, usize)>,
    /// What a folder holds beside, with why it was not read.
    pub(super) skipped: Vec<(PathBuf, String)>,
}

/// Reads files and folders.
///
/// Errors: a path that was named cannot be read.
pub(super) fn read_paths(paths: &[PathBuf]) -> Result<Sources, CliError> {
    let mut sources = Sources::default();
    for path in paths {
        let files = if path.is_dir() {
            walk(path)?
        } else {
            vec![path.clone()]
        };
        for file in files {
            match read_file(&file) {
                Ok(File::Lines(items)) => sources.items.extend(items),
                Ok(File::Document(name, items)) => {
                    sources.documents.push((name, items.len()));
                    sources.items.extend(items);
                }
                // What was named itself must be readable; what a folder holds may be anything.
                Err(reason) if file == *path => {
                    return Err(CliError::failed(format!("{}: {reason}", file.display())));
                }
                Err(reason) => sources.skipped.push((file, reason)),
            }
        }
    }
    Ok(sources)
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

/// What a file holds.
enum File {
    Lines(Vec<Item>),
    Document(String, Vec<Item>),
}

fn read_file(path: &Path) -> Result<File, String> {
    let about = std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        _ => error.to_string(),
    })?;
    // Opening a pipe would wait for its other end.
    if !about.is_file() {
        return Err("not a regular file".to_owned());
    }
    let extension = path
        .extension()
        .map(|it| it.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    if extension != "jsonl" && !TEXT.contains(&extension.as_str()) {
        return Err(format!("not one of .jsonl .{}", TEXT.join(" .")));
    }
    let size = about.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{size} bytes, more than {MAX_FILE_BYTES}"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let name = path.to_string_lossy();
    if extension == "jsonl" {
        from_jsonl(&name, text).map(File::Lines)
    } else {
        let items = from_document(&name, text);
        Ok(File::Document(name.into_owned(), items))
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
            payload.insert("chunk".to_owned(), index.into());
            Item {
                id: format!("{name}#{index}"),
                text: passage.text,
                payload,
            }
        })
        .collect()
}

/// Reads one item from each line; fields other than `id` and `text` become payload, with
/// the file's name as `source` where a line has none.
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
        payload
            .entry("source".to_owned())
            .or_insert_with(|| name.into());
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
        let Sources {
            items,
            documents,
            skipped,
        } = read_paths(&[folder.path().to_path_buf()]).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(items[0].payload["chunk"], 0);
        let texts: Vec<_> = items.iter().map(|item| item.text.as_str()).collect();
        assert_eq!(texts, ["first", "second", "third"]);
        assert_eq!(items[2].id, "7");
        assert_eq!(items[2].payload["year"], 1999);
        assert_eq!(skipped.len(), 2);
    }

    #[test]
    fn what_is_named_and_no_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("nope");
        let error = read_paths(&[absent]).unwrap_err().to_string();
        assert!(error.contains("nope: there is no such file"), "{error}");
        let socket = folder.path().join("pipe.md");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = read_paths(&[socket]).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("a.md"), folder.path().join("b.jsonl"));
        std::fs::write(&one, "\u{feff}# Title\ntext").unwrap();
        std::fs::write(
            &two,
            "\u{feff}{\"id\": 1, \"text\": \"t\", \"source\": \"own\"}",
        )
        .unwrap();
        let items = read_paths(&[one, two]).unwrap().items;
        assert_eq!(items[0].payload["heading"], "Title");
        assert_eq!(items[1].payload["source"], "own");
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
