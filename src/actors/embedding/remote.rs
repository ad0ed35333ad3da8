//! One model of an upstream at work: many calls in flight, each cancelled when its caller goes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use supervisors::{AsyncWorker, CellRef, ChildPolicy, ChildSpec, Cx, Digest, Protocol};

use super::worker::digest;
use crate::actors::upstream;
use crate::engines::embedding::{EmbedError, Embedded, RemoteModel};
use crate::transport::Transport;
use crate::types::trace::Trace;

/// Embed `texts`. Replies with one vector for each text, in the same order.
pub struct RemoteJob {
    /// At most the model's batch.
    pub texts: Vec<String>,
    /// Whether the upstream may cut what is too long for it.
    pub truncate: bool,
    /// Where the call stands in a trace, where it is in one.
    pub trace: Option<Trace>,
}

/// Turns batches into calls; keeps only connections.
pub struct RemoteWorker {
    model: Arc<RemoteModel>,
    transport: Transport,
    beat: Duration,
}

impl RemoteWorker {
    async fn embed(&self, job: RemoteJob, end: Instant) -> Result<Embedded, EmbedError> {
        let texts: Vec<&str> = job.texts.iter().map(String::as_str).collect();
        let mut call = self.model.plan(&texts, job.truncate)?;
        call.headers
            .extend(upstream::traceparent(job.trace.as_ref()));
        let reply = self.transport.call(call, end).await;
        let reply = reply.map_err(|error| upstream::lost(self.model.name(), error))?;
        self.model.decode(&reply, &texts)
    }
}

impl Protocol for RemoteWorker {
    type Req = RemoteJob;
    type Rep = Embedded;
    type Err = EmbedError;

    fn digest(job: &RemoteJob) -> Option<Digest> {
        Some(digest(&job.texts))
    }
}

impl AsyncWorker for RemoteWorker {
    async fn handle(self: Rc<Self>, job: RemoteJob, cx: Cx) -> Result<Embedded, EmbedError> {
        upstream::alive(&cx, self.beat, async |end| self.embed(job, end).await).await
    }
}

/// Describes the cell of one model to its supervisor.
pub(super) fn child_spec(
    model: &Arc<RemoteModel>,
    policy: &ChildPolicy,
) -> (ChildSpec, CellRef<RemoteWorker>) {
    let config = model.config();
    let policy = ChildPolicy {
        inbox: config.max_concurrency,
        // The rest serves without it.
        critical: false,
        ..policy.clone()
    };
    let beat = upstream::beat(policy.deadline_ms);
    let connect = Duration::from_millis(config.connect_timeout_ms);
    let link_local = config.allow_link_local;
    let model = Arc::clone(model);
    ChildSpec::asynchronous(format!("embedder.{}", model.name()), policy, move |_| {
        Ok(RemoteWorker {
            model: Arc::clone(&model),
            // Connections live on the arbiter of the incarnation that opened them.
            transport: Transport::new(connect).link_local(link_local),
            beat,
        })
    })
}
