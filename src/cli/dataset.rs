//! `boathouse materialize` and `boathouse export`: from a running server's evidence to training data.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::client::{Client, refused};
use super::error::CliError;
use super::output::{self, text};
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

/// Where the server tells of its job.
const JOB: &str = "/v1/datasets/job";
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(200);

const MATERIALIZE_EXAMPLES: &str = "Examples:
  boathouse materialize                  score every answer by what people and validators said of it
  boathouse materialize --pull           with the evidence of all replicas, from object storage: docs/OBJECT_STORAGE.md
  boathouse materialize --json           the receipt: inputs and outputs with sha256, counts, the state of the journal's chain

It reads what is new in the journal and writes the days that it is about: all of it after another recipe, and nothing when neither has changed.";

const EXPORT_EXAMPLES: &str = "Examples:
  boathouse export sft                          conversations that end with an accepted answer, as TRL reads them
  boathouse export sft --flavour openai         the same for OpenAI's fine-tuning, in the folder sft-openai
  boathouse export preference --name dpo-may    pairs of a better and a worse answer to the same prompt
  boathouse export kto --test-fraction 0.2      single answers with a label, a fifth of the questions held out
  boathouse export triplets                     questions with a cited passage and one that was not, for embedders
  boathouse export triplets --negatives docs    the same with the hardest passages of the collection docs
  boathouse export --list

Kinds and their flavours: rag, triplets and kto: trl; preference: trl, openai; sft: trl, openai, sharegpt.
The folder has data/ with train.jsonl and test.jsonl, the same as Parquet in parquet/, origin/ with where each row comes from,
a card, a manifest and a receipt;
datasets.load_dataset reads it as it is. It is on the server, below datasets/exports of its data folder.
Run `boathouse materialize` first.";

#[derive(Debug, Args)]
#[command(after_help = MATERIALIZE_EXAMPLES)]
pub(super) struct MaterializeArgs {
    /// Do it again even when nothing has changed
    #[arg(long)]
    force: bool,
    /// Fetch the evidence of other replicas from object storage before
    #[arg(long)]
    pull: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(super) struct ExportArgs {
    /// rag, triplets, sft, preference or kto
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    kind: Option<String>,
    /// Whose shape the rows have: trl, openai or sharegpt; default trl
    #[arg(long, requires = "kind")]
    flavour: Option<String>,
    /// The folder's name; default the kind, with the flavour unless it is trl
    #[arg(long, requires = "kind")]
    name: Option<String>,
    /// Share of the questions held out, 0 to 0.5; default the recipe's
    #[arg(long, requires = "kind", value_name = "SHARE")]
    test_fraction: Option<f64>,
    /// Search this collection for the negatives of triplets, instead of taking what was retrieved then
    #[arg(long, requires = "kind", value_name = "COLLECTION")]
    negatives: Option<String>,
    /// Most negatives for each cited passage, 1 to 64; default the recipe's
    #[arg(long, requires = "negatives", value_name = "COUNT")]
    negatives_k: Option<usize>,
    /// Hits of each search that are looked at, 1 to 1000; default 100
    #[arg(long, requires = "negatives", value_name = "COUNT")]
    depth: Option<usize>,
    /// The first rank that counts, from 1; default 1
    #[arg(long, requires = "negatives", value_name = "RANK")]
    min_rank: Option<usize>,
    /// Leave out negatives that score more
    #[arg(
        long,
        requires = "negatives",
        value_name = "SCORE",
        allow_negative_numbers = true
    )]
    max_score: Option<f64>,
    /// How much less than the cited passage a negative scores, at least; default 0.05 in mode dense
    #[arg(
        long,
        requires = "negatives",
        value_name = "SCORE",
        allow_negative_numbers = true
    )]
    margin: Option<f64>,
    /// How negatives are searched for: dense (default), lexical or hybrid
    #[arg(long, requires = "negatives")]
    mode: Option<String>,
    /// Only negatives of this role, or of none; needed where the collection has roles
    #[arg(long, requires = "negatives")]
    role: Option<String>,
    /// List the exports that there are
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    common: Common,
}

impl ExportArgs {
    /// What the request says of negatives.
    fn negatives(&self) -> Option<Value> {
        let collection = self.negatives.as_ref()?;
        let fields = [
            ("collection", Some(json!(collection))),
            ("k", self.negatives_k.map(Value::from)),
            ("depth", self.depth.map(Value::from)),
            ("min_rank", self.min_rank.map(Value::from)),
            ("max_score", self.max_score.map(Value::from)),
            ("margin", self.margin.map(Value::from)),
            ("mode", self.mode.clone().map(Value::from)),
            ("role", self.role.clone().map(Value::from)),
        ];
        let fields = fields.into_iter();
        let fields = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Some(Value::Object(fields.collect()))
    }
}

