//! A chat request as clients send it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engines::chat::{self, CacheMode};
use crate::engines::index::Mode;
use crate::services::ServiceError;
use crate::services::filter::FilterSchema;
use crate::types::chat::{ChatMessage, ChatRequest, Passage, Tool};
use crate::types::demand::Demand;

/// A request to `POST /v1/chat/completions`, in OpenAI's shape, with retrieval beside it.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatInput {
    /// A route, an alias, `provider/model` or a provider; `GET /v1/models` lists them. Default: the
    /// configured one.
    #[schema(example = "extractive")]
    pub model: Option<String>,
    /// The conversation: objects with `role` and `content`, in OpenAI's shape.
    #[schema(required, min_items = 1, example = json!([{"role": "user", "content": "what do wiccans worship?"}]))]
    #[serde(default)]
    pub messages: Vec<ChatMessage>,
    /// Answer from the passages of a collection.
    pub retrieval: Option<RetrievalInput>,
    /// Answer from what was answered before; left out, the route says.
    pub cache: Option<CacheInput>,
    /// Validators that judge the answer: `{"kinds": [name | {"kind", "context"?, "extract"?}], "on_fail"?: "annotate" | "reject" |
    /// "iterate", "max_attempts"?, "max_tokens"?, "deadline_ms"?}`; left out, the route says.
    #[schema(example = json!({"kinds": ["email"], "on_fail": "reject"}))]
    pub validation: Option<Demand>,
    /// Functions that the model may call.
    pub tools: Option<Vec<Tool>>,
    /// `none`, `auto`, `required`, or one function.
    pub tool_choice: Option<Value>,
    /// `{"type": "text" | "json_object" | "json_schema", …}`.
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
    /// Randomness, 0 to 2.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Nucleus, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// Most tokens of the answer.
    #[schema(minimum = 1)]
    pub max_tokens: Option<u32>,
    /// Most tokens of the answer and its reasoning.
    #[schema(minimum = 1)]
    pub max_completion_tokens: Option<u32>,
    /// A text, or up to 16, that end the answer.
    pub stop: Option<Stop>,
    /// For answers that can be repeated, where the provider is able to.
    pub seed: Option<i64>,
    /// -2 to 2.
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f64>,
    /// -2 to 2.
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f64>,
    /// Who asks; kept with the evidence.
    pub user: Option<String>,
    /// Whether the answer comes in pieces.
    pub stream: Option<bool>,
    /// What else a stream carries.
    pub stream_options: Option<StreamOptions>,
    /// Only 1.
    #[schema(minimum = 1, maximum = 1)]
    pub n: Option<u32>,
    /// Passed to the provider.
    pub logit_bias: Option<Value>,
    /// Passed to the provider.
    pub metadata: Option<Value>,
    /// Passed to the provider.
    pub parallel_tool_calls: Option<Value>,
    /// Passed to the provider.
    pub prediction: Option<Value>,
    /// Passed to the provider.
    pub prompt_cache_key: Option<Value>,
    /// Passed to the provider.
    pub reasoning_effort: Option<Value>,
    /// Passed to the provider.
    pub safety_identifier: Option<Value>,
    /// Passed to the provider.
    pub service_tier: Option<Value>,
    /// Passed to the provider.
    pub store: Option<Value>,
    /// Passed to the provider.
    pub verbosity: Option<Value>,
    /// Only `["text"]`.
    pub modalities: Option<Value>,
    /// Only `false`.
    pub logprobs: Option<bool>,
    /// Not supported.
    pub top_logprobs: Option<Value>,
    /// Not supported.
    pub audio: Option<Value>,
    /// Not supported: use `tools`.
    pub functions: Option<Value>,
    /// Not supported: use `tool_choice`.
    pub function_call: Option<Value>,
    /// Not supported: use `retrieval`.
    pub web_search_options: Option<Value>,
    /// What another API's client set, for providers of its language.
    #[serde(skip)]
    #[schema(ignore)]
    pub(in crate::services) native: Map<String, Value>,
    /// What the answer's id begins with in another API.
    #[serde(skip)]
    #[schema(ignore)]
    pub(in crate::services) id_prefix: Option<&'static str>,
    /// Passages that were found for an earlier attempt.
    #[serde(skip)]
    #[schema(ignore)]
    pub(in crate::services) given: Option<Vec<Passage>>,
}

/// Where and how passages are looked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrievalInput {
    /// The collection.
    #[schema(example = "docs")]
    pub collection: String,
    /// Most passages: 1 to 100, default 5.
    #[schema(minimum = 1, maximum = 100)]
    pub k: Option<usize>,
    /// As in a search.
    #[schema(value_type = Option<FilterSchema>)]
    pub filter: Option<Value>,
    /// Only passages whose payload has this `role`, or none.
    pub role: Option<String>,
    /// `dense`, `lexical` or `hybrid`; default `hybrid`.
    #[schema(example = "hybrid")]
    pub mode: Option<Mode>,
    /// Leave out passages that score less.
    pub min_score: Option<f32>,
}

/// How an answer is looked for among those that were kept.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheInput {
    /// `exact`, the default: the whole request is the same; `semantic`: the last question may be in
    /// other words; `off`.
    #[schema(example = "exact")]
    pub mode: Option<CacheMode>,
    /// Least cosine of two questions that count as the same, 0.5 to 1; default `chat.cache.threshold`.
    #[schema(minimum = 0.5, maximum = 1)]
    pub threshold: Option<f32>,
    /// Whether calls of tools are kept and given too.
    #[serde(default)]
    pub tool_calls: bool,
}

