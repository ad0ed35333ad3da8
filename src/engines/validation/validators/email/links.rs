//! Where the links of a mail lead.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use memchr::memmem;

use super::domains::{self, Known, allowed, is_allowed, is_under, shown, site};
use super::html::Page;
use super::{MAX_PER_RULE, rules};
use crate::engines::validation::Rule;
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// Longest address that is read.
const MAX_BYTES: usize = 2_048;
/// Schemes that run something without a host.
const RUNNING: &[&str] = &["javascript", "vbscript", "data"];
/// What an address in html may start with.
const ALLOWED_STARTS: &[&str] = &["http://", "https://", "mailto:", "tel:", "cid:", "#"];
/// Services that hide where a link leads.
const SHORTENERS: &str = "adf.ly bit.do bit.ly bl.ink buff.ly cutt.ly dlvr.it goo.gl is.gd \
    lnkd.in mcaf.ee ow.ly qr.ae rb.gy rebrand.ly s.id shorte.st shorturl.at soo.gd t.co t.ly \
    tiny.cc tinyurl.com tr.im trib.al urlz.fr v.gd x.co";
/// Parameters that tell who followed a link.
const TRACKING: &str = "utm_source utm_medium utm_campaign utm_content utm_term utm_id mc_eid \
    mc_cid _hsenc _hsmi mkt_tok vero_id fbclid gclid msclkid";
/// Services that pass a reader on and remember it.
const TRACKERS: &str = "list-manage.com sendgrid.net mandrillapp.com hubspotlinks.com mjt.lu \
    mailgun.org sparkpostmail.com createsend.com";
/// Endings of names of files, which look like domains.
const FILES: &str = "pdf doc docx xls xlsx ppt txt csv png jpg jpeg gif zip html htm js py rs md";

/// What links are judged by.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    /// Each list that is not empty has to hold a domain for it to be allowed.
    pub(super) lists: &'a [Vec<String>],
    /// Domains that others could pretend to be.
    pub(super) known: Vec<Known>,
}

/// Adds what is wrong with the links in a text.
pub(super) fn check(path: &str, text: &str, judge: &Judge<'_>, findings: &mut Vec<Finding>) {
    let mut found = Found::new(path, judge);
    let mut done = 0;
    for (colon, _) in text.match_indices(':') {
        if colon < done {
            continue;
        }
        let scheme = scheme_before(text, colon);
        let rest = text.get(colon + 1..).unwrap_or_default();
        if let Some(rest) = rest.strip_prefix("//").filter(|_| !scheme.is_empty()) {
            let rest = address_at(rest);
            done = colon + 3 + rest.len();
            if !rest.is_empty() {
                found.link(scheme, rest, None);
            }
        } else if runs(scheme, rest) {
            found.bad_scheme(scheme);
        }
    }
    for marker in ["www.", "WWW."] {
        for at in memmem::find_iter(text.as_bytes(), marker) {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            if before.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '<' | '>' | '"')) {
                found.link("http", address_at(text.get(at..).unwrap_or_default()), None);
            }
        }
    }
    found.report(findings);
}

/// Adds what is wrong with the links of a page; those in its text are for [`check`].
pub(super) fn check_page(path: &str, page: &Page, judge: &Judge<'_>, findings: &mut Vec<Finding>) {
    let mut found = Found::new(path, judge);
    for link in &page.links {
        // As browsers do.
        let target: String = link.target.chars().filter(|c| !c.is_control()).collect();
        let target = target.trim();
        let start: String = target
            .chars()
            .take(8)
            .flat_map(char::to_lowercase)
            .collect();
        let image = link.text.is_none()
            && ["png", "gif", "jpeg", "jpg", "webp"].iter().any(|kind| {
                target
                    .get(..11 + kind.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(&format!("data:image/{kind}")))
            });
        if !ALLOWED_STARTS
            .iter()
            .any(|allowed| start.starts_with(allowed))
        {
            if !image && !target.is_empty() {
                let message = format!("the link {} does not start with https://", quoted(target));
                found.add(rules::LINK_SCHEME, message, Some("use https".to_owned()));
            }
        } else if let Some((scheme, rest)) = target.split_once("://") {
            found.link(scheme, rest, link.text.as_deref());
        } else if start.starts_with("mailto:") {
            found.mail_link(target);
        }
    }
    found.report(findings);
}

