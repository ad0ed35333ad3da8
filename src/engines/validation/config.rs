//! The section `[validation]` of the settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pipeline::{self, PipelineConfig};
use super::policy::Levels;
use crate::engines::index::is_collection_name;

/// Limits and tables of the validators.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
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
    /// Answers against the passages that they cite.
    pub grounding: GroundingConfig,
    /// JSON by a schema of the request.
    pub json_schema: JsonSchemaConfig,
    /// Passages and answers of other roles.
    pub role_gate: RoleGateConfig,
    /// Asking a model again until its answer passes.
    pub iterate: IterateConfig,
}

/// `[validation.custom]`: validators of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CustomConfig {
    /// Files of rules, folders, or paths whose last part has a `*`; read at start. Default none.
    pub files: Vec<String>,
    /// Most steps that an expression of these rules may take with one payload, told before it runs. Default
    /// 1,000,000, range 1,000 to 1,000,000,000; a million take some tenths of a second.
    #[cfg_attr(feature = "server", schemars(range(min = 1_000, max = 1_000_000_000)))]
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
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct FillConfig {
    /// Path of the roster, a CSV, `.jsonl` or `.parquet` file, or `collection:NAME`. Default none: the roster of the
    /// demo. Costs about 150 bytes of memory a row.
    pub roster: Option<String>,
    /// Path of what workers are booked for, a file of the same kinds. Default none. Costs about 100 bytes a row.
    pub calendar: Option<String>,
    /// How often both are looked at for changes, milliseconds; 0 = never. Default 5,000, range 100 to 86,400,000.
    #[cfg_attr(feature = "server", schemars(range(max = 86_400_000)))]
    pub reload_ms: u64,
    /// Most fills in one payload. Default 10,000, range 1 to 1,000,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 1_000_000)))]
    pub max_fills: usize,
}

impl Default for FillConfig {
    fn default() -> Self {
        Self {
            roster: None,
            calendar: None,
            reload_ms: 5_000,
            max_fills: 10_000,
        }
    }
}

/// `[validation.email]`. The context of a request can tighten these limits, never widen them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EmailConfig {
    /// Longest subject, characters. Default 200, range 1 to 998 (a header line of RFC 5322).
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 998)))]
    pub max_subject: usize,
    /// Longest body and longest `html`, characters each. Default 20,000, range 1 to 10,000,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 10_000_000)))]
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

/// `[validation.grounding]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GroundingConfig {
    /// Least support of a sentence, 0 to 1: the mean of the cosine with a sentence of its passages and of the share of its
    /// words that stand there. Default 0.5.
    #[cfg_attr(feature = "server", schemars(range(min = 0, max = 1)))]
    pub min_support: f32,
    /// Share of a sentence's words that a passage's sentence must have before their numbers, names and denials are
    /// compared, 0 to 1. Default 0.6; the best of all is always compared.
    #[cfg_attr(feature = "server", schemars(range(min = 0, max = 1)))]
    pub min_overlap: f32,
    /// Whether a sentence without a citation is a finding (a warning). Default true.
    pub require_citations: bool,
    /// Most passages in one payload. Default 200, range 1 to 1,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 1_000)))]
    pub max_passages: usize,
    /// Sentences of an answer that are judged. Default 200, range 1 to 1,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 1_000)))]
    pub max_sentences: usize,
}

impl Default for GroundingConfig {
    fn default() -> Self {
        Self {
            min_support: 0.5,
            min_overlap: 0.6,
            require_citations: true,
            max_passages: 200,
            max_sentences: 200,
        }
    }
}

/// `[validation.json_schema]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct JsonSchemaConfig {
    /// Most values in one schema, counted at every level. Default 20,000, range 1 to 1,000,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 1_000_000)))]
    pub max_schema_nodes: usize,
    /// Violations that are told. Default 100, range 1 to 10,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 10_000)))]
    pub max_findings: usize,
}

impl Default for JsonSchemaConfig {
    fn default() -> Self {
        Self {
            max_schema_nodes: 20_000,
            max_findings: 100,
        }
    }
}

/// Longest name of a field, bytes.
const MAX_FIELD: usize = 100;

/// `[validation.role_gate]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RoleGateConfig {
    /// The field of passages, their payload and their metadata that names whom they are for. Default `role`.
    pub role_field: String,
    /// Words in a row that an answer must not share with a passage of another role. Default 8, range 3 to 1,000.
    #[cfg_attr(feature = "server", schemars(range(min = 3, max = 1_000)))]
    pub min_run: usize,
    /// Most passages, and most messages, in one payload. Default 1,000, range 1 to 100,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 100_000)))]
    pub max_passages: usize,
}

