//! Settings of the server.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address to listen on.
    pub bind: String,
    /// 0 = a free one.
    pub port: u16,
    /// Threads; 0 = one for each core.
    pub workers: usize,
    /// Names, besides loopback's, that the server may be called by: those that a proxy in front passes on.
    pub allowed_hosts: Vec<String>,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Longest time to receive a request's head.
    pub header_timeout_ms: u64,
    /// How long an idle connection stays open.
    pub keep_alive_ms: u64,
    /// Connections served at once by each worker.
    pub max_connections: usize,
    /// Longest a request may take.
    pub deadline_ms: u64,
    /// Longest wait at shutdown.
    pub drain_ms: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1".to_owned(),
            port: 8642,
            workers: 0,
            allowed_hosts: Vec::new(),
            max_body_bytes: 32 << 20,
            header_timeout_ms: 5_000,
            keep_alive_ms: 75_000,
            max_connections: 4_096,
            deadline_ms: 30_000,
            drain_ms: 10_000,
        }
    }
}

impl HttpConfig {
    /// The address as a number. `localhost` stands for 127.0.0.1.
    ///
    /// Errors: no address, or one that is not loopback.
    pub fn address(&self) -> Result<IpAddr, String> {
        let address = match self.bind.as_str() {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            other => other.parse().map_err(|_| {
                format!("bind = {other:?} is not an IP address; write 127.0.0.1 or ::1")
            })?,
        };
        if !address.is_loopback() {
            return Err(format!(
                "bind = {:?} is reachable from other machines, which needs API keys, and this version has none; \
                 write 127.0.0.1 and put an authenticating proxy in front",
                self.bind
            ));
        }
        Ok(address)
    }

    /// Refuses nonsense.
    pub fn validate(&self) -> Result<(), String> {
        self.address()?;
        for (name, value, low, high) in [
            ("workers", self.workers as u64, 0, 256),
            ("max_body_bytes", self.max_body_bytes as u64, 1_024, 1 << 30),
            ("header_timeout_ms", self.header_timeout_ms, 100, 600_000),
            ("keep_alive_ms", self.keep_alive_ms, 0, 86_400_000),
            ("max_connections", self.max_connections as u64, 1, 1 << 20),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_without_keys() {
        for (bind, good) in [
            ("127.0.0.1", true),
            ("127.8.0.1", true),
            ("::1", true),
            ("localhost", true),
            ("0.0.0.0", false),
            ("::", false),
            ("192.168.1.2", false),
            ("example.com", false),
        ] {
            let config = HttpConfig {
                bind: bind.to_owned(),
                ..HttpConfig::default()
            };
            assert_eq!(config.validate().is_ok(), good, "{bind}");
        }
    }
}
