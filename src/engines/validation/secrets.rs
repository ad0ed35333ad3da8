//! Credentials in text: keys and tokens by the form that their issuers gave them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::needles::Needles;

/// A credential in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is, such as `AWS access key`.
    pub kind: &'static str,
    /// Where it is, in bytes, on character boundaries.
    pub span: Range<usize>,
    /// How many first characters only tell the kind, and may be shown.
    pub shown_head: usize,
}

/// What to look for. The first group, where there is one, is the secret itself.
struct Pattern {
    /// Words, in either case, of which every match holds one; most texts hold none of them.
    hints: &'static [&'static str],
    kind: &'static str,
    pattern: &'static str,
    shown_head: usize,
    also: fn(&str) -> bool,
}

const PRIVATE_KEY: &str = "private key";

/// Forms as the issuers document them; each is anchored by a prefix, so that false alarms are rare. Boundaries are those
/// of ASCII: with others a text beyond ASCII would be read ten times slower.
const PATTERNS: &[Pattern] = &[
    pattern(
        &["private key"],
        PRIVATE_KEY,
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        0,
        any,
    ),
    pattern(
        &["akia", "asia", "abia", "acca"],
        "AWS access key",
        r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?-u:\b)",
        4,
        any,
    ),
    pattern(
        &["aws"],
        "AWS secret key",
        r#"(?-u:\b)(?i-u:aws).{0,20}(?i-u:secret).{0,20}?[:= '"]([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        0,
        varied,
    ),
    pattern(
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        "GitHub token",
        r"(?-u:\b)gh[pousr]_[A-Za-z0-9]{36,255}(?-u:\b)",
        4,
        any,
    ),
    pattern(
        &["github_pat_"],
        "GitHub token",
        r"(?-u:\b)github_pat_[A-Za-z0-9_]{50,255}(?-u:\b)",
        11,
        any,
    ),
    pattern(
        &["glpat-"],
        "GitLab token",
        r"(?-u:\b)glpat-[A-Za-z0-9_-]{20,255}",
        6,
        any,
    ),
    // Of this server.
    pattern(
        &["bh_"],
        "Boathouse key",
        r"(?-u:\b)bh_[0-9a-f]{8}_[0-9a-f]{72}(?-u:\b)",
        12,
        any,
    ),
    pattern(
        &["sk-"],
        "API key",
        r"(?-u:\b)sk-[A-Za-z0-9_-]{20,255}",
        3,
        varied,
    ),
    pattern(
        &["k_live_", "k_test_"],
        "Stripe key",
        r"(?-u:\b)[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}(?-u:\b)",
        8,
        any,
    ),
    pattern(
        &["aiza"],
        "Google API key",
        r"(?-u:\b)AIza[0-9A-Za-z_-]{35}(?-u:\b)",
        4,
        any,
    ),
    pattern(
        &["xox"],
        "Slack token",
        r"(?-u:\b)xox[abeoprs]-[A-Za-z0-9-]{10,255}",
        5,
        varied,
    ),
    pattern(
        &["hooks.slack.com"],
        "Slack webhook",
        r"(?-u:\b)hooks\.slack\.com/services/([A-Z0-9/a-z]{20,255})",
        0,
        any,
    ),
    pattern(
        &["hf_"],
        "Hugging Face token",
        r"(?-u:\b)hf_[A-Za-z]{30,255}(?-u:\b)",
        3,
        any,
    ),
    pattern(
        &["eyj"],
        "JSON web token",
        r"(?-u:\b)eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        3,
        any,
    ),
    pattern(
        &[
            "password",
            "passwd",
            "passphrase",
            "pwd",
            "apikey",
            "api key",
            "api_key",
            "api-key",
            "clientsecret",
            "client secret",
            "client_secret",
            "client-secret",
            "accesstoken",
            "access token",
            "access_token",
            "access-token",
        ],
        "password",
        concat!(
            r"(?i-u:\b(?:password|passwd|pwd|passphrase|api[ _-]?key|client[ _-]?secret",
            r#"|access[ _-]?token)["']?(?: is)?[ \t]*[:=][ \t]*["']?)([^\s"']{4,128})"#,
        ),
        0,
        any,
    ),
];

