//! What models cost: the list that is compiled in, and before it the settings' own prices.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::config::ChatConfig;
use super::providers::EXTRACTIVE;
use super::routing::{Candidate, Router};
use crate::types::evidence::TokenUsage;

/// The compiled-in list.
const LIST: &str = include_str!("../../../config/prices.toml");

/// What a model costs, US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens of the prompt.
    #[cfg_attr(feature = "server", schemars(range(min = 0)))]
    pub input: f64,
    /// Tokens of the answer, with its reasoning.
    #[cfg_attr(feature = "server", schemars(range(min = 0)))]
    pub output: f64,
    /// Tokens of the prompt that the provider found in its cache; left out, they cost as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schemars(range(min = 0)))]
    pub cached_input: Option<f64>,
    /// Tokens of the prompt that the provider wrote into its cache; left out, they cost as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schemars(range(min = 0)))]
    pub cache_write: Option<f64>,
}

impl Price {
    /// Refuses what is no price.
    pub(super) fn validate(&self) -> Result<(), String> {
        let parts = [self.cached_input, self.cache_write].into_iter().flatten();
        for part in parts.chain([self.input, self.output]) {
            if !part.is_finite() || part < 0.0 {
                return Err("must be numbers from 0".to_owned());
            }
        }
        Ok(())
    }

    /// What `usage` costs, US dollars.
    pub fn cost(&self, usage: TokenUsage) -> f64 {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let written = usage.cache_write_tokens.min(usage.prompt_tokens - cached);
        let plain = usage.prompt_tokens - cached - written;
        let parts = [
            (plain, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.completion_tokens, self.output),
        ];
        let sum: f64 = parts
            .iter()
            .map(|(tokens, price)| *tokens as f64 * price)
            .sum();
        sum / 1e6
    }

    fn is_free(&self) -> bool {
        let parts = [self.cached_input, self.cache_write].into_iter().flatten();
        parts
            .chain([self.input, self.output])
            .all(|part| part <= 0.0)
    }
}

/// `config/prices.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// When the list was right.
    date: String,
    prices: Prices,
}

type Prices = BTreeMap<String, Price>;

// A test reads it: what is compiled in cannot fail later.
static LISTED: LazyLock<List> = LazyLock::new(|| toml::from_str(LIST).unwrap_or_default());

/// The prices that hold, for whoever asks: routes that prefer the cheap, the evidence, budgets.
#[derive(Debug, Clone)]
pub struct PriceTable {
    /// By the names that candidates have, or with `*` at the end.
    own: Prices,
    /// Providers that are services of the list, whatever the settings call them.
    services: BTreeMap<String, &'static str>,
}

impl PriceTable {
    /// Reads the settings' own prices and finds out which of its providers the list knows.
    pub fn new(config: &ChatConfig) -> Self {
        let router = Router::new(config);
        let own = config.prices.iter().filter_map(|(name, price)| {
            let candidate = router.direct(name).ok()?;
            Some((candidate.to_string(), *price))
        });
        let providers = config.providers.iter();
        let services =
            providers.filter_map(|(name, provider)| Some((name.clone(), provider.service()?)));
        Self {
            own: own.collect(),
            services: services.collect(),
        }
    }

    /// When the compiled-in list was right, `YYYY-MM-DD`.
    pub fn list_date() -> &'static str {
        &LISTED.date
    }

    /// The price of a model; `None` when it is not known.
    ///
    /// The settings' own go before the list. In each, the whole name goes before the name without its
    /// date or `-latest`, and that before the longest pattern that ends with `*`.
    pub fn of(&self, candidate: &Candidate) -> Option<Price> {
        find(&self.own, candidate).or_else(|| {
            let service = self.services.get(&candidate.provider)?;
            let listed = Candidate {
                provider: (*service).to_owned(),
                model: candidate.model.clone(),
            };
            find(&LISTED.prices, &listed)
        })
    }

    /// What an answer cost, US dollars; `None` when its price or its tokens are not known.
    pub fn cost(&self, candidate: &Candidate, usage: Option<TokenUsage>) -> Option<f64> {
        match (self.of(candidate), usage) {
            (Some(price), Some(usage)) => Some(price.cost(usage)),
            (Some(price), None) => price.is_free().then_some(0.0),
            // It is computed here, and has no rank among prices: it is a last resort.
            (None, _) => (candidate.provider == EXTRACTIVE).then_some(0.0),
        }
    }
}

fn find(prices: &Prices, candidate: &Candidate) -> Option<Price> {
    let name = candidate.to_string();
    let exact = prices.get(&name);
    let undated = || prices.get(undated(&name)?);
    let pattern = || {
        let matching = prices.iter().filter_map(|(pattern, price)| {
            let start = pattern.strip_suffix('*')?;
            name.starts_with(start).then_some((start.len(), price))
        });
        matching
            .max_by_key(|(length, _)| *length)
            .map(|found| found.1)
    };
    exact.or_else(undated).or_else(pattern).copied()
}

