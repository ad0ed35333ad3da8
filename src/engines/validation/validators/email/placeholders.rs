//! What a template left behind.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{MAX_PER_RULE, rules};
use crate::engines::validation::shown::quoted;
use crate::types::validation::Finding;

/// One form of placeholder per line, by the template languages that write it.
const PATTERNS: &[&str] = &[
    // Handlebars, Jinja, Liquid, Mustache; Jinja's statements.
    r"\{\{[^{}]{0,100}\}\}|\{%[^{}]{1,100}%\}",
    // Shell, JavaScript, Freemarker.
    r"[$#]\{[^{}]{1,100}\}",
    // Python's format strings.
    r"\{[A-Za-z_][A-Za-z0-9_. -]{0,40}\}",
    // ERB, JSP, EJS.
    r"<%.{0,200}?%>",
    // Mailchimp; merge fields of word processors; environment variables.
    r"\*\|[A-Z_:0-9]{2,40}\|\*|%[A-Z][A-Z0-9]*_[A-Z0-9_]+%",
    r"<<[A-Za-z_][A-Za-z0-9_ ]{0,40}>>|«[^«»]{1,40}»",
    // What models write when a value is missing.
    r"\[[A-Z][A-Z_ ]{1,40}\]",
    concat!(
        r"(?i)\[(?:your|insert|enter|add|recipient|sender|company|client|candidate|employee|worker",
        r"|manager|customer|contact|first|last|full|job|position|role|date|time|start|end|name",
        r"|title|phone|email|address|link|location|city|amount)(?:['’]s)?",
        r"(?:[ _/-][^\]\[\n]{0,40})?\]",
    ),
    r"\b(?:TODO|FIXME|XXX+)\b",
    r"(?i)\blorem\s+ipsum\b",
];

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

// A test holds that every pattern compiles, so none is left out here.
static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    PATTERNS
        .iter()
        .filter_map(|pattern| Regex::new(pattern).ok())
        .collect()
});

/// Adds the placeholders in a text, in order.
pub(super) fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for span in find(text).into_iter().take(MAX_PER_RULE) {
        let shown = quoted(text.get(span.clone()).unwrap_or_default());
        let message = format!("unresolved placeholder {shown} at byte {}", span.start);
        let suggestion = Some("put the value there, or leave the phrase out".to_owned());
        findings.push(rules::PLACEHOLDER.suggesting(path, message, suggestion));
    }
}

fn find(text: &str) -> Vec<Range<usize>> {
    let all = COMPILED.iter().flat_map(|pattern| pattern.find_iter(text));
    let mut all: Vec<Range<usize>> = all
        .filter(|found| {
            let inner = found.as_str().trim_matches(['[', ']']);
            // `[text](address)` is a link.
            let linked = text
                .get(found.end()..)
                .is_some_and(|rest| rest.starts_with('('));
            !(found.as_str().starts_with('[') && (linked || TAGS.contains(&inner)))
        })
        .map(|found| found.range())
        .collect();
    all.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut found: Vec<Range<usize>> = Vec::new();
    for span in all {
        if found.last().is_none_or(|last| last.end <= span.start) {
            found.push(span);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|span| &text[span]).collect()
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(COMPILED.len(), PATTERNS.len());
    }

    #[test]
    fn placeholders_of_each_language_are_found() {
        let each = [
            "{{name}}",
            "{{ user.first }}",
            "{{}}",
            "{% if x %}",
            "${name}",
            "#{name}",
            "{name}",
            "{first_name}",
            "<%= name %>",
            "<% if x %>",
            "*|FNAME|*",
            "<<first name>>",
            "«Name»",
            "%FIRST_NAME%",
            "[NAME]",
            "[YOUR NAME]",
            "[FIRST_NAME]",
            "[Your Name]",
            "[name]",
            "[insert date here]",
            "[Company's name]",
            "[Date]",
            "TODO",
            "XXX",
            "XXXX",
            "FIXME",
            "Lorem ipsum",
            "lorem\nipsum",
        ];
        for placeholder in each {
            let text = format!("Dear {placeholder}, welcome.");
            assert_eq!(found(&text), [placeholder], "{text}");
        }
        assert_eq!(
            found("{{a}} ${b} {c} [NAME]"),
            ["{{a}}", "${b}", "{c}", "[NAME]"]
        );
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        let quiet = [
            "[EXTERNAL] your shift, [1] and [2], [sic], [a-z], [CASE 4711], [JIRA-12]",
            "[Your account](https://x.com) and [NAME](https://x.com)",
            "{1, 2}, {}, f(x) { return 1; }, p{color:red}, {\"a\": 1}, 100% of 50%, $5 {",
            "size XXL, todo list, Todos los d\u{ed}as, a < b % c > d, <<<, [namespace], [timely]",
        ];
        for text in quiet {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
