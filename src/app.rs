//! Puts the process together: the tree, the services, the server; and takes it apart in reverse.

pub mod doctor;
mod policies;
mod readings;
mod reload;
mod rule_files;
mod service_manager;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::net::TcpSocket;
use actix_web::{App as WebApp, HttpServer};
use supervisors::{
    BlackBox, ChildSpec, Deadline, Policy, SupervisorSpec, Tree, TreeError, TreeOptions,
};

use crate::actors::dataset::DatasetPaths;
use crate::actors::index::store::stores;
use crate::actors::index::{Collections, found_on_disk};
use crate::actors::tables::TablesState;
use crate::actors::{
    chat, dataset, embedding, evidence, imports, push, review, step, tables, validation,
};
use crate::api::{self, Connections, Edge, EdgeLimits, EdgeState, Metrics, Origins};
use crate::config::{ConfigError, Settings};
use crate::engines::chat::ResponseCache;
use crate::engines::dataset::{DEFAULT_RECIPE, Recipe};
use crate::engines::embedding::{Embedders, EmbeddingCache};
use crate::engines::upstream::KeyPlace;
use crate::engines::usage::Budgets;
use crate::engines::validation::Validators;
use crate::services::keys::Keys;
use crate::services::now_ms;
use crate::services::reload::{Reloading, SetLogFilter};
use crate::services::{
    Limits, ServiceError, Services, backup, collections, embed, evidence as evidence_service, keys,
    moves, push as push_service, reembed, refine, tables as tables_service, trends,
};
use crate::storage::data_lock::{DataLock, DataLockError};
use crate::storage::dataset_store::DatasetStore;
use crate::storage::replicas::Replicas;
use crate::telemetry::Telemetry;
use crate::types::trace::SpanSink;

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
        let services = build(&settings, source).await?;
        if let Err(error) = evidence_service::finish_changes(&services).await {
            tracing::error!(%error, "an erasure or removal that was begun is not complete, will retry");
        }
        // A roster that is a collection can be read only now; that there is none yet is no reason not to start.
        if let Err(error) = tables_service::renew(&services, false).await {
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
        let mut background = vec![
            actix_web::rt::spawn(sync_evidence(
                Arc::clone(&services),
                Duration::from_millis(settings.evidence.sync_interval_ms),
            )),
            actix_web::rt::spawn(retain_evidence(Arc::clone(&services))),
            actix_web::rt::spawn(maintain(
                Arc::clone(&services),
                Duration::from_millis(settings.storage.maintenance_ms),
            )),
            actix_web::rt::spawn(refresh_collections(
                Arc::clone(&services),
                Duration::from_millis(settings.backends.refresh_ms),
            )),
            actix_web::rt::spawn(refine_all(
                Arc::clone(&services),
                Duration::from_millis(settings.storage.maintenance_ms),
            )),
            actix_web::rt::spawn(reembed_all(Arc::clone(&services))),
            actix_web::rt::spawn(move_all(Arc::clone(&services))),
            actix_web::rt::spawn(watch_keys(Arc::clone(&services))),
            actix_web::rt::spawn(watch_trends(Arc::clone(&services), watched)),
        ];
        if settings.validation.fill.reload_ms > 0 {
            background.push(actix_web::rt::spawn(renew_tables(
                Arc::clone(&services),
                Duration::from_millis(settings.validation.fill.reload_ms),
            )));
        }
        if settings.embedding.cache_save_ms > 0 {
            background.push(actix_web::rt::spawn(save_cache(
                Arc::clone(&services),
                Duration::from_millis(settings.embedding.cache_save_ms),
            )));
        }
        let objects = &settings.object_storage;
        if !objects.url.is_empty() && objects.push_every_ms > 0 {
            background.push(actix_web::rt::spawn(push_all(
                Arc::clone(&services),
                Duration::from_millis(objects.push_every_ms),
            )));
        }
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
        let watchdog = actix_web::rt::spawn(tell_watchdog(services));
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
        if let Err(error) = evidence_service::sync(&self.services).await {
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

async fn build(settings: &Settings, source: SettingsSource) -> Result<Arc<Services>, StartError> {
    let data_dir = &settings.storage.data_dir;
    let policies = &settings.supervisors;
    let collections_dir = data_dir.join("collections");
    let datasets_dir = data_dir.join("datasets");
    for folder in [&collections_dir, &datasets_dir] {
        std::fs::create_dir_all(folder).map_err(part)?;
    }
    let pulled = settings.storage.models_dir();
    let embedders = Embedders::with_sources(&settings.embedding, Some(&pulled), key_of)
        .map_err(|error| setting("embedding", error))?;
    let (tables, validators) = validation(settings)?;
    let tables = Arc::new(tables);
    let validators = Arc::new(validators);
    let recipe = match &settings.dataset.recipe {
        Some(path) => read_setting("dataset", "recipe", path)?,
        None => DEFAULT_RECIPE.to_owned(),
    };
    Recipe::parse(&recipe).map_err(|error| setting("dataset", error))?;
    let datasets = DatasetStore::new(&datasets_dir);
    let paths = Arc::new(DatasetPaths {
        evidence: data_dir.join("evidence"),
        datasets: datasets_dir,
        replicas: Replicas::new(data_dir, &settings.object_storage.replica),
        progress: Arc::default(),
        recipe,
        threads: settings.dataset.threads(cores()),
        parquet: settings.dataset.parquet,
    });

    let budgets = Budgets::new(settings.chat.budgets.clone());
    let keys = Keys::open(data_dir, settings.http.always_needs_keys()).map_err(part)?;
    let bounded = keys.ring().names_with_tokens_bounded();
    let named = budgets.named().map(str::to_owned).chain(bounded).collect();
    let usage = evidence::Usage::new(Arc::new(named));
    let (evidence_child, journal) = evidence::child_spec(
        policies.child("evidence"),
        paths.evidence.clone(),
        settings.evidence.clone(),
        usage.clone(),
    );
    let cache = saved_cache(settings, &embedders);
    let (mut engine_children, embedding) = embedding::child_specs(
        policies.child("embedding"),
        &policies.child("provider"),
        &settings.embedding,
        &embedders,
        cache,
    );
    let (validation_child, validation) =
        validation::child_spec(policies.child("validation"), Arc::clone(&validators));
    engine_children.push(validation_child);
    let (tables_child, renew_tables) =
        tables::child_spec(policies.child("tables"), Arc::clone(&tables));
    engine_children.push(tables_child);
    let (imports_child, imports) = imports::child_spec(
        policies.child("imports"),
        paths.evidence.clone(),
        data_dir.join("imported.ids"),
    );
    let (review_child, review) = review::child_spec(
        policies.child("review"),
        paths.evidence.clone(),
        &paths.datasets,
    );
    let progress = Arc::clone(&paths.progress);
    let (dataset_child, dataset) = dataset::child_spec(policies.child("dataset"), paths);
    let (provider_children, dispatcher) =
        chat::child_specs(&policies.child("provider"), &settings.chat, key_of)
            .map_err(|error| setting("chat", error))?;
    let found = found_on_disk(
        &collections_dir,
        &policies.child("collection"),
        &settings.index,
    )
    .map_err(part)?;
    let stores = stores(&settings.backends, |name| std::env::var(name).ok())
        .map_err(|error| setting("backends", error))?;
    let (mut collection_children, mut cells) = (Vec::new(), std::collections::BTreeMap::new());
    for (name, child, cell) in found {
        collection_children.push(child);
        cells.insert(name, cell);
    }

    let objects = &settings.object_storage;
    let push_paths = Arc::new(push::PushPaths {
        data_dir: data_dir.clone(),
        evidence: data_dir.join("evidence"),
        datasets: datasets.clone(),
        replicas: Replicas::new(data_dir, &objects.replica),
        url: objects.url.clone(),
        with_evidence: objects.evidence,
        with_datasets: objects.datasets,
        movement: Arc::default(),
    });
    let (push_child, push) = push::child_spec(policies.child("push"), Arc::clone(&push_paths));
    let push = push_service::Pushing::new(
        push,
        Arc::clone(&push_paths.movement),
        (
            push_paths.replicas.clone(),
            objects.url.clone(),
            objects.evidence,
        ),
    );

    let known: Arc<OnceLock<Weak<Services>>> = Arc::default();
    let (refine_child, refine) = step::child_spec(
        "refine",
        policies.child("refine"),
        step_of(Arc::clone(&known), async |services| {
            refine::step(&services).await
        }),
    );
    let (reembed_child, reembed) = step::child_spec(
        "reembed",
        policies.child("reembed"),
        step_of(Arc::clone(&known), async |services| {
            reembed::step(&services).await
        }),
    );

    let (moves_child, moves) = step::child_spec(
        "moves",
        policies.child("moves"),
        step_of(Arc::clone(&known), async |services| {
            moves::step(&services).await
        }),
    );

    let group = |name: &str, children: Vec<ChildSpec>| {
        let policy: Policy = policies.group(name);
        let spec = SupervisorSpec::new(name, policy);
        ChildSpec::supervisor(children.into_iter().fold(spec, SupervisorSpec::child))
    };
    let root = SupervisorSpec::new("root", policies.group("root"))
        .child(group("storage", vec![evidence_child]))
        .child(group("engines", engine_children))
        .child(group("collections", collection_children))
        .child(group("chat", provider_children))
        .child(group(
            "datasets",
            vec![
                dataset_child,
                imports_child,
                review_child,
                refine_child,
                reembed_child,
                moves_child,
                push_child,
            ],
        ));
    let options = TreeOptions {
        seed: jitter_seed(),
        black_box: black_box(settings),
    };
    let tree = Tree::start_with(root, options).await?;
    let supervisor = tree
        .supervisor("collections")
        .ok_or_else(|| part("the collections supervisor is missing"))?;
    let collections = Collections::new(
        collections_dir,
        policies.child("collection"),
        settings.index.clone(),
        supervisor,
        cells,
        stores,
    );
    match collections.refresh().await {
        Ok(()) => {
            // What went over just before the end of the last run is known after that.
            let soon = Deadline::after(Duration::from_millis(settings.http.deadline_ms));
            collections.go_on_with_moves(soon).await;
            if let Err(error) = collections.refresh().await {
                tracing::warn!(%error, "not all collections are known yet");
            }
        }
        Err(error) => tracing::warn!(%error, "not all collections are known yet"),
    }
    let services = Arc::new(Services {
        tree,
        embedders: Arc::new(embedders),
        validators,
        tables,
        renew_tables,
        embedding,
        validation,
        journal,
        usage,
        kept: ResponseCache::new(&settings.chat.cache),
        budgets,
        keys,
        trends: trends::Trends::default(),
        dataset,
        datasets,
        progress,
        imports,
        importing: tokio::sync::Mutex::default(),
        review,
        collections,
        refine,
        reembed,
        moves,
        reembedding: tokio::sync::Notify::new(),
        chat: dispatcher,
        push,
        reloading: Reloading::new(
            reload::source(source, settings),
            reload::flat(settings).map_err(part)?,
        ),
        backups: backup::Backups::new(data_dir.clone()),
        limits: Limits {
            deadline_ms: settings.http.deadline_ms,
            max_wait: Duration::from_millis(settings.http.max_wait_ms),
            job_deadline_ms: settings.dataset.job_deadline_ms,
            cache_threshold: settings.chat.cache.threshold,
            max_record_bytes: settings.evidence.max_record_bytes,
            iterate: settings.validation.iterate.clone(),
            backend: settings.backends.default,
            allow_crash: policies.allow_crash,
        },
    });
    // Set once, here.
    let _ = known.set(Arc::downgrade(&services));
    Ok(services)
}

/// Reads an upstream's key. One that is missing fails the requests that need it, not the start.
fn key_of(place: KeyPlace) -> Option<String> {
    match place {
        KeyPlace::Variable(name) => std::env::var(name).ok(),
        KeyPlace::File(path) => std::fs::read_to_string(path)
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "an upstream's key cannot be read");
            })
            .ok(),
    }
}

