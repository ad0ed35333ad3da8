//! The arrows between layers, and a few conventions, held by reading the source.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::path::{Path, PathBuf};

/// Layer, and what it may import of ours.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("types", &[]),
    ("storage", &["types"]),
    ("engines", &["types", "storage"]),
    ("transport", &["types"]),
    ("telemetry", &["transport", "types"]),
    ("actors", &["engines", "storage", "transport", "types"]),
    ("services", &["actors", "engines", "storage", "types"]),
    ("api", &["services", "types", "console"]),
    ("console", &["services", "types"]),
    ("config", &["engines", "storage", "types"]),
    ("cli", &["app", "config", "services", "transport", "types"]),
    (
        "app",
        &[
            "actors",
            "api",
            "config",
            "engines",
            "services",
            "storage",
            "telemetry",
            "transport",
            "types",
        ],
    ),
];

/// Crate, and the only places that may name it.
const ONLY_IN: [(&str, &[&str]); 31] = [
    ("bincode", &["storage/codec.rs"]),
    ("reqwest", &["transport/"]),
    ("hyper", &["transport/"]),
    ("hdrhistogram", &["cli/bench/"]),
    ("hnsw_rs", &["engines/index/"]),
    (
        "quick_cache",
        &["engines/embedding/cache.rs", "engines/chat/response_cache/"],
    ),
    ("candle_core", &["engines/embedding/embedders/minilm/"]),
    ("cel", &["engines/validation/validators/custom/"]),
    ("zip", &["cli/models/"]),
    // Files of the command line, tables of the validators, and datasets: bytes on disk.
    (
        "parquet",
        &[
            "actors/tables/",
            "cli/roster/",
            "cli/transfer/",
            "storage/parquet_file",
        ],
    ),
    ("datafusion", &["services/sql/"]),
    ("object_store", &["transport/objects/"]),
    ("qdrant_client", &["actors/index/store/qdrant/"]),
    ("prost", &["actors/index/store/qdrant/"]),
    ("sd_notify", &["app/service_manager.rs"]),
    ("tar", &["storage/backup/"]),
    ("htmd", &["cli/extract/"]),
    ("pdf_extract", &["cli/extract/"]),
    ("lance", &["actors/index/store/lance/"]),
    ("lancedb", &["actors/index/store/lance/"]),
    // Limits of processes, and what brings Lance tables on the disk.
    ("rustix", &["actors/index/store/lance/", "cli/"]),
    ("prometheus", &["api/metrics.rs"]),
    ("rmcp", &["api/mcp/"]),
    ("opentelemetry", &["telemetry/"]),
    ("opentelemetry_http", &["telemetry/"]),
    ("opentelemetry_otlp", &["telemetry/"]),
    ("opentelemetry_sdk", &["telemetry/"]),
    // What evidence and settings look like, and the tools of `/mcp`.
    (
        "schemars",
        &[
            "api/mcp/",
            "config/",
            "engines/",
            "storage/evidence_log/",
            "types/",
        ],
    ),
    ("http_body_util", &["api/mcp/", "transport/"]),
    (
        "actix_web",
        &["api/", "console/", "app.rs", "app/background.rs", "cli/"],
    ),
    (
        "tokio",
        &[
            "transport/",
            "telemetry/",
            "actors/",
            "services/",
            "api/",
            "app.rs",
            "app/assembly.rs",
            "app/background.rs",
            "app/signals.rs",
            "cli/",
        ],
    ),
];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn layer(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// The code of a file without comment lines: an arrow in a sentence is no import.
fn code(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The words that follow `crate::`, also inside a group of `use crate::{…}`.
fn imported(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let word = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (index, character) in group.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    _ => {}
                }
                if start && character.is_alphabetic() {
                    found.push(word(&group[index..]));
                    start = false;
                }
            }
        } else {
            found.push(word(rest));
        }
    }
    found
}

#[test]
fn groups_and_plain_imports_are_read() {
    let seen = imported("use crate::{types::point::Point, api};\nlet x = crate::app::start();");
    assert_eq!(seen, ["types", "api", "app"]);
}

#[test]
fn imports_follow_the_arrows() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let own = layer(&file);
        // `documents` is part of the binary, as `main` is.
        if matches!(own, "lib" | "main" | "documents") {
            continue;
        }
        let allowed = MAY_IMPORT.iter().find(|(layer, _)| *layer == own);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{file}: layer {own} is not in the table"));
            continue;
        };
        for word in imported(&code(&text)) {
            let known = MAY_IMPORT.iter().any(|(layer, _)| *layer == word);
            if known && word != own && !allowed.contains(&word.as_str()) {
                wrong.push(format!("{file}: {own} must not import {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fenced_crates_stay_behind_their_fence() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let code = code(&text);
        for (name, places) in ONLY_IN {
            let path = format!("{name}::");
            let used = code.match_indices(&path).any(|(at, _)| {
                // A module of that name in another crate is not the crate.
                let before = code[..at].strip_suffix("::").unwrap_or(&code[..at]);
                !before.ends_with(|before: char| before.is_alphanumeric() || before == '_')
            });
            if used && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!(
                    "{file}: {name} may only be used in {}",
                    places.join(", ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn engines_have_no_clock() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        // Tests of engines may use what they like; they stand at the end of a file or in their own.
        let code = code(&text);
        let code = code.split("#[cfg(test)]").next().unwrap();
        if layer(&file) == "engines" && !file.ends_with("tests.rs") {
            for clock in [
                "Instant::now",
                "SystemTime::now",
                "Timestamp::now",
                "Zoned::now",
            ] {
                if code.contains(clock) {
                    wrong.push(format!("{file}: {clock}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_direct_dependency_has_its_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let record = std::fs::read_to_string(root.join("docs/adr/0002-dependencies.md")).unwrap();
    let manifest: toml::Table =
        toml::from_str(&std::fs::read_to_string(root.join("Cargo.toml")).unwrap()).unwrap();
    let missing: Vec<&String> = manifest["workspace"]["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .filter(|name| !record.contains(&format!("| `{name}` |")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/adr/0002-dependencies.md has no line for {missing:?}"
    );
}
