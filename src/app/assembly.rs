//! The parts, put together: what the settings name, the tree of cells, and the services over it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use supervisors::{BlackBox, ChildSpec, Deadline, Policy, SupervisorSpec, Tree, TreeOptions};

use super::{SettingsSource, StartError, cores, part, read_setting, reload, setting, validation};
use crate::actors::dataset::DatasetPaths;
use crate::actors::index::store::stores;
use crate::actors::index::{Collections, found_on_disk};
use crate::actors::{
    chat, dataset, embedding, evidence, imports, push, review, step, tables, validation as judging,
};
use crate::config::Settings;
use crate::engines::chat::ResponseCache;
use crate::engines::dataset::{DEFAULT_RECIPE, Recipe};
use crate::engines::embedding::{Embedders, EmbeddingCache};
use crate::engines::upstream::KeyPlace;
use crate::engines::usage::Budgets;
use crate::services::keys::Keys;
use crate::services::push::Pushing;
use crate::services::reload::Reloading;
use crate::services::{Limits, ServiceError, Services, backup, moves, reembed, refine, trends};
use crate::storage::dataset_store::DatasetStore;
use crate::storage::replicas::Replicas;

/// Reads what the settings name, starts the tree, and gives out what serves over it.
///
/// Errors: what is wrong and what to change; nothing is left running.
pub(super) async fn services(
    settings: &Settings,
    source: SettingsSource,
) -> Result<Arc<Services>, StartError> {
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
        judging::child_spec(policies.child("validation"), Arc::clone(&validators));
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
    let push = Pushing::new(
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
pub(super) fn key_of(place: KeyPlace) -> Option<String> {
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
