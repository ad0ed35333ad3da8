//! The settings while the process serves: read again, and told apart.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{SettingsSource, policies, service_manager};
use crate::config::Settings;
use crate::services::Services;
use crate::services::reload::{self, FlatSettings, NewSettings, Source};

/// Reads the settings for the services, which were started with others.
pub(super) fn source(settings: SettingsSource, started: &Settings) -> Source {
    let upstreams = policies::Upstreams::of(started);
    Box::new(move |tree| {
        let settings = settings().map_err(|error| error.to_string())?;
        Ok(NewSettings {
            policies: policies::policies_of(&settings, &upstreams, tree),
            log_filter: settings.log.filter.clone(),
            flat: flat(&settings)?,
        })
    })
}

/// Every setting by its dotted key.
pub(super) fn flat(settings: &Settings) -> Result<FlatSettings, String> {
    fn walk(path: &str, value: &toml::Value, flat: &mut FlatSettings) {
        match value.as_table() {
            Some(table) => {
                for (key, below) in table {
                    let path = match path {
                        "" => key.clone(),
                        path => format!("{path}.{key}"),
                    };
                    walk(&path, below, flat);
                }
            }
            None => {
                flat.insert(path.to_owned(), value.to_string());
            }
        }
    }
    let settings = toml::Value::try_from(settings).map_err(|error| error.to_string())?;
    let mut all = FlatSettings::new();
    walk("", &settings, &mut all);
    Ok(all)
}

/// Does what SIGHUP asks for, and says what came of it.
pub(super) async fn on_hangup(services: Arc<Services>, address: SocketAddr) {
    service_manager::reloading();
    match reload::reload(&services).await {
        Ok(reloaded) => {
            let (applied, needs_restart) = (&reloaded.applied, &reloaded.needs_restart);
            tracing::info!(?applied, ?needs_restart, "settings reloaded");
            for reason in &reloaded.failed {
                tracing::error!(reason, "not taken over, what was before counts on");
            }
        }
        Err(error) => tracing::error!(%error, "settings not reloaded"),
    }
    service_manager::ready(&format!("serving on {address}"));
}
