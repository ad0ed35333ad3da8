//! Collections embedded anew, with the present weights of their model or with another model.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ServiceError, fault};
use super::turns::turns;
use super::{Services, collections, embed};
use crate::actors::index::collection::{ReembedBatch, ReembedTarget};
pub use crate::actors::index::collection::{ReembedInfo, ReembedState};
use crate::actors::index::{IndexCell, ReembedReply, ReembedRequest};
use crate::engines::embedding::Model;
use crate::types::error_kind::ErrorKind;

/// Texts in one step.
const STEP_TEXTS: usize = 64;
/// Wait before a step that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A request to `POST /v1/collections/{name}/reembed`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReembedInput {
    /// The model that the collection is to have; left out: the one it has, as it is now.
    #[schema(example = "static-minilm")]
    pub embedder: Option<String>,
}

/// How a collection's last run is, since the start of the server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReembedOutput {
    /// The collection.
    pub collection: String,
    /// The run; `None`: there was none.
    #[serde(flatten)]
    pub info: Option<ReembedInfo>,
}

/// Begins to embed a collection anew, in the background.
///
/// Errors: points without a text; a run that is under way. Then nothing is changed.
pub async fn begin(
    services: &Services,
    name: &str,
    input: ReembedInput,
) -> Result<ReembedOutput, ServiceError> {
    let cell = services.collections.find(name).await?;
    let spec = collections::spec_of(services, name, &cell).await?;
    let Some(model) = input.embedder.or_else(|| spec.embedder.clone()) else {
        return Err(ServiceError::bad_request(format!(
            "collection {name} has no embedder: say which one it is to have"
        ))
        .param("embedder"));
    };
    let model = services
        .embedders
        .resolve(&model)
        .map_err(|error| ServiceError::from(error).param("embedder"))?;
    let info = embed::info(services, &model).await?;
    let target = ReembedTarget {
        embedder: info.name.clone(),
        fingerprint: info.fingerprint.clone(),
        dim: info.dim,
    };
    let begun = ask(services, name, &cell, ReembedRequest::Begin(target)).await?;
    services.reembedding.notify_one();
    Ok(output(name, begun))
}

/// How a collection's last run is.
pub async fn get(services: &Services, name: &str) -> Result<ReembedOutput, ServiceError> {
    let cell = services.collections.find(name).await?;
    Ok(ReembedOutput {
        collection: name.to_owned(),
        info: collections::info_of(services, name, &cell)
            .await?
            .reembedding,
    })
}

/// Ends a collection's run, if there is one, and leaves the collection as it was.
pub async fn cancel(services: &Services, name: &str) -> Result<ReembedOutput, ServiceError> {
    let cell = services.collections.find(name).await?;
    let cancelled = ask(services, name, &cell, ReembedRequest::Cancel).await?;
    Ok(output(name, cancelled))
}

fn output(name: &str, reply: ReembedReply) -> ReembedOutput {
    ReembedOutput {
        collection: name.to_owned(),
        info: match reply {
            ReembedReply::Info(info) => info,
            _ => None,
        },
    }
}

/// Embeds the next few points of each collection under way. Returns how many collections there are: with 0 nothing is
/// under way any more.
///
/// Errors: the first that more time may mend; the other collections had their turn.
pub async fn step(services: &Services) -> Result<usize, ServiceError> {
    turns(services, async |name, cell| {
        collection(services, name, cell).await.map(usize::from)
    })
    .await
}

/// Takes one step of one collection. `false`: nothing is under way there.
async fn collection(
    services: &Services,
    name: &str,
    cell: &IndexCell,
) -> Result<bool, ServiceError> {
    let request = ReembedRequest::Batch(STEP_TEXTS);
    let ReembedReply::Batch(Some(batch)) = ask(services, name, cell, request).await? else {
        return Ok(false);
    };
    let run = batch.run;
    let next = match next(services, batch).await {
        Ok(next) => next,
        Err(error) if error.kind.is_the_callers() => {
            tracing::warn!(
                collection = name,
                error = error.logged(),
                "not embedded anew; nothing was changed"
            );
            ReembedRequest::Fail(run, error.message)
        }
        Err(error) => {
            let wait = ReembedRequest::Wait(run, error.message.clone());
            ask(services, name, cell, wait).await?;
            return Err(error);
        }
    };
    let finishes = matches!(next, ReembedRequest::Finish(_));
    let answer = match ask(services, name, cell, next).await {
        Err(error) if error.kind.is_the_callers() => {
            // Vectors that the collection cannot have: another try brings the same.
            let fail = ReembedRequest::Fail(run, error.message);
            ask(services, name, cell, fail).await?;
            return Ok(true);
        }
        answer => answer?,
    };
    match (answer, finishes) {
        (ReembedReply::Done(true), true) => {
            tracing::info!(collection = name, "embedded anew");
            Ok(true)
        }
        (ReembedReply::Done(false), _) => {
            let why = "waits for the end of the collection's maintenance".to_owned();
            ask(services, name, cell, ReembedRequest::Wait(run, why.clone())).await?;
            Err(ServiceError::new(
                ErrorKind::Unavailable,
                format!("{name}: {why}"),
            ))
        }
        _ => Ok(true),
    }
}

/// Embeds a batch, or says that there is nothing left to embed.
async fn next(services: &Services, batch: ReembedBatch) -> Result<ReembedRequest, ServiceError> {
    let ReembedBatch { run, target, texts } = batch;
    if texts.is_empty() {
        return Ok(ReembedRequest::Finish(run));
    }
    let model = services.embedders.resolve(&target.embedder)?;
    let longest = services.embedders.longest_text();
    let (ids, texts): (Vec<String>, Vec<String>) = texts.into_iter().unzip();
    let texts: Vec<String> = texts
        .into_iter()
        .map(|text| text[..text.floor_char_boundary(longest)].to_owned())
        .collect();
    let vectors = match embed::vectors(services, &model, &texts, true, None).await {
        Err(error) if error.kind.is_the_callers() => {
            return Err(of_one(services, &model, &ids, &texts)
                .await
                .unwrap_or(error));
        }
        vectors => vectors?,
    };
    let vectors = vectors.iter().map(|found| found.vector.to_vec());
    Ok(ReembedRequest::Take(run, vectors.collect()))
}

/// Finds the point whose text the model refuses.
async fn of_one(
    services: &Services,
    model: &Model,
    ids: &[String],
    texts: &[String],
) -> Option<ServiceError> {
    for (id, text) in ids.iter().zip(texts) {
        let one = embed::vectors(services, model, std::slice::from_ref(text), true, None).await;
        if let Err(error) = one {
            let message = format!("point {id} cannot be embedded: {}", error.message);
            return Some(ServiceError { message, ..error });
        }
    }
    None
}

async fn ask(
    services: &Services,
    name: &str,
    cell: &IndexCell,
    request: ReembedRequest,
) -> Result<ReembedReply, ServiceError> {
    // The last request writes all points to the disk.
    let deadline = match request {
        ReembedRequest::Finish(_) => services.job_deadline(),
        _ => services.deadline(),
    };
    let asked = cell.reembed(request, deadline).await;
    asked.map_err(|failed| fault(name, failed))
}

/// Lets the job take steps until nothing is under way.
pub async fn run(services: &Services) {
    loop {
        match services.reembed.ask((), services.job_deadline()).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "a collection waits to be embedded anew, will retry");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
