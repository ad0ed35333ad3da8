//! Which words get a row of their own: those that the tokenizer splits and that texts have.

use std::collections::{HashMap, HashSet};

use boathouse::engines::embedding::MAX_PIECES;

use crate::Result;
use crate::bags::Reader;

/// Chooses up to `most` words: those that are in at least `least` of the texts, the most frequent first, then those of
/// `listed` in their order.
pub(crate) fn chosen(
    reader: &Reader,
    texts: &[Vec<u32>],
    listed: &str,
    least: usize,
    most: usize,
) -> Result<Vec<Vec<u32>>> {
    let mut texts_with: HashMap<&[u32], usize> = HashMap::new();
    for text in texts {
        let words: HashSet<&[u32]> = words(reader, text).collect();
        for word in words {
            *texts_with.entry(word).or_default() += 1;
        }
    }
    let mut frequent: Vec<(usize, &[u32])> = texts_with
        .into_iter()
        .filter(|(_, count)| *count >= least)
        .map(|(word, count)| (count, word))
        .collect();
    // The ids decide between words that are as frequent: the same on every machine.
    frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let mut all: Vec<Vec<u32>> = frequent.iter().map(|(_, word)| word.to_vec()).collect();
    for line in listed.lines() {
        let ids = reader.ids(line.trim())?;
        if words(reader, &ids).any(|word| word.len() == ids.len()) {
            all.push(ids);
        }
    }
    let mut seen = HashSet::new();
    all.retain(|word| seen.insert(word.clone()));
    all.truncate(most);
    Ok(all)
}

/// The words of a text that have several pieces and begin with a letter.
fn words<'a>(reader: &'a Reader, text: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
    let goes_on = |id: &u32| {
        let piece = &reader.pieces()[*id as usize];
        piece.len() > 2 && piece.starts_with("##")
    };
    text.chunk_by(move |_, next| goes_on(next)).filter(|word| {
        let first = word
            .first()
            .and_then(|id| reader.pieces()[*id as usize].chars().next());
        (2..=MAX_PIECES).contains(&word.len()) && first.is_some_and(char::is_alphabetic)
    })
}
