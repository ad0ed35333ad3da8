//! Requests that a foreign web page makes through its visitor's browser are refused.
//!
//! Loopback needs no key, so a browser on this machine would be a way in: by a form or script of any site, or by a
//! name that an attacker lets point to 127.0.0.1 (DNS rebinding).

use actix_web::http::header::{self, HeaderMap, HeaderName};

pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request with these headers is refused: it is addressed to a foreign name, or comes from a foreign page.
/// `allowed` are names, besides loopback's, that the server may be called by.
pub(super) fn refusal(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let known = |authority: &str| {
        let host = host_of(authority);
        is_loopback(host) || allowed.iter().any(|name| name.eq_ignore_ascii_case(host))
    };
    if let Some(host) = text(&header::HOST).filter(|host| !known(host)) {
        let host: String = host.chars().take(100).collect();
        return Some(format!(
            "host {host:?} is not this server; add it to http.allowed_hosts if a proxy of yours sends it"
        ));
    }
    if let Some(origin) = text(&header::ORIGIN) {
        let authority = origin
            .split_once("://")
            .map_or(origin, |(_, authority)| authority);
        if !known(authority) {
            let origin: String = origin.chars().take(100).collect();
            return Some(format!("requests of the page {origin:?} are not served"));
        }
    }
    text(&FETCH_SITE)
        .filter(|site| *site == "cross-site")
        .map(|_| "requests of other sites' pages are not served".to_owned())
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
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

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
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(
                    HeaderName::from_lowercase(name.as_bytes()).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                );
            }
            let refused = refusal(&headers, &["house.example".to_owned()]);
            assert_eq!(refused.is_none(), served, "{given:?}: {refused:?}");
        }
    }
}
