//! Collections that go over to another backend.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Services;
use super::error::ServiceError;
pub use crate::actors::index::moving::{MoveInfo, MoveState};
use crate::types::collection::Backend;
use crate::types::error_kind::ErrorKind;

/// Wait before a step that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A request to `POST /v1/collections/{name}/move`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveInput {
    /// The backend that is to keep the collection: `hnsw`, this process, or one that the settings name.
    #[schema(example = "qdrant")]
    pub to: Backend,
}

/// How a collection's last move is, since the start of the server.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoveOutput {
    /// The collection.
    pub collection: String,
    /// The move; `None`: there was none.
    #[serde(flatten)]
    pub info: Option<MoveInfo>,
}

/// Begins to bring a collection over to another backend, in the background; it serves meanwhile.
///
/// Errors: one that is under way, or makes no sense; a backend that is not set up or cannot be asked.
pub async fn begin(
    services: &Services,
    name: &str,
    input: MoveInput,
) -> Result<MoveOutput, ServiceError> {
    let begun = services
        .collections
        .begin_move(name, input.to, services.deadline())
        .await?;
    Ok(output(name, Some(begun)))
}

/// How a collection's last move is.
pub async fn get(services: &Services, name: &str) -> Result<MoveOutput, ServiceError> {
    services.collections.find(name).await?;
    Ok(output(name, services.collections.move_info(name)))
}

/// Ends a collection's move, if there is one, and leaves the collection as it was.
pub async fn cancel(services: &Services, name: &str) -> Result<MoveOutput, ServiceError> {
    services.collections.find(name).await?;
    Ok(output(name, services.collections.cancel_move(name).await))
}

fn output(name: &str, info: Option<MoveInfo>) -> MoveOutput {
    MoveOutput {
        collection: name.to_owned(),
        info,
    }
}

/// Takes a step of each move. Returns how many are under way.
///
/// Errors: the first that more time may mend; the others had their turn.
pub async fn step(services: &Services) -> Result<usize, ServiceError> {
    let stepped = services
        .collections
        .step_moves(services.job_deadline())
        .await;
    stepped.map_err(|why| ServiceError::new(ErrorKind::Unavailable, why))
}

/// Goes on with moves that were under way when the process ended.
pub async fn go_on(services: &Services) {
    services
        .collections
        .go_on_with_moves(services.deadline())
        .await;
}

/// Lets the job take steps until nothing is under way.
pub async fn run(services: &Services) {
    services.collections.move_begins().await;
    loop {
        match services.moves.ask((), services.job_deadline()).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "a collection waits to be moved, will retry");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
