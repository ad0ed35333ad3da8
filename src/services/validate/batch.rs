//! Several validations in one request.

use futures_util::stream::{StreamExt as _, iter};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{ValidateInput, ValidateOutput, judge};
use crate::services::error::ServiceError;
use crate::services::{Asker, Services};
use crate::types::plain::plain;

/// Most items of one request.
const MAX_ITEMS: usize = 1_000;
/// Items of one request that are with the cell at a time: more than it has workers, far less than its queue.
const AT_ONCE: usize = 16;

/// Several validations in one request to `POST /v1/validate`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateBatchInput {
    /// 1 to 1,000 bodies of single validations.
    #[schema(value_type = Vec<ValidateInput>, min_items = 1, max_items = 1000)]
    pub items: Vec<Value>,
}

/// Serves `POST /v1/validate` with `items`: each is judged, or fails, by itself, in the order given. Each comes with
/// its own id.
pub async fn validate_all(
    services: &Services,
    asker: &Asker,
    input: ValidateBatchInput,
) -> Result<Vec<(String, Result<ValidateOutput, ServiceError>)>, ServiceError> {
    let count = input.items.len();
    if !(1..=MAX_ITEMS).contains(&count) {
        let message = format!("items must be 1 to {MAX_ITEMS}, got {count}");
        return Err(ServiceError::bad_request(message).param("items"));
    }
    let deadline = services.deadline();
    let judging = input.items.into_iter().enumerate().map(async |(at, item)| {
        let part = asker.part(at);
        let id = part.request_id.clone();
        let judged = match read(item) {
            Ok(input) => judge(services, part, input, deadline).await,
            Err(error) => Err(error),
        };
        (id, judged)
    });
    Ok(iter(judging).buffered(AT_ONCE).collect().await)
}

fn read(item: Value) -> Result<ValidateInput, ServiceError> {
    if !item.is_object() {
        return Err(ServiceError::bad_request("an item must be a JSON object"));
    }
    serde_json::from_value(item).map_err(|error| {
        let message: String = plain(&error.to_string()).chars().take(500).collect();
        ServiceError::bad_request(message)
    })
}
