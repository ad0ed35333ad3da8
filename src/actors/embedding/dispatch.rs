//! From texts to vectors: the cache, then a flight that is in the air, then a message to the cell.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use supervisors::{CellRef, Deadline, Fault};

use super::cache::SavedCache;
use super::flights::{Arrival, Flights, Seat};
use super::gatherings::{Bounds, Gatherings, tokens};
use super::under_way::{Answering, UnderWay};
use super::upstreams::Upstreams;
use super::worker::{EmbedJob, EmbeddingWorker};
use crate::engines::embedding::{
    CacheKey, CachedVector, EmbedError, Embedded, Embedder, EmbeddingConfig, Model, ModelInfo,
};
use crate::types::trace::Trace;

/// No vectors.
#[derive(Debug, Clone)]
pub struct EmbedFailure {
    /// The cell at fault.
    pub cell: String,
    /// What happened.
    pub fault: Fault<EmbedError>,
}

/// What stands before the cells that embed. Cheap to clone.
#[derive(Clone)]
pub struct Embedding {
    inner: Arc<Inner>,
}

struct Inner {
    cache: SavedCache,
    flights: Arc<Flights>,
    gatherings: Gatherings,
    message_tokens: usize,
    here: Here,
    /// Lists of texts that the models that share a cell answer.
    under_way: Arc<UnderWay>,
    upstreams: Upstreams,
}

/// The cells of the models that compute here.
pub(super) struct Here {
    pub(super) cell: CellRef<EmbeddingWorker>,
    /// By name: those with a cell of their own.
    pub(super) slow: HashMap<String, CellRef<EmbeddingWorker>>,
}

impl Here {
    fn cell_of(&self, model: &Model) -> &CellRef<EmbeddingWorker> {
        self.slow.get(model.name()).unwrap_or(&self.cell)
    }
}

fn is_here(model: &Model) -> bool {
    matches!(model, Model::Local(_))
}

/// Whether it computes here, and shares a cell with all that do so without waiting for more texts.
fn is_fast(here: &Here, model: &Model) -> bool {
    is_here(model) && !here.slow.contains_key(model.name())
}

/// Texts to compute, each once.
struct Missing<'a> {
    text: &'a str,
    key: CacheKey,
    /// Where the request holds it.
    places: Vec<usize>,
}

impl Embedding {
    /// Puts the cache before the cells.
    pub(super) fn new(
        cache: SavedCache,
        here: Here,
        upstreams: Upstreams,
        config: &EmbeddingConfig,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                cache,
                flights: Arc::default(),
                gatherings: Gatherings::new(Duration::from_micros(config.batch_window_us)),
                message_tokens: config.batch_tokens,
                here,
                under_way: Arc::default(),
                upstreams,
            }),
        }
    }

    /// The cache.
    pub fn cache(&self) -> &SavedCache {
        &self.inner.cache
    }

    /// Notes that a list of texts is being answered, so that others may know how long that takes; one that is not computed here, or
    /// by a slow model, waits for that only.
    pub fn answering(&self, model: &Model) -> Option<Answering> {
        is_fast(&self.inner.here, model).then(|| self.inner.under_way.answering(Instant::now()))
    }

    /// Whether texts wait for so long for a model that computes here, and are so many, that another one had better come later.
    pub fn is_crowded(&self, model: &Model, few: usize, max: Duration) -> bool {
        is_here(model) && self.inner.here.cell_of(model).is_crowded(few, max)
    }

    /// Whether that is so, or lists of texts that such a model answers are so many and take so long.
    pub fn is_crowded_for_lists(&self, model: &Model, few: usize, max: Duration) -> bool {
        let inner = &self.inner;
        let takes_long = || inner.under_way.is_crowded(few, max, Instant::now());
        self.is_crowded(model, few, max) || is_fast(&inner.here, model) && takes_long()
    }

    /// The same whichever model is asked: there must be only one cell.
    pub fn is_crowded_for_all_lists(&self, few: usize, max: Duration) -> bool {
        let inner = &self.inner;
        let only = inner.here.slow.is_empty() && inner.upstreams.is_empty();
        only && (inner.here.cell.is_crowded(few, max)
            || inner.under_way.is_crowded(few, max, Instant::now()))
    }

    /// Returns a text's vector if the cache holds it. Computes nothing, waits for nothing, and counts nothing.
    pub fn find(&self, model: &Model, text: &str) -> Option<(CacheKey, CachedVector)> {
        let key = CacheKey::of(&model.info()?.fingerprint, text);
        let found = self.inner.cache.find(&key)?;
        Some((key, found))
    }

    /// Describes a model; asks its upstream for the dimension when it is not known yet.
    pub async fn info<'m>(
        &self,
        model: &'m Model,
        deadline: Deadline,
        trace: Option<&Trace>,
    ) -> Result<&'m ModelInfo, EmbedFailure> {
        if model.info().is_none() {
            let probe = ["dimension".to_owned()];
            let upstreams = &self.inner.upstreams;
            upstreams
                .embed(model.name(), &probe, false, deadline, trace)
                .await?;
        }
        model.info().ok_or_else(|| EmbedFailure {
            cell: model.name().to_owned(),
            fault: Fault::ShuttingDown,
        })
    }

    /// Returns one vector for each text, in order. Only texts that the cache does not hold are
    /// computed, each once, also when other requests ask for them meanwhile.
    ///
    /// A text that is longer than what the model reads is cut with `truncate`, else refused. A call to an upstream is made in the
    /// `trace` of the request that makes it, also for the texts of others.
    ///
    /// Errors: the first message that failed; an index in it counts in `texts`.
    /// Cancel safety: what was computed so far is in the cache; who waits for the rest asks again.
    pub async fn vectors(
        &self,
        model: &Model,
        texts: &[String],
        truncate: bool,
        deadline: Deadline,
        trace: Option<&Trace>,
    ) -> Result<Vec<CachedVector>, EmbedFailure> {
        let ModelInfo {
            fingerprint,
            max_tokens,
            ..
        } = self.info(model, deadline, trace).await?;
        // The vector of a text that was cut must not be found by who does not want that. A token
        // takes a byte or more.
        let cut = truncate.then(|| format!("{fingerprint}+cut"));
        let name = |text: &str| match &cut {
            Some(cut) if text.len() > *max_tokens => CacheKey::of(cut, text),
            _ => CacheKey::of(fingerprint, text),
        };
        let mut found: Vec<Option<CachedVector>> = Vec::with_capacity(texts.len());
        let mut missing: Vec<Missing> = Vec::new();
        let mut known: HashMap<CacheKey, usize> = HashMap::new();
        for (index, text) in texts.iter().enumerate() {
            let key = name(text);
            let hit = self.inner.cache.get(&key);
            if hit.is_none() {
                let place = *known.entry(key).or_insert(missing.len());
                match missing.get_mut(place) {
                    Some(one) => one.places.push(index),
                    None => missing.push(Missing {
                        text,
                        key,
                        places: vec![index],
                    }),
                }
            }
            found.push(hit);
        }
        let task = Task {
            inner: &self.inner,
            model,
            fingerprint,
            truncate,
            deadline,
            trace,
        };
        for message in messages(&missing, self.inner.bounds(model)) {
            let vectors = task.message(message).await?;
            for (one, vector) in message.iter().zip(vectors) {
                for place in &one.places {
                    if let Some(place) = found.get_mut(*place) {
                        *place = Some(vector.clone());
                    }
                }
            }
        }
        // Every place was a hit or is one of `missing`.
        Ok(found.into_iter().flatten().collect())
    }
}

