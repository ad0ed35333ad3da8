//! Ctrl-C while a server works for a command.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::harness::command;

/// How requests begin, and the status and body that they are answered with. Others are never answered.
type Known = (&'static str, &'static str, &'static str);

const NO_JOB: Known = ("GET /v1/datasets/job", "200 OK", r#"{"job": null}"#);
const A_JOB: Known = (
    "GET /v1/datasets/job",
    "200 OK",
    r#"{"job": "materialize", "done": 1, "of": 9}"#,
);

/// Serves on a free port; returns the address and what is asked.
fn fake(answers: &[Known]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, told) = channel();
    let answers = answers.to_vec();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (asked, answers) = (asked.clone(), answers.clone());
            std::thread::spawn(move || answer(stream.unwrap(), &answers, &asked));
        }
    });
    (url, told)
}

fn answer(stream: TcpStream, answers: &[Known], asked: &Sender<String>) {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let known = answers
        .iter()
        .find(|(start, ..)| request.starts_with(start));
    // Whoever listened may be gone.
    let _ = asked.send(request);
    let mut stream = reader.into_inner();
    let sent = match known {
        Some((_, status, body)) => write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
        None => stream.read_to_end(&mut Vec::new()).map(drop),
    };
    drop(sent);
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Runs a command, interrupts it once `until` was asked, and returns what it said and whether it told the job to stop.
fn stopped(arguments: &[&str], until: &str, answers: &[Known]) -> (String, bool) {
    let (url, asked) = fake(answers);
    let child = command()
        .args(arguments)
        .args(["--url", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(asked.iter().any(|request| request.starts_with(until)));
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    let deleted = asked
        .try_iter()
        .any(|request| request.starts_with("DELETE"));
    (said, deleted)
}

#[test]
fn a_job_is_stopped_by_the_command_that_began_it() {
    let post = "POST /v1/materialize";
    let (said, deleted) = stopped(
        &["materialize"],
        post,
        &[NO_JOB, ("DELETE", "200 OK", r#"{"cancelled": true}"#)],
    );
    assert!(
        deleted && said.contains("stopped; what was there"),
        "{said}"
    );
    let refusal = ("DELETE", "403 Forbidden", r#"{"detail": "no such scope"}"#);
    let (said, deleted) = stopped(&["export", "sft"], "POST /v1/exports", &[NO_JOB, refusal]);
    assert!(
        deleted && said.contains("it goes on in the server"),
        "{said}"
    );
    assert!(said.contains("no such scope"), "{said}");
    let over = ("DELETE", "404 Not Found", "{}");
    let (said, _) = stopped(&["materialize"], post, &[NO_JOB, over]);
    assert!(said.contains("nothing under way to stop"), "{said}");
}

#[test]
fn the_job_of_another_goes_on() {
    let delete = ("DELETE", "200 OK", "{}");
    let (said, deleted) = stopped(&["export", "--list"], "GET /v1/exports", &[NO_JOB, delete]);
    assert!(!deleted, "{said}");
    let (said, deleted) = stopped(&["materialize"], "POST /v1/materialize", &[A_JOB, delete]);
    assert!(!deleted, "{said}");
    assert!(said.contains("another job was under way"), "{said}");
}
