//! The engines that keep collections: whether this build has them, and they say what they keep.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Finding;
use crate::actors::index::store::{Store, stores};
use crate::config::Settings;
use crate::types::plain::counted;

const CHECK: &str = "backend";

/// Asks every engine of the settings for its collections, all at once.
pub async fn backends(settings: &Settings) -> Vec<Finding> {
    match stores(&settings.backends, |name| std::env::var(name).ok()) {
        Ok(stores) => join_all(stores.into_iter().map(look)).await,
        Err(error) => vec![Finding::fail(
            CHECK,
            error,
            "correct [backends]; docs/BACKENDS.md says what each needs",
        )],
    }
}

async fn look(store: Arc<dyn Store>) -> Finding {
    let backend = store.backend();
    match store.list().await {
        Ok(listed) => {
            let what = counted(listed.len(), "collection");
            Finding::ok(CHECK, format!("{backend}: keeps {what}"))
        }
        Err(error) => Finding::fail(
            CHECK,
            error.to_string(),
            format!(
                "start it, or correct [backends.{backend}]; its collections answer 503 until then"
            ),
        ),
    }
}
