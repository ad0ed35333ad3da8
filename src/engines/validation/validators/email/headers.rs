//! Whether a text that becomes a header would end it, or start another one.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

/// Names of headers that can follow a smuggled line break.
const HEADER: &str = concat!(
    r"(?i)\n[ \t]*(?:to|b?cc|from|sender|subject|date|reply-to|return-path|message-id|received",
    r"|mime-version|(?:content|list|resent|x)-[a-z0-9-]{1,60})[ \t]*:|\n[ \t]*\n",
);
/// A line break as escapes write it: of URLs, once or twice encoded; of programs; of html.
const ESCAPED: &str = concat!(
    r"(?i)%(?:25)?0[ad]|\\[rn]|\\x0[ad]|\\u000[ad]|&#(?:0*1[03]|x0*[ad]);?|&newline;",
    // Two characters whose low bytes are a line break, for programs that cut them.
    "|\u{560d}\u{560a}",
);
/// A word of RFC 2047.
const ENCODED_WORD: &str = r"=\?[^? ]{1,40}\?([QqBb])\?([^? ]{0,500})\?=";

struct Patterns {
    header: Regex,
    escaped: Regex,
    encoded_word: Regex,
}

// A test holds that the patterns compile.
static COMPILED: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Some(Patterns {
        header: Regex::new(HEADER).ok()?,
        escaped: Regex::new(ESCAPED).ok()?,
        encoded_word: Regex::new(ENCODED_WORD).ok()?,
    })
});

/// Says how `text` would break out of its header, if it would.
pub(super) fn injection(text: &str) -> Option<&'static str> {
    if text.chars().any(breaks) {
        return Some("holds a line break or another control character");
    }
    let suspect = |byte: u8| matches!(byte, b'%' | b'\\' | b'&' | b'=' | 0x80..);
    let patterns = COMPILED.as_ref().filter(|_| text.bytes().any(suspect))?;
    for word in patterns.encoded_word.captures_iter(text) {
        let (Some(form), Some(coded)) = (word.get(1), word.get(2)) else {
            continue;
        };
        if decoded(form.as_str(), coded.as_str())
            .iter()
            .any(|byte| matches!(byte, 0..=8 | 10..=31))
        {
            return Some("holds a line break in an encoded word");
        }
    }
    let plain = patterns.escaped.replace_all(text, "\n");
    patterns
        .header
        .is_match(&plain)
        .then_some("holds an escaped line break with a header after it")
}

fn breaks(c: char) -> bool {
    c.is_control() && c != '\t' || matches!(c, '\u{2028}' | '\u{2029}')
}

fn decoded(form: &str, coded: &str) -> Vec<u8> {
    if form.eq_ignore_ascii_case("b") {
        return STANDARD.decode(coded).unwrap_or_default();
    }
    let bytes = coded.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let coded = coded.get(at + 1..at + 3).filter(|_| byte == b'=');
        match coded.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_are_found_in_each_form() {
        for text in [
            "x\r\nBcc: a@evil.io",
            "x\u{2028}y",
            "x\u{85}y",
            "x\0y",
            "x%0d%0aBcc: a@evil.io",
            "x%0ABcc:a@evil.io",
            "x%250d%250aBcc: a@evil.io",
            r"x\r\nBcc: a@evil.io",
            r"x\u000aCc: a@evil.io",
            "x&#10;Bcc: a@evil.io",
            "x&#x0D;&#x0A;Content-Type: text/html",
            "x%0d%0a%0d%0a<script>",
            "x\u{560d}\u{560a}Bcc: a@evil.io",
            "=?utf-8?Q?x=0D=0ABcc:_a@evil.io?=",
            "=?UTF-8?b?eA0KQmNjOiBhQGV2aWwuaW8=?=",
        ] {
            assert!(injection(text).is_some(), "{text:?}");
        }
        for text in [
            "tab\tand accents \u{e9} are fine",
            "=?utf-8?Q?caf=C3=A9?= at 10%, R&D = fun",
            "50%0a day", // no header follows
            r"C:\new\report: final",
            "Re: a & b: c",
            "\u{560d} alone",
        ] {
            assert_eq!(injection(text), None, "{text:?}");
        }
    }
}
