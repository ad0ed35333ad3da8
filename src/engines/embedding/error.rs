//! What can go wrong between a text and its vector.

use crate::types::error_kind::ErrorKind;

/// A failed embedding, or a model that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// Leave the text out, or send one with words.
    #[error(
        "text {index} has no words that can be embedded: it is empty or holds only symbols \
         that the model does not know; leave it out"
    )]
    EmptyText {
        /// Place of the text in the list, from 0.
        index: usize,
    },
    /// Send fewer texts in one request.
    #[error("too many texts: {got} in one request, at most {max}; send them in several")]
    TooManyTexts {
        /// How many were sent.
        got: usize,
        /// `embedding.max_texts`.
        max: usize,
    },
    /// Split the text.
    #[error("text {index} is too long: {got} bytes, at most {max}; split it into passages")]
    TextTooLong {
        /// Place of the text in the list, from 0.
        index: usize,
        /// Its length in bytes.
        got: usize,
        /// `embedding.max_text_bytes`.
        max: usize,
    },
    /// Ask for one of the known names.
    #[error("no embedding model named {name}; known: {known}")]
    UnknownModel {
        /// What was asked for, cut to a bounded length.
        name: String,
        /// Names and aliases.
        known: String,
    },
    /// Send ids of this model's own vocabulary, or send text.
    #[error(
        "no token {id}: ids of this model are 0 to {last}; send text, or ids of its own vocabulary"
    )]
    UnknownToken {
        /// The id at fault.
        id: u32,
        /// The largest id there is.
        last: usize,
    },
    /// Ask for a length that the model has.
    #[error("dimensions must be 1 to {max}, got {got}")]
    WrongDimensions {
        /// What was asked for.
        got: usize,
        /// Length of the whole vector.
        max: usize,
    },
    /// Ask for more dimensions; the vector says nothing in the first ones.
    #[error("the first {dims} dimensions of this vector are zero; ask for more of them")]
    ZeroPrefix {
        /// What was asked for.
        dims: usize,
    },
    /// Change the setting that the text begins with; stops the start.
    #[error("{0}")]
    Config(String),
    /// The compiled-in model is broken; stops the start.
    #[error("model {model} cannot be read: {reason}")]
    BrokenModel {
        /// Its name.
        model: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// The model does not keep its promise; report it.
    #[error("the model gave {got} vectors for {texts} texts")]
    WrongCount {
        /// Vectors or token counts that came.
        got: usize,
        /// Texts that were sent.
        texts: usize,
    },
    /// The tokenizer refused a text; skip it.
    #[error("text cannot be split into tokens: {reason}")]
    Tokenizer {
        /// In the tokenizer's words.
        reason: String,
    },
}

impl EmbedError {
    /// Tells what the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::EmptyText { .. }
            | Self::UnknownToken { .. }
            | Self::WrongDimensions { .. }
            | Self::ZeroPrefix { .. }
            | Self::Config(_) => ErrorKind::BadRequest,
            Self::TooManyTexts { .. } | Self::TextTooLong { .. } => ErrorKind::TooLarge,
            Self::UnknownModel { .. } => ErrorKind::NotFound,
            Self::BrokenModel { .. } | Self::WrongCount { .. } | Self::Tokenizer { .. } => {
                ErrorKind::Internal
            }
        }
    }
}
