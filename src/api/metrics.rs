//! Counters of the edge, and the page that Prometheus reads.

use std::fmt::Write as _;

use std::sync::Arc;

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry, TextEncoder,
};
use serde_json::Value;

use crate::services::health::Figures;
use crate::services::push::PushTally;
use crate::types::traffic::Traffic;
use crate::types::usage::UsageSums;

/// Methods that are counted by name: a client can invent any number of others.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

const REQUESTS: &str = "boathouse_http_requests_total";
const SECONDS: &str = "boathouse_http_request_seconds";
/// Whose requests are no traffic: the pages that show it.
const CONSOLE: &str = "/console";

/// The method, or what stands for all that are not counted by name.
pub(super) fn known_method(method: &str) -> &str {
    if METHODS.contains(&method) {
        method
    } else {
        "other"
    }
}

/// The edge's counters.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl Metrics {
    /// Registers the counters.
    ///
    /// Errors: a name that is registered twice; cannot happen with a fresh registry.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new(REQUESTS, "HTTP requests answered."),
            &["method", "route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(SECONDS, "Time until the response's head, seconds.").buckets(vec![
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
            ]),
            &["route"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self {
            registry,
            requests,
            seconds,
        })
    }

    /// The counters of an answer. `route` is the pattern, never the path: it must stay a small set.
    fn of(&self, method: &str, route: &str, status: u16) -> (IntCounter, Histogram) {
        let labels = [known_method(method), route, &status.to_string()];
        (
            self.requests.with_label_values(&labels),
            self.seconds.with_label_values(&[route]),
        )
    }

    /// Sums up what was answered, over all routes but the console's.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic::default();
        for family in self.registry.gather() {
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let labels = metric.get_label().iter();
                    labels.clone().find(|label| label.name() == name)
                };
                if label("route").is_some_and(|route| route.value().starts_with(CONSOLE)) {
                    continue;
                }
                match family.name() {
                    REQUESTS => {
                        // Counters are floats in the registry; these count whole requests.
                        let count = metric.get_counter().get_value() as u64;
                        traffic.requests += count;
                        if label("status").is_some_and(|status| status.value().starts_with('5')) {
                            traffic.failed += count;
                        }
                    }
                    SECONDS => {
                        let buckets = metric.get_histogram().get_bucket();
                        if traffic.within.is_empty() {
                            traffic.within = vec![(0.0, 0); buckets.len()];
                        }
                        for (sum, bucket) in traffic.within.iter_mut().zip(buckets) {
                            *sum = (bucket.upper_bound(), sum.1 + bucket.cumulative_count());
                        }
                    }
                    _ => {}
                }
            }
        }
        traffic
    }

    /// Renders the page: the edge's counters, the cache and the tree.
    pub(super) fn render(&self, figures: &Figures, tree: &Value) -> String {
        let mut page = Vec::new();
        // Encoding into memory fails only on a malformed name, which `new` has checked.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut page);
        let mut page = String::from_utf8(page).unwrap_or_default();
        let (cache, kept) = (&figures.cache, &figures.kept);
        for (name, kind, help, value) in [
            (
                "embedding_cache_hits_total",
                "counter",
                "Texts found in the cache.",
                cache.hits,
            ),
            (
                "embedding_cache_misses_total",
                "counter",
                "Texts that the cache did not hold.",
                cache.misses,
            ),
            (
                "embedding_cache_evictions_total",
                "counter",
                "Texts dropped for want of room.",
                cache.evictions,
            ),
            (
                "embedding_cache_entries",
                "gauge",
                "Texts in the cache.",
                cache.entries,
            ),
            (
                "embedding_cache_bytes",
                "gauge",
                "Size of the cache.",
                cache.bytes,
            ),
            (
                "response_cache_hits_total",
                "counter",
                "Chat requests answered as an equal one before.",
                kept.hits,
            ),
            (
                "response_cache_semantic_hits_total",
                "counter",
                "Chat requests answered as a similar one before.",
                kept.semantic_hits,
            ),
            (
                "response_cache_misses_total",
                "counter",
                "Chat requests whose answer was not kept.",
                kept.misses,
            ),
            (
                "response_cache_evictions_total",
                "counter",
                "Answers dropped for want of room.",
                kept.evictions,
            ),
            (
                "response_cache_bytes",
                "gauge",
                "Size of the cache of answers.",
                kept.bytes,
            ),
            (
                "collections",
                "gauge",
                "Collections.",
                figures.collections as u64,
            ),
            (
                "ready",
                "gauge",
                "1 while every critical cell is ready, as /readyz says.",
                u64::from(figures.ready),
            ),
        ] {
            let _ = writeln!(
                page,
                "# HELP boathouse_{name} {help}\n# TYPE boathouse_{name} {kind}\nboathouse_{name} {value}"
            );
        }
        if let Some(tally) = &figures.push {
            pushes(&mut page, tally);
        }
        chat(&mut page, &figures.chat);
        for (field, name, kind, help) in [
            (
                "restarts",
                "cell_restarts_total",
                "counter",
                "Restarts of a cell.",
            ),
            (
                "queue",
                "cell_queue",
                "gauge",
                "Requests waiting for a cell.",
            ),
            (
                "capacity",
                "cell_capacity",
                "gauge",
                "Most requests waiting for a cell and worked on.",
            ),
            (
                "in_flight",
                "cell_in_flight",
                "gauge",
                "Requests that a cell works on.",
            ),
            (
                "zombies",
                "cell_zombies",
                "gauge",
                "Stuck threads of a cell.",
            ),
        ] {
            let _ = writeln!(
                page,
                "# HELP boathouse_{name} {help}\n# TYPE boathouse_{name} {kind}"
            );
            cells(tree, "", &mut |path, node| {
                if let Some(value) = node.get(field).and_then(Value::as_u64) {
                    let _ = writeln!(page, "boathouse_{name}{{cell=\"{path}\"}} {value}");
                }
            });
        }
        page.push_str("# HELP boathouse_cell_ready 1 while a cell serves.\n");
        page.push_str("# TYPE boathouse_cell_ready gauge\n");
        cells(tree, "", &mut |path, node| {
            let ready = u8::from(node.get("state").and_then(Value::as_str) == Some("ready"));
            let _ = writeln!(page, "boathouse_cell_ready{{cell=\"{path}\"}} {ready}");
        });
        page
    }
}

