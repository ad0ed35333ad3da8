//! What a run brought, for people and for programs.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::run::Measured;
use crate::cli::output;
use crate::types::plain::counted;

/// Shown of each distribution.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// One run and what it was run with.
pub(super) struct Told {
    pub(super) connections: usize,
    pub(super) rate: Option<f64>,
    /// Requests that fell due and were not sent within the time.
    pub(super) unsent: u64,
    pub(super) measured: Measured,
}

impl Told {
    /// Successes a second: those of the time that was measured, which one late answer makes no longer.
    fn per_second(&self) -> f64 {
        match self.measured.seconds {
            0.0 => 0.0,
            seconds => self.measured.in_time as f64 / seconds,
        }
    }

    /// One object: counts, rates, latencies in milliseconds.
    pub(super) fn json(&self, streamed: bool) -> Value {
        let statuses = self.measured.statuses.iter();
        let statuses: serde_json::Map<String, Value> = statuses
            .map(|(status, count)| (status.to_string(), json!(count)))
            .collect();
        let mut told = json!({
            "connections": self.connections,
            "rate": self.rate,
            "seconds": self.measured.seconds,
            "per_second": self.per_second(),
            "statuses": statuses,
            "failures": self.measured.failures,
            "latency_ms": quantiles(&self.measured.latency),
        });
        if self.rate.is_some() {
            told["unsent"] = self.unsent.into();
        }
        if streamed {
            told["first_byte_ms"] = quantiles(&self.measured.first_byte);
        }
        if !self.measured.refused.is_empty() {
            told["refused_ms"] = quantiles(&self.measured.refused);
        }
        told
    }

    /// One line of the table, and what is not as it should be below it.
    pub(super) fn say(&self, streamed: bool) {
        let rate = self.rate.map_or("-".to_owned(), |rate| format!("{rate}"));
        output::say(format_args!(
            "{:>11} {rate:>9} {:>11.1} {}",
            self.connections,
            self.per_second(),
            columns(&self.measured.latency)
        ));
        if streamed {
            let first = columns(&self.measured.first_byte);
            output::say(format_args!("{:>33} {first}", "to the first bytes"));
        }
        if self.unsent > 0 {
            output::say(format_args!(
                "{:>11} {} of the requests that fell due were not sent in time",
                "", self.unsent
            ));
        }
        let others = self.measured.statuses.iter();
        for (status, count) in others.filter(|(status, _)| !(200..300).contains(*status)) {
            output::say(format_args!(
                "{:>11} {} of status {status}",
                "",
                counted(count, "answer")
            ));
        }
        if !self.measured.refused.is_empty() {
            let refused = columns(&self.measured.refused);
            output::say(format_args!("{:>33} {refused}", "those took"));
        }
        for (why, count) in &self.measured.failures {
            output::say(format_args!("{:>11} {count} without an answer: {why}", ""));
        }
    }
}

/// The head of the table.
pub(super) fn say_head() {
    let names: Vec<String> = QUANTILES
        .iter()
        .map(|(name, _)| format!("{name:>9}"))
        .collect();
    output::say(format_args!(
        "connections  rate/s due  answered/s {}  (ms)",
        names.join(" ")
    ));
}

fn columns(histogram: &Histogram<u64>) -> String {
    let cells = QUANTILES.map(|(_, quantile)| format!("{:>9.2}", ms(histogram, quantile)));
    cells.join(" ")
}

fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let mut all: serde_json::Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, quantile)| ((*name).to_owned(), json!(ms(histogram, *quantile))))
        .collect();
    all.insert("mean".to_owned(), json!(histogram.mean() / 1e3));
    Value::Object(all)
}
