//! BM25 over the words of every text, read one after the other: exact, as in our own index, and quick while there are
//! few. Beyond that the engine's index of words ranks.

use std::collections::HashMap;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// What was seen of the texts.
#[derive(Debug)]
pub(super) struct Scan {
    /// The words that are sought, and how many texts have each.
    wanted: HashMap<String, usize>,
    texts_with: Vec<usize>,
    texts: usize,
    /// Words of all texts.
    total: usize,
    found: Vec<Candidate>,
}

/// A text with a word that is sought.
#[derive(Debug)]
struct Candidate {
    id: String,
    length: usize,
    /// Which, and how often.
    counts: Vec<(usize, usize)>,
}

impl Scan {
    /// Looks for these words, which differ.
    pub(super) fn new(words: &[String]) -> Self {
        let wanted = words.iter().cloned().zip(0..).collect();
        Self {
            wanted,
            texts_with: vec![0; words.len()],
            texts: 0,
            total: 0,
            found: Vec::new(),
        }
    }

    /// Takes in the words of a text.
    pub(super) fn add(&mut self, id: &str, words: &str) {
        let mut length = 0;
        let mut counts: Vec<(usize, usize)> = Vec::new();
        for word in words.split_ascii_whitespace() {
            length += 1;
            if let Some(wanted) = self.wanted.get(word) {
                match counts.iter_mut().find(|(at, _)| at == wanted) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((*wanted, 1)),
                }
            }
        }
        // A text without words is none.
        self.texts += usize::from(length > 0);
        self.total += length;
        for (at, _) in &counts {
            self.texts_with[*at] += 1;
        }
        if !counts.is_empty() {
            self.found.push(Candidate {
                id: id.to_owned(),
                length,
                counts,
            });
        }
    }

    /// The best of those that `accept` lets through, best first.
    pub(super) fn best(
        mut self,
        limit: usize,
        accept: impl Fn(&str) -> bool,
    ) -> Vec<(String, f32)> {
        let average = self.total as f32 / self.texts.max(1) as f32;
        let all = self.texts as f32;
        let idf = |at: usize| {
            let with = self.texts_with[at] as f32;
            (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
        };
        self.found.retain(|text| accept(&text.id));
        for text in &mut self.found {
            // In the order of the query's words, as floats add up.
            text.counts.sort_unstable();
        }
        let scored = self.found.iter().map(|text| {
            let weight = K1 * (1.0 - B + B * text.length as f32 / average);
            let parts = text.counts.iter().map(|(at, count)| {
                let count = *count as f32;
                idf(*at) * count * (K1 + 1.0) / (count + weight)
            });
            (text.id.clone(), parts.sum())
        });
        let mut scored: Vec<(String, f32)> = scored.collect();
        scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        scored.truncate(limit);
        scored
    }
}
