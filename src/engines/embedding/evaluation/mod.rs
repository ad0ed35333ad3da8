//! How good an embedder is: retrieval in each way of searching, and likeness, measured on judged texts.
//!
//! A set is a folder's text (`storage/eval_set.rs` reads it): `corpus.jsonl`, `queries.jsonl` and
//! `qrels.tsv` for retrieval, `sts.tsv` for likeness.

mod metrics;
mod searched;
mod sets;

use serde::Serialize;

use super::error::EmbedError;
use super::{Embedder, vector::dot};
use crate::storage::eval_set::EvalFolder;
pub use metrics::{ndcg, recall, spearman};
use searched::{Query, Searched};
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
    /// The refiner's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refiner: Option<String>,
    /// From `corpus.jsonl`, `queries.jsonl` and `qrels.tsv`.
    pub retrieval: Option<Retrieval>,
    /// From `sts.tsv`.
    pub sts: Option<Likeness>,
}

/// Search for the judged documents over the whole corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retrieval {
    /// Documents searched.
    pub documents: usize,
    /// Queries with at least one relevant document; the others are left out.
    pub queries: usize,
    /// One for each way of searching that was measured.
    pub scores: Vec<Score>,
}

/// How a search goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By the embedder's vectors.
    Dense,
    /// By words.
    Lexical,
    /// By both.
    Hybrid,
    /// By both, the first hits ranked by another model's vectors.
    Refined,
}

impl Way {
    /// Returns the name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Lexical => "lexical",
            Self::Hybrid => "hybrid",
            Self::Refined => "refined",
        }
    }
}

/// How good one way of searching is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// The way.
    pub way: Way,
    /// Mean nDCG of the first ten, in `[0, 1]`.
    pub ndcg_at_10: f64,
    /// Mean part of the relevant documents among the first ten, in `[0, 1]`.
    pub recall_at_10: f64,
}

impl Retrieval {
    /// The score of one way, when it was measured.
    pub fn score(&self, way: Way) -> Option<&Score> {
        self.scores.iter().find(|score| score.way == way)
    }
}

/// Agreement with people on how alike two sentences are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// Pairs judged.
    pub pairs: usize,
    /// Rank correlation of cosine and judgement, in `[-1, 1]`.
    pub spearman: f64,
}

/// Measures `embedder` on all that `folder` holds, the searches on `threads` threads, refined by
/// `refiner` where there is one. `progress` gets steps done and steps in all; a step is a text
/// embedded or a query searched.
///
/// A text that a model finds empty counts as a zero vector; one that is too long is cut.
///
/// Errors: [`EvalError`] names file and line.
pub fn evaluate(
    folder: &EvalFolder,
    embedder: &dyn Embedder,
    refiner: Option<&dyn Embedder>,
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
    let models = 1 + usize::from(refiner.is_some());
    let steps = retrieval.as_ref().map_or(0, |set| {
        models * (set.documents.len() + set.queries.len()) + (2 + models) * set.queries.len()
    }) + pairs.as_ref().map_or(0, |pairs| 2 * pairs.len());
    let mut run = Run {
        threads,
        done: 0,
        steps,
        progress,
    };
    Ok(Report {
        model: embedder.info().name.clone(),
        refiner: refiner.map(|refiner| refiner.info().name.clone()),
        retrieval: retrieval
            .map(|set| run.retrieval(&set, embedder, refiner))
            .transpose()?,
        sts: pairs
            .map(|pairs| run.likeness(&pairs, embedder))
            .transpose()?,
    })
}

struct Run<'run> {
    threads: usize,
    done: usize,
    steps: usize,
    progress: &'run mut dyn FnMut(usize, usize),
}

impl Run<'_> {
    fn retrieval(
        &mut self,
        set: &RetrievalSet,
        embedder: &dyn Embedder,
        refiner: Option<&dyn Embedder>,
    ) -> Result<Retrieval, EvalError> {
        let documents = self.embed(embedder, &set.documents)?;
        let vectors = self.embed(embedder, &set.queries)?;
        let refining = match refiner {
            Some(refiner) => Some((
                self.embed(refiner, &set.documents)?,
                self.embed(refiner, &set.queries)?,
            )),
            None => None,
        };
        let second = refining.as_ref().map(|(documents, _)| documents.as_slice());
        let searched = Searched::new(&set.documents, &documents, second)?;
        let queries: Vec<Query<'_>> = (0..set.queries.len())
            .map(|at| Query {
                text: &set.queries[at],
                vector: &vectors[at],
                refining: refining.as_ref().map(|(_, queries)| queries[at].as_slice()),
            })
            .collect();
        let mut ways = vec![Way::Dense, Way::Lexical, Way::Hybrid];
        ways.extend(refining.as_ref().map(|_| Way::Refined));
        let judged = set
            .judgements
            .iter()
            .filter(|relevant| !relevant.is_empty());
        let judged = judged.count();
        let mut scores = Vec::with_capacity(ways.len());
        for way in ways {
            let (mut ndcgs, mut recalls) = (0.0, 0.0);
            let judgements = set.judgements.chunks(BATCH);
            for (queries, judgements) in queries.chunks(BATCH).zip(judgements) {
                let found = searched.nearest(way, queries, self.threads)?;
                for (found, relevant) in found.iter().zip(judgements) {
                    if !relevant.is_empty() {
                        ndcgs += ndcg(found, relevant, CUTOFF);
                        recalls += recall(found, relevant, CUTOFF);
                    }
                }
                self.advance(queries.len());
            }
            let count = f64::from(u32::try_from(judged).unwrap_or(u32::MAX));
            scores.push(Score {
                way,
                ndcg_at_10: ndcgs / count,
                recall_at_10: recalls / count,
            });
        }
        Ok(Retrieval {
            documents: documents.len(),
            queries: judged,
            scores,
        })
    }

    fn likeness(
        &mut self,
        pairs: &[SentencePair],
        embedder: &dyn Embedder,
    ) -> Result<Likeness, EvalError> {
        let first: Vec<&str> = pairs.iter().map(|pair| pair.first.as_str()).collect();
        let second: Vec<&str> = pairs.iter().map(|pair| pair.second.as_str()).collect();
        let (first, second) = (
            self.embed(embedder, &first)?,
            self.embed(embedder, &second)?,
        );
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

    fn embed<T: AsRef<str>>(
        &mut self,
        embedder: &dyn Embedder,
        texts: &[T],
    ) -> Result<Vec<Vec<f32>>, EvalError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let texts: Vec<&str> = batch.iter().map(AsRef::as_ref).collect();
            match embedder.embed(&texts) {
                Ok(embedded) => vectors.extend(embedded.vectors),
                Err(EmbedError::EmptyText { .. }) => {
                    for text in texts {
                        vectors.push(embed_one(embedder, text)?);
                    }
                }
                Err(error) => return Err(error.into()),
            }
            self.advance(batch.len());
        }
        Ok(vectors)
    }

    fn advance(&mut self, steps: usize) {
        self.done += steps;
        (self.progress)(self.done, self.steps);
    }
}

fn embed_one(embedder: &dyn Embedder, text: &str) -> Result<Vec<f32>, EvalError> {
    match embedder.embed(&[text]) {
        Ok(embedded) => Ok(embedded.vectors.into_iter().next().unwrap_or_default()),
        Err(EmbedError::EmptyText { .. }) => Ok(vec![0.0; embedder.info().dim]),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
