//! Bounds on what is served at once: a request above them is refused before anything of it is read, so that it costs
//! little and those that are served are not held up.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};

use crate::services::ServiceError;
use crate::types::error_kind::ErrorKind;

/// What must be answered above all when there is too much of everything else.
const ALWAYS_SERVED: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/v1/supervisors"];
/// When to come again, milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// Counts the connections of all workers.
#[derive(Debug, Clone)]
pub struct Connections {
    open: Arc<AtomicUsize>,
    max: usize,
}

impl Connections {
    /// At most `max` are served at once.
    pub fn new(max: usize) -> Self {
        let open = Arc::default();
        Self { open, max }
    }

    /// Counts one more, until what is returned goes.
    pub fn enter(&self) -> Connection {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        Connection {
            open: Arc::clone(&self.open),
            above: before >= self.max,
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    open: Arc<AtomicUsize>,
    above: bool,
}

impl Connection {
    /// Whether there were too many when it came.
    pub(super) fn is_above(&self) -> bool {
        self.above
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts the requests of one worker that are under way.
pub(super) struct InFlight {
    now: Rc<Cell<usize>>,
    max: usize,
}

/// A request that is under way.
pub(super) struct Slot(Rc<Cell<usize>>);

impl InFlight {
    /// At most `max` are served at once.
    pub(super) fn new(max: usize) -> Self {
        let now = Rc::default();
        Self { now, max }
    }

    /// Takes a slot for a request to `path`; there may be none left.
    pub(super) fn take(&self, path: &str) -> Option<Slot> {
        let now = self.now.get();
        if now >= self.max && !is_always_served(path) {
            return None;
        }
        self.now.set(now + 1);
        Some(Slot(Rc::clone(&self.now)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// How often a worker looks how long its rounds take.
const LOOK: Duration = Duration::from_millis(10);
/// How long its rounds must have been too long before it refuses anything: a pause is no overload.
const SUSTAINED: Duration = Duration::from_secs(1);
/// Requests of a round that are always taken: a few large ones make a long round too.
const FEW: usize = 32;

/// The rounds of one worker: in each it looks once at every connection that has something for it. When they are long,
/// every request waits as long; then a worker takes only what comes in the first part of a round.
pub(super) struct Rounds {
    max: Duration,
    began: Cell<Instant>,
    /// Since when all rounds have been too long.
    long_since: Cell<Option<Instant>>,
    /// Requests of this round.
    taken: Cell<usize>,
}

impl Rounds {
    /// Rounds of more than `max` are too long; none are when it is zero.
    pub(super) fn new(max: Duration, now: Instant) -> Self {
        Self {
            max,
            began: Cell::new(now),
            long_since: Cell::new(None),
            taken: Cell::new(0),
        }
    }

    /// Begins another round.
    fn begin(&self, now: Instant) {
        let began = self.began.replace(now);
        let is_long = now.saturating_duration_since(began) > self.max + LOOK;
        let since = self.long_since.get().unwrap_or(began);
        self.long_since.set(is_long.then_some(since));
        self.taken.set(0);
    }

    /// Whether this round has room for one more request.
    pub(super) fn takes(&self, now: Instant) -> bool {
        let taken = self.taken.get();
        let late = || now.saturating_duration_since(self.began.get()) > self.max;
        let sustained = |since| now.saturating_duration_since(since) > SUSTAINED;
        if taken >= FEW && self.long_since.get().is_some_and(sustained) && late() {
            return false;
        }
        self.taken.set(taken + 1);
        true
    }

    /// Looks at the clock of a worker as often as its rounds let it, until they are gone.
    pub(super) async fn watch(rounds: Weak<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            match rounds.upgrade() {
                Some(rounds) if !rounds.max.is_zero() => rounds.begin(Instant::now()),
                _ => return,
            }
        }
    }
}

/// Whether a request is answered however much else there is.
pub(super) fn is_always_served(path: &str) -> bool {
    ALWAYS_SERVED.contains(&path)
}

/// The collection that a request to `path` searches. A name is written as it is: it has no sign that a path encodes.
pub(super) fn searched(path: &str) -> Option<&str> {
    let (name, rest) = path.strip_prefix("/v1/collections/")?.split_once('/')?;
    ["search", "search/batch", "recommend"]
        .contains(&rest)
        .then_some(name)
}

/// Bytes of a body that costs less to read than to refuse; the text in it may be one that the cache knows.
const ONE_TEXT: u64 = 1 << 10;

/// Whether a request wants vectors of more than a text or two.
pub(super) fn embeds_many(path: &str, headers: &HeaderMap) -> bool {
    let length = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    path == "/v1/embeddings" && length().is_some_and(|length: u64| length > ONE_TEXT)
}

/// The refusal; `bound` is the setting that was reached.
pub(super) fn overloaded(bound: &str) -> ServiceError {
    ServiceError {
        retry_after_ms: Some(RETRY_AFTER_MS),
        ..ServiceError::new(
            ErrorKind::Unavailable,
            format!("the server has as much to do as {bound} lets it; retry in a second"),
        )
    }
    .code("overloaded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_when_its_request_is_done() {
        let requests = InFlight::new(2);
        let slots: Vec<_> = [(); 3].map(|()| requests.take("/v1/validate")).into();
        let taken: Vec<bool> = slots.iter().map(Option::is_some).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(requests.take("/readyz").is_some(), "health is always told");
        drop(slots);
        assert!(requests.take("/v1/validate").is_some());
    }

    #[test]
    fn only_many_requests_in_rounds_that_stay_long_are_refused() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let rounds = Rounds::new(Duration::from_millis(100), start);
        let full = |from: u64| {
            for _ in 0..FEW {
                assert!(rounds.takes(at(from)));
            }
        };
        full(0);
        assert!(rounds.takes(at(900)), "one long round is no overload");
        for began in [900, 1_800] {
            rounds.begin(at(began));
            full(began);
        }
        assert!(rounds.takes(at(1_890)), "the first part of a round");
        assert!(!rounds.takes(at(1_910)));
        rounds.begin(at(2_000));
        assert!(rounds.takes(at(2_190)), "few requests are no overload");
        rounds.begin(at(2_200));
        full(2_200);
        assert!(!rounds.takes(at(2_310)));
        rounds.begin(at(2_300));
        full(2_300);
        assert!(rounds.takes(at(2_800)), "the rounds have been short again");
    }

    #[test]
    fn a_path_names_the_collection_that_is_searched() {
        for (path, collection) in [
            ("/v1/collections/docs/search", Some("docs")),
            ("/v1/collections/docs/search/batch", Some("docs")),
            ("/v1/collections/docs/recommend", Some("docs")),
            ("/v1/collections/docs/points", None),
            ("/v1/collections/docs", None),
            ("/v1/validate", None),
        ] {
            assert_eq!(searched(path), collection, "{path}");
        }
    }

    #[test]
    fn connections_above_the_bound_are_known_as_such() {
        let connections = Connections::new(1);
        let (first, second) = (connections.enter(), connections.enter());
        assert_eq!((first.is_above(), second.is_above()), (false, true));
        drop((first, second));
        assert!(!connections.enter().is_above());
    }
}
