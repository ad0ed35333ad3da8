//! What can be read by its address: collections, points, and what the validators ask for.

use rmcp::model::{ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::{Value, json};

use super::Visit;
use crate::services::collections::encoded;
use crate::services::{ServiceError, collections, validate};
use crate::types::api_key::Scope;
use crate::types::error_kind::ErrorKind;

const COLLECTIONS: &str = "boathouse://collections";
const VALIDATORS: &str = "boathouse://validators";
const JSON: &str = "application/json";

/// The address of a point.
pub(super) fn point_uri(collection: &str, id: &str) -> String {
    let (collection, id) = (encoded(collection), encoded(id));
    format!("{COLLECTIONS}/{collection}/points/{id}")
}

/// Lists what can be read, but for points.
pub(super) fn list(visit: &Visit) -> Vec<Resource> {
    let may_read = visit.context.require(Scope::Read, COLLECTIONS).is_ok();
    let fixed = [
        Resource::new(COLLECTIONS, "collections")
            .with_description("The collections with their sizes, models and fields"),
        Resource::new(VALIDATORS, "validators").with_description(
            "The validators with the JSON Schemas of payload and context, and their rules",
        ),
    ];
    let names = collections::names(&visit.services).into_iter();
    let named = names.filter(|_| may_read).map(|name| {
        Resource::new(format!("{COLLECTIONS}/{}", encoded(&name)), name)
            .with_description("One collection: its size, model and fields")
    });
    let all = fixed.into_iter().chain(named);
    all.map(|resource| resource.with_mime_type(JSON)).collect()
}

/// The forms of addresses that are not listed one by one.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(
            format!("{COLLECTIONS}/{{collection}}/points/{{id}}"),
            "point",
        )
        .with_description("One point: its text and payload")
        .with_mime_type(JSON),
    ]
}

/// Reads what `uri` names.
pub(super) async fn read(visit: &Visit, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let found = content(visit, uri).await.map_err(|error| {
        log(visit, &error);
        let data = Some(visit.context.problem(&error));
        match error.kind {
            ErrorKind::NotFound => ErrorData::resource_not_found(error.message, data),
            kind if kind.is_the_callers() => ErrorData::invalid_params(error.message, data),
            _ => ErrorData::internal_error(error.message, data),
        }
    })?;
    let contents = ResourceContents::text(found.to_string(), uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents]))
}

/// What the SDK does not tell in the log.
fn log(visit: &Visit, error: &ServiceError) {
    let request_id = visit.context.request_id();
    if error.kind == ErrorKind::Internal {
        tracing::error!(request_id, error = error.logged(), "resource not read");
    } else {
        tracing::debug!(request_id, error = error.logged(), "resource not read");
    }
}

async fn content(visit: &Visit, uri: &str) -> Result<Value, ServiceError> {
    let services = &visit.services;
    let scope = match uri == VALIDATORS {
        true => Scope::Chat,
        false => Scope::Read,
    };
    visit.context.require(scope, uri)?;
    if uri == COLLECTIONS {
        let all = collections::list(services).await;
        let all = all.into_iter().map(|(name, info)| match info {
            Ok(info) => json!(info),
            Err(error) => json!({"name": name, "error": error.message}),
        });
        return Ok(json!({"collections": all.collect::<Vec<_>>()}));
    }
    if uri == VALIDATORS {
        return Ok(json!({"validators": validate::validators(services)}));
    }
    let unknown = || {
        let uri: String = uri.chars().take(200).collect();
        ServiceError::not_found(format!("nothing is at {uri}; resources/list tells what is"))
    };
    let path = uri
        .strip_prefix(COLLECTIONS)
        .and_then(|path| path.strip_prefix('/'));
    let parts: Vec<&str> = path.ok_or_else(unknown)?.split('/').collect();
    match *parts.as_slice() {
        [collection] => {
            let collection = decoded(collection).ok_or_else(unknown)?;
            Ok(json!(collections::get(services, &collection).await?))
        }
        [collection, "points", id] => {
            let collection = decoded(collection).ok_or_else(unknown)?;
            let id = decoded(id).ok_or_else(unknown)?;
            let point = collections::point(services, &collection, &id).await?;
            Ok(json!({"id": point.id, "text": point.text, "payload": point.payload}))
        }
        _ => Err(unknown()),
    }
}

/// Undoes `%XX` (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were() {
        for id in ["a", "a b/ü%", "100%25", "x?y#z"] {
            let uri = point_uri("docs", id);
            let path = uri
                .strip_prefix("boathouse://collections/docs/points/")
                .unwrap();
            assert!(!path.contains(['/', ' ', '?', '#']), "{uri}");
            assert_eq!(decoded(path).as_deref(), Some(id));
        }
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
