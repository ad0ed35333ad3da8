//! Puts the process together: the tree, the services, the server; and takes it apart in reverse.

mod assembly;
mod background;
pub mod doctor;
mod policies;
mod readings;
mod reload;
mod rule_files;
mod service_manager;
mod signals;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::net::TcpSocket;
use actix_web::{App as WebApp, HttpServer};
use supervisors::TreeError;

use crate::actors::tables::TablesState;
use crate::api::{self, Connections, Edge, EdgeLimits, EdgeState, Metrics, Origins};
use crate::config::{ConfigError, Settings};
use crate::engines::validation::Validators;
use crate::services::reload::SetLogFilter;
use crate::services::{Services, embed, evidence, keys, now_ms, tables};
use crate::storage::data_lock::{DataLock, DataLockError};
use crate::telemetry::Telemetry;
use crate::types::trace::SpanSink;
use signals::{Hangups, signal};

/// Why the process did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings, or a file that they name.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder.
    #[error(transparent)]
    Data(#[from] DataLockError),
    /// The port.
    #[error(
        "cannot listen on {address}: {reason}; choose another with --port, or 0 for a free one"
    )]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// A part could not be built.
    #[error("{0}")]
    Part(String),
    /// The tree gave up while starting.
    #[error("the supervision tree did not start: {0}; the log above says which cell and why")]
    Tree(#[from] TreeError),
}

fn part(error: impl std::fmt::Display) -> StartError {
    StartError::Part(error.to_string())
}

fn setting(section: &'static str, problem: impl std::fmt::Display) -> StartError {
    ConfigError::Invalid {
        section,
        problem: problem.to_string(),
    }
    .into()
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A signal or a caller asked for it.
    Asked,
    /// The root supervisor gave up: the service manager should start the process anew.
    Exhausted,
}

/// Reads all settings anew.
pub type SettingsSource = Box<dyn Fn() -> Result<Settings, ConfigError> + Send + Sync>;

/// Where the server that has this data folder listens; `None` where none has it, or it does not say so.
pub fn served_at(folder: &Path) -> Option<SocketAddr> {
    if !folder.is_dir() {
        return None;
    }
    let taken = DataLock::acquire(folder).err()?;
    taken.holder()?.address
}

/// A running process.
pub struct App {
    address: SocketAddr,
    services: Arc<Services>,
    telemetry: Option<Arc<Telemetry>>,
    server: ServerHandle,
    drain: Duration,
    background: Vec<actix_web::rt::task::JoinHandle<()>>,
    data_dir: PathBuf,
    /// Once it is announced.
    hangups: Option<Hangups>,
    // Let go of last: fields drop in order.
    lock: DataLock,
}

