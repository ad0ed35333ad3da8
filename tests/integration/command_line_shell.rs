//! What shells and terminals see: help, completions, manual pages, colours, pipes, exit statuses.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::harness::{command, feed, finish};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    finish(command().args(arguments))
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let mut lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut found = Vec::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let indent = line.len() - line.trim_start().len();
        let name = line.split_whitespace().next().unwrap();
        if indent == 2 && name != "help" {
            found.push(name.to_owned());
        }
    }
    found
}

#[test]
fn every_command_has_examples_and_prints_json() {
    // What they print is no data, but a server's own life, scripts or pages; mcp, health and config schema speak JSON anyway.
    let no_json = [
        "serve",
        "demo",
        "completions",
        "man",
        "config docs",
        "config schema",
        "mcp",
        "health",
    ];
    let (_, help, _) = run(&["--help"]);
    let mut left: Vec<Vec<String>> = commands(&help).into_iter().map(|name| vec![name]).collect();
    assert!(left.len() > 20, "{help}");
    let mut leaves = 0;
    while let Some(path) = left.pop() {
        let arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        let (status, help, _) = run(&[arguments.as_slice(), &["--help"]].concat());
        let name = arguments.join(" ");
        assert_eq!(status, Some(0), "{name}");
        assert!(
            help.contains("Examples:"),
            "{name} has no examples:\n{help}"
        );
        let below = commands(&help);
        if below.is_empty() {
            leaves += 1;
            let json = help.contains("--json");
            assert!(
                json || no_json.contains(&name.as_str()),
                "{name} has no --json"
            );
        }
        left.extend(
            below
                .into_iter()
                .map(|name| [path.as_slice(), &[name]].concat()),
        );
    }
    assert!(leaves > 50, "{leaves}");
}

#[test]
fn slips_are_told_with_what_was_meant() {
    for (arguments, meant) in [
        (&["serach", "docs", "x"][..], "search"),
        (&["collection", "lst"], "list"),
        (&["search", "docs", "x", "--expalin"], "--explain"),
        (&["search", "docs", "x", "--mode", "hybird"], "hybrid"),
        (&["completions", "bsh"], "bash"),
    ] {
        let (status, shown, said) = run(arguments);
        assert_eq!((status, shown.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(
            said.contains(meant) && said.contains("similar"),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn the_exit_statuses_are_told_and_kept() {
    let (_, help, _) = run(&["--help"]);
    for status in ["0 ", "1 ", "2 ", "3 ", "4 ", "64 ", "70 ", "130 "] {
        let told = help
            .lines()
            .any(|line| line.trim_start().starts_with(status));
        assert!(told, "{status}: {help}");
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mail = br#"{"to": "dana@example.com", "subject": "Hello {{name}}", "body": "Your card 4111 1111 1111 1111."}"#;
    let judged = feed(
        command().args(["validate", "email", "-", "--data", data]),
        mail,
    );
    assert_eq!(judged.0, Some(4), "{judged:?}");
    let shown = run(&["config", "check", "--port", "1", "--config", "absent.toml"]);
    assert_eq!(shown.0, Some(64), "{shown:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130() {
    use std::os::unix::process::ExitStatusExt as _;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let child = command()
        .args(["collection", "list", "--url", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has asked, and nobody will answer.
    let (mut asked, _) = listener.accept().unwrap();
    assert!(asked.read(&mut [0; 16]).unwrap() > 0);
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        ended.status.code(),
        Some(130),
        "{:?}",
        ended.status.signal()
    );
    assert_eq!(ended.stdout, b"");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let made = run(&["collection", "create", "docs", "--data", data]);
    assert_eq!(made.0, Some(0), "{made:?}");
    let points: String = (0..3_000)
        .map(|id| format!("{{\"id\": {id}, \"text\": \"a boat\"}}\n"))
        .collect();
    let stored = feed(
        command().args(["points", "upsert", "docs", "-", "--data", data]),
        points.as_bytes(),
    );
    assert_eq!(stored.0, Some(0), "{stored:?}");
    let mut child = command()
        .args([
            "points", "scroll", "docs", "--all", "--json", "--data", data,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/config/demo/trecqa/nothing.json"
    );
    let coloured = |environment: &[(&str, &str)]| {
        let mut command = command();
        command.args(["validate", "email", file]);
        let (_, shown, said) = finish(command.envs(environment.iter().copied()));
        (shown + &said).contains('\u{1b}')
    };
    assert!(!coloured(&[]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn bash_completes_commands_and_flags() {
    let (status, script, said) = run(&["completions", "bash"]);
    assert_eq!(status, Some(0), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("boathouse.bash");
    std::fs::write(&file, script).unwrap();
    let complete = |words: &str, at: usize| {
        let bash = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _boathouse boathouse \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at} - 1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &bash]).output();
        output.map(|output| String::from_utf8(output.stdout).unwrap())
    };
    let Ok(found) = complete("boathouse coll", 1) else {
        eprintln!("bash is not installed: its completions are not tried");
        return;
    };
    assert_eq!(found, "collection\n");
    let found = complete("boathouse collection cr", 2).unwrap();
    assert_eq!(found, "create\n");
    let found = complete("boathouse search --expl", 2).unwrap();
    assert_eq!(found, "--explain\n");
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        let (status, script, _) = run(&["completions", shell]);
        assert_eq!(status, Some(0), "{shell}");
        assert!(script.contains("recommend"), "{shell}");
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    let (status, _, said) = run(&["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{said}");
    let page = std::fs::read_to_string(dir.join("boathouse-search.1")).unwrap();
    for part in [
        ".TH",
        ".SH NAME",
        ".SH SYNOPSIS",
        ".SH OPTIONS",
        "\\-\\-explain",
        "Examples:",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(dir.join("boathouse-collection-create.1").exists());
    let (_, page, _) = run(&["man"]);
    assert!(
        page.contains(".TH boathouse 1") && page.contains("130"),
        "{page}"
    );
    let read = Command::new("man")
        .args(["-l", "-P", "cat"])
        .arg(dir.join("boathouse-search.1"))
        .env("MANWIDTH", "100")
        .output();
    match read {
        Ok(read) if read.status.success() => {
            let text = String::from_utf8_lossy(&read.stdout).into_owned();
            assert!(
                text.contains("SYNOPSIS") && text.contains("--explain"),
                "{text}"
            );
        }
        _ => eprintln!("man is not installed: its pages are only looked at as roff"),
    }
}
