//! `boathouse validate`: has a running server judge what a model wrote.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::client::{Client, refused};
use super::error::CliError;
use super::input;
use super::output::{self, Paint};
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse validate email draft.json
  boathouse validate fill - --context '{\"role\": \"Welder\", \"target_count\": 2}' < fills.json
  boathouse validate secrets answer.json --json
  boathouse validate pii answers.jsonl --each            a payload a line, each judged by itself
  boathouse validate email draft.json --rule email.subject_long=off
  boathouse validate pipeline all.json --context @steps.json
  boathouse validate --list                              the kinds, and what they look at

Exit status: 0 pass, 3 repairable, 4 fail (the worst, with --each), 1 not judged, 2 wrong arguments.";

/// Payloads of one request.
const BATCH: usize = 1_000;
/// Bytes of them with what is known of each, about.
const BATCH_BYTES: usize = 4 << 20;
/// Most characters of a finding that are shown.
const SHOWN: usize = 1_000;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ValidateArgs {
    /// Which validator, such as email
    #[arg(required_unless_present = "list")]
    kind: Option<String>,
    /// The payload as JSON; - is stdin
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// What is known about the task: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    context: Option<String>,
    /// The id of the chat answer that the payload came from
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Another level for a rule, where the server's settings allow it: off, warning, error, critical; may be given again
    #[arg(long, value_name = "ID=LEVEL", value_parser = level)]
    rule: Vec<(String, String)>,
    /// The file is JSONL: judge each line by itself
    #[arg(long)]
    each: bool,
    /// List the validators
    #[arg(long, conflicts_with_all = ["kind", "file"])]
    list: bool,
    /// Print the reports as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn level(text: &str) -> Result<(String, String), String> {
    let (rule, level) = text
        .split_once('=')
        .ok_or("write ID=LEVEL, such as email.pii=off")?;
    Ok((rule.to_owned(), level.to_owned()))
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &ValidateArgs) -> Result<(), CliError> {
    let body = match (&args.kind, &args.file) {
        (Some(kind), Some(file)) => Some((template(kind, args)?, input::read(file)?)),
        _ => None,
    };
    server::ask(overrides, &args.server, async |client| match body {
        None => list(client, args.json).await,
        Some((template, text)) if args.each => each(client, args, &template, &text).await,
        Some((mut body, text)) => {
            body.insert("payload".to_owned(), input::parse(&text, "the payload")?);
            let body = Value::Object(body);
            let report = client
                .must(Method::Post, "/v1/validate", Some(&body))
                .await?;
            tell(args, "", &report);
            ending(status(&report))
        }
    })
}

/// The body but for the payload.
fn template(kind: &str, args: &ValidateArgs) -> Result<Map<String, Value>, CliError> {
    let mut body = Map::new();
    body.insert("kind".to_owned(), json!(kind));
    if let Some(context) = &args.context {
        body.insert("context".to_owned(), input::json(context, "the context")?);
    }
    if let Some(target) = &args.target {
        body.insert("target".to_owned(), json!(target));
    }
    if !args.rule.is_empty() {
        let rules: Map<String, Value> = args
            .rule
            .iter()
            .map(|(rule, level)| (rule.clone(), json!(level)))
            .collect();
        body.insert("rules".to_owned(), Value::Object(rules));
    }
    Ok(body)
}

/// Judges each line; what could not be judged is told at the end.
async fn each(
    client: &Client,
    args: &ValidateArgs,
    template: &Map<String, Value>,
    text: &str,
) -> Result<(), CliError> {
    let lines = text.lines().enumerate();
    let lines: Vec<_> = lines.filter(|(_, line)| !line.trim().is_empty()).collect();
    let known = Value::Object(template.clone()).to_string().len();
    let (mut worst, mut failed) = (0, 0);
    for part in batches(&lines, known) {
        let mut items = Vec::with_capacity(part.len());
        let mut unread = Vec::with_capacity(part.len());
        for (_, line) in part {
            let payload = input::parse(line, "the payload");
            unread.push(payload.as_ref().err().map(CliError::to_string));
            if let Ok(payload) = payload {
                let mut item = template.clone();
                item.insert("payload".to_owned(), payload);
                items.push(Value::Object(item));
            }
        }
        let mut results = judged(client, items).await?.into_iter();
        for ((at, _), unread) in part.iter().zip(unread) {
            let result = match unread {
                Some(why) => not_judged(&why),
                None => results.next().unwrap_or_default(),
            };
            tell(args, &format!("line {}: ", at + 1), &result);
            match result.get("error") {
                Some(_) => failed += 1,
                None => worst = worst.max(status(&result)),
            }
        }
    }
    match failed {
        0 => ending(worst),
        failed => Err(CliError::failed(format!(
            "{failed} of {} not judged",
            lines.len()
        ))),
    }
}

