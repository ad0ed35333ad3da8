//! What an answer claims, sentence by sentence, and what it cites for it.

use std::sync::LazyLock;

use regex::Regex;

use crate::engines::chat::sentences;

/// Words of sentences that only say that there is no answer.
const ABSTAINS: &[&str] = &[
    "found no passages",
    "cannot answer",
    "can't answer",
    "can not answer",
    "could not find",
    "couldn't find",
    "don't know",
    "do not know",
    "no information",
    "not enough information",
    "do not contain",
    "does not contain",
    "don't contain",
    "do not mention",
    "does not mention",
    "do not say",
    "does not say",
    "do not hold",
    "not mentioned in the",
    "not stated in the",
    "unable to answer",
];

/// One sentence of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim<'a> {
    /// As it stands there, with its marks.
    pub(super) sentence: &'a str,
    /// Without them.
    pub(super) text: String,
    /// Numbers in its marks, in order.
    pub(super) cited: Vec<usize>,
    /// Whether it says anything that could be wrong.
    pub(super) claims: bool,
}

static MARK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\[([0-9]{1,6}(?:\s*[,;\x{2013}-]\s*[0-9]{1,6})*)\]").ok());
/// Passages between the ends of a range that are taken for cited.
const MAX_RANGE: usize = 100;

/// Reads the sentences of an answer. Marks that stand after a full stop belong to the sentence before.
pub(super) fn claims(answer: &str) -> Vec<Claim<'_>> {
    let mut found: Vec<Claim<'_>> = Vec::new();
    for sentence in sentences(answer) {
        let (text, cited) = without_marks(sentence);
        // What stands before the first word is the mark of what came before.
        let leading = leading_marks(sentence);
        let own = if leading > 0
            && let Some(before) = found.last_mut()
        {
            before.cited.extend(cited.iter().take(leading));
            cited.get(leading..).unwrap_or_default().to_vec()
        } else {
            cited
        };
        if !text.chars().any(char::is_alphanumeric) {
            continue;
        }
        let lower = text.to_lowercase();
        let abstains = ABSTAINS.iter().any(|words| lower.contains(words));
        let claims =
            !abstains && !text.ends_with('?') && !text.starts_with('#') && !text.ends_with(':');
        found.push(Claim {
            sentence,
            text,
            cited: own,
            claims,
        });
    }
    found
}

fn without_marks(sentence: &str) -> (String, Vec<usize>) {
    let Some(mark) = MARK.as_ref() else {
        return (sentence.to_owned(), Vec::new());
    };
    let mut cited = Vec::new();
    for found in mark.captures_iter(sentence) {
        cited.extend(numbers(&found[1]));
    }
    let text = mark.replace_all(sentence, "");
    let text = text.trim().trim_start_matches(['-', '*', '•', ' ']);
    (text.trim().to_owned(), cited)
}

/// The numbers of a mark: `1, 3` and `1-3`, whose ends may stand in either order.
fn numbers(mark: &str) -> Vec<usize> {
    let mut cited = Vec::new();
    for part in mark.split([',', ';']) {
        let ends = part.split(['-', '\u{2013}']);
        let ends: Vec<usize> = ends.filter_map(|end| end.trim().parse().ok()).collect();
        match ends[..] {
            [first, last] if first.abs_diff(last) <= MAX_RANGE => {
                cited.extend(first.min(last)..=first.max(last));
            }
            _ => cited.extend(ends),
        }
    }
    cited
}

/// Numbers in the marks before the first word.
fn leading_marks(sentence: &str) -> usize {
    let Some(mark) = MARK.as_ref() else { return 0 };
    let mut count = 0;
    let mut rest = sentence;
    while let Some(found) = mark
        .captures(rest)
        .filter(|found| found.get(0).is_some_and(|all| all.start() == 0))
    {
        count += numbers(&found[1]).len();
        rest = rest[found[0].len()..].trim_start();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_take_their_marks_along() {
        let found = claims(
            "The pier is old [1]. Boats lie there.[2][3] It rains. [4] Why? I cannot answer that from the passages. \
             ## Title\n- Fog comes [1, 9]. Ice [2-4; 7\u{2013}6] melts. Years [1990-2020] pass.",
        );
        let years: Vec<usize> = (1990..=2020).collect();
        let seen: Vec<(&str, &[usize], bool)> = found
            .iter()
            .map(|claim| (claim.text.as_str(), claim.cited.as_slice(), claim.claims))
            .collect();
        assert_eq!(
            seen,
            [
                ("The pier is old .", &[1][..], true),
                ("Boats lie there.", &[2, 3], true),
                ("It rains.", &[4], true),
                ("Why?", &[], false),
                ("I cannot answer that from the passages.", &[], false),
                ("## Title", &[], false),
                ("Fog comes .", &[1, 9], true),
                ("Ice  melts.", &[2, 3, 4, 6, 7], true),
                ("Years  pass.", years.as_slice(), true),
            ]
        );
        assert_eq!(claims(""), []);
        assert_eq!(claims("[1]"), []);
    }
}
