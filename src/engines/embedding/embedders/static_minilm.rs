//! A table of token vectors distilled from all-MiniLM-L6-v2 and compiled in: a text's vector is the
//! sum of its tokens'.
//!
//! A table may also have rows for whole words that the tokenizer splits: such a word's row counts in place of its
//! pieces'. The tokens stay what they are.
//!
//! Not a transformer: the order of words does not count, and neither does their context. See
//! `config/models/static-minilm/README.md` for how it was made and what it is worth.

use std::sync::{Arc, LazyLock};

use safetensors::{Dtype, SafeTensors};

use crate::engines::embedding::error::EmbedError;
use crate::engines::embedding::vector::normalize;
use crate::engines::embedding::wordpiece::{self, MAX_PIECES, WholeWords, WordPieceTokenizer};
use crate::engines::embedding::{Embedded, Embedder, ModelInfo};

/// The name that requests ask for.
pub(super) const NAME: &str = "static-minilm";

/// How tokens become a vector; part of the fingerprint, so a change of the code below changes it.
const FORMAT: &str = "static-wordpiece-int8-v1";

/// The same for a table with rows for whole words.
const FORMAT_WORDS: &str = "static-wordpiece-int8-v2";

/// Length of the vectors.
const DIM: usize = 256;

/// Tokens of a text that are read, as the table was trained.
const MAX_TOKENS: usize = 512;

/// Hex digits of the fingerprint: 64 bits tell a handful of models apart.
const FINGERPRINT_DIGITS: usize = 16;

static TABLE: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/config/models/static-minilm/static_minilm_256.safetensors"
));

static VOCABULARY: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/config/models/static-minilm/vocab.txt"
));

static MODEL: LazyLock<Result<Arc<StaticMinilm>, EmbedError>> =
    LazyLock::new(|| StaticMinilm::parse(TABLE, VOCABULARY).map(Arc::new));

/// Returns the compiled-in model, read once.
pub(super) fn load() -> Result<Arc<dyn Embedder>, EmbedError> {
    MODEL.clone().map(|model| model as Arc<dyn Embedder>)
}

struct StaticMinilm {
    info: ModelInfo,
    tokenizer: WordPieceTokenizer,
    words: WholeWords,
    // Invariant: one scale for each row; one piece for each token id, and as many rows of tokens.
    token_rows: &'static [[u8; DIM]],
    /// Numbered on from the tokens, as `words` does.
    word_rows: &'static [[u8; DIM]],
    scales: Vec<f32>,
    pieces: Vec<&'static str>,
}

impl StaticMinilm {
    fn parse(table: &'static [u8], vocabulary: &'static str) -> Result<Self, EmbedError> {
        let tensors = SafeTensors::deserialize(table).map_err(|error| broken(error.to_string()))?;
        let pieces: Vec<&str> = vocabulary.lines().map(str::trim_end).collect();
        let tokens = pieces.len();
        let (token_rows, mut scales) = rows(&tensors, ["embeddings", "scales"], tokens)?;
        let (words, (word_rows, word_scales)) = whole_words(&tensors, &pieces)?;
        scales.extend(word_scales);
        if let Some(row) = scales.iter().position(|scale| !scale.is_finite()) {
            return Err(broken(format!("the scale of row {row} is not finite")));
        }
        let format = match word_rows {
            [] => FORMAT,
            _ => FORMAT_WORDS,
        };
        let mut hasher = blake3::Hasher::new();
        for part in [format.as_bytes(), table, vocabulary.as_bytes()] {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part);
        }
        let mut fingerprint = hasher.finalize().to_hex().to_string();
        fingerprint.truncate(FINGERPRINT_DIGITS);
        let info = ModelInfo {
            name: NAME.to_owned(),
            created: 0,
            owned_by: "boathouse".to_owned(),
            dim: DIM,
            max_tokens: MAX_TOKENS,
            fingerprint,
        };
        Ok(Self {
            info,
            tokenizer: WordPieceTokenizer::new(vocabulary)?,
            words,
            token_rows,
            word_rows,
            scales,
            pieces,
        })
    }

    /// Replaces `ids` by the tokens of `text` that count; tells whether there were more.
    fn read(&self, text: &str, ids: &mut Vec<u32>) -> Result<bool, EmbedError> {
        self.tokenizer.tokenize(text, MAX_TOKENS + 1, ids)?;
        let cut = ids.len() > MAX_TOKENS;
        ids.truncate(MAX_TOKENS);
        ids.retain(|&id| !is_marker(id));
        Ok(cut)
    }

    /// Sums the rows of `ids`, which become the rows' numbers. None when they point nowhere.
    fn vector(&self, ids: &mut Vec<u32>) -> Option<Vec<f32>> {
        self.words.merge(ids);
        let mut sum = [0.0_f32; DIM];
        for &id in &*ids {
            let at = id as usize;
            let row = match at.checked_sub(self.token_rows.len()) {
                None => self.token_rows.get(at)?,
                Some(word) => self.word_rows.get(word)?,
            };
            let scale = *self.scales.get(at)?;
            for (total, &byte) in sum.iter_mut().zip(row) {
                *total += scale * f32::from(byte.cast_signed());
            }
        }
        normalize(&mut sum).then(|| sum.to_vec())
    }
}