impl App {
    /// Starts everything inside an actix `System`: storage first, the server last.
    ///
    /// `source` reads the settings again when a reload is asked for. Errors: what is wrong and what to change;
    /// nothing is left running.
    pub async fn start(settings: Settings, source: SettingsSource) -> Result<Self, StartError> {
        settings.validate()?;
        check_keys(&settings)?;
        let listener = listen(&settings)?;
        let address = listener.local_addr().map_err(part)?;
        let data_dir = settings.storage.data_dir.clone();
        let lock = DataLock::acquire(&data_dir)?;
        let services = assembly::services(&settings, source).await?;
        if let Err(error) = evidence::finish_changes(&services).await {
            tracing::error!(%error, "an erasure or removal that was begun is not complete, will retry");
        }
        // A roster that is a collection can be read only now; that there is none yet is no reason not to start.
        if let Err(error) = tables::renew(&services, false).await {
            tracing::error!(%error, "tables not read, will retry");
        }
        let metrics = Arc::new(Metrics::new().map_err(part)?);
        let watched = Arc::clone(&metrics);
        let state = EdgeState {
            services: Arc::clone(&services),
            metrics,
            limits: EdgeLimits {
                max_body_bytes: settings.http.max_body_bytes,
                max_in_flight: settings.http.max_in_flight,
                max_lag: Duration::from_millis(settings.http.max_lag_ms),
                body_timeout: Duration::from_millis(settings.http.deadline_ms),
                max_uri_bytes: settings.http.max_uri_bytes,
            },
        };
        let telemetry = readings::telemetry(&settings.telemetry, &services)
            .map_err(|problem| setting("telemetry", problem))?;
        let http = &settings.http;
        let origins = Arc::new(Origins {
            allowed_hosts: http.allowed_hosts.clone(),
            cors: http.cors_origins.clone(),
            bind: address.ip(),
        });
        let spans: Option<Arc<dyn SpanSink>> = match &telemetry {
            Some(telemetry) => Some(Arc::clone(telemetry) as Arc<dyn SpanSink>),
            None => None,
        };
        let workers = match http.workers {
            0 => cores(),
            given => given,
        };
        let connections = Connections::new(workers * http.max_connections);
        let mut server = HttpServer::new(move || {
            WebApp::new()
                .wrap(Edge::new(state.clone(), Arc::clone(&origins)).telling(spans.clone()))
                .configure(|app| api::configure(app, &state))
        })
        .disable_signals()
        // Small pieces of a stream must not wait for the client's acknowledgement of the one before.
        .on_connect(move |connection, data| {
            data.insert(connections.enter());
            if let Some(socket) = connection.downcast_ref::<actix_web::rt::net::TcpStream>()
                && let Err(error) = socket.set_nodelay(true)
            {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
        })
        // Otherwise a client that has left is noticed only at the next write.
        .h1_allow_half_closed(false)
        .client_request_timeout(Duration::from_millis(http.header_timeout_ms))
        .keep_alive(Duration::from_millis(http.keep_alive_ms))
        // Those above the bound are accepted too, to be refused: they would wait for others to leave.
        .max_connections(2 * http.max_connections)
        .shutdown_timeout(http.drain_ms.div_ceil(1_000));
        server = server.workers(workers);
        let server = server.listen(listener).map_err(part)?.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let background = background::start(&services, watched, &settings);
        let drain = Duration::from_millis(settings.http.drain_ms);
        Ok(Self {
            address,
            services,
            telemetry,
            server: handle,
            drain,
            background,
            data_dir,
            hangups: None,
            lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a reload of the settings change the log's filter, too.
    pub fn with_log_filter(self, set: SetLogFilter) -> Self {
        self.services.reloading.set_log_filter(set);
        self
    }

    /// The key that lets who started this process in, where the folder has keys.
    ///
    /// Errors: the keys cannot be read; no randomness.
    pub fn owner_key(&self) -> Result<Option<String>, StartError> {
        self.services.keys.admit_owner().map_err(part)
    }

    /// Says in the log where it serves, and tells commands that find the data folder taken. Whoever hears that may send SIGHUP,
    /// which would be the process's end until it is listened for.
    pub fn announce(&mut self) {
        self.hangups = Some(Hangups::listen());
        tracing::info!(address = %self.address, data_dir = %self.data_dir.display(), "serving");
        if let Err(error) = self.lock.announce(self.address) {
            tracing::warn!(%error, "commands that are given this data folder will not find the server");
        }
    }

    /// Serves until a signal comes or the root supervisor gives up, then drains. A second signal cuts the drain short.
    /// SIGHUP reloads the settings. systemd is told of all of it.
    pub async fn run(mut self) -> Ending {
        let mut hangups = self.hangups.take().unwrap_or_else(Hangups::listen);
        let services = Arc::clone(&self.services);
        let watchdog = actix_web::rt::spawn(background::tell_watchdog(services));
        service_manager::ready(&format!("serving on {}", self.address));
        let ending = loop {
            tokio::select! {
                name = signal() => {
                    tracing::info!(signal = name, "draining; the same again ends at once");
                    break Ending::Asked;
                }
                () = self.services.tree.wait_exhausted() => break Ending::Exhausted,
                // Beside this loop, which must not miss the signals that come meanwhile.
                () = hangups.next() => {
                    let services = Arc::clone(&self.services);
                    actix_web::rt::spawn(reload::on_hangup(services, self.address));
                }
            }
        };
        service_manager::stopping();
        tokio::select! {
            () = self.stop() => {}
            _ = signal() => tracing::warn!("drain cut short"),
        }
        watchdog.abort();
        ending
    }

    /// Drains: the server first, then the cells in reverse order of their start.
    pub async fn stop(self) {
        for task in &self.background {
            task.abort();
        }
        self.server.stop(true).await;
        if let Err(error) = evidence::sync(&self.services).await {
            tracing::warn!(%error, "the journal could not be synced before stopping");
        }
        embed::save_cache(&self.services).await;
        let report = self.services.tree.drain(self.drain).await;
        if let Some(telemetry) = self.telemetry {
            telemetry.stop(self.drain).await;
        }
        if report.complete {
            tracing::info!("drained");
        } else {
            tracing::warn!(
                budget_ms = self.drain.as_millis(),
                "not everything stopped in time"
            );
        }
    }
}

/// Connections that may wait to be accepted. The standard library's 128 are fewer than a crowd of clients that comes at
/// once; who finds no place there tries again a second later, as the system does it.
const BACKLOG: u32 = 4_096;

fn listen(settings: &Settings) -> Result<TcpListener, StartError> {
    let ip = settings
        .http
        .address()
        .map_err(|problem| setting("http", problem))?;
    let address = SocketAddr::new(ip, settings.http.port);
    let listener = || {
        let socket = match ip {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // As the standard library does: a restart must not wait for the connections of the run before.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listener().map_err(|error: std::io::Error| StartError::Bind {
        address,
        reason: error.to_string(),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Reads a file that a setting names.
fn read_setting(section: &'static str, key: &str, path: &str) -> Result<String, StartError> {
    std::fs::read_to_string(path)
        .map_err(|error| setting(section, format!("{key} = {path:?} cannot be read: {error}")))
}

/// Reads what the settings of validation name, rosters, calendars and files of rules, and the API keys where they are needed.
///
/// Errors: as a start with these settings would end.
pub fn check(settings: &Settings) -> Result<(), StartError> {
    check_keys(settings)?;
    validation(settings).map(|_| ())
}

/// A server that other machines reach without a key would be theirs.
fn check_keys(settings: &Settings) -> Result<(), StartError> {
    let http = &settings.http;
    let address = http.address().map_err(|problem| setting("http", problem))?;
    if address.is_loopback() {
        return Ok(());
    }
    keys::check_reachable(&settings.storage.data_dir, &http.bind)
        .map_err(|error| setting("http", error))
}

fn validation(settings: &Settings) -> Result<(TablesState, Validators), StartError> {
    let tables = TablesState::load(&settings.validation.fill, now_ms())
        .map_err(|error| setting("validation", format_args!("fill: {error}")))?;
    let rules = rule_files::read(&settings.validation.custom.files)
        .map_err(|error| setting("validation", format!("custom.files: {error}")))?;
    let validators = Validators::with_rules(&settings.validation, tables.tables(), &rules)
        .map_err(|error| setting("validation", error))?;
    for (name, route) in &settings.chat.routes {
        for one in route.validation.iter().flat_map(|demand| &demand.kinds) {
            if !validators.names().any(|known| known == one.kind) {
                let known: Vec<&str> = validators.names().collect();
                let (kind, known) = (&one.kind, known.join(", "));
                return Err(setting(
                    "chat",
                    format!(
                        "routes.{name}.validation.kinds: unknown validator {kind:?}: known are {known}"
                    ),
                ));
            }
        }
    }
    Ok((tables, validators))
}
