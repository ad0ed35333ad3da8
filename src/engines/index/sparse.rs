//! Texts as sparse vectors, for engines that count in how many texts a word stands but know no words.
//!
//! The product of a [query](terms) with a [text](weights), each word weighed by the engine with
//! `ln(1 + (N - n + 0.5) / (n + 0.5))`, is BM25 as [`lexical`](super::lexical) has it, but for the average length of a
//! text: that changes with each text, and the weights are written once. So it is [a constant](AVERAGE_WORDS).

use std::collections::BTreeMap;

use super::lexical::{B, K1, MAX_QUERY_WORDS, words_of};

/// Words that a text has, stop words left out, as BM25 supposes: about a paragraph.
pub const AVERAGE_WORDS: f32 = 100.0;

/// The words of a text with their weights, by the hash of their stem.
pub fn weights(text: &str) -> Vec<(u32, f32)> {
    let words = words_of(text);
    let length: u32 = words.iter().map(|(_, count)| count).sum();
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for (word, count) in words {
        let count = count as f32;
        let saturated = K1 * (1.0 - B + B * length as f32 / AVERAGE_WORDS);
        // Two words of the same hash are one to the engine.
        *weights.entry(hash(&word)).or_default() += count * (K1 + 1.0) / (count + saturated);
    }
    weights.into_iter().collect()
}

/// The words of a query, each once, by the hash of their stem.
pub fn terms(query: &str) -> Vec<u32> {
    let words = words_of(query).into_iter().take(MAX_QUERY_WORDS);
    let mut terms: Vec<u32> = words.map(|(word, _)| hash(&word)).collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

fn hash(word: &str) -> u32 {
    let mut bytes = [0; 4];
    let mut hasher = blake3::Hasher::new();
    hasher.update(word.as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::lexical::{Lexical, Words};
    use super::*;

    /// What an engine makes of it.
    fn scores(texts: &[String], query: &str) -> Vec<(u32, f32)> {
        let all: Vec<BTreeMap<u32, f32>> = texts
            .iter()
            .map(|text| weights(text).into_iter().collect())
            .collect();
        let of = |own: &BTreeMap<u32, f32>| {
            terms(query)
                .iter()
                .filter_map(|term| {
                    let with = all.iter().filter(|text| text.contains_key(term)).count() as f32;
                    let idf = (1.0 + (all.len() as f32 - with + 0.5) / (with + 0.5)).ln();
                    own.get(term).map(|weight| idf * weight)
                })
                .sum()
        };
        let scores = (0..).zip(all.iter().map(of));
        scores.filter(|(_, score)| *score > 0.0).collect()
    }

    #[test]
    fn texts_of_average_length_score_as_in_the_index_of_words() {
        let filled = |some: &str| {
            let own = some.split(' ').count();
            format!("{some} {}", "filler ".repeat(AVERAGE_WORDS as usize - own))
        };
        let texts = ["boat boats lake", "boat", "rudder anchor lake lake"].map(filled);
        let mut lexical = Lexical::default();
        for (row, text) in (0..).zip(&texts) {
            lexical.add(row, Words::of(text));
        }
        for query in ["boating", "the lake and an anchor", "boat boat", "zebra"] {
            let mut expected = lexical.scores(query, |_| true);
            expected.sort_by_key(|(row, _)| *row);
            let found = scores(&texts, query);
            assert_eq!(found.len(), expected.len(), "{query}");
            for ((row, score), (wanted, value)) in found.into_iter().zip(expected) {
                assert_eq!(row, wanted);
                assert!((score - value).abs() < 1e-5, "{query}: {score} {value}");
            }
        }
    }

    #[test]
    fn a_longer_text_weighs_less_and_one_without_words_nothing() {
        let weight = |text: &str| {
            let all = weights(text);
            let boat = all.iter().find(|(word, _)| *word == hash("boat"));
            boat.unwrap().1
        };
        assert!(weight("boat") > weight(&format!("boat {}", "boatless ".repeat(200))));
        assert!(weights("the of and").is_empty());
        assert!(terms("").is_empty());
    }
}
