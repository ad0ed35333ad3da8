//! `answer`.

use std::sync::Arc;

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Instrument;
use super::search::Mode;
use super::validate::Finding;
use crate::api::mcp::Visit;
use crate::api::mcp::resources::point_uri;
use crate::services::ServiceError;
use crate::services::complete::{self, ChatInput, Completion, RetrievalInput};
use crate::services::search;
use crate::types::api_key::Scope;

pub(super) struct Answer;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The question, complete in itself: nothing is remembered between calls.
    question: String,
    /// Answer from the passages of this collection, and cite them. Left out: the model answers from what it knows.
    collection: Option<String>,
    /// A route, an alias, provider/model or a provider; default the configured one.
    model: Option<String>,
    /// How to answer, as a system message.
    instructions: Option<String>,
    /// Most passages to answer from, 1 to 100; default 5. Needs a collection.
    k: Option<usize>,
    /// Only from points whose payload matches; as in `search`. Needs a collection.
    filter: Option<Map<String, Value>>,
    /// Only from points of this role, or of none. Needs a collection.
    role: Option<String>,
    /// How passages are found: dense, lexical or hybrid; default hybrid. Needs a collection.
    mode: Option<Mode>,
    /// Most tokens of the answer.
    max_tokens: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The answer's id; `feedback` names it as target.
    id: String,
    /// Who answered: provider/model.
    model: String,
    /// The answer; marks such as [1] point to the citations.
    answer: String,
    /// The passages that the answer rests on.
    citations: Vec<Cited>,
    /// Why it ended: stop, length, tool_calls or content_filter.
    finish_reason: String,
    /// Tokens, when the provider tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
    /// What it cost in US dollars, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    /// What validators said of it, where the route has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Judged>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Cited {
    /// The number in the mark.
    index: usize,
    /// The passage's collection.
    collection: String,
    /// The passage's point.
    id: String,
    /// Where it can be read.
    uri: String,
    /// Its title, or its id.
    title: String,
    /// The sentence that the answer rests on.
    quote: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Tokens {
    /// Read.
    prompt_tokens: u64,
    /// Written.
    completion_tokens: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Judged {
    /// pass, repairable or fail.
    verdict: Value,
    /// What was found.
    findings: Vec<Finding>,
}

impl Input {
    /// The request that any other client would send.
    fn into_request(self) -> Result<ChatInput, ServiceError> {
        let mut messages = Vec::new();
        if let Some(instructions) = self.instructions {
            messages.push(json!({"role": "system", "content": instructions}));
        }
        messages.push(json!({"role": "user", "content": self.question}));
        let messages = serde_json::from_value(Value::Array(messages));
        let retrieval = match self.collection {
            Some(collection) => Some(RetrievalInput {
                collection,
                k: self.k,
                filter: self.filter.map(Value::Object),
                role: self.role,
                mode: self.mode.map(search::Mode::from),
                min_score: None,
            }),
            None => {
                for (name, given) in [
                    ("k", self.k.is_some()),
                    ("filter", self.filter.is_some()),
                    ("role", self.role.is_some()),
                    ("mode", self.mode.is_some()),
                ] {
                    if given {
                        let message = format!("{name} says nothing without collection");
                        return Err(ServiceError::bad_request(message).param(name));
                    }
                }
                None
            }
        };
        let mut input = ChatInput::default();
        input.model = self.model;
        input.messages = messages.map_err(|error| ServiceError::bad_request(error.to_string()))?;
        input.retrieval = retrieval;
        input.max_tokens = self.max_tokens;
        Ok(input)
    }
}

impl From<Completion> for Output {
    fn from(answer: Completion) -> Self {
        let citations = answer.citations.into_iter().map(|citation| Cited {
            index: citation.index,
            uri: point_uri(&citation.collection, &citation.id),
            collection: citation.collection,
            id: citation.id,
            title: citation.title,
            quote: citation.quote,
        });
        Self {
            id: answer.id,
            model: answer.model,
            citations: citations.collect(),
            finish_reason: answer.reply.finish.as_str().to_owned(),
            usage: answer.reply.usage.map(|usage| Tokens {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
            }),
            cost_usd: answer.cost_usd,
            validation: answer.validation.map(|judged| Judged {
                verdict: json!(judged.verdict),
                findings: judged.findings.into_iter().map(Finding::from).collect(),
            }),
            answer: answer.reply.refusal.unwrap_or(answer.reply.text),
        }
    }
}

impl Instrument for Answer {
    const NAME: &'static str = "answer";
    const SCOPE: Scope = Scope::Chat;
    const TITLE: &'static str = "Answer a question";
    const DESCRIPTION: &'static str = "Answers a question, from the passages of a collection where one is named, with \
        citations that can be checked. The answer has an `id` that `feedback` takes.";
    type Input = Input;
    type Output = Output;

    fn hints() -> ToolAnnotations {
        ToolAnnotations::new().read_only(true).open_world(true)
    }

    async fn call(visit: &Visit, input: Input) -> Result<Output, ServiceError> {
        let input = Box::new(input.into_request()?);
        let services = Arc::clone(&visit.services);
        let answer = complete::complete(services, visit.context.caller(), input).await?;
        Ok(answer.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_collection_is_refused_without_one() {
        for (field, value) in [
            ("k", json!(3)),
            ("filter", json!({})),
            ("role", json!("nurse")),
            ("mode", json!("dense")),
        ] {
            let mut given = json!({"question": "why?"});
            given[field] = value;
            let input: Input = serde_json::from_value(given.clone()).unwrap();
            let error = input.into_request().unwrap_err();
            assert!(error.message.contains("without collection"), "{error}");
            given["collection"] = json!("docs");
            let input: Input = serde_json::from_value(given).unwrap();
            assert_eq!(
                input.into_request().unwrap().retrieval.unwrap().collection,
                "docs"
            );
        }
    }
}
