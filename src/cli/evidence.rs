//! `boathouse evidence`: the journal of a running server.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{Client, escaped};
use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse evidence list                                 the newest 20 records, one line each
  boathouse evidence list --kind chat --user ann --json   one JSON object a line, as the journal has it
  boathouse evidence list --from 2026-03-01 --to 2026-03-07 --limit 1000
  boathouse evidence head > head.json                     keep this elsewhere, for boathouse audit --head
  boathouse evidence erase --user ann --reason \"request 17\" --dry-run     say what would be erased
  boathouse evidence erase --user ann --reason \"request 17\"               say it, ask, then erase

The reason stays in the journal, so it must not say whose content it was. docs/STORAGE.md says what is not erased.";

/// Most records that the server sends at once.
const PAGE: usize = 1_000;
/// Longest extract of a record's text, characters.
const SHOWN: usize = 80;

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum EvidenceCommand {
    /// Show records, the newest first
    List(ListArgs),
    /// Show the newest record's number and hash, as JSON
    Head(HeadArgs),
    /// Erase the contents of records; what is left of them keeps the chain whole
    Erase(EraseArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this kind: chat, search, validation, feedback, erasure, retention
    #[arg(long)]
    kind: Option<String>,
    /// Only what has this id: a record's, its request's, or that of the answer it is about
    #[arg(long)]
    id: Option<String>,
    /// Only what came with this key, by its label
    #[arg(long)]
    key: Option<String>,
    /// Only chat calls and feedback of this user
    #[arg(long)]
    user: Option<String>,
    /// Only chat calls of this model, or answered by this provider/model
    #[arg(long)]
    model: Option<String>,
    /// From this day or moment on: 2026-03-01 or 2026-03-01T09:30:00Z, in UTC
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Up to the end of this day, or up to this moment
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    /// Only what comes after this sequence number in the order of the list
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Most records
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Print the records as they are in the journal, one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct HeadArgs {
    /// Print JSON, which it does anyway
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Why; it stays in the journal and must not say whose content it was
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Only say what would be erased
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print what was erased as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// Ids of records, of their requests, or of the answers they are about; may be repeated
    #[arg(long)]
    id: Vec<String>,
    /// Sequence numbers; may be repeated
    #[arg(long)]
    seq: Vec<u64>,
    /// All that came with this key, by its label, and what was said of its chat calls
    #[arg(long)]
    key: Option<String>,
    /// All chat calls and feedback of this user, and what was said of them
    #[arg(long)]
    user: Option<String>,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &EvidenceCommand) -> Result<(), CliError> {
    let server = match command {
        EvidenceCommand::List(args) => &args.server,
        EvidenceCommand::Head(args) => &args.server,
        EvidenceCommand::Erase(args) => &args.server,
    };
    server::ask(overrides, server, async |client| match command {
        EvidenceCommand::List(args) => list(client, args).await,
        EvidenceCommand::Head(_) => {
            let head = client.must(Method::Get, "/v1/evidence/head", None).await?;
            output::say(head);
            Ok(())
        }
        EvidenceCommand::Erase(args) => erase(client, args).await,
    })
}

async fn list(client: &Client, args: &ListArgs) -> Result<(), CliError> {
    let mut left = args.limit;
    let mut after = args.after;
    let mut unreadable = 0;
    while left > 0 && !output::unheard() {
        let path = query(args, after, left.min(PAGE));
        let page = client.must(Method::Get, &path, None).await?;
        let records = page["records"].as_array().map_or(&[][..], Vec::as_slice);
        for record in records {
            match args.json {
                true => output::say(record),
                false => output::say(line(record)),
            }
        }
        unreadable += page["unreadable"].as_u64().unwrap_or_default();
        left = left.saturating_sub(records.len());
        after = page["next"].as_u64();
        if after.is_none() {
            break;
        }
    }
    if unreadable > 0 {
        output::note(format_args!(
            "not records as they were written: {}; see `boathouse audit`",
            counted(unreadable, "line")
        ));
    }
    Ok(())
}

fn query(args: &ListArgs, after: Option<u64>, limit: usize) -> String {
    let texts = [
        ("kind", &args.kind),
        ("id", &args.id),
        ("key", &args.key),
        ("user", &args.user),
        ("model", &args.model),
        ("from", &args.from),
        ("to", &args.to),
    ];
    let mut path = format!("/v1/evidence?limit={limit}");
    if args.oldest {
        path.push_str("&order=oldest");
    }
    if let Some(after) = after {
        path.push_str(&format!("&after={after}"));
    }
    for (name, value) in texts {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    path
}

/// One record for a person: number, time, kind, id, and how its text begins.
fn line(record: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let body = &record["body"];
    let time = record["ts"]
        .as_i64()
        .and_then(|ts| jiff::Timestamp::from_millisecond(ts).ok());
    let time = time.map_or_else(String::new, |time| time.to_string());
    let text = match (word(&record["kind"]).as_str(), &record["erased"]) {
        (_, Value::Object(erased)) => {
            format!("erased by {}: {}", erased["by"], word(&erased["reason"]))
        }
        ("chat", _) => {
            let asked = body["messages"].as_array().and_then(|all| all.last());
            let asked = asked.map_or(&Value::Null, |message| &message["content"]);
            let answered = word(&body["answered_by"]);
            format!("{answered}: {}", asked.as_str().unwrap_or_default())
        }
        ("search", _) => format!("{}: {}", word(&body["collection"]), word(&body["query"])),
        ("validation", _) => format!("{}: {}", word(&body["kind"]), word(&body["verdict"])),
        ("feedback", _) => format!("{} of {}", word(&body["rating"]), word(&body["target"])),
        ("erasure", _) => format!("{}: {}", word(&body["reason"]), body["records"]),
        ("retention", _) => {
            let reason = word(&body["reason"]);
            format!("{reason}: {} to {} removed", body["first"], body["last"])
        }
        _ => String::new(),
    };
    let text: String = text
        .chars()
        .filter(|sign| !sign.is_control())
        .take(SHOWN)
        .collect();
    let (kind, id) = (word(&record["kind"]), word(&record["id"]));
    format!(
        "{:>8}  {time}  {kind:<10}  {id}  {text}",
        record["seq"].to_string()
    )
}

async fn erase(client: &Client, args: &EraseArgs) -> Result<(), CliError> {
    let would = client
        .must(
            Method::Post,
            "/v1/evidence/erase",
            Some(&request(args, true)),
        )
        .await?;
    let count = would["erased"].as_u64().unwrap_or_default();
    if args.dry_run || count == 0 {
        tell(&would, args.json, "would be erased");
        return Ok(());
    }
    if !args.yes {
        for line in told(&would, "would be erased") {
            match args.json {
                false => output::say(line),
                // Who is asked must know, and stdout is for JSON.
                true => output::note(line),
            }
        }
        let question = "Erase their content for good?".to_owned();
        if !input::confirmed_meanwhile(question).await? {
            return Err(CliError::failed("nothing was erased"));
        }
    }
    let done = client
        .must(
            Method::Post,
            "/v1/evidence/erase",
            Some(&request(args, false)),
        )
        .await?;
    tell(&done, args.json, "erased");
    if !args.json {
        output::say(
            "materialize and export again to leave them out there, too; docs/STORAGE.md says what else may hold them",
        );
    }
    Ok(())
}

fn request(args: &EraseArgs, dry_run: bool) -> Value {
    let SubjectArgs { id, seq, key, user } = &args.subject;
    let mut body = Map::new();
    if !id.is_empty() {
        body.insert("ids".to_owned(), json!(id));
    }
    if !seq.is_empty() {
        body.insert("seqs".to_owned(), json!(seq));
    }
    for (name, value) in [("key", key), ("user", user), ("reason", &args.reason)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    body.insert("dry_run".to_owned(), dry_run.into());
    Value::Object(body)
}

fn tell(answer: &Value, as_json: bool, done: &str) {
    if as_json {
        output::say(answer);
        return;
    }
    for line in told(answer, done) {
        output::say(line);
    }
}

/// The answer in words, line by line.
fn told(answer: &Value, done: &str) -> Vec<String> {
    let kinds = answer["kinds"].as_object().into_iter().flatten();
    let kinds: Vec<String> = kinds
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let list = match kinds.is_empty() {
        true => String::new(),
        false => format!(" ({})", kinds.join(", ")),
    };
    let records = counted(&answer["erased"], "record");
    let mut lines = vec![format!("{records}{list} {done}")];
    for (name, what) in [
        (
            "unverifiable",
            "of the first version, whose content cannot be verified afterwards; the chain can",
        ),
        ("already_erased", "named and erased before"),
        (
            "unreadable",
            "not a record as it was written, which stays; see `boathouse audit`",
        ),
    ] {
        if answer[name].as_u64().unwrap_or_default() > 0 {
            lines.push(format!("{what}: {}", answer[name]));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stands_in_a_query_as_it_is() {
        assert_eq!(escaped("a-1.b_~"), "a-1.b_~");
        assert_eq!(escaped("ann & bob/é"), "ann%20%26%20bob%2F%C3%A9");
    }

    #[test]
    fn a_record_takes_one_line_whatever_it_holds() {
        let asked = "one\ntwo ".repeat(50);
        let chat = json!({"seq": 7, "ts": 0, "kind": "chat", "id": "c", "body": {"answered_by": "up/m", "messages": [{"content": asked}]}});
        let shown = line(&chat);
        assert!(
            shown.starts_with("       7  1970-01-01T00:00:00Z  chat        c  up/m: onetwo"),
            "{shown}"
        );
        assert!(shown.len() < 150 && !shown.contains('\n'));
        let gone = json!({"seq": 7, "ts": 0, "kind": "chat", "id": "c", "body": null, "erased": {"at": 1, "by": 9, "reason": "asked"}});
        assert!(line(&gone).ends_with("erased by 9: asked"));
        assert!(!line(&json!({})).is_empty());
    }
}
