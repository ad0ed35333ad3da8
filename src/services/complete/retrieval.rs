//! Passages for a question.

use serde_json::{Value, json};

use super::input::RetrievalInput;
use crate::engines::chat::pack;
use crate::services::search::{self, SearchInput};
use crate::services::{ServiceError, Services, collections};
use crate::types::chat::{ChatRequest, Passage};
use crate::types::point::Hit;

/// Passages when the request does not say how many.
const DEFAULT_K: usize = 5;

/// Finds the passages for the last message of the user, best first, cut to the budget.
pub(super) async fn retrieve(
    services: &Services,
    request: &ChatRequest,
    input: RetrievalInput,
) -> Result<Vec<Passage>, ServiceError> {
    let question = request.question().unwrap_or_default().trim().to_owned();
    if question.is_empty() {
        return Err(ServiceError::bad_request(
            "retrieval needs a message of role user with text to search by",
        )
        .param("messages"));
    }
    let collection = input.collection;
    let (filter, role) = match input.role {
        // The collection itself keeps roles apart.
        Some(role) if has_roles(services, &collection).await? => (input.filter, Some(role)),
        role => (gated(input.filter, role.as_deref()), None),
    };
    let search = SearchInput {
        query: Some(question),
        k: Some(input.k.unwrap_or(DEFAULT_K)),
        filter,
        role,
        mode: input.mode,
        min_score: input.min_score,
        ..SearchInput::default()
    };
    let hits = search::hits(services, &collection, search, request.trace())
        .await
        .map_err(|error| {
            let param = match &error.param {
                Some(param) => format!("retrieval.{param}"),
                None => "retrieval".to_owned(),
            };
            error.param(param)
        })?;
    let passages = hits
        .into_iter()
        .filter_map(|hit| passage(&collection, hit))
        .collect();
    Ok(pack(passages, services.chat.context_tokens()))
}

async fn has_roles(services: &Services, collection: &str) -> Result<bool, ServiceError> {
    let found = collections::get(services, collection).await;
    let state = found.map_err(|error| error.param("retrieval"))?;
    Ok(state.info.spec.schema.role_field.is_some())
}

/// The role gate where the collection declares no field: passages of another role are never seen.
fn gated(filter: Option<Value>, role: Option<&str>) -> Option<Value> {
    let Some(role) = role else { return filter };
    let gate = json!({"$or": [{"role": {"$exists": false}}, {"role": {"$eq": role}}]});
    Some(match filter {
        Some(filter) => json!({"$and": [filter, gate]}),
        None => gate,
    })
}

fn passage(collection: &str, hit: Hit) -> Option<Passage> {
    let said = |name: &str| hit.payload.as_ref()?.get(name)?.as_str();
    let title = said("title");
    let role = said("role").map(ToOwned::to_owned);
    Some(Passage {
        role,
        collection: collection.to_owned(),
        score: hit.score,
        title: title.map(|title| title.chars().take(200).collect()),
        text: hit.text?,
        id: hit.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_gate_joins_the_clients_filter() {
        let gate = json!({"$or": [{"role": {"$exists": false}}, {"role": {"$eq": "nurse"}}]});
        let own = json!({"year": {"$gt": 2020}});
        for (filter, role, expected) in [
            (None, None, None),
            (Some(own.clone()), None, Some(own.clone())),
            (None, Some("nurse"), Some(gate.clone())),
            (
                Some(own.clone()),
                Some("nurse"),
                Some(json!({"$and": [own, gate]})),
            ),
        ] {
            assert_eq!(gated(filter, role), expected);
        }
    }

    #[test]
    fn a_point_without_text_is_no_passage() {
        let payload = json!({"title": "T"}).as_object().cloned();
        let hit = |text: Option<&str>| Hit {
            id: "1".into(),
            score: 0.5,
            text: text.map(Into::into),
            payload: payload.clone(),
            vector: None,
        };
        assert!(passage("c", hit(None)).is_none());
        assert_eq!(
            passage("c", hit(Some("x"))).unwrap().title.as_deref(),
            Some("T")
        );
    }
}
