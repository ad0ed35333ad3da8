//! Where the links of a mail lead.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use super::draft::{allowed, is_allowed};
use super::{MAX_PER_RULE, rules};
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

const LINK: &str = r#"(?i)\b([a-z][a-z0-9+.-]{0,20})://([^\s<>"'`|]{1,2048})"#;
const BARE: &str = r"(?i)(?:^|[\s(<>])(www\.[a-z0-9.-]{3,253})";
const SCRIPT: &str = r"(?i)\b(?:javascript|vbscript):\S|\bdata:[a-z]+/[a-z0-9.+-]+[;,]";
const ATTRIBUTE: &str =
    r#"(?i)\b(?:href|src|action|formaction|background)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))"#;

/// What an attribute of html may start with.
const ALLOWED_STARTS: &[&str] = &["http://", "https://", "mailto:", "tel:", "cid:", "#"];

struct Patterns {
    link: Regex,
    bare: Regex,
    script: Regex,
    attribute: Regex,
}

impl Patterns {
    fn compile() -> Result<Self, regex::Error> {
        let (link, bare) = (Regex::new(LINK)?, Regex::new(BARE)?);
        Ok(Self {
            link,
            bare,
            script: Regex::new(SCRIPT)?,
            attribute: Regex::new(ATTRIBUTE)?,
        })
    }
}

// A test holds that the patterns compile.
static COMPILED: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::compile().ok());

/// Adds what is wrong with the links in a text.
pub(super) fn check(
    path: &str,
    text: &str,
    allowed_domains: &[Vec<String>],
    findings: &mut Vec<Finding>,
) {
    let Some(patterns) = COMPILED.as_ref() else {
        return;
    };
    let mut found = Vec::new();
    for link in patterns.link.captures_iter(text) {
        let (Some(scheme), Some(rest)) = (link.get(1), link.get(2)) else {
            continue;
        };
        if ["http", "https"]
            .iter()
            .any(|known| scheme.as_str().eq_ignore_ascii_case(known))
        {
            check_host(path, host(rest.as_str()), allowed_domains, &mut found);
        } else {
            found.push(bad_scheme(path, scheme.as_str()));
        }
    }
    for link in patterns.bare.captures_iter(text) {
        let Some(host) = link.get(1) else { continue };
        check_host(path, ("", host.as_str()), allowed_domains, &mut found);
    }
    for link in patterns.script.find_iter(text) {
        let scheme = link.as_str().split(':').next().unwrap_or_default();
        found.push(bad_scheme(path, scheme.trim()));
    }
    found.dedup();
    // The worst first, so that the cut does not hide them.
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.extend(found.into_iter().take(MAX_PER_RULE));
}

/// Adds what is wrong with the addresses in attributes of html: whatever does not start as it must.
pub(super) fn check_attributes(path: &str, html: &str, findings: &mut Vec<Finding>) {
    let Some(patterns) = COMPILED.as_ref() else {
        return;
    };
    let values = patterns.attribute.captures_iter(html);
    let values = values.filter_map(|found| found.iter().skip(1).flatten().next());
    let wrong = values.map(|value| value.as_str().trim()).filter(|value| {
        let start: String = value.chars().take(8).flat_map(char::to_lowercase).collect();
        // Others with `://` or `javascript:` in clear were reported by `check`.
        let reported = COMPILED.as_ref().is_some_and(|patterns| {
            patterns
                .link
                .find(value)
                .is_some_and(|found| found.start() == 0)
                || patterns
                    .script
                    .find(value)
                    .is_some_and(|found| found.start() == 0)
        });
        !reported
            && !ALLOWED_STARTS
                .iter()
                .any(|allowed| start.starts_with(allowed))
    });
    for value in wrong.take(MAX_PER_RULE) {
        let message = format!(
            "the link {} does not start with http:// or https://",
            quoted(value)
        );
        findings.push(rules::LINK_SCHEME.finding(path, message));
    }
}

fn bad_scheme(path: &str, scheme: &str) -> Finding {
    let message = format!("a link with the scheme {}", quoted(scheme));
    rules::LINK_SCHEME.suggesting(path, message, Some("use https".to_owned()))
}

/// User name and host of what follows `://`, without port.
fn host(rest: &str) -> (&str, &str) {
    // Browsers take a backslash for a slash.
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((literal, _)) => literal,
        None => host.split(':').next().unwrap_or_default(),
    };
    (user, host.trim_end_matches(|c: char| !c.is_alphanumeric()))
}