/// A step of a job, for a cell that is started before the services stand.
fn step_of(
    known: Arc<OnceLock<Weak<Services>>>,
    step: impl AsyncFn(Arc<Services>) -> Result<usize, ServiceError> + Copy + Send + Sync + 'static,
) -> step::Step {
    Arc::new(move || {
        let services = known.get().and_then(Weak::upgrade);
        Box::pin(async move {
            let Some(services) = services else {
                return Ok(0);
            };
            let done = step(services).await;
            done.map_err(|error| error.logged().to_owned())
        })
    })
}

/// The cache with what the last run left. It only saves work: a damaged file is no reason not to start.
fn saved_cache(settings: &Settings, embedders: &Embedders) -> embedding::SavedCache {
    let config = &settings.embedding;
    let keep = config.cache_save_ms > 0 && config.cache_bytes > 0;
    let file = keep.then(|| settings.storage.data_dir.join("embedding-cache.bin"));
    let cache = embedding::SavedCache::new(EmbeddingCache::new(config.cache_bytes), file);
    match cache.load(embedders) {
        Ok(0) => {}
        Ok(texts) => tracing::info!(texts, "the embedding cache is warm"),
        Err(error) => tracing::warn!(%error, "the embedding cache starts empty"),
    }
    cache
}

/// The file that tells, after an abort, what was running. The process serves without it as well.
fn black_box(settings: &Settings) -> Option<BlackBox> {
    if !settings.supervisors.black_box {
        return None;
    }
    let path = settings.storage.data_dir.join("black-box");
    match BlackBox::open(&path) {
        Ok((black_box, suspects)) => {
            for suspect in suspects {
                tracing::warn!(
                    cell = suspect.cell,
                    request = %suspect.digest,
                    times = suspect.times,
                    "this request was running when the process last died"
                );
            }
            Some(black_box)
        }
        Err(error) => {
            tracing::warn!(%error, "no black box: an abort will not name its request");
            None
        }
    }
}

