//! What every embedder that computes here must do, whatever its model.

use std::sync::Arc;

use super::super::{FOLDER_KINDS, TABLE, static_minilm};
use crate::engines::embedding::{EmbedError, Embedder};
use crate::types::error_kind::ErrorKind;

/// One kind, with words that its model knows.
struct Kind {
    name: &'static str,
    load: fn() -> Arc<dyn Embedder>,
    /// One token each.
    words: [&'static str; 4],
    /// Ids, and the text that they stand for.
    ids: (&'static [u32], &'static str),
    /// No model has so many.
    unknown: u32,
}

fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: static_minilm::NAME,
            load: || static_minilm::load().unwrap(),
            words: ["boat", "river", "the", "sail"],
            ids: (&[101, 1996, 4049, 102, 0], "the boat"),
            unknown: 30_522,
        },
        #[cfg(feature = "minilm")]
        Kind {
            name: super::super::minilm::NAME,
            load: || Arc::new(super::super::minilm::tests::model()),
            words: ["boat", "river", "the", "sail"],
            ids: (&[2, 12, 11, 5, 10, 3, 0], "sailing boats"),
            unknown: 20,
        },
    ]
}

fn near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
}

#[test]
fn every_kind_is_tested() {
    let tested: Vec<&str> = kinds().iter().map(|kind| kind.name).collect();
    let compiled_in = TABLE.iter().map(|(name, _)| *name);
    let of_folders = FOLDER_KINDS.iter().map(|(name, _)| *name);
    assert_eq!(tested, compiled_in.chain(of_folders).collect::<Vec<_>>());
}

#[test]
fn a_text_has_one_unit_vector_whatever_stands_beside_it() {
    for kind in kinds() {
        let model = (kind.load)();
        let words_of = |at: usize| 1 + at % 4;
        let texts: Vec<String> = (0..150)
            .map(|at| {
                let words = (0..words_of(at)).map(|step| kind.words[(at >> (2 * step)) % 4]);
                words.collect::<Vec<_>>().join(" ")
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let together = model.embed(&texts).unwrap();
        assert_eq!(together.vectors.len(), texts.len(), "{}", kind.name);
        assert_eq!(together.cut, None);
        for (at, text) in texts.iter().enumerate() {
            let vector = &together.vectors[at];
            assert_eq!(vector.len(), model.info().dim);
            let norm: f32 = vector.iter().map(|value| value * value).sum();
            assert!((norm - 1.0).abs() < 1e-5, "{} {text}: {norm}", kind.name);
            let alone = model.embed(&[text]).unwrap();
            assert!(near(vector, &alone.vectors[0]), "{} {text}", kind.name);
            assert_eq!(together.tokens[at] as usize, words_of(at), "{text}");
            assert_eq!(together.tokens[at], alone.tokens[0]);
        }
        assert!(model.embed(&[]).unwrap().vectors.is_empty());
    }
}

#[test]
fn other_words_give_other_vectors_and_an_equal_model_the_same() {
    for kind in kinds() {
        let (model, again) = ((kind.load)(), (kind.load)());
        assert_eq!(model.info(), again.info(), "{}", kind.name);
        assert_eq!(model.info().fingerprint.len(), 16);
        assert!(model.info().max_tokens > 0);
        let embedded = model.embed(&kind.words).unwrap();
        assert_eq!(embedded, again.embed(&kind.words).unwrap());
        for (at, vector) in embedded.vectors.iter().enumerate() {
            let others = &embedded.vectors[at + 1..];
            assert!(!others.iter().any(|other| near(vector, other)));
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_and_told() {
    for kind in kinds() {
        let model = (kind.load)();
        let max = model.info().max_tokens;
        let text = |words: usize| vec![kind.words[0]; words].join(" ");
        let (fits, long) = (text(max), text(max) + " " + kind.words[1]);
        assert_eq!(model.embed(&[&fits]).unwrap().cut, None, "{}", kind.name);
        let embedded = model.embed(&[kind.words[1], &fits, &long, &long]).unwrap();
        assert_eq!(embedded.cut, Some(2), "{}", kind.name);
        assert_eq!(embedded.tokens[1..], [max as u32; 3]);
        assert!(near(&embedded.vectors[1], &embedded.vectors[2]));
    }
}

#[test]
fn a_text_of_nothing_is_named() {
    for kind in kinds() {
        let model = (kind.load)();
        for empty in ["", " \t\n", "\u{1}", &"x".repeat(101)] {
            let error = model.embed(&[kind.words[0], empty]).unwrap_err();
            let expected = EmbedError::EmptyText { index: 1 };
            assert_eq!(error, expected, "{} {empty:?}", kind.name);
            assert_eq!(error.kind(), ErrorKind::BadRequest);
        }
    }
}

#[test]
fn ids_become_their_text() {
    for kind in kinds() {
        let model = (kind.load)();
        let (ids, text) = kind.ids;
        assert_eq!(model.decode(ids).unwrap(), text, "{}", kind.name);
        assert_eq!(model.decode(&[]).unwrap(), "");
        for id in [kind.unknown, u32::MAX] {
            let error = model.decode(&[ids[1], id]).unwrap_err();
            let last = kind.unknown as usize - 1;
            assert_eq!(error, EmbedError::UnknownToken { id, last });
        }
    }
}
