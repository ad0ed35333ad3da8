//! What the span of an embeddings request tells, by OpenTelemetry's conventions for generative AI.

use super::answer::tokens_of;
use crate::services::{ServiceError, Services};
use crate::types::trace::{Attribute, SpanKind, Story};

/// Tells of a request for the model `asked` that was answered with this JSON, or not.
pub(super) fn story(
    services: &Services,
    asked: &str,
    request_id: &str,
    answered: Result<&[u8], &ServiceError>,
) -> Story {
    let model = services.embedders.resolve(asked);
    let model = model.as_ref().map_or("unknown", |model| model.name());
    let mut attributes: Vec<(&'static str, Attribute)> = vec![
        ("gen_ai.operation.name", "embeddings".into()),
        ("gen_ai.provider.name", "boathouse".into()),
        ("gen_ai.request.model", model.into()),
        ("boathouse.request_id", request_id.into()),
    ];
    let error = match answered {
        Ok(json) => {
            let tokens = tokens_of(json).map(Attribute::from);
            attributes.extend(tokens.map(|tokens| ("gen_ai.usage.input_tokens", tokens)));
            None
        }
        Err(error) => {
            // Not the message: an upstream's words may repeat what it was asked.
            let word = error.code.unwrap_or("error");
            attributes.push(("error.type", word.into()));
            Some(word.to_owned())
        }
    };
    Story {
        name: format!("embeddings {model}"),
        kind: SpanKind::Client,
        attributes,
        error,
    }
}
