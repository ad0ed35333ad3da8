//! Domains as resolvers see them, and whether one is made to look like another.

use std::borrow::Cow;
use std::cell::OnceCell;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use unicode_security::{RestrictionLevel, RestrictionLevelDetection, skeleton};

use crate::engines::validation::shown::quoted;

/// Longest text that is read as a domain, and longest name of the DNS.
const MAX_BYTES: usize = 1_024;
const MAX_NAME: usize = 253;
/// A name this short is one letter away from many others.
const MIN_NAME_FOR_EDIT: usize = 5;

/// The form that resolvers ask for: lower case, punycode, without a last dot.
///
/// None where no resolver would ask. Underscores stay, since hosts have them.
pub(super) fn ascii(domain: &str) -> Option<Cow<'_, str>> {
    let domain = domain.trim().trim_end_matches('.');
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    if domain.is_empty() || domain.len() > MAX_BYTES {
        return None;
    }
    if domain.bytes().all(plain) && !domain.contains("xn--") {
        return (domain.len() <= MAX_NAME).then_some(Cow::Borrowed(domain));
    }
    let deny = AsciiDenyList::new(true, "\"#%/:<>?@[\\]^`{|}");
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), deny, Hyphens::Allow, DnsLength::Ignore);
    let ascii = ascii.ok()?.trim_end_matches('.').to_owned();
    (ascii.len() <= MAX_NAME).then_some(Cow::Owned(ascii))
}

/// The form that people read.
pub(super) fn unicode(ascii: &str) -> String {
    idna::domain_to_unicode(ascii).0
}

/// Both forms, where they differ.
pub(super) fn shown(ascii: &str) -> String {
    match ascii.contains("xn--") {
        true => format!("{} ({})", quoted(&unicode(ascii)), quoted(ascii)),
        false => quoted(ascii),
    }
}

/// Whether `domain` is `parent` or under it.
pub(super) fn is_under(domain: &str, parent: &str) -> bool {
    domain
        .strip_suffix(parent)
        .is_some_and(|rest| !parent.is_empty() && (rest.is_empty() || rest.ends_with('.')))
}

/// Whether every list that restricts domains holds `domain`, or a domain that it is under.
pub(super) fn is_allowed(domain: &str, lists: &[Vec<String>]) -> bool {
    lists
        .iter()
        .all(|list| list.iter().any(|allowed| is_under(domain, allowed)))
}

/// Names what is allowed, for suggestions.
pub(super) fn allowed(lists: &[Vec<String>]) -> Option<String> {
    let names = lists.iter().flatten().take(10);
    let names: Vec<String> = names.map(|name| quoted(name)).collect();
    (!names.is_empty()).then(|| format!("allowed: {}", names.join(", ")))
}

/// The part that somebody registered, told without a list of public suffixes: two labels, or three
/// where the last two look like `co.uk`.
pub(super) fn site(domain: &str) -> &str {
    let mut dots = domain.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else {
        return domain;
    };
    let registry = domain.len() - last == 3 && last - second <= 4;
    let start = match registry {
        true => dots.next().map(|third| third + 1).unwrap_or_default(),
        false => second + 1,
    };
    domain.get(start..).unwrap_or(domain)
}

/// A domain that others could pretend to be.
#[derive(Debug)]
pub(super) struct Known {
    ascii: String,
    /// Made when the first name has to be compared: most are under it.
    likeness: OnceCell<String>,
    /// Whether a name one letter away is one that pretends: not for whom a mail goes to, since
    /// mail.com is no disguise of gmail.com.
    unique: bool,
}

impl Known {
    pub(super) fn new(ascii: &str, unique: bool) -> Self {
        Self {
            ascii: ascii.to_owned(),
            likeness: OnceCell::new(),
            unique,
        }
    }

    fn likeness(&self) -> &str {
        self.likeness
            .get_or_init(|| likeness(&unicode(&self.ascii)))
    }
}

/// Says which known domain `domain` only looks like, and why it does.
pub(super) fn looks_like<'a>(domain: &str, known: &'a [Known]) -> Option<(&'a str, &'static str)> {
    if known.iter().any(|known| is_under(domain, &known.ascii)) {
        return None;
    }
    let readable = unicode(domain);
    let mut likenesses: Vec<(usize, String)> = Vec::new();
    known.iter().find_map(|known| {
        let labels = known.ascii.split('.').count();
        let tail = last_labels(&readable, labels);
        if !likenesses.iter().any(|(of, _)| *of == labels) {
            likenesses.push((labels, likeness(tail)));
        }
        let same = (labels, known.likeness());
        let why = if likenesses
            .iter()
            .any(|(of, likeness)| (*of, likeness.as_str()) == same)
        {
            "is written with characters that look like those of"
        } else if holds(&readable, &known.ascii) {
            "starts with the name of"
        } else if known.unique && is_one_edit_away(tail, &known.ascii) {
            "is one letter away from"
        } else {
            return None;
        };
        Some((known.ascii.as_str(), why))
    })
}

