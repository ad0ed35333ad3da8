//! Models that compute elsewhere: what is sent, and what of the answer is believed. Sans-I/O, as
//! chat's providers are; who sends the call is in `actors/embedding`.

use std::sync::OnceLock;

use super::embedders::{Batch, Wire};
use super::error::EmbedError;
use super::vector::normalize;
use super::{Embedded, EmbedderConfig, ModelInfo};
use crate::engines::upstream::UpstreamError;
use crate::types::http::{HttpCall, HttpReply};
use crate::types::plain::counted;

/// Hex digits of the fingerprint: 64 bits tell a handful of models apart.
const FINGERPRINT_DIGITS: usize = 16;

/// A model behind an upstream. Keeps nothing but the length of its vectors, once that is known.
pub struct RemoteModel {
    config: EmbedderConfig,
    wire: Box<dyn Wire>,
    /// Without dimension and fingerprint.
    card: ModelInfo,
    info: OnceLock<ModelInfo>,
}

impl RemoteModel {
    pub(super) fn new(name: &str, config: &EmbedderConfig, wire: Box<dyn Wire>) -> Self {
        let model = Self {
            card: ModelInfo {
                name: name.to_owned(),
                created: 0,
                owned_by: config.kind.clone(),
                dim: 0,
                max_tokens: config.max_tokens.unwrap_or(0),
                fingerprint: String::new(),
            },
            config: config.clone(),
            wire,
            info: OnceLock::new(),
        };
        if let Some(dim) = config.dim {
            model.learn(dim);
        }
        model
    }

    /// The name that requests ask for.
    pub fn name(&self) -> &str {
        &self.card.name
    }

    /// Its settings.
    pub fn config(&self) -> &EmbedderConfig {
        &self.config
    }

    /// Describes the model; `None` until its dimension is configured or the first answer tells it.
    pub fn info(&self) -> Option<&ModelInfo> {
        self.info.get()
    }

    /// The same with dimension 0 and no fingerprint while they are not known.
    pub fn card(&self) -> &ModelInfo {
        self.info.get().unwrap_or(&self.card)
    }

    /// Plans the call for `texts`; `truncate` lets the upstream cut what is too long for it, if it
    /// can.
    ///
    /// With `max_tokens` configured, words are counted: each is a token or more. So a text that is
    /// far too long never leaves, and one that may be cut leaves shorter.
    ///
    /// Errors: the key is missing; [`EmbedError::TooManyTokens`].
    pub fn plan(&self, texts: &[&str], truncate: bool) -> Result<HttpCall, EmbedError> {
        let mut sent = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let max = self.config.max_tokens.unwrap_or(usize::MAX);
            let fits = words(text, max);
            if fits.len() < text.len() && !truncate {
                return Err(EmbedError::TooManyTokens { index, max });
            }
            sent.push(fits);
        }
        Ok(self.wire.plan(&self.config.model, &sent, truncate)?)
    }

    /// Plans the question for the upstream's models, to see whether it is there and takes the key.
    ///
    /// Errors: the key is missing.
    pub fn probe(&self) -> Result<HttpCall, UpstreamError> {
        self.wire.probe()
    }

    /// Reads the answer to a call for `texts`, and learns the dimension from the first.
    ///
    /// Errors: what the upstream says, or what is wrong with its vectors: their count, their
    /// lengths, numbers that are none.
    pub fn decode(&self, reply: &HttpReply, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let Batch {
            mut vectors,
            tokens,
        } = self.wire.decode(reply)?;
        let malformed = |message: String| UpstreamError::Malformed {
            provider: self.name().to_owned(),
            message,
        };
        if vectors.len() != texts.len() {
            let got = counted(vectors.len(), "vector");
            let sent = counted(texts.len(), "text");
            return Err(malformed(format!("{got} for {sent}")).into());
        }
        for (index, vector) in vectors.iter_mut().enumerate() {
            let finite = vector.iter().all(|value| value.is_finite());
            if !finite || !normalize(vector) {
                let what = if finite {
                    "no direction"
                } else {
                    "a number that is none"
                };
                return Err(malformed(format!("vector {index} has {what}")).into());
            }
        }
        for vector in &vectors {
            let expected = self.learn(vector.len()).dim;
            if vector.len() != expected {
                return Err(EmbedError::DimensionChanged {
                    name: self.name().to_owned(),
                    expected,
                    got: vector.len(),
                });
            }
        }
        Ok(Embedded {
            tokens: shares(tokens.unwrap_or(0), texts),
            vectors,
            // Where it cut, it had leave to.
            cut: None,
        })
    }

    /// Whether it gives, or may turn out to give, vectors of this fingerprint.
    pub(super) fn gives(&self, fingerprint: &str, dim: usize) -> bool {
        match self.info() {
            Some(info) => info.fingerprint == fingerprint,
            None => self.fingerprint(dim) == fingerprint,
        }
    }

    /// Keeps the first dimension that is heard of.
    fn learn(&self, dim: usize) -> &ModelInfo {
        self.info.get_or_init(|| ModelInfo {
            dim,
            fingerprint: self.fingerprint(dim),
            ..self.card.clone()
        })
    }

    fn fingerprint(&self, dim: usize) -> String {
        let mut hasher = blake3::Hasher::new();
        let config = &self.config;
        for part in [config.kind.as_str(), config.url(), &config.model] {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part.as_bytes());
        }
        // What is asked beside the texts may change the vectors too.
        let extra = serde_json::to_vec(&config.extra_body).unwrap_or_default();
        hasher.update(&extra).update(&(dim as u64).to_le_bytes());
        let mut fingerprint = hasher.finalize().to_hex().to_string();
        fingerprint.truncate(FINGERPRINT_DIGITS);
        fingerprint
    }
}

/// Returns `text` when it has at most `max` words, else what comes before the next.
fn words(text: &str, max: usize) -> &str {
    let mut starts = text
        .split_whitespace()
        .map(|word| word.as_ptr().addr() - text.as_ptr().addr());
    match starts.nth(max) {
        Some(end) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

/// Splits the tokens of a batch among its texts by their lengths: upstreams tell only the sum.
fn shares(tokens: u64, texts: &[&str]) -> Vec<u32> {
    let all: u64 = texts.iter().map(|text| text.len() as u64).sum();
    let (mut before, mut given) = (0_u64, 0_u64);
    texts
        .iter()
        .map(|text| {
            before += text.len() as u64;
            let until = u128::from(tokens) * u128::from(before) / u128::from(all.max(1));
            let until = u64::try_from(until).unwrap_or(u64::MAX);
            let share = until.saturating_sub(given);
            given = until;
            u32::try_from(share).unwrap_or(u32::MAX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_the_start_of_the_next() {
        for (text, max, expected) in [
            ("a b c", 3, "a b c"),
            ("a b c", usize::MAX, "a b c"),
            (" ä  ö ü", 2, " ä  ö "),
            ("a", 0, ""),
            ("  ", 1, "  "),
        ] {
            assert_eq!(words(text, max), expected, "{text:?}");
        }
    }

    #[test]
    fn the_shares_of_a_batch_add_up() {
        for (tokens, texts, expected) in [
            (10, &["aaaa", "b"][..], vec![8, 2]),
            (7, &["a", "b", "c"], vec![2, 2, 3]),
            (0, &["a"], vec![0]),
            (5, &[], vec![]),
        ] {
            assert_eq!(shares(tokens, texts), expected);
        }
    }
}
