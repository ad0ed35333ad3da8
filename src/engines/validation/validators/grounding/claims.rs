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

/// Numbers in brackets, and ranges of them: `1`, `1, 3`, `2-4`. A part has one dash, between numbers of at most three
/// digits that do not begin with a zero: `2024-05-06` and `555-1234` stand for something else.
static MARK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let part = r"(?:[0-9]{1,6}|[1-9][0-9]{0,2}\s*[\x{2013}-]\s*[1-9][0-9]{0,2})";
    Regex::new(&format!(r"\[{part}(?:\s*[,;]\s*{part})*\]")).ok()
});
/// Passages between the ends of a range that are taken for cited.
const MAX_RANGE: usize = 100;
/// Numbers of one sentence that are read: as many as there may be passages. What comes after them is dropped.
const MAX_CITED: usize = 1_000;

/// Reads the first `most` sentences of an answer, and counts all. Marks that stand after a full stop belong to the
/// sentence before.
pub(super) fn claims(answer: &str, most: usize) -> (Vec<Claim<'_>>, usize) {
    let mut found: Vec<Claim<'_>> = Vec::new();
    let mut count = 0;
    for sentence in sentences(answer) {
        let Marked {
            text,
            leading,
            cited,
        } = read(sentence);
        // What stands before the first word is the mark of what came before.
        if let Some(before) = found.last_mut().filter(|_| count <= most) {
            let room = MAX_CITED.saturating_sub(before.cited.len());
            before.cited.extend(leading.iter().take(room));
        }
        if !text.chars().any(char::is_alphanumeric) {
            continue;
        }
        count += 1;
        if count > most {
            continue;
        }
        let own = match found.is_empty() {
            true => [leading, cited].concat(),
            false => cited,
        };
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
    (found, count)
}

/// A sentence and its marks, apart.
#[derive(Default)]
struct Marked {
    /// What stands beside the marks.
    text: String,
    /// Numbers in the marks before the first word.
    leading: Vec<usize>,
    /// Those in the others.
    cited: Vec<usize>,
}

fn read(sentence: &str) -> Marked {
    let mut read = Marked::default();
    let mut end = 0;
    for mark in MARK.iter().flat_map(|mark| mark.find_iter(sentence)) {
        let inner = mark.as_str().trim_matches(['[', ']']);
        if !parts(inner).all(|(first, last)| last.is_none_or(|last| first < last)) {
            continue;
        }
        read.text.push_str(&sentence[end..mark.start()]);
        end = mark.end();
        match read.text.trim().is_empty() {
            true => take(inner, &mut read.leading),
            false => take(inner, &mut read.cited),
        }
    }
    read.text.push_str(&sentence[end..]);
    let text = read.text.trim().trim_start_matches(['-', '*', '•', ' ']);
    read.text = text.trim().to_owned();
    read
}

/// The parts of a mark: a number, or both ends of a range.
fn parts(mark: &str) -> impl Iterator<Item = (usize, Option<usize>)> {
    mark.split([',', ';']).filter_map(|part| {
        let mut ends = part.split(['-', '\u{2013}']);
        let first = ends.next()?.trim().parse().ok()?;
        let last = ends.next().and_then(|last| last.trim().parse().ok());
        Some((first, last))
    })
}

/// Takes the numbers of a mark, for as long as a sentence may have more.
fn take(mark: &str, cited: &mut Vec<usize>) {
    for (first, last) in parts(mark) {
        let room = MAX_CITED.saturating_sub(cited.len());
        match last {
            Some(last) if last - first <= MAX_RANGE => cited.extend((first..=last).take(room)),
            Some(last) => cited.extend([first, last].into_iter().take(room)),
            None => cited.extend(Some(first).filter(|_| room > 0)),
        }
        if room == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_take_their_marks_along() {
        let (found, count) = claims(
            "The pier is old [1]. Boats lie there.[2][3] It rains. [4] Why? I cannot answer that from the passages. \
             ## Title\n- Fog comes [1, 9]. Ice [2-4; 6\u{2013}7] melts. Boats [ 1-300] pass. More [1-300] pass.",
            99,
        );
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
                ("Boats [ 1-300] pass.", &[], true),
                ("More  pass.", &[1, 300], true),
            ]
        );
        assert_eq!(count, found.len());
        assert_eq!(claims("", 9), (vec![], 0));
        assert_eq!(claims("[1]", 9), (vec![], 0));
        assert_eq!(claims("[1] It rains [2].", 9).0[0].cited, [1, 2]);
    }

    #[test]
    fn dates_and_intervals_in_brackets_cite_nothing() {
        for said in [
            "On [2024-05-06] the server stopped",
            "Years [1990-2020] passed",
            "Call [555-1234] at night",
            "A share lies in [0-100] always",
            "From [05-06] on it is closed",
            "The score was [3-1] then",
            "The pier is old [1-2-3]",
        ] {
            let answer = format!("{said} [7].");
            let (found, _) = claims(&answer, 9);
            assert_eq!(found[0].text, format!("{said} ."));
            assert_eq!(found[0].cited, [7], "{said}");
        }
    }

    #[test]
    fn what_an_answer_cites_is_bounded_however_long_it_is() {
        let mark = format!("[{}1-101]", "1-101,".repeat(500));
        let answer = format!("It rains {mark}.");
        let (found, _) = claims(&answer, 9);
        assert_eq!(found[0].cited.len(), MAX_CITED);
        let answer = format!("It rains. {}", format!("{mark} ").repeat(9));
        let (found, _) = claims(&answer, 9);
        assert_eq!((found.len(), found[0].cited.len()), (1, MAX_CITED));
        // Of sentences beyond those that are judged nothing is kept.
        let answer = "It rains. [1-101] ".repeat(50);
        let (found, count) = claims(&answer, 3);
        let kept: Vec<usize> = found.iter().map(|claim| claim.cited.len()).collect();
        assert_eq!((kept.as_slice(), count), (&[101, 101, 101][..], 50));
    }
}
