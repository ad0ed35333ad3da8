//! Texts of several requests in one message to a model whose call costs more than its texts: who comes first waits a
//! few hundred microseconds for others, then asks for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supervisors::{Deadline, Fault};
use tokio::sync::{Notify, oneshot};

use super::dispatch::EmbedFailure;
use crate::engines::embedding::{EmbedError, Embedded};
use crate::types::error_kind::ErrorKind;

/// Bytes of a text that count as a token: where a model counts otherwise, it is not far.
const TOKEN_BYTES: usize = 4;

/// What fits into one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) texts: usize,
    pub(super) tokens: usize,
}

/// Counts the tokens of a text, at one in four bytes.
pub(super) fn tokens(text: &str) -> usize {
    text.len() / TOKEN_BYTES + 1
}

/// Which requests may share a message: those for one model that agree whether it may cut.
type Key = (String, bool);

/// The messages that are being gathered.
pub(super) struct Gatherings {
    open: Mutex<HashMap<Key, Arc<Gathering>>>,
    window: Duration,
}

#[derive(Default)]
struct Gathering {
    /// Changed under the lock of the table only, and by the leader once it left the table.
    message: Mutex<Message>,
    full: Notify,
}

#[derive(Default)]
struct Message {
    texts: Vec<String>,
    tokens: usize,
    /// Those who ride: the leader's texts are the first, then theirs in order.
    riders: Vec<Rider>,
}

struct Rider {
    texts: usize,
    answer: oneshot::Sender<Answer>,
}

/// What a rider hears.
enum Answer {
    Vectors(Embedded),
    /// One of the texts was at fault, and nobody knows whose: ask for your own.
    Alone,
    Failed(EmbedFailure),
}

/// How a request gets its vectors.
enum Seat<'a> {
    /// By itself: there is nothing to wait for.
    Alone,
    Leads(Lead<'a>),
    Rides(oneshot::Receiver<Answer>),
}

/// The right, and duty, to ask for a gathering. Dropped before that, its riders start anew.
struct Lead<'a> {
    gatherings: &'a Gatherings,
    key: Key,
    gathering: Arc<Gathering>,
    own: usize,
}