/// One request under way.
struct Task<'a> {
    inner: &'a Inner,
    model: &'a Model,
    fingerprint: &'a str,
    truncate: bool,
    deadline: Deadline,
    trace: Option<&'a Trace>,
}

impl Task<'_> {
    /// Brings the vectors of one message's texts: those that are in the air are waited for.
    async fn message(&self, texts: &[Missing<'_>]) -> Result<Vec<CachedVector>, EmbedFailure> {
        let mut found: Vec<Option<CachedVector>> = vec![None; texts.len()];
        let mut open: Vec<usize> = (0..texts.len()).collect();
        let mut alone = false;
        while !open.is_empty() {
            if alone {
                let vectors = self.compute(texts, &open).await?;
                place(&mut found, &open, vectors);
                break;
            }
            let keys: Vec<CacheKey> = open.iter().map(|&at| texts[at].key).collect();
            let (flight, seats) = self.inner.flights.board(&keys);
            let (mut own, mut others): (Vec<usize>, Vec<(usize, Seat)>) = Default::default();
            for (&at, seat) in open.iter().zip(seats) {
                match seat {
                    Some(seat) => others.push((at, seat)),
                    None => own.push(at),
                }
            }
            // One's own first: whoever waits holds nothing that another waits for.
            if !own.is_empty() {
                match self.own(texts, &own).await {
                    Ok(vectors) => {
                        flight.land(vectors.clone());
                        place(&mut found, &own, vectors);
                    }
                    Err(failure) => {
                        flight.fail();
                        return Err(failure);
                    }
                }
            }
            open.clear();
            for (at, seat) in others {
                match tokio::time::timeout(self.deadline.remaining(), seat.arrive()).await {
                    Ok(Arrival::Landed(vector)) => place(&mut found, &[at], vec![vector]),
                    Ok(Arrival::Failed) => {
                        alone = true;
                        open.push(at);
                    }
                    Ok(Arrival::Gone) => open.push(at),
                    Err(_) => return Err(self.failed(Fault::Expired)),
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Computes the texts of one's own flight, but for those that another landed since the cache
    /// was asked.
    async fn own(
        &self,
        texts: &[Missing<'_>],
        own: &[usize],
    ) -> Result<Vec<CachedVector>, EmbedFailure> {
        let landed = |&at: &usize| self.inner.cache.peek(&texts[at].key);
        let mut vectors: Vec<Option<CachedVector>> = own.iter().map(landed).collect();
        let rest: Vec<(usize, usize)> = (0..own.len())
            .filter(|&seat| vectors[seat].is_none())
            .map(|seat| (seat, own[seat]))
            .collect();
        if !rest.is_empty() {
            let (seats, open): (Vec<usize>, Vec<usize>) = rest.into_iter().unzip();
            let computed = self.compute(texts, &open).await?;
            place(&mut vectors, &seats, computed);
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    /// Asks the model's cell, and remembers what it brings.
    async fn compute(
        &self,
        texts: &[Missing<'_>],
        wanted: &[usize],
    ) -> Result<Vec<CachedVector>, EmbedFailure> {
        let sent: Vec<String> = wanted.iter().map(|&at| texts[at].text.to_owned()).collect();
        let embedded = match self.model {
            // Its texts cost less than waiting for others.
            Model::Local(model) if !model.gathers() => self.ask_cell(model, sent).await,
            model => {
                let key = (model.name().to_owned(), self.truncate);
                let bounds = self.inner.bounds(model);
                let ask = async |texts: &[String]| match model {
                    Model::Local(model) => self.ask_cell(model, texts.to_vec()).await,
                    Model::Remote(model) => {
                        let (upstreams, name) = (&self.inner.upstreams, model.name());
                        upstreams
                            .embed(name, texts, self.truncate, self.deadline, self.trace)
                            .await
                    }
                };
                let gatherings = &self.inner.gatherings;
                gatherings
                    .embed(key, &sent, bounds, self.deadline, ask)
                    .await
            }
        };
        // The worker counts within its message; the caller must hear of its own list.
        let place = |index: usize| {
            let place = wanted.get(index).and_then(|&at| texts[at].places.first());
            place.copied().unwrap_or(index)
        };
        let embedded = embedded.map_err(|failure| EmbedFailure {
            fault: match failure.fault {
                Fault::App(EmbedError::EmptyText { index }) => Fault::App(EmbedError::EmptyText {
                    index: place(index),
                }),
                Fault::App(EmbedError::TooManyTokens { index, max }) => {
                    Fault::App(EmbedError::TooManyTokens {
                        index: place(index),
                        max,
                    })
                }
                fault => fault,
            },
            ..failure
        })?;
        if let Some(index) = embedded.cut.filter(|_| !self.truncate) {
            let (index, max) = (place(index), self.model.card().max_tokens);
            return Err(self.failed(Fault::App(EmbedError::TooManyTokens { index, max })));
        }
        let vectors =
            checked(embedded, wanted.len()).map_err(|error| self.failed(Fault::App(error)))?;
        for (&at, vector) in wanted.iter().zip(&vectors) {
            self.inner
                .cache
                .insert(self.fingerprint, texts[at].key, vector.clone());
        }
        Ok(vectors)
    }

    async fn ask_cell(
        &self,
        model: &Arc<dyn Embedder>,
        texts: Vec<String>,
    ) -> Result<Embedded, EmbedFailure> {
        let job = EmbedJob {
            embedder: Arc::clone(model),
            texts,
        };
        let asked = self
            .inner
            .here
            .cell_of(self.model)
            .ask(job, self.deadline)
            .await;
        asked.map_err(|fault| self.failed(fault))
    }

    fn failed(&self, fault: Fault<EmbedError>) -> EmbedFailure {
        EmbedFailure {
            cell: self.inner.here.cell_of(self.model).id().to_owned(),
            fault,
        }
    }
}

impl Inner {
    /// What fits into a message to the model.
    fn bounds(&self, model: &Model) -> Bounds {
        let texts = match model {
            Model::Local(model) => model.batch(),
            Model::Remote(model) => model.config().batch,
        };
        Bounds {
            texts,
            tokens: self.message_tokens,
        }
    }
}

/// Cuts a list into messages.
fn messages<'a, 'b>(
    missing: &'a [Missing<'b>],
    most: Bounds,
) -> impl Iterator<Item = &'a [Missing<'b>]> {
    let mut rest = missing;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = rest.iter().take(most.texts).take_while(|one| {
            sum += tokens(one.text);
            sum <= most.tokens
        });
        // A text that is longer than a message has one for itself.
        let count = fits.count().max(1).min(rest.len());
        let (message, later) = rest.split_at(count);
        rest = later;
        (!message.is_empty()).then_some(message)
    })
}

fn place(found: &mut [Option<CachedVector>], places: &[usize], vectors: Vec<CachedVector>) {
    for (&at, vector) in places.iter().zip(vectors) {
        found[at] = Some(vector);
    }
}

/// Holds an embedder to one vector for each text.
fn checked(embedded: Embedded, texts: usize) -> Result<Vec<CachedVector>, EmbedError> {
    let got = embedded.vectors.len();
    if got != texts || embedded.tokens.len() != texts {
        return Err(EmbedError::WrongCount { got, texts });
    }
    let pairs = embedded.vectors.into_iter().zip(embedded.tokens);
    let vectors = pairs.map(|(vector, tokens)| CachedVector::new(vector.into(), tokens));
    Ok(vectors.collect())
}
