//! What a template left behind.
//!
//! A pass over the bytes looks for what placeholders begin with; only there are patterns tried, on
//! a few hundred bytes, so that the cost is that of the text's length.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{MAX_PER_RULE, rules};
use crate::engines::validation::needles::Needles;
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// Longest placeholder, in bytes.
const MAX_BYTES: usize = 256;

/// Forms by their first byte, with the template languages that write them.
const PATTERNS: &[(u8, &str)] = &[
    // Handlebars, Jinja, Liquid, Mustache with its sections; Jinja's and Liquid's statements;
    // Salesforce; Python's format strings.
    (
        b'{',
        concat!(
            r"^(?:\{\{\{?[^{}]{0,120}\}\}\}?|\{%[^{}]{1,120}%\}|\{\{%[^{}]{1,120}%\}\}|\{!\$?[A-Za-z][^{}]{0,120}\}",
            r"|\{[A-Za-z_][A-Za-z0-9_. -]{0,40}\})",
        ),
    ),
    // Shell, JavaScript, Freemarker; Ruby, Thymeleaf.
    (b'$', r"^\$\{[^{}]{1,120}\}"),
    (b'#', r"^#\{[^{}]{1,120}\}"),
    // ERB, JSP, EJS; merge fields of word processors; what people write for others to fill in.
    (
        b'<',
        concat!(
            r"^(?:<%[^%]{0,200}%>|<<[A-Za-z_][A-Za-z0-9_ .]{0,40}>>",
            r"|<(?i:(?:your|insert|enter|add|recipient|sender|company|client|candidate|employee|worker",
            r"|manager|customer|first|last|full)[ _-][a-z _-]{1,40})>)",
        ),
    ),
    (0xc2, r"^\x{ab}[^\x{ab}\x{bb}\n]{1,40}\x{bb}"),
    // Mailchimp.
    (b'*', r"^\*\|[A-Za-z_:0-9=-]{2,60}\|\*"),
    // Environment variables, Mailgun, AMPscript; Python's and C's formats; an encoded `{{ }}`.
    (
        b'%',
        concat!(
            r"^(?:%[A-Z][A-Z0-9]*_[A-Z0-9_]+%|%(?:recipient|contact|user|subscriber)\.[a-z_.]{1,40}%",
            r"|%%=?[A-Za-z_][^%\n]{0,60}%%|%\([A-Za-z_][A-Za-z0-9_]{0,40}\)[a-z]|%[sd]\b",
            r"|%7[Bb]%7[Bb].{1,80}?%7[Dd]%7[Dd])",
        ),
    ),
    // What models write when a value is missing; JavaScript's.
    (
        b'[',
        concat!(
            r"^(?:\[[A-Z][A-Z_ ]{1,40}\]|\[\[[A-Za-z_][A-Za-z0-9_ .]{0,40}\]\]|\[object Object\]",
            r"|\[%[^\]\n]{1,60}%\]",
            r"|\[(?i:your|insert|enter|add|recipient|sender|company|client|candidate|employee|worker",
            r"|manager|customer|contact|first|last|full|job|position|role|date|time|start|end|name",
            r"|title|phone|email|address|link|location|city|amount)(?:['\u{2019}]s)?",
            r"(?:[ _/-][^\]\[\n]{0,40})?\])",
        ),
    ),
];

/// Words that stand for what nobody wrote yet, or that a program wrote for nothing; each pattern with words, in either
/// case, of which every match holds one: most mails hold none of them.
const WORDS: &[(&[&str], &str)] = &[
    (
        &["todo", "fixme", "tbd", "tbc", "xxx", "lorem"],
        concat!(
            r"(?-u:\b)(?:TODO|FIXME|TBD|TBC|XXX+)(?-u:\b)",
            r"|(?-u:\b)(?i-u:lorem)\s+(?i-u:ipsum)(?-u:\b)",
        ),
    ),
    // For a name, as programs write it and nothing else follows: "Thanks, none of this" and "Hi Nan," are people's; for an
    // amount; for the value of a line.
    (
        &["undefined", "null", "nan", "none", "n/a", "invalid date"],
        concat!(
            r"(?-u:\b)(?i-u:dear|hi|hello|hey|greetings|thanks|thank you|welcome|morning|afternoon|evening),?",
            r"[ \t]+(?:undefined|null|NaN|None|N/A)(?:[,.!]|[ \t]*\r?(?m:$))",
            r"|[$\x{20ac}\x{a3}][ ]?(?:NaN|undefined|null)(?-u:\b)|(?-u:\b)Invalid Date(?-u:\b)",
            r"|(?m:^)[ \t]*[A-Z][A-Za-z]*(?:[ \t][A-Za-z]+){0,3}:[ \t]*(?:undefined|null|NaN)[ \t]*\r?(?m:$)",
        ),
    ),
];
/// A greeting of nobody, at the start of a line. "Hi," is one that people write.
const OF_NOBODY: &str = concat!(
    r"^(?i-u:[ \t]*(?:dear(?:[ \t]+(?:mr|mrs|ms|miss|dr)\.?)?[ \t]*[,:!]",
    r"|(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))[ \t]+(?:,|_{2,}|\.{3,})))",
);

