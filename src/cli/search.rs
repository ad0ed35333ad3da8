//! `boathouse search` and `boathouse recommend`: what a collection has on a question, or beside some points.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::CliError;
use super::ingest::collection_name;
use super::input;
use super::output::{self, Paint};
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

const SEARCH_EXAMPLES: &str = "Examples:
  boathouse search docs 'what happens when the queue is full?'
  boathouse search docs 'queue full' -k 3 --mode lexical --explain
  boathouse search docs 'ferry' --filter '{\"lang\": \"en\", \"year\": {\"$gte\": 2020}}'
  boathouse search docs 'ferry' --role staff --mmr 0.5 --min-score 0.2
  boathouse search docs 'ferry' --group-by source --group-size 2
  boathouse search docs --vector @vector.json --with payload --json
  echo 'what happens when the queue is full?' | boathouse search docs -
  boathouse search docs --each questions.txt --json      a question a line, an answer a line

Filters know $eq $ne $gt $gte $lt $lte $in $nin $exists $and $or $not; docs/API.md tells of each choice.";

const RECOMMEND_EXAMPLES: &str = "Examples:
  boathouse recommend docs 'docs/API.md#3'                    like this point
  boathouse recommend docs a1 a7 --unlike b2 --strategy best_score
  boathouse recommend docs a1 --filter '{\"lang\": \"en\"}' -k 20 --json";

/// Searches of one request.
const BATCH: usize = 100;
/// Characters of a text that are shown.
const SHOWN: usize = 300;

/// What searching by a question and searching by points have in common.
#[derive(Debug, Args)]
struct Choices {
    /// Most hits, or groups: 1 to 1000; default 10
    #[arg(short, value_name = "COUNT")]
    k: Option<usize>,
    /// Only points whose payload matches: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE")]
    filter: Option<String>,
    /// Only points of this role, or of none
    #[arg(long)]
    role: Option<String>,
    /// Compare with every point instead of walking the graph
    #[arg(long)]
    exact: bool,
    /// Leave out hits that score less
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = input::finite)]
    min_score: Option<f64>,
    /// Choose hits that differ: weight of relevance against difference, 0 to 1
    #[arg(long, value_name = "LAMBDA", value_parser = input::finite)]
    mmr: Option<f64>,
    /// How many of the first hits --mmr chooses from
    #[arg(long, value_name = "COUNT", requires = "mmr")]
    mmr_candidates: Option<usize>,
    /// Group the hits by this field of the payload
    #[arg(long, value_name = "PATH")]
    group_by: Option<String>,
    /// Most hits of a group: 1 to 100; default 3
    #[arg(long, value_name = "COUNT", requires = "group_by")]
    group_size: Option<usize>,
    /// What each hit carries: text, payload, vector; default text,payload
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = ["text", "payload", "vector"])]
    with: Vec<String>,
    /// Say how the search was planned
    #[arg(long)]
    explain: bool,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Choices {
    fn body(&self) -> Result<Map<String, Value>, CliError> {
        let filter = self.filter.as_deref();
        let filter = filter.map(|given| input::json(given, "the filter"));
        let mmr = self.mmr.map(|lambda| {
            let candidates = self.mmr_candidates.map(Value::from);
            let lambda = Some(Value::from(lambda));
            Value::Object(input::object([
                ("lambda", lambda),
                ("candidates", candidates),
            ]))
        });
        Ok(input::object([
            ("k", self.k.map(Value::from)),
            ("filter", filter.transpose()?),
            ("role", self.role.clone().map(Value::from)),
            ("exact", self.exact.then_some(Value::Bool(true))),
            ("min_score", self.min_score.map(Value::from)),
            ("mmr", mmr),
            ("group_by", self.group_by.clone().map(Value::from)),
            ("group_size", self.group_size.map(Value::from)),
            ("with", (!self.with.is_empty()).then(|| json!(self.with))),
            ("explain", self.explain.then_some(Value::Bool(true))),
        ]))
    }
}

