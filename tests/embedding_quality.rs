//! Holds the compiled-in embedder to the quality that its README states, on real judged texts.

use std::error::Error;
use std::path::Path;

use boathouse::engines::embedding::evaluation::{EvalError, Retrieval, Way, evaluate};
use boathouse::engines::embedding::{Embedders, EmbeddingConfig};
use boathouse::storage::eval_set::EvalFolder;

fn measure(folder: &str) -> Result<Retrieval, Box<dyn Error>> {
    let folder = EvalFolder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))?;
    let embedder = Embedders::new(&EmbeddingConfig::default())?.local("")?;
    let report = evaluate(&folder, embedder.as_ref(), None, 2, &mut |_, _| {})?;
    Ok(report.retrieval.ok_or(EvalError::Nothing)?)
}

/// Compares in points (× 100). The figures are deterministic; the margin is for another order of
/// float additions.
fn check(got: &Retrieval, way: Way, (ndcg, recall): (f64, f64)) {
    let near = |got: f64, expected: f64| (got * 100.0 - expected).abs() < 0.2;
    let found = got
        .score(way)
        .map(|s| near(s.ndcg_at_10, ndcg) && near(s.recall_at_10, recall));
    assert_eq!(found, Some(true), "{way:?}: {:?}", got.scores);
}

#[test]
fn trecqa() -> Result<(), Box<dyn Error>> {
    let got = measure("config/demo/trecqa")?;
    assert_eq!((got.documents, got.queries), (2_431, 167));
    check(&got, Way::Dense, (54.1, 74.1));
    Ok(())
}

#[test]
fn banking77() -> Result<(), Box<dyn Error>> {
    let got = measure("tests/data/eval/banking77")?;
    assert_eq!((got.documents, got.queries), (10_003, 3_080));
    check(&got, Way::Dense, (82.3, 6.7));
    Ok(())
}