/// Whether a link carries something that tells who followed it, and what.
pub(super) fn tracking(host: &str, rest: &str) -> Option<String> {
    let mut trackers = TRACKERS.split_whitespace();
    let first = host.split('.').next().unwrap_or_default();
    if matches!(first, "click" | "clicks" | "track" | "tracking" | "trk")
        || trackers.any(|known| is_under(host, known))
    {
        return Some(format!("goes through {}", quoted(host)));
    }
    let (_, query) = rest.split_once('?')?;
    let mut names = query
        .split(['&', ';', '#'])
        .filter_map(|part| part.split('=').next());
    let name = names.find(|name| TRACKING.split_whitespace().any(|known| known == *name))?;
    Some(format!("carries {name}"))
}

/// What is wrong with the links of one text.
struct Found<'a> {
    path: &'a str,
    judge: &'a Judge<'a>,
    seen: HashSet<String>,
    findings: Vec<Finding>,
}

impl<'a> Found<'a> {
    fn new(path: &'a str, judge: &'a Judge<'a>) -> Self {
        Self {
            path,
            judge,
            seen: HashSet::new(),
            findings: Vec::new(),
        }
    }

    fn add(&mut self, rule: Rule, message: String, suggestion: Option<String>) {
        // Everything is bounded by the number of different links, and by this.
        if self.findings.len() < 10 * MAX_PER_RULE {
            self.findings
                .push(rule.suggesting(self.path, message, suggestion));
        }
    }

    /// The worst first, so that the cut does not hide them.
    fn report(mut self, findings: &mut Vec<Finding>) {
        self.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings.extend(self.findings.into_iter().take(MAX_PER_RULE));
    }

    fn bad_scheme(&mut self, scheme: &str) {
        if self.seen.insert(format!("{scheme}:")) {
            let message = format!("a link with the scheme {}", quoted(scheme));
            self.add(rules::LINK_SCHEME, message, Some("use https".to_owned()));
        }
    }

    fn mail_link(&mut self, target: &str) {
        let address = target.split('?').next().unwrap_or_default();
        let Some((_, domain)) = address.rsplit_once('@') else {
            return;
        };
        if domains::ascii(domain).is_none_or(|domain| !is_allowed(&domain, self.judge.lists)) {
            let message = format!(
                "a link to write to {}, which is not allowed",
                quoted(domain)
            );
            self.add(rules::LINK_DOMAIN, message, allowed(self.judge.lists));
        }
    }

    /// Judges `scheme://rest`, which a reader sees as `text`.
    fn link(&mut self, scheme: &str, rest: &str, text: Option<&str>) {
        if !["http", "https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return self.bad_scheme(scheme);
        }
        let (user, host) = host_of(rest);
        let host = percent_decoded(host);
        let Some(host) = literal(&host).or_else(|| domains::ascii(&host)) else {
            if self.seen.insert(host.to_string()) {
                let message = match host.is_empty() {
                    true => "a link without a host".to_owned(),
                    false => format!("a link with a host that does not exist: {}", quoted(&host)),
                };
                self.add(rules::LINK_SUSPICIOUS, message, None);
            }
            return;
        };
        if let Some(claimed) = text.and_then(claimed_host) {
            let same = is_under(&host, &claimed)
                || is_under(&claimed, &host)
                || site(&host) == site(&claimed);
            if !same {
                let message = format!(
                    "a link that reads {} leads to {}",
                    quoted(&claimed),
                    shown(&host)
                );
                self.add(
                    rules::LINK_TEXT,
                    message,
                    Some("show where it leads".to_owned()),
                );
            }
        }
        if self.seen.insert(format!("{user}@{host}")) {
            self.host(user, &host);
        }
        if let Some(how) = tracking(&host, rest)
            && self.seen.insert(how.clone())
        {
            let message = format!("a link {how}, which tells who followed it");
            let suggestion = Some("link to the page itself".to_owned());
            self.add(rules::TRACKING, message, suggestion);
        }
    }

