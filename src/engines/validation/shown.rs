//! Foreign text made fit to show in a message: short, on one line, without secrets or numbers.

use std::ops::Range;

use super::{pii, secrets};

/// Characters shown of a foreign text.
const MAX_CHARS: usize = 80;
/// Longer texts are described, not shown: cut at will, a secret in them might not be recognised.
const MAX_BYTES: usize = 4_096;

/// Shows `text` in quotes: clipped, control characters escaped, personal numbers and secrets named.
pub(super) fn quoted(text: &str) -> String {
    if text.len() > MAX_BYTES {
        return format!("(a text of {} bytes)", text.len());
    }
    let mut spans: Vec<(Range<usize>, &str)> = Vec::new();
    spans.extend(
        pii::find_identities(text)
            .into_iter()
            .map(|found| (found.span, found.kind.name())),
    );
    spans.extend(
        secrets::find(text)
            .into_iter()
            .map(|found| (found.span, found.kind)),
    );
    spans.sort_by_key(|(span, _)| (span.start, span.end));
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for (span, name) in spans {
        if let Some(before) = text.get(done..span.start) {
            clean.push_str(before);
            clean.push_str(&format!("[{name}]"));
        }
        done = done.max(span.end);
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    match clean.char_indices().nth(MAX_CHARS) {
        Some((cut, _)) => format!("{:?}…", clean.get(..cut).unwrap_or_default()),
        None => format!("{clean:?}"),
    }
}

/// A name with its article, as it is spoken: `an IBAN`, `a US taxpayer number`, `an NHS number`.
pub(super) fn with_article(name: &str) -> String {
    let vowel = name.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o']);
    let article = if vowel || name.starts_with("NHS") {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

/// Whether `text` holds what must not be repeated.
pub(super) fn sensitive(text: &str) -> bool {
    !pii::find_identities(text).is_empty() || !secrets::find(text).is_empty()
}

/// Masks `text` but for its first `head` and last `tail` characters; separators stay.
pub(super) fn masked(text: &str, head: usize, tail: usize) -> String {
    let shown_from = text.chars().count().saturating_sub(tail);
    text.chars()
        .enumerate()
        .take(MAX_CHARS)
        .map(
            |(at, c)| match at < head || at >= shown_from || !c.is_alphanumeric() {
                true => c,
                false => '*',
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_hides_clips_and_escapes() {
        assert_eq!(quoted("a\r\nb"), r#""a\r\nb""#);
        assert_eq!(
            quoted("card 4111 1111 1111 1111."),
            r#""card [card number].""#
        );
        let key = format!("AKIA{}", "ABCDEFGHIJ234567");
        assert_eq!(quoted(&format!("x {key} y")), r#""x [AWS access key] y""#);
        assert_eq!(quoted(&"é".repeat(100)), format!("\"{}\"…", "é".repeat(80)));
        assert_eq!(quoted(&"x".repeat(5_000)), "(a text of 5000 bytes)");
    }

    #[test]
    fn masking_keeps_what_it_is_told_to() {
        assert_eq!(masked("4111 1111 1111 1234", 0, 4), "**** **** **** 1234");
        assert_eq!(masked("ghp_abcdef", 4, 0), "ghp_******");
        assert_eq!(masked("", 4, 4), "");
    }

    #[test]
    fn names_have_the_article_that_people_say() {
        for (name, expected) in [
            ("IBAN", "an IBAN"),
            ("NHS number", "an NHS number"),
            ("US taxpayer number", "a US taxpayer number"),
            ("AWS access key", "an AWS access key"),
            ("card number", "a card number"),
        ] {
            assert_eq!(with_article(name), expected);
        }
    }
}
