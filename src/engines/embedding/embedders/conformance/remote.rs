//! What every embedder behind an upstream must do, checked against golden files of its wire format.

use super::super::{kinds, remote};
use crate::engines::embedding::remote::RemoteModel;
use crate::engines::embedding::{EmbedError, Embedded, EmbedderConfig};
use crate::engines::upstream::Reaction;
use crate::types::error_kind::ErrorKind;
use crate::types::http::{HttpHead, HttpReply};

/// The golden files of one kind.
struct Kind {
    kind: &'static str,
    path: &'static str,
    /// Vectors [3, 4] and [0, -2], 6 tokens.
    plain: &'static str,
    /// Vectors of which the second is shorter.
    ragged: &'static str,
    /// The body of an error, with `MESSAGE` in place of its text.
    error: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        kind: "ollama",
        path: "/api/embed",
        plain: include_str!("../fixtures/ollama_plain.json"),
        ragged: r#"{"model": "m", "embeddings": [[3, 4], [5]]}"#,
        error: r#"{"error": "MESSAGE"}"#,
    },
    Kind {
        kind: "openai",
        path: "/embeddings",
        plain: include_str!("../fixtures/openai_plain.json"),
        ragged: r#"{"data": [{"embedding": [3, 4]}, {"embedding": [5]}]}"#,
        error: r#"{"error": {"message": "MESSAGE", "type": "t", "param": null, "code": null}}"#,
    },
];

const TEXTS: [&str; 2] = ["a boat", "ab"];

impl Kind {
    fn model(&self, settings: &str) -> RemoteModel {
        let config: EmbedderConfig = toml::from_str(&format!(
            "kind = \"{}\"\nbase_url = \"http://127.0.0.1:1/base/\"\nmodel = \"m\"\n{settings}",
            self.kind
        ))
        .unwrap();
        remote("up", &config, Some("sk-secret".into())).unwrap()
    }

    fn decode(&self, status: u16, body: &str) -> Result<Embedded, EmbedError> {
        decode(&self.model(""), status, body, &TEXTS)
    }
}

fn decode(
    model: &RemoteModel,
    status: u16,
    body: &str,
    texts: &[&str],
) -> Result<Embedded, EmbedError> {
    let head = HttpHead {
        status,
        headers: vec![("retry-after".into(), "2".into())],
    };
    let body = body.as_bytes().to_vec();
    model.decode(&HttpReply { head, body }, texts)
}

#[test]
fn every_kind_is_tested() {
    assert_eq!(KINDS.map(|kind| kind.kind).to_vec(), kinds());
}

#[test]
fn a_batch_is_one_call() {
    for kind in KINDS {
        let call = kind
            .model("extra_body = { x = 1 }")
            .plan(&TEXTS, false)
            .unwrap();
        assert_eq!(call.url, format!("http://127.0.0.1:1/base{}", kind.path));
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["input"], serde_json::json!(TEXTS));
        assert_eq!((&body["model"], &body["x"]), (&"m".into(), &1.into()));
        let key = ("authorization".to_owned(), "Bearer sk-secret".to_owned());
        assert!(call.headers.contains(&key));
        assert!(!format!("{call:?}").contains("sk-secret"));
    }
}

#[test]
fn a_text_of_more_words_than_tokens_is_cut_only_when_asked() {
    for kind in KINDS {
        let model = kind.model("max_tokens = 2");
        assert!(model.plan(&["a b"], false).is_ok());
        let error = model.plan(&["a b", "a b c"], false).unwrap_err();
        assert_eq!(error, EmbedError::TooManyTokens { index: 1, max: 2 });
        let call = model.plan(&["a b c"], true).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["input"][0], "a b ");
    }
}

#[test]
fn vectors_come_in_order_normalised_and_with_their_tokens() {
    for kind in KINDS {
        let embedded = kind.decode(200, kind.plain).unwrap();
        let expected = [vec![0.6, 0.8], vec![0.0, -1.0]];
        assert_eq!(embedded.vectors, expected, "{}", kind.kind);
        assert_eq!(embedded.tokens, [4, 2]);
    }
}

