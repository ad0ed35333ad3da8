//! Counters of the edge, and the page that Prometheus reads.

use std::fmt::Write as _;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};
use serde_json::Value;

use crate::services::health::Figures;

/// Methods that are counted by name: a client can invent any number of others.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

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
            Opts::new("boathouse_http_requests_total", "HTTP requests answered."),
            &["method", "route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "boathouse_http_request_seconds",
                "Time until the response's head, seconds.",
            )
            .buckets(vec![
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

    /// Counts one answered request. `route` is the pattern, never the path: it must stay a small set.
    pub(super) fn observe(&self, method: &str, route: &str, status: u16, seconds: f64) {
        let method = if METHODS.contains(&method) {
            method
        } else {
            "other"
        };
        self.requests
            .with_label_values(&[method, route, &status.to_string()])
            .inc();
        self.seconds.with_label_values(&[route]).observe(seconds);
    }

    /// Renders the page: the edge's counters, the cache and the tree.
    pub(super) fn render(&self, figures: &Figures, tree: &Value) -> String {
        let mut page = Vec::new();
        // Encoding into memory fails only on a malformed name, which `new` has checked.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut page);
        let mut page = String::from_utf8(page).unwrap_or_default();
        let cache = &figures.cache;
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
                "collections",
                "gauge",
                "Collections.",
                figures.collections as u64,
            ),
        ] {
            let _ = writeln!(
                page,
                "# HELP boathouse_{name} {help}\n# TYPE boathouse_{name} {kind}\nboathouse_{name} {value}"
            );
        }
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
        page
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
