//! From texts to vectors: the cache, then a flight that is in the air, then the cell.

use std::collections::HashMap;
use std::sync::Arc;

use supervisors::{CellRef, Deadline, Fault};

use super::cache::SavedCache;
use super::flights::{Arrival, Flights, Seat};
use super::worker::{EmbedJob, EmbeddingWorker};
use crate::engines::embedding::{CacheKey, CachedVector, EmbedError, Embedded, Embedder};

/// Texts in one message, and their bytes. A list sends its next message only when the one before is
/// answered: a single request waits for one message of each list, not for the list.
const MESSAGE_TEXTS: usize = 64;
const MESSAGE_BYTES: usize = 512 << 10;

/// No vectors.
#[derive(Debug)]
pub struct EmbedFailure {
    /// The cell at fault.
    pub cell: String,
    /// What happened.
    pub fault: Fault<EmbedError>,
}

/// What stands before the embedding cell. Cheap to clone.
#[derive(Clone)]
pub struct Embedding {
    inner: Arc<Inner>,
}

struct Inner {
    cache: SavedCache,
    flights: Arc<Flights>,
    cell: CellRef<EmbeddingWorker>,
}

/// Texts to compute, each once.
struct Missing<'a> {
    text: &'a str,
    key: CacheKey,
    /// Where the request holds it.
    places: Vec<usize>,
}

impl Embedding {
    /// Puts the cache before `cell`.
    pub(super) fn new(cache: SavedCache, cell: CellRef<EmbeddingWorker>) -> Self {
        Self {
            inner: Arc::new(Inner {
                cache,
                flights: Arc::default(),
                cell,
            }),
        }
    }

    /// The cache.
    pub fn cache(&self) -> &SavedCache {
        &self.inner.cache
    }

    /// Returns one vector for each text, in order. Only texts that the cache does not hold are
    /// computed, each once, also when other requests ask for them meanwhile.
    ///
    /// Errors: the first message that failed; an index in it counts in `texts`.
    /// Cancel safety: what was computed so far is in the cache; who waits for the rest asks again.
    pub async fn vectors(
        &self,
        embedder: &Arc<dyn Embedder>,
        texts: &[String],
        deadline: Deadline,
    ) -> Result<Vec<CachedVector>, EmbedFailure> {
        let fingerprint = &embedder.info().fingerprint;
        let mut found: Vec<Option<CachedVector>> = Vec::with_capacity(texts.len());
        let mut missing: Vec<Missing> = Vec::new();
        let mut known: HashMap<CacheKey, usize> = HashMap::new();
        for (index, text) in texts.iter().enumerate() {
            let key = CacheKey::of(fingerprint, text);
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
        for message in messages(&missing) {
            let vectors = self.message(embedder, message, deadline).await;
            for (one, vector) in message
                .iter()
                .zip(vectors.map_err(|fault| self.failed(fault))?)
            {
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

    /// Brings the vectors of one message's texts: those that are in the air are waited for.
    async fn message(
        &self,
        embedder: &Arc<dyn Embedder>,
        texts: &[Missing<'_>],
        deadline: Deadline,
    ) -> Result<Vec<CachedVector>, Fault<EmbedError>> {
        let mut found: Vec<Option<CachedVector>> = vec![None; texts.len()];
        let mut open: Vec<usize> = (0..texts.len()).collect();
        let mut alone = false;
        while !open.is_empty() {
            if alone {
                let vectors = self.compute(embedder, texts, &open, deadline).await?;
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
                let computed = self.own(embedder, texts, &own, deadline).await;
                match computed {
                    Ok(vectors) => {
                        flight.land(vectors.clone());
                        place(&mut found, &own, vectors);
                    }
                    Err(fault) => {
                        flight.fail();
                        return Err(fault);
                    }
                }
            }
            open.clear();
            for (at, seat) in others {
                match tokio::time::timeout(deadline.remaining(), seat.arrive()).await {
                    Ok(Arrival::Landed(vector)) => place(&mut found, &[at], vec![vector]),
                    Ok(Arrival::Failed) => {
                        alone = true;
                        open.push(at);
                    }
                    Ok(Arrival::Gone) => open.push(at),
                    Err(_) => return Err(Fault::Expired),
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Computes the texts of one's own flight, but for those that another landed since the cache
    /// was asked.
    async fn own(
        &self,
        embedder: &Arc<dyn Embedder>,
        texts: &[Missing<'_>],
        own: &[usize],
        deadline: Deadline,
    ) -> Result<Vec<CachedVector>, Fault<EmbedError>> {
        let landed = |&at: &usize| self.inner.cache.peek(&texts[at].key);
        let mut vectors: Vec<Option<CachedVector>> = own.iter().map(landed).collect();
        let rest: Vec<(usize, usize)> = (0..own.len())
            .filter(|&seat| vectors[seat].is_none())
            .map(|seat| (seat, own[seat]))
            .collect();
        if !rest.is_empty() {
            let (seats, open): (Vec<usize>, Vec<usize>) = rest.into_iter().unzip();
            let computed = self.compute(embedder, texts, &open, deadline).await?;
            place(&mut vectors, &seats, computed);
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    /// Asks the cell, and remembers what it brings.
    async fn compute(
        &self,
        embedder: &Arc<dyn Embedder>,
        texts: &[Missing<'_>],
        wanted: &[usize],
        deadline: Deadline,
    ) -> Result<Vec<CachedVector>, Fault<EmbedError>> {
        let job = EmbedJob {
            embedder: Arc::clone(embedder),
            texts: wanted.iter().map(|&at| texts[at].text.to_owned()).collect(),
        };
        let embedded = self.inner.cell.ask(job, deadline).await;
        let embedded = embedded.map_err(|fault| match fault {
            // The worker counts within its message; the caller must hear of its own list.
            Fault::App(EmbedError::EmptyText { index }) => {
                let place = wanted.get(index).and_then(|&at| texts[at].places.first());
                Fault::App(EmbedError::EmptyText {
                    index: place.copied().unwrap_or(index),
                })
            }
            fault => fault,
        })?;
        let fingerprint = &embedder.info().fingerprint;
        let vectors = checked(embedded, wanted.len()).map_err(Fault::App)?;
        for (&at, vector) in wanted.iter().zip(&vectors) {
            self.inner
                .cache
                .insert(fingerprint, texts[at].key, vector.clone());
        }
        Ok(vectors)
    }

    fn failed(&self, fault: Fault<EmbedError>) -> EmbedFailure {
        EmbedFailure {
            cell: self.inner.cell.id().to_owned(),
            fault,
        }
    }
}

/// Cuts a list into messages.
fn messages<'a, 'b>(missing: &'a [Missing<'b>]) -> impl Iterator<Item = &'a [Missing<'b>]> {
    let mut rest = missing;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(MESSAGE_TEXTS).take_while(|one| {
            bytes += one.text.len();
            bytes <= MESSAGE_BYTES
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
    let vectors = pairs.map(|(vector, tokens)| CachedVector {
        vector: vector.into(),
        tokens,
    });
    Ok(vectors.collect())
}
