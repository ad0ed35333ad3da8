//! A search from its request to its hits.

use std::borrow::Cow;

use super::admission::{prepare, within};
use super::contents::Contents;
use super::planner::Search;
use super::top::Ranked;
use super::{
    Fusion, IndexConfig, IndexError, Mode, Plan, Refine, Scope, SearchPath, SearchRequest,
    SearchResult, Strategy, fusion, groups, mmr,
};
use crate::types::collection::CollectionSpec;
use crate::types::point::{Hit, Metric};

const MAX_K: usize = 1_000;
const MAX_GROUP_SIZE: usize = 100;
/// Fewest hits that each list brings into a fusion.
pub(super) const MIN_FUSION_DEPTH: usize = 100;

/// What is searched for, ready to be compared.
pub(super) enum Asked<'a> {
    Dense(Vec<f32>),
    Lexical(&'a str),
    Hybrid(Vec<f32>, &'a str),
    /// The likest of these, and the likest of those to be unlike.
    Likest(Vec<Vec<f32>>, Vec<Vec<f32>>),
}

impl Contents {
    /// Answers a search, at a Unix time in milliseconds.
    ///
    /// Errors: for a request that cannot be answered. An empty collection has no hits.
    pub fn search(
        &self,
        request: &SearchRequest,
        config: &IndexConfig,
        now_ms: u64,
    ) -> Result<SearchResult, IndexError> {
        check(request)?;
        self.check_model(request.made_by.as_deref())?;
        self.check_role(request.role.as_deref())?;
        let role = request.role.as_deref();
        let mut allowed = self.visible(Scope { role, now_ms })?;
        let (asked, examples) = self.asked(request, config, &allowed)?;
        let refine = self.refine_of(request)?;
        let mut used = None;
        if let Some(filter) = &request.filter {
            let (found, how) = filter.select(&self.rows, &self.fields, &allowed);
            (allowed, used) = (Cow::Owned(found), Some(how));
        }
        for row in examples {
            allowed.to_mut().remove(row);
        }
        let search = Search::new(self, config, allowed, request.exact);
        let ranking = Ranking {
            contents: self,
            search: &search,
            asked: &asked,
            refine: refine.as_ref(),
            request,
        };
        let (hits, groups, mut plan) = match &request.group {
            None => {
                let (found, plan) = ranking.chosen();
                (self.hits(&found, request), None, plan)
            }
            Some(group) => {
                let (found, plan) = groups::find(&ranking, group, request.k);
                let groups = found.into_iter().map(|found| found.read(self, request));
                (Vec::new(), Some(groups.collect()), plan)
            }
        };
        plan.matches = search.matches();
        plan.filter = used;
        Ok(SearchResult { hits, groups, plan })
    }

    /// The query, and the rows it is made of, which are not to be found.
    fn asked<'a>(
        &self,
        request: &'a SearchRequest,
        config: &IndexConfig,
        visible: &super::Bits,
    ) -> Result<(Asked<'a>, Vec<u32>), IndexError> {
        if let Some(like) = &request.like {
            if request.mode != Mode::Dense {
                return Err(IndexError::BadQuery(
                    "examples are compared by vectors: leave mode out".to_owned(),
                ));
            }
            let (positive, negative) = self.examples(like, visible)?;
            let vectors = |rows: &[u32]| -> Vec<Vec<f32>> {
                rows.iter()
                    .map(|row| self.rows.vector(*row).to_vec())
                    .collect()
            };
            let asked = match like.strategy {
                Strategy::AverageVector => Asked::Dense(self.average(&positive, &negative)?),
                Strategy::BestScore => Asked::Likest(vectors(&positive), vectors(&negative)),
            };
            return Ok((asked, [positive, negative].concat()));
        }
        let query = self.vector_of(request)?;
        let text = text_of(request, config)?;
        let asked = match (query, text) {
            (Some(query), Some(text)) => Asked::Hybrid(query, text),
            (Some(query), None) => Asked::Dense(query),
            (None, Some(text)) => Asked::Lexical(text),
            (None, None) => {
                return Err(IndexError::BadQuery("nothing to search for".to_owned()));
            }
        };
        Ok((asked, Vec::new()))
    }

    /// The query's vector, ready to be compared, when the mode goes by vectors.
    pub(super) fn vector_of(
        &self,
        request: &SearchRequest,
    ) -> Result<Option<Vec<f32>>, IndexError> {
        if request.mode == Mode::Lexical {
            return Ok(None);
        }
        match &request.query_vector {
            Some(vector) => prepare(vector.clone(), &self.spec, "query vector").map(Some),
            None => Err(missing(request.mode, "vector")),
        }
    }

    /// The second query vector, ready to be compared.
    fn refine_of(&self, request: &SearchRequest) -> Result<Option<Refine>, IndexError> {
        let Some(refine) = &request.refine else {
            return Ok(None);
        };
        let Some(refiner) = &self.spec.refiner else {
            return Err(IndexError::BadQuery(
                "the collection has no refiner; name one when it is created".to_owned(),
            ));
        };
        let spec = CollectionSpec {
            dim: refiner.dim,
            metric: Metric::Cosine,
            ..CollectionSpec::clone(&self.spec)
        };
        let vector = prepare(refine.vector.clone(), &spec, "refining vector")?;
        let depth = refine.depth;
        Ok(Some(Refine { vector, depth }))
    }

    pub(super) fn hits(&self, found: &[Ranked<'_>], request: &SearchRequest) -> Vec<Hit> {
        let hits = found.iter().map(|found| self.hit(found, request));
        hits.collect()
    }

    fn hit(&self, found: &Ranked<'_>, request: &SearchRequest) -> Hit {
        let (doc, with) = (self.rows.doc(found.row), request.with);
        Hit {
            id: found.id.to_owned(),
            score: found.score,
            text: doc.text.clone().filter(|_| with.text),
            payload: with.payload.then(|| doc.payload.clone()),
            vector: with.vector.then(|| self.rows.vector(found.row).to_vec()),
        }
    }
}

/// One search that ranks as deep as it is asked to.
pub(super) struct Ranking<'a, 'r> {
    pub(super) contents: &'a Contents,
    search: &'r Search<'a>,
    asked: &'r Asked<'r>,
    refine: Option<&'r Refine>,
    request: &'r SearchRequest,
}

impl<'a> Ranking<'a, '_> {
    /// The `k` hits: the first, or those that differ.
    fn chosen(&self) -> (Vec<Ranked<'a>>, Plan) {
        let k = self.request.k;
        let Some(mmr) = self.request.mmr else {
            return self.first(k);
        };
        let (found, mut plan) = self.first(mmr.candidates.max(k));
        plan.reason = format!("{}; {} to choose from by mmr", plan.reason, found.len());
        let query = match (self.asked, self.refine) {
            (Asked::Dense(query), None) => Some(query.as_slice()),
            _ => None,
        };
        (
            mmr::choose(self.contents, found, query, mmr.lambda, k),
            plan,
        )
    }

    /// The first `wanted`, best first, without those that score too little.
    pub(super) fn first(&self, wanted: usize) -> (Vec<Ranked<'a>>, Plan) {
        // What is ranked anew must be found first.
        let depth = self
            .refine
            .map_or(wanted, |refine| refine.depth.max(wanted));
        let (mut found, mut plan) = self.found(depth);
        found.truncate(depth);
        if let Some(refine) = self.refine {
            let refined = self.search.rank_anew(&mut found, &refine.vector);
            plan.reason = format!(
                "{}; {refined} of the first {} ranked by their second vectors",
                plan.reason,
                found.len()
            );
            plan.refined = Some(refined);
        }
        found.truncate(wanted);
        if let Some(min) = self.request.min_score {
            found.retain(|found| found.score >= min);
        }
        (found, plan)
    }

    /// At least the first `depth`, when there are as many.
    fn found(&self, depth: usize) -> (Vec<Ranked<'a>>, Plan) {
        match self.asked {
            Asked::Dense(query) => self.search.dense(query, depth),
            Asked::Likest(like, unlike) => self.search.likest(like, unlike, depth),
            Asked::Lexical(text) => {
                let (found, candidates) = self.search.lexical(text, depth);
                let reason = match candidates {
                    0 => "no word of the query is in any text",
                    _ => "texts that share a word with the query",
                };
                (found, Plan::new(SearchPath::Lexical, candidates, reason))
            }
            Asked::Hybrid(query, text) => {
                let depth = MIN_FUSION_DEPTH.max(4 * self.request.k).max(depth);
                let (dense, plan) = self.search.dense(query, depth);
                let (lexical, scored) = self.search.lexical(text, depth);
                let how = match self.request.fusion {
                    Fusion::Rrf { .. } => "rank",
                    Fusion::Weighted { .. } => "weighted scores",
                };
                let reason = format!(
                    "dense {} ({}) and {} lexical candidates, fused by {how}",
                    path_name(plan.path),
                    plan.reason,
                    lexical.len()
                );
                let candidates = plan.candidates + scored;
                let plan = Plan {
                    path: SearchPath::Hybrid,
                    candidates,
                    reason,
                    ..plan
                };
                (fusion::fuse(self.request.fusion, dense, lexical), plan)
            }
        }
    }
}

