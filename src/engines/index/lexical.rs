//! Words to rows: an inverted index in memory, ranked by BM25.
//!
//! Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework", 2009; `k1` and `b` as
//! there.

use std::collections::HashMap;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

pub(super) const K1: f32 = 1.2;
pub(super) const B: f32 = 0.75;
/// Longer words are noise (hashes, encoded data) that nobody types.
const MAX_WORD_BYTES: usize = 64;
/// Different words of a query that count; a longer query is a document.
pub(super) const MAX_QUERY_WORDS: usize = 256;

/// The stop words of Lucene's English analyzer.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "was", "will", "with",
];

/// The words of one text as they are indexed, with their counts, in the order they first occur.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words(Vec<(String, u32)>);

/// The words of `text` as they are indexed, with their counts: for an engine that is to find the same ones.
pub fn words_of(text: &str) -> Vec<(String, u32)> {
    Words::of(text).0
}

/// The stems of words that were read: with many texts most words come again.
#[derive(Debug, Default)]
pub(super) struct Stems(HashMap<String, String>);

impl Words {
    /// Counts the words of `text`. The slow part of indexing it.
    pub(super) fn of(text: &str) -> Self {
        Self::with(text, &mut Stems::default())
    }

    /// The same, for one of many texts.
    pub(super) fn with(text: &str, stems: &mut Stems) -> Self {
        let stemmer = Stemmer::create(Algorithm::English);
        let mut counts: Vec<(String, u32)> = Vec::new();
        let mut places = HashMap::new();
        for word in text.unicode_words() {
            if word.len() > MAX_WORD_BYTES {
                continue;
            }
            let lower = word.to_lowercase();
            if STOP_WORDS.contains(&lower.as_str()) {
                continue;
            }
            if !stems.0.contains_key(&lower) {
                let stem = stemmer.stem(&lower).into_owned();
                stems.0.insert(lower.clone(), stem);
            }
            let stem = stems.0.get(&lower).unwrap_or(&lower);
            let place = match places.get(stem) {
                Some(place) => *place,
                None => {
                    counts.push((stem.clone(), 0));
                    places.insert(stem.clone(), counts.len() - 1);
                    counts.len() - 1
                }
            };
            counts[place].1 += 1;
        }
        Self(counts)
    }
}

/// Where a word stands.
#[derive(Debug, Default)]
struct Word {
    /// Rows with the word that are not deleted.
    rows: u32,
    /// Row and count, rows ascending. Deleted rows stay until the index is built anew.
    postings: Vec<(u32, u32)>,
}

/// The text of a row that is not deleted; empty for any other.
#[derive(Debug, Clone, Default)]
struct Text {
    /// Its words, each as often as it occurs.
    length: u32,
    /// Its different words, as places in `Lexical::words`.
    words: Box<[u32]>,
}

/// The words of all texts.
#[derive(Debug, Default)]
pub(super) struct Lexical {
    places: HashMap<String, u32>,
    words: Vec<Word>,
    /// Words with at least one row.
    used: usize,
    /// By row.
    texts: Vec<Text>,
    /// Rows with a text that are not deleted, and the sum of their lengths.
    rows: usize,
    total: u64,
}

impl Lexical {
    /// Adds the text of `row`, which must be greater than any row before.
    pub(super) fn add(&mut self, row: u32, words: Words) {
        let length = words.0.iter().map(|(_, count)| count).sum();
        if length == 0 {
            return;
        }
        let mut own = Vec::with_capacity(words.0.len());
        for (word, count) in words.0 {
            let next = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
            let place = *self.places.entry(word).or_insert(next);
            if place == next {
                self.words.push(Word::default());
            }
            let entry = &mut self.words[place as usize];
            self.used += usize::from(entry.rows == 0);
            entry.rows += 1;
            entry.postings.push((row, count));
            own.push(place);
        }
        self.rows += 1;
        self.total += u64::from(length);
        self.texts.resize(row as usize, Text::default());
        self.texts.push(Text {
            length,
            words: own.into(),
        });
    }

    /// Takes the text of `row` out again.
    pub(super) fn remove(&mut self, row: u32) {
        let Some(text) = self.texts.get_mut(row as usize).map(std::mem::take) else {
            return;
        };
        if text.length == 0 {
            return;
        }
        self.rows -= 1;
        self.total -= u64::from(text.length);
        for place in text.words {
            let word = &mut self.words[place as usize];
            word.rows -= 1;
            if word.rows == 0 {
                word.postings = Vec::new();
                self.used -= 1;
            }
        }
    }

