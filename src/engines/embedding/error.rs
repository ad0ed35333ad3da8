//! What can go wrong between a text and its vector.

use crate::engines::upstream::{Reaction, UpstreamError};
use crate::types::error_kind::ErrorKind;
use crate::types::plain::counted;

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
    /// Split the text, or ask for it to be cut where the interface lets you.
    #[error(
        "text {index} is too long: more than {max} tokens, which is all that the model reads; split \
         it into passages"
    )]
    TooManyTokens {
        /// Place of the text in the list, from 0.
        index: usize,
        /// The model's `max_tokens`.
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
    #[error(
        "nothing but zero stands in the first {} of this vector; ask for more of them",
        counted(dims, "dimension")
    )]
    ZeroPrefix {
        /// What was asked for.
        dims: usize,
    },
    /// Send text: this model's vocabulary is known to its upstream only.
    #[error("{name} takes no token ids: its vocabulary is not known here; send text")]
    NoTokenizer {
        /// The model's name.
        name: String,
    },
    /// Name a model that computes here.
    #[error("{name} computes elsewhere; name a model that computes here")]
    NotLocal {
        /// The model's name.
        name: String,
    },
    /// The upstream serves another model than before; restart, or set `dim`.
    #[error(
        "{name} gave a vector of {} where it has {expected}: its upstream serves another \
         model; restart, or correct embedding.embedders.{name}.dim",
        counted(got, "number")
    )]
    DimensionChanged {
        /// The model's name.
        name: String,
        /// What is configured, or was first seen.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// The upstream of a model failed; its error says what to do.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
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
    /// Mend the model's folder; stops the start.
    #[error(
        "model {model} cannot be loaded from {folder}: {reason}; point to a folder that has it, or \
         fetch the files with `boathouse models pull`"
    )]
    BrokenFolder {
        /// Its name.
        model: String,
        /// Where it was looked for.
        folder: String,
        /// What is missing or does not fit.
        reason: String,
    },
    /// Fetch the model's files and start again.
    #[error(
        "the files of {name} are not here; `boathouse models pull {name}` fetches them for the next \
         start"
    )]
    NotPulled {
        /// The model's name.
        name: &'static str,
    },
    /// The model does not keep its promise; report it.
    #[error("the model failed: {reason}")]
    Compute {
        /// In the library's words.
        reason: String,
    },
    /// The model does not keep its promise; report it.
    #[error(
        "the model gave {} for {}",
        counted(got, "vector"),
        counted(texts, "text")
    )]
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
            | Self::TooManyTokens { .. }
            | Self::NoTokenizer { .. }
            | Self::NotLocal { .. }
            // As OpenAI answers it.
            | Self::Upstream(UpstreamError::TooLong { .. })
            | Self::Config(_) => ErrorKind::BadRequest,
            Self::TooManyTexts { .. } | Self::TextTooLong { .. } => ErrorKind::TooLarge,
            Self::UnknownModel { .. } | Self::NotPulled { .. } => ErrorKind::NotFound,
            Self::DimensionChanged { .. } => ErrorKind::Upstream,
            Self::Upstream(error) => error.kind(),
            Self::BrokenModel { .. }
            | Self::BrokenFolder { .. }
            | Self::Compute { .. }
            | Self::WrongCount { .. }
            | Self::Tokenizer { .. } => ErrorKind::Internal,
        }
    }

    /// What logs and traces may hold of it: not the words of an upstream, which may repeat the texts.
    #[must_use]
    pub fn without_words(&self) -> Self {
        match self {
            Self::Upstream(error) => Self::Upstream(error.without_words()),
            error => error.clone(),
        }
    }

    /// When a retry makes sense.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Upstream(error) => error.retry_after_ms(),
            _ => None,
        }
    }

    /// What is done about it where a fallback is configured.
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::Upstream(error) => error.reaction(),
            Self::DimensionChanged { .. } => Reaction::Next,
            _ => Reaction::Final,
        }
    }

    /// Whether it speaks against an upstream as a whole, so that its breaker counts it.
    pub fn counts_as_failure(&self) -> bool {
        match self {
            Self::Upstream(error) => error.counts_as_failure(),
            Self::DimensionChanged { .. } => true,
            _ => false,
        }
    }
}
