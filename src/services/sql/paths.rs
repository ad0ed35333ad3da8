//! Files by their paths in a statement: `'datasets/exports/*/parquet/train.parquet'`.

use std::path::Path;

use crate::storage::dataset_store::files;

/// The folder that paths begin with.
const BELOW: &str = "datasets";
/// Segments of a path at most; each `**` may be any number of folders.
const DEEPEST: usize = 16;

/// Whether a table's name is meant as a path.
pub(super) fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || name.ends_with(".parquet") || name.ends_with(".jsonl")
}

/// The files that a path means, by name: `*` is any part of a name, `**` any folders.
///
/// Errors: it leads elsewhere than below `datasets/`, names no file, or files of two kinds.
pub(super) fn find(data: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let shown: String = pattern.chars().take(200).collect();
    let segments: Vec<&str> = pattern.split('/').collect();
    let odd =
        |segment: &&str| segment.is_empty() || segment.starts_with('.') || segment.contains('\\');
    let Some((&BELOW, rest)) = segments.split_first() else {
        return Err(elsewhere(&shown));
    };
    if rest.is_empty() || rest.len() > DEEPEST || rest.iter().any(odd) {
        return Err(elsewhere(&shown));
    }
    let mut found = files(&data.join(BELOW)).map_err(|error| error.to_string())?;
    found.retain(|path| {
        let path: Vec<&str> = path.split('/').collect();
        matches(rest, &path)
    });
    if found.is_empty() {
        return Err(format!("no file of the data folder is called '{shown}'"));
    }
    Ok(found
        .into_iter()
        .map(|path| format!("{BELOW}/{path}"))
        .collect())
}

fn elsewhere(shown: &str) -> String {
    format!(
        "a path leads from the data folder to files below {BELOW}/, such as '{BELOW}/exports/*/parquet/*.parquet', not to '{shown}'"
    )
}

fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), below) => {
            matches(rest, path) || below.is_some_and(|(_, below)| matches(pattern, below))
        }
        (Some((one, rest)), Some((name, below))) => named(one, name) && matches(rest, below),
        _ => false,
    }
}

/// Whether a name has the parts between the stars, in their order.
fn named(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('*');
    let last = parts.next_back().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_parts_of_names_and_two_for_folders() {
        for (pattern, path, expected) in [
            ("a/b.jsonl", "a/b.jsonl", true),
            ("a/b.jsonl", "a/c.jsonl", false),
            ("*/b.jsonl", "a/b.jsonl", true),
            ("*/b.jsonl", "b.jsonl", false),
            ("*/b.jsonl", "a/a/b.jsonl", false),
            ("**/b.jsonl", "b.jsonl", true),
            ("**/b.jsonl", "a/a/b.jsonl", true),
            ("**", "a/b", true),
            ("a/**/t*.jsonl", "a/date=1/tasks.jsonl", true),
            ("a/t*t*.p", "a/test.p", true),
            ("a/t*t*.p", "a/t.p", false),
            ("a/*ab", "a/ab", true),
            ("a/a*a", "a/a", false),
        ] {
            let split = |text: &'static str| text.split('/').collect::<Vec<_>>();
            assert_eq!(
                matches(&split(pattern), &split(path)),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn no_path_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("datasets")).unwrap();
        std::fs::write(folder.path().join("secret.parquet"), "").unwrap();
        for path in [
            "/etc/passwd",
            "../secret.parquet",
            "secret.parquet",
            "datasets/../secret.parquet",
            "datasets/./a.parquet",
            "datasets//etc/passwd",
            "datasets",
            "datasets/",
            "datasets/.tasks.new/tasks.jsonl",
            "datasets\\..\\secret.parquet",
            "file:///etc/passwd",
            "https://example.com/a.parquet",
            "*/secret.parquet",
            "**/secret.parquet",
        ] {
            let said = find(folder.path(), path).unwrap_err();
            assert!(said.contains("below datasets/"), "{path}: {said}");
            assert!(is_path(path) || path == "datasets", "{path}");
        }
        let said = find(folder.path(), "datasets/**/*.parquet").unwrap_err();
        assert!(said.contains("no file"), "{said}");
    }
}
