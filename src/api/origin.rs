//! Requests that a foreign web page makes through its visitor's browser are refused, unless the settings name it.
//!
//! Loopback needs no key, so a browser on this machine would be a way in: by a form or script of any site, or by a
//! name that an attacker lets point to 127.0.0.1 (DNS rebinding).

use std::net::IpAddr;

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whom a request may be addressed to, and which pages may send it.
#[derive(Debug, Clone)]
pub struct Origins {
    /// Names, besides loopback's, that the server may be called by.
    pub allowed_hosts: Vec<String>,
    /// Origins of foreign pages that are served, such as `https://app.example`.
    pub cors: Vec<String>,
    /// Where the server listens.
    pub bind: IpAddr,
}

impl Origins {
    /// Why a request with these headers is refused: it is addressed to a foreign name, or comes from a foreign page.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<String> {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let own = text(&HOST);
        if let Some(host) = own.filter(|host| !self.knows(host) && !self.is_at(host)) {
            let host: String = host.chars().take(100).collect();
            return Some(format!(
                "host {host:?} is not this server; add it to http.allowed_hosts if a proxy of yours sends it"
            ));
        }
        if self.cors_of(headers).is_some() {
            return None;
        }
        if let Some(origin) = text(&ORIGIN) {
            let authority = origin
                .split_once("://")
                .map_or(origin, |(_, authority)| authority);
            // A page of this server, or of another one that is known.
            if own != Some(authority) && !self.knows(authority) {
                let origin: String = origin.chars().take(100).collect();
                return Some(format!(
                    "requests of the page {origin:?} are not served; http.cors_origins names pages that are"
                ));
            }
        }
        text(&FETCH_SITE)
            .filter(|site| *site == "cross-site")
            .map(|_| "requests of other sites' pages are not served".to_owned())
    }

    /// The origin of a request, where the settings name it.
    pub(super) fn cors_of(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.cors.is_empty() {
            return None;
        }
        let origin = headers.get(ORIGIN)?;
        let known = self
            .cors
            .iter()
            .any(|one| one.as_bytes() == origin.as_bytes());
        known.then(|| origin.clone())
    }

    /// Whether `authority` is of loopback, or named.
    fn knows(&self, authority: &str) -> bool {
        let host = host_of(authority);
        let named = |name: &String| name.eq_ignore_ascii_case(host);
        is_loopback(host) || self.allowed_hosts.iter().any(named)
    }

    /// Whether `authority` is the address that the server listens at. A number cannot be rebound as a name can.
    fn is_at(&self, authority: &str) -> bool {
        let address = host_of(authority).parse::<IpAddr>();
        address.is_ok_and(|address| address == self.bind || self.bind.is_unspecified())
    }
}

/// Whether a browser asks if its page may send something.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What an answer to the page of a named origin says. It never says that cookies may come along.
pub(super) fn allow(origin: HeaderValue, answer: &mut HeaderMap) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let told = HeaderValue::from_static("x-request-id, retry-after");
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, told);
    answer.append(VARY, HeaderValue::from_static("origin"));
}

/// What the answer to a preflight says besides. Which headers a named page sends is its own affair.
pub(super) fn allow_preflight(asked: &HeaderMap, answer: &mut HeaderMap) {
    let methods = HeaderValue::from_static("GET, POST, PUT, DELETE");
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(headers) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
    }
}

/// The host of `host`, `host:port` or `[v6]:port`.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(
                HeaderName::from_lowercase(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn origins(bind: &str) -> Origins {
        Origins {
            allowed_hosts: vec!["house.example".to_owned()],
            cors: vec!["https://app.example".to_owned()],
            bind: bind.parse().unwrap(),
        }
    }

    #[test]
    fn only_this_machine_and_named_hosts_are_served() {
        let cases: [(&[(&str, &str)], bool); 14] = [
            (&[], true),
            (&[("host", "127.0.0.1:8642")], true),
            (&[("host", "localhost")], true),
            (&[("host", "[::1]:8642")], true),
            (&[("host", "House.example:80")], true),
            (&[("host", "evil.example")], false),
            (&[("host", "127.0.0.1.evil.example")], false),
            (
                &[("host", "localhost"), ("origin", "http://localhost:3000")],
                true,
            ),
            (
                &[("host", "localhost"), ("origin", "https://house.example")],
                true,
            ),
            (
                &[("host", "localhost"), ("origin", "http://evil.example")],
                false,
            ),
            (&[("host", "localhost"), ("origin", "null")], false),
            (
                &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
                false,
            ),
            (
                &[("host", "localhost"), ("sec-fetch-site", "same-origin")],
                true,
            ),
            (&[("host", "localhost"), ("sec-fetch-site", "none")], true),
        ];
        for (given, served) in cases {
            let refused = origins("127.0.0.1").refusal(&headers(given));
            assert_eq!(refused.is_none(), served, "{given:?}: {refused:?}");
        }
    }

    #[test]
    fn a_server_is_known_by_its_own_address_and_by_no_other_name() {
        for (bind, host, served) in [
            ("192.168.1.2", "192.168.1.2:8642", true),
            ("192.168.1.2", "192.168.1.3:8642", false),
            ("0.0.0.0", "192.168.1.3", true),
            ("::", "[fd00::1]:8642", true),
            ("0.0.0.0", "evil.example", false),
            ("127.0.0.1", "192.168.1.2", false),
        ] {
            let refused = origins(bind).refusal(&headers(&[("host", host)]));
            assert_eq!(refused.is_none(), served, "{bind} {host}");
        }
        for (origin, served) in [
            ("http://192.168.1.2:8642", true),
            ("http://192.168.1.3:8642", false),
            ("http://192.168.1.2:9000", false),
        ] {
            let given = [("host", "192.168.1.2:8642"), ("origin", origin)];
            let refused = origins("0.0.0.0").refusal(&headers(&given));
            assert_eq!(refused.is_none(), served, "{origin}");
        }
    }

    #[test]
    fn a_named_page_is_served_and_only_that_one() {
        for (origin, served) in [
            ("https://app.example", true),
            ("http://app.example", false),
            ("https://app.example:444", false),
            ("https://app.example.evil.example", false),
            ("https://APP.example", false),
            ("null", false),
        ] {
            let given = [
                ("host", "localhost"),
                ("origin", origin),
                ("sec-fetch-site", "cross-site"),
            ];
            let headers = headers(&given);
            let origins = origins("127.0.0.1");
            assert_eq!(origins.refusal(&headers).is_none(), served, "{origin}");
            assert_eq!(origins.cors_of(&headers).is_some(), served, "{origin}");
        }
        // Named or not, it must call the server by its name.
        let rebound = [("host", "evil.example"), ("origin", "https://app.example")];
        assert!(origins("127.0.0.1").refusal(&headers(&rebound)).is_some());
    }
}