/// Words in brackets that mail programs and people put there on purpose.
const TAGS: &[&str] = &[
    "ACTION REQUIRED",
    "AUTO",
    "CONFIDENTIAL",
    "DRAFT",
    "EXT",
    "EXTERNAL",
    "FINAL",
    "FW",
    "FYI",
    "IMPORTANT",
    "INFO",
    "INTERNAL",
    "NEW",
    "OK",
    "OPTIONAL",
    "PDF",
    "PRIVATE",
    "RE",
    "REMINDER",
    "RESOLVED",
    "SECURE",
    "SIC",
    "SPAM",
    "UPDATE",
    "UPDATED",
    "URGENT",
];

/// Words in brackets that a template has for a value, whatever stands around them.
const NAMES_OF_VALUES: &[&str] = &[
    "ADD",
    "ADDRESS",
    "AMOUNT",
    "BRAND",
    "BUSINESS",
    "CANDIDATE",
    "CITY",
    "CLIENT",
    "COMPANY",
    "CONTACT",
    "COUNTRY",
    "CUSTOMER",
    "DATE",
    "DAY",
    "DEPARTMENT",
    "EMAIL",
    "EMPLOYEE",
    "END",
    "ENTER",
    "EVENT",
    "FIRST",
    "FULL",
    "ID",
    "INSERT",
    "INVOICE",
    "JOB",
    "LAST",
    "LINK",
    "LOCATION",
    "MANAGER",
    "MONTH",
    "NAME",
    "NUMBER",
    "ORDER",
    "ORGANISATION",
    "ORGANIZATION",
    "PHONE",
    "POSITION",
    "PRICE",
    "PRODUCT",
    "PROJECT",
    "RECIPIENT",
    "ROLE",
    "SALARY",
    "SENDER",
    "SHIFT",
    "SIGNATURE",
    "SITE",
    "START",
    "STATE",
    "SUBJECT",
    "TEAM",
    "TIME",
    "TITLE",
    "TOPIC",
    "URL",
    "WORKER",
    "YEAR",
    "YOUR",
];
/// What may stand before the tag of a mailing list: marks of replies, and other tags.
const BEFORE_TAG: &str = r"^(?:\s*(?:(?i:re|fwd?|aw|wg)(?:\[\d+\])?:|\[[^\]\[]{1,40}\]))*\s*$";
/// The member whose tags these are.
const SUBJECT: &str = "/subject";

struct Patterns {
    /// By first byte, and the pattern.
    starts: Vec<(u8, Regex)>,
    needles: Needles,
    words: Vec<Regex>,
    of_nobody: Option<Regex>,
    before_tag: Option<Regex>,
}

// A test holds that every pattern compiles, so none is left out here.
static COMPILED: LazyLock<Patterns> = LazyLock::new(|| {
    let starts = PATTERNS.iter();
    let starts = starts.filter_map(|(start, pattern)| Some((*start, Regex::new(pattern).ok()?)));
    let words = WORDS.iter();
    Patterns {
        starts: starts.collect(),
        needles: Needles::new(words.clone().map(|(needles, _)| *needles)),
        words: words
            .filter_map(|(_, word)| Regex::new(word).ok())
            .collect(),
        of_nobody: Regex::new(OF_NOBODY).ok(),
        before_tag: Regex::new(BEFORE_TAG).ok(),
    }
});

/// Adds the placeholders in a text, in order.
pub(super) fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let found = find(text).into_iter();
    let found = found.filter(|span| path != SUBJECT || !is_list_tag(text, span));
    for span in found.take(MAX_PER_RULE) {
        let shown = quoted(text.get(span.clone()).unwrap_or_default().trim());
        let message = format!("unresolved placeholder {shown} at byte {}", span.start);
        let suggestion = Some("put the value there, or leave the phrase out".to_owned());
        findings.push(rules::PLACEHOLDER.suggesting(path, message, suggestion));
    }
}

fn find(text: &str) -> Vec<Range<usize>> {
    let mut all = marked(text);
    let seen = COMPILED.needles.seen(text);
    let words = COMPILED.words.iter().enumerate();
    for (_, word) in words.filter(|(at, _)| seen.has(*at)) {
        // What a pattern needs after the word is no part of the placeholder.
        all.extend(word.find_iter(text).map(|found| {
            let word = found
                .as_str()
                .trim_end_matches([',', '.', '!', ' ', '\t', '\r']);
            found.start()..found.start() + word.len()
        }));
    }
    all.extend(of_nobody(text));
    if all.is_empty() {
        return all;
    }
    let code = code(text);
    all.retain(|span| {
        let next = code.partition_point(|code| code.end <= span.start);
        code.get(next)
            .is_none_or(|code| span.start < code.start || code.end < span.end)
    });
    all.retain(|span| !is_deliberate(text, span));
    all.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut found: Vec<Range<usize>> = Vec::new();
    for span in all {
        if found.last().is_none_or(|last| last.end <= span.start) {
            found.push(span);
        }
    }
    found
}