    /// Counts the different words of all texts.
    pub(super) fn words(&self) -> usize {
        self.used
    }

    /// Scores the rows that share a word with `query` and pass `accept`, in no particular order.
    pub(super) fn scores(&self, query: &str, accept: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let mut scores = vec![0.0_f32; self.texts.len()];
        let mut touched = Vec::new();
        let average = self.total as f32 / self.rows.max(1) as f32;
        for (word, _) in Words::of(query).0.into_iter().take(MAX_QUERY_WORDS) {
            let Some(place) = self.places.get(&word) else {
                continue;
            };
            let found = &self.words[*place as usize];
            let (all, with) = (self.rows as f32, found.rows as f32);
            let idf = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for &(row, count) in &found.postings {
                let length = self.texts[row as usize].length;
                if length == 0 || !accept(row) {
                    continue;
                }
                let score = &mut scores[row as usize];
                if *score == 0.0 {
                    touched.push(row);
                }
                let count = count as f32;
                let weight = K1 * (1.0 - B + B * length as f32 / average);
                *score += idf * count * (K1 + 1.0) / (count + weight);
            }
        }
        touched
            .into_iter()
            .map(|row| (row, scores[row as usize]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[&str]) -> Lexical {
        let mut lexical = Lexical::default();
        for (row, text) in (0..).zip(texts) {
            lexical.add(row, Words::of(text));
        }
        lexical
    }

    fn ranked(lexical: &Lexical, query: &str) -> Vec<u32> {
        let mut scores = lexical.scores(query, |_| true);
        scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scores.into_iter().map(|(row, _)| row).collect()
    }

    #[test]
    fn words_are_lowered_stemmed_and_stopped() {
        let words = |text: &str| {
            Words::of(text)
                .0
                .into_iter()
                .map(|(word, _)| word)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words("The Runner's running, and RUNS: naïve-Ärger 3.5"),
            ["runner", "run", "naïv", "ärger", "3.5"]
        );
        assert_eq!(
            Words::of("boats BOAT boat's"),
            Words(vec![("boat".to_owned(), 3)])
        );
        assert!(words(&"x".repeat(65)).is_empty());
        assert!(words("\u{0} \u{202e} --- 。").is_empty());
    }

    #[test]
    fn the_score_is_bm25() {
        let lexical = index(&["boat house", "boat boat boat lake", "car"]);
        let scores = lexical.scores("boat", |_| true);
        // By hand: N 3, df 2, average length 7/3.
        let idf = (1.0_f32 + 1.5 / 2.5).ln();
        let score =
            |tf: f32, len: f32| idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * len / (7.0 / 3.0)));
        for ((row, got), (expected_row, expected)) in scores
            .into_iter()
            .zip([(0, score(1.0, 2.0)), (1, score(3.0, 4.0))])
        {
            assert_eq!(row, expected_row);
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
    }

    #[test]
    fn rare_words_outweigh_common_ones_and_unknown_words_are_ignored() {
        let lexical = index(&["boat", "boat", "boat", "rudder"]);
        assert_eq!(ranked(&lexical, "boat rudder zebra")[0], 3);
        assert!(ranked(&lexical, "zebra").is_empty());
        assert!(ranked(&lexical, "the of and").is_empty());
        assert!(ranked(&lexical, "").is_empty());
    }

    #[test]
    fn a_removed_text_leaves_the_same_scores_as_if_it_had_never_been() {
        let mut with = index(&["boat lake", "boat house anchor", "lake"]);
        with.remove(1);
        with.remove(1);
        let mut without = Lexical::default();
        without.add(0, Words::of("boat lake"));
        without.add(2, Words::of("lake"));
        for query in ["boat", "lake house", "anchor"] {
            let all = |lexical: &Lexical| lexical.scores(query, |_| true);
            assert_eq!(all(&with), all(&without), "{query}");
        }
        assert_eq!(with.words(), 2);
    }

    #[test]
    fn rows_that_are_not_accepted_do_not_score() {
        let lexical = index(&["boat", "boat"]);
        assert_eq!(lexical.scores("boat", |row| row == 1).len(), 1);
    }
}
