use super::*;
use crate::engines::embedding::{Embedded, ModelInfo};
use crate::types::error_kind::ErrorKind;

/// Embeds a text by the letters it holds, and finds one without any empty.
struct Letters(ModelInfo);

impl Letters {
    fn new() -> Self {
        let (name, owned_by, fingerprint) = ("letters".into(), "tests".into(), "0".into());
        Self(ModelInfo {
            name,
            created: 0,
            owned_by,
            dim: 26,
            max_tokens: 9,
            fingerprint,
        })
    }
}

impl Embedder for Letters {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn embed(&self, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let mut vectors = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let mut vector = vec![0.0; 26];
            for letter in text.bytes().filter(u8::is_ascii_lowercase) {
                vector[usize::from(letter - b'a')] = 1.0;
            }
            if !crate::engines::embedding::vector::normalize(&mut vector) {
                return Err(EmbedError::EmptyText { index });
            }
            vectors.push(vector);
        }
        Ok(Embedded {
            tokens: vec![1; vectors.len()],
            vectors,
            cut: None,
        })
    }

    fn decode(&self, _ids: &[u32]) -> Result<String, EmbedError> {
        Ok(String::new())
    }
}

fn folder() -> EvalFolder {
    let lines = |texts: &[(&str, &str)]| {
        let line = |(id, text): &(&str, &str)| format!("{{\"id\":\"{id}\",\"text\":\"{text}\"}}\n");
        Some(texts.iter().map(line).collect::<String>())
    };
    EvalFolder {
        corpus: lines(&[("d0", "boat"), ("d1", "42"), ("d2", "fish"), ("d3", "oar")]),
        queries: lines(&[("q0", "boats"), ("q1", "fishes"), ("q2", "unjudged")]),
        qrels: Some("q0\td0\t1\nq0\td1\t1\n\nq1\td2\t2\nq1\td0\t0\n".to_owned()),
        sts: Some("5\tboat\tboat\n3\tboat\tboar\n0.5\tboat\tfish\n".to_owned()),
    }
}

#[test]
fn a_small_set_by_hand() {
    let mut seen = Vec::new();
    let report = evaluate(&folder(), &Letters::new(), None, 2, &mut |done, steps| {
        seen.push((done, steps))
    })
    .unwrap();
    let retrieval = report.retrieval.unwrap();
    assert_eq!((retrieval.documents, retrieval.queries), (4, 2));
    // q0 finds d0, d3 by two letters, d2 by one, and d1, which has none, last.
    let fourth = 1.0 / 5_f64.log2();
    let q0 = (1.0 + fourth) / (1.0 + 1.0 / 3_f64.log2());
    let dense = retrieval.score(Way::Dense).unwrap();
    assert!(
        (dense.ndcg_at_10 - f64::midpoint(q0, 1.0)).abs() < 1e-9,
        "{retrieval:?}"
    );
    assert!((dense.recall_at_10 - 1.0).abs() < 1e-9);
    // By words, q0 finds d0 alone, and q1 d2: their plurals have the same stem.
    let lexical = retrieval.score(Way::Lexical).unwrap();
    assert!((lexical.recall_at_10 - 0.75).abs() < 1e-9, "{retrieval:?}");
    assert!(retrieval.score(Way::Refined).is_none());
    assert!((report.sts.unwrap().spearman - 1.0).abs() < 1e-9);
    assert_eq!(seen.last(), Some(&(22, 22)));
    assert!(seen.is_sorted());
}

#[test]
fn either_half_of_a_folder_is_enough() {
    let retrieval = EvalFolder {
        sts: None,
        ..folder()
    };
    let report = evaluate(&retrieval, &Letters::new(), None, 1, &mut |_, _| {}).unwrap();
    assert!(report.retrieval.is_some() && report.sts.is_none());
    let sts = EvalFolder {
        sts: folder().sts,
        ..EvalFolder::default()
    };
    let report = evaluate(&sts, &Letters::new(), None, 1, &mut |_, _| {}).unwrap();
    assert!(report.retrieval.is_none() && report.sts.is_some());
}

#[test]
fn broken_sets_are_refused_with_file_and_line() {
    type Break = fn(&mut EvalFolder);
    let cases: [(Break, &str); 12] = [
        (
            |folder| *folder = EvalFolder::default(),
            "nothing to measure",
        ),
        (|folder| folder.corpus = None, "corpus.jsonl is missing"),
        (|folder| folder.queries = None, "queries.jsonl is missing"),
        (|folder| folder.qrels = None, "qrels.tsv is missing"),
        (
            |folder| folder.corpus = Some("\n{}".into()),
            "corpus.jsonl line 2: expected {\"id\"",
        ),
        (
            |folder| folder.queries = Some("\n".into()),
            "queries.jsonl holds nothing",
        ),
        (
            |folder| folder.qrels = Some("q0\td0\n".into()),
            "qrels.tsv line 1: expected query id",
        ),
        (
            |folder| folder.qrels = Some("q0\td9\t1".into()),
            "no document d9 in corpus.jsonl",
        ),
        (
            |folder| folder.qrels = Some("q9\td0\t1".into()),
            "no query q9 in queries.jsonl",
        ),
        (
            |folder| folder.qrels = Some("q0\td0\tNaN".into()),
            "line 1: NaN is not a number",
        ),
        (
            |folder| folder.qrels = Some("q0\td0\t0".into()),
            "qrels.tsv holds nothing",
        ),
        (
            |folder| folder.sts = Some("a\tb\tc".into()),
            "sts.tsv line 1: a is not a number",
        ),
    ];
    for (broken, expected) in cases {
        let mut folder = folder();
        broken(&mut folder);
        let error = evaluate(&folder, &Letters::new(), None, 1, &mut |_, _| {}).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
    let twice = "{\"id\":\"a\",\"text\":\"b\"}\n".repeat(2);
    let error = RetrievalSet::parse(&twice, "", "").unwrap_err().to_string();
    assert!(
        error.contains("corpus.jsonl line 2: id a stands here for the second time"),
        "{error}"
    );
}

/// Knows one document only: where it is, nothing else matters.
struct Oracle(Letters, &'static str);

impl Embedder for Oracle {
    fn info(&self) -> &ModelInfo {
        self.0.info()
    }

    fn embed(&self, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let known = |text: &&str| text.contains(self.1) || text.ends_with('s');
        Ok(Embedded {
            vectors: texts
                .iter()
                .map(|text| match known(text) {
                    true => vec![1.0, 0.0],
                    false => vec![0.0, 1.0],
                })
                .collect(),
            tokens: vec![1; texts.len()],
            cut: None,
        })
    }

    fn decode(&self, _ids: &[u32]) -> Result<String, EmbedError> {
        Ok(String::new())
    }
}

#[test]
fn a_refiner_moves_what_it_knows_to_the_front() {
    let oracle = Oracle(Letters::new(), "oar");
    let folder = EvalFolder {
        qrels: Some("q0\td3\t1\n".to_owned()),
        ..folder()
    };
    let report = evaluate(&folder, &Letters::new(), Some(&oracle), 2, &mut |_, _| {}).unwrap();
    let retrieval = report.retrieval.unwrap();
    let ndcg = |way| retrieval.score(way).unwrap().ndcg_at_10;
    assert!((ndcg(Way::Refined) - 1.0).abs() < 1e-9, "{retrieval:?}");
    assert!(ndcg(Way::Hybrid) < 0.9, "{retrieval:?}");
    assert_eq!(report.refiner.as_deref(), Some("letters"));
}