const fn pattern(
    hints: &'static [&'static str],
    kind: &'static str,
    pattern: &'static str,
    shown_head: usize,
    also: fn(&str) -> bool,
) -> Pattern {
    Pattern {
        hints,
        kind,
        pattern,
        shown_head,
        also,
    }
}

struct Compiled {
    hints: Needles,
    patterns: Vec<Regex>,
}

// A test holds that every pattern compiles.
static COMPILED: LazyLock<Option<Compiled>> = LazyLock::new(|| {
    let patterns = PATTERNS.iter().map(|entry| Regex::new(entry.pattern).ok());
    Some(Compiled {
        hints: Needles::new(PATTERNS.iter().map(|entry| entry.hints)),
        patterns: patterns.collect::<Option<_>>()?,
    })
});

/// Finds the credentials in `text`, in order, without overlap.
pub fn find(text: &str) -> Vec<Secret> {
    let mut all: Vec<Secret> = Vec::new();
    let Some(compiled) = COMPILED.as_ref() else {
        return all;
    };
    let hinted = compiled.hints.seen(text);
    if hinted.is_empty() {
        return all;
    }
    let patterns = PATTERNS.iter().zip(&compiled.patterns).enumerate();
    for (_, (entry, regex)) in patterns.filter(|(at, _)| hinted.has(*at)) {
        for captures in regex.captures_iter(text) {
            let Some(found) = captures.get(1).or_else(|| captures.get(0)) else {
                continue;
            };
            let mut span = found.range();
            match entry.kind {
                PRIVATE_KEY => span.end = end_of_block(text, span.end),
                "password" => match password(text, &span) {
                    Some(trimmed) => span = trimmed,
                    None => continue,
                },
                _ => {}
            }
            if text.get(span.clone()).is_some_and(entry.also) {
                all.push(Secret {
                    kind: entry.kind,
                    span,
                    shown_head: entry.shown_head,
                });
            }
        }
    }
    // Stable: of two at one place the more telling kind, earlier in the table, stays.
    all.sort_by_key(|secret| secret.span.start);
    let mut found: Vec<Secret> = Vec::with_capacity(all.len());
    for secret in all {
        if found
            .last()
            .is_none_or(|last| last.span.end <= secret.span.start)
        {
            found.push(secret);
        }
    }
    found
}

fn any(_: &str) -> bool {
    true
}

