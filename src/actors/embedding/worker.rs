//! Models that compute here, on the threads of their cell.

use std::sync::Arc;

use supervisors::{Cx, Digest, Protocol, Worker};

use crate::engines::embedding::{EmbedError, Embedded, Embedder};

/// Embed `texts` with `embedder`. Replies with one vector for each text, in the same order.
pub struct EmbedJob {
    /// The model, already resolved from the request's name.
    pub embedder: Arc<dyn Embedder>,
    /// Texts that the cache did not hold.
    pub texts: Vec<String>,
}

/// Computes embeddings; keeps no state, so a restart loses nothing.
pub struct EmbeddingWorker;

impl Protocol for EmbeddingWorker {
    type Req = EmbedJob;
    type Rep = Embedded;
    type Err = EmbedError;

    fn digest(job: &EmbedJob) -> Option<Digest> {
        Some(digest(&job.texts))
    }
}

impl Worker for EmbeddingWorker {
    fn handle(&mut self, job: EmbedJob, _cx: &Cx) -> Result<Embedded, EmbedError> {
        let texts: Vec<&str> = job.texts.iter().map(String::as_str).collect();
        job.embedder.embed(&texts)
    }
}

/// Names a message by its texts.
pub(super) fn digest(texts: &[String]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher
            .update(&(text.len() as u64).to_le_bytes())
            .update(text.as_bytes());
    }
    Digest::from(hasher.finalize())
}
