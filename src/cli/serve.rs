//! `boathouse serve`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::CliError;
use super::{descriptors, logging, output, privacy};
use crate::app::{App, Ending, SettingsSource};
use crate::config::{Overrides, Settings, load};

/// Loads the settings from all layers and starts the log.
pub(super) fn settings(overrides: &Overrides) -> Result<Settings, CliError> {
    Ok(load(overrides, std::env::vars().collect())?)
}

/// Reads the settings from the same layers again.
pub(super) fn source(overrides: &Overrides) -> SettingsSource {
    let overrides = overrides.clone();
    Box::new(move || load(&overrides, std::env::vars().collect()))
}

/// The server that a command talks to: `url`, or the address of the settings.
pub(super) fn base_url(overrides: &Overrides, url: Option<&str>) -> Result<String, CliError> {
    if let Some(url) = url {
        return Ok(url.to_owned());
    }
    let http = settings(overrides)?.http;
    let address = http.address().map_err(CliError::failed)?;
    Ok(url_of(SocketAddr::new(address, http.port)))
}

/// How a server that listens at `address` is asked from this machine.
pub(super) fn url_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
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
        let app = app.with_log_filter(set_log_filter);
        let base = url_of(app.address());
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
