use std::sync::LazyLock;

use proptest::prelude::*;
use safetensors::tensor::{TensorView, serialize};

use super::*;

/// Words that the vocabulary splits, the longest of them into five pieces.
const WORDS: [&str; 5] = [
    "covid",
    "kubernetes",
    "overdraft",
    "müsli",
    "cryptocurrency",
];

/// The compiled-in vocabulary with the rows of tokens that are there, and rows for [`WORDS`]: each points along an axis
/// of its own.
static WORDY: LazyLock<StaticMinilm> = LazyLock::new(|| {
    let ids: Vec<Vec<u32>> = WORDS.iter().map(|word| pieces_of(word)).collect();
    StaticMinilm::parse(table(&ids, WORDS.len(), 0x3c00), VOCABULARY).unwrap()
});

fn pieces_of(word: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    MODEL.clone().unwrap().read(word, &mut ids).unwrap();
    ids
}

/// A table of the compiled-in token rows with these words.
fn table(words: &[Vec<u32>], rows: usize, scale: u16) -> &'static [u8] {
    let known = SafeTensors::deserialize(TABLE).unwrap();
    let mut ids = Vec::new();
    for word in words {
        let mut word = word.clone();
        word.resize(MAX_PIECES, 0);
        ids.extend(word.iter().flat_map(|id| (*id as u16).to_le_bytes()));
    }
    let mut codes = vec![0; rows * DIM];
    for row in 0..rows {
        codes[row * DIM + row] = 127;
    }
    let scales: Vec<u8> = (0..rows).flat_map(|_| scale.to_le_bytes()).collect();
    let view = |dtype, shape: &[usize], bytes| TensorView::new(dtype, shape.to_vec(), bytes);
    let tensors = [
        ("embeddings", known.tensor("embeddings").unwrap()),
        ("scales", known.tensor("scales").unwrap()),
        (
            "words",
            view(Dtype::U16, &[words.len(), MAX_PIECES], &ids).unwrap(),
        ),
        (
            "word_embeddings",
            view(Dtype::I8, &[rows, DIM], &codes).unwrap(),
        ),
        ("word_scales", view(Dtype::F16, &[rows], &scales).unwrap()),
    ];
    serialize(tensors, None).unwrap().leak()
}

fn vector(text: &str) -> Vec<f32> {
    WORDY.embed(&[text]).unwrap().vectors.remove(0)
}

fn axis(at: usize) -> Vec<f32> {
    (0..DIM).map(|x| f32::from(u8::from(x == at))).collect()
}

#[test]
fn a_word_of_the_list_counts_as_itself_however_it_is_spelt() {
    for (at, word) in WORDS.iter().enumerate() {
        for text in [
            word.to_uppercase(),
            format!(" {word}\n"),
            word.replace('u', "ú"),
        ] {
            assert_eq!(vector(&text), axis(at), "{text:?}");
        }
        // The tokens are the tokenizer's.
        let pieces = pieces_of(word).len();
        assert!(pieces > 1, "{word}");
        assert_eq!(WORDY.embed(&[word]).unwrap().tokens, [pieces as u32]);
        assert_eq!(WORDY.read(word, &mut Vec::new()), Ok(false));
    }
}

#[test]
fn other_words_count_as_their_pieces() {
    let without = MODEL.clone().unwrap();
    for text in ["co", "covids", "vid", "co vid", "co-vid", "unbelievably"] {
        let known = StaticMinilm::parse(table(&[], 0, 0), VOCABULARY).unwrap();
        assert_eq!(vector(text), known.embed(&[text]).unwrap().vectors[0]);
    }
    assert_ne!(WORDY.info.fingerprint, without.info.fingerprint);
}

#[test]
fn a_word_that_is_cut_is_its_pieces() {
    let text = "boat ".repeat(MAX_TOKENS - 1) + "covid";
    let cut = WORDY.embed(&[&text]).unwrap();
    assert_eq!((cut.cut, cut.tokens[0]), (Some(0), 512));
    assert_eq!(
        cut.vectors[0][0],
        vector(&("boat ".repeat(MAX_TOKENS - 1) + "co"))[0]
    );
}

#[test]
fn words_that_do_not_fit_are_refused() {
    let covid = pieces_of("covid");
    let boat = pieces_of("boat");
    let cases: [(&[Vec<u32>], usize, u16); 5] = [
        (std::slice::from_ref(&covid), 2, 0x3c00),
        (&[covid.clone(), covid.clone()], 2, 0x3c00),
        (&[boat], 1, 0x3c00),
        (&[Vec::new()], 1, 0x3c00),
        (std::slice::from_ref(&covid), 1, 0x7c00),
    ];
    for (words, rows, scale) in cases {
        let refused = StaticMinilm::parse(table(words, rows, scale), VOCABULARY);
        assert!(refused.is_err(), "{words:?}");
    }
}

proptest! {
    #[test]
    fn both_paths_of_the_tokenizer_find_the_same_words(
        words in prop::collection::vec((0_usize..9, 0_usize..4), 1..12),
    ) {
        let others = ["boat", "covids", "x1", "unbelievably"];
        let (mut fast, mut slow) = (String::new(), String::new());
        for (word, at) in words {
            let word = WORDS.get(word).unwrap_or_else(|| &others[word - WORDS.len()]);
            let word = word.replace('ü', "u");
            let at = at.min(word.len());
            fast += &format!("{word} ");
            // The reference drops a control character and joins what stands beside it; ours leaves the word to it.
            slow += &format!("{}\u{1}{} ", &word[..at], &word[at..]);
        }
        prop_assert_eq!(vector(&fast), vector(&slow));
    }
}
