//! Background work in steps, each a request to a cell: a step that panics or hangs is lost alone.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use supervisors::{AsyncWorker, CellRef, ChildPolicy, ChildSpec, Cx, Protocol};

/// Does the next step; returns how much it did, 0 when there is nothing left, or why it could not.
pub type Step = Arc<dyn Fn() -> LocalBoxFuture<'static, Result<usize, String>> + Send + Sync>;

/// Runs steps; what they work on is elsewhere, so a restart loses nothing.
pub struct StepWorker {
    step: Step,
}

impl Protocol for StepWorker {
    type Req = ();
    type Rep = usize;
    type Err = String;
}

impl AsyncWorker for StepWorker {
    async fn handle(self: Rc<Self>, (): (), _: Cx) -> Result<usize, String> {
        (self.step)().await
    }
}

/// Describes the cell to its supervisor.
pub fn child_spec(id: &str, policy: ChildPolicy, step: Step) -> (ChildSpec, CellRef<StepWorker>) {
    ChildSpec::asynchronous(id, policy, move |_| {
        Ok(StepWorker {
            step: Arc::clone(&step),
        })
    })
}