impl Embedder for StaticMinilm {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str]) -> Result<Embedded, EmbedError> {
        let mut embedded = Embedded {
            vectors: Vec::with_capacity(texts.len()),
            tokens: Vec::with_capacity(texts.len()),
            cut: None,
        };
        let mut ids = Vec::with_capacity(MAX_TOKENS + 1);
        for (index, text) in texts.iter().enumerate() {
            if self.read(text, &mut ids)? {
                embedded.cut = embedded.cut.or(Some(index));
            }
            let tokens = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            let vector = self.vector(&mut ids);
            embedded
                .vectors
                .push(vector.ok_or(EmbedError::EmptyText { index })?);
            embedded.tokens.push(tokens);
        }
        Ok(embedded)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, EmbedError> {
        let mut text = String::new();
        for &id in ids {
            let (Some(piece), Some(&scale)) =
                (self.pieces.get(id as usize), self.scales.get(id as usize))
            else {
                return Err(EmbedError::UnknownToken {
                    id,
                    last: self.pieces.len() - 1,
                });
            };
            if is_marker(id) || scale == 0.0 {
                continue;
            }
            wordpiece::join(&mut text, piece);
        }
        Ok(text)
    }
}

/// Tells `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`.
fn is_marker(id: u32) -> bool {
    matches!(id, 0 | 100..=103)
}

fn broken(reason: String) -> EmbedError {
    EmbedError::BrokenModel {
        model: NAME,
        reason,
    }
}

/// Rows with their scales, under these two names.
type Rows = (&'static [[u8; DIM]], Vec<f32>);

fn rows(
    tensors: &SafeTensors<'static>,
    [rows, scales]: [&str; 2],
    count: usize,
) -> Result<Rows, EmbedError> {
    let (rows, rest) = tensor(tensors, rows, Dtype::I8, &[count, DIM])?.as_chunks::<DIM>();
    let (scales, odd) = tensor(tensors, scales, Dtype::F16, &[count])?.as_chunks::<2>();
    if rows.len() != count || scales.len() != count || !rest.is_empty() || !odd.is_empty() {
        return Err(broken(format!("{} rows, expected {count}", rows.len())));
    }
    let scales = scales.iter().map(|raw| f16(u16::from_le_bytes(*raw)));
    Ok((rows, scales.collect()))
}

/// The rows of whole words, where a table has them: `words` U16 [words, MAX_PIECES] holds the ids of each word's pieces,
/// filled up with 0.
fn whole_words(
    tensors: &SafeTensors<'static>,
    pieces: &[&str],
) -> Result<(WholeWords, Rows), EmbedError> {
    let Ok(found) = tensors.tensor("words") else {
        return Ok((WholeWords::default(), (&[], Vec::new())));
    };
    let count = found.shape().first().copied().unwrap_or_default();
    let ids = tensor(tensors, "words", Dtype::U16, &[count, MAX_PIECES])?;
    let (ids, _) = ids.as_chunks::<2>();
    let words: Vec<Vec<u32>> = ids
        .chunks(MAX_PIECES)
        .map(|word| {
            let ids = word.iter().map(|id| u32::from(u16::from_le_bytes(*id)));
            ids.take_while(|id| *id != 0).collect()
        })
        .collect();
    let known = WholeWords::new(pieces.iter().copied(), &words).map_err(broken)?;
    let rows = rows(tensors, ["word_embeddings", "word_scales"], count)?;
    Ok((known, rows))
}

fn tensor(
    tensors: &SafeTensors<'static>,
    name: &str,
    dtype: Dtype,
    shape: &[usize],
) -> Result<&'static [u8], EmbedError> {
    let tensor = tensors
        .tensor(name)
        .map_err(|error| broken(error.to_string()))?;
    if tensor.dtype() != dtype || tensor.shape() != shape {
        return Err(broken(format!(
            "{name} is {:?} {:?}, expected {dtype:?} {shape:?}",
            tensor.dtype(),
            tensor.shape()
        )));
    }
    Ok(tensor.data())
}

/// Widens an IEEE 754 half.
fn f16(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // 2^-24 is the smallest subnormal half; the product is exact.
        0 => f32::from_bits(sign | 0x3380_0000) * fraction as f32,
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod words_tests;
