//! The files of rules that the settings name.

use std::path::{Path, PathBuf};

use crate::engines::validation::RuleFile;

/// Most files.
const MAX_FILES: usize = 100;

/// Reads the files, in the order of the settings, those of one entry by name. An entry is a file, a folder (its
/// `.toml` files), or a path whose last part has a `*`.
///
/// Errors: the entry and what is wrong with it.
pub(super) fn read(entries: &[String]) -> Result<Vec<RuleFile>, String> {
    let mut files = Vec::new();
    for entry in entries {
        for path in paths(entry)? {
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.display().to_string();
            files.push(RuleFile { name, text });
        }
    }
    if files.len() > MAX_FILES {
        let count = files.len();
        return Err(format!("{count} files: use at most {MAX_FILES}"));
    }
    Ok(files)
}

fn paths(entry: &str) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(entry);
    let name = path.file_name().and_then(|name| name.to_str());
    let (folder, first, last) = if path.is_dir() {
        (path, "", ".toml")
    } else if let Some((first, last)) = name.and_then(|name| name.split_once('*')) {
        let folder = path.parent().filter(|one| !one.as_os_str().is_empty());
        (folder.unwrap_or(Path::new(".")), first, last)
    } else {
        return Ok(vec![path.to_owned()]);
    };
    let failed = |error: std::io::Error| format!("{entry:?}: {}: {error}", folder.display());
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).map_err(failed)? {
        let file = file.map_err(failed)?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        let fits = |name: &str| {
            name.len() >= first.len() + last.len()
                && name.starts_with(first)
                && name.ends_with(last)
        };
        if file.is_file() && name.is_some_and(fits) {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(format!("{entry:?} names no file"));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_and_stars_are_read_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "a.txt"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let texts = |entry: &str| {
            let entry = folder.path().join(entry).display().to_string();
            let files = read(&[entry])?;
            Ok(files.into_iter().map(|file| file.text).collect::<Vec<_>>())
        };
        assert_eq!(
            texts(""),
            Ok(vec!["a.toml".to_owned(), "b.toml".to_owned()])
        );
        assert_eq!(texts("a*l"), Ok(vec!["a.toml".to_owned()]));
        assert_eq!(texts("b.toml"), Ok(vec!["b.toml".to_owned()]));
        let none: Result<_, String> = texts("c*.toml");
        assert!(none.unwrap_err().contains("names no file"));
        assert!(texts("c.toml").unwrap_err().contains("c.toml"));
    }
}
