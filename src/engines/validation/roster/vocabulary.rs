//! The words of all names, found through a slip.
//!
//! Two words that one slip tells apart have a form in common that lacks at most one letter, so the forms of each word
//! are kept by their hashes and the forms of what was written are looked up: the cost does not grow with the words.

use std::collections::HashSet;

use strsim::osa_distance;

use super::postings::{Postings, hash};

/// Words beyond so many are found as they are written only: this bounds what names that are all different cost.
const MAX_WORDS: usize = 200_000;
/// Longer words have no slips looked up, letters.
const MAX_LETTERS: usize = 32;
/// Words compared for one that was written.
const MAX_COMPARED: usize = 48;

#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    words: Vec<Box<str>>,
    known: HashSet<Box<str>>,
    forms: Postings,
}

impl Vocabulary {
    pub(super) fn add(&mut self, word: &str) {
        if self.words.len() >= MAX_WORDS || self.known.contains(word) {
            return;
        }
        let number = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.known.insert(Box::from(word));
        self.words.push(Box::from(word));
        forms(word, |form| self.forms.add(form, number));
    }

    pub(super) fn finish(&mut self) {
        self.known = HashSet::new();
        self.forms.finish();
    }

    /// Up to `most` words that are `word` or one slip away, the nearest first.
    pub(super) fn near<'v>(&'v self, word: &str, most: usize) -> Vec<&'v str> {
        let mut candidates: Vec<u32> = Vec::new();
        forms(word, |form| {
            let room = MAX_COMPARED.saturating_sub(candidates.len());
            candidates.extend(self.forms.of(form).take(room));
        });
        candidates.sort_unstable();
        candidates.dedup();
        let known = candidates
            .into_iter()
            .filter_map(|number| self.words.get(number as usize));
        let mut near: Vec<(usize, &str)> = known
            .map(|known| (osa_distance(word, known), known.as_ref()))
            .filter(|(distance, _)| *distance <= 1)
            .collect();
        near.sort_unstable();
        near.into_iter().take(most).map(|(_, word)| word).collect()
    }
}

/// Hashes of `word`, and of it without each of its letters.
fn forms(word: &str, mut take: impl FnMut(u32)) {
    take(hash(word));
    let letters = word.chars().count();
    if !(2..=MAX_LETTERS).contains(&letters) {
        return;
    }
    let mut form = String::with_capacity(word.len());
    for (at, letter) in word.char_indices() {
        form.clear();
        form.push_str(word.get(..at).unwrap_or_default());
        form.push_str(word.get(at + letter.len_utf8()..).unwrap_or_default());
        take(hash(&form));
    }
}
