//! Whom a command asks: a server that runs, or the data folder itself, opened for as long as the command takes.
//!
//! Either way the command speaks HTTP, so that both ways do the same: the folder is opened by starting the server in this
//! process, on a free port of the loopback, and draining it afterwards.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::error::CliError;
use super::{descriptors, logging, output, privacy, serve};
use crate::app::{self, App, StartError};
use crate::config::{LogConfig, Overrides, Settings};
use crate::types::http::Method;

/// Longest wait for a server of the settings to take a connection.
const KNOCK: Duration = Duration::from_millis(500);
/// Longest wait for another command that has the data folder open.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(50);

/// Where a command finds what it works on.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ServerArgs {
    /// The server to ask; default: the one that is found, else the data folder itself
    ///
    /// With --data it is the server that has this folder; without, the one at the address of the settings. Where there is
    /// none, the data folder is opened without a server.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Open the data folder without a server, and fail when one has it
    #[arg(long, conflicts_with = "url")]
    offline: bool,
}

/// Where a command finds the running server that it is about.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RunningArgs {
    /// The server to ask; default: the one that has the folder of --data, or is at the address of the settings
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl RunningArgs {
    /// A client of that server, which need not be there.
    pub(super) fn client(&self, overrides: &Overrides) -> Result<Client, CliError> {
        running(overrides, self.url.as_deref()).map(Client::new)
    }

    /// Asks that server once, and fails unless the answer is a success.
    pub(super) fn must(
        &self,
        overrides: &Overrides,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CliError> {
        let client = self.client(overrides)?;
        actix_web::rt::System::new().block_on(client.must(method, path, body))
    }
}

/// Where the running server is that a command is about; it need not be there.
///
/// Errors: settings that are wrong; a data folder is named that no server has.
pub(super) fn running(overrides: &Overrides, url: Option<&str>) -> Result<String, CliError> {
    if let Some(url) = url {
        return Ok(url.to_owned());
    }
    let settings = serve::settings(overrides)?;
    if !names_folder(overrides) {
        return Ok(url_of(serve::address(&settings)?));
    }
    let folder = settings.storage.data_dir;
    let address = app::served_at(&folder).ok_or_else(|| {
        CliError::failed(format!("no server has the folder {}", folder.display()))
    })?;
    Ok(url_of(address))
}

/// Whether the command line says which data folder is meant.
fn names_folder(overrides: &Overrides) -> bool {
    let mut values = overrides.values.iter();
    values.any(|(key, _)| *key == "storage.data_dir")
}

/// Runs `work` with a client; Ctrl-C ends it.
pub(super) fn ask<T>(
    overrides: &Overrides,
    args: &ServerArgs,
    work: impl AsyncFnOnce(&Client) -> Result<T, CliError>,
) -> Result<T, CliError> {
    until_done(overrides, args, async |client| {
        tokio::select! {
            // First, so that it is heard before anything is sent.
            biased;
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted("stopped")),
            outcome = work(client) => outcome,
        }
    })
}

/// The same for work that hears Ctrl-C itself.
pub(super) fn until_done<T>(
    overrides: &Overrides,
    args: &ServerArgs,
    work: impl AsyncFnOnce(&Client) -> Result<T, CliError>,
) -> Result<T, CliError> {
    actix_web::rt::System::new().block_on(async {
        let Reached { client, opened } = reach(overrides, args).await?;
        let outcome = work(&client).await;
        // Its connections would keep the server from ending.
        drop(client);
        if let Some(app) = opened {
            tokio::select! {
                () = app.stop() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        outcome
    })
}

struct Reached {
    client: Client,
    opened: Option<Box<App>>,
}

impl Reached {
    fn running(url: impl Into<String>) -> Self {
        Self {
            client: Client::new(url),
            opened: None,
        }
    }
}

async fn reach(overrides: &Overrides, args: &ServerArgs) -> Result<Reached, CliError> {
    if let Some(url) = &args.url {
        return Ok(Reached::running(url));
    }
    let settings = serve::settings(overrides)?;
    if !args.offline && !names_folder(overrides) {
        let address = serve::address(&settings)?;
        // Port 0 is any free one, so nobody can be found there.
        if address.port() != 0 && TcpStream::connect_timeout(&address, KNOCK).is_ok() {
            return Ok(Reached::running(url_of(address)));
        }
        let folder = &settings.storage.data_dir;
        let shown = folder.display();
        if !folder.is_dir() {
            return Err(CliError::failed(format!(
                "nobody serves http://{address}, and there is no data folder {shown}; start a server with `boathouse`, or name a folder \
                 with --data"
            )));
        }
        output::note(format_args!(
            "nobody serves http://{address}: opening {shown} without a server"
        ));
    }
    open(overrides, settings, args.offline).await
}

/// Starts the app in this process, or finds the server that has the folder.
async fn open(
    overrides: &Overrides,
    mut settings: Settings,
    offline: bool,
) -> Result<Reached, CliError> {
    if settings.log == LogConfig::default() {
        settings.log.filter = "error,boathouse::api=off".to_owned();
    }
    // Nothing reloads the settings of one command.
    drop(logging::start(&settings.log));
    privacy::keep(&settings.storage)?;
    descriptors::allow_all();
    settings.http.bind = "127.0.0.1".to_owned();
    settings.http.port = 0;
    settings.http.workers = 1;
    let until = Instant::now() + PATIENCE;
    loop {
        let started = App::start(settings.clone(), serve::source(overrides));
        let error = match started.await {
            Ok(app) => {
                let client = Client::of(&app)?;
                let opened = Some(Box::new(app));
                return Ok(Reached { client, opened });
            }
            Err(error) => error,
        };
        let holder = match &error {
            StartError::Data(error) => error.holder(),
            _ => None,
        };
        match holder.map(|holder| holder.address) {
            Some(Some(address)) if !offline => {
                return Ok(Reached::running(url_of(address)));
            }
            // Another command, which ends soon.
            Some(None) if Instant::now() < until => tokio::time::sleep(AGAIN).await,
            _ => return Err(error.into()),
        }
    }
}

/// How a server that listens at `address` is asked from this machine.
pub(super) fn url_of(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_the_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:7", "127.0.0.1:7"),
            ("[::]:7", "[::1]:7"),
            ("10.0.0.1:7", "10.0.0.1:7"),
        ] {
            let url = url_of(listens.parse().unwrap());
            assert_eq!(url, format!("http://{asked}"));
        }
    }
}
