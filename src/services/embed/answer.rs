//! The answer of `POST /v1/embeddings`, put together from vectors that are text already.

use std::io::Write as _;
use std::ops::Range;

use utoipa::ToSchema;

use crate::engines::embedding::{
    CachedVector, EmbedError, Form, Written, json_capacity, write_json,
};

/// The answer of `POST /v1/embeddings`, in OpenAI's shape.
#[derive(Debug, ToSchema)]
pub struct EmbeddingsOutput {
    /// Always `list`.
    pub object: &'static str,
    /// One entry for each input, in its order.
    pub data: Vec<EmbeddingData>,
    /// The model that answered.
    pub model: String,
    /// Tokens read.
    pub usage: EmbeddingUsage,
}

/// One vector of an [`EmbeddingsOutput`].
#[derive(Debug, ToSchema)]
pub struct EmbeddingData {
    /// Always `embedding`.
    pub object: &'static str,
    /// Place of the input in the request.
    pub index: usize,
    /// The vector.
    pub embedding: EncodedVector,
}

/// A vector as a list or as base64.
#[derive(Debug, serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum EncodedVector {
    /// A JSON list of numbers.
    Floats(Vec<f32>),
    /// Little-endian 32-bit floats.
    Base64(String),
}

/// Tokens of an [`EmbeddingsOutput`].
#[derive(Debug, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of all inputs.
    pub prompt_tokens: u64,
    /// The same: embedding writes none.
    pub total_tokens: u64,
}

/// Bytes around a vector, and around the list of them.
const FRAME: usize = 64;

/// An [`EmbeddingsOutput`] as JSON text in the making.
pub(super) struct Answer {
    json: Vec<u8>,
    tokens: u64,
    count: usize,
}

impl Answer {
    /// Has room for so many vectors of so many bytes.
    pub(super) fn with_capacity(vectors: usize, bytes: usize) -> Self {
        let mut json = Vec::with_capacity(vectors * (bytes + FRAME) + 4 * FRAME);
        json.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
        Self {
            json,
            tokens: 0,
            count: 0,
        }
    }

    /// How many vectors it has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Appends the vector of the next text, which is JSON already.
    pub(super) fn push_json(&mut self, vector: &[u8], tokens: u32) {
        self.open();
        self.json.extend_from_slice(vector);
        self.close(tokens);
    }

    /// Appends the vector of the next text, and returns where it stands.
    ///
    /// Errors: the dimensions of `form` do not suit the model; the answer is of no use then.
    pub(super) fn push(
        &mut self,
        vector: &CachedVector,
        form: Form,
    ) -> Result<Range<usize>, EmbedError> {
        self.open();
        let start = self.json.len();
        write_json(&vector.vector, form, &mut self.json)?;
        let end = self.json.len();
        self.close(vector.tokens);
        Ok(start..end)
    }

    fn open(&mut self) {
        if self.count > 0 {
            self.json.push(b',');
        }
        // Writing into memory does not fail.
        let _ = write!(
            self.json,
            "{{\"object\":\"embedding\",\"index\":{},\"embedding\":",
            self.count
        );
    }

    fn close(&mut self, tokens: u32) {
        self.json.push(b'}');
        self.count += 1;
        self.tokens += u64::from(tokens);
    }

    /// Ends it.
    pub(super) fn finish(mut self, model: &str) -> Vec<u8> {
        let tokens = self.tokens;
        let model = serde_json::Value::from(model);
        let _ = write!(
            self.json,
            "],\"model\":{model},\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}}}"
        );
        self.json
    }
}

/// The tokens that the end of an answer tells.
pub(super) fn tokens_of(json: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"total_tokens\":";
    let at = json.windows(KEY.len()).rposition(|part| part == KEY)?;
    let digits = json.get(at + KEY.len()..)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// Writes the answer that holds one vector.
///
/// Errors: the dimensions of `form` do not suit the model.
pub(super) fn of_one(
    model: &str,
    vector: &CachedVector,
    form: Form,
) -> Result<Written, EmbedError> {
    let mut answer = Answer::with_capacity(1, json_capacity(&vector.vector, form));
    let vector = answer.push(vector, form)?;
    Ok(Written {
        form,
        model: model.into(),
        json: answer.finish(model).into(),
        vector,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn it_is_the_json_that_openai_documents() {
        let mut answer = Answer::with_capacity(2, 10);
        for (base64, vector, tokens) in [(false, [0.5, -1.0], 3), (true, [1.0, -2.5], 4)] {
            let vector = CachedVector::new(vector.into(), tokens);
            answer.push(&vector, Form { base64, dims: None }).unwrap();
        }
        let written = answer.finish("a\"b");
        assert_eq!(tokens_of(&written), Some(7));
        let answer: Value = serde_json::from_slice(&written).unwrap();
        let data = json!([
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
            {"object": "embedding", "index": 1, "embedding": "AACAPwAAIMA="},
        ]);
        let usage = json!({"prompt_tokens": 7, "total_tokens": 7});
        let expected = json!({"object": "list", "data": data, "model": "a\"b", "usage": usage});
        assert_eq!(answer, expected);
    }

    #[test]
    fn an_answer_of_one_knows_where_its_vector_stands() {
        let form = Form {
            base64: false,
            dims: None,
        };
        let vector = CachedVector::new(vec![0.5, -1.0].into(), 3);
        let written = of_one("m", &vector, form).unwrap();
        assert_eq!(
            &written.json[written.vector.clone()],
            b"[0.5000000000,-1.0]"
        );
        let answer: Value = serde_json::from_slice(&written.json).unwrap();
        assert_eq!(answer["data"][0]["embedding"], json!([0.5, -1.0]));
        assert_eq!(answer["usage"]["total_tokens"], 3);
    }
}
