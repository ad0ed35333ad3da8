//! What stands in for `chaos` when it is compiled out: nothing, at no cost.

use crate::call::Cx;
use crate::cell::StartError;

/// Never strikes.
#[derive(Default)]
pub(crate) struct FailPoint(());

impl FailPoint {
    pub(crate) fn draw(&self) -> Option<Strike> {
        None
    }

    #[expect(clippy::unused_self, reason = "the same shape as in `chaos`")]
    pub(crate) fn factory(&self) -> Result<(), StartError> {
        Ok(())
    }
}

/// There is none.
#[derive(Clone, Copy)]
pub(crate) enum Strike {}

impl Strike {
    pub(crate) fn on_thread(self, _: &Cx) {
        match self {}
    }

    pub(crate) async fn in_task(self) {
        match self {}
    }
}
