//! Settings of the chat dispatch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::preference::Prefer;
use super::prices::Price;
use super::providers::{self, EXTRACTIVE, Preset};
use super::response_cache::{CacheMode, ResponseCacheConfig};
use super::routing::Router;
use crate::engines::upstream::{
    Address, BreakerConfig, KeyPlace, RetryConfig, check_headers, check_key_place, check_url,
};
use crate::engines::usage::BudgetConfig;
use crate::types::demand::Demand;

/// Settings of the chat dispatch: who can answer, by which names, and what happens when they fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ChatConfig {
    /// The model of requests that name none, or `default`. Default `extractive`.
    pub default: String,
    /// Upstreams by name; `extractive` is always there.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Names that stand for candidates, asked in order until one answers.
    pub routes: BTreeMap<String, RouteConfig>,
    /// Names that stand for another name.
    pub aliases: BTreeMap<String, String>,
    /// What models cost, by `provider/model` or with `*` at the end; goes before the list that is
    /// compiled in.
    pub prices: BTreeMap<String, Price>,
    /// What a key may spend; `*` is each key without an entry of its own.
    pub budgets: BTreeMap<String, BudgetConfig>,
    /// Answers that are kept for requests that ask the same.
    pub cache: ResponseCacheConfig,
    /// Asking the same candidate again.
    pub retry: RetryConfig,
    /// Leaving a provider that fails alone for a while.
    pub breaker: BreakerConfig,
    /// Longest a request may take with all retries and fallbacks, milliseconds. Default 600,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub deadline_ms: u64,
    /// Most tokens of retrieved passages in a request, at about 4 bytes each. Default 3,000.
    #[cfg_attr(feature = "server", schemars(range(min = 100, max = 1_000_000)))]
    pub context_tokens: usize,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            default: EXTRACTIVE.to_owned(),
            providers: BTreeMap::new(),
            routes: BTreeMap::new(),
            aliases: BTreeMap::new(),
            prices: BTreeMap::new(),
            budgets: BTreeMap::new(),
            cache: ResponseCacheConfig::default(),
            retry: RetryConfig::default(),
            breaker: BreakerConfig::default(),
            deadline_ms: 600_000,
            context_tokens: 3_000,
        }
    }
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Its wire format: `openai`, `ollama`, `anthropic` or `gemini`. May be left to the preset.
    pub kind: Option<String>,
    /// A known service whose `kind`, `base_url` and `api_key_env` are filled in, such as
    /// `openrouter`.
    pub preset: Option<String>,
    /// Where it is, such as `https://openrouter.ai/api/v1`. May be left to the preset.
    pub base_url: Option<String>,
    /// The environment variable that holds its key. Keys themselves do not belong into settings.
    pub api_key_env: Option<String>,
    /// A file that holds its key and nothing else, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// Whether its address may be link-local, where clouds keep the credentials of a machine. Default
    /// false.
    pub allow_link_local: bool,
    /// Its models that are listed and may be asked for without `provider/`; the first is its
    /// default.
    pub models: Vec<String>,
    /// Headers sent with every request. Not for secrets.
    pub headers: BTreeMap<String, String>,
    /// Fields merged into every request's body, such as `{ options = { num_ctx = 8192 } }` for
    /// Ollama.
    pub extra_body: Map<String, Value>,
    /// Whether usage is asked for in streams; off for servers that refuse `stream_options`. Default
    /// true.
    pub stream_usage: bool,
    /// Most tokens of an answer when the request does not say; for `anthropic`, which wants to be
    /// told. Default 4,096.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub default_max_tokens: u32,
    /// Longest wait for a connection, milliseconds. Default 5,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub connect_timeout_ms: u64,
    /// Longest wait for the first piece of a stream, milliseconds. Default 60,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub first_token_timeout_ms: u64,
    /// Longest silence within a stream, milliseconds. Default 60,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub idle_timeout_ms: u64,
    /// Longest answer, milliseconds. Default 300,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub total_timeout_ms: u64,
    /// Most requests at a time; one more goes to the next candidate or gets 429. Default 64.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 100_000)))]
    pub max_concurrency: usize,
    /// Most requests in any minute; one more goes to the next candidate or gets 429. Default 0, no
    /// bound.
    pub requests_per_minute: u64,
    /// Most tokens in any minute, of prompts and answers; a prompt counts as a quarter of its bytes
    /// until the provider has counted. Default 0, no bound.
    pub tokens_per_minute: u64,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            kind: None,
            preset: None,
            base_url: None,
            api_key_env: None,
            api_key_file: None,
            allow_link_local: false,
            models: Vec::new(),
            headers: BTreeMap::new(),
            extra_body: Map::new(),
            stream_usage: true,
            default_max_tokens: 4_096,
            connect_timeout_ms: 5_000,
            first_token_timeout_ms: 60_000,
            idle_timeout_ms: 60_000,
            total_timeout_ms: 300_000,
            max_concurrency: 64,
            requests_per_minute: 0,
            tokens_per_minute: 0,
        }
    }
}

