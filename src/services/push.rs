//! Evidence and datasets to object storage, and the journals of other replicas from it.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use supervisors::CellRef;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::{Services, evidence, now_ms};
use crate::actors::push::{Movement, PushReply, PushRequest, PushWorker};
pub use crate::actors::push::{PullReport, PulledReplica, PushReport};
use crate::storage::replicas::Replicas;
use crate::types::error_kind::ErrorKind;

/// What pushes, and what became of it.
pub struct Pushing {
    cell: CellRef<PushWorker>,
    movement: Arc<Movement>,
    replicas: Replicas,
    url: String,
    with_evidence: bool,
    /// One at a time.
    turn: Mutex<()>,
    /// Who holds it may rely on the journals of other replicas staying as they are.
    pub(super) journals: Mutex<()>,
    tally: StdMutex<PushTally>,
}

/// What became of all pushes since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushTally {
    /// Pushes that ended well.
    pub pushes: u64,
    /// Pushes that failed.
    pub failures: u64,
    /// Objects that they wrote.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// When the last one ended well, Unix milliseconds; absent when none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
    /// What the last one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<PushReport>,
    /// Why the last one failed; absent when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Pushing {
    /// Of this cell and what it is told.
    pub fn new(
        cell: CellRef<PushWorker>,
        movement: Arc<Movement>,
        (replicas, url, with_evidence): (Replicas, String, bool),
    ) -> Self {
        Self {
            cell,
            movement,
            replicas,
            url,
            with_evidence,
            turn: Mutex::default(),
            journals: Mutex::default(),
            tally: StdMutex::default(),
        }
    }

    /// What became of all pushes since the start; `None` where there is no object storage.
    pub(super) fn tally(&self) -> Option<PushTally> {
        (!self.url.is_empty()).then(|| self.lock().clone())
    }

    /// Every change leaves it whole.
    fn lock(&self) -> MutexGuard<'_, PushTally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request to `POST /v1/push`.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushInput {
    /// Also over what another data folder pushed by the same name: its evidence there is lost.
    #[serde(default)]
    pub take_over: bool,
}

/// Serves `POST /v1/push`: sends what is new.
///
/// Errors: no object storage is set; another push or pull is under way; it cannot be reached; another journal has the name.
pub async fn push(services: &Services, input: PushInput) -> Result<PushReport, ServiceError> {
    let pushing = &services.push;
    let _turn = pushing.turn.try_lock().map_err(|_| under_way())?;
    let pushed = send(services, input).await;
    let mut tally = pushing.lock();
    match &pushed {
        Ok(report) => {
            tally.pushes += 1;
            tally.sent += report.sent;
            tally.sent_bytes += report.sent_bytes;
            tally.last_ms = Some(now_ms());
            tally.last = Some(report.clone());
            tally.error = None;
        }
        Err(error) => {
            tally.failures += 1;
            tally.error = Some(error.message.clone());
        }
    }
    pushed
}

async fn send(services: &Services, input: PushInput) -> Result<PushReport, ServiceError> {
    let pushing = &services.push;
    if pushing.with_evidence && !pushing.url.is_empty() {
        // What a power cut could take is not sent: a journal that was cut could not go on from it.
        evidence::sync(services).await?;
    }
    let [a, b, c, d, ..] = now_random();
    let request = PushRequest::Push {
        take_over: input.take_over,
        now_ms: now_ms(),
        random: [a, b, c, d],
    };
    match ask(services, request).await? {
        PushReply::Pushed(report) => Ok(report),
        PushReply::Pulled(_) => Err(other()),
    }
}

/// Pushes what is new because it is time to, and warns when that fails.
pub async fn push_again(services: &Services) {
    match push(services, PushInput::default()).await {
        Ok(report) if report.sent + report.deleted > 0 => {
            let PushReport {
                sent,
                sent_bytes,
                deleted,
                ..
            } = report;
            tracing::info!(sent, sent_bytes, deleted, "pushed to object storage");
        }
        Ok(_) => {}
        // One that was asked for is under way.
        Err(error) if error.kind == ErrorKind::Conflict && error.code == Some(UNDER_WAY) => {}
        Err(error) => tracing::warn!(%error, "not pushed to object storage, will retry"),
    }
}

/// Serves `POST /v1/pull`: fetches the journals of other replicas, for the next materialization.
///
/// Errors: as for [`push`]; nobody has pushed yet.
pub async fn pull(services: &Services) -> Result<PullReport, ServiceError> {
    let _turn = services.push.turn.try_lock().map_err(|_| under_way())?;
    let _journals = services.push.journals.lock().await;
    match ask(services, PushRequest::Pull).await? {
        PushReply::Pulled(report) => Ok(report),
        PushReply::Pushed(_) => Err(other()),
    }
}

/// How object storage is doing, as `GET /v1/push` tells.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PushStatus {
    /// Where to; empty when there is no object storage.
    #[schema(example = "s3://bucket/prefix")]
    pub url: String,
    /// This replica's name; null before it was needed.
    #[schema(example = "house-1")]
    pub replica: Option<String>,
    /// What is under way.
    pub under_way: Option<PushUnderWay>,
    /// Since the start.
    #[serde(flatten)]
    pub tally: PushTally,
    /// Replicas whose journals were pulled, and are part of the next materialization.
    pub pulled: Vec<String>,
}

/// How far a push or a pull is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PushUnderWay {
    /// `push` or `pull`.
    #[schema(example = "push")]
    pub job: String,
    /// Bytes that were moved.
    pub done: u64,
    /// All of them, as far as that is known.
    pub of: u64,
    /// Whether it was told to stop.
    pub cancelled: bool,
}

/// Serves `GET /v1/push`.
///
/// Errors: the disk.
pub fn status(services: &Services) -> Result<PushStatus, ServiceError> {
    let pushing = &services.push;
    let moving = pushing.movement.moving();
    Ok(PushStatus {
        url: pushing.url.clone(),
        replica: pushing.replicas.name(),
        under_way: moving.map(|moving| PushUnderWay {
            job: moving.job.to_owned(),
            done: moving.done,
            of: moving.of,
            cancelled: moving.cancelled,
        }),
        tally: pushing.lock().clone(),
        pulled: pushing.replicas.pulled()?,
    })
}

/// Serves `DELETE /v1/push`: what is under way ends as soon as it looks. What was sent until then is there.
///
/// Errors: nothing is under way.
pub fn cancel(services: &Services) -> Result<PushStatus, ServiceError> {
    if services.push.movement.cancel() {
        return status(services);
    }
    let message = "neither a push nor a pull is under way";
    Err(ServiceError::new(ErrorKind::NotFound, message))
}

async fn ask(services: &Services, request: PushRequest) -> Result<PushReply, ServiceError> {
    let asked = services.push.cell.ask(request, services.job_deadline());
    asked.await.map_err(|failed| fault("push", failed))
}

const UNDER_WAY: &str = "push_under_way";

fn under_way() -> ServiceError {
    let message = "another push or pull is under way; wait until it ends";
    ServiceError::new(ErrorKind::Conflict, message).code(UNDER_WAY)
}

fn other() -> ServiceError {
    ServiceError::new(
        ErrorKind::Internal,
        "the push cell answered another request",
    )
}

/// Bytes that another data folder does not have.
fn now_random() -> [u8; 8] {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish().to_le_bytes()
}