fn is_one_edit_away(domain: &str, known: &str) -> bool {
    let name = known.split('.').next().unwrap_or_default();
    name.len() >= MIN_NAME_FOR_EDIT
        && domain.len().abs_diff(known.len()) <= 4
        && strsim::osa_distance(domain, known) == 1
}

/// Why a reader cannot tell what a domain's letters are, if so.
pub(super) fn disguise(ascii: &str) -> Option<&'static str> {
    if !ascii.contains("xn--") {
        return None;
    }
    let readable = unicode(ascii);
    let latin_end = readable.rsplit('.').next().is_some_and(str::is_ascii);
    readable
        .split('.')
        .filter(|label| !label.is_ascii())
        .find_map(|label| {
            let letters: String = label.chars().filter(|c| *c != '-').collect();
            let level = letters.as_str().detect_restriction_level();
            if label.starts_with("xn--") || level > RestrictionLevel::HighlyRestrictive {
                Some("mixes scripts whose letters look alike")
            } else if latin_end && skeleton(&letters).all(|c| c.is_ascii()) {
                Some("is written in another script that looks like Latin letters")
            } else {
                None
            }
        })
}

fn last_labels(domain: &str, count: usize) -> &str {
    match domain.rmatch_indices('.').nth(count.saturating_sub(1)) {
        Some((at, _)) => domain.get(at + 1..).unwrap_or(domain),
        None => domain,
    }
}

/// Whether a known name stands in `domain` where it does not count: `example.com.evil.io`.
fn holds(domain: &str, known: &str) -> bool {
    domain.match_indices(known).any(|(at, _)| {
        let before = domain.get(..at).and_then(|text| text.chars().next_back());
        let after = domain
            .get(at + known.len()..)
            .and_then(|text| text.chars().next());
        matches!(before, None | Some('.' | '-')) && matches!(after, Some('.' | '-'))
    })
}

/// Equal for names that look alike: the skeleton of UTS 39, and what it tells apart in small type.
fn likeness(domain: &str) -> String {
    let folded = skeleton(domain)
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            '0' => 'o',
            '1' | 'i' | '|' => 'l',
            '5' => 's',
            '3' => 'e',
            c => c,
        });
    let folded: String = folded.collect();
    folded.replace("vv", "w").replace("cl", "d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_brought_to_one_form() {
        let cases = [
            ("Example.COM.", Some("example.com")),
            ("b\u{fc}cher.de", Some("xn--bcher-kva.de")),
            ("ex\u{ff41}mple\u{3002}com", Some("example.com")),
            ("my_host.example.com", Some("my_host.example.com")),
            ("a b.com", None),
            ("xn--a.com\u{200b}x@", None),
            ("", None),
        ];
        for (given, expected) in cases {
            assert_eq!(ascii(given).as_deref(), expected, "{given}");
        }
        for (domain, expected) in [
            ("a.b.example.com", "example.com"),
            ("x.example.co.uk", "example.co.uk"),
            ("example.io", "example.io"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(site(domain), expected);
        }
    }

    #[test]
    fn names_that_look_like_known_ones_are_told_apart() {
        let known = ["example.com", "ibm.com", "miracle.org"].map(|name| Known::new(name, true));
        let cases = [
            ("example.com", None),
            ("mail.example.com", None),
            ("examp1e.com", Some("example.com")),
            ("exarnple.com", Some("example.com")),
            ("www.exampel.com", Some("example.com")),
            ("exampl.com", Some("example.com")),
            ("example.co", Some("example.com")),
            ("example.com.evil.io", Some("example.com")),
            ("example.com-login.io", Some("example.com")),
            ("\u{435}xample.com", Some("example.com")),
            ("\u{131}bm.com", Some("ibm.com")),
            ("mirade.org", Some("miracle.org")),
            ("ubm.com", None),
            ("another.com", None),
            ("notexample.com", None),
        ];
        for (domain, expected) in cases {
            let domain = ascii(domain).unwrap();
            let found = looks_like(&domain, &known).map(|(known, _)| known);
            assert_eq!(found, expected, "{domain}");
        }
    }

    #[test]
    fn scripts_that_hide_letters_are_told_from_languages() {
        for (domain, hidden) in [
            ("\u{430}pple.com", true),
            ("\u{430}\u{440}\u{440}\u{4cf}\u{435}.com", true),
            ("b\u{fc}cher.de", false),
            ("\u{442}\u{435}\u{441}\u{442}.\u{440}\u{444}", false),
            ("\u{65e5}\u{672c}\u{8a9e}.jp", false),
            ("example.com", false),
        ] {
            assert_eq!(
                disguise(&ascii(domain).unwrap()).is_some(),
                hidden,
                "{domain}"
            );
        }
    }
}
