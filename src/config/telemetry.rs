//! What is sent to an OpenTelemetry collector.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// The collector's address; empty: nothing is sent.
    pub endpoint: String,
    /// The name that others know this service by.
    pub service_name: String,
    /// Share of the traces that begin here.
    #[schemars(range(min = 0, max = 1))]
    pub sampling_ratio: f64,
    /// How often spans are sent.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub span_interval_ms: u64,
    /// How often metrics are sent.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub metrics_interval_ms: u64,
    /// Longest wait for the collector.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub timeout_ms: u64,
    /// Whether questions and answers are sent.
    pub capture_content: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            service_name: "boathouse".to_owned(),
            sampling_ratio: 1.0,
            span_interval_ms: 5_000,
            metrics_interval_ms: 60_000,
            timeout_ms: 10_000,
            capture_content: false,
        }
    }
}

impl TelemetryConfig {
    /// Whether anything is sent.
    pub fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }

    /// Refuses nonsense.
    pub fn validate(&self) -> Result<(), String> {
        let endpoint = &self.endpoint;
        let known = ["http://", "https://"];
        if self.is_on() && !known.iter().any(|scheme| endpoint.starts_with(scheme)) {
            return Err(format!(
                "endpoint = {endpoint:?} must begin with http:// or https://, or be empty"
            ));
        }
        if self.service_name.trim().is_empty() {
            return Err("service_name is empty; write a name such as \"boathouse\"".to_owned());
        }
        if !(0.0..=1.0).contains(&self.sampling_ratio) {
            let ratio = self.sampling_ratio;
            return Err(format!("sampling_ratio must be 0 to 1, got {ratio}"));
        }
        for (name, value) in [
            ("span_interval_ms", self.span_interval_ms),
            ("metrics_interval_ms", self.metrics_interval_ms),
            ("timeout_ms", self.timeout_ms),
        ] {
            if !(10..=3_600_000).contains(&value) {
                return Err(format!("{name} must be 10 to 3600000, got {value}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        let fine = TelemetryConfig::default();
        assert!(fine.validate().is_ok() && !fine.is_on());
        for (wrong, said) in [
            (
                TelemetryConfig {
                    endpoint: "localhost:4318".into(),
                    ..fine.clone()
                },
                "http://",
            ),
            (
                TelemetryConfig {
                    service_name: " ".into(),
                    ..fine.clone()
                },
                "service_name",
            ),
            (
                TelemetryConfig {
                    sampling_ratio: 1.5,
                    ..fine.clone()
                },
                "0 to 1",
            ),
            (
                TelemetryConfig {
                    sampling_ratio: f64::NAN,
                    ..fine.clone()
                },
                "0 to 1",
            ),
            (
                TelemetryConfig {
                    metrics_interval_ms: 0,
                    ..fine.clone()
                },
                "10 to 3600000",
            ),
        ] {
            assert!(wrong.validate().unwrap_err().contains(said), "{said}");
        }
    }
}
