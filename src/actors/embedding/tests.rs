//! The way to the cell in a real tree, with a model that computes only when the test lets it.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::future::join;
use supervisors::{ChildPolicy, Deadline, Fault, Policy, SupervisorSpec, Tree};

use super::{Embedding, SavedCache, child_specs};
use crate::engines::embedding::{
    CachedVector, EmbedError, Embedded, Embedder, Embedders, EmbeddingCache, EmbeddingConfig,
    Model, ModelInfo,
};

/// Gives each text the vector of its length; waits for leave before each message.
struct Gated {
    info: ModelInfo,
    messages: Mutex<Vec<Vec<String>>>,
    came: tokio::sync::Notify,
    leave: Mutex<mpsc::Receiver<()>>,
    gathers: bool,
}

impl Gated {
    fn new(gathers: bool) -> (Arc<Self>, mpsc::Sender<()>) {
        let (sender, leave) = mpsc::channel();
        let info = ModelInfo {
            name: "gated".into(),
            created: 0,
            owned_by: "test".into(),
            dim: 1,
            max_tokens: 9,
            fingerprint: "gated".into(),
        };
        let gated = Self {
            info,
            messages: Mutex::default(),
            came: tokio::sync::Notify::new(),
            leave: Mutex::new(leave),
            gathers,
        };
        (Arc::new(gated), sender)
    }

    fn messages(&self) -> Vec<Vec<String>> {
        self.messages.lock().unwrap().clone()
    }
}

impl Embedder for Gated {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let message = texts.iter().map(|text| (*text).to_owned()).collect();
        self.messages.lock().unwrap().push(message);
        self.came.notify_one();
        self.leave.lock().unwrap().recv().unwrap();
        if let Some(index) = texts.iter().position(|text| *text == "bad") {
            return Err(EmbedError::EmptyText { index });
        }
        Ok(Embedded {
            vectors: texts.iter().map(|text| vec![text.len() as f32]).collect(),
            tokens: vec![1; texts.len()],
            cut: texts
                .iter()
                .position(|text| text.len() > self.info.max_tokens),
        })
    }

    fn gathers(&self) -> bool {
        self.gathers
    }

    fn decode(&self, _: &[u32]) -> Result<String, EmbedError> {
        Ok(String::new())
    }
}

/// Runs `work` with a cell of one thread.
fn run(work: impl AsyncFnOnce(Embedding, Arc<Gated>, mpsc::Sender<()>)) {
    run_with(false, work);
}

fn run_with(gathers: bool, work: impl AsyncFnOnce(Embedding, Arc<Gated>, mpsc::Sender<()>)) {
    actix::System::new().block_on(async {
        let cache = SavedCache::new(EmbeddingCache::new(1 << 20), None);
        let config = EmbeddingConfig {
            batch_tokens: 200,
            ..EmbeddingConfig::default()
        };
        let embedders = Embedders::new(&config).unwrap();
        let policy = ChildPolicy::default();
        let (specs, embedding) = child_specs(policy.clone(), &policy, &config, &embedders, cache);
        let root = SupervisorSpec::new("engines", Policy::default());
        let root = specs.into_iter().fold(root, SupervisorSpec::child);
        let _tree = Tree::start(root, 7).await.unwrap();
        let (gated, leave) = Gated::new(gathers);
        work(embedding, gated, leave).await;
    });
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

async fn ask(
    embedding: &Embedding,
    gated: &Arc<Gated>,
    texts: &[&str],
) -> Result<Vec<f32>, Fault<EmbedError>> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let model = Model::Local(Arc::clone(gated) as Arc<dyn Embedder>);
    let vectors = embedding.vectors(&model, &texts, false, soon(), None).await;
    let first = |vectors: Vec<CachedVector>| vectors.iter().map(|one| one.vector[0]).collect();
    vectors.map(first).map_err(|failure| failure.fault)
}

#[test]
fn equal_texts_of_requests_at_the_same_time_are_computed_once() {
    run(async |embedding, gated, leave| {
        let one = ask(&embedding, &gated, &["a", "bb", "a"]);
        let two = async {
            gated.came.notified().await;
            let both = async {
                // Only now is leave given: the second request finds the first under way.
                leave.send(()).unwrap();
                leave.send(()).unwrap();
            };
            join(ask(&embedding, &gated, &["bb", "ccc"]), both).await.0
        };
        let (one, two) = join(one, two).await;
        assert_eq!(one.unwrap(), [1.0, 2.0, 1.0]);
        assert_eq!(two.unwrap(), [2.0, 3.0]);
        assert_eq!(gated.messages(), [vec!["a", "bb"], vec!["ccc"]]);
        let again = ask(&embedding, &gated, &["ccc", "a"]).await.unwrap();
        assert_eq!(again, [3.0, 1.0]);
        assert_eq!(gated.messages().len(), 2, "the cache holds them");
    });
}