#[derive(Debug, Args)]
#[command(after_help = SEARCH_EXAMPLES)]
pub(super) struct SearchArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    collection: String,
    /// What is looked for; - is stdin
    #[arg(required_unless_present_any = ["vector", "each"])]
    query: Option<String>,
    /// Search by this vector: a JSON list of numbers, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    vector: Option<String>,
    /// Search for each line of this file by itself; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["query", "vector"])]
    each: Option<PathBuf>,
    /// By meaning, by words, or by both; default hybrid, with only a vector dense
    #[arg(long, value_parser = ["dense", "lexical", "hybrid"])]
    mode: Option<String>,
    /// Whether the collection's refiner ranks the first hits; default true in hybrid mode
    #[arg(long, value_name = "BOOL")]
    refine: Option<bool>,
    /// How hybrid makes one list of two: by ranks, or by scores; default rrf
    #[arg(long, value_parser = ["rrf", "weighted"])]
    fusion: Option<String>,
    /// With --fusion rrf: how little the first ranks outweigh those after, 1 to 1000; default 60
    #[arg(long, value_name = "K", requires = "fusion")]
    rrf_k: Option<u16>,
    /// With --fusion weighted: share of the dense score, 0 to 1; default 0.5
    #[arg(long, value_name = "SHARE", requires = "fusion", value_parser = input::finite)]
    dense_weight: Option<f64>,
    #[command(flatten)]
    choices: Choices,
}

#[derive(Debug, Args)]
#[command(after_help = RECOMMEND_EXAMPLES)]
pub(super) struct RecommendArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    collection: String,
    /// Ids of points to be like
    #[arg(required_unless_present = "unlike", value_name = "ID")]
    like: Vec<String>,
    /// The id of a point to be unlike; may be given again
    #[arg(long, value_name = "ID")]
    unlike: Vec<String>,
    /// How examples count; default average_vector
    #[arg(long, value_parser = ["average_vector", "best_score"])]
    strategy: Option<String>,
    #[command(flatten)]
    choices: Choices,
}

impl SearchArgs {
    /// The body but for the question.
    fn body(&self) -> Result<Map<String, Value>, CliError> {
        let mut body = self.choices.body()?;
        let vector = self.vector.as_deref();
        let vector = vector.map(|given| input::json(given, "the vector"));
        let fusion = self.fusion.as_ref().map(|method| {
            Value::Object(input::object([
                ("method", Some(json!(method))),
                ("k", self.rrf_k.map(Value::from)),
                ("dense_weight", self.dense_weight.map(Value::from)),
            ]))
        });
        body.extend(input::object([
            ("vector", vector.transpose()?),
            ("mode", self.mode.clone().map(Value::from)),
            ("refine", self.refine.map(Value::from)),
            ("fusion", fusion),
        ]));
        Ok(body)
    }
}

/// Runs `boathouse search`.
pub(super) fn search(overrides: &Overrides, args: &SearchArgs) -> Result<(), CliError> {
    let path = format!("/v1/collections/{}/search", args.collection);
    let mut body = args.body()?;
    let choices = &args.choices;
    if let Some(file) = &args.each {
        let questions = input::read(file)?;
        return server::ask(overrides, &choices.server, async |client| {
            each(client, &path, &body, &questions, choices).await
        });
    }
    if let Some(query) = &args.query {
        let query = match query.as_str() {
            "-" => input::read_text("-".as_ref())?,
            query => query.to_owned(),
        };
        body.insert("query".to_owned(), query.into());
    }
    ask(overrides, choices, &path, body)
}

/// Runs `boathouse recommend`.
pub(super) fn recommend(overrides: &Overrides, args: &RecommendArgs) -> Result<(), CliError> {
    let path = format!("/v1/collections/{}/recommend", args.collection);
    let mut body = args.choices.body()?;
    body.extend(input::object([
        ("positive", Some(json!(args.like))),
        ("negative", Some(json!(args.unlike))),
        ("strategy", args.strategy.clone().map(Value::from)),
    ]));
    ask(overrides, &args.choices, &path, body)
}

fn ask(
    overrides: &Overrides,
    choices: &Choices,
    path: &str,
    body: Map<String, Value>,
) -> Result<(), CliError> {
    let body = Value::Object(body);
    let found = server::ask(overrides, &choices.server, async |client| {
        client.must(Method::Post, path, Some(&body)).await
    })?;
    match choices.json {
        true => output::say(found),
        false => tell(&found),
    }
    Ok(())
}

