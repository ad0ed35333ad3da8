//! Keeps the tables that validators look things up in as their sources are.

use super::error::{ServiceError, fault};
use super::{Services, collections, now_ms};
use crate::actors::tables::TablesJob;
use crate::types::error_kind::ErrorKind;
use crate::types::roster::{RosterRow, TableStatus};

/// How each table is.
pub fn status(services: &Services) -> Vec<TableStatus> {
    services.tables.status()
}

/// Serves `POST /v1/validators/reload`: reads all sources, changed or not.
///
/// Errors: what is wrong with one of them; its table stays as it was, the others are renewed.
pub async fn reload(services: &Services) -> Result<Vec<TableStatus>, ServiceError> {
    renew(services, true).await?;
    let status = status(services);
    match status.iter().find_map(|table| table.error.as_deref()) {
        Some(error) => Err(ServiceError::bad_request(format!(
            "{error}; what was read before counts on"
        ))
        .code("table_not_read")),
        None => Ok(status),
    }
}

/// Reads the sources that have changed, or all. What is wrong with one is in its status.
pub async fn renew(services: &Services, all: bool) -> Result<(), ServiceError> {
    let now_ms = now_ms();
    ask(services, TablesJob::Files { all, now_ms }).await?;
    let Some((name, seen)) = services.tables.collection() else {
        return Ok(());
    };
    if let Err(error) = take(services, &name, seen.filter(|_| !all)).await {
        services.tables.collection_failed(error.message);
    }
    Ok(())
}

async fn take(services: &Services, name: &str, seen: Option<u64>) -> Result<(), ServiceError> {
    let cell = services.collections.find(name).await?;
    // Asked before the points: what is written in between is taken, and read once more the next time.
    let info = collections::info_of(services, name, &cell).await?;
    // Another engine tells of no changes.
    if info.position().is_some_and(|lsn| seen == Some(lsn)) {
        return Ok(());
    }
    let view = cell.view(services.job_deadline()).await;
    let (_, rows) = view.map_err(|failed| fault(name, failed))?;
    let now_ms = now_ms();
    ask(
        services,
        TablesJob::Collection {
            rows,
            lsn: info.lsn,
            now_ms,
        },
    )
    .await
}

async fn ask(services: &Services, job: TablesJob) -> Result<(), ServiceError> {
    let asked = services.renew_tables.ask(job, services.job_deadline());
    match asked.await {
        Ok(_) => Ok(()),
        Err(failed) => Err(ServiceError::new(
            ErrorKind::Unavailable,
            failed.to_string(),
        )),
    }
}

/// Invents a roster; see the engine.
pub fn generate(rows: u32, seed: u64) -> impl Iterator<Item = RosterRow> {
    crate::engines::validation::generate(rows, seed)
}