/// Writes the counters of pushes to object storage.
fn pushes(page: &mut String, tally: &PushTally) {
    let name = "boathouse_pushes_total";
    let help = "Pushes to object storage by how they ended.";
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} counter");
    for (outcome, count) in [("ok", tally.pushes), ("failed", tally.failures)] {
        let _ = writeln!(page, "{name}{{outcome=\"{outcome}\"}} {count}");
    }
    let last = tally.last_ms.unwrap_or_default() / 1_000;
    for (name, kind, help, value) in [
        (
            "pushed_objects_total",
            "counter",
            "Objects that were written to object storage.",
            tally.sent,
        ),
        (
            "pushed_bytes_total",
            "counter",
            "Bytes that were written to object storage.",
            tally.sent_bytes,
        ),
        (
            "last_push_seconds",
            "gauge",
            "When the last push ended well, Unix time; 0 before the first.",
            last,
        ),
    ] {
        let _ = writeln!(
            page,
            "# HELP boathouse_{name} {help}\n# TYPE boathouse_{name} {kind}\nboathouse_{name} {value}"
        );
    }
}

/// Writes the counters of chat calls. Their keys and models are bounded where they are counted.
fn chat(page: &mut String, counters: &[(String, String, UsageSums)]) {
    /// Name, help, and the sums under the label of each.
    type Counter = (
        &'static str,
        &'static str,
        fn(&UsageSums) -> Vec<(&'static str, f64)>,
    );
    let kinds: [Counter; 4] = [
        ("requests", "Chat requests by how they ended.", |sums| {
            let answered = sums.requests - sums.failed.min(sums.requests);
            vec![
                ("outcome=\"ok\"", answered as f64),
                ("outcome=\"failed\"", sums.failed as f64),
            ]
        }),
        (
            "tokens",
            "Tokens of chat requests, as providers counted them.",
            |sums| {
                vec![
                    ("kind=\"prompt\"", sums.prompt_tokens as f64),
                    ("kind=\"completion\"", sums.completion_tokens as f64),
                    ("kind=\"cached\"", sums.cached_tokens as f64),
                ]
            },
        ),
        (
            "cost_usd",
            "Known cost of chat requests, US dollars.",
            |sums| {
                let known = sums.cost_usd.map(|cost| ("", cost));
                known.into_iter().collect()
            },
        ),
        (
            "unpriced",
            "Chat requests whose cost is not known.",
            |sums| vec![("", sums.unpriced as f64)],
        ),
    ];
    for (name, help, sums_of) in kinds {
        let name = format!("boathouse_chat_{name}_total");
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} counter");
        for (key, model, sums) in counters {
            let (key, model) = (escaped(key), escaped(model));
            for (label, value) in sums_of(sums) {
                let comma = if label.is_empty() { "" } else { "," };
                let _ = writeln!(
                    page,
                    "{name}{{key=\"{key}\",model=\"{model}\"{comma}{label}}} {value}"
                );
            }
        }
    }
}

