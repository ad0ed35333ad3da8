//! Runs of words that two texts have in common.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use unicode_segmentation::UnicodeSegmentation as _;

/// A word with its place.
struct Word {
    folded: String,
    start: usize,
    end: usize,
}

fn words(text: &str) -> Vec<Word> {
    text.unicode_word_indices()
        .map(|(start, word)| Word {
            folded: word.to_lowercase(),
            start,
            end: start + word.len(),
        })
        .collect()
}

fn hashes(words: &[Word], run: usize) -> impl Iterator<Item = u64> {
    words.windows(run.max(1)).map(|window| {
        let mut hasher = DefaultHasher::new();
        for word in window {
            word.folded.hash(&mut hasher);
        }
        hasher.finish()
    })
}

/// Every run of so many words in some texts, each with the first place where it begins.
pub(super) struct Seen {
    runs: HashMap<u64, usize>,
}

impl Seen {
    /// Reads texts.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>, run: usize) -> Self {
        let mut runs = HashMap::new();
        for text in texts {
            for (at, hash) in hashes(&words(text), run).enumerate() {
                runs.entry(hash).or_insert(at);
            }
        }
        Self { runs }
    }
}

/// Words that two texts have in common, one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run<'a> {
    pub(super) words: usize,
    /// As it stands in the answer.
    pub(super) text: &'a str,
}

/// The longest run of an answer, of at least `min` words, that stands in `foreign` and not in what may be told.
pub(super) fn longest_run<'a>(
    answer: &'a str,
    foreign: &str,
    open: &Seen,
    min: usize,
) -> Option<Run<'a>> {
    let theirs = words(foreign);
    let known = Seen {
        runs: hashes(&theirs, min).zip(0..).collect(),
    };
    let mine = words(answer);
    let mut longest: Option<(usize, usize)> = None;
    let mut begun: Option<usize> = None;
    // One place more than there are, where every run ends.
    let found = hashes(&mine, min)
        .map(|hash| known.runs.contains_key(&hash) && !open.runs.contains_key(&hash));
    for (at, is_theirs) in found.chain([false]).enumerate() {
        match (begun, is_theirs) {
            (None, true) => begun = Some(at),
            (Some(start), false) => {
                let length = at - start + min - 1;
                if longest.is_none_or(|(_, longest)| length > longest) {
                    longest = Some((start, length));
                }
                begun = None;
            }
            _ => {}
        }
    }
    let (start, length) = longest?;
    let (first, last) = (mine.get(start)?, mine.get(start + length - 1)?);
    Some(Run {
        words: length,
        text: answer.get(first.start..last.end)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_across_case_and_punctuation() {
        let foreign = "The dose is five milligrams, twice a day, after meals only.";
        for (answer, open, min, expected) in [
            (
                "Take it: the dose IS five milligrams twice a day.",
                "",
                5,
                Some(8),
            ),
            ("the dose is five", "", 5, None),
            ("the dose is five milligrams", "", 5, Some(5)),
            (
                "the dose is five milligrams",
                "So the dose is five milligrams.",
                5,
                None,
            ),
            ("five the dose milligrams is", "", 2, Some(2)),
            ("", "", 5, None),
        ] {
            let open = Seen::of([open].into_iter(), min);
            let found = longest_run(answer, foreign, &open, min);
            assert_eq!(found.map(|run| run.words), expected, "{answer}");
        }
        let run = longest_run(
            "So: Twice a day, After meals!",
            foreign,
            &Seen::of([].into_iter(), 4),
            4,
        );
        assert_eq!(run.unwrap().text, "Twice a day, After meals");
    }
}