/// Differs between processes, so that replicas do not retry in step.
fn jitter_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

async fn tell_watchdog(services: Arc<Services>) {
    let Some(every) = service_manager::watchdog_every() else {
        return;
    };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        service_manager::alive(&services);
    }
}

/// How often old evidence is looked for.
const RETENTION: Duration = Duration::from_secs(600);

/// Removes what the settings do not want to be kept any longer.
async fn retain_evidence(services: Arc<Services>) {
    let mut ticks = tokio::time::interval(RETENTION);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = evidence_service::retain(&services).await {
            tracing::warn!(%error, "old evidence could not be removed, will retry");
        }
    }
}

/// Bounds what a power cut can take from the journal when `evidence.ack = "written"`.
async fn sync_evidence(services: Arc<Services>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = evidence_service::sync(&services).await {
            tracing::warn!(%error, "the journal could not be synced, will retry");
        }
    }
}

/// Notes what the counters say, for the console's charts.
async fn watch_trends(services: Arc<Services>, metrics: Arc<Metrics>) {
    let mut ticks = tokio::time::interval(trends::EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        trends::sample(&services, metrics.traffic());
    }
}

async fn save_cache(services: Arc<Services>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        embed::save_cache(&services).await;
    }
}

/// Sends what is new to object storage. Not at once: a command that opens the folder for a moment is no replica that serves.
async fn push_all(services: Arc<Services>, every: Duration) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        push_service::push_again(&services).await;
    }
}

