//! What html does besides saying something: hiding, running, asking, fetching.

use memchr::{memchr2_iter, memchr3_iter};

use super::html::Page;
use super::links::{self, Judge};
use super::rules;
use crate::engines::validation::Rule;
use crate::engines::validation::shown::quoted;
use crate::types::plain::counted;
use crate::types::validation::Finding;

/// Examples named in one finding.
const MAX_EXAMPLES: usize = 5;

/// Adds what is wrong with a page; a finding for each rule, since one template repeats itself.
pub(super) fn check(path: &str, page: &Page, judge: &Judge<'_>, findings: &mut Vec<Finding>) {
    let mut add = |rule: Rule, message: String, suggestion: &str| {
        findings.push(rule.suggesting(path, message, Some(suggestion.to_owned())));
    };
    if page.cut {
        let message = "a tag of more than 4096 parts; what follows it was not read".to_owned();
        add(rules::HTML_ACTIVE, message, "write plain html");
    }
    if !page.active.is_empty() {
        let message = format!(
            "html that runs or embeds something: {}",
            examples(&page.active)
        );
        add(
            rules::HTML_ACTIVE,
            message,
            "leave it out; mail programs drop it, filters drop the mail",
        );
    }
    if !page.forms.is_empty() {
        let message = format!("a form: {}", examples(&page.forms));
        add(
            rules::HTML_FORM,
            message,
            "link to a page that has the form",
        );
    }
    if let Some((why, _)) = page.hidden.first() {
        let texts: Vec<&str> = page.hidden.iter().map(|(_, text)| text.as_str()).collect();
        let message = format!("text hidden by {why}: {}", examples(&texts));
        add(rules::HIDDEN_TEXT, message, "show it, or leave it out");
    }
    let remote = |address: &&str| {
        let start: String = address
            .chars()
            .take(8)
            .flat_map(char::to_lowercase)
            .collect();
        ["http://", "https://", "//"]
            .iter()
            .any(|scheme| start.starts_with(scheme))
    };
    let images = page.images.iter();
    let pixels: Vec<&str> = images
        .clone()
        .filter(|image| image.invisible)
        .map(|image| image.source.as_str())
        .filter(remote)
        .collect();
    if !pixels.is_empty() {
        let message = format!(
            "an image that nobody sees tells who opened: {}",
            hosts(&pixels)
        );
        add(rules::TRACKING, message, "leave it out");
    }
    let seen = images
        .filter(|image| !image.invisible)
        .map(|image| image.source.as_str());
    let fetched: Vec<&str> = seen
        .chain(page.remote.iter().map(String::as_str))
        .filter(remote)
        .collect();
    if !fetched.is_empty() {
        let message = format!(
            "fetches {} when it is opened: {}",
            fetched.len(),
            hosts(&fetched)
        );
        add(
            rules::REMOTE_CONTENT,
            message,
            "attach it, and name it by cid:",
        );
    }
    links::check_page(path, page, judge, findings);
}

fn examples<T: AsRef<str>>(texts: &[T]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for text in texts {
        let text = quoted(text.as_ref());
        if shown.len() < MAX_EXAMPLES && !shown.contains(&text) {
            shown.push(text);
        }
    }
    shown.join(", ")
}

fn hosts(addresses: &[&str]) -> String {
    let hosts = addresses.iter().take(100).map(|address| {
        let rest = address
            .split_once("//")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    });
    examples(&hosts.collect::<Vec<_>>())
}

/// Adds what no reader sees in plain text, or what makes him see another one.
pub(super) fn check_invisible(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if !may_hide(text) {
        return;
    }
    let (mut count, mut first) = (0_usize, None);
    let mut before = ' ';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map_or(' ', |(_, c)| *c);
        let hides = match c {
            // Between Latin letters they split words that filters look for.
            '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{180e}' | '\u{34f}' => {
                before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric()
            }
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
            // Letters that only machines read; after a black flag they name a country.
            '\u{e0000}'..='\u{e007f}' => before != '\u{1f3f4}',
            _ => false,
        };
        if hides {
            count += 1;
            first.get_or_insert((c, at));
        }
        // Runs of tags and of joiners are judged by what stands before the run.
        if !matches!(c, '\u{e0000}'..='\u{e007f}' | '\u{200b}'..='\u{200d}') {
            before = c;
        }
    }
    if let Some((c, at)) = first {
        let message = format!(
            "{} that nobody sees, the first is U+{:04X} at byte {at}",
            counted(count, "character"),
            u32::from(c)
        );
        let suggestion = Some("leave them out".to_owned());
        findings.push(rules::HIDDEN_TEXT.suggesting(path, message, suggestion));
    }
}