#[test]
fn the_first_answer_pins_the_dimension_and_names_the_vectors() {
    for kind in KINDS {
        let model = kind.model("");
        assert_eq!((model.info(), model.card().dim), (None, 0));
        decode(&model, 200, kind.plain, &TEXTS).unwrap();
        let info = model.info().unwrap().clone();
        assert_eq!((info.dim, info.fingerprint.len()), (2, 16));
        // Configured, it is known at once, and is the same.
        assert_eq!(kind.model("dim = 2").info(), Some(&info));
        assert!(kind.model("").gives(&info.fingerprint, 2));
        for other in ["dim = 3", "dim = 2\nextra_body = { dimensions = 2 }"] {
            assert!(!kind.model(other).gives(&info.fingerprint, 2), "{other}");
        }
        let pinned = kind.model("dim = 3");
        let error = decode(&pinned, 200, kind.plain, &TEXTS).unwrap_err();
        assert!(
            matches!(
                error,
                EmbedError::DimensionChanged {
                    expected: 3,
                    got: 2,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Upstream);
    }
}

#[test]
fn answers_that_cannot_be_right_are_refused() {
    for kind in KINDS {
        for (body, expected) in [
            (kind.plain.replace("-2", "1e300"), "cannot be read"),
            (kind.plain.replace("-2", "0"), "vector 1 has no direction"),
            (kind.plain.replace("-2", "NaN"), "cannot be read"),
            (kind.plain.replace("-2", "null"), "cannot be read"),
            (kind.plain[..40].to_owned(), "cannot be read"),
            ("{}".to_owned(), "cannot be read"),
            (String::new(), "cannot be read"),
        ] {
            let error = kind.decode(200, &body).unwrap_err();
            assert!(
                error.to_string().contains(expected),
                "{}: {error}",
                kind.kind
            );
            assert_eq!(
                (error.kind(), error.reaction()),
                (ErrorKind::Upstream, Reaction::Next)
            );
            assert!(error.counts_as_failure());
        }
        let ragged = kind.decode(200, kind.ragged).unwrap_err();
        assert!(
            matches!(ragged, EmbedError::DimensionChanged { .. }),
            "{ragged}"
        );
        for texts in [&TEXTS[..1], &["a", "b", "c"]] {
            let error = decode(&kind.model(""), 200, kind.plain, texts).unwrap_err();
            assert!(error.to_string().contains("2 vectors for"), "{error}");
        }
    }
}

#[test]
fn errors_have_their_classes_also_inside_a_200() {
    use ErrorKind as K;
    use Reaction::{Final, Next, Retry};
    for kind in KINDS {
        let told = |message: &str| kind.error.replace("MESSAGE", message);
        for (status, message, expected, reaction) in [
            (200, "overloaded", K::Upstream, Retry),
            (400, "bad input", K::BadRequest, Final),
            (
                400,
                "the input length exceeds the context length",
                K::BadRequest,
                Next,
            ),
            (401, "bad key sk-secret", K::Upstream, Next),
            (404, "model not found", K::NotFound, Next),
            (429, "slow down", K::TooManyRequests, Retry),
            (500, "oops", K::Upstream, Retry),
            (503, "loading", K::Unavailable, Retry),
        ] {
            let error = kind.decode(status, &told(message)).unwrap_err();
            assert_eq!(
                (error.kind(), error.reaction()),
                (expected, reaction),
                "{} {status}: {error}",
                kind.kind
            );
            assert!(!error.to_string().contains("sk-secret"), "{error}");
            if status == 429 {
                assert_eq!(error.retry_after_ms(), Some(2_000));
            }
        }
    }
}

#[test]
fn openai_servers_may_answer_out_of_order_and_in_base64() {
    let kind = &KINDS[1];
    let body = r#"{"data": [{"index": 1, "embedding": "AAAAAAAAAMA="}, {"index": 0, "embedding": [3, 4]}]}"#;
    let embedded = kind.decode(200, body).unwrap();
    assert_eq!(embedded.vectors, [vec![0.6, 0.8], vec![0.0, -1.0]]);
    assert_eq!(embedded.tokens, [0, 0], "it did not count");
    for (from, to, expected) in [
        ("\"index\": 1", "\"index\": 0", "index 1 is missing"),
        ("AAAAAAAAAMA=", "AAAAAAA=", "no base64 of"),
    ] {
        let error = kind.decode(200, &body.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
