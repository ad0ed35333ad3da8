//! Texts as the bags of token ids that the table sums up.

use std::path::Path;

use boathouse::engines::embedding::{EmbedError, Embedded, Embedder, ModelInfo};
use tokenizers::Tokenizer;

use crate::Result;
use crate::matrix::{Matrix, add, normalise};

/// Tokens of a text that are read.
const MOST_TOKENS: usize = 512;

/// The training texts, and what reads any other.
pub(crate) struct Bags {
    tokenizer: Tokenizer,
    bags: Vec<Vec<u32>>,
    /// In how many texts each token is.
    texts_with: Vec<u32>,
    special: Vec<bool>,
}

impl Bags {
    pub(crate) fn read(tokenizer: &Path, texts: &[&str]) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(tokenizer).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        let _ = tokenizer.with_truncation(None);
        let size = tokenizer.get_vocab_size(true);
        let special = (0..size as u32).map(|id| {
            let piece = tokenizer.id_to_token(id).unwrap_or_default();
            piece.is_empty() || (piece.starts_with('[') && piece.ends_with(']') && piece.len() > 2)
        });
        let mut bags = Self {
            special: special.collect(),
            tokenizer,
            bags: Vec::new(),
            texts_with: vec![0; size],
        };
        for text in texts {
            let bag = bags.ids(text)?;
            let mut different = bag.clone();
            different.sort_unstable();
            different.dedup();
            for id in different {
                bags.texts_with[id as usize] += 1;
            }
            bags.bags.push(bag);
        }
        Ok(bags)
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let read = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| error.to_string())?;
        let ids = read.get_ids().iter().take(MOST_TOKENS);
        Ok(ids
            .copied()
            .filter(|id| !self.special[*id as usize])
            .collect())
    }

    /// How many tokens there are.
    pub(crate) fn vocabulary(&self) -> usize {
        self.special.len()
    }

    /// Whether a token stands for no part of a text.
    pub(crate) fn is_special(&self, id: usize) -> bool {
        self.special[id]
    }

    /// The part of the texts that a token is in.
    pub(crate) fn frequency(&self, id: usize) -> f32 {
        self.texts_with[id] as f32 / self.bags.len().max(1) as f32
    }

    pub(crate) fn all(&self) -> &[Vec<u32>] {
        &self.bags
    }

    pub(crate) fn embedder<'a>(&'a self, table: &'a Matrix) -> impl Embedder + 'a {
        Summed {
            bags: self,
            table,
            info: ModelInfo {
                name: "distilled".to_owned(),
                created: 0,
                owned_by: String::new(),
                dim: table.width,
                max_tokens: MOST_TOKENS,
                fingerprint: String::new(),
            },
        }
    }
}

/// The sum of a bag's rows, of length 1, and how long it was.
pub(crate) fn sum(table: &Matrix, bag: &[u32]) -> (Vec<f32>, f32) {
    let mut vector = vec![0.0; table.width];
    for id in bag {
        add(&mut vector, table.row(*id as usize), 1.0);
    }
    let length = normalise(&mut vector);
    (vector, length)
}

struct Summed<'a> {
    bags: &'a Bags,
    table: &'a Matrix,
    info: ModelInfo,
}

impl Embedder for Summed<'_> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str]) -> std::result::Result<Embedded, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let bag = self.bags.ids(text).unwrap_or_default();
            let (vector, length) = sum(self.table, &bag);
            if length == 0.0 {
                return Err(EmbedError::EmptyText { index });
            }
            vectors.push(vector);
        }
        Ok(Embedded {
            tokens: vec![0; vectors.len()],
            vectors,
            cut: None,
        })
    }

    fn decode(&self, _: &[u32]) -> std::result::Result<String, EmbedError> {
        Ok(String::new())
    }
}
