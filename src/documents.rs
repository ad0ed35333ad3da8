//! This project's own documentation, which the demo ingests: compiled in, so that it needs no checkout. Part of the binary and
//! not of the library, so that a changed document does not compile the library anew.

macro_rules! read {
    ($($path:literal,)*) => { &[$(($path, include_str!(concat!("../", $path)))),*] };
}

/// Each document with its path.
pub(crate) const ALL: &[(&str, &str)] = read![
    "README.md",
    "docs/ARCHITECTURE.md",
    "docs/BACKENDS.md",
    "docs/CLI.md",
    "docs/CONFIG.md",
    "docs/API.md",
    "docs/COMPARISON.md",
    "docs/IMPORT.md",
    "docs/MCP.md",
    "docs/MODELS.md",
    "docs/OBJECT_STORAGE.md",
    "docs/OBSERVABILITY.md",
    "docs/OPERATING.md",
    "docs/SCALING.md",
    "docs/SQL.md",
    "docs/STORAGE.md",
    "docs/SUPERVISION.md",
    "docs/VALIDATION.md",
    "docs/adr/0001-layers-in-one-crate.md",
    "docs/adr/0002-dependencies.md",
    "docs/adr/0003-bincode-behind-one-codec.md",
    "docs/adr/0004-own-supervision-on-actix.md",
    "docs/adr/0005-sans-io-providers.md",
    "docs/adr/0006-own-graph-builder.md",
    "docs/adr/0007-collections-are-read-not-mapped.md",
    "docs/adr/0008-api-keys.md",
    "docs/adr/0009-types-and-manual-of-the-settings.md",
    "docs/adr/0010-collections-elsewhere.md",
    "docs/adr/0011-payloads-as-marks-in-qdrant.md",
    "docs/adr/0012-lance-tables.md",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_of_the_project_is_here() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut expected = vec!["README.md".to_owned()];
        for folder in ["docs", "docs/adr"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".md") && name != "CHANGELOG.md" {
                    expected.push(format!("{folder}/{name}"));
                }
            }
        }
        let mut known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        expected.sort();
        known.sort_unstable();
        assert_eq!(known, expected);
    }
}
