//! Settings of the server.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When requests need an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequireKeys {
    /// Where there are keys, and wherever other machines reach the server.
    Auto,
    /// Always, also on loopback.
    Always,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address to listen on.
    pub bind: String,
    /// 0 = a free one.
    pub port: u16,
    /// Threads; 0 = one for each core.
    #[schemars(range(max = 256))]
    pub workers: usize,
    /// Names, besides loopback's, that the server may be called by: those that a proxy in front passes on.
    pub allowed_hosts: Vec<String>,
    /// Whether requests need an API key.
    pub require_keys: RequireKeys,
    /// Origins of web pages elsewhere that may call the server.
    pub cors_origins: Vec<String>,
    /// Longest path with its query, bytes.
    #[schemars(range(min = 256, max = 65_000))]
    pub max_uri_bytes: usize,
    /// Largest request body, bytes.
    #[schemars(range(min = 1_024, max = 1 << 30))]
    pub max_body_bytes: usize,
    /// Longest time to receive a request's head.
    #[schemars(range(min = 1_000, max = 600_000))]
    pub header_timeout_ms: u64,
    /// How long an idle connection stays open.
    #[schemars(range(max = 86_400_000))]
    pub keep_alive_ms: u64,
    /// Connections served at once, for each worker; requests of more are refused.
    #[schemars(range(min = 1, max = 1 << 20))]
    pub max_connections: usize,
    /// Requests served at once by each worker; more are refused.
    #[schemars(range(min = 1, max = 1 << 20))]
    pub max_in_flight: usize,
    /// How long the rounds of a worker may take before it refuses some of what comes.
    #[schemars(range(max = 60_000))]
    pub max_lag_ms: u64,
    /// How long others may have waited for a thread, or requests for vectors have been answered, where one more is taken; 0: as long as they do.
    #[schemars(range(max = 60_000))]
    pub max_wait_ms: u64,
    /// Longest a request may take.
    #[schemars(range(min = 10, max = 86_400_000))]
    pub deadline_ms: u64,
    /// Longest wait at shutdown.
    #[schemars(range(max = 600_000))]
    pub drain_ms: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1".to_owned(),
            port: 8642,
            workers: 0,
            allowed_hosts: Vec::new(),
            require_keys: RequireKeys::Auto,
            cors_origins: Vec::new(),
            max_uri_bytes: 16_384,
            max_body_bytes: 32 << 20,
            header_timeout_ms: 5_000,
            keep_alive_ms: 75_000,
            max_connections: 4_096,
            max_in_flight: 1_024,
            max_lag_ms: 250,
            max_wait_ms: 250,
            deadline_ms: 30_000,
            drain_ms: 10_000,
        }
    }
}

impl HttpConfig {
    /// The address as a number. `localhost` stands for 127.0.0.1.
    ///
    /// Errors: no address.
    pub fn address(&self) -> Result<IpAddr, String> {
        match self.bind.as_str() {
            "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            other => other.parse().map_err(|_| {
                format!("bind = {other:?} is not an IP address; write 127.0.0.1 or ::1")
            }),
        }
    }

    /// Whether requests need a key, also while there is none: always, or as other machines reach the server.
    pub fn always_needs_keys(&self) -> bool {
        let reachable = !self.address().is_ok_and(|address| address.is_loopback());
        reachable || self.require_keys == RequireKeys::Always
    }

    /// Refuses nonsense.
    pub fn validate(&self) -> Result<(), String> {
        self.address()?;
        for origin in &self.cors_origins {
            check_origin(origin)?;
        }
        for (name, value, low, high) in [
            ("workers", self.workers as u64, 0, 256),
            ("max_uri_bytes", self.max_uri_bytes as u64, 256, 65_000),
            ("max_body_bytes", self.max_body_bytes as u64, 1_024, 1 << 30),
            ("header_timeout_ms", self.header_timeout_ms, 1_000, 600_000),
            ("keep_alive_ms", self.keep_alive_ms, 0, 86_400_000),
            ("max_connections", self.max_connections as u64, 1, 1 << 20),
            ("max_in_flight", self.max_in_flight as u64, 1, 1 << 20),
            ("max_lag_ms", self.max_lag_ms, 0, 60_000),
            ("max_wait_ms", self.max_wait_ms, 0, 60_000),
            ("deadline_ms", self.deadline_ms, 10, 86_400_000),
            ("drain_ms", self.drain_ms, 0, 600_000),
        ] {
            if !(low..=high).contains(&value) {
                return Err(format!("{name} must be {low} to {high}, got {value}"));
            }
        }
        Ok(())
    }
}

/// Refuses what no browser sends as an origin.
fn check_origin(origin: &str) -> Result<(), String> {
    let host = origin
        .strip_prefix("https://")
        .or(origin.strip_prefix("http://"))
        .unwrap_or_default();
    let sane =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(sane) {
        return Err(format!(
            "cors_origins: {origin:?} is no origin; write each as https://app.example or http://localhost:3000, in \
             lower case and without a path"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_needs_keys() {
        for (bind, needs) in [
            ("127.0.0.1", Some(false)),
            ("127.8.0.1", Some(false)),
            ("::1", Some(false)),
            ("localhost", Some(false)),
            ("0.0.0.0", Some(true)),
            ("::", Some(true)),
            ("192.168.1.2", Some(true)),
            ("example.com", None),
        ] {
            let config = HttpConfig {
                bind: bind.to_owned(),
                ..HttpConfig::default()
            };
            let found = config.validate().ok();
            let found = found.map(|()| config.always_needs_keys());
            assert_eq!(found, needs, "{bind}");
        }
        let always = HttpConfig {
            require_keys: RequireKeys::Always,
            ..HttpConfig::default()
        };
        assert!(always.always_needs_keys());
    }

    #[test]
    fn an_origin_is_named_exactly() {
        for (origin, good) in [
            ("https://app.example", true),
            ("http://localhost:3000", true),
            ("http://[::1]:3000", true),
            ("*", false),
            ("https://*.example", false),
            ("https://app.example/", false),
            ("https://App.example", false),
            ("app.example", false),
            ("null", false),
            ("https://", false),
        ] {
            let config = HttpConfig {
                cors_origins: vec![origin.to_owned()],
                ..HttpConfig::default()
            };
            assert_eq!(config.validate().is_ok(), good, "{origin}");
        }
    }
}
