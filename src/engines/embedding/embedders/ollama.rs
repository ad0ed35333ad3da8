//! Ollama's native `/api/embed`: unlike its `/v1`, it tells whether a text was cut.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Batch, Wire};
use crate::engines::upstream::{Upstream, UpstreamError};
use crate::types::http::{HttpCall, HttpReply};

/// An Ollama server, local or in its cloud.
pub(super) struct Ollama(pub(super) Upstream);

#[derive(Deserialize)]
struct Reply {
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u64>,
    error: Option<IgnoredAny>,
}

impl Wire for Ollama {
    fn plan(&self, model: &str, texts: &[&str], truncate: bool) -> Result<HttpCall, UpstreamError> {
        // Its own default is to cut in silence.
        let body = json!({"model": model, "input": texts, "truncate": truncate});
        self.0.call("/api/embed", &body, false, "application/json")
    }

    fn probe(&self) -> Result<HttpCall, UpstreamError> {
        self.0.get("/api/tags")
    }

    fn decode(&self, reply: &HttpReply) -> Result<Batch, UpstreamError> {
        let read: Reply = self.0.typed(reply, |read: &Reply| read.error.is_some())?;
        Ok(Batch {
            vectors: read.embeddings,
            tokens: read.prompt_eval_count,
        })
    }
}
