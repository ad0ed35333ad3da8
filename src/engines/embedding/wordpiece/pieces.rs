//! The pieces of a vocabulary by their bytes, made for the question "which is the longest that
//! stands here".

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::Word;

/// Bytes of a piece that fit into one integer. All but a few pieces do.
pub(super) const INLINE: usize = 16;

/// Odd 64-bit constants of wyhash, far from any text.
const FOLD: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

/// Pieces up to [`INLINE`] bytes as integers, so that a look-up compares numbers and follows no
/// pointer; the rest as they are.
#[derive(Default)]
pub(super) struct Pieces {
    short: HashMap<u128, u32, BuildHasherDefault<FoldHasher>>,
    long: HashMap<Box<[u8]>, u32>,
    longest: usize,
}

impl Pieces {
    /// Adds one piece. Those that are empty or not ASCII are left out: no ASCII word has them.
    pub(super) fn insert(&mut self, piece: &[u8], id: u32) {
        if piece.is_empty() || !piece.is_ascii() {
            return;
        }
        self.longest = self.longest.max(piece.len());
        if piece.len() > INLINE {
            self.long.insert(piece.into(), id);
        } else {
            let mut bytes = [0; INLINE];
            bytes[..piece.len()].copy_from_slice(piece);
            self.short.insert(u128::from_le_bytes(bytes), id);
        }
    }

    /// Returns the longest piece of `word[at..end]` that begins at `at`, as its id and length.
    pub(super) fn longest(&self, word: &Word, at: usize, end: usize) -> Option<(u32, usize)> {
        let rest = end - at;
        for size in (INLINE + 1..=rest.min(self.longest)).rev() {
            if let Some(&id) = self.long.get(&word[at..at + size]) {
                return Some((id, size));
            }
        }
        let window = u128::from_le_bytes(*word.get(at..)?.first_chunk()?);
        for size in (1..=rest.min(INLINE)).rev() {
            // What an earlier word left behind this one is masked out.
            let key = window & (u128::MAX >> (8 * (INLINE - size)));
            if let Some(&id) = self.short.get(&key) {
                return Some((id, size));
            }
        }
        None
    }
}

/// Folds a key by one wide multiplication. The keys are the vocabulary's own, so nobody can choose
/// them to collide.
#[derive(Default)]
pub(super) struct FoldHasher(u64);

#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of a wide integer are taken apart"
)]
impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u128(u128::from(byte));
        }
    }

    fn write_u128(&mut self, key: u128) {
        let low = (key as u64) ^ FOLD[0] ^ self.0;
        let high = ((key >> 64) as u64) ^ FOLD[1];
        let product = u128::from(low) * u128::from(high);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::MAX_WORD;
    use super::*;

    fn longest(pieces: &Pieces, text: &str, at: usize) -> Option<(u32, usize)> {
        // Letters behind the word must not be read as part of it.
        let mut word: Word = [b'a'; MAX_WORD + INLINE];
        word[..text.len()].copy_from_slice(text.as_bytes());
        pieces.longest(&word, at, text.len())
    }

    #[test]
    fn the_longest_piece_wins_on_both_sides_of_the_inline_bound() {
        let mut pieces = Pieces::default();
        for (id, piece) in (0..).zip(["a", "ab", "abcdefghijklmnop", "abcdefghijklmnopq", "é", ""])
        {
            pieces.insert(piece.as_bytes(), id);
        }
        let cases = [
            ("a", 0, Some((0, 1))),
            ("abc", 0, Some((1, 2))),
            ("xab", 1, Some((1, 2))),
            ("xa", 1, Some((0, 1))),
            ("x", 0, None),
            ("abcdefghijklmnop", 0, Some((2, 16))),
            ("abcdefghijklmnopqr", 0, Some((3, 17))),
            ("abcdefghijklmnox", 0, Some((1, 2))),
        ];
        for (text, at, expected) in cases {
            assert_eq!(longest(&pieces, text, at), expected, "{text} at {at}");
        }
        let end = "z".repeat(MAX_WORD - 1) + "a";
        assert_eq!(longest(&pieces, &end, MAX_WORD - 1), Some((0, 1)));
    }
}
