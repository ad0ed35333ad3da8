//! The embedding models that compute here.

use std::sync::Arc;
use std::time::Instant;

use super::Finding;
use crate::config::Settings;
use crate::engines::embedding::{Embedder, Embedders};
use crate::types::plain::counted;

const CHECK: &str = "embedding";

/// Loads every model that computes here, and embeds a text with it.
pub fn models(settings: &Settings) -> Vec<Finding> {
    let pulled = settings.storage.models_dir();
    let embedders = match Embedders::with_sources(&settings.embedding, Some(&pulled), |_| None) {
        Ok(embedders) => embedders,
        Err(error) => {
            return vec![Finding::fail(
                CHECK,
                error.to_string(),
                "see `boathouse models list` and [embedding] of the settings",
            )];
        }
    };
    let embed = |embedder: &Arc<dyn Embedder>| {
        let started = Instant::now();
        let name = &embedder.info().name;
        match embedder.embed(&["the ferry leaves at nine"]) {
            Ok(embedded) => Finding::ok(
                CHECK,
                format!(
                    "{name} answers: {} in {} ms",
                    counted(embedded.vectors.first().map_or(0, Vec::len), "number"),
                    started.elapsed().as_millis()
                ),
            ),
            Err(error) => Finding::fail(
                CHECK,
                format!("{name} does not embed: {error}"),
                "run `boathouse models check`",
            ),
        }
    };
    embedders.locals().map(embed).collect()
}
