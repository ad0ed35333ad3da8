//! `boathouse usage`: what chat calls took, by day, key and model.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::client::escaped;
use super::error::CliError;
use super::output;
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse usage
  boathouse usage --from 2026-11-01 --to 2026-11-30 --by model
  boathouse usage --key key-0123456789abcdef --json

Days are in UTC. A cost that is not known is no part of a sum: `unpriced` counts such answers.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Key,
    Model,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct UsageArgs {
    /// The first day, such as 2026-11-01
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Only this key, by its label
    #[arg(long)]
    key: Option<String>,
    /// Only this model, provider/model
    #[arg(long)]
    model: Option<String>,
    /// Add up by this alone, instead of by day, key and model
    #[arg(long, conflicts_with = "json")]
    by: Option<By>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &UsageArgs) -> Result<(), CliError> {
    let choices = [
        ("from", &args.from),
        ("to", &args.to),
        ("key", &args.key),
        ("model", &args.model),
    ];
    let choices = choices.iter().filter_map(|(name, value)| {
        let value = value.as_deref()?;
        Some(format!("{name}={}", escaped(value)))
    });
    let path = format!("/v1/usage?{}", choices.collect::<Vec<_>>().join("&"));
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Get, &path, None).await
    })?;
    match args.json {
        true => output::say(answer),
        false => tell(&answer, args.by),
    }
    Ok(())
}

fn tell(answer: &Value, by: Option<By>) {
    let rows = answer["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let name = |row: &Value, what: &str| output::cell(&row[what]);
    // Those of one name are added up.
    let mut sums: BTreeMap<[String; 3], Sums> = BTreeMap::new();
    for row in rows {
        let names = match by {
            None => [name(row, "day"), name(row, "key"), name(row, "model")],
            Some(By::Day) => [name(row, "day"), String::new(), String::new()],
            Some(By::Key) => [String::new(), name(row, "key"), String::new()],
            Some(By::Model) => [String::new(), String::new(), name(row, "model")],
        };
        sums.entry(names).or_default().add(row);
    }
    let total = Sums::of(&answer["total"]);
    let whole = ["total".to_owned(), String::new(), String::new()];
    let shown: Vec<_> = sums
        .into_iter()
        .chain([(whole, total)])
        .map(|([day, key, model], sums)| sums.row(day, key, model))
        .collect();
    let headings = [
        "day",
        "key",
        "model",
        ">requests",
        ">failed",
        ">cached",
        ">prompt",
        ">completion",
        ">USD",
        ">unpriced",
    ];
    output::table(headings, &shown);
    let left_out = answer["left_out"].as_u64().unwrap_or_default();
    if left_out > 0 {
        output::note(format_args!(
            "not in the list, but in the total: {}; ask for fewer days",
            counted(left_out, "row")
        ));
    }
}

/// What some rows come to.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Sums {
    requests: u64,
    failed: u64,
    cached: u64,
    prompt: u64,
    completion: u64,
    /// `None`: nothing that is known.
    usd: Option<f64>,
    unpriced: u64,
}

impl Sums {
    fn of(row: &Value) -> Self {
        let mut sums = Self::default();
        sums.add(row);
        sums
    }

    fn add(&mut self, row: &Value) {
        let count = |name: &str| row[name].as_u64().unwrap_or_default();
        self.requests += count("requests");
        self.failed += count("failed");
        self.cached += count("cache_hits");
        self.prompt += count("prompt_tokens");
        self.completion += count("completion_tokens");
        self.unpriced += count("unpriced");
        if let Some(usd) = row["cost_usd"].as_f64() {
            self.usd = Some(self.usd.unwrap_or_default() + usd);
        }
    }

    fn row(self, day: String, key: String, model: String) -> [String; 10] {
        [
            day,
            key,
            model,
            self.requests.to_string(),
            self.failed.to_string(),
            self.cached.to_string(),
            self.prompt.to_string(),
            self.completion.to_string(),
            self.usd.map_or("?".to_owned(), |usd| format!("{usd:.4}")),
            self.unpriced.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cost_that_is_not_known_is_no_zero() {
        let mut sums = Sums::of(&json!({"requests": 1, "cost_usd": null, "unpriced": 1}));
        assert_eq!(sums.usd, None);
        assert_eq!(
            sums.row(String::new(), String::new(), String::new())[8],
            "?"
        );
        sums.add(&json!({"requests": 2, "cost_usd": 0.5, "prompt_tokens": 7}));
        assert_eq!((sums.requests, sums.prompt, sums.usd), (3, 7, Some(0.5)));
    }
}
