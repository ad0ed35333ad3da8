//! Second vectors for the points of collections that have a refiner, a few at a time.

use super::error::{ServiceError, fault};
use super::turns::turns;
use super::{Services, collections, embed};
use crate::actors::index::IndexCell;
use crate::engines::embedding::Model;
use crate::engines::index::{Code, Refinement, text_hash};
use crate::types::collection::Refiner;
use crate::types::error_kind::ErrorKind;

/// Texts in one step: a fraction of a second of a transformer's time.
const STEP_TEXTS: usize = 32;
/// Bytes of a text that are embedded: more than any refiner reads.
const TEXT_BYTES: usize = 32 << 10;

/// Brings the next few points of each collection their second vectors. Returns how many there were: with 0
/// nothing waits any more.
///
/// Errors: the first that more time may mend; the other collections had their turn.
pub async fn step(services: &Services) -> Result<usize, ServiceError> {
    turns(services, async |name, cell| {
        collection(services, name, cell).await
    })
    .await
}

async fn collection(
    services: &Services,
    name: &str,
    cell: &IndexCell,
) -> Result<usize, ServiceError> {
    let waiting = cell
        .unrefined(STEP_TEXTS, services.deadline())
        .await
        .map_err(|failed| fault(name, failed))?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let spec = collections::spec_of(services, name, cell).await?;
    let Some(refiner) = &spec.refiner else {
        return Ok(0);
    };
    let model = model_of(services, name, refiner).await?;
    let texts: Vec<String> = waiting.iter().map(|(_, text)| beginning(text)).collect();
    let codes = codes(services, &model, &texts, refiner.dim).await?;
    let refinements: Vec<Refinement> = waiting
        .into_iter()
        .zip(codes)
        .map(|((id, text), code)| Refinement {
            id,
            text: text_hash(&text),
            code,
        })
        .collect();
    let count = refinements.len();
    cell.refine(refinements, services.deadline())
        .await
        .map_err(|failed| fault(name, failed))?;
    Ok(count)
}

/// Lets the job take steps until nothing waits.
pub async fn run(services: &Services) {
    loop {
        match services.refine.ask((), services.job_deadline()).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "second vectors wait, will retry");
                return;
            }
        }
    }
}

/// The model that a collection was made with.
pub(super) async fn model_of(
    services: &Services,
    name: &str,
    refiner: &Refiner,
) -> Result<Model, ServiceError> {
    let Refiner {
        model, fingerprint, ..
    } = refiner;
    let found = services.embedders.resolve(model)?;
    if embed::info(services, &found).await?.fingerprint != *fingerprint {
        return Err(ServiceError::new(
            ErrorKind::Conflict,
            format!(
                "the refiner {model} of collection {name} has changed since the collection was made; make a new collection to have second vectors by it"
            ),
        )
        .code("model_changed"));
    }
    Ok(found)
}

/// Embeds all at once; where the model refuses one of the texts, each alone, and that one is alike to nothing.
async fn codes(
    services: &Services,
    model: &Model,
    texts: &[String],
    dim: usize,
) -> Result<Vec<Code>, ServiceError> {
    match embed::vectors(services, model, texts, true, None).await {
        Ok(vectors) => Ok(vectors
            .iter()
            .map(|found| Code::of(&found.vector))
            .collect()),
        Err(error) if !error.kind.is_the_callers() => Err(error),
        Err(_) if texts.len() == 1 => Ok(vec![Code::of(&vec![0.0; dim])]),
        Err(_) => {
            let mut all = Vec::with_capacity(texts.len());
            for text in texts {
                let one = std::slice::from_ref(text);
                all.extend(Box::pin(codes(services, model, one, dim)).await?);
            }
            Ok(all)
        }
    }
}

fn beginning(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES)].to_owned()
}
