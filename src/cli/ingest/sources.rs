//! What `boathouse ingest` reads: files and folders as passages.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::chunk;
use super::table::{self, Columns};
use crate::cli::error::CliError;
use crate::cli::extract::{Extractor, Format};

/// Files that are read as text.
const TEXT: [&str; 6] = ["md", "markdown", "txt", "rst", "adoc", "org"];
/// Largest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// What some editors write before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// One passage on its way into a collection.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Item {
    pub(in crate::cli) id: String,
    pub(in crate::cli) text: String,
    pub(in crate::cli) payload: Map<String, Value>,
}

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Named itself, not found in a folder.
    pub(super) named: bool,
}

/// Lists the files, those of folders in order.
///
/// Errors: a folder cannot be listed.
pub(super) fn list(paths: &[PathBuf]) -> Result<Vec<Found>, CliError> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = walk(path)?.into_iter();
            all.extend(found.map(|path| Found { path, named: false }));
        } else {
            let path = path.clone();
            all.push(Found { path, named: true });
        }
    }
    Ok(all)
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
#[derive(Debug)]
pub(super) enum Content {
    /// Passages with ids of their own.
    Rows(Vec<Item>),
    /// A document in passages.
    Document(Document),
    /// Something that is not read.
    Other(String),
}

/// A document in passages.
#[derive(Debug)]
pub(super) struct Document {
    /// The file's name.
    pub(super) name: String,
    /// Changes whenever the passages may.
    pub(super) hash: String,
    /// In their order.
    pub(super) items: Vec<Item>,
}

/// How passages are cut and payloads made: a change of either must give other hashes.
const CUT: &[u8] = b"passages 1";

/// Reads files.
pub(super) struct Readers {
    pub(super) columns: Columns,
    pub(super) extractor: Extractor,
}

impl Readers {
    /// Reads a file whole. Errors: why it cannot be.
    pub(super) fn read(&mut self, path: &Path) -> Result<Content, String> {
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
        let format = Format::of(&extension);
        let table = ["csv", "tsv"].contains(&extension.as_str());
        let text = TEXT.contains(&extension.as_str());
        if format.is_none() && !table && !text && extension != "jsonl" {
            let known = TEXT.join(" .");
            return Ok(Content::Other(format!(
                "not one of .jsonl .csv .tsv .html .htm .xhtml .pdf .{known}"
            )));
        }
        let size = about.len();
        if size > MAX_FILE_BYTES {
            return Err(format!("{size} bytes, more than {MAX_FILE_BYTES}"));
        }
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let name = path.to_string_lossy();
        let hash = blake3::Hasher::new().update(CUT).update(&bytes).finalize();
        let document = |text: &str| {
            Content::Document(Document {
                items: from_document(&name, text),
                hash: hash.to_hex()[..32].to_owned(),
                name: name.to_string(),
            })
        };
        if let Some(format) = format {
            return self
                .extractor
                .read(format, path)
                .map(|text| document(&text));
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
        if table {
            return table::from_csv(&name, text, &self.columns).map(Content::Rows);
        }
        match extension.as_str() {
            "jsonl" => from_jsonl(&name, text).map(Content::Rows),
            _ => Ok(document(text)),
        }
    }
}

/// Cuts a document into items named after it.
pub(in crate::cli) fn from_document(name: &str, text: &str) -> Vec<Item> {
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
pub(in crate::cli) fn from_jsonl(name: &str, text: &str) -> Result<Vec<Item>, String> {
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
        put("page.htm", b"<p>fourth</p>");
        put("t.csv", b"text,n\nfifth,1\n");
        let found = list(&[folder.path().to_path_buf()]).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|one| one.path.file_name().unwrap())
            .collect();
        let expected = [
            "a.txt",
            "b.md",
            "broken.md",
            "c.jsonl",
            "image.png",
            "page.htm",
            "t.csv",
        ];
        assert_eq!(names, expected);
        let mut readers = readers();
        let mut read = |at: usize| readers.read(&found[at].path);
        for (at, text, id) in [(3, "third", "7"), (6, "fifth", "t.csv#0")] {
            let Ok(Content::Rows(rows)) = read(at) else {
                panic!("{at} holds rows")
            };
            assert_eq!(rows[0].text, text);
            assert!(rows[0].id.ends_with(id), "{:?}", rows[0]);
        }
        let documents = [read(0), read(1)].map(|read| match read {
            Ok(Content::Document(document)) => document,
            other => panic!("{other:?}"),
        });
        assert_eq!(documents[0].items[0].text, "first");
        assert_eq!(documents[1].items[0].payload["chunk"], 0);
        assert_ne!(documents[0].hash, documents[1].hash);
        assert!(read(2).unwrap_err().contains("not UTF-8 at byte 0"));
        assert!(matches!(read(4), Ok(Content::Other(_))));
    }

    fn readers() -> Readers {
        Readers {
            columns: Columns::default(),
            extractor: Extractor::new(),
        }
    }

    #[test]
    fn what_is_named_and_no_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("nope");
        let error = readers().read(&absent).unwrap_err();
        assert!(error.contains("there is no such file"), "{error}");
        let socket = folder.path().join("pipe.md");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = readers().read(&socket).unwrap_err();
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
        let Ok(Content::Document(document)) = readers().read(&one) else {
            panic!("a document")
        };
        assert_eq!(document.items[0].payload["heading"], "Title");
        let Ok(Content::Rows(rows)) = readers().read(&two) else {
            panic!("rows")
        };
        assert_eq!(rows[0].payload["source"], "own");
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