impl Gatherings {
    /// Gathers for so long; zero does not gather.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            open: Mutex::default(),
            window,
        }
    }

    /// Gets the vectors of `texts` by `ask`, in one message with those of other requests where that fits.
    ///
    /// Errors: what `ask` says. When that is about a text, each request asks again for its own.
    /// Cancel safety: who rides with a request that is dropped asks anew.
    pub(super) async fn embed(
        &self,
        key: Key,
        texts: &[String],
        bounds: Bounds,
        deadline: Deadline,
        ask: impl AsyncFn(&[String]) -> Result<Embedded, EmbedFailure>,
    ) -> Result<Embedded, EmbedFailure> {
        loop {
            let answer = match self.join(&key, texts, bounds) {
                Seat::Alone => return ask(texts).await,
                Seat::Leads(lead) => return lead.run(texts, ask).await,
                Seat::Rides(answer) => answer,
            };
            match tokio::time::timeout(deadline.remaining(), answer).await {
                Ok(Ok(Answer::Vectors(embedded))) => return Ok(embedded),
                Ok(Ok(Answer::Alone)) => return ask(texts).await,
                Ok(Ok(Answer::Failed(failure))) => return Err(failure),
                Ok(Err(_gone)) => {}
                Err(_) => {
                    return Err(EmbedFailure {
                        cell: key.0,
                        fault: Fault::Expired,
                    });
                }
            }
        }
    }

    fn join(&self, key: &Key, texts: &[String], bounds: Bounds) -> Seat<'_> {
        let size: usize = texts.iter().map(|text| tokens(text)).sum();
        if self.window.is_zero() || texts.len() >= bounds.texts || size >= bounds.tokens {
            return Seat::Alone;
        }
        let mut open = self.table();
        if let Some(gathering) = open.get(key).cloned() {
            let mut message = gathering.message();
            let (count, sum) = (message.texts.len() + texts.len(), message.tokens + size);
            let fits = count <= bounds.texts && sum <= bounds.tokens;
            if count >= bounds.texts || sum >= bounds.tokens {
                open.remove(key);
                gathering.full.notify_one();
            }
            if fits {
                let (sender, answer) = oneshot::channel();
                message.texts.extend_from_slice(texts);
                message.tokens = sum;
                message.riders.push(Rider {
                    texts: texts.len(),
                    answer: sender,
                });
                return Seat::Rides(answer);
            }
        }
        let gathering = Arc::new(Gathering::default());
        gathering.message().texts.extend_from_slice(texts);
        gathering.message().tokens = size;
        open.insert(key.clone(), Arc::clone(&gathering));
        Seat::Leads(Lead {
            gatherings: self,
            key: key.clone(),
            gathering,
            own: texts.len(),
        })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, Arc<Gathering>>> {
        // What is done under the lock leaves the table whole even where it panics.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathering {
    fn message(&self) -> MutexGuard<'_, Message> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead<'_> {
    async fn run(
        self,
        texts: &[String],
        ask: impl AsyncFn(&[String]) -> Result<Embedded, EmbedFailure>,
    ) -> Result<Embedded, EmbedFailure> {
        let window = self.gatherings.window;
        // The runtime's own timer counts in milliseconds.
        let waited = tokio::task::spawn_blocking(move || std::thread::park_timeout(window));
        tokio::select! {
            _ = waited => {}
            () = self.gathering.full.notified() => {}
        }
        self.close();
        let message = std::mem::take(&mut *self.gathering.message());
        if message.riders.is_empty() {
            return ask(texts).await;
        }
        let asked = ask(&message.texts).await;
        let truncate = self.key.1;
        let embedded = match asked {
            Ok(embedded) => embedded,
            Err(failure) if is_about_a_text(&failure.fault) => {
                tell(message.riders, || Answer::Alone);
                return ask(texts).await;
            }
            Err(failure) => {
                tell(message.riders, || Answer::Failed(failure.clone()));
                return Err(failure);
            }
        };
        let mut parts = Parts {
            // Only the first text that was cut is known: who stands before it is well served.
            whole: embedded.cut.filter(|_| !truncate).unwrap_or(usize::MAX),
            given: 0,
            vectors: embedded.vectors.into_iter(),
            tokens: embedded.tokens.into_iter(),
        };
        let own = parts.next(self.own);
        for rider in message.riders {
            let part = parts.next(rider.texts);
            // Who has left needs none.
            let _ = rider
                .answer
                .send(part.map_or(Answer::Alone, Answer::Vectors));
        }
        match own {
            Some(own) => Ok(own),
            None => ask(texts).await,
        }
    }

    /// Lets nobody join any more.
    fn close(&self) {
        let mut open = self.gatherings.table();
        let still = open.get(&self.key);
        if still.is_some_and(|open| Arc::ptr_eq(open, &self.gathering)) {
            open.remove(&self.key);
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// An answer that is handed out request by request.
struct Parts {
    /// Texts before the first that was cut without leave.
    whole: usize,
    given: usize,
    vectors: std::vec::IntoIter<Vec<f32>>,
    tokens: std::vec::IntoIter<u32>,
}

impl Parts {
    /// The part of the next request; `None` where it must ask by itself.
    fn next(&mut self, texts: usize) -> Option<Embedded> {
        self.given += texts;
        let part = Embedded {
            vectors: self.vectors.by_ref().take(texts).collect(),
            tokens: self.tokens.by_ref().take(texts).collect(),
            cut: None,
        };
        let complete = part.vectors.len() == texts && part.tokens.len() == texts;
        (complete && self.given <= self.whole).then_some(part)
    }
}

fn tell(riders: Vec<Rider>, answer: impl Fn() -> Answer) {
    for rider in riders {
        // Who has left need not hear it.
        let _ = rider.answer.send(answer());
    }
}

/// Whether a message failed by what is in it, so that another request's texts may be well.
fn is_about_a_text(fault: &Fault<EmbedError>) -> bool {
    match fault {
        Fault::App(error) => matches!(
            error.kind(),
            ErrorKind::BadRequest | ErrorKind::TooLarge | ErrorKind::Unprocessable
        ),
        Fault::Crashed(_) | Fault::Hung { .. } | Fault::Quarantined(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{join, join_all};

    use super::*;

    const BOUNDS: Bounds = Bounds {
        texts: 4,
        tokens: 10,
    };

    /// Gathers what comes before the leader is polled again: no clock decides.
    fn gatherings() -> Gatherings {
        Gatherings::new(Duration::from_millis(1))
    }

    #[derive(Default)]
    struct Model {
        asked: Mutex<Vec<Vec<String>>>,
    }

    impl Model {
        /// The vector of a text is its length; `bad` fails, `down` fails as an upstream does, `long` is cut.
        async fn ask(&self, texts: &[String]) -> Result<Embedded, EmbedFailure> {
            self.asked.lock().unwrap().push(texts.to_vec());
            let place = |word: &str| texts.iter().position(|text| text == word);
            let failed = |fault| EmbedFailure {
                cell: "model".to_owned(),
                fault,
            };
            if let Some(index) = place("bad") {
                return Err(failed(Fault::App(EmbedError::EmptyText { index })));
            }
            if place("down").is_some() {
                return Err(failed(Fault::Busy));
            }
            Ok(Embedded {
                vectors: texts.iter().map(|text| vec![text.len() as f32]).collect(),
                tokens: vec![1; texts.len()],
                cut: place("long"),
            })
        }

        fn sizes(&self) -> Vec<usize> {
            self.asked.lock().unwrap().iter().map(Vec::len).collect()
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// Asks for all of `requests` at once; an answer is its vectors, or the text of its failure.
    async fn ask(model: &Model, requests: &[&[&str]]) -> Vec<Result<Vec<f32>, String>> {
        let gatherings = gatherings();
        let each = requests.iter().map(|request| {
            let (request, gatherings) = (texts(request), &gatherings);
            async move {
                let far = Deadline::after(Duration::from_secs(60));
                let key = ("model".to_owned(), false);
                let ask = async |texts: &[String]| model.ask(texts).await;
                let embedded = gatherings.embed(key, &request, BOUNDS, far, ask).await;
                let embedded = embedded.map_err(|failure| failure.fault.to_string())?;
                if embedded.cut.is_some() {
                    return Err("cut".to_owned());
                }
                Ok(embedded.vectors.concat())
            }
        });
        let answers = join_all(each).await;
        assert!(gatherings.table().is_empty(), "nothing stays behind");
        answers
    }

    #[tokio::test]
    async fn requests_at_the_same_time_share_a_message() {
        let model = Model::default();
        let answers = ask(&model, &[&["a"], &["bb", "ccc"]]).await;
        assert_eq!(answers, [Ok(vec![1.0]), Ok(vec![2.0, 3.0])]);
        assert_eq!(model.sizes(), [3]);
        assert_eq!(ask(&model, &[&["a"]]).await, [Ok(vec![1.0])]);
    }

    #[tokio::test]
    async fn a_message_is_bounded_in_texts_and_in_tokens() {
        for (requests, sizes) in [
            (&[&["a"; 2][..], &["b"; 2], &["c"; 1]][..], [4, 1]),
            (&[&["a"; 3], &["b"; 2]], [3, 2]),
            // 7 tokens and 2 fit, one more of 3 does not.
            (
                &[&["twenty-four bytes of text"], &["four"], &["four"]],
                [2, 1],
            ),
            // A list that fills a message waits for nobody.
            (&[&["a"; 4], &["b"]], [4, 1]),
        ] {
            let model = Model::default();
            let answers = ask(&model, requests).await;
            assert!(answers.iter().all(Result::is_ok));
            let mut seen = model.sizes();
            seen.sort_by(|one, other| other.cmp(one));
            assert_eq!(seen, sizes, "{requests:?}");
        }
    }

    #[tokio::test]
    async fn a_text_that_fails_costs_its_own_request_only() {
        let model = Model::default();
        let answers = ask(&model, &[&["a"], &["bad"], &["ccc"]]).await;
        assert_eq!(answers[0], Ok(vec![1.0]));
        assert!(answers[1].as_ref().unwrap_err().contains("text 0"));
        assert_eq!(answers[2], Ok(vec![3.0]));
        assert_eq!(model.sizes(), [3, 1, 1, 1]);
    }

    #[tokio::test]
    async fn what_is_no_texts_fault_is_not_asked_for_again() {
        let model = Model::default();
        let answers = ask(&model, &[&["a"], &["down"]]).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(model.sizes(), [2]);
    }

    #[tokio::test]
    async fn who_stands_before_a_text_that_was_cut_is_served() {
        let model = Model::default();
        let answers = ask(&model, &[&["a"], &["long"], &["ccc"]]).await;
        assert_eq!(answers[0], Ok(vec![1.0]));
        assert_eq!(answers[1], Err("cut".to_owned()));
        assert_eq!(answers[2], Ok(vec![3.0]));
        assert_eq!(model.sizes(), [3, 1, 1]);
    }

    #[tokio::test]
    async fn who_rides_with_a_cancelled_request_asks_anew() {
        let (model, gatherings) = (Model::default(), gatherings());
        let request = texts(&["a"]);
        let embed = async || {
            let far = Deadline::after(Duration::from_secs(60));
            let key = ("model".to_owned(), false);
            let ask = async |texts: &[String]| model.ask(texts).await;
            gatherings.embed(key, &request, BOUNDS, far, ask).await
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let leader = async {
            tokio::select! {
                biased;
                _ = stopped => {}
                _ = embed() => panic!("it was stopped"),
            }
        };
        let rider = async {
            stop.send(()).unwrap();
            embed().await
        };
        assert!(join(leader, rider).await.1.is_ok());
        assert_eq!(model.sizes(), [1]);
    }

    #[tokio::test]
    async fn without_a_window_nobody_waits() {
        let gatherings = Gatherings::new(Duration::ZERO);
        let key = ("model".to_owned(), false);
        for _ in 0..2 {
            let seat = gatherings.join(&key, &texts(&["a"]), BOUNDS);
            assert!(matches!(seat, Seat::Alone));
        }
    }
}
