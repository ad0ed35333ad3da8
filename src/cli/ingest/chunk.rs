//! Cuts documents into passages: at headings and blank lines, up to a size that a search hit should have.

/// Largest passage, bytes; about 200 tokens.
const MAX_BYTES: usize = 900;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    /// The nearest heading above; empty without one.
    pub(super) heading: String,
    /// The text, trimmed.
    pub(super) text: String,
}

/// Cuts Markdown or plain text. Fenced code stays in one piece where it fits.
pub(super) fn passages(document: &str) -> Vec<Passage> {
    let mut found = Vec::new();
    let mut heading = String::new();
    let mut text = String::new();
    let mut fenced = false;
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let title = line.trim_start_matches('#');
        if !fenced && title.len() < line.len() && title.starts_with(' ') {
            push(&mut found, &heading, &mut text);
            heading = title.trim().to_owned();
            continue;
        }
        let blank = line.trim().is_empty();
        if blank && !fenced && text.len() >= MAX_BYTES / 2 {
            push(&mut found, &heading, &mut text);
            continue;
        }
        if text.len() + line.len() > MAX_BYTES {
            push(&mut found, &heading, &mut text);
        }
        let mut rest = line;
        while rest.len() > MAX_BYTES {
            let (head, tail) = rest.split_at(cut(rest));
            text.push_str(head);
            push(&mut found, &heading, &mut text);
            rest = tail;
        }
        text.push_str(rest);
        text.push('\n');
    }
    push(&mut found, &heading, &mut text);
    found
}

/// Where a long line is cut: after a sentence, else at a space, else at a character.
fn cut(line: &str) -> usize {
    let end = line.floor_char_boundary(MAX_BYTES);
    let head = &line[..end];
    let sentence = head.rfind(". ").map(|at| at + 2);
    let space = head.rfind(' ').map(|at| at + 1);
    sentence
        .filter(|at| *at > end / 3)
        .or(space)
        .filter(|at| *at > 0)
        .unwrap_or(end)
}

fn push(found: &mut Vec<Passage>, heading: &str, text: &mut String) {
    let trimmed = text.trim();
    if trimmed.chars().any(char::is_alphanumeric) {
        found.push(Passage {
            heading: heading.to_owned(),
            text: trimmed.to_owned(),
        });
    }
    text.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_cut_and_name() {
        let found = passages("intro\n\n# One\nfirst\n## Two\nsecond\n\n```\n# no heading\n```\n");
        let seen: Vec<_> = found
            .iter()
            .map(|one| (one.heading.as_str(), one.text.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                ("", "intro"),
                ("One", "first"),
                ("Two", "second\n\n```\n# no heading\n```")
            ]
        );
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_too_long() {
        let word = "wörd ";
        let long = word.repeat(2_000);
        let unbroken = "ü".repeat(3_000);
        for document in [long.as_str(), unbroken.as_str(), "a\n\nb\n\nc"] {
            let found = passages(document);
            assert!(found.iter().all(|one| one.text.len() <= MAX_BYTES + 1));
            let kept: String = found.iter().flat_map(|one| one.text.chars()).collect();
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
            assert_eq!(letters(&kept), letters(document));
        }
        assert!(passages("\n\n---\n").is_empty());
    }
}
