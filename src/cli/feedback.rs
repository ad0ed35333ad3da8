//! `boathouse feedback`: what a person thought of an answer.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse feedback chatcmpl-5d1f0c93a7e2b846-0 accepted
  boathouse feedback tour-1 rejected --comment 'not what the page says' --user ann
  boathouse feedback tour-1 partially-accepted --edited-answer-file better.txt

It becomes evidence, and with `boathouse materialize` training data. An edited answer is learnt from in place of the model's.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rating {
    /// Good enough to learn from
    Accepted,
    /// Good in part
    PartiallyAccepted,
    /// Wrong
    Rejected,
}

impl Rating {
    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::PartiallyAccepted => "partially_accepted",
            Self::Rejected => "rejected",
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FeedbackArgs {
    /// The id of the answer, or its x-request-id
    target: String,
    /// What is thought of it
    rating: Rating,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// The answer as it should have been
    #[arg(long, value_name = "TEXT", conflicts_with = "edited_answer_file")]
    edited_answer: Option<String>,
    /// The file with it; - is stdin
    #[arg(long, value_name = "FILE")]
    edited_answer_file: Option<PathBuf>,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &FeedbackArgs) -> Result<(), CliError> {
    let file = args.edited_answer_file.as_deref();
    let edited = match file {
        Some(file) => Some(input::read_text(file)?),
        None => args.edited_answer.clone(),
    };
    let body = Value::Object(input::object([
        ("target", Some(json!(args.target))),
        ("rating", Some(json!(args.rating.word()))),
        ("comment", args.comment.clone().map(Value::from)),
        ("edited_answer", edited.map(Value::from)),
        ("user", args.user.clone().map(Value::from)),
    ]));
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Post, "/v1/feedback", Some(&body)).await
    })?;
    match args.json {
        true => output::say(answer),
        false => output::say(format_args!(
            "{} is {}: record {} of the journal",
            output::line(&args.target, 100),
            args.rating.word().replace('_', " "),
            answer["seq"]
        )),
    }
    Ok(())
}
