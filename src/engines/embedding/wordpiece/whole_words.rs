//! Words that WordPiece splits, but that have a row of their own in a table.
//!
//! A word is known by the ids of its pieces, so it does not matter which path of the tokenizer read it, nor how it
//! was spelt before accents and case went.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::pieces::FoldHasher;

/// Pieces of the longest word that can have a row: as many ids of 16 bits as one integer holds.
pub const MAX_PIECES: usize = 8;

/// Bits of an id in a word's key.
const ID_BITS: u32 = 16;

/// The words of one vocabulary that have rows of their own. They are numbered after its tokens.
#[derive(Default)]
pub struct WholeWords {
    /// Whether a token goes on with a word.
    continues: Vec<bool>,
    rows: HashMap<u128, u32, BuildHasherDefault<FoldHasher>>,
}

impl WholeWords {
    /// Takes a vocabulary's pieces in the order of their ids, and words as the ids of their pieces.
    ///
    /// The row of `words[n]` is the number of pieces plus `n`.
    /// Errors: says which word is none: two to [`MAX_PIECES`] ids, of which all but the first go on with a word, no
    /// word twice.
    pub fn new<'a>(
        pieces: impl IntoIterator<Item = &'a str>,
        words: &[Vec<u32>],
    ) -> Result<Self, String> {
        let continues: Vec<bool> = pieces
            .into_iter()
            .map(|piece| piece.len() > 2 && piece.starts_with("##"))
            .collect();
        let goes_on = |id: &u32| continues.get(*id as usize).copied();
        let mut rows = HashMap::default();
        for (row, word) in (continues.len()..).zip(words) {
            let is_word = match word.as_slice() {
                [first, rest @ ..] => {
                    goes_on(first) == Some(false)
                        && !rest.is_empty()
                        && rest.iter().all(|id| goes_on(id) == Some(true))
                }
                [] => false,
            };
            let row = u32::try_from(row).map_err(|_| "too many words".to_owned())?;
            let found = key(word).filter(|_| is_word);
            let key = found.ok_or_else(|| format!("{word:?} is no word of several pieces"))?;
            if rows.insert(key, row).is_some() {
                return Err(format!("the word of {word:?} is there twice"));
            }
        }
        Ok(Self { continues, rows })
    }

    /// Replaces the pieces of each known word in `ids` by the word's row. What is left are the numbers of rows.
    pub fn merge(&self, ids: &mut Vec<u32>) {
        if self.rows.is_empty() {
            return;
        }
        let (mut at, mut kept) = (0, 0);
        while at < ids.len() {
            let mut end = at + 1;
            while ids.get(end).is_some_and(|id| self.goes_on(*id)) {
                end += 1;
            }
            let word = ids.get(at..end).filter(|word| word.len() > 1);
            if let Some(row) = word.and_then(|word| self.rows.get(&key(word)?)) {
                ids[kept] = *row;
                kept += 1;
            } else {
                ids.copy_within(at..end, kept);
                kept += end - at;
            }
            at = end;
        }
        ids.truncate(kept);
    }

    /// Whether a token goes on with the word before it.
    pub fn goes_on(&self, id: u32) -> bool {
        self.continues.get(id as usize).copied().unwrap_or(false)
    }
}

/// The ids behind one another. None for a word that is too long, or ids that are too large.
fn key(word: &[u32]) -> Option<u128> {
    if word.len() > MAX_PIECES {
        return None;
    }
    let mut key = 0;
    for id in word {
        // No word has the id 0, so words of different lengths have different keys.
        let id = u16::try_from(*id).ok().filter(|id| *id != 0)?;
        key = key << ID_BITS | u128::from(id);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIECES: [&str; 6] = ["[PAD]", "co", "boat", "##vid", "##s", "##"];

    fn words(words: &[&[u32]]) -> Result<WholeWords, String> {
        let words: Vec<Vec<u32>> = words.iter().map(|word| word.to_vec()).collect();
        WholeWords::new(PIECES, &words)
    }

    fn merged(words: &WholeWords, ids: &[u32]) -> Vec<u32> {
        let mut ids = ids.to_vec();
        words.merge(&mut ids);
        ids
    }

    #[test]
    fn only_whole_words_of_the_list_are_replaced() {
        let words = words(&[&[1, 3], &[2, 4]]).unwrap();
        let cases: [(&[u32], &[u32]); 9] = [
            (&[], &[]),
            (&[1], &[1]),
            (&[1, 3], &[6]),
            (&[2, 1, 3, 2], &[2, 6, 2]),
            (&[1, 3, 4], &[1, 3, 4]),
            (&[1, 3, 1, 3, 2, 4, 3], &[6, 6, 2, 4, 3]),
            (&[3, 1, 3], &[3, 6]),
            (&[1, 5, 3], &[1, 5, 3]),
            (&[99, 3], &[99, 3]),
        ];
        for (ids, expected) in cases {
            assert_eq!(merged(&words, ids), expected, "{ids:?}");
        }
    }

    #[test]
    fn what_is_no_word_of_several_pieces_is_refused() {
        for word in [
            &[][..],
            &[1],
            &[3, 4],
            &[1, 2],
            &[1, 3, 2],
            &[0, 3],
            &[1, 9],
            &[9, 3],
            &[1, 3, 3, 3, 3, 3, 3, 3, 3],
        ] {
            assert!(words(&[word]).is_err(), "{word:?}");
        }
        assert!(words(&[&[1, 3], &[2, 4], &[1, 3]]).is_err());
        assert!(words(&[&[1, 3, 3, 3, 3, 3, 3, 3]]).is_ok());
    }

    proptest! {
        #[test]
        fn merging_is_by_words_alone(ids in prop::collection::vec(0_u32..7, 0..40)) {
            let words = words(&[&[1, 3], &[1, 3, 4], &[2, 4]]).unwrap();
            // Each word by itself, as a reader would do it by hand.
            let mut expected = Vec::new();
            let mut rest = ids.as_slice();
            while let Some(first) = rest.first() {
                let more = rest[1..].iter().take_while(|id| matches!(id, 3 | 4)).count();
                let (word, later) = rest.split_at(1 + more);
                match word {
                    [1, 3] => expected.push(6),
                    [1, 3, 4] => expected.push(7),
                    [2, 4] => expected.push(8),
                    _ => expected.extend_from_slice(word),
                }
                let _ = first;
                rest = later;
            }
            prop_assert_eq!(merged(&words, &ids), expected);
        }
    }
}
