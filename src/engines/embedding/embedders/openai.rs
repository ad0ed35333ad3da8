//! OpenAI's `/embeddings`, as its own API and the many compatible servers speak it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Batch, Wire};
use crate::engines::embedding::encoding::f32_of_base64;
use crate::engines::upstream::{Upstream, UpstreamError};
use crate::types::http::{HttpCall, HttpReply};

/// Any server with `POST {base_url}/embeddings`.
pub(super) struct OpenAi(pub(super) Upstream);

#[derive(Deserialize)]
struct Reply {
    data: Vec<Item>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Written,
}

/// Some servers answer base64 whatever is asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
}

impl Wire for OpenAi {
    fn plan(&self, model: &str, texts: &[&str], _: bool) -> Result<HttpCall, UpstreamError> {
        // This wire has no word for cutting: too long a text is refused.
        let body = json!({"model": model, "input": texts, "encoding_format": "float"});
        self.0.call("/embeddings", &body, false, "application/json")
    }

    fn probe(&self) -> Result<HttpCall, UpstreamError> {
        self.0.get("/models")
    }

    fn decode(&self, reply: &HttpReply) -> Result<Batch, UpstreamError> {
        let mut read: Reply = self.0.typed(reply, |read: &Reply| read.error.is_some())?;
        // Where some items have no index, none is believed: they stand in order.
        if read.data.iter().all(|item| item.index.is_some()) {
            read.data.sort_by_key(|item| item.index);
            let wrong = (0..)
                .zip(&read.data)
                .find(|(place, item)| item.index != Some(*place));
            if let Some((place, _)) = wrong {
                let message = format!("index {place} is missing or there twice");
                return Err(self.0.malformed(message));
            }
        }
        let vectors = read.data.into_iter().map(|item| match item.embedding {
            Written::Floats(floats) => Ok(floats),
            Written::Base64(text) => f32_of_base64(&text)
                .ok_or_else(|| self.0.malformed("a vector is no base64 of 32-bit floats")),
        });
        Ok(Batch {
            vectors: vectors.collect::<Result<_, _>>()?,
            tokens: read.usage.and_then(|usage| usage.prompt_tokens),
        })
    }
}