impl ProviderConfig {
    /// The preset's entry, when one is named and known.
    fn known(&self) -> Option<&'static Preset> {
        self.preset.as_deref().and_then(providers::preset)
    }

    /// The service of the presets that it is: the one it names, else the one at its address.
    pub(super) fn service(&self) -> Option<&'static str> {
        let at_address = || {
            let mut presets = providers::presets().iter();
            presets.find(|preset| Some(preset.base_url) == self.url())
        };
        self.known().or_else(at_address).map(|preset| preset.name)
    }

    /// The wire format, its own or the preset's.
    pub fn wire_kind(&self) -> Option<&str> {
        self.kind
            .as_deref()
            .or(self.known().map(|preset| preset.kind))
    }

    /// The address without a slash at its end, its own or the preset's.
    pub fn url(&self) -> Option<&str> {
        let own = self
            .base_url
            .as_deref()
            .or(self.known().map(|preset| preset.base_url));
        own.map(|url| url.trim_end_matches('/'))
    }

    /// Where its key is, by its own settings or the preset's.
    pub fn key_place(&self) -> Option<KeyPlace<'_>> {
        if let Some(file) = &self.api_key_file {
            return Some(KeyPlace::File(file));
        }
        let variable = self
            .api_key_env
            .as_deref()
            .or(self.known().and_then(|preset| preset.api_key_env));
        variable.map(KeyPlace::Variable)
    }

    /// How it is addressed.
    pub(super) fn address<'a>(&'a self, url: &'a str) -> Address<'a> {
        Address {
            base_url: url,
            key_place: self.key_place(),
            headers: &self.headers,
            extra_body: &self.extra_body,
            first_byte_ms: self.first_token_timeout_ms,
            idle_ms: self.idle_timeout_ms,
            total_ms: self.total_timeout_ms,
        }
    }

    fn validate(&self, name: &str) -> Result<(), String> {
        let field = |field: &str| format!("providers.{name}.{field}");
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(sane) || name == EXTRACTIVE {
            return Err(format!(
                "providers: {name:?} is no name for a provider: 1 to 64 of a-z A-Z 0-9 - _ . \
                 and not {EXTRACTIVE}"
            ));
        }
        if let Some(preset) = &self.preset
            && providers::preset(preset).is_none()
        {
            let names: Vec<&str> = providers::presets()
                .iter()
                .map(|known| known.name)
                .collect();
            return Err(format!(
                "{}: no preset {preset:?}; known: {}",
                field("preset"),
                names.join(", ")
            ));
        }
        let kinds = providers::kinds();
        if !self.wire_kind().is_some_and(|kind| kinds.contains(&kind)) {
            return Err(format!(
                "{}: must be one of {}",
                field("kind"),
                kinds.join(", ")
            ));
        }
        check_url(self.url().unwrap_or_default(), self.allow_link_local)
            .map_err(|problem| format!("{}: {problem}", field("base_url")))?;
        check_key_place(self.api_key_env.as_deref(), self.api_key_file.as_deref())
            .map_err(|problem| format!("providers.{name}: {problem}"))?;
        check_headers(&self.headers)
            .map_err(|problem| format!("{}: {problem}", field("headers")))?;
        for (which, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("first_token_timeout_ms", self.first_token_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("total_timeout_ms", self.total_timeout_ms),
        ] {
            if value == 0 {
                return Err(format!("{}: must be at least 1", field(which)));
            }
        }
        if self.default_max_tokens == 0 {
            return Err(format!(
                "{}: must be at least 1",
                field("default_max_tokens")
            ));
        }
        if !(1..=100_000).contains(&self.max_concurrency) {
            return Err(format!("{}: must be 1 to 100000", field("max_concurrency")));
        }
        Ok(())
    }
}

