//! Text to vectors: embedders, tokenizer, cache, evaluation. No network and no clock here; the cell
//! that runs an [`Embedder`] on its own threads is in `actors/embedding`.
//!
//! ```
//! use boathouse::engines::embedding::{EmbeddingConfig, Embedders};
//!
//! let embedders = Embedders::new(&EmbeddingConfig::default())?;
//! let embedder = embedders.local("static-minilm")?;
//! let embedded = embedder.embed(&["a boat on the river"])?;
//! assert_eq!(embedded.vectors[0].len(), embedder.info().dim);
//! # Ok::<(), boathouse::engines::embedding::EmbedError>(())
//! ```

mod cache;
mod catalog;
mod config;
mod decimals;
mod embedder_config;
mod embedders;
mod encoding;
mod error;
pub mod evaluation;
mod registry;
mod remote;
mod vector;
mod wordpiece;

use serde::Serialize;

pub use cache::{CacheKey, CacheStats, CachedVector, EmbeddingCache};
pub use catalog::{CATALOG, CatalogModel};
pub use config::EmbeddingConfig;
pub use embedder_config::EmbedderConfig;
pub use embedders::DEFAULT as EMBEDDED;
#[cfg(feature = "minilm")]
pub use embedders::Minilm;
pub use encoding::{Form, Written, json_capacity, truncate_dims, write_json};
pub use error::EmbedError;
pub use registry::{Embedders, Model};
pub use remote::RemoteModel;
pub use wordpiece::{MAX_PIECES, WholeWords, WordPieceTokenizer};

/// The model that is compiled in, read once.
///
/// Errors: [`EmbedError::BrokenModel`].
pub fn embedded() -> Result<std::sync::Arc<dyn Embedder>, EmbedError> {
    embedders::embedded()
}

/// Turns texts into vectors whose inner product tells how alike their meanings are.
pub trait Embedder: Send + Sync {
    /// Describes the model.
    fn info(&self) -> &ModelInfo;

    /// Embeds `texts`, in order.
    ///
    /// A text that is longer than `info().max_tokens` is cut; [`Embedded::cut`] tells, and whether that
    /// will do is for the caller to say.
    ///
    /// Shapes: one vector of `info().dim` numbers and one token count for each text. Units: vectors
    /// are L2-normalised. Errors: [`EmbedError::EmptyText`] names the place in `texts` that holds
    /// nothing the model knows.
    fn embed(&self, texts: &[&str]) -> Result<Embedded, EmbedError>;

    /// Most texts in one call while others wait.
    fn batch(&self) -> usize {
        64
    }

    /// Whether a message costs so much besides its texts that texts of several requests should wait for each other, for
    /// `embedding.batch_window_us`. Not where a text takes a few microseconds: it is answered at once.
    fn gathers(&self) -> bool {
        false
    }

    /// Turns token ids back into a text that embeds alike. Ids without meaning (padding, markers)
    /// are left out.
    ///
    /// Errors: [`EmbedError::UnknownToken`].
    fn decode(&self, ids: &[u32]) -> Result<String, EmbedError>;
}

/// What [`Embedder::embed`] gives for its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One for each text, L2-normalised.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read of each text.
    pub tokens: Vec<u32>,
    /// Place of the first text that is longer than what the model reads, and was cut.
    pub cut: Option<usize>,
}

/// What a client may know of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// The name, or alias, that requests ask for.
    pub name: String,
    /// Unix time of the model's making, seconds; 0 where it is not recorded.
    pub created: u64,
    /// Who made the model.
    pub owned_by: String,
    /// Length of its vectors.
    pub dim: usize,
    /// Tokens of a text that are read; 0 where only its upstream knows.
    pub max_tokens: usize,
    /// Changes whenever the same text would give another vector.
    pub fingerprint: String,
}
