//! `boathouse replay`: production's questions, asked again of a candidate.

mod told;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::CliError;
use super::server::{self, ServerArgs};
use super::{output, privacy, serve};
use crate::config::Overrides;
use crate::services::replay::{
    Answered, Asked, Candidate, Outcome, Plan, Replay, Replayed, Retrieval, Selection,
};
use crate::types::http::Method;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse replay small --model up/small                        what was accepted, asked of another model
  boathouse replay brief --system 'Answer in one sentence.'      another instruction
  boathouse replay wide --collection docs2 -k 10 --mode hybrid   another retrieval, or a collection of another embedder
  boathouse replay small --model up/small --fail-under similarity=0.8 --fail-under answered=1
  boathouse replay small --model up/small --fail-under total_cost_usd=0.5     where less is better: when it is above
  boathouse replay sft --from data/datasets/exports/sft/data/test.jsonl --model up/tuned

The server that is asked has the candidate's providers in its settings; for other settings start one beside it and give
its --url. What it answers is recorded as evidence of this replay and never becomes a task. A replay that was stopped goes
on when the same command is given again. Exit status: 0 done, 1 not, or below --fail-under.";

/// Texts longer than this are compared by their start, characters: models read no more.
const EMBEDDED: usize = 8_000;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// What the replay is called; its folder is datasets/replays/NAME in the data folder
    name: String,
    /// tasks.jsonl, or a dataset with `messages`; default: what was materialized last
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Only tasks of these outcomes: accepted, partially_accepted, needs_review, rejected
    #[arg(long, value_delimiter = ',', value_parser = outcome, value_name = "OUTCOMES")]
    outcome: Vec<Outcome>,
    /// Only tasks that were asked of this model, or answered by this provider/model
    #[arg(long, value_name = "MODEL")]
    of: Option<String>,
    /// Only tasks from this time on, such as 2026-11-01 or 2026-11-01T12:00:00Z
    #[arg(long, value_parser = moment, value_name = "TIME")]
    since: Option<u64>,
    /// Only tasks before this time
    #[arg(long, value_parser = moment, value_name = "TIME")]
    until: Option<u64>,
    /// Ask at most so many
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// The candidate: model, alias or route
    #[arg(long)]
    model: Option<String>,
    /// Instructions in place of all others
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Randomness, 0 to 2
    #[arg(long)]
    temperature: Option<f64>,
    /// Most tokens of an answer
    #[arg(long, value_name = "COUNT")]
    max_tokens: Option<u32>,
    /// Retrieve no passages
    #[arg(long, conflicts_with = "collection")]
    no_retrieval: bool,
    /// Retrieve passages from this collection
    #[arg(long)]
    collection: Option<String>,
    /// Passages to retrieve
    #[arg(short, requires = "collection")]
    k: Option<usize>,
    /// dense, lexical or hybrid
    #[arg(long, requires = "collection")]
    mode: Option<String>,
    /// Leave out passages that score less
    #[arg(long, requires = "collection")]
    min_score: Option<f32>,
    /// Only passages of this role, or none
    #[arg(long, requires = "collection")]
    role: Option<String>,
    /// Questions under way at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Exit with status 1 when the mean of a measure is below: answered, citations, overlap, similarity, valid. Of those
    /// where less is better, when it is above: cost_usd, latency_ms, completion_tokens, and total_cost_usd, the sum; a cost
    /// that is not known is above every bound
    #[arg(long, value_parser = bound, value_name = "MEASURE=VALUE")]
    fail_under: Vec<(String, f64)>,
    /// Begin anew, also where the folder is of another candidate
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn outcome(word: &str) -> Result<Outcome, String> {
    let known = Outcome::ALL.iter().find(|outcome| outcome.name() == word);
    known.copied().ok_or_else(|| {
        let known: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        format!("known are {}", known.join(", "))
    })
}

