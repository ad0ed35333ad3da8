//! `boathouse iterate`: asks a model until its answer passes.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse iterate 'Write to Dana that her shift begins at 8' --kind email
  boathouse iterate 'List the ports of call' --schema ports.schema.json --model up/m --max-attempts 5
  boathouse iterate - --kind email --kind pii --json < question.txt

Attempts are told on stderr, the answer on stdout. Exit status: 0 it passes, 1 it does not.";

/// Most characters of a finding that are shown.
const SHOWN: usize = 1_000;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct IterateArgs {
    /// What is asked; - is stdin
    question: String,
    /// Who is asked: a model or a route; default the configured one
    #[arg(long)]
    model: Option<String>,
    /// A validator that the answer must pass; may be given several times
    #[arg(long = "kind", value_name = "KIND", required_unless_present = "schema")]
    kinds: Vec<String>,
    /// A file with a JSON Schema that the answer must follow
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Answer from the passages of this collection
    #[arg(long)]
    collection: Option<String>,
    /// Most answers that are asked for
    #[arg(long, value_name = "COUNT")]
    max_attempts: Option<u32>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command; an answer that does not pass is a failure.
pub(super) fn run(overrides: &Overrides, args: &IterateArgs) -> Result<(), CliError> {
    let body = body(args)?;
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Post, "/v1/iterate", Some(&body)).await
    })?;
    if args.json {
        output::say(&answer);
    } else {
        for attempt in answer["attempts"].as_array().into_iter().flatten() {
            output::note(told(attempt));
        }
        output::say(output::foreign(
            answer["answer"].as_str().unwrap_or_default(),
        ));
    }
    match answer["end"].as_str() {
        Some("passed") => Ok(()),
        end => Err(CliError::failed(format!(
            "the answer does not pass: it ended by {}",
            end.unwrap_or("nothing known")
        ))),
    }
}

fn body(args: &IterateArgs) -> Result<Value, CliError> {
    let mut kinds: Vec<Value> = args.kinds.iter().map(|kind| json!(kind)).collect();
    if let Some(path) = &args.schema {
        let schema = input::parse(&input::read(path)?, &path.display().to_string())?;
        kinds.push(json!({"kind": "json_schema", "context": {"schema": schema}}));
    }
    let question = match args.question.as_str() {
        "-" => input::read_text("-".as_ref())?,
        question => question.to_owned(),
    };
    let mut body = json!({
        "messages": [{"role": "user", "content": question}],
        "validation": {"kinds": kinds},
    });
    if let Some(model) = &args.model {
        body["model"] = json!(model);
    }
    if let Some(collection) = &args.collection {
        body["retrieval"] = json!({"collection": collection});
    }
    if let Some(attempts) = args.max_attempts {
        body["validation"]["max_attempts"] = json!(attempts);
    }
    Ok(body)
}

/// One attempt and what was found in it.
fn told(attempt: &Value) -> String {
    let text = |value: &Value| output::line(value.as_str().unwrap_or("not judged"), SHOWN);
    let mut told = format!(
        "attempt {}: {}",
        attempt["attempt"],
        text(&attempt["verdict"])
    );
    for finding in attempt["findings"].as_array().into_iter().flatten() {
        told.push_str(&format!(
            "\n  {}: {}",
            text(&finding["rule"]),
            text(&finding["message"])
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_a_request() {
        let folder = tempfile::tempdir().unwrap();
        let schema = folder.path().join("s.json");
        std::fs::write(&schema, r#"{"type": "object"}"#).unwrap();
        let mut args = IterateArgs {
            question: "q".into(),
            model: Some("up/m".into()),
            kinds: vec!["email".into()],
            schema: Some(schema.clone()),
            collection: Some("docs".into()),
            max_attempts: Some(2),
            json: false,
            server: ServerArgs::default(),
        };
        assert_eq!(
            body(&args).unwrap(),
            json!({
                "messages": [{"role": "user", "content": "q"}], "model": "up/m",
                "retrieval": {"collection": "docs"},
                "validation": {"max_attempts": 2, "kinds": [
                    "email", {"kind": "json_schema", "context": {"schema": {"type": "object"}}}]},
            })
        );
        std::fs::write(&schema, "{").unwrap();
        assert!(body(&args).unwrap_err().to_string().contains("is no JSON"));
        args.schema = Some("nowhere.json".into());
        assert!(
            body(&args)
                .unwrap_err()
                .to_string()
                .contains("nowhere.json")
        );
    }

    #[test]
    fn attempts_are_told_with_their_findings() {
        let attempt = json!({"attempt": 1, "verdict": "repairable", "findings": [
            {"rule": "email.placeholder", "message": "left\u{1b}[2J\nover"}]});
        assert_eq!(
            told(&attempt),
            "attempt 1: repairable\n  email.placeholder: left[2J over"
        );
        assert_eq!(
            told(&json!({"attempt": 2, "verdict": null})),
            "attempt 2: not judged"
        );
    }
}
