//! From the name that a client gives to the candidates that may answer.

use std::collections::BTreeMap;

use super::ChatError;
use super::config::{ChatConfig, RouteConfig};
use super::preference::Prefer;
use super::providers::EXTRACTIVE;
use super::response_cache::CacheMode;
use crate::engines::nearest::listed;
use crate::types::demand::Demand;

/// Longest chain of aliases.
const MAX_ALIASES: usize = 8;
/// Names listed in an error.
const MAX_LISTED: usize = 30;

/// A provider and one of its models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The provider.
    pub provider: String,
    /// The provider's name of the model.
    pub model: String,
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.provider == self.model {
            return formatter.write_str(&self.provider);
        }
        write!(formatter, "{}/{}", self.provider, self.model)
    }
}

/// Who may answer, and in which way they are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Never empty; in the order of the settings.
    pub candidates: Vec<Candidate>,
    /// Who is asked first.
    pub prefer: Prefer,
    /// Pairs with `candidates` where weights are preferred.
    pub weights: Vec<u32>,
    /// When the next is asked beside one that is silent; `None` is never.
    pub hedge_after_ms: Option<u64>,
    /// Whether answers are kept when the request does not say.
    pub cache: CacheMode,
}

impl Route {
    /// The candidates whose answers are as good as each other's: all that a choice is made of, or the
    /// first where the others stand in for it. What a stand-in said must not outlive the fault.
    pub fn equals(&self) -> impl Iterator<Item = &Candidate> {
        let all = self.prefer != Prefer::Order;
        let suits = move |place: usize| match self.weights.get(place) {
            Some(weight) => *weight > 0,
            None => all || place == 0,
        };
        let candidates = self.candidates.iter().enumerate();
        candidates
            .filter(move |(place, _)| suits(*place))
            .map(|(_, candidate)| candidate)
    }
}

/// The names that can be asked for.
#[derive(Debug, Clone)]
pub struct Router {
    default: String,
    /// Providers and the models that they list.
    providers: BTreeMap<String, Vec<String>>,
    routes: BTreeMap<String, RouteConfig>,
    aliases: BTreeMap<String, String>,
}

impl Router {
    /// Reads the names out of the settings.
    pub fn new(config: &ChatConfig) -> Self {
        let mut providers: BTreeMap<String, Vec<String>> = config
            .providers
            .iter()
            .map(|(name, provider)| (name.clone(), provider.models.clone()))
            .collect();
        providers.insert(EXTRACTIVE.to_owned(), vec![EXTRACTIVE.to_owned()]);
        Self {
            default: config.default.clone(),
            providers,
            routes: config.routes.clone(),
            aliases: config.aliases.clone(),
        }
    }

    /// Finds who may answer to `model`, in the order in which they are asked; never empty.
    ///
    /// An empty name and `default` stand for the default. An alias goes before a route, a route
    /// before `provider/model`, that before a provider's name, and last comes a model that some
    /// provider lists.
    ///
    /// Errors: [`ChatError::UnknownModel`].
    pub fn resolve(&self, model: &str) -> Result<Vec<Candidate>, ChatError> {
        self.route(model).map(|route| route.candidates)
    }

    /// What the route of this name demands of its answers; none where it is no route's.
    pub fn demand(&self, model: &str) -> Option<&Demand> {
        self.routes.get(self.named(model))?.validation.as_ref()
    }

    /// The name that a name stands for.
    fn named<'a>(&'a self, model: &'a str) -> &'a str {
        let mut name = model;
        if name.is_empty() || (name == "default" && !self.names_something(name)) {
            name = &self.default;
        }
        for _ in 0..MAX_ALIASES {
            let Some(target) = self.aliases.get(name) else {
                break;
            };
            name = target;
        }
        name
    }

    /// The same, with the way in which they are asked.
    ///
    /// Errors: [`ChatError::UnknownModel`].
    pub fn route(&self, model: &str) -> Result<Route, ChatError> {
        let name = self.named(model);
        let Some(config) = self.routes.get(name) else {
            return Ok(Route {
                candidates: vec![self.direct(name)?],
                prefer: Prefer::Order,
                weights: Vec::new(),
                hedge_after_ms: None,
                cache: CacheMode::Off,
            });
        };
        let candidates = config.candidates.iter();
        let candidates: Vec<Candidate> = candidates
            .map(|candidate| self.direct(candidate))
            .collect::<Result<_, _>>()?;
        if candidates.is_empty() {
            return Err(self.unknown(model));
        }
        Ok(Route {
            candidates,
            prefer: config.prefer,
            weights: config.weights.clone(),
            hedge_after_ms: Some(config.hedge_after_ms).filter(|after| *after > 0),
            cache: config.cache,
        })
    }

