//! How good an embedder is: retrieval and likeness, measured on judged texts.
//!
//! A set is a folder's text (`storage/eval_set.rs` reads it): `corpus.jsonl`, `queries.jsonl` and
//! `qrels.tsv` for retrieval, `sts.tsv` for likeness.

mod metrics;
mod scan;
mod sets;

use serde::Serialize;

use super::error::EmbedError;
use super::{Embedder, vector::dot};
use crate::storage::eval_set::EvalFolder;
pub use metrics::{ndcg, recall, spearman};
pub use sets::{EvalError, RetrievalSet, SentencePair};

/// Documents that are looked at for each query.
const CUTOFF: usize = 10;

/// Texts embedded, or queries searched, between two reports of progress.
const BATCH: usize = 256;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The embedder's name.
    pub model: String,
    /// From `corpus.jsonl`, `queries.jsonl` and `qrels.tsv`.
    pub retrieval: Option<Retrieval>,
    /// From `sts.tsv`.
    pub sts: Option<Likeness>,
}

/// Search for the judged documents by inner product over the whole corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retrieval {
    /// Documents searched.
    pub documents: usize,
    /// Queries with at least one relevant document; the others are left out.
    pub queries: usize,
    /// Mean nDCG of the first ten, in `[0, 1]`.
    pub ndcg_at_10: f64,
    /// Mean part of the relevant documents among the first ten, in `[0, 1]`.
    pub recall_at_10: f64,
}

/// Agreement with people on how alike two sentences are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// Pairs judged.
    pub pairs: usize,
    /// Rank correlation of cosine and judgement, in `[-1, 1]`.
    pub spearman: f64,
}

/// Measures `embedder` on all that `folder` holds, the scan on `threads` threads. `progress` gets
/// steps done and steps in all; a step is a text or a query.
///
/// A text that the embedder finds empty counts as a zero vector.
///
/// Errors: [`EvalError`] names file and line.
pub fn evaluate(
    folder: &EvalFolder,
    embedder: &dyn Embedder,
    threads: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, EvalError> {
    let retrieval = RetrievalSet::of(folder)?;
    let pairs = folder
        .sts
        .as_deref()
        .map(sets::sentence_pairs)
        .transpose()?;
    if retrieval.is_none() && pairs.is_none() {
        return Err(EvalError::Nothing);
    }
    let steps = retrieval
        .as_ref()
        .map_or(0, |set| set.documents.len() + 2 * set.queries.len())
        + pairs.as_ref().map_or(0, |pairs| 2 * pairs.len());
    let mut run = Run {
        embedder,
        threads,
        done: 0,
        steps,
        progress,
    };
    Ok(Report {
        model: embedder.info().name.clone(),
        retrieval: retrieval.map(|set| run.retrieval(&set)).transpose()?,
        sts: pairs.map(|pairs| run.likeness(&pairs)).transpose()?,
    })
}

struct Run<'run> {
    embedder: &'run dyn Embedder,
    threads: usize,
    done: usize,
    steps: usize,
    progress: &'run mut dyn FnMut(usize, usize),
}

impl Run<'_> {
    fn retrieval(&mut self, set: &RetrievalSet) -> Result<Retrieval, EvalError> {
        let documents = self.embed(&set.documents)?;
        let queries = self.embed(&set.queries)?;
        let (mut ndcgs, mut recalls, mut judged) = (0.0, 0.0, 0);
        let judgements = set.judgements.chunks(BATCH);
        for (queries, judgements) in queries.chunks(BATCH).zip(judgements) {
            let found = scan::nearest(&documents, queries, CUTOFF, self.threads);
            for (found, relevant) in found.iter().zip(judgements) {
                if !relevant.is_empty() {
                    ndcgs += ndcg(found, relevant, CUTOFF);
                    recalls += recall(found, relevant, CUTOFF);
                    judged += 1;
                }
            }
            self.advance(queries.len());
        }
        let count = f64::from(u32::try_from(judged).unwrap_or(u32::MAX));
        Ok(Retrieval {
            documents: documents.len(),
            queries: judged,
            ndcg_at_10: ndcgs / count,
            recall_at_10: recalls / count,
        })
    }

    fn likeness(&mut self, pairs: &[SentencePair]) -> Result<Likeness, EvalError> {
        let first: Vec<&str> = pairs.iter().map(|pair| pair.first.as_str()).collect();
        let second: Vec<&str> = pairs.iter().map(|pair| pair.second.as_str()).collect();
        let (first, second) = (self.embed(&first)?, self.embed(&second)?);
        let cosines: Vec<f64> = first
            .iter()
            .zip(&second)
            .map(|(a, b)| f64::from(dot(a, b)))
            .collect();
        let scores: Vec<f64> = pairs.iter().map(|pair| pair.score).collect();
        Ok(Likeness {
            pairs: pairs.len(),
            spearman: spearman(&cosines, &scores),
        })
    }

    fn embed<T: AsRef<str>>(&mut self, texts: &[T]) -> Result<Vec<Vec<f32>>, EvalError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let texts: Vec<&str> = batch.iter().map(AsRef::as_ref).collect();
            match self.embedder.embed(&texts) {
                Ok(embedded) => vectors.extend(embedded.vectors),
                Err(EmbedError::EmptyText { .. }) => {
                    for text in texts {
                        vectors.push(self.embed_one(text)?);
                    }
                }
                Err(error) => return Err(error.into()),
            }
            self.advance(batch.len());
        }
        Ok(vectors)
    }

    fn embed_one(&self, text: &str) -> Result<Vec<f32>, EvalError> {
        match self.embedder.embed(&[text]) {
            Ok(embedded) => Ok(embedded.vectors.into_iter().next().unwrap_or_default()),
            Err(EmbedError::EmptyText { .. }) => Ok(vec![0.0; self.embedder.info().dim]),
            Err(error) => Err(error.into()),
        }
    }

    fn advance(&mut self, steps: usize) {
        self.done += steps;
        (self.progress)(self.done, self.steps);
    }
}

#[cfg(test)]
mod tests;