/// Random characters have digits and letters; words joined by hyphens have no digits.
fn varied(secret: &str) -> bool {
    let has = |test: fn(&u8) -> bool| secret.as_bytes().iter().any(test);
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// Where the key ends: after its end line, if that is not far, else the header alone is the secret.
fn end_of_block(text: &str, header_end: usize) -> usize {
    const LONGEST_KEY: usize = 16 * 1024;
    let to = text.floor_char_boundary(header_end.saturating_add(LONGEST_KEY));
    let block = text.get(header_end..to).unwrap_or_default();
    let end_line = block.find("-----END ").and_then(|at| {
        let name = at + "-----END ".len();
        Some(name + block.get(name..)?.find("-----")? + "-----".len())
    });
    end_line.map_or(header_end, |end| header_end + end)
}

/// The password of `password: …`, unless prose or a mask follows.
fn password(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let found = text.get(span.clone())?;
    let value = found.trim_end_matches(['.', ',', ';', ')', ']']);
    let end = span.start + value.len();
    let masked = value.starts_with(['{', '<', '[', '$', '%'])
        || !value.contains(|c: char| !matches!(c, '*' | 'x' | 'X' | '.' | '_' | '-' | '•'));
    // Stops at the first letter: the rest of a line may be the rest of the text.
    let mut rest = text.get(end..)?.chars().take_while(|c| *c != '\n');
    let last = rest.all(|c| !c.is_alphanumeric());
    let word = value
        .chars()
        .all(|c| c.is_alphabetic() && !c.is_uppercase() || c == '\'');
    let told = [
        "required",
        "optional",
        "none",
        "unchanged",
        "redacted",
        "hidden",
        "reset",
        "below",
    ];
    let prose = word && (!last || told.contains(&value));
    (value.len() >= 4 && !masked && !prose).then_some(span.start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<(&'static str, &str)> {
        find(text)
            .into_iter()
            .map(|secret| (secret.kind, &text[secret.span]))
            .collect()
    }

    #[test]
    fn every_pattern_compiles() {
        assert!(COMPILED.as_ref().unwrap().hints.is_whole());
    }

    proptest! {
        #[test]
        fn every_match_holds_a_hint_of_its_pattern((at, text) in matching()) {
            let compiled = COMPILED.as_ref().unwrap();
            prop_assume!(compiled.patterns[at].is_match(&text));
            prop_assert!(compiled.hints.seen(&text).has(at), "{text}");
        }
    }

    /// A pattern, and a text that it matches.
    fn matching() -> impl Strategy<Value = (usize, String)> {
        (0..PATTERNS.len()).prop_flat_map(|at| {
            // Of the texts without boundaries, which nothing can be generated from.
            let pattern = PATTERNS[at]
                .pattern
                .replace(r"(?-u:\b)", "")
                .replace(r"\b", "");
            let pattern = pattern.replace("(?:[^A-Za-z0-9/+=]|$)", "");
            let text = proptest::string::string_regex(&pattern).unwrap();
            text.prop_map(move |text| (at, text))
        })
    }

    // Assembled at run time: scanners of repositories look for the same forms.
    #[test]
    fn credentials_are_found() {
        let letters = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF3gH5jK7m";
        let cases = [
            ("AWS access key", format!("AKIA{}", "ABCDEFGHIJ234567")),
            ("AWS secret key", letters.to_owned()),
            ("GitHub token", format!("ghp_{}", &letters[..36])),
            ("GitHub token", format!("github_pat_{letters}_{letters}")),
            ("GitLab token", format!("glpat-{}", &letters[..20])),
            (
                "Boathouse key",
                format!("bh_0123abcd_{}", "0123456789ab".repeat(6)),
            ),
            ("API key", format!("sk-proj-{letters}")),
            ("API key", format!("sk-{letters}")),
            ("Stripe key", format!("sk_live_{}", &letters[..24])),
            ("Google API key", format!("AIza{}", &letters[..35])),
            (
                "Slack token",
                format!("xoxb-123456789012-{}", &letters[..24]),
            ),
            (
                "Hugging Face token",
                format!("hf_{}", "abcdefghij".repeat(4)),
            ),
            (
                "JSON web token",
                format!("eyJ{0}.eyJ{0}.{0}", &letters[..20]),
            ),
            (
                "private key",
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----".into(),
            ),
            ("private key", "-----BEGIN PRIVATE KEY-----".to_owned()),
            ("password", "hunter2!".to_owned()),
            ("password", "swordfish".to_owned()),
        ];
        for (kind, secret) in cases {
            let lead = match kind {
                "AWS secret key" => "aws_secret_access_key = ",
                "password" => "Your password is: ",
                _ => "use ",
            };
            for tail in ["", ".", "\nThanks"] {
                let text = format!("{lead}{secret}{tail}");
                assert_eq!(kinds(&text), [(kind, secret.as_str())], "{text}");
            }
        }
        assert_eq!(
            kinds("https://hooks.slack.com/services/T0/B0/abcdefghijklmnopqrst"),
            [("Slack webhook", "T0/B0/abcdefghijklmnopqrst")]
        );
    }

    #[test]
    fn prose_about_credentials_is_left_alone() {
        let quiet = [
            "Password: please use the portal to reset it.",
            "Your password is required. password: ********",
            "password = {{password}} or <password> or [PASSWORD]",
            "password: reset",
            "sk-learn-is-a-library-for-machine-learning",
            "the AKIA prefix, ghp_short, xoxb-short, hf_short, AIzaShort",
            "-----BEGIN PUBLIC KEY-----",
            "AWS keeps secrets in Secrets Manager, see the guide",
            "eyJhbGciOiJI.not-a-token",
        ];
        for text in quiet {
            assert_eq!(kinds(text), [], "{text}");
        }
    }
}
