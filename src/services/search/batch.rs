//! Several searches in one request, over one and the same content.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Prepared, SearchInput, SearchOutput, Told, prepare, told_of};
use crate::services::error::{ServiceError, fault};
use crate::services::{Asker, Services};
use crate::types::error_kind::ErrorKind;

/// Most searches of one request: a write waits until they are answered.
const MAX_SEARCHES: usize = 100;

/// A request to `POST /v1/collections/{name}/search/batch`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchInput {
    /// 1 to 100 bodies of `POST /v1/collections/{name}/search`.
    #[schema(value_type = Vec<SearchInput>, min_items = 1, max_items = 100)]
    pub searches: Vec<Value>,
}

/// Serves `POST /v1/collections/{name}/search/batch`: each search is answered, or fails, by itself, in the
/// order given.
pub async fn search_all(
    services: &Services,
    asker: &Asker,
    name: &str,
    input: BatchInput,
) -> Result<Vec<Result<SearchOutput, ServiceError>>, ServiceError> {
    let cell = services.collections.find(name).await?;
    let count = input.searches.len();
    if !(1..=MAX_SEARCHES).contains(&count) {
        let message = format!("searches must be 1 to {MAX_SEARCHES}, got {count}");
        return Err(ServiceError::bad_request(message).param("searches"));
    }
    // At the same time, so that their texts are embedded together.
    let preparing = input.searches.into_iter().enumerate().map(|(at, search)| {
        let part = asker.part(at);
        Box::pin(ready(services, part, name, search))
    });
    let mut requests = Vec::with_capacity(count);
    let mut rest = Vec::with_capacity(count);
    for ready in join_all(preparing).await {
        rest.push(ready.map(|(told, prepared)| {
            let mode = prepared.request.mode.as_str();
            requests.push(prepared.request);
            (told, mode, prepared.not_refined)
        }));
    }
    let found = match requests.is_empty() {
        true => Vec::new(),
        false => cell
            .search_all(requests, services.deadline())
            .await
            .map_err(|failed| fault(name, failed))?,
    };
    let mut found = found.into_iter();
    let mut answers = Vec::with_capacity(count);
    for ready in rest {
        let answer = match ready {
            Err(error) => Err(error),
            Ok((told, mode, not_refined)) => match found.next() {
                Some(Ok(found)) => {
                    let found = told_of(found, not_refined);
                    told.answer(services, name, mode, found).await
                }
                Some(Err(error)) => Err(error.into()),
                // The cell gives one result for each request.
                None => Err(ServiceError::new(
                    ErrorKind::Internal,
                    "the search was not answered",
                )),
            },
        };
        answers.push(answer);
    }
    Ok(answers)
}

async fn ready(
    services: &Services,
    asker: Asker,
    name: &str,
    search: Value,
) -> Result<(Told, Prepared), ServiceError> {
    let input: SearchInput = serde_json::from_value(search)
        .map_err(|error| ServiceError::bad_request(error.to_string()).code("invalid_json"))?;
    let told = Told::of(asker, &input);
    let prepared = prepare(services, name, input, told.asker.trace.as_ref()).await?;
    Ok((told, prepared))
}
