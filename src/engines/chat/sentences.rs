//! Sentences of a text, and which of them speak of the same things as another text.

use std::collections::BTreeSet;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

/// Words with a period that ends no sentence, lowercase.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "e.g", "i.e", "cf", "al",
    "fig", "no", "vol", "inc", "ltd", "co", "corp", "u.s", "u.k", "jan", "feb", "mar", "apr",
    "aug", "sep", "sept", "oct", "nov", "dec", "approx",
];

/// Words that say nothing about what a text speaks of, lowercase.
pub(in crate::engines) const STOP_WORDS: &[&str] = &[
    "a", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but",
    "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her",
    "his", "how", "i", "if", "in", "is", "it", "its", "many", "may", "me", "much", "my", "no",
    "not", "of", "on", "or", "our", "please", "she", "should", "so", "some", "tell", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "up",
    "us", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why",
    "will", "with", "would", "you", "your", "isn", "aren", "wasn", "don", "doesn", "didn",
];

/// Splits a text into its sentences, trimmed and never empty.
pub fn sentences(text: &str) -> Vec<&str> {
    pieces(text)
        .into_iter()
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
        .collect()
}

/// Splits the prose of a Markdown text into its sentences: without fenced code, and without lines
/// that are commands or data.
pub(super) fn prose(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = begins_fenced(text);
    let mut continued = false;
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let fence = fence(line);
        let code = fenced || fence.is_some() || continued || is_command(line) || is_data(line);
        continued = code && fence.is_none() && line.trim_end().ends_with('\\');
        fenced ^= fence.is_some();
        if code {
            found.extend(sentences(&text[start..at]));
            start = at + line.len();
        }
        at += line.len();
    }
    found.extend(sentences(&text[start..]));
    found
}

/// What follows the mark of a line that opens or closes fenced code.
fn fence(line: &str) -> Option<&str> {
    let line = line.trim();
    let rest = line
        .strip_prefix("```")
        .map(|rest| rest.trim_start_matches('`'))
        .or_else(|| line.strip_prefix("~~~"))?;
    // Backticks later on make it code within a line of prose.
    (!rest.contains('`')).then_some(rest)
}

/// Whether a passage was cut out of its document in the middle of fenced code: only then does a mark
/// that names a language, which always opens, stand where one should close.
fn begins_fenced(text: &str) -> bool {
    let marks = text.lines().filter_map(fence);
    marks
        .enumerate()
        .any(|(at, language)| at % 2 == 1 && !language.is_empty())
}

/// Whether a line is a command of a shell: it has a prompt, or begins with a program's name and goes
/// on as no sentence does.
fn is_command(line: &str) -> bool {
    const PROGRAMS: &[&str] = &[
        "apt",
        "apt-get",
        "boathouse",
        "brew",
        "cargo",
        "cat",
        "cd",
        "chmod",
        "cp",
        "curl",
        "docker",
        "export",
        "git",
        "kubectl",
        "ls",
        "make",
        "mkdir",
        "mv",
        "node",
        "npm",
        "npx",
        "pip",
        "pip3",
        "python",
        "python3",
        "rm",
        "rustup",
        "sh",
        "ssh",
        "sudo",
        "systemctl",
        "tar",
        "uv",
        "wget",
        "yarn",
    ];
    let line = line.trim();
    if line.starts_with("$ ") || line.starts_with("./") {
        return true;
    }
    let Some((program, rest)) = line.split_once(' ') else {
        return false;
    };
    let option = |word: &str| {
        let name = word.trim_start_matches('-');
        name.len() < word.len() && !name.starts_with(|sign: char| !sign.is_ascii_alphanumeric())
    };
    let joins = |word: &str| matches!(word, "|" | "&&" | ">" | ">>" | "\\");
    PROGRAMS.contains(&program)
        && !line.ends_with(['.', '?', '!', ':', ',', ';'])
        && rest
            .split(' ')
            .any(|word| option(word) || joins(word) || word.contains('/'))
}

/// Whether a line is a JSON value.
fn is_data(line: &str) -> bool {
    let line = line.trim_start();
    ["{\"", "[{", "[\""]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Splits a text after each sentence; joined, the pieces are the text again.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut next = 0;
    for (at, sign) in text.char_indices() {
        if at < next {
            continue;
        }
        let after = at + sign.len_utf8();
        let end = match sign {
            '.' | '!' | '?' | '…' => after_stop(text, start, at, after),
            '。' | '！' | '？' => Some(closed(text, after)),
            '\n' => starts_anew(&text[after..]).then_some(after),
            _ => None,
        };
        if let Some(end) = end {
            let rest = &text[end..];
            next = end + (rest.len() - rest.trim_start().len());
            found.push(&text[start..next]);
            start = next;
        }
    }
    if start < text.len() {
        found.push(&text[start..]);
    }
    found
}

/// Where the sentence ends whose stop stands at `at`, if one ends there.
fn after_stop(text: &str, start: usize, at: usize, after: usize) -> Option<usize> {
    let end = closed(text, after);
    let rest = &text[end..];
    if rest.is_empty() {
        return Some(end);
    }
    let follower = rest.trim_start();
    if follower.len() == rest.len() || follower.starts_with(char::is_lowercase) {
        return None;
    }
    let word = text[start..at]
        .rsplit(|sign: char| sign.is_whitespace() || sign == '(')
        .next();
    let word = word.unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let abbreviated = initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str());
    (!(text[at..].starts_with('.') && abbreviated)).then_some(end)
}