#[derive(Debug, Args)]
struct Common {
    /// Print the receipt as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `boathouse materialize`.
pub(super) fn materialize(overrides: &Overrides, args: &MaterializeArgs) -> Result<(), CliError> {
    let body = json!({"force": args.force, "pull": args.pull});
    let common = &args.common;
    let receipt = ask(
        overrides,
        common,
        "/v1/materialize",
        &body,
        "reading the journal",
    )?;
    if common.json {
        return output::say_json(&receipt);
    }
    let (counts, outcomes) = (&receipt["counts"], &receipt["outcomes"]);
    output::say(format_args!(
        "{} of {}: {}",
        counted(&counts["tasks"], "task"),
        counted(&counts["in"], "record"),
        words(outcomes, &[])
    ));
    let shown = ["in", "tasks"];
    output::say(format_args!("the records: {}", words(counts, &shown)));
    if receipt["unchanged"] == true {
        output::say("nothing has changed since the last time");
    } else {
        output::say(format_args!(
            "read: {}; written: the tasks of {}",
            counted(&receipt["lines_read"], "record"),
            counted(&receipt["partitions_written"], "day")
        ));
    }
    output::say(text(&receipt["path"]));
    if receipt["pulled"].is_object() {
        super::push::tell_pulled(&receipt["pulled"]);
    }
    if receipt["chain"]["intact"] == false {
        output::note("the journal's chain is broken: `boathouse audit` says where");
    }
    Ok(())
}

/// Runs `boathouse export`.
pub(super) fn export(overrides: &Overrides, args: &ExportArgs) -> Result<(), CliError> {
    let common = &args.common;
    let Some(kind) = &args.kind else {
        return list(overrides, common);
    };
    let mut body = Map::new();
    body.insert("kind".to_owned(), json!(kind));
    for (name, value) in [("flavour", &args.flavour), ("name", &args.name)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(share) = args.test_fraction {
        body.insert("test_fraction".to_owned(), json!(share));
    }
    if let Some(negatives) = args.negatives() {
        body.insert("negatives".to_owned(), negatives);
    }
    let body = Value::Object(body);
    let receipt = ask(overrides, common, "/v1/exports", &body, "exporting")?;
    if common.json {
        return output::say_json(&receipt);
    }
    let counts = &receipt["counts"];
    output::say(format_args!(
        "{}: {} to learn from and {} held out, of {}",
        text(&receipt["name"]),
        counted(&counts["train"], "row"),
        counts["test"],
        counted(&counts["in"], "task")
    ));
    let left_out = words(counts, &["in", "further", "train", "test"]);
    if !left_out.is_empty() {
        output::say(format_args!("not in it: {left_out}"));
    }
    let redacted = words(&receipt["redactions"], &[]);
    if !redacted.is_empty() {
        output::say(format_args!("redacted: {redacted}"));
    }
    output::say(text(&receipt["path"]));
    if let Some(note) = receipt["note"].as_str() {
        output::note(note);
    }
    Ok(())
}

fn list(overrides: &Overrides, common: &Common) -> Result<(), CliError> {
    let listed = server::ask(overrides, &common.server, async |client| {
        client.must(Method::Get, "/v1/exports", None).await
    })?;
    if common.json {
        return output::say_json(&listed);
    }
    for one in listed["exports"].as_array().into_iter().flatten() {
        output::say(format_args!(
            "{:<24} {:<10} {:<8} {:>13}  {}",
            text(&one["name"]),
            text(&one["kind"]),
            text(&one["flavour"]),
            counted(&one["rows"], "row"),
            text(&one["path"])
        ));
    }
    Ok(())
}

/// Has a job done while a bar shows how far the server is. Interrupted, it stops the job, unless that may be another's.
fn ask(
    overrides: &Overrides,
    common: &Common,
    path: &str,
    body: &Value,
    doing: &'static str,
) -> Result<Value, CliError> {
    let bar = output::progress(0, doing);
    let answer = server::until_done(overrides, &common.server, async |client| {
        // Jobs wait for each other, and a server with one under way does not tell whose it is.
        let before = client.ask(Method::Get, JOB, None).await?;
        let own = before.status == 200 && before.body["job"].is_null();
        let mut answer = std::pin::pin!(client.must(Method::Post, path, Some(body)));
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                _ = &mut interrupt => return Err(CliError::interrupted(stop(client, own).await)),
                () = tokio::time::sleep(LOOK) => {
                    let job = client.ask(Method::Get, JOB, None).await?.body;
                    bar.set_length(job["of"].as_u64().unwrap_or_default());
                    bar.set_position(job["done"].as_u64().unwrap_or_default());
                }
            }
        }
    });
    bar.finish_and_clear();
    answer
}

/// Stops the job that this command began, and says what became of it.
async fn stop(client: &Client, own: bool) -> String {
    if !own {
        let said =
            "no longer waited for; another job was under way before it, so that none was stopped";
        return format!("{said}: `boathouse jobs list` tells what there is");
    }
    match client.ask(Method::Delete, JOB, None).await {
        Ok(answer) => match answer.status {
            200 => "stopped; what was there before is as it was".to_owned(),
            404 => "no longer waited for; the server had nothing under way to stop".to_owned(),
            _ => format!("it goes on in the server: {}", refused(JOB, &answer)),
        },
        Err(error) => format!("whether it was stopped is not known: {error}"),
    }
}

/// The counts that are not zero, with their names; those of a group stand after it.
fn words(counts: &Value, without: &[&str]) -> String {
    let mut said = Vec::new();
    for (name, count) in counts.as_object().into_iter().flatten() {
        if without.contains(&name.as_str()) || *count == 0 {
            continue;
        }
        match count.as_object() {
            Some(group) if group.is_empty() => {}
            Some(_) => said.push(format!("{name} ({})", words(count, &[]))),
            None => said.push(format!("{count} {}", name.replace('_', " "))),
        }
    }
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_said_in_words_without_zeros() {
        let counts = json!({"in": 9, "train": 3, "near_duplicates": 2, "duplicates": 0,
            "capped": {}, "skipped": {"no_passages": 4}});
        assert_eq!(
            words(&counts, &["in", "train"]),
            "2 near duplicates, skipped (4 no passages)"
        );
    }
}