#[test]
fn a_text_that_fails_costs_the_others_in_its_message_nothing() {
    run(async |embedding, gated, leave| {
        let one = ask(&embedding, &gated, &["a", "a", "bad"]);
        let two = async {
            gated.came.notified().await;
            let both = async {
                leave.send(()).unwrap();
                leave.send(()).unwrap();
            };
            join(ask(&embedding, &gated, &["a"]), both).await.0
        };
        let (one, two) = join(one, two).await;
        match one.unwrap_err() {
            Fault::App(EmbedError::EmptyText { index }) => assert_eq!(index, 2),
            other => panic!("{other:?}"),
        }
        assert_eq!(two.unwrap(), [1.0]);
        assert_eq!(gated.messages(), [vec!["a", "bad"], vec!["a"]]);
    });
}

#[test]
fn who_waits_for_a_cancelled_request_computes_it() {
    run(async |embedding, gated, leave| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let one = async {
            tokio::select! {
                // The answer may be there as well by then.
                biased;
                _ = stopped => {}
                _ = ask(&embedding, &gated, &["a"]) => panic!("it was not to be answered"),
            }
        };
        let two = async {
            gated.came.notified().await;
            let both = async {
                stop.send(()).unwrap();
                leave.send(()).unwrap();
                leave.send(()).unwrap();
            };
            join(ask(&embedding, &gated, &["a"]), both).await.0
        };
        assert_eq!(join(one, two).await.1.unwrap(), [1.0]);
    });
}

#[test]
fn a_long_list_lets_a_single_request_in_after_one_message() {
    run(async |embedding, gated, leave| {
        let texts: Vec<String> = (0..300).map(|text| text.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let list = ask(&embedding, &gated, &texts);
        let single = async {
            gated.came.notified().await;
            let both = async {
                for _ in 0..6 {
                    leave.send(()).unwrap();
                }
            };
            // The last text of the list: what is not under way yet is not waited for.
            join(ask(&embedding, &gated, &["299"]), both).await.0
        };
        let (list, single) = join(list, single).await;
        assert_eq!((list.unwrap().len(), single.unwrap()), (300, vec![3.0]));
        let messages = gated.messages();
        assert_eq!(messages[1], ["299"]);
        let sizes: Vec<usize> = messages.iter().map(Vec::len).collect();
        assert_eq!(sizes, [64, 1, 64, 64, 64, 43]);
    });
}

#[test]
fn requests_at_the_same_time_share_a_message_where_the_model_wants_that() {
    for (gathers, expected) in [
        (true, vec![vec!["a", "bb", "ccc"]]),
        (false, vec![vec!["a"], vec!["bb", "ccc"]]),
    ] {
        run_with(gathers, async |embedding, gated, leave| {
            for _ in 0..2 {
                leave.send(()).unwrap();
            }
            let one = ask(&embedding, &gated, &["a"]);
            let two = ask(&embedding, &gated, &["bb", "ccc"]);
            let (one, two) = join(one, two).await;
            assert_eq!((one.unwrap(), two.unwrap()), (vec![1.0], vec![2.0, 3.0]));
            assert_eq!(gated.messages(), expected);
        });
    }
}

#[test]
fn a_message_is_bounded_in_tokens() {
    run(async |embedding, gated, leave| {
        for _ in 0..3 {
            leave.send(()).unwrap();
        }
        // 91, 91 and 226 tokens, where 200 fit.
        let texts = ["a".repeat(360), "b".repeat(361), "c".repeat(900)];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let model = Model::Local(Arc::clone(&gated) as Arc<dyn Embedder>);
        let sent: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let vectors = embedding.vectors(&model, &sent, true, soon(), None).await;
        assert_eq!(vectors.unwrap().len(), 3);
        let sizes: Vec<usize> = gated.messages().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    });
}

#[test]
fn a_text_that_is_too_long_is_cut_only_for_who_asks() {
    run(async |embedding, gated, leave| {
        for _ in 0..3 {
            leave.send(()).unwrap();
        }
        let texts = ["a".to_owned(), "ten bytes.".to_owned()];
        let model = Model::Local(Arc::clone(&gated) as Arc<dyn Embedder>);
        let ask = async |truncate| {
            embedding
                .vectors(&model, &texts, truncate, soon(), None)
                .await
        };
        for truncate in [true, false, true] {
            match ask(truncate).await {
                Ok(vectors) => assert!(truncate && vectors.len() == 2),
                Err(failure) => {
                    let error = failure.fault.to_string();
                    assert!(!truncate && error.contains("text 1 is too long"), "{error}");
                }
            }
        }
        let sizes: Vec<usize> = gated.messages().iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1], "a short text is shared, and a cut one kept");
    });
}

#[test]
fn lists_that_take_long_are_a_crowd_before_lists_alone() {
    run(async |embedding, gated, _leave| {
        let model = Model::Local(gated);
        let under_way = [embedding.answering(&model), embedding.answering(&model)];
        let is_crowded = |few| embedding.is_crowded_for_lists(&model, few, Duration::ZERO);
        // Until the clock goes on.
        assert!((0..1_000_000).any(|_| is_crowded(1)));
        assert!(!is_crowded(2));
        assert!(!embedding.is_crowded(&model, 1, Duration::ZERO));
        drop(under_way);
        assert!(!is_crowded(1));
    });
}
