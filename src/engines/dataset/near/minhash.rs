//! Shingles of words, and the least of their hashes under many hash functions.

use unicode_segmentation::UnicodeSegmentation;

/// Hash functions; an estimate of likeness is off by 0.03 (one standard error) at 0.85.
pub(super) const MINIMA: usize = 128;
/// Words of a shingle.
const WORDS: usize = 3;

/// The set of word shingles of some texts, by hash: ordered, each once.
///
/// Case and punctuation make no difference. Shingles of different texts differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engines::dataset) struct Shingles(Vec<u64>);

impl Shingles {
    /// The shingles of texts in their order; a text of fewer words than a shingle is one.
    pub(in crate::engines::dataset) fn of(texts: &[&str]) -> Self {
        let mut hashes = Vec::new();
        for (at, text) in (1_u64..).zip(texts) {
            let words: Vec<u64> = text.unicode_words().map(word).collect();
            let size = WORDS.min(words.len());
            if size == 0 {
                continue;
            }
            hashes.extend(
                words
                    .windows(size)
                    .map(|words| words.iter().fold(mix(at), |hash, word| mix(hash ^ word))),
            );
        }
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }
}

/// Shared shingles among all of two sets, 0 to 1; 0 for two empty ones.
pub(in crate::engines::dataset) fn jaccard(one: &Shingles, other: &Shingles) -> f64 {
    let shared = one
        .0
        .iter()
        .filter(|hash| other.0.binary_search(hash).is_ok())
        .count();
    let all = one.0.len() + other.0.len() - shared;
    if all == 0 {
        return 0.0;
    }
    shared as f64 / all as f64
}

/// The least hash of a set under each function.
pub(super) struct Minima(pub(super) [u32; MINIMA]);

impl Minima {
    /// `None` for an empty set.
    pub(super) fn of(shingles: &Shingles) -> Option<Self> {
        if shingles.0.is_empty() {
            return None;
        }
        let mut least = [u32::MAX; MINIMA];
        for shingle in &shingles.0 {
            for (least, (factor, addend)) in least.iter_mut().zip(&FUNCTIONS) {
                let hash = (shingle.wrapping_mul(*factor).wrapping_add(*addend) >> 32) as u32;
                *least = hash.min(*least);
            }
        }
        Some(Self(least))
    }

    /// The lower half of each, which tells them apart: the upper one of a least value is nearly always 0.
    pub(super) fn lower(&self) -> [u16; MINIMA] {
        self.0.map(|least| least as u16)
    }
}

/// Factor and addend of each function, from a fixed seed: multiply-shift, Dietzfelbinger 1997.
const FUNCTIONS: [(u64, u64); MINIMA] = {
    let mut functions = [(0, 0); MINIMA];
    let mut at = 0;
    while at < MINIMA {
        let seed = 2 * at as u64;
        functions[at] = (mix(seed) | 1, mix(seed + 1));
        at += 1;
    }
    functions
};

/// FNV-1a over a word's lower case.
fn word(word: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut bytes = [0; 4];
    for char in word.chars().flat_map(char::to_lowercase) {
        for byte in char.encode_utf8(&mut bytes).bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// The step and finaliser of SplitMix64.
pub(super) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