/// Checks what does not depend on the collection.
pub(super) fn check(request: &SearchRequest) -> Result<(), IndexError> {
    let bad = |reason: String| Err(IndexError::BadQuery(reason));
    let k = request.k;
    if !(1..=MAX_K).contains(&k) {
        return bad(format!("k must be 1 to {MAX_K}, got {k}"));
    }
    if let Some(score) = request.min_score.filter(|score| !score.is_finite()) {
        return bad(format!("min_score must be finite, got {score}"));
    }
    match request.fusion {
        Fusion::Rrf { k } if !(1..=1_000).contains(&k) => {
            return bad(format!("fusion.k must be 1 to 1000, got {k}"));
        }
        Fusion::Weighted { dense } if !(0.0..=1.0).contains(&dense) => {
            return bad(format!("fusion.dense_weight must be 0 to 1, got {dense}"));
        }
        _ => {}
    }
    if let Some(mmr) = request.mmr {
        if !(0.0..=1.0).contains(&mmr.lambda) {
            return bad(format!("mmr.lambda must be 0 to 1, got {}", mmr.lambda));
        }
        if !(k..=MAX_K).contains(&mmr.candidates) {
            let got = mmr.candidates;
            return bad(format!(
                "mmr.candidates must be k, {k}, to {MAX_K}, got {got}"
            ));
        }
    }
    let Some(group) = &request.group else {
        return Ok(());
    };
    if request.mmr.is_some() {
        return bad("mmr and group_by cannot be had together: leave one out".to_owned());
    }
    if !(1..=MAX_GROUP_SIZE).contains(&group.size) {
        let got = group.size;
        return bad(format!(
            "group_size must be 1 to {MAX_GROUP_SIZE}, got {got}"
        ));
    }
    let most = groups::MAX_CANDIDATES;
    if k * group.size > most {
        return bad(format!(
            "k * group_size must be at most {most}, got {}",
            k * group.size
        ));
    }
    super::filter::check_path(&group.path).or_else(|reason| bad(format!("group_by: {reason}")))
}

/// The query's text, when the mode goes by words.
pub(super) fn text_of<'a>(
    request: &'a SearchRequest,
    config: &IndexConfig,
) -> Result<Option<&'a str>, IndexError> {
    if request.mode == Mode::Dense {
        return Ok(None);
    }
    let text = request
        .query_text
        .as_deref()
        .ok_or_else(|| missing(request.mode, "text"))?;
    within("query text bytes", text.len(), config.max_text_bytes)?;
    Ok(Some(text))
}

fn missing(mode: Mode, what: &str) -> IndexError {
    IndexError::BadQuery(format!("mode {} needs a query {what}", mode.as_str()))
}

fn path_name(path: SearchPath) -> &'static str {
    match path {
        SearchPath::ExactScan => "exact scan",
        SearchPath::Hnsw => "graph",
        SearchPath::Lexical => "lexical",
        SearchPath::Hybrid => "hybrid",
        SearchPath::Engine => "engine",
    }
}

#[cfg(test)]
mod shaping_tests;
#[cfg(test)]
mod tests;