/// Searches for each line; those that could not be searched for are told at the end.
async fn each(
    client: &Client,
    path: &str,
    body: &Map<String, Value>,
    questions: &str,
    choices: &Choices,
) -> Result<(), CliError> {
    let questions: Vec<&str> = questions
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if questions.is_empty() {
        return Err(CliError::failed("there is no question to search for"));
    }
    let path = format!("{path}/batch");
    let bar = output::progress(questions.len(), "searching");
    let mut failed = 0;
    for part in questions.chunks(BATCH) {
        let searches = part.iter().map(|question| {
            let mut search = body.clone();
            search.insert("query".to_owned(), json!(question));
            Value::Object(search)
        });
        let asked = json!({"searches": searches.collect::<Vec<_>>()});
        let answer = client.must(Method::Post, &path, Some(&asked)).await?;
        let results = answer["results"].as_array().into_iter().flatten();
        bar.suspend(|| {
            for (question, found) in part.iter().zip(results) {
                failed += usize::from(found.get("error").is_some());
                if choices.json {
                    output::say(found);
                    continue;
                }
                output::say(Paint::Strong.on(output::line(question, SHOWN)));
                tell(found);
            }
        });
        bar.inc(part.len() as u64);
        if output::unheard() {
            break;
        }
    }
    bar.finish_and_clear();
    match failed {
        0 => Ok(()),
        failed => Err(CliError::failed(format!(
            "{failed} of {} failed",
            counted(questions.len(), "search")
        ))),
    }
}

fn tell(found: &Value) {
    if let Some(error) = found.get("error") {
        let said = error["detail"].as_str().unwrap_or_default();
        return output::say(format_args!("  not searched: {said}"));
    }
    let groups = found["groups"].as_array();
    let hits = found["hits"].as_array().map_or(&[][..], Vec::as_slice);
    match groups {
        Some(groups) => {
            for group in groups {
                output::say(Paint::Strong.on(output::cell(&group["id"])));
                let hits = group["hits"].as_array().map_or(&[][..], Vec::as_slice);
                tell_hits(hits);
            }
        }
        None if hits.is_empty() => output::say("nothing was found"),
        None => tell_hits(hits),
    }
    if let Some(plan) = found.get("plan") {
        output::say("");
        output::fields(&json!({"plan": plan}));
    }
}

fn tell_hits(hits: &[Value]) {
    for (rank, hit) in hits.iter().enumerate() {
        let score = hit["score"].as_f64().unwrap_or_default();
        let id = output::cell(&hit["id"]);
        let id = Paint::Strong.on(id);
        output::say(format_args!("{:>3}  {score:>8.4}  {id}", rank + 1));
        if let Some(text) = hit["text"].as_str() {
            output::say(format_args!("     {}", output::line(text, SHOWN)));
        }
        let payload = hit["payload"].as_object().into_iter().flatten();
        let payload: Vec<String> = payload
            .map(|(name, value)| format!("{}={}", output::line(name, 40), output::cell(value)))
            .collect();
        if !payload.is_empty() {
            let shown = output::line(&payload.join("  "), SHOWN);
            output::say(format_args!("     {}", Paint::Faint.on(shown)));
        }
        if hit["vector"].is_array() {
            output::say(format_args!("     {}", output::cell(&hit["vector"])));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SearchArgs,
    }

    #[test]
    fn flags_become_the_fields_of_a_search() {
        let line = "x docs q -k 3 --filter {\"a\":1} --role r --exact --min-score 0.2 --mmr 0.5 --mmr-candidates 50 \
                    --with text,vector --explain --mode hybrid --refine false --fusion weighted --dense-weight 0.7";
        let args = Line::try_parse_from(line.split_whitespace()).unwrap().args;
        assert_eq!(
            Value::Object(args.body().unwrap()),
            json!({
                "k": 3, "filter": {"a": 1}, "role": "r", "exact": true, "min_score": 0.2,
                "mmr": {"lambda": 0.5, "candidates": 50}, "with": ["text", "vector"], "explain": true,
                "mode": "hybrid", "refine": false, "fusion": {"method": "weighted", "dense_weight": 0.7},
            })
        );
        for wrong in [
            "x docs",
            "x docs q --each f",
            "x docs q --with words",
            "x docs q --rrf-k 3",
            "x docs q --min-score NaN",
            "x a/b q",
        ] {
            assert!(Line::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}
