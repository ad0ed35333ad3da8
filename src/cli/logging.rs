//! Starts the log.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::output;
use crate::config::{LogConfig, LogFormat};
use crate::services::reload::SetLogFilter;

/// Sends events to stderr from here on. `RUST_LOG` wins over the setting. Returns what changes the filter later.
pub(super) fn start(config: &LogConfig) -> SetLogFilter {
    let fixed = EnvFilter::try_from_default_env().ok();
    let by_environment = fixed.is_some();
    let filter = fixed
        .or_else(|| EnvFilter::try_new(&config.filter).ok())
        .unwrap_or_default();
    let (filter, handle) = reload::Layer::new(filter);
    let log = Registry::default().with(filter).with(lines(config.format));
    // A second start in one process keeps the first.
    let _ = log.try_init();
    setter(by_environment, handle)
}

/// Writes events, whatever the filter, but for those that hold contents.
fn lines<S: Subscriber + for<'span> LookupSpan<'span>>(format: LogFormat) -> impl Layer<S> {
    let lines = fmt::layer()
        .with_ansi(output::colours(&std::io::stderr()))
        .with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    lines.with_filter(filter_fn(|event| !holds_contents(event)))
}

/// The MCP SDK tells whole requests and answers below the level of errors. What failed in them is told by `api/mcp`.
fn holds_contents(event: &Metadata<'_>) -> bool {
    let of_sdk = event.target().split("::").next() == Some("rmcp");
    of_sdk && *event.level() > Level::ERROR
}

fn setter(by_environment: bool, handle: Handle<EnvFilter, Registry>) -> SetLogFilter {
    Box::new(move |filter| {
        if by_environment {
            return Err("the environment variable RUST_LOG wins over it".to_owned());
        }
        let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    })
}
