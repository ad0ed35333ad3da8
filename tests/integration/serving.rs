//! What whoever runs the server asks of it: health, the doctor, the files to run it by.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::harness::{Api, Process, command, finish};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

#[test]
fn health_is_an_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let url = format!("http://{}", process.address);
    let (status, shown, said) = finish(command().args(["health", "--url", &url]));
    assert_eq!(status, Some(0), "{said}");
    assert!(shown.contains("\"ready\":true"), "{shown}");
    drop(process);
    let (status, _, said) = finish(command().args(["health", "--url", &url]));
    assert_eq!(status, Some(1));
    assert!(said.contains(&url), "{said}");
    // One that takes the connection and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (status, _, said) = finish(command().args(["health", "--timeout-ms", "50", "--url", &url]));
    assert_eq!(status, Some(1));
    assert!(said.contains("did not answer in 50 ms"), "{said}");
}

/// The findings of `boathouse doctor --json`, and its status.
fn doctor(settings: &Path, environment: &[(&str, &str)]) -> (Option<i32>, Vec<Value>, String) {
    let mut doctor = command();
    doctor.args(["doctor", "--json", "--config"]).arg(settings);
    let (status, shown, said) = finish(doctor.envs(environment.iter().copied()));
    let report: Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown}{said}"));
    let findings = report["findings"].as_array().unwrap().clone();
    (status, findings, shown)
}

/// Level and text of the findings of one check.
fn of<'a>(findings: &'a [Value], check: &str) -> Vec<(&'a str, &'a str)> {
    let findings = findings.iter().filter(|one| one["check"] == check);
    findings
        .map(|one| {
            (
                one["level"].as_str().unwrap(),
                one["what"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_doctor_looks_at_everything_and_shows_no_key() {
    // An upstream that knows one key.
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in upstream.incoming() {
            let mut socket = socket.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            while reader.read_line(&mut head).unwrap() > 2 {}
            assert!(head.starts_with("GET /v1/models "), "{head}");
            let status = match head.contains("Bearer right-key") {
                true => "200 OK",
                false => "401 Unauthorized",
            };
            let reply =
                format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            std::io::Write::write_all(&mut socket, reply.as_bytes()).unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let process = Process::start(&data);
    block_on(async {
        Api::new(process.address)
            .collection("docs", &["kept"])
            .await;
    });
    let file = folder.path().join("boathouse.toml");
    let provider = |name: &str, key: &str| {
        format!(
            "[chat.providers.{name}]\nkind = \"openai\"\nbase_url = \"http://{address}/v1\"\napi_key_env = \"{key}\"\n"
        )
    };
    let mut text = format!(
        "[http]\nport = {}\n[storage]\ndata_dir = {data:?}\n",
        process.address.port()
    );
    text.push_str(&provider("good", "GOOD_KEY"));
    std::fs::write(&file, &text).unwrap();
    let keys = [("GOOD_KEY", "right-key"), ("BAD_KEY", "wrong-key")];
    let (_, findings, _) = doctor(&file, &keys);
    assert_eq!(of(&findings, "settings")[0].0, "ok");
    assert!(of(&findings, "data folder")[0].1.contains("a server has"));
    assert_eq!(of(&findings, "evidence")[0].0, "ok");
    assert_eq!(
        of(&findings, "collections")[0].1,
        "1 of a format that this version reads"
    );
    assert!(
        of(&findings, "embedding")[0]
            .1
            .contains("static-minilm answers")
    );
    let server = of(&findings, "server");
    assert_eq!(server[0].0, "ok", "{server:?}");
    assert!(server[0].1.contains(env!("CARGO_PKG_VERSION")));
    let provider_of = |findings: &[Value]| {
        of(findings, "chat provider")
            .iter()
            .map(|(level, what)| format!("{level} {what}"))
            .collect::<Vec<_>>()
    };
    assert!(provider_of(&findings)[0].starts_with("ok good lists its models"));

    text.push_str(&provider("bad", "BAD_KEY"));
    text.push_str(&provider("none", "NO_SUCH_KEY"));
    std::fs::write(&file, &text).unwrap();
    let (status, findings, shown) = doctor(&file, &keys);
    assert_eq!(status, Some(2));
    let told = provider_of(&findings);
    assert!(
        told[0].starts_with("fail bad refuses the key (401)"),
        "{told:?}"
    );
    assert!(told[2].contains("NO_SUCH_KEY"), "{told:?}");
    assert!(
        !shown.contains("right-key") && !shown.contains("wrong-key"),
        "{shown}"
    );

    drop(process);
    let (_, findings, _) = doctor(&file, &keys);
    assert!(of(&findings, "port")[0].1.contains("is free"));
    assert!(
        of(&findings, "data folder")[0]
            .1
            .contains("no server has it")
    );
    std::fs::write(&file, "[htp]\n").unwrap();
    let (status, findings, _) = doctor(&file, &keys);
    assert_eq!((status, findings.len()), (Some(2), 1));
    assert!(
        findings[0]["what"]
            .as_str()
            .unwrap()
            .contains("did you mean `http`")
    );
    let (status, shown, _) = finish(
        command()
            .args(["doctor", "--offline", "--config"])
            .arg(&file),
    );
    assert_eq!(status, Some(2));
    assert!(
        shown.contains("fail  settings") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}

#[test]
fn the_unit_and_the_image_fit_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unit = std::fs::read_to_string(root.join("config/systemd/boathouse.service")).unwrap();
    let value = |key: &str| {
        let mut lines = unit.lines();
        let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{key} is not in the unit"))
    };
    let stop: u64 = value("TimeoutStopSec").parse().unwrap();
    let drain = boathouse::config::Settings::default().http.drain_ms;
    assert!(
        stop * 1_000 > 2 * drain,
        "{stop} s, and the drain takes up to {drain} ms twice"
    );
    assert!(
        value("RestartPreventExitStatus")
            .split(' ')
            .any(|status| status == "64")
    );
    let image = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let version = concat!("FROM rust:", env!("CARGO_PKG_RUST_VERSION"), "-");
    assert!(image.contains(version), "{version}");
    // What the image and the unit call exists.
    for line in [
        &["health", "--help"][..],
        &["config", "check"],
        &["serve", "--help"],
    ] {
        let (status, _, said) = finish(command().args(line));
        assert_eq!(status, Some(0), "{line:?}: {said}");
    }
}
