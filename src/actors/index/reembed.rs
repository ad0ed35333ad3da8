//! What a collection's cell is asked while the collection is embedded anew.

use super::collection::{DurableCollection, ReembedBatch, ReembedInfo, ReembedTarget};
use crate::engines::index::IndexError;

/// What a collection is asked while it is embedded anew.
pub enum ReembedRequest {
    /// Begin.
    Begin(ReembedTarget),
    /// The next points, up to so many.
    Batch(usize),
    /// Vectors of a run's last batch.
    Take(u64, Vec<Vec<f32>>),
    /// A run waits, and why.
    Wait(u64, String),
    /// A run cannot go on, and why.
    Fail(u64, String),
    /// End the run under way.
    Cancel,
    /// Put the new points of a run in place of the old.
    Finish(u64),
}

/// The answers.
#[derive(Debug)]
pub enum ReembedReply {
    /// To `Begin`, and to `Cancel`: how the last run is.
    Info(Option<ReembedInfo>),
    /// To `Batch`: what to embed; nothing when no run is under way.
    Batch(Option<ReembedBatch>),
    /// To the rest. `false`: ask again, later.
    Done(bool),
}

/// Answers.
pub(super) fn handle(
    collection: &DurableCollection,
    request: ReembedRequest,
) -> Result<ReembedReply, IndexError> {
    Ok(match request {
        ReembedRequest::Begin(target) => {
            ReembedReply::Info(Some(collection.begin_reembedding(target)?))
        }
        ReembedRequest::Batch(limit) => ReembedReply::Batch(collection.reembed_batch(limit)),
        ReembedRequest::Take(run, vectors) => {
            collection.reembedded(run, vectors)?;
            ReembedReply::Done(true)
        }
        ReembedRequest::Wait(run, why) => {
            collection.reembedding_waits(run, why);
            ReembedReply::Done(true)
        }
        ReembedRequest::Fail(run, why) => {
            collection.fail_reembedding(run, why);
            ReembedReply::Done(true)
        }
        ReembedRequest::Cancel => ReembedReply::Info(collection.cancel_reembedding()),
        ReembedRequest::Finish(run) => ReembedReply::Done(collection.finish_reembedding(run)?),
    })
}
