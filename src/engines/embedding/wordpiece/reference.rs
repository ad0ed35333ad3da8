//! The `tokenizers` crate's WordPiece: slow, and right about every script.

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    Model as _, NormalizedString, Normalizer as _, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer as _,
};

use super::MAX_WORD;
use crate::engines::embedding::error::EmbedError;

/// Normalizer, splitter and model of `bert-base-uncased`, without padding, truncation or markers.
pub(super) struct Reference {
    pub(super) normalizer: BertNormalizer,
    pub(super) model: WordPiece,
}

impl Reference {
    /// Reads a vocabulary, one piece a line.
    pub(super) fn new(vocabulary: &str) -> Result<Self, EmbedError> {
        let vocabulary = WordPiece::read_bytes(vocabulary.as_bytes()).map_err(refused)?;
        let model = WordPiece::builder()
            .vocab(vocabulary)
            .unk_token("[UNK]".to_owned())
            .continuing_subword_prefix("##".to_owned())
            .max_input_chars_per_word(MAX_WORD)
            .build()
            .map_err(refused)?;
        Ok(Self {
            normalizer: BertNormalizer::new(true, true, Some(true), true),
            model,
        })
    }

    /// Appends the ids of `text`.
    pub(super) fn tokenize(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), EmbedError> {
        let mut normalized = NormalizedString::from(text);
        self.normalizer
            .normalize(&mut normalized)
            .map_err(refused)?;
        let mut words = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut words).map_err(refused)?;
        for (word, ..) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            ids.extend(
                self.model
                    .tokenize(word)
                    .map_err(refused)?
                    .iter()
                    .map(|token| token.id),
            );
        }
        Ok(())
    }
}

fn refused(error: impl std::fmt::Display) -> EmbedError {
    EmbedError::Tokenizer {
        reason: error.to_string(),
    }
}