/// What else a stream carries.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamOptions {
    /// A last chunk with the tokens.
    pub include_usage: Option<bool>,
    /// Accepted; nothing is obfuscated.
    pub include_obfuscation: Option<bool>,
}

impl StreamOptions {
    /// Of a client whose API always tells the tokens.
    pub(in crate::services) fn with_usage() -> Self {
        Self {
            include_usage: Some(true),
            include_obfuscation: None,
        }
    }
}

/// One text or several.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[schema(as = StopSequence)]
#[serde(untagged, expecting = "stop must be a text or a list of texts")]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl ChatInput {
    /// Whether the answer is wanted in pieces.
    pub fn wants_stream(&self) -> bool {
        self.stream.unwrap_or_default()
    }

    /// Whether the last chunk of a stream is to tell the tokens.
    pub(super) fn wants_usage(&self) -> bool {
        let options = self.stream_options.as_ref();
        options
            .and_then(|options| options.include_usage)
            .unwrap_or_default()
    }

    /// Brings the request into the normalised form.
    ///
    /// Errors: what no provider could answer, or we could not pass on.
    pub(super) fn into_request(
        self,
    ) -> Result<(ChatRequest, Option<RetrievalInput>), ServiceError> {
        let refuse = |param: &str, message: &str| {
            Err(ServiceError::bad_request(format!("{param}: {message}")).param(param))
        };
        if self.n.is_some_and(|n| n != 1) {
            return refuse("n", "must be 1");
        }
        if self
            .modalities
            .as_ref()
            .is_some_and(|given| *given != serde_json::json!(["text"]))
        {
            return refuse("modalities", "only [\"text\"] is supported");
        }
        for (param, present, advice) in [
            (
                "logprobs",
                self.logprobs.unwrap_or_default(),
                "is not supported",
            ),
            (
                "top_logprobs",
                self.top_logprobs.is_some(),
                "is not supported",
            ),
            ("audio", self.audio.is_some(), "is not supported"),
            (
                "functions",
                self.functions.is_some(),
                "is superseded: use tools",
            ),
            (
                "function_call",
                self.function_call.is_some(),
                "is superseded: use tool_choice",
            ),
            (
                "web_search_options",
                self.web_search_options.is_some(),
                "is not supported",
            ),
        ] {
            if present {
                return refuse(param, advice);
            }
        }
        let retrieval = self.retrieval;
        if retrieval
            .as_ref()
            .is_some_and(|given| !(1..=100).contains(&given.k.unwrap_or(5)))
        {
            return refuse("retrieval.k", "must be 1 to 100");
        }
        let extra: Map<String, Value> = [
            ("logit_bias", self.logit_bias),
            ("metadata", self.metadata),
            ("parallel_tool_calls", self.parallel_tool_calls),
            ("prediction", self.prediction),
            ("prompt_cache_key", self.prompt_cache_key),
            ("reasoning_effort", self.reasoning_effort),
            ("safety_identifier", self.safety_identifier),
            ("service_tier", self.service_tier),
            ("store", self.store),
            ("verbosity", self.verbosity),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
        let request = ChatRequest {
            stream: self.stream.unwrap_or_default(),
            model: self.model.unwrap_or_default(),
            messages: self.messages,
            passages: None,
            tools: self.tools.unwrap_or_default(),
            tool_choice: self.tool_choice,
            response_format: self.response_format,
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens,
            max_completion_tokens: self.max_completion_tokens,
            stop: match self.stop {
                None => Vec::new(),
                Some(Stop::One(text)) => vec![text],
                Some(Stop::Several(texts)) => texts,
            },
            seed: self.seed,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            user: self.user,
            extra,
            native: self.native,
            origin: None,
        };
        chat::check(&request).map_err(super::failure::of_error)?;
        Ok((request, retrieval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ChatRequest, String> {
        let input: ChatInput = serde_json::from_str(text).map_err(|error| error.to_string())?;
        input
            .into_request()
            .map(|(request, _)| request)
            .map_err(|error| error.message)
    }

    #[test]
    fn what_openais_clients_send_is_accepted() {
        let request = parse(
            r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stop": "X", "n": 1,
            "stream": null, "stream_options": {"include_usage": true}, "logprobs": false,
            "modalities": ["text"], "temperature": 1, "reasoning_effort": "low", "tools": null}"#,
        )
        .unwrap();
        assert_eq!(request.stop, ["X"]);
        assert_eq!(request.extra["reasoning_effort"], "low");
        assert!(!request.stream && request.tools.is_empty());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_the_field() {
        for (fields, expected) in [
            (r#""n": 2"#, "n: must be 1"),
            (r#""logprobs": true"#, "logprobs: is not supported"),
            (r#""functions": []"#, "functions: is superseded: use tools"),
            (r#""modalities": ["audio"]"#, "modalities"),
            (r#""stop": 7"#, "stop must be a text or a list of texts"),
            (r#""temperatur": 1"#, "unknown field `temperatur`"),
            (r#""temperature": 3"#, "temperature: must be 0 to 2, got 3"),
            (
                r#""retrieval": {"collection": "c", "k": 0}"#,
                "retrieval.k: must be 1 to 100",
            ),
            (
                r#""retrieval": {"collektion": "c"}"#,
                "unknown field `collektion`",
            ),
            (r#""stream": "yes""#, "expected a boolean"),
        ] {
            let text =
                format!(r#"{{"messages": [{{"role": "user", "content": "hi"}}], {fields}}}"#);
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{fields}: {error}");
        }
        assert!(parse("{}").unwrap_err().contains("messages: must hold"));
    }
}