pub(super) fn moment(text: &str) -> Result<u64, String> {
    let day = text.parse::<jiff::civil::Date>().ok();
    let day = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let moment = match day.filter(|_| !text.contains('T')) {
        Some(start) => start.timestamp(),
        None => text
            .parse::<jiff::Timestamp>()
            .map_err(|error| error.to_string())?,
    };
    u64::try_from(moment.as_millisecond()).map_err(|_| "before 1970".to_owned())
}

pub(super) fn bound(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("must be MEASURE=VALUE")?;
    let value = value.parse::<f64>().map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value))
}

impl ReplayArgs {
    fn plan(&self) -> Plan {
        let fields = [
            ("collection", self.collection.as_ref().map(|it| json!(it))),
            ("k", self.k.map(|it| json!(it))),
            ("mode", self.mode.as_ref().map(|it| json!(it))),
            ("min_score", self.min_score.map(|it| json!(it))),
            ("role", self.role.as_ref().map(|it| json!(it))),
        ];
        let fields = fields.into_iter();
        let set: Map<String, Value> = fields
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        let outcomes: BTreeSet<Outcome> = self.outcome.iter().copied().collect();
        let default = Selection::default();
        Plan {
            candidate: Candidate {
                model: self.model.clone(),
                system: self.system.clone(),
                temperature: self.temperature,
                max_tokens: self.max_tokens,
                retrieval: match (self.no_retrieval, set.is_empty()) {
                    (true, _) => Retrieval::Off,
                    (false, true) => Retrieval::AsRecorded,
                    (false, false) => Retrieval::Set(set),
                },
            },
            selection: Selection {
                outcomes: if outcomes.is_empty() {
                    default.outcomes
                } else {
                    outcomes
                },
                model: self.of.clone(),
                since_ms: self.since,
                until_ms: self.until,
            },
            limit: self.limit,
        }
    }
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &ReplayArgs) -> Result<(), CliError> {
    let storage = serve::settings(overrides)?.storage;
    privacy::keep(&storage)?;
    let data = storage.data_dir;
    let failed = |error: crate::services::ServiceError| CliError::failed(error.message);
    let mut replay = Replay::open(
        &data,
        &args.name,
        args.plan(),
        args.from.as_deref(),
        args.fresh,
    )
    .map_err(failed)?;
    let stopped = server::until_done(overrides, &args.server, async |client| {
        let client = client
            .clone()
            .with_header("x-boathouse-replay", &args.name)
            .with_header("cache-control", "no-store");
        ask_all(&client, &mut replay, args).await
    })?;
    if stopped {
        return Err(CliError::interrupted(format!(
            "stopped after {}; the same command goes on from here",
            counted(replay.done(), "task")
        )));
    }
    let (summary, page) = replay.report().map_err(failed)?;
    if args.json {
        output::say_json(&summary)?;
    } else {
        told::print(&summary);
        output::say(format_args!("task by task: {}", page.display()));
    }
    told::judge(&summary, &args.fail_under)
}

/// Asks what is pending; says whether it was told to stop before the end.
async fn ask_all(
    client: &Client,
    replay: &mut Replay,
    args: &ReplayArgs,
) -> Result<bool, CliError> {
    let pending = replay.pending();
    let bar = output::progress(replay.done() + pending.len(), "replaying");
    bar.set_position(replay.done() as u64);
    let mut answers = futures_util::stream::iter(pending)
        .map(|asked| async move {
            let answered = ask(client, &asked).await?;
            Ok::<_, CliError>(match answered {
                Ok(answered) => Replayed::of(&asked, &answered),
                Err(said) => Replayed::failed(&asked, &said),
            })
        })
        .buffer_unordered(usize::from(args.concurrency));
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let line = tokio::select! {
            line = answers.next() => line,
            // Those under way are dropped, and asked again next time.
            _ = &mut interrupt => return Ok(true),
        };
        let Some(line) = line else { break };
        replay
            .take(line?)
            .map_err(|error| CliError::failed(error.message))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(false)
}

