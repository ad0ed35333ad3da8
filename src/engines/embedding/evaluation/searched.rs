//! The other ways of searching: through a collection in memory, as its clients would.

use std::thread;

use serde_json::Map;

use super::{CUTOFF, EvalError, Way};
use crate::engines::index::{
    Code, Contents, IndexConfig, Mode, Op, Refine, Refinement, SearchRequest, text_hash,
};
use crate::types::collection::{CollectionSpec, Refiner, Schema};
use crate::types::point::{Metric, Point};

/// The documents of a set as a collection.
pub(super) struct Searched {
    contents: Contents,
    config: IndexConfig,
}

/// One query in the forms that the ways need.
pub(super) struct Query<'a> {
    pub(super) text: &'a str,
    pub(super) vector: &'a [f32],
    /// As the refiner has it; needed by [`Way::Refined`].
    pub(super) refining: Option<&'a [f32]>,
}

impl Searched {
    /// Puts documents with their vectors, and second ones where there is a refiner, into a collection.
    pub(super) fn new(
        documents: &[String],
        vectors: &[Vec<f32>],
        refining: Option<&[Vec<f32>]>,
    ) -> Result<Self, EvalError> {
        let dim = vectors.first().map_or(0, Vec::len);
        let mut contents = Contents::new(CollectionSpec {
            name: "evaluation".to_owned(),
            dim,
            metric: Metric::Cosine,
            embedder: None,
            fingerprint: None,
            refiner: refining.map(|vectors| Refiner {
                model: String::new(),
                fingerprint: String::new(),
                dim: vectors.first().map_or(0, Vec::len),
            }),
            schema: Schema::default(),
            backend: Default::default(),
            created_ms: 0,
        });
        let points = documents.iter().zip(vectors).enumerate();
        let points = points.map(|(at, (text, vector))| Point {
            id: id(at),
            vector: vector.clone(),
            text: Some(text.clone()),
            payload: Map::new(),
        });
        contents.apply(Op::Upsert(points.collect()).into())?;
        if let Some(vectors) = refining {
            let refined = documents.iter().zip(vectors).enumerate();
            let refined = refined.map(|(at, (text, vector))| Refinement {
                id: id(at),
                text: text_hash(text),
                code: Code::of(vector),
            });
            contents.apply(Op::Refine(refined.collect()).into())?;
        }
        let config = IndexConfig {
            max_text_bytes: usize::MAX,
            ..IndexConfig::default()
        };
        Ok(Self { contents, config })
    }

    /// Finds the first documents of each query, on `threads` threads.
    pub(super) fn nearest(
        &self,
        way: Way,
        queries: &[Query<'_>],
        threads: usize,
    ) -> Result<Vec<Vec<u32>>, EvalError> {
        let share = queries.len().div_ceil(threads.max(1)).max(1);
        thread::scope(|scope| {
            let parts: Vec<_> = queries
                .chunks(share)
                .map(|queries| {
                    scope.spawn(move || {
                        let found = queries.iter().map(|query| self.one(way, query));
                        found.collect::<Result<Vec<_>, _>>()
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(queries.len());
            for part in parts {
                match part.join() {
                    Ok(found) => all.extend(found?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    }

    fn one(&self, way: Way, query: &Query<'_>) -> Result<Vec<u32>, EvalError> {
        let mode = match way {
            Way::Dense => Mode::Dense,
            Way::Lexical => Mode::Lexical,
            Way::Hybrid | Way::Refined => Mode::Hybrid,
        };
        // A query without a word that the model knows has no direction: only its words are left.
        let empty = query.vector.iter().all(|x| *x == 0.0);
        if empty && way == Way::Dense {
            return Ok(Vec::new());
        }
        let refine = query.refining.filter(|_| way == Way::Refined);
        let refine = refine.filter(|vector| vector.iter().any(|x| *x != 0.0));
        let request = SearchRequest {
            query_vector: Some(query.vector.to_vec()),
            query_text: Some(query.text.to_owned()),
            k: CUTOFF,
            mode: if empty { Mode::Lexical } else { mode },
            exact: true,
            refine: refine.map(|vector| Refine {
                vector: vector.to_vec(),
                depth: Refine::DEPTH,
            }),
            ..SearchRequest::default()
        };
        let found = self.contents.search(&request, &self.config, 0)?;
        let ids = found.hits.iter().filter_map(|hit| hit.id.parse().ok());
        Ok(ids.collect())
    }
}

/// Of a fixed length, so that equals keep the order of the corpus.
fn id(at: usize) -> String {
    format!("{at:010}")
}