impl Default for RoleGateConfig {
    fn default() -> Self {
        Self {
            role_field: "role".to_owned(),
            min_run: 8,
            max_passages: 1_000,
        }
    }
}

/// `[validation.iterate]`: what a request can ask for at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IterateConfig {
    /// Most answers to one request. Default 10, range 1 to 100; a request that does not say gets 3.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 100)))]
    pub max_attempts: u32,
    /// Tokens of all its answers after which no further one is asked for. Default 200,000, at least 1.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub max_tokens: u64,
    /// Longest it may take, milliseconds. Default 600,000, at least 1.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub deadline_ms: u64,
}

impl Default for IterateConfig {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            max_tokens: 200_000,
            deadline_ms: 600_000,
        }
    }
}

impl FillConfig {
    fn check_sources(&self) -> Result<(), String> {
        for (key, path) in [("roster", &self.roster), ("calendar", &self.calendar)] {
            if path.as_deref().is_some_and(|path| path.trim().is_empty()) {
                return Err(format!(
                    "fill.{key} is empty: name a CSV file, or leave it out"
                ));
            }
        }
        let collection = |path: &str| path.strip_prefix("collection:").map(str::to_owned);
        if let Some(name) = self.roster.as_deref().and_then(collection)
            && !is_collection_name(name.trim())
        {
            return Err(format!("fill.roster: {name:?} is no name of a collection"));
        }
        if self.calendar.as_deref().and_then(collection).is_some() {
            return Err("fill.calendar must be a file".to_owned());
        }
        match self.reload_ms {
            0 | 100..=86_400_000 => Ok(()),
            other => Err(format!(
                "fill.reload_ms is {other}: use 0, or 100 to 86400000"
            )),
        }
    }
}

impl ValidationConfig {
    /// Refuses nonsense.
    ///
    /// Errors: the field, its value and its range.
    pub fn validate(&self) -> Result<(), String> {
        self.fill.check_sources()?;
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
        for (field, share) in [
            ("min_support", self.grounding.min_support),
            ("min_overlap", self.grounding.min_overlap),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("grounding.{field} is {share}: use 0 to 1"));
            }
        }
        within("grounding.max_passages", self.grounding.max_passages, 1_000)?;
        within(
            "grounding.max_sentences",
            self.grounding.max_sentences,
            1_000,
        )?;
        within(
            "json_schema.max_schema_nodes",
            self.json_schema.max_schema_nodes,
            1_000_000,
        )?;
        within(
            "json_schema.max_findings",
            self.json_schema.max_findings,
            10_000,
        )?;
        let field = &self.role_gate.role_field;
        if field.trim().is_empty() || field.len() > MAX_FIELD {
            return Err(format!(
                "role_gate.role_field must be 1 to {MAX_FIELD} bytes"
            ));
        }
        // Where a passage has its text, there is no mark.
        if ["text", "content", "id", "payload", "metadata"].contains(&field.as_str()) {
            return Err(format!(
                "role_gate.role_field is {field}, which has another meaning"
            ));
        }
        if !(3..=1_000).contains(&self.role_gate.min_run) {
            let got = self.role_gate.min_run;
            return Err(format!("role_gate.min_run is {got}: use 3 to 1000"));
        }
        within(
            "role_gate.max_passages",
            self.role_gate.max_passages,
            100_000,
        )?;
        within(
            "iterate.max_attempts",
            self.iterate.max_attempts as usize,
            100,
        )?;
        for (field, value) in [
            ("max_tokens", self.iterate.max_tokens),
            ("deadline_ms", self.iterate.deadline_ms),
        ] {
            if value == 0 {
                return Err(format!("iterate.{field} is 0: use at least 1"));
            }
        }
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
            ("[fill]\ncalendar = ''", "fill.calendar is empty"),
            (
                "[fill]\nroster = 'collection:../x'",
                "fill.roster: \"../x\" is no name of a collection",
            ),
            (
                "[fill]\ncalendar = 'collection:x'",
                "fill.calendar must be a file",
            ),
            (
                "[fill]\nreload_ms = 99",
                "fill.reload_ms is 99: use 0, or 100 to 86400000",
            ),
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
                "[role_gate]\nrole_field = ' '",
                "role_gate.role_field must be 1 to",
            ),
            (
                "[role_gate]\nrole_field = 'text'",
                "role_gate.role_field is text, which has another",
            ),
            (
                "[iterate]\nmax_attempts = 101",
                "iterate.max_attempts is 101: use 1 to 100",
            ),
            ("[iterate]\ndeadline_ms = 0", "iterate.deadline_ms is 0"),
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
