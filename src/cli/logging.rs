//! Starts the log.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output::colours(&std::io::stderr()))
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first.
    match config.format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            setter(by_environment, handle)
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            setter(by_environment, handle)
        }
    }
}

fn setter<S: 'static>(by_environment: bool, handle: Handle<EnvFilter, S>) -> SetLogFilter {
    Box::new(move |filter| {
        if by_environment {
            return Err("the environment variable RUST_LOG wins over it".to_owned());
        }
        let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    })
}
