//! `boathouse review`: what waits for a person, and what he decides.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::client::{Client, escaped, refused};
use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

/// Characters of a prompt or an answer in a list.
const SHOWN: usize = 300;

const EXAMPLES: &str = "Examples:
  boathouse review list
  boathouse review list --limit 100 --json
  boathouse review show chatcmpl-5d1f0c93a7e2b846-0
  boathouse review decide chatcmpl-5d1f0c93a7e2b846-0 accept --reviewer ann
  boathouse review decide chatcmpl-5d1f0c93a7e2b846-0 edit --answer-file better.txt --note 'the date was wrong'

`boathouse materialize` makes the tasks; docs/IMPORT.md tells what waits, and why.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ReviewCommand {
    /// List the tasks that wait for a person, the oldest first
    List(ListArgs),
    /// Show everything of one task
    Show(ShowArgs),
    /// Decide on a task: the decision becomes evidence, and the task waits no longer
    Decide(DecideArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Most tasks: 1 to 100
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    limit: u64,
    /// Go on after this place in the journal, as the list before says
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Print the server's answer as JSON, with everything of each task
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The task, by its id in the list
    task: String,
    /// Print it on one line, instead of indented
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Decision {
    /// Good enough to learn from
    Accept,
    /// Good in part
    PartiallyAccept,
    /// Wrong
    Reject,
    /// Good as corrected, with --answer or --answer-file
    Edit,
}

impl Decision {
    fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::PartiallyAccept => "partially_accept",
            Self::Reject => "reject",
            Self::Edit => "edit",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// The task, by its id in the list
    task: String,
    /// What is decided
    decision: Decision,
    /// The corrected answer of an edit
    #[arg(long, value_name = "TEXT", conflicts_with = "answer_file")]
    answer: Option<String>,
    /// The file with it; - is stdin
    #[arg(long, value_name = "FILE")]
    answer_file: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who decides
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &ReviewCommand) -> Result<(), CliError> {
    let server = match command {
        ReviewCommand::List(args) => &args.server,
        ReviewCommand::Show(args) => &args.server,
        ReviewCommand::Decide(args) => &args.server,
    };
    server::ask(overrides, server, async |client| match command {
        ReviewCommand::List(args) => list(client, args).await,
        ReviewCommand::Show(args) => show(client, args).await,
        ReviewCommand::Decide(args) => decide(client, args).await,
    })
}

async fn list(client: &Client, args: &ListArgs) -> Result<(), CliError> {
    let after = args.after.map(|after| format!("&after={after}"));
    let path = format!(
        "/v1/review?limit={}{}",
        args.limit,
        after.unwrap_or_default()
    );
    let page = client.must(Method::Get, &path, None).await?;
    if args.json {
        output::say(format_args!("{page:#}"));
    } else {
        output::say(picture(&page));
    }
    Ok(())
}

/// Writes a page for people.
fn picture(page: &Value) -> String {
    let mut text = String::new();
    for task in page["tasks"].as_array().into_iter().flatten() {
        let word = |name: &str| task[name].as_str().unwrap_or_default();
        let reasons = task["reasons"].as_array().into_iter().flatten();
        let reasons: Vec<&str> = reasons.filter_map(Value::as_str).collect();
        let calls = task["tool_calls"].as_array().map_or(0, Vec::len);
        let calls = match calls {
            0 => String::new(),
            count => format!(" ({})", counted(count, "tool call")),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\n  why     {}\n  asked   {}\n  answer  {}{calls}\n",
            word("id"),
            reasons.join(", "),
            output::line(word("prompt"), SHOWN),
            output::line(word("answer"), SHOWN),
        );
    }
    let total = page["total"].as_u64().unwrap_or(0);
    let _ = match (total, page["next"].as_u64()) {
        (0, _) => write!(text, "nothing waits for review"),
        (_, Some(next)) => write!(text, "{total} wait; the next: --after {next}"),
        (1, None) => write!(text, "one waits"),
        (_, None) => write!(text, "{total} wait"),
    };
    text
}

/// Shows one task whole.
async fn show(client: &Client, args: &ShowArgs) -> Result<(), CliError> {
    let path = format!("/v1/review/{}", escaped(&args.task));
    let task = client.must(Method::Get, &path, None).await?;
    match args.json {
        true => output::say(&task),
        false => output::say(format_args!("{task:#}")),
    }
    Ok(())
}

async fn decide(client: &Client, args: &DecideArgs) -> Result<(), CliError> {
    let mut body = Map::new();
    body.insert("decision".to_owned(), args.decision.word().into());
    for (name, value) in [
        ("answer", answer(args)?),
        ("note", args.note.clone()),
        ("reviewer", args.reviewer.clone()),
    ] {
        body.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    let path = format!("/v1/review/{}", escaped(&args.task));
    let answer = client
        .settled(Method::Post, &path, Some(&body.into()))
        .await?;
    if answer.status != 200 {
        return Err(refused(&path, &answer));
    }
    if args.json {
        output::say(&answer.body);
        return Ok(());
    }
    let left = answer.body["left"].as_u64().unwrap_or(0);
    output::say(format_args!(
        "{}: {}, {left} wait still",
        args.task,
        args.decision.word()
    ));
    Ok(())
}

fn answer(args: &DecideArgs) -> Result<Option<String>, CliError> {
    let Some(file) = &args.answer_file else {
        return Ok(args.answer.clone());
    };
    input::read_text(file).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_says_what_waits_and_how_to_go_on() {
        let task = json!({"id": "t", "reasons": ["no_feedback"], "prompt": "a\nb", "answer": "x".repeat(400)});
        let shown = picture(&json!({"tasks": [task], "total": 7, "next": 12}));
        for part in [
            "t\n",
            "why     no_feedback",
            "asked   a b",
            "xxx…",
            "7 wait; the next: --after 12",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let none = picture(&json!({"tasks": [], "total": 0, "next": null}));
        assert_eq!(none, "nothing waits for review");
    }
}