/// Escapes the value of a label, which a client may have chosen.
fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Answers that a worker remembers the counters of.
const REMEMBERED: usize = 64;
/// Longest path of one of these, bytes.
const LONGEST: usize = 256;

/// The counters as one worker uses them: those of paths that come again are found without matching the path against all
/// routes, which costs as much as all else that a refusal takes, and without a look-up by label.
pub(super) struct Watched {
    metrics: Arc<Metrics>,
    /// The last used first.
    known: Vec<Known>,
}

struct Known {
    method: Method,
    path: String,
    status: u16,
    requests: IntCounter,
    seconds: Histogram,
}

impl Watched {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            known: Vec::new(),
        }
    }

    /// Counts one answered request.
    pub(super) fn observe<B>(&mut self, response: &ServiceResponse<B>, seconds: f64) {
        let request = response.request();
        let (method, path) = (request.method(), request.path());
        let status = response.status().as_u16();
        let known = self.known.iter().position(|known| {
            known.path == path && known.status == status && known.method == *method
        });
        if let Some(place) = known {
            self.known.swap(0, place);
            if let Some(known) = self.known.first() {
                known.requests.inc();
                known.seconds.observe(seconds);
            }
            return;
        }
        let route = request.match_pattern();
        let label = route.as_deref().unwrap_or("none");
        let (requests, timer) = self.metrics.of(method.as_str(), label, status);
        requests.inc();
        timer.observe(seconds);
        if path.len() > LONGEST {
            return;
        }
        let known = Known {
            method: method.clone(),
            path: path.to_owned(),
            status,
            requests,
            seconds: timer,
        };
        if self.known.len() == REMEMBERED {
            // Those that are used again move to the front.
            self.known.pop();
        }
        self.known.push(known);
    }
}

/// Visits every cell below `node` with its path. Ids hold no character that a label must escape.
fn cells(node: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    let id = node.get("id").and_then(Value::as_str).unwrap_or_default();
    let path = if path.is_empty() {
        id.to_owned()
    } else {
        format!("{path}/{id}")
    };
    match node.get("children").and_then(Value::as_array) {
        Some(children) if !children.is_empty() => {
            for child in children {
                cells(child, &path, visit);
            }
        }
        _ => visit(&path, node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_what_others_asked_for() {
        let metrics = Metrics::new().unwrap();
        assert_eq!(metrics.traffic(), Traffic::default());
        for (route, status, seconds) in [
            ("/v1/embeddings", 200, 0.002),
            ("/v1/embeddings", 500, 0.002),
            ("/v1/evidence", 404, 0.2),
            ("/console/tree", 500, 0.002),
        ] {
            let (requests, timer) = metrics.of("GET", route, status);
            requests.inc();
            timer.observe(seconds);
        }
        let traffic = metrics.traffic();
        assert_eq!((traffic.requests, traffic.failed), (3, 1));
        let within = |bound: f64| {
            let found = traffic.within.iter().find(|(known, _)| *known == bound);
            found.unwrap().1
        };
        assert_eq!([within(0.001), within(0.0025), within(0.25)], [0, 2, 3]);
    }
}