async fn renew_tables(services: Arc<Services>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = tables_service::renew(&services, false).await {
            tracing::warn!(%error, "tables not looked at, will retry");
        }
    }
}

async fn maintain(services: Arc<Services>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        collections::maintain(&services).await;
    }
}

async fn refresh_collections(services: Arc<Services>, every: Duration) {
    if !services.collections.are_elsewhere() {
        return;
    }
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match services.collections.refresh().await {
            Ok(()) => {
                failing = false;
                moves::go_on(&services).await;
            }
            // Said once: each request that needs it is told.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "what it keeps is served as it was last known");
            }
            Err(_) => {}
        }
    }
}

async fn refine_all(services: Arc<Services>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        refine::run(&services).await;
    }
}

/// How often the file of keys is looked at: how long a revoked key may go on.
const KEYS: Duration = Duration::from_millis(500);

async fn watch_keys(services: Arc<Services>) {
    let mut ticks = tokio::time::interval(KEYS);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        ticks.tick().await;
        match services.keys.refresh() {
            Ok(true) => tracing::info!("the API keys changed"),
            Ok(false) => {}
            Err(error) if !told => {
                tracing::error!(%error, "API keys not read, those before hold on; will retry");
                told = true;
                continue;
            }
            Err(_) => continue,
        }
        told = false;
    }
}

async fn reembed_all(services: Arc<Services>) {
    collections::tell_outdated(&services).await;
    loop {
        services.reembedding.notified().await;
        reembed::run(&services).await;
    }
}

async fn move_all(services: Arc<Services>) {
    loop {
        moves::run(&services).await;
    }
}

/// SIGHUPs as they come; none where the system has no such signal.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self {
                signal: signal(SignalKind::hangup()).ok(),
            }
        }
        #[cfg(not(unix))]
        Self {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// Waits for Ctrl-C or SIGTERM; returns its name.
async fn signal() -> &'static str {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = tokio::signal::ctrl_c() => "interrupt",
                _ = terminate.recv() => "terminate",
            };
        }
    }
    let _ = tokio::signal::ctrl_c().await;
    "interrupt"
}