    fn host(&mut self, user: &str, host: &str) {
        let lists = self.judge.lists;
        if !is_allowed(host, lists) {
            let message = format!("a link to {}, which is not allowed", shown(host));
            self.add(rules::LINK_DOMAIN, message, allowed(lists));
        }
        let looks_like = domains::looks_like(host, &self.judge.known);
        if let Some((known, why)) = looks_like {
            let message = format!("a link to {}, which {why} {}", shown(host), quoted(known));
            self.add(rules::LINK_LOOKALIKE, message, None);
        }
        let problem = if is_ip(host) {
            "with an IP address for its host"
        } else if let Some(why) = domains::disguise(host).filter(|_| looks_like.is_none()) {
            why
        } else if !user.is_empty() {
            "with a user name before its host"
        } else if SHORTENERS.split_whitespace().any(|known| host == known) {
            let message = format!(
                "a link that {} shortened hides where it leads",
                quoted(host)
            );
            return self.add(rules::LINK_SHORTENER, message, None);
        } else {
            return;
        };
        let message = format!("a link {problem}: {}", shown(host));
        self.add(rules::LINK_SUSPICIOUS, message, None);
    }
}

/// The word before a colon, if it can be a scheme.
fn scheme_before(text: &str, colon: usize) -> &str {
    let head = text.get(..colon).unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let length = head.bytes().rev().take(21).take_while(is_part).count();
    let word = head.get(colon - length..).unwrap_or_default();
    word.trim_start_matches(|c: char| !c.is_ascii_alphabetic())
}

/// Whether a scheme without a host runs something: prose has a space after its colon.
fn runs(scheme: &str, rest: &str) -> bool {
    if !RUNNING
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return false;
    }
    if !scheme.eq_ignore_ascii_case("data") {
        return rest.starts_with(|c: char| !c.is_whitespace());
    }
    let head = rest
        .get(..rest.floor_char_boundary(80.min(rest.len())))
        .unwrap_or_default();
    let kind = head
        .split([';', ','])
        .next()
        .filter(|kind| kind.len() < head.len());
    kind.is_some_and(|kind| kind.contains('/') && !kind.contains(char::is_whitespace))
}

/// An address up to where a reader would say it ends.
fn address_at(text: &str) -> &str {
    let head = text
        .get(..text.floor_char_boundary(MAX_BYTES.min(text.len())))
        .unwrap_or_default();
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '`' | '|');
    head.get(..head.find(ends).unwrap_or(head.len()))
        .unwrap_or_default()
}

/// User name and host of what follows `://`, without port.
fn host_of(rest: &str) -> (&str, &str) {
    // Browsers take a backslash for a slash.
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((literal, _)) => literal,
        None => host.split(':').next().unwrap_or_default(),
    };
    (user, host.trim_end_matches(|c: char| !c.is_alphanumeric()))
}

fn literal(host: &str) -> Option<Cow<'_, str>> {
    host.parse::<Ipv6Addr>().ok().map(|_| Cow::Borrowed(host))
}

fn percent_decoded(host: &str) -> Cow<'_, str> {
    if !host.contains('%') {
        return Cow::Borrowed(host);
    }
    let mut bytes = Vec::with_capacity(host.len());
    let mut rest = host;
    while let Some((head, tail)) = rest.split_once('%') {
        bytes.extend_from_slice(head.as_bytes());
        match tail
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = tail;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The host that the text of a link names, if it reads like an address.
fn claimed_host(text: &str) -> Option<String> {
    let text = text.trim();
    let explicit = text
        .find("://")
        .map(|at| at + 3)
        .or_else(|| text.find("www."));
    let start = match explicit {
        Some(start) => start,
        // A single word with a dot in it.
        None if !text.contains(char::is_whitespace) && !text.contains('@') => 0,
        None => return None,
    };
    let (_, host) = host_of(address_at(text.get(start..)?));
    let host = domains::ascii(host)?;
    let (name, end) = host.rsplit_once('.')?;
    let lettered = end.len() >= 2 && end.bytes().all(|byte| byte.is_ascii_alphabetic())
        || end.starts_with("xn--");
    let file = explicit.is_none() && FILES.split_whitespace().any(|known| known == end);
    (lettered && !file && !name.is_empty())
        .then(|| host.strip_prefix("www.").unwrap_or(&host).to_owned())
}

/// Also in the short, octal and hexadecimal forms that browsers accept.
fn is_ip(host: &str) -> bool {
    let numeric = |part: &str| match part.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()),
    };
    host.parse::<Ipv4Addr>().is_ok()
        || host.parse::<Ipv6Addr>().is_ok()
        || host.split('.').all(numeric)
}

#[cfg(test)]
mod tests;