/// Asks the candidate one question; what it refuses is its answer too.
///
/// Errors: there is no server.
async fn ask(client: &Client, asked: &Asked) -> Result<Result<Answered, String>, CliError> {
    let started = Instant::now();
    let path = "/v1/chat/completions";
    let answer = client
        .settled(Method::Post, path, Some(&asked.body))
        .await?;
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if answer.status != 200 {
        return Ok(Err(format!("{}: {}", answer.status, answer.said())));
    }
    let cost_usd = answer.header("x-boathouse-cost-usd");
    let cost_usd = cost_usd.and_then(|cost| cost.parse().ok());
    let body = &answer.body;
    let message = &body["choices"][0]["message"];
    let text = message["content"].as_str().unwrap_or_default().to_owned();
    let annotations = message["annotations"].as_array();
    let cited = annotations.into_iter().flatten();
    let cited = cited.filter_map(|one| Some(one["id"].as_str()?.to_owned()));
    Ok(Ok(Answered {
        answered_by: body["model"].as_str().map(ToOwned::to_owned),
        cited: cited.collect(),
        similarity: similarity(client, asked, &text).await?,
        validated: validate(client, asked, &text, &body["id"]).await?,
        latency_ms,
        completion_tokens: body
            .pointer("/usage/completion_tokens")
            .and_then(Value::as_u64),
        cost_usd,
        text,
    }))
}

/// Cosines with the reference; `None` where the server's model cannot embed it.
async fn similarity(
    client: &Client,
    asked: &Asked,
    text: &str,
) -> Result<Option<(f64, Option<f64>)>, CliError> {
    if text.trim().is_empty() {
        return Ok(Some((0.0, None)));
    }
    let texts = [
        Some(asked.reference.as_str()),
        Some(text),
        asked.original.as_deref(),
    ];
    let texts = texts
        .into_iter()
        .flatten()
        .filter(|text| !text.trim().is_empty());
    let texts: Vec<String> = texts
        .map(|text| text.chars().take(EMBEDDED).collect())
        .collect();
    let body = json!({"input": texts, "encoding_format": "float"});
    let answer = client
        .settled(Method::Post, "/v1/embeddings", Some(&body))
        .await?;
    let vectors: Vec<Vec<f64>> = answer.body["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| serde_json::from_value(one["embedding"].clone()).ok())
        .collect();
    let to = |other: usize| Some(cosine(vectors.first()?, vectors.get(other)?));
    Ok(to(1).map(|own| (own, to(2))))
}

fn cosine(one: &[f64], other: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let length = (dot(one, one) * dot(other, other)).sqrt();
    if length > 0.0 {
        dot(one, other) / length
    } else {
        0.0
    }
}

/// Has the validators that judged the answer then judge the new one, which must be their payload as JSON.
async fn validate(
    client: &Client,
    asked: &Asked,
    text: &str,
    id: &Value,
) -> Result<Option<(usize, usize)>, CliError> {
    if asked.validators.is_empty() {
        return Ok(None);
    }
    let mut passed = 0;
    if let Some(payload) = payload(text) {
        for kind in &asked.validators {
            let body = json!({"kind": kind, "payload": payload, "target": id});
            let answer = client
                .settled(Method::Post, "/v1/validate", Some(&body))
                .await?;
            passed += usize::from(answer.body["verdict"] == "pass");
        }
    }
    Ok(Some((passed, asked.validators.len())))
}

/// JSON that an answer is, also between the marks of a block of code.
fn payload(text: &str) -> Option<Value> {
    let text = text.trim();
    let inner = text
        .strip_prefix("```")
        .and_then(|text| text.strip_suffix("```"));
    let inner = inner.map(|inner| inner.trim_start_matches("json"));
    serde_json::from_str(inner.unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_moments() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000));
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(1_000));
        assert!(moment("yesterday").is_err());
        assert!(moment("1969-12-31").is_err());
    }

    #[test]
    fn payloads_are_found_in_blocks_of_code() {
        for text in [
            "{\"a\": 1}",
            "```json\n{\"a\": 1}\n```",
            " ```\n{\"a\":1}``` ",
        ] {
            assert_eq!(payload(text), Some(json!({"a": 1})), "{text}");
        }
        assert_eq!(payload("Sure: {\"a\": 1}"), None);
    }
}
