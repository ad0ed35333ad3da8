//! The embedders: one file and one line of [`TABLE`] each.

mod static_minilm;

use std::sync::Arc;

use super::Embedder;
use super::error::EmbedError;

/// Makes an embedder ready; called at the start of the process.
pub(super) type Load = fn() -> Result<Arc<dyn Embedder>, EmbedError>;

/// Every embedder by name.
pub(super) const TABLE: &[(&str, Load)] = &[(static_minilm::NAME, static_minilm::load)];

/// The embedder of requests that name none.
pub(super) const DEFAULT: &str = static_minilm::NAME;
