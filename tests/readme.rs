//! Runs the commands of README.md against a running server, as written, and compares the answers' keys.
//!
//! In a `console` block a line with `$ ` is a command (continued by `\`), what follows is what it prints.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const README: &str = include_str!("../README.md");
/// The address that README's commands name.
const DOCUMENTED: &str = "127.0.0.1:8642";

/// A command and what README says it prints.
struct Example {
    command: String,
    output: String,
}

fn examples() -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    let mut continued = false;
    for line in README.lines() {
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
    fn start(data: &std::path::Path) -> Self {
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

#[test]
fn every_command_of_the_readme_runs_as_written() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let have_curl = Command::new("curl").arg("--version").output().is_ok();
    let mut ran = 0;
    for Example { command, output } in examples() {
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
        let ran_command = Command::new("sh")
            .args(["-c", &line])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env(
                "BOATHOUSE__HTTP__PORT",
                server.address.rsplit(':').next().unwrap(),
            )
            .env("BOATHOUSE__STORAGE__DATA_DIR", data.path())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&ran_command.stdout);
        let said = String::from_utf8_lossy(&ran_command.stderr);
        assert!(ran_command.status.success(), "{line}\n{printed}\n{said}");
        ran += 1;
        let output = output.trim();
        if output.starts_with('{') {
            let documented: Value = serde_json::from_str(output)
                .unwrap_or_else(|error| panic!("{command}: README's output: {error}"));
            let real: Value = serde_json::from_str(printed.trim())
                .unwrap_or_else(|error| panic!("{line}: {error}: {printed}"));
            same_keys("", &documented, &real);
        } else {
            // Prose output: each documented line must stand in what was printed.
            for part in output
                .lines()
                .map(str::trim)
                .filter(|part| !part.is_empty() && *part != "…")
            {
                assert!(
                    printed.contains(part),
                    "{line}\nREADME shows {part:?}\nprinted:\n{printed}"
                );
            }
        }
    }
    assert!(ran >= 5 || !have_curl, "README has too few commands: {ran}");
}
