//! The process's figures, as a collector gets them.

use std::sync::Arc;
use std::time::Duration;

use supervisors::TreeSnapshot;

use crate::config::TelemetryConfig;
use crate::services::{Services, health, supervision};
use crate::telemetry::{Options, Reading, Telemetry};

/// Starts what the settings ask for.
///
/// Errors: an endpoint that is none.
pub(super) fn telemetry(
    config: &TelemetryConfig,
    services: &Arc<Services>,
) -> Result<Option<Arc<Telemetry>>, String> {
    if !config.is_on() {
        return Ok(None);
    }
    let options = Options {
        endpoint: config.endpoint.clone(),
        service_name: config.service_name.clone(),
        sampling_ratio: config.sampling_ratio,
        span_interval: Duration::from_millis(config.span_interval_ms),
        metrics_interval: Duration::from_millis(config.metrics_interval_ms),
        timeout: Duration::from_millis(config.timeout_ms),
        capture_content: config.capture_content,
    };
    let services = Arc::downgrade(services);
    let readings = move || {
        services
            .upgrade()
            .map_or_else(Vec::new, |services| read(&services))
    };
    Telemetry::start(&options, Arc::new(readings)).map(Some)
}

/// Name, unit, help, whether it only grows, and the figure of one cell.
type OfCell = (
    &'static str,
    &'static str,
    &'static str,
    bool,
    fn(&TreeSnapshot) -> Option<u64>,
);

fn read(services: &Services) -> Vec<Reading> {
    let figures = health::figures(services);
    let (cache, kept) = (&figures.cache, &figures.kept);
    let ready = u64::from(health::health(services).ready);
    let collections = wide(figures.collections);
    let single = [
        (
            "boathouse.ready",
            "1",
            "Whether every critical cell is ready.",
            false,
            ready,
        ),
        (
            "boathouse.collections",
            "{collection}",
            "Collections.",
            false,
            collections,
        ),
        (
            "boathouse.embedding.cache.hits",
            "{text}",
            "Texts found in the cache.",
            true,
            cache.hits,
        ),
        (
            "boathouse.embedding.cache.misses",
            "{text}",
            "Texts that the cache did not hold.",
            true,
            cache.misses,
        ),
        (
            "boathouse.embedding.cache.size",
            "By",
            "Size of the cache.",
            false,
            cache.bytes,
        ),
        (
            "boathouse.response.cache.hits",
            "{request}",
            "Chat requests answered as one before.",
            true,
            kept.hits + kept.semantic_hits,
        ),
        (
            "boathouse.response.cache.misses",
            "{request}",
            "Chat requests whose answer was not kept.",
            true,
            kept.misses,
        ),
        (
            "boathouse.response.cache.size",
            "By",
            "Size of the cache of answers.",
            false,
            kept.bytes,
        ),
    ];
    let mut all: Vec<Reading> = Vec::new();
    all.extend(single.map(|(name, unit, help, grows, value)| Reading {
        name,
        unit,
        help,
        grows,
        values: vec![(None, value)],
    }));
    let of_cells: [OfCell; 4] = [
        (
            "boathouse.cell.restarts",
            "{restart}",
            "Restarts of a cell.",
            true,
            |cell| Some(cell.restarts),
        ),
        (
            "boathouse.cell.queue",
            "{request}",
            "Requests waiting for a cell.",
            false,
            |cell| cell.queue.map(wide),
        ),
        (
            "boathouse.cell.in_flight",
            "{request}",
            "Requests that a cell works on.",
            false,
            |cell| cell.in_flight.map(wide),
        ),
        (
            "boathouse.cell.stuck_threads",
            "{thread}",
            "Stuck threads of a cell.",
            false,
            |cell| cell.zombies.map(wide),
        ),
    ];
    let tree = supervision::tree(services);
    all.extend(of_cells.map(|(name, unit, help, grows, value)| {
        let mut values = Vec::new();
        cells(&tree, "", &mut |path, cell| {
            let told = value(cell).map(|value| (Some(("cell", path.to_owned())), value));
            values.extend(told);
        });
        Reading {
            name,
            unit,
            help,
            grows,
            values,
        }
    }));
    all
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Visits every cell below `node` with its path.
fn cells(node: &TreeSnapshot, path: &str, visit: &mut dyn FnMut(&str, &TreeSnapshot)) {
    let path = match path {
        "" => node.id.clone(),
        path => format!("{path}/{}", node.id),
    };
    if node.children.is_empty() {
        visit(&path, node);
    }
    for child in &node.children {
        cells(child, &path, visit);
    }
}
