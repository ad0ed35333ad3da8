//! `ingest`.

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Instrument;
use crate::api::mcp::Visit;
use crate::services::ServiceError;
use crate::services::collections::{self, CollectionInput, PointId, PointInput, UpsertInput};
use crate::types::api_key::Scope;

pub(super) struct Ingest;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The collection to store the texts in.
    collection: String,
    /// The texts: all are stored, or none.
    texts: Vec<Text>,
    /// Create the collection, with the default model, when there is none of this name; default false.
    #[serde(default)]
    create: bool,
    /// Embed only the beginning of a text that is longer than the model reads, instead of refusing it; it is stored
    /// whole. Default false: cut long documents into passages.
    #[serde(default)]
    truncate: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// Unique in the collection; a point of the same id is replaced. Left out: made from the text, so that the same
    /// text is stored once.
    id: Option<String>,
    /// The text, about a passage long.
    text: String,
    /// Anything to filter by or to give back, such as {"title": …, "source": …}.
    #[serde(default)]
    payload: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// Where they are.
    collection: String,
    /// Whether the collection is new.
    created: bool,
    /// How many were stored; they are on disk.
    stored: usize,
    /// Their ids, in the order given.
    ids: Vec<String>,
}

impl Instrument for Ingest {
    const NAME: &'static str = "ingest";
    const SCOPE: Scope = Scope::Write;
    const TITLE: &'static str = "Store texts";
    const DESCRIPTION: &'static str = "Stores texts in a collection, where `search` and `answer` find them. A text of \
        an id that is there already replaces it.";
    type Input = Input;
    type Output = Output;

    fn hints() -> ToolAnnotations {
        let hints = ToolAnnotations::new().read_only(false).destructive(true);
        hints.idempotent(true).open_world(false)
    }

    async fn call(visit: &Visit, input: Input) -> Result<Output, ServiceError> {
        let (services, name) = (&visit.services, input.collection);
        let mut created = false;
        if input.create && !collections::names(services).contains(&name) {
            let made = collections::create(services, &name, CollectionInput::default());
            created = made.await?.1;
        }
        let given = input.texts.into_iter();
        let (ids, points) = given.map(point).unzip();
        let asked = UpsertInput {
            points,
            truncate: input.truncate,
        };
        let trace = visit.context.trace();
        let stored = collections::upsert(services, &name, asked, trace.as_ref()).await?;
        Ok(Output {
            collection: name,
            created,
            stored,
            ids,
        })
    }
}

fn point(given: Text) -> (String, PointInput) {
    let id = given.id.unwrap_or_else(|| id_of(&given.text));
    let point = PointInput {
        id: PointId::Text(id.clone()),
        text: Some(given.text),
        vector: None,
        payload: given.payload,
    };
    (id, point)
}

/// Half of the text's SHA-256, in hexadecimal digits.
fn id_of(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
