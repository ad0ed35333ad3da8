use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::types::error_kind::ErrorKind;

const GOLDEN: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/config/models/static-minilm/static_minilm_256.json"
));

fn model() -> Arc<StaticMinilm> {
    MODEL.clone().unwrap()
}

#[test]
fn golden_vectors_are_reproduced() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(golden["format"], FORMAT_WORDS);
    let cases = golden["golden"].as_array().unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let mut ids = Vec::new();
        model().read(text, &mut ids).unwrap();
        assert_eq!(ids, expected, "{text:?}");
        let Ok(embedded) = model().embed(&[text]) else {
            assert_eq!(text, "");
            continue;
        };
        assert_eq!(embedded.tokens, [u32::try_from(expected.len()).unwrap()]);
        let first: Vec<f32> = serde_json::from_value(case["first8"].clone()).unwrap();
        for (got, expected) in embedded.vectors[0].iter().zip(&first) {
            assert!(
                (got - expected).abs() < 1e-3,
                "{text:?}: {got} for {expected}"
            );
        }
    }
}

#[test]
fn vectors_are_of_unit_length_and_the_same_every_time() {
    let texts = ["boat", "a boat on the river", "Zürich, 漢字 and ☃ 42!", "?"];
    let embedded = model().embed(&texts).unwrap();
    for (text, vector) in texts.iter().zip(&embedded.vectors) {
        assert_eq!(vector.len(), DIM);
        let norm: f32 = vector.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-5, "{text}: {norm}");
    }
    let again = StaticMinilm::parse(TABLE, VOCABULARY).unwrap();
    assert_eq!(again.embed(&texts).unwrap(), embedded);
    assert_eq!(again.info, model().info);
    assert_eq!(again.info.fingerprint.len(), FINGERPRINT_DIGITS);
}

#[test]
fn likeness_follows_meaning() {
    let texts = [
        "How do I reset my password?",
        "I forgot my login",
        "The cat sat on the mat.",
    ];
    let vectors = model().embed(&texts).unwrap().vectors;
    let dot = |a: usize, b: usize| crate::engines::embedding::vector::dot(&vectors[a], &vectors[b]);
    assert!(dot(0, 1) > dot(0, 2) + 0.2, "{} {}", dot(0, 1), dot(0, 2));
}

#[test]
fn a_text_without_known_words_is_named() {
    for empty in [
        "",
        " \t\n",
        "\u{1}\u{2}",
        "\u{1f980}\u{1f980}",
        &"x".repeat(101),
    ] {
        let error = model().embed(&["boat", empty]).unwrap_err();
        assert_eq!(error, EmbedError::EmptyText { index: 1 }, "{empty:?}");
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
}

#[test]
fn only_the_first_tokens_of_a_long_text_are_read() {
    let long = "boat ".repeat(MAX_TOKENS) + &"river ".repeat(1_000);
    let fits = "boat ".repeat(MAX_TOKENS);
    assert_eq!(model().embed(&[&fits]).unwrap().cut, None);
    assert_eq!(model().embed(&["boat", &long, &long]).unwrap().cut, Some(1));
    let embedded = model().embed(&[&long, "boat"]).unwrap();
    assert_eq!(embedded.tokens, [512, 1]);
    let drift = embedded.vectors[0]
        .iter()
        .zip(&embedded.vectors[1])
        .map(|(a, b)| (a - b).abs());
    assert!(drift.fold(0.0, f32::max) < 1e-4);
}

#[test]
fn ids_are_decoded_into_words() {
    let cases: [(&[u32], &str); 5] = [
        (&[], ""),
        (&[101, 1996, 4937, 102, 0, 100, 1], "the cat"),
        (&[4895, 8671, 2666, 3567, 6321, 1012], "unbelievably ."),
        (&[2666, 4937], "ie cat"),
        (&[1, 103], ""),
    ];
    for (ids, expected) in cases {
        assert_eq!(model().decode(ids).unwrap(), expected, "{ids:?}");
    }
    for id in [30_522, u32::MAX] {
        let error = model().decode(&[1996, id]).unwrap_err();
        assert_eq!(error, EmbedError::UnknownToken { id, last: 30_521 });
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
}

#[test]
fn a_table_that_does_not_fit_is_refused() {
    let cut: &'static [u8] = &TABLE[..TABLE.len() - 1];
    let short: &'static str = VOCABULARY.split_once('\n').unwrap().1;
    for result in [
        StaticMinilm::parse(cut, VOCABULARY),
        StaticMinilm::parse(TABLE, short),
        StaticMinilm::parse(TABLE, ""),
        StaticMinilm::parse(b"{}", VOCABULARY),
    ] {
        assert_eq!(result.err().unwrap().kind(), ErrorKind::Internal);
    }
}

#[test]
fn halves_are_widened_exactly() {
    let cases = [
        (0x0000, 0.0),
        (0x8000, -0.0),
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0x0001, 5.960_464_5e-8),
        (0x83ff, -6.097_555e-5),
        (0x0400, 6.103_515_6e-5),
        (0x3555, 0.333_251_95),
        (0x7c00, f32::INFINITY),
    ];
    for (bits, expected) in cases {
        assert_eq!(f16(bits).to_bits(), f32::to_bits(expected), "{bits:#06x}");
    }
    assert!(f16(0x7e00).is_nan());
}

proptest! {
    #[test]
    fn decoded_ids_embed_alike(text in "[a-zA-Z0-9 .,'?!-]{1,80}") {
        let mut ids = Vec::new();
        model().read(&text, &mut ids).unwrap();
        let mut again = Vec::new();
        model().read(&model().decode(&ids).unwrap(), &mut again).unwrap();
        prop_assert_eq!(again, ids);
    }
}
