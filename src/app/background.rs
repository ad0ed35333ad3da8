//! What the process does by the clock, beside what it is asked for.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::{spawn, task::JoinHandle};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::service_manager;
use crate::api::Metrics;
use crate::config::Settings;
use crate::services::{
    Services, collections, embed, evidence, moves, push, reembed, refine, tables, trends,
};

/// Starts all of it, as the settings want it.
pub(super) fn start(
    services: &Arc<Services>,
    metrics: Arc<Metrics>,
    settings: &Settings,
) -> Vec<JoinHandle<()>> {
    let own = || Arc::clone(services);
    let millis = Duration::from_millis;
    let maintenance = millis(settings.storage.maintenance_ms);
    let mut started = vec![
        spawn(sync_evidence(
            own(),
            millis(settings.evidence.sync_interval_ms),
        )),
        spawn(retain_evidence(own())),
        spawn(maintain(own(), maintenance)),
        spawn(refresh_collections(
            own(),
            millis(settings.backends.refresh_ms),
        )),
        spawn(refine_all(own(), maintenance)),
        spawn(reembed_all(own())),
        spawn(move_all(own())),
        spawn(watch_keys(own())),
        spawn(watch_trends(own(), metrics)),
    ];
    let tables_ms = settings.validation.fill.reload_ms;
    if tables_ms > 0 {
        started.push(spawn(renew_tables(own(), millis(tables_ms))));
    }
    let cache_ms = settings.embedding.cache_save_ms;
    if cache_ms > 0 {
        started.push(spawn(save_cache(own(), millis(cache_ms))));
    }
    let objects = &settings.object_storage;
    if !objects.url.is_empty() && objects.push_every_ms > 0 {
        started.push(spawn(push_all(own(), millis(objects.push_every_ms))));
    }
    started
}

/// Those that were missed are not caught up on. The first is at once.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

pub(super) async fn tell_watchdog(services: Arc<Services>) {
    let Some(every) = service_manager::watchdog_every() else {
        return;
    };
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        service_manager::alive(&services);
    }
}

/// How often old evidence is looked for.
const RETENTION: Duration = Duration::from_secs(600);

/// Removes what the settings do not want to be kept any longer.
async fn retain_evidence(services: Arc<Services>) {
    let mut ticks = ticks(RETENTION);
    loop {
        ticks.tick().await;
        if let Err(error) = evidence::retain(&services).await {
            tracing::warn!(%error, "old evidence could not be removed, will retry");
        }
    }
}

/// Bounds what a power cut can take from the journal when `evidence.ack = "written"`.
async fn sync_evidence(services: Arc<Services>, every: Duration) {
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        if let Err(error) = evidence::sync(&services).await {
            tracing::warn!(%error, "the journal could not be synced, will retry");
        }
    }
}

/// Notes what the counters say, for the console's charts.
async fn watch_trends(services: Arc<Services>, metrics: Arc<Metrics>) {
    let mut ticks = ticks(trends::EVERY);
    loop {
        ticks.tick().await;
        trends::sample(&services, metrics.traffic());
    }
}

async fn save_cache(services: Arc<Services>, every: Duration) {
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        embed::save_cache(&services).await;
    }
}

/// Sends what is new to object storage. Not at once: a command that opens the folder for a moment is no replica that serves.
async fn push_all(services: Arc<Services>, every: Duration) {
    let mut ticks = ticks(every);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        push::push_again(&services).await;
    }
}

async fn renew_tables(services: Arc<Services>, every: Duration) {
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        if let Err(error) = tables::renew(&services, false).await {
            tracing::warn!(%error, "tables not looked at, will retry");
        }
    }
}

async fn maintain(services: Arc<Services>, every: Duration) {
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        collections::maintain(&services).await;
    }
}

async fn refresh_collections(services: Arc<Services>, every: Duration) {
    if !services.collections.are_elsewhere() {
        return;
    }
    let mut ticks = ticks(every);
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
    let mut ticks = ticks(every);
    loop {
        ticks.tick().await;
        refine::run(&services).await;
    }
}

/// How often the file of keys is looked at: how long a revoked key may go on.
const KEYS: Duration = Duration::from_millis(500);

async fn watch_keys(services: Arc<Services>) {
    let mut ticks = ticks(KEYS);
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
