//! One HTTP exchange as plain data: what a provider wants sent, and what came back.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The methods that upstreams are called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With a body.
    Post,
    /// With a body; the same again changes nothing.
    Put,
    /// Without a body.
    Delete,
}

/// How long each part of a call may take, milliseconds. Connecting has its own, set where the
/// connections live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the request until the head of the answer and, for a stream, its first byte.
    pub first_byte_ms: u64,
    /// Between two chunks of the answer.
    pub idle_ms: u64,
    /// The whole call.
    pub total_ms: u64,
}

/// A request to an upstream. `Debug` shows neither secrets nor content.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// How.
    pub method: Method,
    /// Where, absolute.
    pub url: String,
    /// Names are lowercase.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// Bounds of each part.
    pub timeouts: Timeouts,
}

/// Where clouds answer requests for the credentials of the machine, besides link-local addresses: AWS and Google by IPv6,
/// Alibaba by an address of a carrier's range.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(std::net::Ipv4Addr::new(100, 100, 100, 200)),
];

/// Whether an address is link-local, or one of those at which clouds give away the credentials of a machine.
pub fn is_link_local(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    link_local || METADATA.contains(&address)
}

/// Headers whose values are known to hold no secret.
const HARMLESS: [&str; 3] = ["accept", "content-type", "user-agent"];

impl fmt::Debug for HttpCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| {
                let shown = HARMLESS.contains(&name.as_str());
                (name.as_str(), if shown { value.as_str() } else { "***" })
            })
            .collect();
        formatter
            .debug_struct("HttpCall")
            .field("method", &self.method)
            // Some upstreams take their key in the query.
            .field("url", &self.url.split('?').next().unwrap_or_default())
            .field("headers", &headers)
            .field("body_bytes", &self.body.len())
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

/// Status and headers of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpHead {
    /// The status code.
    pub status: u16,
    /// Names are lowercase; values that are not text are left out.
    pub headers: Vec<(String, String)>,
}

impl HttpHead {
    /// Returns the first header of this (lowercase) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the upstream says that it did what it was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpReply {
    /// Status and headers.
    pub head: HttpHead,
    /// The body, complete.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let call = HttpCall {
            method: Method::Post,
            url: "https://example.com/v1?key=secret-in-query".to_owned(),
            headers: vec![
                (
                    "authorization".to_owned(),
                    "Bearer secret-in-header".to_owned(),
                ),
                ("x-odd".to_owned(), "secret-elsewhere".to_owned()),
                ("accept".to_owned(), "text/event-stream".to_owned()),
            ],
            body: b"secret-in-body".to_vec(),
            timeouts: Timeouts {
                first_byte_ms: 1,
                idle_ms: 2,
                total_ms: 3,
            },
        };
        let shown = format!("{call:?}");
        assert!(!shown.contains("secret-"), "{shown}");
        assert!(
            shown.contains("text/event-stream") && shown.contains("example.com"),
            "{shown}"
        );
    }

    #[test]
    fn addresses_of_metadata_are_known() {
        for (address, expected) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("fd20:ce::254", true),
            ("100.100.100.200", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("fd00::1", false),
            ("::1", false),
        ] {
            assert_eq!(
                is_link_local(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn headers_are_found_by_name() {
        let head = HttpHead {
            status: 429,
            headers: vec![("retry-after".to_owned(), "7".to_owned())],
        };
        assert_eq!(head.header("retry-after"), Some("7"));
        assert_eq!(head.header("x"), None);
        assert!(!head.is_success());
    }
}