/// Skips further stops, closing quotes and brackets, and footnote marks such as `[3]`.
fn closed(text: &str, mut end: usize) -> usize {
    loop {
        let rest = &text[end..];
        let closer = rest.chars().next().filter(|sign| {
            matches!(
                sign,
                '.' | '!' | '?' | '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」'
            )
        });
        if let Some(closer) = closer {
            end += closer.len_utf8();
            continue;
        }
        let mark = rest
            .strip_prefix('[')
            .and_then(|inner| inner.split_once(']'));
        match mark {
            Some((digits, _))
                if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                end += digits.len() + 2;
            }
            _ => return end,
        }
    }
}

/// Whether a line begins something new: a blank line, a list item, a heading, a table row.
fn starts_anew(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    let numbered = line.trim_start_matches(|sign: char| sign.is_ascii_digit());
    line.starts_with(['\n', '\r', '#', '|', '•'])
        || line.starts_with("- ")
        || line.starts_with("* ")
        || (numbered.len() < line.len()
            && (numbered.starts_with(". ") || numbered.starts_with(") ")))
}

/// Returns the stems of the words that say what a text speaks of.
pub(super) fn stems(text: &str) -> BTreeSet<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.unicode_words()
        // An apostrophe's tail is no part of the word.
        .map(|word| {
            word.split(['\'', '’'])
                .next()
                .unwrap_or_default()
                .to_lowercase()
        })
        .filter(|word| !word.is_empty() && !STOP_WORDS.contains(&word.as_str()))
        .map(|word| stemmer.stem(&word).into_owned())
        .collect()
}

/// Returns the sentence of `text` that shares most with `claim`; the first when none does.
pub(super) fn closest<'a>(text: &'a str, claim: &str) -> &'a str {
    let wanted = stems(claim);
    let mut best = ("", -1.0);
    for sentence in sentences(text) {
        let own = stems(sentence);
        let shared = own.intersection(&wanted).count() as f64;
        // Of two that share as much, the shorter says it more plainly.
        let score = shared / (8.0 + own.len() as f64);
        if score > best.1 {
            best = (sentence, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_end_where_readers_see_them_end() {
        for (text, expected) in [
            (
                "One. Two! Three? Four",
                vec!["One.", "Two!", "Three?", "Four"],
            ),
            (
                "Dr. Smith met J. R. Tolkien. They ate.",
                vec!["Dr. Smith met J. R. Tolkien.", "They ate."],
            ),
            (
                "It grew by 3.5 % in the U.S. Congress noted it.",
                vec!["It grew by 3.5 % in the U.S. Congress noted it."],
            ),
            (
                "See e.g. the river. \"Why?\" he asked.",
                vec!["See e.g. the river.", "\"Why?\" he asked."],
            ),
            (
                "The end (really.) Next one.[3] Last.",
                vec!["The end (really.)", "Next one.[3]", "Last."],
            ),
            (
                "wrapped\nline here.\n\nTitle\n- item a\n- item b",
                vec!["wrapped\nline here.", "Title", "- item a", "- item b"],
            ),
            (
                "これは船です。川にあります。",
                vec!["これは船です。", "川にあります。"],
            ),
            ("", vec![]),
            (" \n ", vec![]),
        ] {
            assert_eq!(sentences(text), expected, "{text}");
        }
    }

    #[test]
    fn code_is_no_prose() {
        for (text, expected) in [
            (
                "Start it.\n```console\n$ cargo run\nIt ran well.\n```\nThen stop it.",
                vec!["Start it.", "Then stop it."],
            ),
            (
                "Start it:\n\n$ cargo run --release\n\nThen\nstop it.",
                vec!["Start it:", "Then\nstop it."],
            ),
            (
                "Ask:\ncurl -s 127.0.0.1/v1/chat \\\n  -H 'a: b' \\\n  -d '{}'\nIt answers.",
                vec!["Ask:", "It answers."],
            ),
            // Cut out of a document: the code's end, and the next code's beginning.
            (
                "let x = 1;\n```\nIt floats.\n```rust\nlet y = 2;",
                vec!["It floats."],
            ),
            ("It floats.\n~~~\nlet y = 2;", vec!["It floats."]),
            ("{\"id\": \"ferry\"}\nIt floats.", vec!["It floats."]),
            // Prose that only begins as a command does.
            (
                "Use it to\nmake the boat, and\ncargo is loaded at --noon.",
                vec!["Use it to\nmake the boat, and\ncargo is loaded at --noon."],
            ),
            (
                "```cargo run``` starts it.",
                vec!["```cargo run``` starts it."],
            ),
            ("- item - with a dash", vec!["- item - with a dash"]),
            ("```\nonly code\n```", vec![]),
        ] {
            assert_eq!(prose(text), expected, "{text}");
        }
    }

    #[test]
    fn stems_ignore_form_and_filler() {
        let found: Vec<String> = stems("What do the Wiccans worship? It's worshipped.")
            .into_iter()
            .collect();
        assert_eq!(found, ["wiccan", "worship"]);
    }

    #[test]
    fn the_closest_sentence_shares_most() {
        let text = "Boats float. The blue boat lies at the northern pier. Rain falls.";
        assert_eq!(
            closest(text, "It is at the northern pier [1]."),
            "The blue boat lies at the northern pier."
        );
        assert_eq!(closest("", "x"), "");
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_text(text in "([a-zA-Z .!?…。\\[\\]0-9\n\"'ä-]|\\PC){0,80}") {
            prop_assert_eq!(pieces(&text).concat(), text);
        }
    }
}