    /// Finds `provider/model`, a provider's default model, or a model that a provider lists.
    pub(super) fn direct(&self, name: &str) -> Result<Candidate, ChatError> {
        if let Some((provider, model)) = name.split_once('/')
            && self.providers.contains_key(provider)
            && !model.is_empty()
        {
            return Ok(Candidate {
                provider: provider.to_owned(),
                model: model.to_owned(),
            });
        }
        if let Some(models) = self.providers.get(name) {
            let model = models.first().ok_or_else(|| self.unknown(name))?;
            return Ok(Candidate {
                provider: name.to_owned(),
                model: model.clone(),
            });
        }
        let lists = |models: &Vec<String>| models.iter().any(|model| model == name);
        match self.providers.iter().find(|(_, models)| lists(models)) {
            Some((provider, _)) => Ok(Candidate {
                provider: provider.clone(),
                model: name.to_owned(),
            }),
            None => Err(self.unknown(name)),
        }
    }

    /// The name that stands for a request that gives none.
    pub fn default_name(&self) -> &str {
        &self.default
    }

    /// Lists the names, each with who stands behind it: routes and aliases first.
    pub fn models(&self) -> Vec<(String, String)> {
        let own = self.routes.keys().chain(self.aliases.keys());
        let own = own.map(|name| (name.clone(), "boathouse".to_owned()));
        let listed = self.providers.iter().flat_map(|(provider, models)| {
            models.iter().map(move |model| {
                let id = Candidate {
                    provider: provider.clone(),
                    model: model.clone(),
                };
                (id.to_string(), provider.clone())
            })
        });
        own.chain(listed).collect()
    }

    fn names_something(&self, name: &str) -> bool {
        self.aliases.contains_key(name)
            || self.routes.contains_key(name)
            || self.providers.contains_key(name)
    }

    fn unknown(&self, model: &str) -> ChatError {
        let mut known: Vec<String> = self.models().into_iter().map(|(id, _)| id).collect();
        // A provider answers to any model of its own, also when it lists none.
        let open = self.providers.keys().filter(|name| *name != EXTRACTIVE);
        known.extend(open.map(|name| format!("{name}/<model>")));
        ChatError::UnknownModel {
            model: model.chars().take(100).collect(),
            known: listed(model, known.iter().map(String::as_str), MAX_LISTED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router {
        let config: ChatConfig = toml::from_str(
            r#"
            default = "main"
            [providers.up]
            preset = "openrouter"
            models = ["meta/llama", "small"]
            [providers.bare]
            preset = "ollama"
            [routes.main]
            candidates = ["up/meta/llama", "extractive"]
            [aliases]
            gpt = "also"
            also = "main"
            tiny = "up/small"
            "#,
        )
        .unwrap();
        config.validate().unwrap();
        Router::new(&config)
    }

    #[test]
    fn names_find_their_candidates() {
        for (name, expected) in [
            ("up/any/model:free", "up/any/model:free"),
            ("up", "up/meta/llama"),
            ("small", "up/small"),
            ("meta/llama", "up/meta/llama"),
            ("tiny", "up/small"),
            ("main", "up/meta/llama extractive"),
            ("gpt", "up/meta/llama extractive"),
            ("", "up/meta/llama extractive"),
            ("default", "up/meta/llama extractive"),
            ("extractive", "extractive"),
            ("bare/x", "bare/x"),
        ] {
            let found: Vec<String> = router()
                .resolve(name)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(found.join(" "), expected, "{name}");
        }
    }

    #[test]
    fn a_stand_in_is_no_equal() {
        for (prefer, weights, equals) in [
            (Prefer::Order, vec![], "a"),
            (Prefer::Cost, vec![], "abc"),
            (Prefer::Latency, vec![], "abc"),
            (Prefer::Weight, vec![2, 0, 1], "ac"),
        ] {
            let candidate = |name: &str| Candidate {
                provider: name.to_owned(),
                model: "m".to_owned(),
            };
            let route = Route {
                candidates: ["a", "b", "c"].map(candidate).to_vec(),
                prefer,
                weights,
                hedge_after_ms: None,
                cache: CacheMode::Exact,
            };
            let found: String = route.equals().map(|one| one.provider.as_str()).collect();
            assert_eq!(found, equals, "{prefer:?}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_what_there_is() {
        let long = "x".repeat(10_000);
        for name in ["nobody/model", "nobody", "bare", "up/", &long] {
            let error = router().resolve(name).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, ChatError::UnknownModel { .. }), "{name}");
            assert!(
                text.contains("main") && text.contains("bare/<model>"),
                "{text}"
            );
            assert!(text.len() < 500, "{text}");
        }
    }

    #[test]
    fn every_listed_name_resolves() {
        let router = router();
        let models = router.models();
        assert_eq!(models[0], ("main".to_owned(), "boathouse".to_owned()));
        assert!(models.contains(&("extractive".to_owned(), "extractive".to_owned())));
        for (id, _) in models {
            assert!(router.resolve(&id).is_ok(), "{id}");
        }
    }
}