/// The placeholders that begin with a mark.
fn marked(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(is_mark))
    {
        at += next;
        let pattern = bytes.get(at).and_then(|byte| {
            begins(*byte, bytes.get(at + 1).copied()).then_some(())?;
            COMPILED.starts.iter().find(|(start, _)| start == byte)
        });
        let window = pattern.and_then(|(_, pattern)| {
            let end = text.floor_char_boundary((at + MAX_BYTES).min(text.len()));
            pattern.find(text.get(at..end)?)
        });
        match window {
            Some(hit) => {
                found.push(at..at + hit.end());
                at += hit.end();
            }
            None => at += 1,
        }
    }
    found
}

/// The greetings of nobody.
fn of_nobody(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let first = line.bytes().find(|byte| !matches!(byte, b' ' | b'\t'));
        let greets = matches!(first, Some(b'd' | b'D' | b'g' | b'G' | b'h' | b'H'));
        let pattern = COMPILED.of_nobody.as_ref().filter(|_| greets);
        if let Some(hit) = pattern.and_then(|pattern| pattern.find(line)) {
            found.push(start..start + hit.end());
        }
        start += line.len();
    }
    found
}

fn is_mark(byte: &u8) -> bool {
    matches!(byte, b'{' | b'$' | b'#' | b'<' | b'*' | b'%' | b'[' | 0xc2)
}

/// Whether the second byte lets a placeholder begin here.
fn begins(first: u8, second: Option<u8>) -> bool {
    let Some(second) = second else { return false };
    match first {
        b'$' | b'#' => second == b'{',
        b'*' => second == b'|',
        b'<' => matches!(second, b'%' | b'<') || second.is_ascii_alphabetic(),
        0xc2 => second == 0xab,
        _ => true,
    }
}

/// What looks like a placeholder and was written on purpose.
fn is_deliberate(text: &str, span: &Range<usize>) -> bool {
    let found = text.get(span.clone()).unwrap_or_default();
    let before = text
        .get(..span.start)
        .and_then(|text| text.chars().next_back());
    let after = text.get(span.end..).and_then(|text| text.chars().next());
    let joined =
        before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '\\' | ')' | ']' | '}'));
    match found.as_bytes().first() {
        // `[text](address)` is a link; `list[NAME]` is code.
        Some(b'[') => {
            let inner = found.trim_matches(['[', ']']);
            after == Some('(') || joined || TAGS.contains(&inner)
        }
        // `\\frac{a}`, `f(x){y}`; JSX has objects between two.
        Some(b'{') if found.starts_with("{{") => before == Some('=') && found.contains(':'),
        Some(b'{') => joined,
        Some(b'%') if matches!(found, "%s" | "%d") => {
            before.is_some_and(|c| c.is_alphanumeric() || c == '%')
        }
        // A number with its first digits masked: XXX-XX-1234.
        Some(b'X') => {
            let masks = |c: char| matches!(c, '-' | '*') || c.is_ascii_digit();
            before.is_some_and(masks) || after.is_some_and(masks)
        }
        _ => false,
    }
}

/// Whether it is what a mailing list puts before its subjects, also behind `Re:` and other tags: a word in capitals, such as
/// `[ILUG]`, that names nothing to be filled in.
fn is_list_tag(subject: &str, span: &Range<usize>) -> bool {
    let found = subject.get(span.clone()).unwrap_or_default();
    let word = found
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_tag = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_uppercase()) && !NAMES_OF_VALUES.contains(&word)
    };
    let before = subject.get(..span.start).unwrap_or_default();
    let after = subject.get(span.end..).unwrap_or_default();
    let leads = COMPILED.before_tag.as_ref();
    word.is_some_and(is_tag)
        && leads.is_some_and(|leads| leads.is_match(before))
        && !after.trim().is_empty()
}

/// Fenced blocks and code between backticks of one line: a placeholder there is what it is about.
fn code(text: &str) -> Vec<Range<usize>> {
    const FENCE: &str = "```";
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text
        .get(at..)
        .and_then(|rest| rest.find('`'))
        .map(|next| at + next)
    {
        let rest = text.get(start..).unwrap_or_default();
        let (mark, end) = match rest.starts_with(FENCE) {
            true => (
                FENCE.len(),
                rest.get(FENCE.len()..).and_then(|rest| rest.find(FENCE)),
            ),
            false => {
                let line = rest.lines().next().unwrap_or_default();
                (1, line.get(1..).and_then(|line| line.find('`')))
            }
        };
        match end {
            Some(end) => {
                at = start + mark + end + mark;
                found.push(start..at);
            }
            // What is not closed opens nothing; of a fence, the whole rest was looked through.
            None if mark > 1 => break,
            None => at = start + rest.lines().next().map_or(1, str::len).max(1),
        }
    }
    found
}

#[cfg(test)]
mod tests;
