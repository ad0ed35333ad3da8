//! The tools. One file for each, and a line in the table.

mod answer;
mod feedback;
mod ingest;
mod search;
mod validate;

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Visit;
use crate::services::ServiceError;
use crate::types::api_key::Scope;
use crate::types::error_kind::ErrorKind;

/// One tool. The doc comments of its input are what a model reads of the arguments.
trait Instrument: 'static {
    const NAME: &'static str;
    const TITLE: &'static str;
    /// What it does and when it is of use, for a model.
    const DESCRIPTION: &'static str;
    /// What a key must have for it.
    const SCOPE: Scope;
    type Input: DeserializeOwned + JsonSchema;
    type Output: Serialize + JsonSchema;

    /// What a client may tell its user before it lets a model call it.
    fn hints() -> ToolAnnotations;

    async fn call(visit: &Visit, input: Self::Input) -> Result<Self::Output, ServiceError>;
}

/// A tool as the server knows it.
pub(super) struct Entry {
    /// As clients see it.
    pub(super) tool: Tool,
    /// Calls it. What fails is a result too, for the model to read.
    pub(super) call: fn(Rc<Visit>, JsonObject) -> LocalBoxFuture<'static, CallToolResult>,
}

static TABLE: LazyLock<[Entry; 5]> = LazyLock::new(|| {
    [
        entry::<search::Search>(),
        entry::<answer::Answer>(),
        entry::<validate::Validate>(),
        entry::<ingest::Ingest>(),
        entry::<feedback::Feedback>(),
    ]
});

/// The tool of this name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.tool.name == name)
}

/// All tools, as clients see them.
pub(super) fn list() -> Vec<Tool> {
    TABLE.iter().map(|entry| entry.tool.clone()).collect()
}

/// The names of all tools.
pub(super) fn names() -> Vec<&'static str> {
    TABLE.iter().map(|entry| &*entry.tool.name).collect()
}

fn entry<T: Instrument>() -> Entry {
    let tool = Tool::new(T::NAME, T::DESCRIPTION, schema::<T::Input>())
        .with_title(T::TITLE)
        .with_raw_output_schema(schema::<T::Output>())
        .with_annotations(T::hints());
    Entry {
        tool,
        call: |visit, arguments| call::<T>(visit, arguments).boxed_local(),
    }
}

/// The JSON Schema of a type, in one piece: not every client follows references.
fn schema<T: JsonSchema>() -> Arc<JsonObject> {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    match json!(settings.into_generator().into_root_schema_for::<T>()) {
        Value::Object(schema) => Arc::new(schema),
        // Only a type that takes anything has another.
        _ => Arc::default(),
    }
}

async fn call<T: Instrument>(visit: Rc<Visit>, arguments: JsonObject) -> CallToolResult {
    let allowed = visit.context.require(T::SCOPE, T::NAME);
    let done = match serde_json::from_value(Value::Object(arguments)) {
        Ok(input) => match allowed {
            Ok(()) => T::call(&visit, input).await,
            Err(error) => Err(error),
        },
        Err(error) => {
            let message = format!("arguments of {}: {error}", T::NAME);
            Err(ServiceError::bad_request(message))
        }
    };
    let request_id = visit.context.request_id();
    let error = match done {
        Ok(output) => return CallToolResult::structured(json!(output)),
        Err(error) => error,
    };
    if error.kind == ErrorKind::Internal {
        tracing::error!(
            request_id,
            tool = T::NAME,
            error = error.logged(),
            "tool failed"
        );
    } else {
        tracing::debug!(
            request_id,
            tool = T::NAME,
            error = error.logged(),
            "tool failed"
        );
    }
    CallToolResult::error(vec![ContentBlock::text(told(&error, &request_id))])
}

/// A failure in words: what is wrong, what was found, when to try again, and the id that the log has.
fn told(error: &ServiceError, request_id: &str) -> String {
    let mut text = error.message.clone();
    for finding in &error.findings {
        text.push_str(&format!(
            "\n{} {}: {}",
            finding.rule, finding.path, finding.message
        ));
    }
    if let Some(wait) = error.retry_after_ms {
        text.push_str(&format!(
            "\ntry again after {} s",
            wait.div_ceil(1_000).max(1)
        ));
    }
    text.push_str(&format!("\nrequest id: {request_id}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_describes_itself_and_each_argument() {
        for entry in TABLE.iter() {
            let tool = &entry.tool;
            let name = &tool.name;
            assert!(
                tool.description
                    .as_ref()
                    .is_some_and(|said| said.len() > 40),
                "{name}"
            );
            let hints = tool.annotations.as_ref().unwrap();
            assert!(
                hints.read_only_hint.is_some() && hints.open_world_hint.is_some(),
                "{name}"
            );
            for schema in [&tool.input_schema, tool.output_schema.as_ref().unwrap()] {
                assert_eq!(schema["type"], "object", "{name}");
                let text = json!(schema).to_string();
                assert!(!text.contains("\"$ref\""), "{name}: {text}");
                for (field, said) in schema["properties"].as_object().unwrap() {
                    assert!(said["description"].is_string(), "{name}: {field}");
                }
            }
            assert_eq!(tool.input_schema["additionalProperties"], false, "{name}");
        }
    }

    #[test]
    fn a_failure_tells_what_to_do() {
        let error = ServiceError {
            retry_after_ms: Some(1_500),
            ..ServiceError::new(ErrorKind::TooManyRequests, "busy")
        };
        assert_eq!(
            told(&error, "r1"),
            "busy\ntry again after 2 s\nrequest id: r1"
        );
    }
}
