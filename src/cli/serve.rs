//! `boathouse serve`.

use std::net::SocketAddr;

use super::error::CliError;
use super::{descriptors, logging, output, privacy, server};
use crate::app::{App, Ending, SettingsSource};
use crate::config::{Overrides, Settings, load};

pub(super) const EXAMPLES: &str = "Examples:
  boathouse serve                              the same as boathouse
  boathouse serve --port 0 --data /srv/house   on a free port, which it prints
  boathouse serve --config /etc/boathouse.toml";

/// Loads the settings from all layers and starts the log.
pub(super) fn settings(overrides: &Overrides) -> Result<Settings, CliError> {
    Ok(load(overrides, std::env::vars().collect())?)
}

/// Reads the settings from the same layers again.
pub(super) fn source(overrides: &Overrides) -> SettingsSource {
    let overrides = overrides.clone();
    Box::new(move || load(&overrides, std::env::vars().collect()))
}

/// Where the settings say that the server listens.
pub(super) fn address(settings: &Settings) -> Result<SocketAddr, CliError> {
    let ip = settings.http.address().map_err(CliError::failed)?;
    Ok(SocketAddr::new(ip, settings.http.port))
}

/// Serves until told to stop.
pub(super) fn run(overrides: &Overrides) -> Result<(), CliError> {
    let settings = settings(overrides)?;
    let set_log_filter = logging::start(&settings.log);
    privacy::keep(&settings.storage)?;
    privacy::tell_open(&settings.storage);
    descriptors::allow_all();
    actix_web::rt::System::new().block_on(async {
        let app = App::start(settings, source(overrides)).await?;
        let mut app = app.with_log_filter(set_log_filter);
        app.announce();
        let base = server::url_of(app.address());
        output::say(format_args!(
            "boathouse serves {base}  console {base}/console  docs {base}/docs/  (Ctrl-C drains)"
        ));
        finish(app).await
    })
}

/// Serves to the end.
pub(super) async fn finish(app: App) -> Result<(), CliError> {
    match app.run().await {
        Ending::Asked => Ok(()),
        Ending::Exhausted => Err(CliError::Exhausted),
    }
}