fn check_host(
    path: &str,
    (user, host): (&str, &str),
    allowed_domains: &[Vec<String>],
    findings: &mut Vec<Finding>,
) {
    if host.is_empty() {
        findings.push(rules::LINK_SUSPICIOUS.finding(path, "a link without a host"));
        return;
    }
    if !is_allowed(host, allowed_domains) {
        let message = format!("a link to {}, which is not allowed", quoted(host));
        findings.push(rules::LINK_DOMAIN.suggesting(path, message, allowed(allowed_domains)));
    }
    let problem = if is_ip(host) {
        "an IP address for its host"
    } else if !host.is_ascii()
        || host
            .to_lowercase()
            .split('.')
            .any(|l| l.starts_with("xn--"))
    {
        "a host with letters of other scripts, which can look like others"
    } else if !user.is_empty() {
        "a user name before its host"
    } else {
        return;
    };
    let message = format!("a link with {problem}: {}", quoted(host));
    findings.push(rules::LINK_SUSPICIOUS.finding(path, message));
}

/// Also in the short, octal and hexadecimal forms that browsers accept.
fn is_ip(host: &str) -> bool {
    let numeric = |part: &str| {
        let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        !part.is_empty()
            && match hex {
                Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
                None => part.bytes().all(|byte| byte.is_ascii_digit()),
            }
    };
    host.parse::<Ipv4Addr>().is_ok()
        || host.parse::<Ipv6Addr>().is_ok()
        || host.split('.').all(numeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compile() {
        assert!(Patterns::compile().is_ok());
    }

    fn rules_of(text: &str, allowed: &[&str]) -> Vec<String> {
        let lists = match allowed {
            [] => vec![],
            names => vec![names.iter().map(|name| (*name).to_owned()).collect()],
        };
        let mut findings = Vec::new();
        check("/body", text, &lists, &mut findings);
        findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn links_are_judged_by_scheme_and_host() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "see https://portal.example.com/a?b=1.",
                &["example.com"],
                &[],
            ),
            ("see https://example.com.", &["example.com"], &[]),
            ("see HTTPS://Example.COM:8443/x", &["example.com"], &[]),
            ("any https://anything.io goes", &[], &[]),
            (
                "https://example.com.evil.io",
                &["example.com"],
                &["email.link_domain"],
            ),
            (
                "https://notexample.com",
                &["example.com"],
                &["email.link_domain"],
            ),
            ("www.evil.io", &["example.com"], &["email.link_domain"]),
            (
                "ftp://example.com/x",
                &["example.com"],
                &["email.link_scheme"],
            ),
            ("file:///etc/passwd", &[], &["email.link_scheme"]),
            ("javascript:alert(1)", &[], &["email.link_scheme"]),
            ("data:text/html;base64,AAAA", &[], &["email.link_scheme"]),
            ("http://192.168.0.1/x", &[], &["email.link_suspicious"]),
            ("http://2130706433/", &[], &["email.link_suspicious"]),
            ("http://0x7f.1/", &[], &["email.link_suspicious"]),
            ("http://[::1]:80/", &[], &["email.link_suspicious"]),
            ("https://xn--pple-43d.com", &[], &["email.link_suspicious"]),
            ("https://\u{430}pple.com", &[], &["email.link_suspicious"]),
            (
                "https://bank.com@1evil.io/",
                &[],
                &["email.link_suspicious"],
            ),
            (
                "https://example.com@evil.io",
                &["example.com"],
                &["email.link_domain", "email.link_suspicious"],
            ),
            (
                "https://evil.io\\@example.com",
                &["example.com"],
                &["email.link_domain"],
            ),
            (
                "Data: the file is ready. I love JavaScript: it is fun",
                &[],
                &[],
            ),
            ("Data: all of it. Note: 10:30, a/b", &["example.com"], &[]),
        ];
        for (text, allowed, expected) in cases {
            assert_eq!(&rules_of(text, allowed), expected, "{text}");
        }
    }

    #[test]
    fn attributes_start_as_they_must() {
        let count = |html: &str| {
            let mut findings = Vec::new();
            check_attributes("/html", html, &mut findings);
            findings.len()
        };
        let good = concat!(
            r#"<a href="https://x.com">a</a><img src='cid:logo'>"#,
            r##"<a href=#top><a href="MAILTO:a@x.com">"##,
        );
        assert_eq!(count(good), 0);
        for bad in [
            "/login",
            "java\tscript:alert(1)",
            "&#106;avascript:x",
            "//evil.io",
            "blob:x",
        ] {
            assert_eq!(count(&format!("<a href=\"{bad}\">x</a>")), 1, "{bad}");
        }
    }
}
