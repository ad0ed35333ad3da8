//! The whole all-MiniLM-L6-v2, or another BERT model whose text vector is the mean of its tokens',
//! from a folder.
//!
//! `encoder.rs` multiplies the matrices through candle, `kernels.rs` does what stands between,
//! `tokens.rs` reads texts, and this file makes vectors of it.

mod encoder;
mod kernels;
mod settings;
mod tokens;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor, safetensors};
use rayon::prelude::*;

use crate::engines::embedding::error::EmbedError;
use crate::engines::embedding::vector::normalize;
use crate::engines::embedding::{Embedded, Embedder, ModelInfo};
use crate::storage::model_folder::ModelFolder;
use encoder::Encoder;
use settings::Settings;
use tokens::Tokens;

/// The kind in a configuration, and the name of the model that `boathouse models pull` fetches.
pub(super) const NAME: &str = "minilm";

/// How texts become vectors; part of the fingerprint, so a change of the code below changes it.
const FORMAT: &str = "bert-mean-f32-v1";

/// Hex digits of the fingerprint: 64 bits tell a handful of models apart.
const FINGERPRINT_DIGITS: usize = 16;

/// Tokens that go through the layers together: enough for the matrix products to run at full speed,
/// and few enough for what lies between two of them to stay in a core's cache.
const GROUP_TOKENS: usize = 512;

/// Texts in one message to the cell: up to a second of work, for which everybody else waits.
const BATCH_TEXTS: usize = 16;

/// `[CLS]` and `[SEP]`.
const MARKERS: usize = 2;

/// A BERT model that embeds.
pub struct Minilm {
    info: ModelInfo,
    tokens: Tokens,
    encoder: Encoder,
}

/// Opens the model of `folder` under the name that requests ask for.
pub(super) fn open(name: &str, folder: &Path) -> Result<Arc<dyn Embedder>, EmbedError> {
    Ok(Arc::new(Minilm::open(name, folder)?))
}

impl Minilm {
    /// Reads `config.json`, `tokenizer.json` and `model.safetensors` of `folder`.
    ///
    /// Errors: [`EmbedError::BrokenFolder`] names the file and what is wrong with it.
    pub fn open(name: &str, folder: &Path) -> Result<Self, EmbedError> {
        let files = ModelFolder::read(folder).map_err(|error| error.to_string());
        let model = files.and_then(|files| Self::new(name, &files));
        model.map_err(|reason| EmbedError::BrokenFolder {
            model: name.to_owned(),
            folder: folder.display().to_string(),
            reason,
        })
    }

    fn new(name: &str, files: &ModelFolder) -> Result<Self, String> {
        let settings = Settings::read(files)?;
        let tokens = Tokens::parse(&files.tokenizer, settings.vocab_size)
            .map_err(|reason| format!("tokenizer.json: {reason}"))?;
        let weights = |error| format!("model.safetensors: {}", said(&error));
        let tensors = safetensors::load_buffer(&files.weights, &Device::Cpu).map_err(weights)?;
        let encoder = Encoder::new(&settings, &tensors).map_err(weights)?;
        let mut hasher = blake3::Hasher::new();
        let max_tokens = settings.max_sequence - MARKERS;
        for part in [
            FORMAT.as_bytes(),
            &max_tokens.to_le_bytes(),
            &files.config,
            &files.tokenizer,
            &files.weights,
        ] {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part);
        }
        let mut fingerprint = hasher.finalize().to_hex().to_string();
        fingerprint.truncate(FINGERPRINT_DIGITS);
        Ok(Self {
            info: ModelInfo {
                name: name.to_owned(),
                created: 0,
                owned_by: "boathouse".to_owned(),
                dim: settings.hidden_size,
                max_tokens,
                fingerprint,
            },
            tokens,
            encoder,
        })
    }

    /// Returns the last layer's vector of every token, for texts that are ids with their markers.
    ///
    /// Shapes: the vectors of all tokens of all texts behind one another, `info().dim` numbers each.
    /// Errors: [`EmbedError::Compute`] for an id, or a text's length, that the model does not have.
    pub fn hidden_states(&self, texts: &[&[u32]]) -> Result<Vec<f32>, EmbedError> {
        let states = self.encoder.hidden_states(texts);
        states.and_then(|states| numbers(&states)).map_err(failed)
    }

    /// Returns the model's input embeddings of `ids`, before position and norm, behind one another.
    ///
    /// Errors: [`EmbedError::Compute`] for an id that the model does not have.
    pub fn word_embeddings(&self, ids: &[u32]) -> Result<Vec<f32>, EmbedError> {
        let rows = self.encoder.word_embeddings(ids);
        rows.and_then(|rows| numbers(&rows)).map_err(failed)
    }

    /// Embeds texts that are ids with their markers: the mean over all of a text's tokens.
    fn vectors(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let states = self.hidden_states(texts)?;
        let mut states = states.chunks_exact(self.info.dim);
        let vector = |text: &&[u32]| {
            let mut vector = vec![0.0; self.info.dim];
            for state in states.by_ref().take(text.len()) {
                for (sum, x) in vector.iter_mut().zip(state) {
                    *sum += x;
                }
            }
            let found = normalize(&mut vector).then_some(vector);
            found.ok_or_else(|| EmbedError::Compute {
                reason: "a vector without direction".to_owned(),
            })
        };
        texts.iter().map(vector).collect()
    }
}

impl Embedder for Minilm {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn batch(&self) -> usize {
        BATCH_TEXTS
    }

    fn gathers(&self) -> bool {
        true
    }

    fn embed(&self, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let mut read = Vec::with_capacity(texts.len());
        let mut cut = None;
        for (index, text) in texts.iter().enumerate() {
            let ids = self.tokens.read(text, self.info.max_tokens)?;
            let (ids, is_cut) = ids.ok_or(EmbedError::EmptyText { index })?;
            if is_cut {
                cut = cut.or(Some(index));
            }
            read.push((index, ids));
        }
        let tokens = read.iter().map(|(_, ids)| ids.len() - MARKERS);
        let tokens = tokens.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let tokens = tokens.collect();
        // The longest first: the core that ends last then ends with little.
        read.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
        let made: Vec<Vec<Vec<f32>>> = groups(&read)
            .into_par_iter()
            .map(|group| {
                let texts: Vec<&[u32]> = read[group].iter().map(|(_, ids)| &ids[..]).collect();
                self.vectors(&texts)
            })
            .collect::<Result<_, _>>()?;
        let mut vectors = vec![Vec::new(); texts.len()];
        for ((index, _), vector) in read.iter().zip(made.into_iter().flatten()) {
            vectors[*index] = vector;
        }
        Ok(Embedded {
            vectors,
            tokens,
            cut,
        })
    }

    fn decode(&self, ids: &[u32]) -> Result<String, EmbedError> {
        self.tokens.decode(ids)
    }
}

/// Cuts texts into groups of at most [`GROUP_TOKENS`] tokens, or of one text.
fn groups(texts: &[(usize, Vec<u32>)]) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, (_, ids)) in texts.iter().enumerate() {
        if tokens + ids.len() > GROUP_TOKENS && at > start {
            groups.push(start..at);
            (start, tokens) = (at, 0);
        }
        tokens += ids.len();
    }
    groups.push(start..texts.len());
    groups.retain(|group| !group.is_empty());
    groups
}

fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

fn failed(error: candle_core::Error) -> EmbedError {
    EmbedError::Compute {
        reason: said(&error),
    }
}

/// The first line of an error: the rest is its backtrace.
fn said(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(super) mod tests;
