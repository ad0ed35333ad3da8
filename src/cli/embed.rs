//! `boathouse embed`: texts as vectors.

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse embed 'a boat on the river' 'a ship at sea'     a vector a line, as a JSON list
  boathouse embed 'a boat' --json                           {\"index\", \"text\", \"embedding\"} on each line
  boathouse embed 'a boat' --dimensions 64 --base64         little-endian 32-bit floats
  boathouse embed --model minilm < texts.txt > vectors.jsonl

Without a text, each line of stdin is one; empty lines are left out.";

/// Texts of one request.
const BATCH: usize = 128;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EmbedArgs {
    /// The texts; left out: the lines of stdin
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// The model; default embedding.default of the settings
    #[arg(long)]
    model: Option<String>,
    /// Keep only the first so many dimensions
    #[arg(long, value_name = "COUNT")]
    dimensions: Option<usize>,
    /// Write vectors as base64 of little-endian 32-bit floats
    #[arg(long)]
    base64: bool,
    /// Print each vector as JSON with its number and its text, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &EmbedArgs) -> Result<(), CliError> {
    let stdin;
    let texts: Vec<&str> = match args.texts.as_slice() {
        [] => {
            stdin = input::read("-".as_ref())?;
            let lines = stdin.lines().filter(|line| !line.trim().is_empty());
            lines.collect()
        }
        texts => texts.iter().map(String::as_str).collect(),
    };
    if texts.is_empty() {
        return Err(CliError::failed("there is no text to embed"));
    }
    server::ask(overrides, &args.server, async |client| {
        embed(client, args, &texts).await
    })
}

async fn embed(client: &Client, args: &EmbedArgs, texts: &[&str]) -> Result<(), CliError> {
    let mut body = Value::Object(input::object([
        ("model", args.model.clone().map(Value::from)),
        ("dimensions", args.dimensions.map(Value::from)),
        ("encoding_format", args.base64.then(|| "base64".into())),
    ]));
    let bar = output::progress(texts.len(), "embedding");
    for (at, part) in texts.chunks(BATCH).enumerate() {
        body["input"] = json!(part);
        let answer = client.must(Method::Post, "/v1/embeddings", Some(&body));
        let answer = answer.await.inspect_err(|_| bar.abandon())?;
        let vectors = answer["data"].as_array().into_iter().flatten();
        bar.suspend(|| {
            for (within, (text, item)) in part.iter().zip(vectors).enumerate() {
                let vector = &item["embedding"];
                match (args.json, vector) {
                    (true, _) => output::say(
                        json!({"index": at * BATCH + within, "text": text, "embedding": vector}),
                    ),
                    (false, Value::String(encoded)) => output::say(encoded),
                    (false, numbers) => output::say(numbers),
                }
            }
        });
        bar.inc(part.len() as u64);
        if output::unheard() {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(())
}
