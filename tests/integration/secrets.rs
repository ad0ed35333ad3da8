//! Where secrets are not: in logs, evidence, metrics, settings shown, files of the data folder; and who may read those.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use boathouse::types::http::Method;
use serde_json::json;

use crate::harness::{Api, Process, command, finish};
use crate::upstream::{Reply, Upstream};

const PROVIDER_KEY: &str = "sk-provider-0123456789abcdef";
const FILE_KEY: &str = "sk-of-a-file-0123456789abcdef";
/// Kept in the evidence, and written to no log.
const QUESTION: &str = "when do the otters of the harbour sleep";

/// Asked for where there is none: it may stand in lines for who looks for a fault.
const COLLECTION: &str = "letters-of-ann";

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_secret_is_written_or_told_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // It repeats the key that it was sent, as some do.
    let refusal = |key: &str| {
        let body = json!({"error": {"message": format!("bad key {key}"), "type": "auth"}});
        Reply::json(401, &body)
    };
    // And the question, as services with pydantic do.
    let detail = json!({"type": "string_type", "loc": ["body"], "msg": "should be shorter", "input": QUESTION});
    let echo = Reply::json(422, &json!({"detail": [detail]}));
    // Or in plain words.
    let words =
        json!({"error": {"message": format!("not answered: {QUESTION}"), "type": "filter"}});
    let replies = vec![
        refusal(PROVIDER_KEY),
        refusal(FILE_KEY),
        echo,
        Reply::json(400, &words),
    ];
    let upstream = Upstream::start_each(replies);
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, format!("{FILE_KEY}\n")).unwrap();
    let settings = folder.path().join("boathouse.toml");
    let text = format!(
        "[log]\nfilter = \"trace\"\n[supervisors]\nallow_crash = true\n\
         [chat.providers.by-env]\nkind = \"openai\"\nbase_url = \"{url}\"\napi_key_env = \"PROVIDER_KEY\"\n\
         [chat.providers.by-file]\nkind = \"openai\"\nbase_url = \"{url}\"\napi_key_file = {file:?}\n\
         [embedding.embedders.remote]\nkind = \"openai\"\nbase_url = \"{url}\"\nmodel = \"m\"\n",
        url = upstream.base_url(),
        file = key_file.display().to_string(),
    );
    std::fs::write(&settings, text).unwrap();
    let house = || {
        let mut house = command();
        house.env("PROVIDER_KEY", PROVIDER_KEY);
        house
            .arg("--config")
            .arg(&settings)
            .arg("--data")
            .arg(&data);
        house
    };
    let (status, made, said) = finish(house().args(["keys", "new", "app", "--scope", "admin"]));
    assert_eq!(status, Some(0), "{said}");
    let api_key = made.trim().to_owned();
    let (_, shown, _) = finish(house().args(["config", "show"]));

    let mut child = house()
        .args(["serve", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        stderr.read_to_end(&mut log).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    });
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split(' ').next().unwrap().parse().unwrap();
    let server = Process { child, address };

    let mut told = vec![shown, line];
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(server.address);
        let bearer = format!("Bearer {api_key}");
        let headers = [("authorization", bearer.as_str())];
        let question =
            |model: &str| json!({"model": model, "messages": [{"role": "user", "content": QUESTION}]});
        for model in ["by-env/m", "by-file/m", "by-env/m", "by-env/m"] {
            let answer = api
                .post_with(&headers, "/v1/chat/completions", question(model))
                .await;
            assert_ne!(answer.status, 200, "{}", answer.text());
            told.push(answer.text());
        }
        let texts = json!({"model": "remote", "input": QUESTION});
        let answer = api.post_with(&headers, "/v1/embeddings", texts).await;
        assert!(answer.text().contains(QUESTION), "{}", answer.text());
        told.push(answer.text());
        let arguments = json!({"question": QUESTION, "model": "extractive", "collection": "docs"});
        for (method, params) in [
            ("tools/call", json!({"name": "answer", "arguments": arguments})),
            (
                "tools/call",
                json!({"name": "search", "arguments": {"collection": "docs", "query": QUESTION}}),
            ),
            (
                "resources/read",
                json!({"uri": format!("boathouse://collections/{COLLECTION}")}),
            ),
        ] {
            let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
            let kinds = ("accept", "application/json, text/event-stream");
            let version = ("mcp-protocol-version", "2025-06-18");
            let kind = ("content-type", "application/json");
            let headers = [headers[0], kinds, version, kind];
            let answer = api.post_with(&headers, "/mcp", message).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        // A wrong key, a mistyped one, one in the wrong place; a crash; a login.
        let wrong = format!("Bearer {api_key}0");
        let wrong = [("authorization", wrong.as_str())];
        told.push(
            api.post_with(&wrong, "/v1/embeddings", json!({}))
                .await
                .text(),
        );
        let crash = "/v1/supervisors/embedding/crash";
        told.push(api.post_with(&headers, crash, json!({})).await.text());
        let embedding =
            json!({"model": "static-minilm", "input": "a text that crashes its worker"});
        told.push(
            api.post_with(&headers, "/v1/embeddings", embedding)
                .await
                .text(),
        );
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let inside = api
            .form(&kind, "/console/login", &format!("key={api_key}"))
            .await;
        assert_eq!(inside.status, 303, "{}", inside.text());
        told.extend(inside.headers.iter().map(|(_, value)| value.clone()));
        for path in [
            "/metrics",
            "/v1/evidence",
            "/v1/supervisors",
            "/v1/dead-letters",
            "/v1/usage",
            "/console",
            "/openapi.json",
        ] {
            let answer = api.send_with(&headers, Method::Get, path, "").await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            told.push(answer.text());
        }
    });
    // The upstream got them, so they were in use.
    let sent = upstream.requests().join("\n");
    assert!(
        sent.contains(PROVIDER_KEY) && sent.contains(FILE_KEY),
        "{sent}"
    );
    drop(server);
    let log = log.join().unwrap();
    assert!(log.contains("request answered"), "the log is on: {log}");
    if let Some(at) = log.find(&QUESTION[5..]) {
        let line = log[..at].lines().next_back().unwrap_or_default();
        panic!("the question stands in the log: {line}");
    }
    let mut lines = log.lines();
    let warned = lines.find(|line| {
        line.contains(COLLECTION) && ["WARN", "ERROR"].iter().any(|level| line.contains(level))
    });
    assert_eq!(warned, None);
    told.push(log);
    for file in files(&data) {
        let bytes = std::fs::read(&file).unwrap();
        told.push(format!(
            "{}: {}",
            file.display(),
            String::from_utf8_lossy(&bytes)
        ));
    }
    // The part of an API key that is secret.
    for secret in [PROVIDER_KEY, FILE_KEY, &api_key[12..76]] {
        for told in &told {
            if let Some(at) = told.find(secret) {
                let around = told[..at].chars().rev().take(300).collect::<String>();
                panic!(
                    "{secret} after {}",
                    around.chars().rev().collect::<String>()
                );
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_kept_is_its_owners_only_unless_the_settings_say_otherwise() {
    use std::os::unix::fs::PermissionsExt as _;
    fn modes(path: &Path, found: &mut Vec<(PathBuf, u32)>) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        found.push((path.to_owned(), mode));
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                modes(&entry.unwrap().path(), found);
            }
        }
    }
    for (umask, file, folder) in [(None, 0o600, 0o700), (Some("027"), 0o640, 0o750)] {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("data");
        let mut house = command();
        house.args(["serve", "--port", "0", "--data"]).arg(&data);
        house.envs(umask.map(|umask| ("BOATHOUSE__STORAGE__UMASK", umask)));
        let server = Process::of(&mut house);
        actix_web::rt::System::new().block_on(async {
            let api = Api::new(server.address);
            api.collection("docs", &["some text"]).await;
            api.ok("/v1/collections/docs/search", json!({"query": "text"}))
                .await;
            api.ok("/v1/materialize", json!({})).await;
            // There may be nothing to export; its folders are there.
            api.post("/v1/exports", json!({"kind": "rag"})).await;
        });
        drop(server);
        let (status, _, said) = finish(
            command()
                .args(["keys", "new", "app", "--scope", "read", "--data"])
                .arg(&data),
        );
        assert_eq!(status, Some(0), "{said}");
        let mut found = Vec::new();
        modes(&data, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for (path, mode) in found {
            let own = path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("keys.");
            let wanted = if path.is_dir() {
                folder
            } else if own {
                0o600
            } else {
                file
            };
            assert_eq!(mode, wanted, "{}: {mode:o}", path.display());
        }
    }
}