/// Cuts the lines so that no request is too large, when each takes `known` bytes along.
fn batches<'l, 't>(
    lines: &'l [(usize, &'t str)],
    known: usize,
) -> impl Iterator<Item = &'l [(usize, &'t str)]> {
    let mut left = lines;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = left.iter().take(BATCH).take_while(|(_, line)| {
            bytes += line.len() + known;
            bytes <= BATCH_BYTES
        });
        // One that is too large by itself is for the server to refuse.
        let (batch, rest) = left.split_at_checked(fits.count().max(1))?;
        left = rest;
        Some(batch)
    })
}

/// What the server says of each item. One that it does not take costs nothing but itself.
async fn judged(client: &Client, items: Vec<Value>) -> Result<Vec<Value>, CliError> {
    const PATH: &str = "/v1/validate";
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let alone = items.len() == 1;
    let body = json!({"items": items});
    let mut answer = client.settled(Method::Post, PATH, Some(&body)).await?;
    match (answer.status, answer.body["results"].take()) {
        (200, Value::Array(results)) => Ok(results),
        (413, _) if alone => Ok(vec![not_judged(&answer.said())]),
        _ => Err(refused(PATH, &answer)),
    }
}

fn not_judged(why: &str) -> Value {
    json!({"error": {"detail": why}})
}

/// The exit status of a verdict.
fn status(report: &Value) -> u8 {
    match report["verdict"].as_str() {
        Some("pass") => 0,
        Some("repairable") => 3,
        _ => 4,
    }
}

fn ending(status: u8) -> Result<(), CliError> {
    match status {
        0 => Ok(()),
        status => Err(CliError::Judged(status)),
    }
}

fn tell(args: &ValidateArgs, place: &str, report: &Value) {
    if args.json {
        return output::say(report);
    }
    if let Some(error) = report.get("error") {
        let said = output::line(error["detail"].as_str().unwrap_or_default(), SHOWN);
        return output::say(format_args!("{place}not judged: {said}"));
    }
    let word = |value: &Value| output::line(value.as_str().unwrap_or_default(), SHOWN);
    let verdict = word(&report["verdict"]);
    let paint = match verdict.as_str() {
        "pass" => Paint::Good,
        "repairable" => Paint::Doubtful,
        _ => Paint::Bad,
    };
    output::say(format_args!("{place}{}", paint.on(verdict)));
    for finding in report["findings"].as_array().into_iter().flatten() {
        let (severity, rule) = (word(&finding["severity"]), word(&finding["rule"]));
        let (path, message) = (word(&finding["path"]), word(&finding["message"]));
        let path = if path.is_empty() {
            path
        } else {
            format!(" {path}")
        };
        output::say(format_args!("  {severity:<8} {rule}{path}: {message}"));
        if finding["suggestion"].is_string() {
            let suggestion = word(&finding["suggestion"]);
            output::say(format_args!("           {suggestion}"));
        }
    }
}

async fn list(client: &Client, json: bool) -> Result<(), CliError> {
    let answer = client.must(Method::Get, "/v1/validators", None).await?;
    for entry in answer["validators"].as_array().into_iter().flatten() {
        if json {
            output::say(entry);
            continue;
        }
        output::say(entry["name"].as_str().unwrap_or_default());
        for rule in entry["rules"].as_array().into_iter().flatten() {
            let word = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
            let (level, id) = (word("effective"), word("id"));
            output::say(format_args!(
                "  {level:<8} {id:<28} {}",
                word("description")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded_in_items_and_bytes_with_what_is_known_of_each() {
        let sizes = |count: usize, length: usize, known: usize| -> Vec<usize> {
            let line = "x".repeat(length);
            let lines = vec![(0, line.as_str()); count];
            batches(&lines, known).map(<[_]>::len).collect()
        };
        assert_eq!(sizes(1_001, 10, 20), [1_000, 1]);
        assert_eq!(sizes(7, 10, BATCH_BYTES / 3), [2, 2, 2, 1]);
        assert_eq!(sizes(2, 10, BATCH_BYTES * 2), [1, 1]);
        assert!(sizes(0, 0, 9).is_empty());
    }
}
