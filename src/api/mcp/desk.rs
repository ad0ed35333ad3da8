//! Where the work of a request is done.
//!
//! Tasks of the SDK may move between threads; services stay on the thread of their worker. So the SDK's side hands a
//! piece of work over the desk and waits for what comes of it.

use std::pin::pin;
use std::rc::Rc;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use rmcp::ErrorData;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::{mpsc, oneshot};

use super::Visit;

type Work = Box<dyn FnOnce(Rc<Visit>) -> LocalBoxFuture<'static, ()> + Send>;

/// The SDK's side of it.
#[derive(Clone)]
pub(super) struct Desk(mpsc::UnboundedSender<Work>);

/// The worker's side of it.
pub(super) struct Asked(mpsc::UnboundedReceiver<Work>);

impl Desk {
    /// Both sides.
    pub(super) fn new() -> (Self, Asked) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Asked(receiver))
    }

    /// The desk of the HTTP request that a message came with.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Result<Self, ErrorData> {
        let parts = context.extensions.get::<http::request::Parts>();
        let desk = parts.and_then(|parts| parts.extensions.get::<Self>());
        desk.cloned()
            .ok_or_else(|| ErrorData::internal_error("the request came without its desk", None))
    }

    /// Has `work` done and returns what came of it.
    ///
    /// Errors: the request ended before.
    pub(super) async fn run<T, F>(
        self,
        work: impl FnOnce(Rc<Visit>) -> F + Send + 'static,
    ) -> Result<T, ErrorData>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |visit| {
            let work = work(visit);
            async move {
                // Nobody waits any more when the SDK gave the request up.
                let _ = reply.send(work.await);
            }
            .boxed_local()
        });
        let gone = || ErrorData::internal_error("the request ended before its answer", None);
        self.0.send(work).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

impl Asked {
    /// Does what is asked until `answer` is there.
    pub(super) async fn until<T>(
        &mut self,
        visit: Rc<Visit>,
        answer: impl Future<Output = T>,
    ) -> T {
        let mut answer = pin!(answer);
        let mut working = FuturesUnordered::new();
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                Some(work) = self.0.recv() => working.push(work(Rc::clone(&visit))),
                Some(()) = working.next() => {}
            }
        }
    }
}
