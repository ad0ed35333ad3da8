//! `boathouse tree`: the supervision tree of a running server, live.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::error::CliError;
use super::output;
use super::server::RunningArgs;
use crate::config::Overrides;
use crate::types::http::Method;

/// Time between two pictures.
const EVERY: Duration = Duration::from_secs(1);
/// Clears the screen and goes to its start.
const CLEAR: &str = "\x1b[2J\x1b[H";

const EXAMPLES: &str = "Examples:
  boathouse tree                                  until Ctrl-C, also while the server restarts
  boathouse tree --once --data /srv/house         of the server that has this folder
  boathouse tree --json | jq '.. | objects | select(.restarts? > 0) | .id'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TreeArgs {
    /// Print the tree once; the default where stdout is no terminal
    #[arg(long)]
    once: bool,
    /// Print the tree once, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: RunningArgs,
}

/// Runs the command. Live, it goes on until Ctrl-C, also while the server restarts.
pub(super) fn run(overrides: &Overrides, args: &TreeArgs) -> Result<(), CliError> {
    let client = args.server.client(overrides)?;
    let once = args.once || !std::io::stdout().is_terminal();
    actix_web::rt::System::new().block_on(async {
        if args.json {
            output::say(read(&client).await?);
            return Ok(());
        }
        if once {
            output::say(picture(&read(&client).await?).trim_end());
            return Ok(());
        }
        loop {
            let picture = match read(&client).await {
                Ok(tree) => picture(&tree),
                Err(error) => format!("{error}\n"),
            };
            output::say(format_args!("{CLEAR}{picture}\nCtrl-C ends"));
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    })
}

async fn read(client: &Client) -> Result<Value, CliError> {
    client.must(Method::Get, "/v1/supervisors", None).await
}

/// Draws the tree, one line for each node.
fn picture(root: &Value) -> String {
    let mut lines = format!(
        "{:<32} {:<9} {:>8} {:>6} {:>9} {:>7}  {}\n",
        "", "state", "restarts", "queue", "in flight", "zombies", "last failure"
    );
    draw(root, "", "", &mut lines);
    lines
}

/// Draws `node` after `lead`; what stands below it comes after `indent`.
fn draw(node: &Value, lead: &str, indent: &str, lines: &mut String) {
    let text = |field: &str| node[field].as_str().unwrap_or_default();
    let number = |field: &str| {
        node[field]
            .as_u64()
            .map_or_else(String::new, |n| n.to_string())
    };
    let failure = node
        .get("start_failure")
        .or_else(|| node.pointer("/last_crash/message"));
    let crash = failure.and_then(Value::as_str).unwrap_or_default();
    let name = format!("{lead}{}", text("id"));
    // Writing to a String cannot fail.
    let _ = writeln!(
        lines,
        "{name:<32} {:<9} {:>8} {:>6} {:>9} {:>7}  {}",
        text("state"),
        number("restarts"),
        number("queue"),
        number("in_flight"),
        number("zombies"),
        crash.chars().take(60).collect::<String>()
    );
    let children = node["children"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for (index, child) in children.iter().enumerate() {
        let last = index + 1 == children.len();
        let (branch, below) = if last {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        draw(
            child,
            &format!("{indent}{branch}"),
            &format!("{indent}{below}"),
            lines,
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_is_drawn_with_its_branches() {
        let tree = json!({"id": "root", "state": "ready", "restarts": 0, "children": [
            {"id": "a", "state": "ready", "restarts": 0, "children": [
                {"id": "b", "state": "backoff", "restarts": 3, "queue": 7, "in_flight": 1, "zombies": 1,
                 "last_crash": {"message": "boom"}},
            ]},
            {"id": "c", "state": "open", "restarts": 9},
        ]});
        let picture = picture(&tree);
        let lines: Vec<&str> = picture.lines().collect();
        let starts = ["root", "├── a", "│   └── b", "└── c"];
        for (line, start) in lines[1..].iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        for part in ["backoff", "3", "7", "boom"] {
            assert!(lines[3].contains(part), "{}", lines[3]);
        }
    }
}
