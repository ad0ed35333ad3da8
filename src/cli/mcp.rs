//! `boathouse mcp`: the Model Context Protocol on stdin and stdout, for clients that start their servers themselves.
//!
//! Every line is passed on to `/mcp` of a running server, and its answer comes back as a line. Only messages go to stdout.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::BufRead as _;
use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::client::Client;
use super::error::CliError;
use super::{output, server};
use crate::config::Overrides;
use crate::types::http::Method;

/// Lines that are read ahead.
const AHEAD: usize = 16;
/// JSON-RPC's number for what is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// JSON-RPC's number for a server that cannot be asked.
const INTERNAL_ERROR: i32 = -32_603;

const EXAMPLES: &str = "Examples:
  boathouse mcp                                 for the server at the address of the settings
  boathouse mcp --data /srv/house               for the server that has this folder
  claude mcp add boathouse -- boathouse mcp     in a client that starts its servers itself";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct McpArgs {
    /// The server; default: the one that has the folder of --data, or is at the address of the settings
    #[arg(long)]
    url: Option<String>,
}

/// Runs the command until stdin ends and what came is answered.
pub(super) fn run(overrides: &Overrides, args: &McpArgs) -> Result<(), CliError> {
    let base = server::running(overrides, args.url.as_deref())?;
    actix_web::rt::System::new().block_on(pass_on(base, lines()));
    Ok(())
}

/// The lines of stdin, read on a thread of their own: such a read cannot be given up.
fn lines() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match stdin.read_until(b'\n', &mut line) {
                Ok(1..) if sender.blocking_send(line).is_ok() => {}
                Ok(_) => return,
                Err(error) => return output::complain(&format_args!("stdin: {error}")),
            }
        }
    });
    receiver
}

async fn pass_on(base: String, mut lines: mpsc::Receiver<Vec<u8>>) {
    let proxy = Rc::new(Proxy::to(&base));
    let mut tasks = JoinSet::new();
    while let Some(line) = lines.recv().await {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let message: Value = match serde_json::from_slice(&line) {
            Ok(message) => message,
            Err(error) => {
                let said = format!("the line is no JSON: {error}");
                output::say(failure(&Value::Null, PARSE_ERROR, &said));
                continue;
            }
        };
        match message["method"].as_str() {
            // What comes after it is sent in the version that it agrees on.
            Some("initialize") => proxy.ask(message).await,
            Some("notifications/cancelled") => proxy.cancel(&message["params"]["requestId"]),
            _ => {
                let id = message.get("id").map(Value::to_string);
                let proxy_of_task = Rc::clone(&proxy);
                let task = tasks.spawn_local(async move { proxy_of_task.ask(message).await });
                if let Some(id) = id {
                    proxy.under_way.borrow_mut().insert(id, task);
                }
            }
        }
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

/// The way to one server.
struct Proxy {
    client: Client,
    /// What `initialize` agreed on.
    version: RefCell<Option<String>>,
    /// By the JSON text of their ids.
    under_way: RefCell<HashMap<String, AbortHandle>>,
}

impl Proxy {
    fn to(base: &str) -> Self {
        Self {
            client: Client::new(base).with_header("accept", "application/json, text/event-stream"),
            version: RefCell::default(),
            under_way: RefCell::default(),
        }
    }

    /// Asks the server and says its answer, if there is one.
    async fn ask(&self, message: Value) {
        let headers = headers(&message, self.version.borrow().as_deref());
        let asked = self
            .client
            .ask_with(Method::Post, "/mcp", Some(&message), headers);
        let asked = asked.await;
        let id = message.get("id");
        if let Some(id) = id {
            self.under_way.borrow_mut().remove(&id.to_string());
        }
        let mut answer = match asked {
            Ok(answer) if answer.status == 202 => return,
            Ok(answer) if answer.body["jsonrpc"] == "2.0" => answer.body,
            Ok(answer) => {
                let said = format!("/mcp answered {}: {}", answer.status, answer.said());
                failure(&Value::Null, INTERNAL_ERROR, &said)
            }
            Err(error) => failure(&Value::Null, INTERNAL_ERROR, &error.to_string()),
        };
        match id {
            // The server does not know it where it refused the message unread.
            Some(id) => answer["id"] = id.clone(),
            None if message.is_object() => {
                return output::complain(&answer["error"]["message"]);
            }
            None => {}
        }
        if message["method"] == "initialize"
            && let Some(version) = answer["result"]["protocolVersion"].as_str()
        {
            self.version.replace(Some(version.to_owned()));
        }
        output::say(answer);
    }

    /// Gives a request up: the server notices that nobody waits.
    fn cancel(&self, id: &Value) {
        if let Some(task) = self.under_way.borrow_mut().remove(&id.to_string()) {
            task.abort();
        }
    }
}

/// What streamable HTTP wants said of a message beside it: its version, and since 2026-07-28 what it asks for.
fn headers(message: &Value, agreed: Option<&str>) -> Vec<(String, String)> {
    let params = &message["params"];
    let own = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    let name = params["name"].as_str().or_else(|| params["uri"].as_str());
    let is_handshake = message["method"] == "initialize";
    [
        ("mcp-protocol-version", own.or(agreed)),
        ("mcp-method", message["method"].as_str()),
        ("mcp-name", name),
    ]
    .into_iter()
    .filter_map(|(header, value)| Some((header.to_owned(), plain(value?))))
    .filter(|_| !is_handshake)
    .collect()
}

/// A value as a header can carry it.
fn plain(value: &str) -> String {
    let harmless = value.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if harmless && value.trim() == value && !value.starts_with("=?base64?") {
        value.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(value))
    }
}

fn failure(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_the_message_says() {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        let message = json!({"method": "tools/call", "params": {"name": "süch", "_meta": meta}});
        let said = |agreed| {
            let headers = headers(&message, agreed).into_iter();
            headers
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
        };
        let expected = [
            "mcp-protocol-version: 2026-07-28",
            "mcp-method: tools/call",
            "mcp-name: =?base64?c8O8Y2g=?=",
        ];
        assert_eq!(said(None), expected);
        assert_eq!(said(Some("2025-06-18")), expected);
        assert!(headers(&json!({"method": "initialize"}), None).is_empty());
        let listed = headers(&json!({"method": "tools/list"}), Some("2025-06-18"));
        assert_eq!(listed[0].1, "2025-06-18");
    }
}
