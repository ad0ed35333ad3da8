//! What differs between two answers, word by word.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// Words of one answer that are compared: the work grows with their product.
const MAX_WORDS: usize = 3_000;

/// A run of words that came, went or stayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = AnswerChange))]
pub struct Change {
    /// `equal`, `delete` or `insert`.
    pub op: &'static str,
    /// The words, with the space between them.
    pub text: String,
}

/// Compares two answers; `None` when one is too long for it. Joined, what is equal or inserted is `last`.
pub fn changes(first: &str, last: &str) -> Option<Vec<Change>> {
    let words = |text: &str| text.split_whitespace().take(MAX_WORDS + 1).count();
    if words(first) > MAX_WORDS || words(last) > MAX_WORDS {
        return None;
    }
    let diff = TextDiff::from_words(first, last);
    let mut found: Vec<Change> = Vec::new();
    for change in diff.iter_all_changes() {
        let op = match change.tag() {
            ChangeTag::Equal => "equal",
            ChangeTag::Delete => "delete",
            ChangeTag::Insert => "insert",
        };
        match found.last_mut().filter(|last| last.op == op) {
            Some(last) => last.text.push_str(change.value()),
            None => found.push(Change {
                op,
                text: change.value().to_owned(),
            }),
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_go_and_stay() {
        let found = changes("It opened in 1932.", "It opened in 1931, they say.").unwrap();
        let last: String = found
            .iter()
            .filter(|change| change.op != "delete")
            .map(|change| change.text.as_str())
            .collect();
        assert_eq!(last, "It opened in 1931, they say.");
        assert_eq!(
            (found[0].op, found[0].text.as_str()),
            ("equal", "It opened in ")
        );
        assert!(
            found
                .iter()
                .any(|change| change.op == "delete" && change.text == "1932.")
        );
        assert_eq!(changes("", "").unwrap(), []);
        assert_eq!(changes(&"a ".repeat(3_001), "a"), None);
    }
}