/// A model's name without `-latest`, `-20250929` or `-2025-09-29`; `None` when there is nothing to leave out.
fn undated(name: &str) -> Option<&str> {
    if let Some(bare) = name.strip_suffix("-latest") {
        return Some(bare);
    }
    ["-dddddddd", "-dddd-dd-dd"].into_iter().find_map(|form| {
        let (bare, end) = name.split_at_checked(name.len().checked_sub(form.len())?)?;
        let fits = form
            .bytes()
            .zip(end.bytes())
            .all(|(form, byte)| match form {
                b'd' => byte.is_ascii_digit(),
                sign => sign == byte,
            });
        fits.then_some(bare)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::preset;

    fn table(settings: &str) -> PriceTable {
        let config: ChatConfig = toml::from_str(settings).unwrap();
        config.validate().unwrap();
        PriceTable::new(&config)
    }

    fn price_of(table: &PriceTable, provider: &str, model: &str) -> Option<f64> {
        let candidate = Candidate {
            provider: provider.to_owned(),
            model: model.to_owned(),
        };
        table.of(&candidate).map(|price| price.input)
    }

    #[test]
    fn the_list_is_dated_sane_and_of_known_services() {
        let list: List = toml::from_str(LIST).unwrap();
        assert!(
            list.date.parse::<jiff::civil::Date>().is_ok(),
            "{}",
            list.date
        );
        assert!(list.prices.len() > 30);
        for (name, price) in &list.prices {
            assert_eq!(price.validate(), Ok(()), "{name}");
            let (service, _) = name.split_once('/').unwrap();
            assert!(preset(service).is_some(), "{name}");
            // A slip of a column or of a factor shows.
            assert!(price.output >= 2.0 * price.input, "{name}");
            assert!(
                price.cached_input.is_none_or(|cached| cached < price.input),
                "{name}"
            );
            assert!(
                price.cache_write.is_none_or(|write| write > price.input),
                "{name}"
            );
        }
    }

    #[test]
    fn a_service_is_known_by_its_preset_or_its_address_and_not_by_its_name() {
        let table = table(
            "[providers.claude]\npreset = \"anthropic\"\n\
             [providers.plain]\nkind = \"openai\"\nbase_url = \"https://api.openai.com/v1/\"\n\
             [providers.openai]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:8000/v1\"\n\
             [providers.proxied]\npreset = \"openai\"\nbase_url = \"http://127.0.0.1:8000/v1\"\n",
        );
        for (provider, model, input) in [
            ("claude", "claude-haiku-4-5", Some(1.0)),
            ("claude", "claude-haiku-4-5-20251001", Some(1.0)),
            ("claude", "claude-3-5-haiku-latest", Some(0.8)),
            ("claude", "gpt-4o", None),
            ("claude", "claude-haiku-9", None),
            ("plain", "gpt-4o", Some(2.5)),
            ("plain", "gpt-4o-2024-08-06", Some(2.5)),
            ("plain", "gpt-4o-2024-05-13", Some(5.0)),
            ("plain", "gpt-4o-mini", Some(0.15)),
            ("plain", "gpt-4o-2024-0806", None),
            ("openai", "gpt-4o", None),
            // A proxy passes on what its preset names, unless prices of its own say otherwise.
            ("proxied", "gpt-4o", Some(2.5)),
            ("nobody", "gpt-4o", None),
        ] {
            assert_eq!(
                price_of(&table, provider, model),
                input,
                "{provider}/{model}"
            );
        }
    }

    #[test]
    fn own_prices_go_first_and_the_longest_pattern_counts() {
        let table = table(
            "[providers.up]\npreset = \"openai\"\nmodels = [\"small\"]\n\
             [prices]\n\
             \"up/gpt-4o\" = { input = 9, output = 9 }\n\
             \"up/*\" = { input = 1, output = 1 }\n\
             \"up/big-*\" = { input = 2, output = 2 }\n\
             small = { input = 3, output = 3 }\n",
        );
        for (model, input) in [
            ("gpt-4o", 9.0),
            ("gpt-4o-2024-08-06", 9.0),
            // The own pattern goes before the list.
            ("gpt-4o-mini", 1.0),
            ("big-one", 2.0),
            ("other", 1.0),
            ("small", 3.0),
        ] {
            assert_eq!(price_of(&table, "up", model), Some(input), "{model}");
        }
    }

    #[test]
    fn every_kind_of_token_has_its_price() {
        let price = Price {
            input: 4.0,
            output: 10.0,
            cached_input: Some(1.0),
            cache_write: Some(5.0),
        };
        let usage = TokenUsage {
            prompt_tokens: 1_000_000,
            completion_tokens: 200_000,
            cached_tokens: 500_000,
            cache_write_tokens: 100_000,
        };
        assert!((price.cost(usage) - (1.6 + 0.5 + 0.5 + 2.0)).abs() < 1e-9);
        let short = Price {
            cached_input: None,
            cache_write: None,
            ..price
        };
        assert!((short.cost(usage) - 6.0).abs() < 1e-9);
        // More cached than read makes no sense, and no negative cost.
        let odd = TokenUsage {
            prompt_tokens: 10,
            cached_tokens: 20,
            cache_write_tokens: 20,
            ..TokenUsage::default()
        };
        assert!((price.cost(odd) - 10.0 / 1e6).abs() < 1e-12);
    }

    #[test]
    fn an_unknown_cost_is_not_none() {
        let table = table(
            "[providers.up]\npreset = \"vllm\"\n[providers.own]\npreset = \"vllm\"\n\
             [prices]\n\"own/*\" = { input = 0, output = 0 }\n",
        );
        let cost = |provider: &str, usage| {
            let candidate = Candidate {
                provider: provider.to_owned(),
                model: "m".to_owned(),
            };
            table.cost(&candidate, usage)
        };
        let usage = Some(TokenUsage {
            prompt_tokens: 5,
            ..TokenUsage::default()
        });
        assert_eq!(cost("up", usage), None);
        assert_eq!(cost("own", usage), Some(0.0));
        assert_eq!(cost("own", None), Some(0.0), "free whatever it took");
        assert_eq!(cost(EXTRACTIVE, None), Some(0.0));
        let priced = self::table("[providers.up]\npreset = \"openai\"\n");
        let candidate = Candidate {
            provider: "up".to_owned(),
            model: "o3".to_owned(),
        };
        assert_eq!(priced.cost(&candidate, None), None);
    }
}