/// Whether a text has the first bytes of a character that nobody sees.
fn may_hide(text: &str) -> bool {
    let bytes = text.as_bytes();
    let begins = |at: usize| match bytes.get(at..at + 2) {
        // U+200B to U+2069, as do dashes and quotes, which differ in their third byte.
        Some([0xe2, 0x80]) => matches!(bytes.get(at + 2), Some(0x8b..=0x8d | 0xaa..=0xae)),
        Some([0xe2, 0x81]) => matches!(bytes.get(at + 2), Some(0xa0 | 0xa6..=0xa9)),
        Some(pair) => matches!(
            pair,
            [0xcd, 0x8f] | [0xe1, 0xa0] | [0xef, 0xbb] | [0xf3, 0xa0]
        ),
        None => false,
    };
    memchr3_iter(0xe2, 0xef, 0xf3, bytes).any(begins) || memchr2_iter(0xcd, 0xe1, bytes).any(begins)
}

/// Adds a finding if html and plain text say different things.
pub(super) fn check_differs(body: &str, page: &Page, findings: &mut Vec<Finding>) {
    /// Fewer words share too few by chance; with fewer still, numbers are about other things.
    const MIN_WORDS: usize = 8;
    const MIN_WORDS_FOR_NUMBERS: usize = 3;
    let (plain, rich) = (Words::of(body), Words::of(&page.text));
    let lacks = |numbers: &[String], other: &Words| -> Vec<String> {
        numbers
            .iter()
            .filter(|number| !other.numbers.contains(number))
            .cloned()
            .collect()
    };
    let only_plain = lacks(&plain.numbers, &rich);
    let only_rich = lacks(&rich.numbers, &plain);
    let shared = rich
        .words
        .iter()
        .filter(|word| plain.words.binary_search(word).is_ok())
        .count();
    let fewer = plain.words.len().min(rich.words.len());
    let message =
        if fewer >= MIN_WORDS_FOR_NUMBERS && !only_plain.is_empty() && !only_rich.is_empty() {
            format!(
                "html says {} where the body says {}",
                examples(&only_rich),
                examples(&only_plain)
            )
        } else if fewer >= MIN_WORDS && shared * 2 < fewer {
            format!("html and body share {shared} of {fewer} words")
        } else {
            return;
        };
    let suggestion = Some("say the same in both".to_owned());
    findings.push(rules::HTML_DIFFERS.suggesting("/html", message, suggestion));
}

/// Different words and numbers of a text, each sorted.
struct Words {
    words: Vec<String>,
    numbers: Vec<String>,
}

impl Words {
    fn of(text: &str) -> Self {
        // Addresses are often behind a word in html.
        let spoken = text.split_whitespace().filter(|word| !word.contains("://"));
        let parts = spoken.flat_map(|word| {
            let outer = |c: char| !c.is_alphanumeric();
            word.trim_matches(outer)
                .split(['/', '-', '\u{2013}', '\u{2014}'])
        });
        let (mut words, mut numbers) = (Vec::new(), Vec::new());
        for part in parts.filter(|part| !part.is_empty()) {
            let part = part.to_lowercase();
            let list = if part.contains(|c: char| c.is_ascii_digit()) {
                &mut numbers
            } else {
                &mut words
            };
            list.push(part);
        }
        for list in [&mut words, &mut numbers] {
            list.sort_unstable();
            list.dedup();
        }
        Self { words, numbers }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engines::validation::validators::email::html;

    fn invisible(text: &str) -> bool {
        let mut findings = Vec::new();
        check_invisible("/body", text, &mut findings);
        !findings.is_empty()
    }

    #[test]
    fn characters_that_hide_are_told_from_those_of_scripts_and_emoji() {
        for text in [
            "pass\u{200b}word",
            "a\u{202e}b",
            "hi\u{e0041}\u{e0042}",
            "a\u{feff}b",
            "a\u{200b}\u{200b}b",
        ] {
            assert!(invisible(text), "{text:?}");
        }
        for text in [
            "\u{feff}Dear Ana",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} caf\u{e9}",
            "\u{646}\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} flag",
            "soft\u{ad}hyphen",
        ] {
            assert!(!invisible(text), "{text:?}");
        }
    }

    proptest! {
        /// Around each character that could hide.
        #[test]
        fn what_hides_is_never_passed_over(
            text in "[a\u{e9}\u{34e}-\u{350}\u{180d}-\u{180f}\u{200a}-\u{2070}\u{fefe}-\u{ff00}\u{dffff}-\u{e0081}]{1,6}",
        ) {
            let hides = text.chars().any(|c| matches!(c,
                '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'));
            prop_assert!(may_hide(&text) || !hides, "{text:?}");
        }
    }

    #[test]
    fn html_that_says_something_else_is_found() {
        let differs = |body: &str, html: &str| {
            let mut findings = Vec::new();
            check_differs(body, &html::read(html), &mut findings);
            !findings.is_empty()
        };
        let body = "Dear Ana, your shift starts at 06:00 on March 2 at the north gate.";
        for (html, expected) in [
            (
                "<p>Dear Ana,</p>your shift starts at <b>06:00</b> on March 2 at the north gate.",
                false,
            ),
            ("<p>see this</p>", false),
            (
                "Dear Ana, your shift starts at 07:00 on March 2 at the north gate.",
                true,
            ),
            (
                "<i>Congratulations, winner! Click below to claim the prize that waits</i>",
                true,
            ),
            (
                "Dear Ana, your shift starts at 06:00 on March 2 at the north gate. Call 555.",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(differs(body, html), expected, "{html}");
        }
    }
}
