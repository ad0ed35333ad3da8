//! A conversation in the terminal.

use std::io::{BufRead as _, Write as _};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::answer;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;

const HELP: &str = "/reset forgets what was said, /quit or Ctrl-D ends; everything else is a question. A line that ends with \\ goes on in \
                    the next.";

/// Asks line by line until the end of stdin. A question that fails leaves the conversation as it was.
pub(super) async fn hold(
    client: &Client,
    body: Value,
    opening: Vec<Value>,
) -> Result<(), CliError> {
    let mut lines = lines()?;
    let mut messages = opening.clone();
    output::note(HELP);
    let mut question = String::new();
    loop {
        prompt(question.is_empty());
        let Some(line) = lines.recv().await else {
            output::note("");
            return Ok(());
        };
        let line = line?;
        if let Some(begun) = line.strip_suffix('\\') {
            question.push_str(begun);
            question.push('\n');
            continue;
        }
        question.push_str(&line);
        let asked = std::mem::take(&mut question);
        match asked.trim() {
            "" => {}
            "/quit" | "/exit" => return Ok(()),
            "/reset" => messages.clone_from(&opening),
            "/help" => output::note(HELP),
            command if command.starts_with('/') && !command.contains(' ') => {
                output::note(format_args!("there is no {command}; {HELP}"));
            }
            _ => {
                messages.push(json!({"role": "user", "content": asked}));
                match answer::tell(client, body.clone(), &messages).await {
                    Ok(said) => messages.push(said),
                    Err(error) => {
                        messages.pop();
                        output::complain(&error);
                    }
                }
            }
        }
    }
}

fn prompt(first: bool) {
    let mut out = std::io::stderr().lock();
    let sign = if first { "> " } else { "… " };
    let _ = write!(out, "{sign}").and_then(|()| out.flush());
}

/// The lines of stdin, read by a thread of its own: waiting for one must not keep Ctrl-C from being heard.
fn lines() -> Result<mpsc::Receiver<Result<String, CliError>>, CliError> {
    let (sender, receiver) = mpsc::channel(1);
    let reader = std::thread::Builder::new().name("stdin".to_owned());
    let read = move || {
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| CliError::failed(format!("stdin: {error}")));
            let last = line.is_err();
            if sender.blocking_send(line).is_err() || last {
                return;
            }
        }
    };
    let spawned = reader.spawn(read);
    spawned.map_err(|error| CliError::failed(format!("no thread for stdin: {error}")))?;
    Ok(receiver)
}
