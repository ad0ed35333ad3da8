//! `boathouse api`: any route of the API, for what has no command of its own.

use clap::{Args, ValueEnum};

use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse api get /openapi.json                    all there is
  boathouse api get /metrics
  boathouse api post /v1/messages @request.json      as Anthropic's clients ask
  echo '{\"input\": \"a boat\"}' | boathouse api post /v1/embeddings -
  boathouse api delete /v1/dead-letters/3f1c9a0b77aa12de

The answer is printed as it came, also when it is an error; then the exit status is 1.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ApiArgs {
    /// How
    #[arg(ignore_case = true)]
    method: Verb,
    /// What, such as /v1/models
    #[arg(value_parser = path)]
    path: String,
    /// The body: JSON, @FILE, or - for stdin
    body: Option<String>,
    /// Print the answer as JSON, which most routes give anyway; one that is no JSON as a text in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') && !text.starts_with("//") {
        true => Ok(text.to_owned()),
        false => Err("a path begins with one /, as in /v1/models".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &ApiArgs) -> Result<(), CliError> {
    let method = match args.method {
        Verb::Get => Method::Get,
        Verb::Post => Method::Post,
        Verb::Put => Method::Put,
        Verb::Delete => Method::Delete,
    };
    let body = args.body.as_deref();
    let body = body.map(|given| input::json(given, "the body"));
    let body = body.transpose()?;
    let (status, bytes) = server::ask(overrides, &args.server, async |client| {
        client.raw(method, &args.path, body.as_ref()).await
    })?;
    let text = String::from_utf8_lossy(&bytes);
    match args.json && serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err() {
        true => output::say(serde_json::Value::from(text)),
        false => output::say(text.trim_end()),
    }
    match status {
        200..=299 => Ok(()),
        status => Err(CliError::failed(format!("{} answered {status}", args.path))),
    }
}
