use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::*;

const VOCABULARY: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/config/models/static-minilm/vocab.txt"
));

static OURS: LazyLock<WordPieceTokenizer> =
    LazyLock::new(|| WordPieceTokenizer::new(VOCABULARY).unwrap());

/// The crate's own pipeline over whole texts.
static THEIRS: LazyLock<Tokenizer> = LazyLock::new(|| {
    let mut tokenizer = Tokenizer::new(OURS.reference.model.clone());
    tokenizer
        .with_normalizer(Some(OURS.reference.normalizer))
        .unwrap()
        .with_pre_tokenizer(Some(tokenizers::pre_tokenizers::bert::BertPreTokenizer));
    tokenizer
});

fn ours(text: &str, limit: usize) -> Vec<u32> {
    let mut ids = vec![1, 2, 3];
    OURS.tokenize(text, limit, &mut ids).unwrap();
    ids
}

fn theirs(text: &str) -> Vec<u32> {
    THEIRS.encode(text, false).unwrap().get_ids().to_vec()
}

fn check(text: &str) {
    let expected = theirs(text);
    assert_eq!(ours(text, usize::MAX), expected, "{text:?}");
    let cut = expected.len() / 2;
    assert_eq!(ours(text, cut), expected[..cut], "{text:?} cut at {cut}");
}

#[test]
fn odd_texts_give_the_ids_of_the_crate() {
    let long = "a".repeat(100);
    let cases = [
        "",
        " ",
        "Hello, world!",
        "don't stop--now... 3.14 C++ a_b @x #tag ##ing [UNK] [MASK]",
        "  tabs\tand\r\nlines  ",
        "telecommunications internationalization counterrevolutionaries",
        "control\u{1}joined\u{b}and\u{c}more\u{7f}here \u{0}",
        "soft\u{ad}hyphen zero\u{200b}width \u{feff}bom \u{fffd}",
        "Café déjà-vu, naïve résumé! e\u{301}clair .\u{301} a<\u{338}b",
        "漢字とかな 한국어 ไทย ﬁne ｆｕｌｌ İstanbul ẞ ΑΣ",
        "price:€5—then… “quoted” ¿qué? \u{1f980}crab",
        "no\u{a0}break\u{2003}spaces\u{3000}here\u{85}next\u{2028}line",
        "x86_64 10,000 $4.50 100%",
    ];
    for case in cases {
        check(case);
    }
    for case in [
        long.clone(),
        format!("{long}b c"),
        format!("x {long}{long} y é{long}"),
    ] {
        check(&case);
    }
}

#[test]
fn real_texts_give_the_ids_of_the_crate() {
    let mut texts = 0;
    for folder in ["config/demo/trecqa", "tests/data/eval/banking77"] {
        for file in ["corpus.jsonl", "queries.jsonl"] {
            let path = format!("{}/{folder}/{file}", env!("CARGO_MANIFEST_DIR"));
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let record: Value = serde_json::from_str(line).unwrap();
                let text = record["text"].as_str().unwrap();
                assert_eq!(ours(text, usize::MAX), theirs(text), "{text:?}");
                texts += 1;
            }
        }
    }
    assert!(texts > 15_000, "{texts}");
}

#[test]
fn a_limit_cuts_within_a_word_and_before_the_reference() {
    assert_eq!(ours("unbelievably é", 2), theirs("unbelievably")[..2]);
    assert_eq!(ours("a a é é", 2), theirs("a a"));
    assert!(ours("a.b.c é", 0).is_empty());
    assert_eq!(ours(&"é.".repeat(400), 512).len(), 512);
}

#[test]
fn a_vocabulary_without_unknown_is_refused() {
    let error = WordPieceTokenizer::new("a\n##b\n").err().unwrap();
    assert!(error.to_string().contains("[UNK]"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_ascii_gives_the_ids_of_the_crate(text in "[\\x00-\\x7f]{0,120}") {
        check(&text);
    }

    #[test]
    fn any_words_give_the_ids_of_the_crate(
        text in "([a-z]{1,24}|[A-Za-z0-9]{1,110}|[!-/:-@\\[-`{-~]{1,6}|[0-9.,]{1,9}|[ \\n]{1,3})\
                {0,12}",
    ) {
        check(&text);
    }

    #[test]
    fn any_unicode_gives_the_ids_of_the_crate(
        text in "\\PC{0,60}|(\\p{L}|\\p{M}|\\p{C}|[a-z .\\n]){0,60}",
    ) {
        check(&text);
    }
}
