//! Runs the commands of README.md and docs/OPERATING.md against a running server, as written, and compares the answers' keys.
//!
//! In a `console` block a line with `$ ` is a command (continued by `\`), what follows is what it prints. What a test cannot run,
//! such as containers, stands in blocks of `sh`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const README: &str = include_str!("../README.md");
const OPERATING: &str = include_str!("../docs/OPERATING.md");
/// The address that README's commands name.
const DOCUMENTED: &str = "127.0.0.1:8642";

/// A command and what the page says it prints.
struct Example {
    command: String,
    output: String,
}

fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    let mut continued = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line.trim() == "```console";
            continue;
        }
        if !inside {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            found.push(Example {
                command: command.to_owned(),
                output: String::new(),
            });
            continued = command.ends_with('\\');
        } else if let Some(last) = found.last_mut() {
            let part = if continued {
                &mut last.command
            } else {
                &mut last.output
            };
            part.push('\n');
            part.push_str(line);
            continued = continued && line.ends_with('\\');
        }
    }
    found
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_boathouse"))
            .args(["serve", "--port", "0", "--data"])
            .arg(data)
            .env("BOATHOUSE__SUPERVISORS__ALLOW_CRASH", "true")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        Self { child, address }
    }

    /// Runs a command line that finds this server and its folder.
    fn run(&self, line: &str, data: &Path) -> Output {
        let binary = Path::new(env!("CARGO_BIN_EXE_boathouse")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("sh")
            .args(["-c", line])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PATH", format!("{}:{path}", binary.display()))
            .env(
                "BOATHOUSE__HTTP__PORT",
                self.address.rsplit(':').next().unwrap(),
            )
            .env("BOATHOUSE__STORAGE__DATA_DIR", data)
            .output()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already if it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every key that README shows is in the real answer, at the same place.
fn same_keys(path: &str, documented: &Value, real: &Value) {
    match (documented, real) {
        (Value::Object(documented), Value::Object(found)) => {
            for (key, value) in documented {
                let below = found
                    .get(key)
                    .unwrap_or_else(|| panic!("{path}.{key} is not in {real}"));
                same_keys(&format!("{path}.{key}"), value, below);
            }
        }
        (Value::Array(documented), Value::Array(found)) => {
            for (index, (value, below)) in documented.iter().zip(found).enumerate() {
                same_keys(&format!("{path}[{index}]"), value, below);
            }
            assert!(
                documented.is_empty() || !found.is_empty(),
                "{path} is empty in {real}"
            );
        }
        (documented, found) => {
            let same = std::mem::discriminant(documented) == std::mem::discriminant(found);
            assert!(
                same,
                "{path}: README shows {documented}, the answer has {found}"
            );
        }
    }
}

/// Holds what a command printed to what the page says.
fn prints(command: &str, output: &str, printed: &str) {
    let output = output.trim();
    if output.starts_with('{') {
        let documented: Value = serde_json::from_str(output)
            .unwrap_or_else(|error| panic!("{command}: the documented output: {error}"));
        let real: Value = serde_json::from_str(printed.trim())
            .unwrap_or_else(|error| panic!("{command}: {error}: {printed}"));
        same_keys("", &documented, &real);
        return;
    }
    // Prose: each documented line must stand in what was printed.
    for part in output
        .lines()
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != "…")
    {
        assert!(
            printed.contains(part),
            "{command}\nthe page shows {part:?}\nprinted:\n{printed}"
        );
    }
}

#[test]
fn every_command_of_the_readme_runs_as_written() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let have_curl = Command::new("curl").arg("--version").output().is_ok();
    let mut ran = 0;
    for Example { command, output } in examples(README) {
        let line = command.replace(DOCUMENTED, &server.address);
        let line = line.replace("cargo run --release --", env!("CARGO_BIN_EXE_boathouse"));
        // The server itself, the test that runs here, and a clone of the project are covered elsewhere.
        let elsewhere = ["git ", "cargo test", "cargo run --release", "cd "];
        if elsewhere.iter().any(|start| line.starts_with(start)) || line.contains("demo") {
            continue;
        }
        if line.starts_with("curl ") && !have_curl {
            eprintln!("skipped, curl is not installed: {command}");
            continue;
        }
        let ran_command = server.run(&line, data.path());
        let printed = String::from_utf8_lossy(&ran_command.stdout);
        let said = String::from_utf8_lossy(&ran_command.stderr);
        assert!(ran_command.status.success(), "{line}\n{printed}\n{said}");
        ran += 1;
        prints(&command, &output, &printed);
    }
    assert!(ran >= 5 || !have_curl, "README has too few commands: {ran}");
}

#[test]
fn the_commands_for_operators_run_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let (etc, restored) = (
        folder.path().join("boathouse.toml"),
        folder.path().join("restored"),
    );
    std::fs::create_dir(&backups).unwrap();
    std::fs::write(&etc, "[log]\nformat = \"json\"\n").unwrap();
    let server = Server::start(&data);
    // Something to back up.
    let said = server.run("boathouse feedback some-answer accepted", &data);
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let mut ran = 0;
    for Example { command, output } in examples(OPERATING) {
        let mut line = command.clone();
        for (documented, place) in [
            ("/etc/boathouse/boathouse.toml", &etc),
            ("/var/backups", &backups),
            ("/var/lib/boathouse-new", &restored),
        ] {
            line = line.replace(documented, &place.display().to_string());
        }
        // It is named after the moment that it was made.
        let made = std::fs::read_dir(&backups).unwrap();
        let mut made = made.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        if let Some(made) = made.find(|name| name.ends_with(".tar")) {
            line = line.replace("boathouse-20261129T060000Z.tar", &made);
        }
        let done = server.run(&line, &data);
        let printed = String::from_utf8_lossy(&done.stdout);
        let said = String::from_utf8_lossy(&done.stderr);
        // The machine of a test may well have something to look at.
        let fine = done.status.success()
            || (line.starts_with("boathouse doctor") && done.status.code() == Some(1));
        assert!(fine, "{line}\n{printed}\n{said}");
        prints(&command, &output, &printed);
        ran += 1;
    }
    assert!(ran >= 10, "docs/OPERATING.md has too few commands: {ran}");
}
