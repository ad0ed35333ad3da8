//! The section `[validation]` of the settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pipeline::{self, PipelineConfig};
use super::policy::Levels;

/// Limits and tables of the validators.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// Levels of rules by their ids: off, warning, error, critical. Default: what each rule says itself.
    pub rules: Levels,
    /// Rules of which a request may say a level for itself: ids, `email.*`, or `*`. Default none.
    pub request_may_tune: Vec<String>,
    /// Validators of the operator's own.
    pub custom: CustomConfig,
    /// Several validators in order under one name, asked for as a kind.
    pub pipelines: BTreeMap<String, PipelineConfig>,
    /// Proposed assignments of workers to openings.
    pub fill: FillConfig,
    /// Drafted mail.
    pub email: EmailConfig,
}

/// `[validation.custom]`: validators of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomConfig {
    /// Files of rules, folders, or paths whose last part has a `*`; read at start. Default none.
    pub files: Vec<String>,
    /// Most steps that an expression of these rules may take with one payload, told before it runs. Default
    /// 1,000,000, range 1,000 to 1,000,000,000; a million take some tenths of a second.
    pub max_steps: u64,
}

impl Default for CustomConfig {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            max_steps: 1_000_000,
        }
    }
}

/// `[validation.fill]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FillConfig {
    /// Path of the roster, a CSV file; read at start. Default none: the roster of the demo. Costs
    /// about 500 bytes of memory a row.
    pub roster: Option<String>,
    /// Most fills in one payload. Default 10,000, range 1 to 1,000,000.
    pub max_fills: usize,
}

impl Default for FillConfig {
    fn default() -> Self {
        Self {
            roster: None,
            max_fills: 10_000,
        }
    }
}

/// `[validation.email]`. The context of a request can tighten these limits, never widen them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmailConfig {
    /// Longest subject, characters. Default 200, range 1 to 998 (a header line of RFC 5322).
    pub max_subject: usize,
    /// Longest body and longest `html`, characters each. Default 20,000, range 1 to 10,000,000.
    pub max_body: usize,
    /// Domains, with their subdomains, that recipients and links may name. Default empty: any. Others
    /// that look like them are reported as look-alikes.
    pub allowed_domains: Vec<String>,
}

impl Default for EmailConfig {
    fn default() -> Self {
        Self {
            max_subject: 200,
            max_body: 20_000,
            allowed_domains: Vec::new(),
        }
    }
}

impl ValidationConfig {
    /// Refuses nonsense.
    ///
    /// Errors: the field, its value and its range.
    pub fn validate(&self) -> Result<(), String> {
        if self
            .fill
            .roster
            .as_deref()
            .is_some_and(|path| path.trim().is_empty())
        {
            return Err("fill.roster is empty: name a CSV file, or leave it out".to_owned());
        }
        if !(1_000..=1_000_000_000).contains(&self.custom.max_steps) {
            let steps = self.custom.max_steps;
            return Err(format!(
                "custom.max_steps is {steps}: use 1000 to 1000000000"
            ));
        }
        for (name, config) in &self.pipelines {
            pipeline::validate(name, config).map_err(|said| format!("pipelines.{name}: {said}"))?;
        }
        within("fill.max_fills", self.fill.max_fills, 1_000_000)?;
        within("email.max_subject", self.email.max_subject, 998)?;
        within("email.max_body", self.email.max_body, 10_000_000)?;
        for domain in &self.email.allowed_domains {
            if !email_address::EmailAddress::is_valid_domain(domain) || domain.starts_with('[') {
                return Err(format!(
                    "email.allowed_domains: {domain:?} is not a domain, such as example.com"
                ));
            }
        }
        Ok(())
    }
}

fn within(field: &str, value: usize, max: usize) -> Result<(), String> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(format!("{field} is {value}: use 1 to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_unknown_keys_are_refused() {
        let empty: ValidationConfig = toml::from_str("").unwrap();
        assert_eq!(empty, ValidationConfig::default());
        assert_eq!(empty.validate(), Ok(()));
        assert!(toml::from_str::<ValidationConfig>("[fill]\nrooster = 'x'").is_err());
    }

    #[test]
    fn nonsense_is_named_with_its_range() {
        let cases = [
            ("[fill]\nroster = ' '", "fill.roster is empty"),
            (
                "[fill]\nmax_fills = 0",
                "fill.max_fills is 0: use 1 to 1000000",
            ),
            (
                "[email]\nmax_subject = 999",
                "email.max_subject is 999: use 1 to 998",
            ),
            ("[email]\nmax_body = 0", "email.max_body is 0"),
            ("[custom]\nmax_steps = 1", "custom.max_steps is 1: use 1000"),
            ("[pipelines.a]\nsteps = []", "pipelines.a: steps has 0"),
            (
                "[email]\nallowed_domains = ['https://x.com/']",
                "is not a domain",
            ),
            ("[email]\nallowed_domains = ['a@x.com']", "is not a domain"),
        ];
        for (text, expected) in cases {
            let config: ValidationConfig = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