/// Candidates behind one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RouteConfig {
    /// `provider/model` or a provider's name; asked in order until one answers.
    pub candidates: Vec<String>,
    /// Who is asked first: `order`, `weight`, `cost` or `latency`. Default `order`.
    pub prefer: Prefer,
    /// One for each candidate, where `weight` is preferred; 0 is the last resort.
    pub weights: Vec<u32>,
    /// When the next candidate is asked beside one that has not begun to answer, milliseconds; who
    /// begins first answers, the other is cancelled, and may be paid for. Default 0, never.
    pub hedge_after_ms: u64,
    /// Whether answers are kept, and how they are found again, when the request does not say: `off`,
    /// `exact` or `semantic`. Default `off`.
    pub cache: CacheMode,
    /// Validators that judge its answers, when the request names none. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Demand>,
}

impl ChatConfig {
    /// Refuses nonsense once, so that nothing later needs to.
    ///
    /// Errors: the first field at fault, and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        for (name, provider) in &self.providers {
            provider.validate(name)?;
        }
        self.retry.validate()?;
        self.breaker.validate()?;
        self.cache.validate()?;
        if self.deadline_ms == 0 {
            return Err("deadline_ms: must be at least 1".to_owned());
        }
        if !(100..=1_000_000).contains(&self.context_tokens) {
            let got = self.context_tokens;
            return Err(format!("context_tokens: must be 100 to 1000000, got {got}"));
        }
        let router = Router::new(self);
        for (name, route) in &self.routes {
            if route.candidates.is_empty() {
                return Err(format!(
                    "routes.{name}.candidates: must name at least one candidate"
                ));
            }
            let weighs = route.prefer == Prefer::Weight;
            let pairs = route.weights.len() == route.candidates.len();
            if weighs && (!pairs || route.weights.iter().all(|weight| *weight == 0)) {
                return Err(format!(
                    "routes.{name}.weights: must hold one number for each of the {} candidates, \
                     not all 0",
                    route.candidates.len()
                ));
            }
            if !weighs && !route.weights.is_empty() {
                return Err(format!("routes.{name}.weights: need prefer = \"weight\""));
            }
            if self.aliases.contains_key(name) {
                return Err(format!("aliases.{name}: is also the name of a route"));
            }
            for candidate in &route.candidates {
                router.direct(candidate).map_err(|error| {
                    format!("routes.{name}.candidates: {candidate:?} names no provider: {error}")
                })?;
            }
        }
        for (name, price) in &self.prices {
            price
                .validate()
                .map_err(|problem| format!("prices.{name}: {problem}"))?;
            router
                .direct(name)
                .map_err(|error| format!("prices.{name}: {error}"))?;
        }
        for (key, budget) in &self.budgets {
            budget
                .validate(key)
                .map_err(|problem| format!("budgets.{key}: {problem}"))?;
        }
        for (name, target) in &self.aliases {
            router
                .resolve(name)
                .map_err(|error| format!("aliases.{name} = {target:?}: {error}"))?;
        }
        router
            .resolve(&self.default)
            .map_err(|error| format!("default: {error}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ChatConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_documented_example_is_valid() {
        let config = config(
            r#"
            default = "main"
            [providers.openrouter]
            kind = "openai"
            base_url = "https://openrouter.ai/api/v1/"
            api_key_env = "OPENROUTER_API_KEY"
            [providers.ollama]
            preset = "ollama"
            extra_body = { options = { num_ctx = 8192 } }
            [routes.main]
            candidates = ["openrouter/some-model", "ollama/llama3.2", "extractive"]
            [aliases]
            gpt-4o = "main"
            "#,
        );
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(
            config.providers["openrouter"].url(),
            Some("https://openrouter.ai/api/v1")
        );
        assert_eq!(config.providers["ollama"].wire_kind(), Some("ollama"));
        assert_eq!(ChatConfig::default().validate(), Ok(()));
    }

    #[test]
    fn nonsense_is_refused_with_the_field() {
        for (text, expected) in [
            ("default = \"x\"", "default: no model named x"),
            (
                "[providers.p]\nbase_url = \"http://h\"",
                "providers.p.kind: must be one of",
            ),
            (
                "[providers.p]\nkind = \"grpc\"\nbase_url = \"http://h\"",
                "providers.p.kind",
            ),
            ("[providers.p]\nkind = \"openai\"", "providers.p.base_url"),
            (
                "[providers.p]\nkind = \"openai\"\nbase_url = \"ftp://h\"",
                "providers.p.base_url",
            ),
            (
                "[providers.p]\nkind = \"openai\"\nbase_url = \"http://u:k@h\"",
                "base_url",
            ),
            (
                "[providers.p]\npreset = \"nobody\"",
                "no preset \"nobody\"; known: ",
            ),
            (
                "[providers.p]\npreset = \"groq\"\nidle_timeout_ms = 0",
                "idle_timeout_ms",
            ),
            (
                "[providers.p]\npreset = \"groq\"\nmax_concurrency = 0",
                "max_concurrency",
            ),
            (
                "[providers.p]\npreset = \"anthropic\"\ndefault_max_tokens = 0",
                "default_max_tokens",
            ),
            (
                "[providers.p]\npreset = \"groq\"\nheaders = { \"a b\" = \"\" }",
                "headers",
            ),
            (
                "[providers.\"a/b\"]\npreset = \"groq\"",
                "no name for a provider",
            ),
            (
                "[providers.extractive]\npreset = \"groq\"",
                "no name for a provider",
            ),
            ("[routes.r]", "routes.r.candidates: must name"),
            (
                "[routes.r]\ncandidates = [\"q/m\"]",
                "routes.r.candidates: \"q/m\"",
            ),
            ("[aliases]\na = \"b\"\nb = \"a\"", "aliases.a"),
            (
                "[routes.r]\ncandidates = [\"extractive\"]\nprefer = \"weight\"",
                "routes.r.weights: must hold one number",
            ),
            (
                "[routes.r]\ncandidates = [\"extractive\"]\nweights = [1]",
                "routes.r.weights: need prefer",
            ),
            ("[prices.\"q/m\"]\ninput = 1\noutput = 1", "prices.q/m"),
            (
                "[prices.extractive]\ninput = -1\noutput = 1",
                "prices.extractive: must be",
            ),
            (
                "[budgets.\"*\"]\nusd = -1\nperiod = \"day\"",
                "budgets.*: usd must be",
            ),
            ("retry = { max_attempts = 0 }", "retry.max_attempts"),
            ("retry = { base_ms = 10, max_ms = 5 }", "retry.max_ms"),
            ("breaker = { open_ms = 0 }", "breaker.open_ms"),
            ("cache = { ttl_ms = 0 }", "cache.ttl_ms"),
            ("cache = { threshold = 0.1 }", "cache.threshold: must be"),
        ] {
            let error = config(text).validate().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for wrong in [
            "defualt = \"x\"",
            // A price that was forgotten is not 0.
            "[prices.extractive]\ninput = 1",
            "[budgets.k]\nusd = 1\nperiod = \"week\"",
        ] {
            assert!(toml::from_str::<ChatConfig>(wrong).is_err(), "{wrong}");
        }
    }
}
