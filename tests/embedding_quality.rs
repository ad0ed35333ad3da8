//! Holds the compiled-in embedder to the quality that its README states, on real judged texts.

use std::error::Error;
use std::path::Path;

use boathouse::engines::embedding::evaluation::{EvalError, Retrieval, evaluate};
use boathouse::engines::embedding::{Embedders, EmbeddingConfig};
use boathouse::storage::eval_set::EvalFolder;

fn measure(folder: &str) -> Result<Retrieval, Box<dyn Error>> {
    let folder = EvalFolder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))?;
    let embedder = Embedders::new(&EmbeddingConfig::default())?.local("")?;
    let report = evaluate(&folder, embedder.as_ref(), 2, &mut |_, _| {})?;
    Ok(report.retrieval.ok_or(EvalError::Nothing)?)
}

/// Compares in points (× 100). The figures are deterministic; the margin is for another order of
/// float additions.
fn check(got: f64, expected: f64, what: &str) {
    let got = got * 100.0;
    assert!(
        (got - expected).abs() < 0.2,
        "{what}: {got:.2}, expected {expected}"
    );
}

#[test]
fn trecqa() -> Result<(), Box<dyn Error>> {
    let got = measure("config/demo/trecqa")?;
    assert_eq!((got.documents, got.queries), (2_431, 167));
    check(got.ndcg_at_10, 50.7, "ndcg");
    check(got.recall_at_10, 72.3, "recall");
    Ok(())
}

#[test]
fn banking77() -> Result<(), Box<dyn Error>> {
    let got = measure("tests/data/eval/banking77")?;
    assert_eq!((got.documents, got.queries), (10_003, 3_080));
    check(got.ndcg_at_10, 82.5, "ndcg");
    check(got.recall_at_10, 6.7, "recall");
    Ok(())
}
